"""The part of `Storage` for messages that have to leave the server. See `outbox`, `outbox_claims`, `outbox_addresses`.

Moments carry their time zone, and come from the caller; leases end by the clock of the database.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection

from storage import outbox, outbox_addresses, outbox_claims
from storage.outbox import ChannelDepth, InboxCount, MessageCount, NewMessage, StoredMessage
from storage.outbox_addresses import Resolved
from storage.outbox_claims import ClaimedMessages, ClaimOf, MessageOutcome
from storage.store_parts import StorePart


class OutboxStore(StorePart):
    """The outbox."""

    async def enqueue(self, messages: Sequence[NewMessage]) -> int:
        """Store messages in a transaction of their own; returns how many were new. Raises ValuesRefused."""
        return await self._executor.write(lambda connection: outbox.enqueue(connection, messages))

    async def message(self, id_: int) -> StoredMessage | None:
        """A message by its number."""
        return await self._executor.read(lambda connection: outbox.find(connection, id_))

    async def messages(
        self, wedding: str | None, state: str, *, channel: str | None = None, after: int = 0, limit: int = 100
    ) -> list[StoredMessage]:
        """The next messages in a state behind a number, of one wedding or of all, without their params."""
        return await self._executor.read(
            lambda connection: outbox.page(connection, wedding, state, channel, after, limit)
        )

    async def retry_message(self, wedding: str | None, id_: int, now: datetime) -> StoredMessage | None:
        """Have a message sent now that is dead or due later, and return it as it is then; None where there is none."""
        return await self._executor.write(lambda connection: outbox.retry_one(connection, wedding, id_, now))

    async def retry_dead(self, wedding: str | None, channel: str | None, now: datetime) -> int:
        """Have all dead messages sent now, of one wedding or of all; returns how many."""
        retried = 0
        while count := await self._executor.write(
            lambda connection: outbox.retry_dead(connection, wedding, channel, now)
        ):
            retried += count
        return retried

    async def message_counts(self, wedding: str) -> tuple[list[MessageCount], InboxCount]:
        """The messages of a wedding by channel and state, as far as they are kept, and the items in its inboxes."""
        return await self._executor.read(
            lambda connection: (outbox.counts(connection, wedding), outbox.inbox_counts(connection, wedding))
        )

    async def outbox_depths(self, now: datetime) -> list[ChannelDepth]:
        """The depth of the queue of each channel, of all weddings."""
        return await self._executor.read(lambda connection: outbox.depths(connection, now))

    async def expire_messages(self, sent_before: datetime, dead_before: datetime) -> int:
        """Delete some messages that were sent or dropped before a moment, or died before another; returns how many: 0
        when there are none any more."""
        return await self._executor.write(lambda connection: outbox.expire(connection, sent_before, dead_before))

    async def trim_messages(self, wedding: str, states: Collection[str], most: int) -> int:
        """Delete the oldest messages of a wedding in some states that are over, as far as they have more than so many
        characters, in slices; returns how many."""
        until = await self._executor.read(lambda connection: outbox.oldest_beyond(connection, wedding, states, most))
        trimmed = 0
        while until and (
            count := await self._executor.write(lambda connection: outbox.trim(connection, wedding, states, until))
        ):
            trimmed += count
        return trimmed

    # -- for workers

    async def outbox_is_due(self, now: datetime) -> bool:
        """Whether there is a message to claim."""
        return await self._executor.read(lambda connection: outbox_claims.is_due(connection, now))

    async def claim_messages(
        self,
        lease: str,
        seconds: float,
        outcomes: Sequence[MessageOutcome],
        claims: Sequence[ClaimOf],
        now: datetime,
        attempts: int,
    ) -> ClaimedMessages:
        """Store what became of messages under the lease, and take further ones: see `outbox_claims`. One that has had
        so many `attempts`, and was left in the last one, is dead."""

        def work(connection: Connection) -> ClaimedMessages:
            outbox_claims.settle(connection, lease, outcomes)
            died = outbox_claims.promote(connection, now, attempts)
            return ClaimedMessages(outbox_claims.claim(connection, claims, lease, seconds, now), died)

        return await self._executor.write(work)

    async def renew_lease(self, lease: str, ids: Sequence[int], seconds: float) -> int:
        """Keep these messages under a lease for so long from now, as far as it holds; returns how many."""
        return await self._executor.write_at_once(
            lambda connection: outbox_claims.renew(connection, lease, ids, seconds)
        )

    async def resolve_recipients(self, messages: Sequence[StoredMessage]) -> Mapping[int, Resolved]:
        """The recipients as the store knows them, by the numbers of the messages."""
        return await self._executor.read(lambda connection: outbox_addresses.resolve(connection, messages))

    async def split_message(self, message: StoredMessage, contacts: Sequence[str]) -> int:
        """Have a message go to the first of these contacts, and store one for each of the others; returns how many."""
        return await self._executor.write(lambda connection: outbox_addresses.split(connection, message, contacts))

    async def disable_address(self, message: StoredMessage, contact: str, reason: str, at: datetime) -> None:
        """Send nothing any more to the address that a message went to."""
        await self._executor.write(
            lambda connection: outbox_addresses.disable(connection, message, contact, reason, at)
        )
