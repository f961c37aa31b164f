"""Delivers the messages of the outbox. Every node runs one worker; they share the work by claiming messages.

- A claim is a lease, renewed while the message is being sent. When a node ends, others take its messages over: each is
  sent at least once, always under the same id.
- What became of a message is stored with the next claim, in one short transaction; there is at most one every
  `BEAT_SECONDS`, and none while nothing is due.
- A message to a recipient who was removed meanwhile, has no address, or has switched such messages off, is dropped. So
  is one that has waited for `RECHECKED_SECONDS`, about something that its recipient may not know of any more; of a
  digest that part is left out.
- A channel without a sender fails like one that is out of order: what waits is sent when the sender is there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog

from crdt_server.services.messaging.attempts import ATTEMPTS, outcome_of
from crdt_server.services.messaging.composing import MalformedMessage, Unsubscribe, compose
from crdt_server.services.messaging.contact_service import CODE_SECONDS
from crdt_server.services.messaging.digest import events_of, without
from crdt_server.services.messaging.lanes import Lanes
from crdt_server.services.messaging.model import Channel, NotSent, Sent
from crdt_server.services.messaging.preferences import is_refused, quiet_end
from crdt_server.services.messaging.senders import ChannelSenders
from crdt_server.services.messaging.still_known import KnownNow, all_known
from storage import MessageAddress, MessageOutcome, Resolved, Storage, StorageError, StoredMessage
from storage.outbox import CONFIRMATION, DIGEST, DROPPED, LATER, WAITING

log = structlog.get_logger(__name__)

BEAT_SECONDS: Final = 0.02
"""Between two claims. Messages sent since the last one are sent again when the node is killed."""

POLL_SECONDS: Final = 2.0
"""Between two looks for messages of other nodes, and for those that are due again."""

RECHECKED_SECONDS: Final = 60.0
"""A message that is sent sooner keeps the decision that was made with the rights of that moment."""

WEBHOOK_RECHECKED_SECONDS: Final = 1.0
"""Of webhooks: another person's from the moment on when that person gives it a URL."""

DRAIN_SECONDS: Final = 3.0
"""For attempts that run when the server stops."""

RENEWALS: Final = 3
"""In the time of a lease."""


def no_link(message: StoredMessage) -> str:
    """The `Unsubscribe` of a server that has no such links."""
    return ""


def _has_waited(message: StoredMessage, now: datetime) -> bool:
    """Whether a message has waited for so long that rights may have changed."""
    seconds = WEBHOOK_RECHECKED_SECONDS if message.channel == Channel.WEBHOOK else RECHECKED_SECONDS
    return message.attempts > 1 or now - message.at > timedelta(seconds=seconds)


async def _known_part(message: StoredMessage, person: str, now: datetime, known: KnownNow) -> StoredMessage | None:
    """The part of a message that its recipient may know now, after it has waited; None: nothing of it."""
    if not _has_waited(message, now):
        return message
    if message.type == DIGEST:
        events = events_of(message.params)
        unknown = events.difference(await known(message.wedding, person, events)) if events else events
        params = without(message.params, unknown) if unknown else message.params
        return message._replace(params=params) if params else None
    if message.document and not await known(message.wedding, person, (message.event,)):
        return None
    return message


def _obstacle(message: StoredMessage, resolved: Resolved, now: datetime) -> str:
    """Why a message is not to be sent any more; empty: it is."""
    if message.type == CONFIRMATION:
        is_over = now - message.at > timedelta(seconds=CODE_SECONDS)
        return "the code is not valid any more" if is_over else ""
    if is_refused(resolved.preferences, message.priority, message.type, Channel(message.channel), now):
        return "not wanted any more"
    return ""


