"""Addresses of people: everybody has their own, and nobody has those of another.

Nothing but a code goes to an address of mail or a phone until whoever entered it has given the code back: otherwise a
member could have a stranger written to, in the name of the server, with words of their choice. The message with the
code has no word of theirs. How many codes are sent is bounded for each person and address, so that nobody uses up what
another may have sent to the same address; for each address, whoever enters it; and for each person.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Collection
from datetime import timedelta
from hashlib import sha256
from typing import Final

from crdt_server.access.access import require_allowed
from crdt_server.access.identity import Identity
from crdt_server.access.members import may_change_own, may_read_own
from crdt_server.errors import NotFoundError, ProtocolError, RateLimitError
from crdt_server.services.entries import MembershipError, Now
from crdt_server.services.messaging.contacts import fault_of, id_of, is_endpoint
from crdt_server.services.messaging.model import Channel, Priority
from crdt_server.services.messaging.push_hosts import EVERY_HOST, PushHosts
from storage import Confirmed, NewCode, NewMessage, SentCodes, Storage, StoredContact, ValuesRefused
from storage.outbox import CONFIRMATION, key_of

MOST_CONTACTS: Final = 10
"""Addresses of a person on one channel."""

CODE_SECONDS: Final = 1800
"""For which a code is valid."""

CODE_TRIES: Final = 5
"""Of one code. With `CODES_TO_ONE`, of a million codes somebody guesses at 25 a day."""

CODES_TO_ONE: Final = 5
"""A day, of one person to one address, in all weddings."""

CODES_TO_ADDRESS: Final = 15
"""A day, of all people: what a stranger may get, and what three people use up who conspire against a fourth."""

CODES_OF_PERSON: Final = 20
"""A day, in one wedding."""

COUNTED_SECONDS: Final = 86_400.0
_CODES: Final = 1_000_000


class ContactService:
    """See the head of the file. ``channels`` have a sender: for others there are no codes. ``woken`` is called when
    there is one to be sent. ``push_hosts``: those that endpoints may have. Methods raise ForbiddenError, NotFoundError,
    ProtocolError, RateLimitError and MembershipError."""

    def __init__(
        self,
        storage: Storage,
        now: Now,
        channels: Collection[str],
        woken: Callable[[], None],
        *,
        push_hosts: PushHosts = EVERY_HOST,
    ) -> None:
        self._push_hosts = push_hosts
        self._storage = storage
        self._now = now
        self._channels = channels
        self._woken = woken

    async def of(self, wedding: str, actor: Identity) -> list[StoredContact]:
        """One's own addresses."""
        require_allowed(may_read_own(actor))
        return await self._storage.contacts(wedding, actor.user)

    async def put(self, wedding: str, actor: Identity, channel: str, address: str, secret: str) -> StoredContact:
        """Add an address of one's own. It is sent a code, unless it is in use already; one that was disabled has to be
        confirmed again. Those of push services are in use at once."""
        require_allowed(may_change_own(actor))
        fault = fault_of(channel, address)
        if fault is None and is_endpoint(address) and not self._push_hosts.allow(address):
            fault = "the host is none of the push services to which this server sends"
        if fault is not None:
            raise ProtocolError("invalid_request", fault)
        now = self._now()
        confirmed_at = now if channel == Channel.PUSH else None
        contact = StoredContact(channel, id_of(channel, address), address, secret, now, confirmed_at=confirmed_at)
        since = now - timedelta(seconds=COUNTED_SECONDS)

        def make(sent: SentCodes) -> NewCode | None:
            return self._new_code(wedding, actor.user, contact, sent) if channel in self._channels else None

        try:
            stored = await self._storage.put_contact(
                wedding, actor.user, contact, MOST_CONTACTS, since=since, make=make
            )
        except ValuesRefused as error:
            raise MembershipError("too_many_contacts", str(error)) from error
        if stored.confirmed_at is None:
            self._woken()
        return stored

    def _new_code(self, wedding: str, user: str, contact: StoredContact, sent: SentCodes) -> NewCode:
        by_address = sent.to_one >= CODES_TO_ONE or sent.to_address >= CODES_TO_ADDRESS
        if by_address or sent.of_person >= CODES_OF_PERSON:
            waited = 0.0 if sent.first is None else (contact.at - sent.first).total_seconds()
            wait = max(1.0, COUNTED_SECONDS - waited)
            raise RateLimitError("too_many_codes", "too many codes were sent", wait)
        code = f"{secrets.randbelow(_CODES):06d}"
        digest = _digest(wedding, user, contact.id, code)
        key = key_of(wedding, 0, user, contact.channel, contact.id, digest, contact.at.isoformat())
        params = json.dumps({"code": code})
        return NewCode(
            digest,
            NewMessage(
                *(key, wedding, user, contact.channel, 0, CONFIRMATION, Priority.URGENT, "", "", params, contact.at),
                contact=contact.id,
            ),
        )

    async def confirm(self, wedding: str, actor: Identity, id_: str, code: str) -> StoredContact:
        """Have an address in use, with the code that was sent there."""
        require_allowed(may_change_own(actor))
        now = self._now()
        digest = _digest(wedding, actor.user, id_, code)
        since = now - timedelta(seconds=CODE_SECONDS)
        outcome = await self._storage.confirm_contact(
            wedding, actor.user, id_, digest, since=since, tries=CODE_TRIES, at=now
        )
        if outcome is Confirmed.WRONG:
            raise MembershipError("wrong_code", "this is not the code that was sent")
        if outcome is Confirmed.EXPIRED:
            raise MembershipError("code_expired", "there is no code any more: enter the address again")
        found = await self._storage.contact(wedding, actor.user, id_)
        if outcome is Confirmed.UNKNOWN or found is None:
            raise NotFoundError("not_found", "no such address")
        return found

    async def delete(self, wedding: str, actor: Identity, id_: str) -> None:
        """Delete an address of one's own."""
        require_allowed(may_change_own(actor))
        if not await self._storage.delete_contact(wedding, actor.user, id_):
            raise NotFoundError("not_found", "no such address")


def _digest(wedding: str, user: str, contact: str, code: str) -> str:
    return sha256(json.dumps([wedding, user, contact, code]).encode()).hexdigest()
