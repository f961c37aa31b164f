"""The rows about people who are connected: when they are written, how often, and what is in them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from crdt_server.access.identity import Identity
from crdt_server.counters import Counters
from crdt_server.hub import connected_people
from crdt_server.hub.connected_people import DETAIL_BYTES, ConnectedPeople
from crdt_server.hub.last_seen import PresenceStatus, current_rows, people_of
from crdt_server.hub.request_session import RequestConnection, RequestSession
from crdt_server.rooms.inbox import RoomLimits
from crdt_server.rooms.room import Room
from crdt_server.rooms.session import Session, SessionId
from storage import LastSeen, Storage, open_storage
from tests.support.databases import sqlite_database
from tests.support.room_events import RecordingRoomEvents
from tests.support.sockets import HandSocket

START = datetime(2026, 6, 20, 12, 0, tzinfo=UTC)


class Venue:
    """Rooms, the people in them, and a clock that the test moves."""

    url: str

    def __init__(self, storage: Storage, node: str = "n_1") -> None:
        self.now = 1000.0
        self.storage = storage
        self.counters = Counters()
        self.people = self.start(node)

    def start(self, node: str) -> ConnectedPeople:
        return ConnectedPeople(self.storage, node, self.counters, lambda: self.now, self.moment)

    def moment(self) -> datetime:
        return START + timedelta(seconds=self.now - 1000)

    def join(self, user: str, document: str = "timeline", *, wedding: str = "w") -> tuple[Room, Session]:
        room = Room(1, wedding, document, RoomLimits(), self.counters, RecordingRoomEvents())
        session = Session(SessionId(1), HandSocket(), Identity(user, "guest", rights="-" * 9, name=user.upper()))
        self.people.join(room, session)
        return room, session

    def show(self, session: Session, **state: Any) -> None:
        session.awareness_text, session.awareness_changed = json.dumps(state), self.now

    async def written(self) -> int:
        """How many rows a flush writes."""
        before = self.counters.last_seen_rows
        await self.people.flush()
        return self.counters.last_seen_rows - before

    async def rows(self) -> list[LastSeen]:
        return await self.storage.last_seen("w")

    async def status(self, *, live: bool = False) -> dict[str, str]:
        """As any other node answers."""
        return {each.user: each.status.value for each in people_of(await self.rows(), self.moment(), live=live)}


@pytest.fixture
async def venue(tmp_path: Path) -> AsyncIterator[Venue]:
    url = sqlite_database(tmp_path)
    made = Venue(await open_storage(url, migrate=True))
    made.url = url
    yield made
    await made.storage.close()


async def test_a_row_is_written_when_somebody_comes_and_once_a_minute(venue: Venue) -> None:
    _, session = venue.join("u_a")
    assert await venue.rows() == [], "not in the way of the socket"
    assert [await venue.written() for _ in range(3)] == [1, 0, 0]
    venue.now += 0.5
    venue.show(session, section="a")
    assert [await venue.written() for _ in range(3)] == [1, 0, 0], "the first state comes behind the socket"
    venue.now += 0.5
    counts = []
    for _ in range(600):
        venue.now += 1
        if venue.now % 7 == 0:
            venue.show(session, cursor=venue.now)
        counts.append(await venue.written())
    assert sum(counts) == 10
    (row,) = await venue.rows()
    changed = timedelta(seconds=venue.now % 7)
    moments = venue.moment(), venue.moment() - changed
    assert row._replace(documents="") == LastSeen("w", "u_a", "n_1", "guest", "U_A", *moments, True, "")
    assert json.loads(row.documents) == {"timeline": {"cursor": venue.now - changed.seconds}}


async def test_documents_are_those_with_a_socket(venue: Venue) -> None:
    first = venue.join("u_a", "timeline")
    second = venue.join("u_a", "guests")
    venue.show(second[1], section="a", user={"name": "A"})
    assert await venue.written() == 1
    assert json.loads((await venue.rows())[0].documents) == {"timeline": {}, "guests": {"section": "a"}}
    venue.people.leave(*first)
    assert await venue.written() == 1
    assert json.loads((await venue.rows())[0].documents) == {"guests": {"section": "a"}}
    venue.now += 10
    venue.people.leave(*second)
    venue.now += 5
    assert await venue.written() == 1
    (row,) = await venue.rows()
    assert json.loads(row.documents) == {"timeline": None, "guests": None}
    assert (row.connected, row.at) == (False, venue.moment() - timedelta(seconds=5))
    venue.now += 3600
    assert await venue.written() == 0
    assert await venue.people.rows("w") == []


async def test_away_and_offline(venue: Venue) -> None:
    place, session = venue.join("u_a")
    venue.show(session, section="a")
    statuses = {}
    for second in range(0, 420):
        await venue.people.flush()
        statuses[second] = (await venue.status())["u_a"], (await venue.status(live=True))["u_a"]
        venue.now += 1
    assert [second for second in statuses if statuses[second][0] == "away"] == list(range(300, 420))
    assert [second for second in statuses if statuses[second][1] == "away"] == list(range(120, 420))
    venue.show(session, section="b")
    assert await venue.written() == 1, "back: the other nodes need not wait for a minute"
    assert await venue.status() == {"u_a": "active"}
    venue.people.leave(place, session)
    assert await venue.written() == 1
    venue.now += 29
    assert await venue.status() == {"u_a": "active"}
    venue.now += 1
    assert await venue.status() == {"u_a": "offline"}


async def test_whoever_comes_back_within_the_grace_was_there_all_the_time(venue: Venue) -> None:
    for _ in range(5):
        place = venue.join("u_a")
        await venue.people.flush()
        venue.now += 20
        venue.people.leave(*place)
        await venue.people.flush()
        venue.now += 20
        assert await venue.status() == {"u_a": "active"}
    venue.join("u_a")
    assert len(await venue.people.rows("w")) == 1


async def test_a_node_that_dies_leaves_nobody_there(venue: Venue) -> None:
    venue.join("u_a")
    await venue.people.flush()
    venue.now += 89
    assert await venue.status() == {"u_a": "active"}
    venue.now += 1
    assert await venue.status() == {"u_a": "offline"}
    (person,) = people_of(await venue.rows(), venue.moment(), live=False)
    assert person.last_seen == START
    rows = current_rows(await venue.rows(), await venue.start("n_1").rows("w"), "n_1")
    assert [row.connected for row in rows] == [False], "after a restart nobody is connected yet"


async def test_somebody_at_two_nodes(venue: Venue) -> None:
    there = venue.people
    venue.join("u_a", "guests")
    await venue.people.flush()
    venue.people = venue.start("n_2")
    place = venue.join("u_a", "timeline")
    venue.now += 1
    await venue.people.flush()
    (person,) = people_of(await venue.rows(), venue.moment(), live=False)
    assert sorted(person.documents) == ["guests", "timeline"]
    venue.people.leave(*place)
    await venue.people.flush()
    venue.now += 50
    (person,) = people_of(await venue.rows(), venue.moment(), live=False)
    assert (person.status, sorted(person.documents)) == (PresenceStatus.ACTIVE, ["guests"])
    venue.now += 10
    await there.flush()
    venue.join("u_b")
    await venue.people.flush()
    assert [(row.user, row.node) for row in await venue.rows()] == [("u_a", "n_1"), ("u_b", "n_2")]


async def test_requests_over_http_count_for_nobody(venue: Venue) -> None:
    room, _ = venue.join("u_a")
    session = RequestSession(SessionId(2), RequestConnection("192.0.2.1"), Identity("u_b", "guest"))
    venue.people.join(room, session)
    venue.people.leave(room, session)
    assert await venue.written() == 1


async def test_a_row_is_bounded_in_bytes(venue: Venue) -> None:
    for n in range(100):
        _, session = venue.join("u_a", f"notes.{'n' * 80}{n}")
        venue.show(session, text="x" * 1000)
        venue.now += 1
    await venue.people.flush()
    (row,) = await venue.rows()
    documents = json.loads(row.documents)
    assert len(row.documents) < DETAIL_BYTES + 1000
    assert [bool(fields) for fields in documents.values()] == [True] * 3 + [False] * (len(documents) - 3)
    assert next(iter(documents)).endswith("n99")


async def test_a_flush_writes_so_many_and_the_others_are_next(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connected_people, "ROWS_AT_ONCE", 10)
    for n in range(25):
        venue.join(f"u_{n}")
    assert [await venue.written() for _ in range(4)] == [10, 10, 5, 0]


async def test_while_the_store_fails_people_wait_within_a_bound(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connected_people, "MOST_GONE", 3)
    venue.join("u_here")
    for n in range(8):
        venue.people.leave(*venue.join(f"u_{n}"))
    await venue.storage.close()
    assert await venue.written() == 0
    assert len(await venue.people.rows("w")) == 4
    venue.storage = venue.people._storage = await open_storage(venue.url)
    assert await venue.written() == 4
    assert [row.user for row in await venue.rows()] == ["u_5", "u_6", "u_7", "u_here"]


async def test_a_node_that_stops_says_so_of_everybody(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connected_people, "ROWS_AT_ONCE", 2)
    places = [venue.join(f"u_{n}") for n in range(5)]
    await venue.people.flush()
    await venue.people.close()
    assert [row.connected for row in await venue.rows()] == [False] * 5
    for place in places:
        venue.people.leave(*place)
    assert await venue.written() == 0