class DeliveryWorker:
    """See the head of the file. ``lease`` names this run of this node, ``lease_seconds`` is how long its messages are
    left alone when it has ended."""

    def __init__(
        self,
        storage: Storage,
        senders: ChannelSenders,
        now: Callable[[], datetime],
        *,
        lease: str,
        lease_seconds: float,
        unsubscribe: Unsubscribe = no_link,
        known: KnownNow = all_known,
    ) -> None:
        self._storage = storage
        self._senders = senders
        self._now = now
        self._lease, self._lease_seconds = lease, lease_seconds
        self._unsubscribe = unsubscribe
        self._known = known
        self._lanes = Lanes()
        self._tasks: set[asyncio.Task[None]] = set()
        self._outcomes: list[MessageOutcome] = []
        self._woken = asyncio.Event()
        self._loops: list[asyncio.Task[None]] = []

    @property
    def channels_configured(self) -> frozenset[Channel]:
        """The channels that have a sender; messages are not to be written for others."""
        return self._senders.configured

    def wake(self) -> None:
        """There may be something to send."""
        self._woken.set()

    def start(self) -> None:
        """Deliver until `stop`."""
        self._loops = [asyncio.create_task(self._deliver()), asyncio.create_task(self._renew())]

    async def _deliver(self) -> None:
        while True:
            woken = self._woken.is_set()
            self._woken.clear()
            try:
                if (woken or self._outcomes or await self._storage.outbox_is_due(self._now())) and await self.cycle():
                    self.wake()
            except StorageError as error:
                log.warning("delivery_waits", error=str(error))
                await asyncio.sleep(POLL_SECONDS)
            except Exception as error:  # this loop is the edge: without it the node would deliver nothing any more
                log.error("delivery_failed", exc_info=error)
                await asyncio.sleep(POLL_SECONDS)
            await asyncio.sleep(BEAT_SECONDS)
            try:
                async with asyncio.timeout(POLL_SECONDS):
                    await self._woken.wait()
            except TimeoutError:
                continue

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._lease_seconds / RENEWALS)
            try:
                # Those that were sent and are not stored yet as well: others would send them again.
                if ids := [*self._lanes.ids, *(each.id for each in self._outcomes)]:
                    await self._storage.renew_lease(self._lease, ids, self._lease_seconds)
            except StorageError as error:
                log.warning("delivery_lease_not_renewed", error=str(error))

    async def cycle(self) -> int:
        """Store what became of messages, claim further ones and begin to send them; returns how many were claimed.
        Raises StorageError."""
        outcomes = list(self._outcomes)
        claimed, died = await self._storage.claim_messages(
            self._lease, self._lease_seconds, outcomes, self._lanes.claims(), self._now(), ATTEMPTS
        )
        self._senders.count_died(died)
        del self._outcomes[: len(outcomes)]
        # A node that was late for its own lease claims what it is sending: that goes on.
        known = {*self._lanes.ids, *(each.id for each in self._outcomes)}
        fresh = [each for each in claimed if each.id not in known]
        if fresh:
            await self._begin(fresh)
        return len(fresh)

    async def _begin(self, claimed: Sequence[StoredMessage]) -> None:
        try:
            resolved = await self._storage.resolve_recipients(claimed)
        except StorageError:
            for message in claimed:
                self._give_back(message)
            raise
        for message in claimed:
            self._begin_one(message, resolved[message.id])

    def _begin_one(self, message: StoredMessage, resolved: Resolved) -> None:
        if resolved.removed or not resolved.addresses:
            reason = "not a member any more" if resolved.removed else "no address"
            self._settled(MessageOutcome(message.id, DROPPED, reason, self._now()))
            return
        address = resolved.addresses[0]
        if not self._lanes.begin(message, address.address):
            self._give_back(message)
            return
        task = asyncio.create_task(self._attempt(message, resolved, address))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _give_back(self, message: StoredMessage) -> None:
        self._settled(MessageOutcome(message.id, WAITING, message.error, self._now()))

    def _settled(self, outcome: MessageOutcome) -> None:
        self._outcomes.append(outcome)
        self.wake()

    # -- one attempt

    async def _attempt(self, message: StoredMessage, resolved: Resolved, address: MessageAddress) -> None:
        """Send a message, and keep what became of it for the next claim."""
        try:
            now = self._now()
            until = quiet_end(resolved.preferences, resolved.wedding, message.priority, Channel(message.channel), now)
            if until is not None:  # a further attempt, or one that an operator requests
                self._settled(MessageOutcome(message.id, LATER, message.error, now, until, is_attempt=False))
                return
            reason = _obstacle(message, resolved, now)
            part = None if reason else await _known_part(message, resolved.person, now, self._known)
            if part is None:
                reason = reason or "not to be known any more"
                self._settled(MessageOutcome(message.id, DROPPED, reason, self._now()))
                return
            if len(resolved.addresses) > 1:
                await self._storage.split_message(message, [each.contact for each in resolved.addresses])
            result = await self._send(part, resolved, address)
            if isinstance(result, NotSent) and result.gone:
                await self._storage.disable_address(message, address.contact, result.reason, self._now())
            outcome = outcome_of(message, result, self._now())
            self._senders.count(message, outcome)
            self._settled(outcome)
        except asyncio.CancelledError:
            self._give_back(message)
            raise
        except StorageError as error:
            log.warning("delivery_waits", error=str(error))
            self._give_back(message)
        except Exception as error:  # a defect, with this message perhaps: it dies alone
            log.error("delivery_failed", id=message.key, exc_info=error)
            defect = NotSent(f"a defect of the server: {type(error).__name__}")
            self._settled(outcome_of(message, defect, self._now()))
        finally:
            self._lanes.end(message.id)

    async def _send(self, message: StoredMessage, resolved: Resolved, address: MessageAddress) -> Sent | NotSent:
        try:
            delivery = compose(message, resolved, address, self._unsubscribe(message))
        except MalformedMessage as error:
            return NotSent(str(error), permanent=True)
        return await self._senders.send(delivery)

    # -- the end

    async def idle(self) -> None:
        """Wait until nothing is being sent."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def stop(self) -> None:
        """Claim nothing any more, wait a moment for what is being sent, give the rest back, and close the senders."""
        for each in self._loops:
            each.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=DRAIN_SECONDS)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            if self._outcomes:
                _, died = await self._storage.claim_messages(
                    self._lease, self._lease_seconds, self._outcomes, (), self._now(), ATTEMPTS
                )
                self._senders.count_died(died)
        except StorageError as error:
            log.warning("delivery_not_stored", error=str(error))
        await self._senders.close()
