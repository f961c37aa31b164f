"""Rights that change while people are connected."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import NoReturn

import pytest

from crdt_server.access.identity import Authenticated, Identity
from crdt_server.errors import ForbiddenError
from crdt_server.hub.commands import read_rows
from crdt_server.hub.http_sync import sync
from crdt_server.hub.hub import Hub
from crdt_server.protocol.update import EMPTY_STATE_VECTOR
from crdt_server.rooms.room import Room
from storage import DocumentKey, GrantChange, NewAuditEntry, NewDevice, NewEvent, Storage, StoredGrant, StoredInvitation
from tests.rooms.person import Person
from tests.support.codec import encode_update
from tests.support.rights import GRANTED, READ, SECRET, MembersAccess, member_of, put_member
from tests.support.wire import Replica

REMOVED = (4403, "not a member of this wedding any more")
ENTRY = NewAuditEntry("2026-06-20T13:30:00Z", "u_aroha", "test", "{}")


@pytest.fixture
def hub(hub: Hub) -> Hub:
    hub.rights.access = MembersAccess()
    return hub


async def remove(hub: Hub, storage: Storage, user: str) -> None:
    await put_member(storage, user, "guest", removed=True)
    hub.rights.changed("w")


async def test_a_removed_member_is_closed_in_all_rooms_of_the_wedding_and_nowhere_else(
    hub: Hub, storage: Storage
) -> None:
    gone = [member_of(hub, document, 1) for document in ("notes.a", "notes.b")]
    other, elsewhere = member_of(hub, "notes.a", 2), member_of(hub, "notes.a", 1, wedding="w_2")
    await remove(hub, storage, "user-1")
    for person in gone:
        await person.socket.until(lambda person=person: person.socket.closed == REMOVED)
    gone[0].socket.flush()
    other.type("for members only")
    await other.sees("for members only")
    assert gone[0].socket.flush() == []
    gone[0].type("too late")
    other.type("!")
    await other.sees("for members only!")
    assert (other.socket.closed, elsewhere.socket.closed) == (None, None)
    gone[0].leave()  # the connection is gone later
    assert gone[0].session not in gone[0].room.members


class Unlisted(dict[tuple[str, str], Room]):
    """Rooms that are found by their name, and never looked through."""

    def __iter__(self) -> NoReturn:
        raise AssertionError("all open rooms were looked at")

    items = values = keys = __iter__  # type: ignore[assignment]


async def test_a_change_looks_at_no_room_of_another_wedding(hub: Hub, storage: Storage) -> None:
    gone, elsewhere = member_of(hub, "notes.a", 1), member_of(hub, "notes.a", 1, wedding="w_2")
    hub.registry.rooms = Unlisted(hub.registry.rooms)
    await remove(hub, storage, "user-1")
    await gone.socket.until(lambda: gone.socket.closed == REMOVED)
    assert elsewhere.socket.closed is None
    hub.registry.rooms = dict(dict.items(hub.registry.rooms))


async def test_rooms_are_found_by_wedding_while_they_are_open(hub: Hub) -> None:
    people = [member_of(hub, document, 1, wedding=w) for w in ("w", "w_2") for document in ("notes.a", "notes.b")]
    registry = hub.registry
    assert registry.rooms_of("w") == [each.room for each in people[:2]]
    hub.fail(people[0].room)
    assert registry.rooms_of("w") == [people[1].room]
    again = member_of(hub, "notes.a", 1)
    assert registry.rooms_of("w") == [people[1].room, again.room]
    for person in (people[1], again):
        registry.end(person.room, 1001, "idle")
    assert (set(registry.weddings), registry.rooms_of("w")) == ({"w_2"}, [])


async def test_what_waits_of_a_member_that_was_removed_is_dropped(hub: Hub, storage: Storage) -> None:
    late, other = member_of(hub, "notes.a", 1), member_of(hub, "notes.a", 2)
    await other.sees("")
    await put_member(storage, "user-1", "guest", removed=True)
    await hub.rights.cache.read("w")
    for text in ("small", "large" * 10_000):
        late = member_of(hub, "notes.a", 1)
        late.type(text)
        if len(text) < 100:  # the check of a large one is followed by the decision
            assert not hub.rights.may_stay(late.room, late.session)
        await late.socket.until(lambda late=late: late.socket.closed == REMOVED)
    other.type("!")
    await other.sees("!")


async def test_another_role_is_that_of_later_edits_and_may_cost_a_room(hub: Hub, storage: Storage) -> None:
    notes, secret, read = (member_of(hub, document, 1) for document in ("notes.a", SECRET, READ))
    by_token = Person(hub, "notes.a", 1)
    await put_member(storage, "user-1", "guest")
    hub.rights.changed("w")
    await secret.socket.until(lambda: secret.socket.closed == (4403, "not for guests"))
    assert notes.session.identity == Identity("user-1", "guest")
    assert by_token.session.identity == Identity("user-1", "couple")
    assert (notes.socket.closed, read.socket.closed) == (None, None)
    assert (notes.session.reads_only, read.session.reads_only) == (False, True)


async def test_the_store_is_compared_where_nobody_reports_a_change(hub: Hub, storage: Storage) -> None:
    person = member_of(hub, "notes.a", 1)
    await put_member(storage, "user-1", "guest", removed=True)
    await hub.rights.poll()
    await person.socket.until(lambda: person.socket.closed == REMOVED)


async def test_rights_that_are_held_are_read_again_after_a_change(hub: Hub, storage: Storage) -> None:
    await put_member(storage, "user-1", "guest")
    rights = hub.rights.cache
    first = await rights.read("w")
    assert rights.of("w") is first
    await put_member(storage, "user-2", "guest")
    assert rights.of("w") is first
    await hub.rights.poll()
    again = rights.of("w")
    assert (await again if not hasattr(again, "version") else again).version == 2


async def test_a_revoked_device_is_closed_and_another_of_the_person_stays(hub: Hub, storage: Storage) -> None:
    now = datetime.now(UTC)
    later, earlier = now + timedelta(days=1), now - timedelta(days=1)
    invitation = StoredInvitation("i_1", "user-1", "couple", "", "", "", "", "u", now, later)
    await storage.invite("w", "code", invitation, 10, ENTRY)
    await storage.accept("code", NewDevice("d_1", "", "token"), lambda *_: ENTRY, now, earlier)
    stolen, other = (member_of(hub, "notes.a", 1, device=device) for device in ("d_1", "d_2"))
    await storage.revoke_device("w", "d_1", lambda *_: ENTRY, now)
    hub.rights.changed("w")
    await stolen.socket.until(lambda: stolen.socket.closed == (4403, "this device was revoked"))
    assert other.socket.closed is None


async def test_a_grant_ends_by_itself_on_the_open_socket(hub: Hub, storage: Storage) -> None:
    now = datetime.now(UTC)
    ends = now + timedelta(seconds=0.5)
    grant = StoredGrant("g_1", "user-1", GRANTED, "r", 1, now, "u", now, ends)
    change = GrantChange(grant, ENTRY, NewEvent("grant.given", "2026-06-20T13:30:00Z", "g_1", "{}"))
    await storage.change_grant("w", "g_1", lambda _: change, 10)
    person, other = member_of(hub, GRANTED, 1), member_of(hub, GRANTED, 2)
    hub.rights.changed("w")
    await other.socket.until(lambda: other.socket.closed == (4403, "no grant"))
    assert person.socket.closed is None or datetime.now(UTC) >= ends  # the machine may be that slow
    await person.socket.until(lambda: person.socket.closed == (4403, "no grant"))


async def test_a_grant_holds_while_rights_are_read_again(hub: Hub, storage: Storage) -> None:
    now = datetime.now(UTC)
    grant = StoredGrant("gr_1", "user-1", GRANTED, "the bus", 60, now, "u_aroha", now, now + timedelta(seconds=60))
    await storage.change_grant("w", "gr_1", lambda _: GrantChange(grant, ENTRY, NewEvent("x", "", "", "{}")), 9, 9)
    cache = hub.rights.cache
    await cache.read("w")
    cache.forget("w")  # somebody else's role has changed
    assert cache.granted("w", "user-1", GRANTED)
    ended = grant._replace(ended_at=now)
    await storage.change_grant("w", "gr_1", lambda _: GrantChange(ended, ENTRY, NewEvent("x", "", "", "{}")), 9, 9)
    await cache.read("w")
    assert not cache.granted("w", "user-1", GRANTED)


async def test_a_stream_is_not_admitted_any_more(hub: Hub, storage: Storage) -> None:
    gone, other = (
        hub.rights.streams.hold("w", Authenticated(Identity(user, "couple"), None, by_members=True))
        for user in ("user-1", "user-2")
    )
    with hub.events.listen("w") as listener:
        await remove(hub, storage, "user-1")
        assert await listener.wait(60)
    assert (gone.admitted, other.admitted) == (False, True)
    hub.rights.streams.release(gone)
    hub.rights.streams.release(other)
    assert not hub.rights.streams.weddings


async def test_a_request_of_a_removed_member_fails(hub: Hub, storage: Storage) -> None:
    await put_member(storage, "user-1", "couple", removed=True)
    await hub.rights.cache.read("w")
    access, hub.rights.access = hub.rights.access, None  # the request comes before it is known
    room = hub.open("w", "guests")
    key = DocumentKey("w", "guests")
    reading = asyncio.ensure_future(read_rows(hub, key, Identity("user-1", "couple"), "192.0.2.1"))
    await asyncio.sleep(0)  # it has entered the room, and waits
    hub.rights.access = access
    assert not hub.rights.may_stay(room, next(iter(room.members)))
    with pytest.raises(ForbiddenError):
        await reading


async def test_a_request_that_comes_once_its_sender_is_removed_fails(hub: Hub, storage: Storage) -> None:
    await put_member(storage, "user-1", "couple", removed=True)
    await hub.rights.cache.read("w")
    key, sender = DocumentKey("w", "guests"), Identity("user-1", "couple")
    with pytest.raises(ForbiddenError):
        await read_rows(hub, key, sender, "192.0.2.1")
    with pytest.raises(ForbiddenError):
        await sync(hub, key, sender, "192.0.2.1", EMPTY_STATE_VECTOR, None)


async def test_what_waits_of_a_member_who_only_reads_by_now_is_undone(hub: Hub, storage: Storage) -> None:
    other = member_of(hub, READ, 2)
    other.type("first ")
    await other.sees("first ")
    await put_member(storage, "user-1", "guest")
    await hub.rights.cache.read("w")
    for text in ("small", "large" * 10_000):
        late = member_of(hub, READ, 1)
        late.type(text)
        if len(text) < 100:  # the check of a large one is followed by the decision
            assert hub.rights.may_stay(late.room, late.session)
        other.type("!")
        await late.refused()
        assert "may only read" in late.denied[0]
        late.leave()
    await other.sees("first !!")
    assert not any(b"small" in update or b"large" in update for update in other.received)


async def test_a_request_that_waits_is_decided_about_by_the_newest_role(hub: Hub, storage: Storage) -> None:
    await put_member(storage, "user-1", "guest")
    await hub.rights.cache.read("w")
    room, other = hub.open("w", READ), member_of(hub, READ, 2)
    proof = Authenticated(Identity("user-1", "couple"), by_members=True)
    update = Replica(7).type("too late")
    writing = asyncio.ensure_future(sync(hub, DocumentKey("w", READ), proof, "192.0.2.1", EMPTY_STATE_VECTOR, update))
    await asyncio.sleep(0)  # it is in the room, and nothing was taken of it
    (session,) = [each for each in room.members if each is not other.session]
    assert hub.rights.may_stay(room, session)
    with pytest.raises(ForbiddenError):
        await writing
    other.type("!")
    await other.sees("!")


async def test_nothing_changes_without_an_access_that_decides_again(hub: Hub, storage: Storage) -> None:
    hub.rights.access = None
    person = member_of(hub, "notes.a", 1)
    await remove(hub, storage, "user-1")
    await hub.rights.poll()
    person.send(encode_update(person.replica.type("still here")))
    await person.sees("still here")


async def test_changes_of_weddings_that_nobody_reads_take_no_memory(hub: Hub) -> None:
    for number in range(100):
        hub.rights.cache.forget(f"w_{number}")
    await hub.rights.cache.read("w")
    assert not hub.rights.cache._changes
