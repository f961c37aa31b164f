"""A wedding with one member of each role, on a real hub and a real store, and a router whose clock the test sets."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest_asyncio
from sqlalchemy import delete, select

from crdt_server.access.access import Denied
from crdt_server.access.identity import Identity
from crdt_server.access.policy_access import PolicyAccess
from crdt_server.access.role_switch import RoleSwitch
from crdt_server.counters import Counters
from crdt_server.editing import EditedRows, Editor
from crdt_server.hub.hub import Hub
from crdt_server.hub.rights_cache import HeldMembers
from crdt_server.services.messaging.planning import Planner
from crdt_server.services.messaging.recipients import Mentioned, nobody_mentioned
from crdt_server.services.messaging.router import EventRouter
from crdt_server.services.messaging.rules import default_rules
from crdt_server.settings import Settings
from documents.derived import find
from storage import MemberChange, NewAuditEntry, Storage, StoredMember, open_storage
from storage.messaging_tables import inbox, outbox
from storage.tables import metadata
from tests.support.databases import new_database, run_sql
from tests.support.hosts import make_hub

AT = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
DATE = "2026-06-20"

PEOPLE = {
    each.user: each
    for each in (
        Identity("aroha", "couple", name="Aroha"),
        Identity("ben", "couple", name="Ben"),
        Identity("pia", "planner", name="Pia"),
        Identity("cora", "coordinator", name="Cora"),
        Identity("vic", "venue", vendor="v_venue", name="Vic"),
        Identity("cat", "caterer", vendor="v_cater", name="Cat"),
        Identity("pho", "photographer", vendor="v_photo", name="Pho"),
        Identity("flo", "vendor", vendor="v_flowers", name="Flo"),
        Identity("fay", "family", side="a", name="Fay"),
        Identity("wim", "wedding_party", name="Wim"),
        Identity("gus", "guest", guest="g_gus", name="Gus"),
    )
}
"""By user: one of each role, two of the couple."""


class Clock:
    """The time of day, set by the test."""

    def __init__(self) -> None:
        self.now = AT

    def __call__(self) -> datetime:
        return self.now


class World:
    """See the head of the file. ``wedding`` is the one that methods are about."""

    def __init__(self, hub: Hub, storage: Storage, url: str) -> None:
        self.hub = hub
        self.storage = storage
        self.url = url
        self.clock = Clock()
        self.wedding = "w"
        self.editor = Editor(hub, RoleSwitch(find_derived=find))
        members = HeldMembers()
        members.cache = hub.rights.cache
        self.access = PolicyAccess(lambda *_: Denied("unauthenticated", "no"), members, find_derived=find)

    def router(self, mentioned: Mentioned = nobody_mentioned, **options: Any) -> EventRouter:
        """A further router on the same store."""
        planner = Planner(default_rules(), self.access, mentioned)
        rights = options.pop("rights", self.hub.rights.cache)
        return EventRouter(self.storage, planner, rights, self.clock, options.pop("counters", Counters()), **options)

    async def begin(self, wedding: str) -> None:
        """A new wedding with all people and an address of each in every channel."""
        self.wedding, self.clock.now = wedding, AT
        for person in PEOPLE.values():
            await self.put_member(person)
        for user in PEOPLE:
            for channel in ("mail", "sms", "push"):
                moments = {"at": AT, "confirmed_at": AT}
                await self.put("contacts", user=user, channel=channel, id="1", address="x", secret="", **moments)
        async with self.editor.edit(wedding, "wedding", PEOPLE["aroha"]) as rows:
            rows["meta"]["date"] = DATE
            rows["meta"]["timeZone"] = "Pacific/Auckland"

    async def put_member(self, person: Identity, *, removed: bool = False) -> None:
        """Add, change or remove a member."""
        fields = (person.user, person.role, person.vendor, person.guest, person.side, person.name)
        member = StoredMember(*fields, "aroha", AT, AT if removed else None)
        entry = NewAuditEntry("2026-06-20T13:30:00Z", "aroha", "member", "{}")
        await self.storage.change_member(self.wedding, person.user, lambda *_: MemberChange(member, entry))
        self.hub.rights.cache.forget(self.wedding)

    async def put(self, table: str, **values: object) -> None:
        """Add a row of this wedding to a table."""
        await run_sql(self.url, metadata.tables[table].insert().values(wedding=self.wedding, **values))

    async def edit(self, document: str, root: str, record: str, fields: Mapping[str, Any], by: str = "aroha") -> None:
        """Set keys of a record, which is added where it is not there. A key goes whose value is None, and the record
        where there are no keys."""
        async with self.editor.edit(self.wedding, document, PEOPLE[by]._replace(rights="")) as rows:
            found = rows[root]
            if not fields:
                del found[record]
            elif isinstance(found, EditedRows) and found.root.record is None:
                found[record] = dict(fields)
            elif isinstance(found, EditedRows) and record not in found:
                found.insert(record, fields)
            else:
                changed = found[record] if isinstance(found, EditedRows) else found
                for key, value in fields.items():
                    if value is None:
                        del changed[key]
                    else:
                        changed[key] = value

    async def settle(self) -> None:
        """Route what has happened, and forget it."""
        await self.router().route_all()
        await run_sql(self.url, delete(inbox))
        await run_sql(self.url, delete(outbox))

    async def channels(self, type_: str) -> dict[str, str]:
        """User -> the channels in which they were informed of events of a type: `in-app push`, or `digest`."""
        found: dict[str, set[str]] = {}
        of_type = (inbox.c.wedding == self.wedding) & (inbox.c.type == type_)
        for (user,) in await run_sql(self.url, select(inbox.c.user).where(of_type)):
            found.setdefault(user, set()).add("in-app")
        of_type = (outbox.c.wedding == self.wedding) & (outbox.c.type == type_)
        query = select(outbox.c.user, outbox.c.channel, outbox.c.state).where(of_type)
        for user, channel, state in await run_sql(self.url, query):
            found.setdefault(user, set()).add("digest" if state == "held" else channel)
        return {user: " ".join(sorted(channels)) for user, channels in found.items()}

    async def params(self, user: str) -> Sequence[dict[str, str]]:
        """The values of somebody's items."""
        return [json.loads(each.params) for each in await self.storage.inbox(self.wedding, user)]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def world(tmp_path_factory: Any) -> AsyncIterator[World]:
    directory: Path = tmp_path_factory.mktemp("world")
    with new_database(directory) as url:
        storage = await open_storage(url, migrate=True)
        hub = make_hub(Settings(dev=True, document_hosts=1, max_strikes=0), storage)
        await hub.start()
        try:
            yield World(hub, storage, url)
        finally:
            await hub.stop()
            await storage.close()
