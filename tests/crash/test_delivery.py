"""kill -9 while messages are delivered: each arrives, under one id, and the urgent ones come first. In the soak events
are routed meanwhile, each into an inbox once."""

from __future__ import annotations

import asyncio
import faulthandler
import json
import os
import random
import sys
import time
from bisect import bisect
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from sqlalchemy import insert, select

from crdt_server.services.messaging.lanes import LANES, URGENT_LANES
from crdt_server.services.messaging.model import Channel
from storage import (
    DerivedRecords,
    DocumentKey,
    NewEvent,
    NewMessage,
    Storage,
    StorageUnavailable,
    migrate,
    open_storage,
)
from storage.messaging_tables import contacts, outbox
from storage.outbox import SENT, key_of
from tests.support.cluster import NODES, ClusterProcess
from tests.support.postgres import PostgresServer
from tests.support.rights import put_member
from tests.support.server import ServerProcess
from tests.support.sink import Arrived, Sink, run_sink

WEDDING = "w"
PROGRAM = ("tests.support.delivering",)
ENVIRONMENT = {"CRDT_SERVER_DELIVERY_LEASE_SECONDS": "5", "CRDT_SERVER_DOCUMENT_HOSTS": "1"}
PLACES = LANES[Channel.MAIL] + URGENT_LANES
SECONDS = 120.0
KILLS = 2
ROUNDS, PER_ROUND, EVENTS_PER_ROUND = int(os.environ.get("DELIVERY_KILLS", "50")), 200, 40
SOAK_SECONDS = 300 + 30 * ROUNDS
"""In place of the limit for a single test: a round takes about six seconds, most of which a node needs to start."""

READER = "u_ben"
"""A member of the couple, with an inbox and no address."""


class Mail:
    """Messages to people whose addresses lead to a sink; event number -> priority is kept."""

    def __init__(self, storage: Storage, sink: Sink, people: int) -> None:
        self.storage = storage
        self.sink = sink
        self.priorities: dict[int, int] = {}
        self.posted: dict[int, float] = {}
        """Event number -> when it was in the store, in seconds since 1970."""
        self._users = [f"u_{n}" for n in range(people)]

    async def addresses(self) -> None:
        """Everybody has one."""
        at = datetime.now(UTC)
        row = {"wedding": WEDDING, "channel": "mail", "id": "c_1", "secret": "", "at": at, "confirmed_at": at}
        rows = [row | {"user": user, "address": self.sink.url + "/ok"} for user in self._users]
        await self.storage._executor.write(lambda connection: connection.execute(insert(contacts), rows))

    async def post(self, count: int, priority: Callable[[int], int]) -> None:
        """So many further messages wait."""
        now, first = datetime.now(UTC), len(self.priorities) + 1
        messages = []
        for event in range(first, first + count):
            user, self.priorities[event] = self._users[event % len(self._users)], priority(event)
            params = json.dumps({"text": f"message {event}"})
            key = key_of(WEDDING, event, user, "mail")
            messages.append(
                NewMessage(key, WEDDING, user, "mail", event, "t", self.priorities[event], "", "", params, now)
            )
        await self.storage.enqueue(messages)
        self.posted |= dict.fromkeys(range(first, first + count), time.time())

    async def all_sent(self) -> None:
        """Wait until the store has all of them as sent."""
        async with asyncio.timeout(SECONDS):
            while not await self._is_sent():  # noqa: ASYNC110 - no event reports it
                await asyncio.sleep(0.2)

    async def _is_sent(self) -> bool:
        try:
            counts, _ = await self.storage.message_counts(WEDDING)
        except StorageUnavailable:
            return False
        return [tuple(each) for each in counts] == [("mail", SENT, len(self.priorities))]

    def check(self, kills: int) -> None:
        """Everything arrived under one id; what was not held by a node that was killed came in its order."""
        arrived = self.sink.arrived
        ids: dict[int, set[str]] = {}
        for each in arrived:
            ids.setdefault(_event(each), set()).add(each.id)
        assert set(ids) == set(self.priorities), "nothing is lost"
        assert {len(of_event) for of_event in ids.values()} == {1}, "nothing under two ids"
        assert len(set.union(*ids.values())) == len(ids)
        again = len(arrived) - len(ids)
        print(f"{kills} kills, {len(ids)} messages, {again} were sent again")
        assert again <= kills * PLACES


def _event(arrived: Arrived) -> int:
    return int(arrived.body["notices"][0]["event"])


async def began(sink: Sink, count: int) -> None:
    """Wait until the sink has seen so many requests."""
    async with httpx.AsyncClient(trust_env=False, timeout=SECONDS) as http:
        await http.get(f"{sink.url}/began?n={count}")


def overtaken(arrived: Sequence[Arrived], priorities: dict[int, int]) -> list[int]:
    """The messages that came, for the first time, behind more less urgent ones than are under way at a time."""
    late, before = [], [0] * 5
    seen: set[int] = set()
    for each in arrived:
        event = _event(each)
        if event in seen:
            continue
        seen.add(event)
        if sum(before[priorities[event] + 1 :]) > PLACES:
            late.append(event)
        before[priorities[event]] += 1
    return late


