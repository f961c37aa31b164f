"""Messages that have to leave the server, as operators see them: lists without texts, and sending them once more.

Texts are left out on purpose: whoever manages a wedding has no right to the conversations of others in it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from crdt_server.errors import CrdtServerError, NotFoundError
from crdt_server.services.entries import Now
from crdt_server.services.messaging.model import Channel
from storage import Storage, StoredMessage
from storage.outbox import LATER, NO_PARAMS, SENDING, WAITING

PAGE: Final = 200
"""Messages of a page."""

LARGEST_NUMBER: Final = (1 << 63) - 1


class NotRetried(CrdtServerError):
    """The message is in a state in which it is not sent once more."""


class OutboxService:
    """See the head of the file. ``woken`` is called when there may be something to send. Without a wedding, methods
    are about all of them."""

    def __init__(self, storage: Storage, now: Now, woken: Callable[[], None]) -> None:
        self._storage = storage
        self._now = now
        self._woken = woken

    async def page(
        self, wedding: str | None, state: str, channel: str | None, *, after: int = 0, limit: int = PAGE
    ) -> Sequence[StoredMessage]:
        """The next messages in a state behind a number."""
        return await self._storage.messages(wedding, state, channel=channel, after=after, limit=min(limit, PAGE))

    async def message(self, wedding: str | None, id_: int) -> StoredMessage:
        """A message without its text. Raises NotFoundError."""
        found = await self._storage.message(id_) if 0 < id_ <= LARGEST_NUMBER else None
        if found is None or wedding not in (None, found.wedding):
            raise NotFoundError("not_found", "no such message")
        return found._replace(params=NO_PARAMS)

    async def retry(self, wedding: str | None, id_: int) -> StoredMessage:
        """Send a message now that is dead or waits for a further attempt. Raises NotFoundError and NotRetried."""
        found = await self._storage.retry_message(wedding, id_, self._now()) if 0 < id_ <= LARGEST_NUMBER else None
        if found is None:
            raise NotFoundError("not_found", "no such message")
        if found.state != WAITING:
            raise NotRetried("not_retried", f"the message is {found.state}")
        self._woken()
        return found._replace(params=NO_PARAMS)

    async def retry_dead(self, wedding: str | None, channel: str | None) -> int:
        """Send all dead messages now, of one channel or of all; returns how many."""
        retried = await self._storage.retry_dead(wedding, channel, self._now())
        self._woken()
        return retried

    async def stats(self, wedding: str) -> dict[str, dict[str, int]]:
        """Channel -> what became of its messages, as far as they are kept: `sent` and `waiting`, `held` for a digest,
        `dead`, `dropped`; of the inbox `sent` and `read`."""
        counts, inbox = await self._storage.message_counts(wedding)
        found = {
            channel.value: dict.fromkeys(("sent", "waiting", "held", "dropped", "dead"), 0)
            for channel in Channel
            if channel is not Channel.INBOX
        }
        for each in counts:
            name = "waiting" if each.state in (WAITING, LATER, SENDING) else each.state
            found.setdefault(each.channel, {}).setdefault(name, 0)
            found[each.channel][name] += each.messages
        return found | {Channel.INBOX.value: {"sent": inbox.items, "read": inbox.read}}
