"""Threads: what they are about, and who takes part. The messages are in the document `thread.{id}`.

A right is decided on what is stored, in the transaction of the change: see `storage.conversations`. A person who
may not open a thread is answered as if there were none.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Final, NamedTuple

from crdt_server.access.access import Access, Action, require, require_allowed
from crdt_server.access.identity import Identity, is_name
from crdt_server.access.threads import CLOSED_TYPES, document_of, may_add, may_change, may_make, may_mark, powers
from crdt_server.errors import NotFoundError, ProtocolError
from crdt_server.services.changes import UNLIMITED, ChangeLimit
from crdt_server.services.entries import Changed, MembershipError, Now, audit_entry, cursor_of, moment, read_cursor
from crdt_server.services.grants import Published
from documents.field_rules import written_as
from storage import (
    BoundReached,
    NewEvent,
    Storage,
    StoredAnswer,
    StoredParticipant,
    StoredThread,
    ThreadChange,
    ThreadFilter,
    ThreadReading,
    ThreadState,
    ValuesRefused,
)

MOST_OWN: Final = 50
"""Threads that a person makes who does not organize the wedding: nobody uses up those of all."""

NO_NAMES: Final[Mapping[str, str]] = MappingProxyType({})


class NewThread(NamedTuple):
    """A thread to be made. ``priority``: as of events, 0 is the most urgent; ``context``: the document, root and record
    that it is about."""

    title: str
    type: str
    priority: int = 3
    users: Sequence[str] = ()
    context: Mapping[str, str] = {}


class FoundThread(NamedTuple):
    """A thread with those who take part, and how far the person who is shown it has read."""

    thread: StoredThread
    participants: Sequence[StoredParticipant]
    reading: ThreadReading


_Decide = Callable[[ThreadState], ThreadChange]


class ThreadService:
    """See the head of the file. Methods raise ForbiddenError, NotFoundError, ProtocolError for what cannot be,
    MembershipError, and RateLimitError for more ``changes`` than one person makes."""

    def __init__(
        self,
        storage: Storage,
        now: Now,
        changed: Changed,
        *,
        access: Access,
        published: Published,
        changes: ChangeLimit = UNLIMITED,
    ) -> None:
        self._storage = storage
        self._now = now
        self._changed = changed
        self._access = access
        self._published = published
        self._changes = changes

    # -- reading

    def opens(self, wedding: str, actor: Identity, id_: str) -> bool:
        """Whether somebody may open a thread."""
        return self._access.may(actor, Action.READ, wedding, document_of(id_)) is None

    async def find(self, wedding: str, actor: Identity, id_: str) -> FoundThread:
        """A thread."""
        thread = await self._storage.thread(wedding, id_)
        if thread is None or not self.opens(wedding, actor, id_):
            raise NotFoundError("not_found", "no such thread")
        return (await self._found(wedding, actor, [thread]))[0]

    async def made(self, wedding: str, actor: Identity, id_: str) -> FoundThread:
        """A thread that somebody has made. It may be so new that the rights in memory do not know of it."""
        users = {each.user for each in await self._storage.participants(wedding, [id_])}
        if actor.user not in users:
            return await self.find(wedding, actor, id_)
        thread = await self._storage.thread(wedding, id_)
        if thread is None:
            raise NotFoundError("not_found", "no such thread")
        return (await self._found(wedding, actor, [thread]))[0]

    async def page(
        self, wedding: str, actor: Identity, type_: str, status: str, after: str, limit: int
    ) -> tuple[list[FoundThread], str | None]:
        """The next threads that somebody may open, the last active first, and the cursor behind them; None: these were
        the last."""
        among = ThreadFilter(actor.user, powers(self._access, actor, wedding).opens_all, CLOSED_TYPES, type_, status)
        found = await self._storage.threads(wedding, among, read_cursor(after), limit)
        following = cursor_of(found[-1].active_at, found[-1].id) if len(found) == limit else None
        shown = [each for each in found if self.opens(wedding, actor, each.id)]
        return await self._found(wedding, actor, shown), following

    async def _found(self, wedding: str, actor: Identity, threads: Sequence[StoredThread]) -> list[FoundThread]:
        ids = [each.id for each in threads]
        taking_part: dict[str, list[StoredParticipant]] = {each: [] for each in ids}
        for each in await self._storage.participants(wedding, ids):
            taking_part[each.thread].append(each)
        readings = await self._storage.readings(wedding, actor.user, ids, written_as(actor.user))
        return [
            FoundThread(each, taking_part[each.id], reading) for each, reading in zip(threads, readings, strict=True)
        ]

    # -- changes

    async def make(
        self, wedding: str, actor: Identity, new: NewThread, names: Mapping[str, str] = NO_NAMES
    ) -> FoundThread:
        """Make a thread, in which its maker takes part; once, with the ``key`` and ``digest`` of the request as
        ``names``: the answer is the id of the thread. Raises storage's AnswerTaken where there is one."""
        takes_part, _, organizes, raises = powers(self._access, actor, wedding)
        require_allowed(takes_part or may_make(actor, new.type, organizes=organizes, raises=raises))
        if new.context:
            require(self._access, actor, Action.READ, wedding, new.context["document"])
        at, id_ = self._now(), f"t_{secrets.token_hex(8)}"
        context = json.dumps(dict(new.context), ensure_ascii=False) if new.context else ""
        thread = StoredThread(id_, new.title, new.type, "open", new.priority, context, actor.user, at, at)
        users = sorted({*new.users} - {actor.user})

        def decide(state: ThreadState) -> ThreadChange:
            self._require_addable(state, actor, users, organizes=organizes)
            made = thread_change(thread, actor, "thread.created", at, added=[actor.user, *users])._replace(
                most_own=None if organizes or not actor.rights else MOST_OWN
            )
            return made._replace(answer=StoredAnswer(names["key"], names["digest"], id_, at)) if names else made

        return await self._store(wedding, actor, thread.id, users, decide)

    async def change(
        self, wedding: str, actor: Identity, id_: str, title: str | None, status: str | None, priority: int | None
    ) -> FoundThread:
        """Give a thread another title, status or priority; None: as it is."""

        def decide(state: ThreadState) -> ThreadChange:
            thread = self._require_changeable(wedding, actor, id_, state)
            changed = thread._replace(
                title=title or thread.title,
                status=status or thread.status,
                priority=thread.priority if priority is None else priority,
            )
            return thread_change(changed, actor, "thread.changed", self._now())

        return await self._store(wedding, actor, id_, (), decide)

    async def add(self, wedding: str, actor: Identity, id_: str, user: str) -> FoundThread:
        """Let a person take part; does nothing where it does."""
        organizes = powers(self._access, actor, wedding).organizes

        def decide(state: ThreadState) -> ThreadChange:
            thread = self._require_changeable(wedding, actor, id_, state)
            self._require_addable(state, actor, [user], organizes=organizes)
            added = [] if user in state.users else [user]
            return thread_change(thread, actor, "thread.joined", self._now(), added=added)

        return await self._store(wedding, actor, id_, [user], decide)

    async def remove(self, wedding: str, actor: Identity, id_: str, user: str) -> None:
        """Let a person take part no more: everybody may leave."""

        def decide(state: ThreadState) -> ThreadChange:
            thread = self._require_changeable(wedding, actor, id_, state, leaves=user == actor.user)
            if user not in state.users:
                raise NotFoundError("not_found", "no such participant")
            return thread_change(thread, actor, "thread.left", self._now(), removed=[user])

        await self._store(wedding, actor, id_, (), decide)

    async def mute(self, wedding: str, actor: Identity, id_: str, *, muted: bool) -> None:
        """Whether somebody is notified of new messages."""
        require_allowed(may_mark(actor))
        known = self.opens(wedding, actor, id_)
        if not known or not await self._storage.mute_thread(wedding, id_, actor.user, muted=muted):
            raise NotFoundError("not_found", "you do not take part in this thread")

    # -- decisions

    def _require_changeable(
        self, wedding: str, actor: Identity, id_: str, state: ThreadState, *, leaves: bool = False
    ) -> StoredThread:
        """The thread. On what is stored: what is in memory may be a moment old."""
        thread = state.thread
        closed = thread is not None and thread.type in CLOSED_TYPES and actor.rights
        takes_part = actor.user in state.users
        if thread is None or not self.opens(wedding, actor, id_) or (closed and not takes_part):
            raise NotFoundError("not_found", "no such thread")
        may_take_part, _, organizes, _ = powers(self._access, actor, wedding)
        if not takes_part and not organizes:
            raise NotFoundError("not_found", "no such thread")
        require_allowed(may_take_part)
        if not (leaves and takes_part):
            require_allowed(may_change(actor, thread.created_by, organizes=organizes))
        return thread

    def _require_addable(self, state: ThreadState, actor: Identity, users: Iterable[str], *, organizes: bool) -> None:
        for user in users:
            if not user or not is_name(user):
                raise ProtocolError("invalid_request", "this is not the name of a user")
            member = state.members.get(user)
            if member is not None and member.removed_at is not None:
                raise MembershipError("not_a_member", "this person is not a member of the wedding any more")
            require_allowed(may_add(actor, "" if member is None else member.role, organizes=organizes))

    async def _store(
        self, wedding: str, actor: Identity, id_: str, users: Collection[str], decide: _Decide
    ) -> FoundThread:
        try:
            with self._changes.count(wedding, actor.user) as counted:
                thread, event = await self._storage.change_thread(wedding, id_, actor.user, users, decide)
                counted.is_stored = event > 0
        except ValuesRefused as error:
            of_person = isinstance(error, BoundReached) and error.of_person
            raise MembershipError("too_many_own_threads" if of_person else "too_many", str(error)) from error
        if event:
            self._published(wedding, event)
            self._changed(wedding)
        return (await self._found(wedding, actor, [thread]))[0]


def thread_change(
    thread: StoredThread,
    actor: Identity,
    type_: str,
    at: datetime,
    *,
    added: Sequence[str] = (),
    removed: Sequence[str] = (),
) -> ThreadChange:
    """A thread as it is to be, with the event and the entry of the audit log about that."""
    body = {
        "type": type_,
        "priority": 3,
        "at": moment(at),
        "actor": {"user": actor.user, "role": actor.role},
        "document": document_of(thread.id),
        "root": "threads",
        "record": thread.id,
        "fields": [],
        "before": None,
        "after": None,
        "thread": {
            "title": thread.title,
            "type": thread.type,
            "status": thread.status,
            "priority": thread.priority,
            "added": list(added),
            "removed": list(removed),
        },
    }
    event = NewEvent(type_, moment(at), thread.id, json.dumps(body, ensure_ascii=False))
    detail = {"added": list(added) or None, "removed": list(removed) or None}
    return ThreadChange(
        thread, at, audit_entry(at, actor.user, type_, thread=thread.id, **detail), event, added, removed
    )