def late_emergencies(mail: Mail) -> list[int]:
    """The emergencies behind which, since they were there, more less urgent messages came than three nodes have under
    way. Messages that come again do not count."""
    first: dict[int, float] = {}
    for each in mail.sink.arrived:
        first.setdefault(_event(each), each.at)
    less_urgent = sorted(at for event, at in first.items() if mail.priorities[event])
    return [
        event
        for event, priority in mail.priorities.items()
        if not priority and bisect(less_urgent, first[event]) - bisect(less_urgent, mail.posted[event]) > NODES * PLACES
    ]


async def attempts(storage: Storage) -> dict[int, int]:
    """Event number -> how often its message was begun."""
    query = select(outbox.c.event, outbox.c.attempts)
    found = await storage._executor.read(lambda connection: connection.execute(query).all())
    return {row.event: row.attempts for row in found}


class Bookings:
    """Events that concern `READER`, each about a record of its own."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._count = 0

    async def post(self, count: int) -> None:
        """So many further events are stored."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        body = {"root": "vendors", "priority": 2, "actor": {"user": "server", "role": "server"}, "fields": ["stage"]}
        body |= {"before": {"stage": "quoted"}, "after": {"stage": "booked"}}
        numbers = range(self._count, self._count + count)
        events = [NewEvent("vendor.booked", at, f"v_{number}", json.dumps(body)) for number in numbers]
        self._count += count
        await self._storage.append([], [DerivedRecords(DocumentKey(WEDDING, "wedding"), events=events)])

    async def all_there(self) -> None:
        """Wait until the inbox has an item for each, and no more."""
        found: list[str] = []
        async with asyncio.timeout(SECONDS):
            while len(found) < self._count:
                await asyncio.sleep(0.2)
                found, after = [], 0
                while page := await self._storage.inbox(WEDDING, READER, after=after, limit=500):
                    found += [each.record for each in page]
                    after = page[-1].id
        assert sorted(found) == sorted(f"v_{number}" for number in range(self._count)), "each once"


@pytest.mark.slow
async def test_kill_9_of_a_node_that_delivers(tmp_path: Path) -> None:
    chance = random.Random(1)
    node = ServerProcess(tmp_path, env=ENVIRONMENT, program=PROGRAM)
    with run_sink(tmp_path) as sink:
        try:
            await migrate(node.database_url)
            storage = await open_storage(node.database_url)
            mail = Mail(storage, sink, people=100)
            await mail.addresses()
            await mail.post(300, lambda _: chance.randrange(5))
            for _ in range(KILLS):
                await asyncio.to_thread(node.start)
                await began(sink, len(sink.arrived) + chance.randint(5, 70))
                node.kill9()
            await asyncio.to_thread(node.start)
            await mail.all_sent()
            mail.check(KILLS)
            late = overtaken(sink.arrived, mail.priorities)
            assert len(late) <= KILLS * PLACES, "only what a killed node held comes later"
            await storage.close()
        finally:
            node.close()


@pytest.mark.soak
async def test_50_kills_of_nodes_and_the_database(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    faulthandler.dump_traceback_later(SOAK_SECONDS, exit=True, file=sys.__stderr__)
    chance, begun = random.Random(1), time.monotonic()
    postgres = PostgresServer(fsync=True)
    postgres.start()
    try:
        with run_sink(tmp_path) as sink:
            cluster = ClusterProcess(tmp_path, env=ENVIRONMENT, postgres=postgres, program=PROGRAM)
            try:
                await migrate(cluster.database_url)
                storage = await open_storage(cluster.database_url)
                await put_member(storage, READER, "couple", wedding=WEDDING)
                mail, bookings = Mail(storage, sink, people=500), Bookings(storage)
                await mail.addresses()
                await asyncio.to_thread(cluster.start)
                for number in range(ROUNDS):
                    # Each round has its emergencies last: they come before what still waits.
                    await mail.post(PER_ROUND, lambda event: 0 if event % PER_ROUND > 190 else chance.randint(1, 4))
                    await bookings.post(EVENTS_PER_ROUND)
                    arrived = len(sink.arrived)
                    with capfd.disabled():
                        print(f"{time.monotonic() - begun:.0f} s: {number} of {ROUNDS} kills, {arrived} arrived")
                    await began(sink, arrived + chance.randint(1, 150))
                    await _kill(cluster, None if number % 10 == 9 else chance.randrange(NODES), postgres)
                await mail.all_sent()
                await bookings.all_there()
                mail.check(ROUNDS)
                often = await attempts(storage)
                late = [event for event in late_emergencies(mail) if often[event] == 1]
                assert late == [], "only emergencies that a killed node held come later"
                await storage.close()
            finally:
                cluster.close()
    finally:
        postgres.close()
        faulthandler.cancel_dump_traceback_later()


async def _kill(cluster: ClusterProcess, node: int | None, postgres: PostgresServer) -> None:
    """A node, or the database; and start it again."""
    if node is None:
        await asyncio.to_thread(postgres.kill)
        await asyncio.to_thread(postgres.start)
        return
    await asyncio.to_thread(cluster.nodes[node].kill9)
    await asyncio.to_thread(cluster.nodes[node].start)
