"""Any order of changed roles, removals, grants, overrides, edits, connections and restarts in one wedding.

A real hub with a real host and store, `PolicyAccess` on the members in the store, people on hand-flushed sockets in
whole and derived documents: they write texts, answers, acknowledgements, pledges, stamps and emergencies. After every
step: whoever is connected is admitted by the tables of `rights_tables`; each replica equals what its document shows of
the rows of the sources; nothing is in a source that its writer had no right to when it arrived, and what was written
online, with a right, is there.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import tempfile
from collections import Counter, defaultdict
from collections.abc import Coroutine
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from crdt_server.access.access import Credentials, Denied
from crdt_server.access.identity import Authenticated
from crdt_server.access.members import GRANTEES
from crdt_server.access.policy import RoomRights, room_rights
from crdt_server.access.policy_access import PolicyAccess
from crdt_server.hub.hub import Hub
from crdt_server.hub.rights_cache import HeldMembers
from crdt_server.settings import Settings
from documents import derived
from documents.derived.emergencies import MOST_RAISED
from documents.rows import RowsByRoot
from storage import (
    GrantChange,
    MemberChange,
    NewAuditEntry,
    NewEvent,
    PolicyOverride,
    StoredGrant,
    StoredMember,
    open_storage,
)
from tests.access.people import TokenClaims
from tests.access.roles import TABLE
from tests.cluster.conftest import until
from tests.hub.derived import Reader
from tests.rooms.person import Person
from tests.stateful.rights_tables import (
    AUDIENCES,
    DAY,
    DOCUMENTS,
    FIRST,
    OVERRIDES,
    OWN_ACKNOWLEDGEMENT,
    PLACES,
    POSITION,
    ROLES,
    ROWS,
    VALUES,
    VENDORS,
    WHOLE,
    WRITABLE,
    Place,
    Role,
    shown,
    trace,
)
from tests.support.databases import new_database
from tests.support.effort import examples
from tests.support.hosts import make_hub

PATIENCE = 60  # seconds that a copy is waited for
MOST_KEYS = 40  # of a row that is written into, well below the limit
USERS = ("u_0", "u_1", "u_2", "u_3")
ENTRY = NewAuditEntry("2026-06-20T13:30:00Z", "u_ada", "test", "{}")


class Phone(Reader):
    """A copy of one document that outlives its connections, and the words written in it that have not arrived."""

    def __init__(self, hub: Hub, document: str, client_id: int, user: str, rights: RoomRights) -> None:
        self.user, self.rights = user, rights
        self.offline: list[tuple[Place, str]] = []
        super().__init__(hub, document, client_id)

    def enter(self) -> None:
        self.frames += self.socket.arrived if hasattr(self, "socket") else []
        self.identity = self.rights.identity
        Person.enter(self)
        self.session.authenticated = Authenticated(self.identity, None, by_members=True)
        self.session.reads_only = self.rights.reads_only
        self.here = True

    def leave(self) -> None:
        super().leave()
        self.here = False


class RightsMachine(RuleBasedStateMachine):
    """See the head of the file."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.databases = ExitStack()
        self.phones: dict[tuple[str, str], Phone] = {}

    @initialize()
    def begin(self) -> None:
        self.ids = itertools.count(100)
        self.roles: dict[str, Role | None] = {}
        self.overrides: dict[tuple[str, str], str] = {}
        self.grants: dict[tuple[str, str], StoredGrant] = {}
        self.forbidden: set[str] = set()
        self.authors: defaultdict[str, set[str]] = defaultdict(set)  # of each document
        self.raised: Counter[str] = Counter()  # emergencies of each user
        self.do(self._begin())

    async def _begin(self) -> None:
        directory = self.databases.enter_context(tempfile.TemporaryDirectory())
        self.storage = await open_storage(self.databases.enter_context(new_database(Path(directory))), migrate=True)
        await self._start()
        for number, (document, roots) in enumerate(ROWS.items()):
            couple = Reader(self.hub, document, 10 + number)
            await couple.is_synced()
            for root, records in roots.items():
                for record, fields in records.items():
                    couple.add(root, record, fields)
            await couple.until(lambda _: True)
            couple.leave()
        for user, role in zip(USERS, FIRST, strict=True):
            await self._set_role(user, role)
            await self._connect_everywhere(user)

    async def _start(self) -> None:
        self.hub = make_hub(Settings(dev=True, document_hosts=1, max_strikes=0, role_limits="none"), self.storage)
        members = HeldMembers()
        members.cache = self.hub.rights.cache
        verify = lambda credentials, wedding: TokenClaims(credentials.query["user"])  # noqa: E731
        self.access = self.hub.rights.access = PolicyAccess(verify, members, find_derived=derived.find)
        await self.hub.start()

    def do(self, work: Coroutine[Any, Any, None]) -> None:
        self.runner.run(self._then_check(work))

    async def _then_check(self, work: Coroutine[Any, Any, None]) -> None:
        await work
        await self._check()

    def teardown(self) -> None:
        if hasattr(self, "hub"):
            self.runner.run(self.hub.stop())
            self.runner.run(self.storage.close())
        self.runner.close()
        self.databases.close()

    # -- what happens

    @rule(user=st.sampled_from(USERS))
    def connect(self, user: str) -> None:
        self.do(self._connect_everywhere(user))

    async def _connect_everywhere(self, user: str) -> None:
        for document in DOCUMENTS:
            await self._connect(user, document)

    async def _connect(self, user: str, document: str) -> None:
        phone = self.phones.get((user, document))
        if phone is not None and phone.here:
            return
        rights = await self._rights(user, document)
        assert (rights is not None) is self._may_read(user, document), (user, self.roles[user], document)
        if rights is None:
            return
        if phone is None:
            phone = self.phones[user, document] = Phone(self.hub, document, next(self.ids), user, rights)
        else:
            phone.hub, phone.rights = self.hub, rights
            phone.enter()
        if phone.offline:
            self.authors[document].add(user)
        for place, word in phone.offline:
            if not self._may_write(user, place):
                self.forbidden.add(trace(place, word))
        phone.offline.clear()
        synced = phone.synced
        await phone.until(lambda _, phone=phone: phone.synced > synced)  # type: ignore[misc]

    @precondition(lambda self: self.phones)
    @rule(number=st.integers(0, 1 << 20))
    def disconnect_or_return(self, number: int) -> None:
        phone = list(self.phones.values())[number % len(self.phones)]
        if phone.here:
            phone.leave()
        else:
            self.do(self._connect(phone.user, phone.document))

    @precondition(lambda self: self.phones)
    @rule(numbers=st.lists(st.integers(0, 1 << 20), min_size=1, max_size=6))
    def edit(self, numbers: list[int]) -> None:
        self.do(self._edit_some(numbers))

    async def _edit_some(self, numbers: list[int]) -> None:
        for number in numbers:
            known = [(user, place) for user, document in self.phones for place in PLACES if place.document == document]
            if known:
                await self._edit(*known[number % len(known)])

    async def _edit(self, user: str, place: Place) -> None:
        phone = self.phones.get((user, place.document))
        if phone is None or not self._is_there(phone, place):
            return
        if place.value == "emergency":
            self.raised[user] += 1
            if self.raised[user] > MOST_RAISED:
                return
        word = f"word{next(self.ids):06}"
        if not phone.here:
            phone.offline.append((place, word))
            send, phone.send = phone.send, lambda frame: None  # type: ignore[method-assign]
            self._write(phone, place, word)
            phone.send = send  # type: ignore[method-assign]
            return
        self.authors[place.document].add(user)
        self._write(phone, place, word)
        await phone.until(lambda _: True)
        may = self._may_write(user, place)
        sources = await self._sources()
        assert (trace(place, word) in str(sources)) is may, (user, self.roles[user], place)
        if not may:
            self.forbidden.add(trace(place, word))

    @staticmethod
    def _is_there(phone: Phone, place: Place) -> bool:
        if place.value in WHOLE:
            return True
        row = phone.rows[place.root].get(place.record)
        return row is not None and len(row) < MOST_KEYS

    @staticmethod
    def _write(phone: Phone, place: Place, word: str) -> None:
        value = VALUES[place.value](word, phone.user)
        if place.value.startswith("emergency"):
            phone.add(place.root, f"x_{word}", value)
        elif place.value in WHOLE:
            phone.put(place.root, place.record, value)
        else:
            phone.set(place.root, place.record, **{place.key.format(user=phone.user, word=word): value})

    @rule(user=st.sampled_from(USERS), role=st.sampled_from(ROLES))
    def change_role(self, user: str, role: Role) -> None:
        self.do(self._set_role(user, role))

    @rule(user=st.sampled_from(USERS))
    def remove(self, user: str) -> None:
        self.do(self._set_role(user, None))

    async def _set_role(self, user: str, role: Role | None) -> None:
        self.roles[user] = role
        at = datetime.now(UTC)
        member = StoredMember(user, *(role or ROLES[0]), "", "u_ada", at, at if role is None else None)
        await self.storage.change_member("w", user, lambda *_: MemberChange(member, ENTRY))
        if role is None:
            self.grants = {key: grant for key, grant in self.grants.items() if key[0] != user}
        await self._changed()

    @rule(user=st.sampled_from(USERS), document=st.sampled_from(tuple(ROWS)))
    def grant_or_end(self, user: str, document: str) -> None:
        if self.roles[user] is not None:
            self.do(self._grant(user, document))

    async def _grant(self, user: str, document: str) -> None:
        now = datetime.now(UTC)
        held = self.grants.pop((user, document), None)
        if held is None:
            grant = StoredGrant(f"g_{next(self.ids)}", user, document, "r", 1, now, "u", now, now + timedelta(days=1))
            self.grants[user, document] = grant
        else:
            grant = held._replace(ended_at=now, until=now)
        change = GrantChange(grant, ENTRY, NewEvent("grant.given", "2026-06-20T13:30:00Z", grant.id, "{}"))
        await self.storage.change_grant("w", grant.id, lambda _: change, 100)
        await self._changed()

    @rule(cell=st.sampled_from(OVERRIDES))
    def override_or_not(self, cell: tuple[str, str, str]) -> None:
        self.do(self._override(*cell))

    async def _override(self, role: str, category: str, rights: str) -> None:
        keep = (role, category) not in self.overrides
        if keep:
            self.overrides[role, category] = rights
        else:
            del self.overrides[role, category]
        override = PolicyOverride(role, category, rights, "u_ada", datetime.now(UTC))
        await self.storage.set_override("w", override, ENTRY, keep=keep)
        await self._changed()

    @precondition(lambda self: any(phone.here for phone in self.phones.values()))
    @rule()
    def restart(self) -> None:
        self.do(self._restart())

    async def _restart(self) -> None:
        for phone in self.phones.values():
            if phone.here:
                phone.leave()
        await self.hub.stop()
        await self._start()

    async def _changed(self) -> None:
        """Rights were changed: wait until everybody who is connected was decided about."""
        self.hub.rights.changed("w")
        for (user, document), phone in self.phones.items():
            if not phone.here:
                continue
            rights = await self._rights(user, document)
            assert (rights is not None) is self._may_read(user, document), (user, self.roles[user], document)
            if rights is None:
                await phone.socket.until(lambda phone=phone: phone.socket.closed is not None)  # type: ignore[misc]
                assert phone.socket.close_code in (4403, 4404)
                phone.leave()
            else:
                session = phone.session
                await until(lambda s=session, r=rights: (s.identity, s.reads_only) == r)  # type: ignore[misc]

    async def _rights(self, user: str, document: str) -> RoomRights | None:
        await self.hub.rights.cache.read("w")
        identified = self.access.identify(Credentials({"user": user}, {}), "w")
        found = identified if isinstance(identified, Denied | Authenticated) else await identified  # type: ignore[misc]
        if isinstance(found, Denied):
            return None
        assert isinstance(found, Authenticated)
        rights = room_rights(self.access, found.identity, "w", document)
        return None if isinstance(rights, Denied) else rights

    # -- what must hold

    def _letters(self, role: Role, document: str) -> str:
        name = document.partition("@")[0]
        return self.overrides.get((role.role, name), TABLE[role.role][POSITION[name]])

    def _may_read(self, user: str, document: str) -> bool:
        role = self.roles[user]
        if role is None:
            return False
        if document in AUDIENCES:
            return role in AUDIENCES[document]
        return self._letters(role, document) in ("R", "W") or (
            role.role in GRANTEES and (user, document) in self.grants
        )

    def _may_write(self, user: str, place: Place) -> bool:
        role = self.roles[user]
        if role is None or not self._may_read(user, place.document):
            return False
        if place.document in AUDIENCES:
            return place in WRITABLE
        if place.root == "emergencies":
            return self._may_write_of_the_day(role, place)
        limited = (role.role, place.document) == ("coordinator", "wedding")
        return self._letters(role, place.document) == "W" and not limited

    @staticmethod
    def _may_write_of_the_day(role: Role, place: Place) -> bool:
        if place.key == OWN_ACKNOWLEDGEMENT:
            return True
        if place.value == "emergency" and role.role in VENDORS:
            return True
        return TABLE[role.role][DAY] == "W" and not place.key.endswith("u_9")

    async def _sources(self) -> dict[str, RowsByRoot]:
        """The rows of all sources, as a newcomer is sent them: behind everything that was confirmed."""
        found = {}
        for document in ROWS:
            reader = Reader(self.hub, document, next(self.ids))
            await reader.is_synced()
            found[document] = reader.rows
            reader.leave()
        return found

    async def _check(self) -> None:
        sources = await self._sources()
        assert not [word for word in self.forbidden if word in str(sources)]
        for (user, document), phone in self.phones.items():
            if phone.here:
                sources = await self._shows(phone, document, sources)
                expected = shown(document, sources, self.authors[document])
                assert phone.rows == expected, (user, self.roles[user], document)

    async def _shows(self, phone: Phone, document: str, sources: dict[str, RowsByRoot]) -> dict[str, RowsByRoot]:
        """Wait until a phone shows what the sources hold. The rules may write in between: the sources of the end."""
        for _ in range(PATIENCE):
            expected = shown(document, sources, self.authors[document])
            with suppress(TimeoutError):
                await phone.until(lambda rows, expected=expected: rows == expected, 1)  # type: ignore[misc]
                return sources
            sources = await self._sources()
        return sources


RightsMachine.TestCase.settings = settings(
    max_examples=int(os.environ.get("RIGHTS_EXAMPLES", examples(60, 5))),
    stateful_step_count=int(os.environ.get("RIGHTS_STEPS", "25")),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # time is real: to make an example smaller takes long
    suppress_health_check=[HealthCheck.too_slow],
)
TestRights = RightsMachine.TestCase
