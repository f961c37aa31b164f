"""The messages of threads for clients without Yjs, and how far each person has read.

Messages are written into the document of their thread, as an edit of their author: see `api.messages`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from crdt_server.access.access import Access, Action, require, require_allowed
from crdt_server.access.identity import Identity
from crdt_server.access.threads import document_of, may_mark
from crdt_server.errors import NotFoundError
from crdt_server.services.entries import Now
from documents.field_rules import written_as
from storage import Storage, ThreadMessage, ThreadReading


class FoundMessage(NamedTuple):
    """A message with its number in the thread, and the reactions to it as `emoji|user`."""

    id: str
    sequence: int
    content: Mapping[str, Any]
    redacted: bool
    reactions: Sequence[str]


class MessageService:
    """See the head of the file. Methods raise NotFoundError where somebody may not open the thread."""

    def __init__(self, storage: Storage, now: Now, access: Access) -> None:
        self._storage = storage
        self._now = now
        self._access = access

    async def page(
        self, wedding: str, actor: Identity, thread: str, *, after: int | None, before: int | None, limit: int
    ) -> list[FoundMessage]:
        """Messages behind a number, the oldest first; without one, those before a number, the newest first."""
        await self.require_thread(wedding, actor, thread)
        found = await self._storage.thread_messages(wedding, thread, after=after, before=before, limit=limit)
        reactions = await self._storage.reactions(wedding, thread, [each.id for each in found])
        return [_found(each, reactions.get(each.id, ())) for each in found]

    async def find(self, wedding: str, actor: Identity, thread: str, message: str) -> FoundMessage:
        """A message that has arrived."""
        await self.require_thread(wedding, actor, thread)
        found = await self._storage.thread_message(wedding, thread, message)
        if found is None:
            raise NotFoundError("not_found", "no such message")
        reactions = await self._storage.reactions(wedding, thread, [message])
        return _found(found, reactions.get(message, ()))

    async def read(self, wedding: str, actor: Identity, thread: str, message: str) -> ThreadReading:
        """Somebody has read a thread up to a message. Messages that were read on another device stay read."""
        require_allowed(may_mark(actor))
        found = await self.find(wedding, actor, thread, message)
        await self._storage.mark_thread_read(wedding, thread, actor.user, found.sequence, self._now())
        return (await self._storage.readings(wedding, actor.user, [thread], written_as(actor.user)))[0]

    async def require_thread(self, wedding: str, actor: Identity, thread: str) -> None:
        """Raise where there is no such thread. Organizers may open a document of that name all the same: nobody would
        ever be informed of what they write there by mistake."""
        require(self._access, actor, Action.READ, wedding, document_of(thread))
        if await self._storage.thread(wedding, thread) is None:
            raise NotFoundError("not_found", "no such thread")


def _found(message: ThreadMessage, reactions: Sequence[str]) -> FoundMessage:
    return FoundMessage(message.id, message.sequence, json.loads(message.fields), message.redacted, reactions)
