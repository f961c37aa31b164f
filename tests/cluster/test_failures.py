"""One failure at a time, under people who write: real nodes, a real PostgreSQL and a real Redis."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest
import pytest_asyncio
from websockets.asyncio.client import connect

from crdt_server.protocol.messages import AwarenessUpdate
from crdt_server.rooms.awareness_states import read_states, write_states
from storage import DocumentKey, Storage, open_storage
from tests.cluster.conftest import logged
from tests.cluster.crowd import NOTES, Roamer
from tests.cluster.field import Field
from tests.support.codec import decode_messages, encode_awareness

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

SECONDS = 60.0
TRY_AGAIN = 1013
STATE = '{"name":"ann"}'

_numbers = itertools.count(1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def field(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Field]:
    async with Field(tmp_path_factory.mktemp("field")) as field:
        yield field


class People:
    """One writer at each of several nodes, in a wedding of their own that the first node owns."""

    def __init__(self, field: Field, storage: Storage, clients: Sequence[Roamer]) -> None:
        self.field = field
        self.clients = list(clients)
        self.key = clients[0].key
        self._storage = storage

    async def write(self) -> None:
        """Everybody writes, and everything comes back."""
        for client in self.clients:
            await client.write()
        await self.saved()

    async def saved(self) -> None:
        await asyncio.gather(*(client.until(lambda c=client: c.saved, SECONDS) for client in self.clients))  # type: ignore[misc]

    async def sent_away(self, *clients: Roamer) -> None:
        """Wait until these have been told to try again."""
        await asyncio.gather(*(c.until(lambda c=c: TRY_AGAIN in c.closes, SECONDS) for c in clients))  # type: ignore[misc]

    async def stored(self) -> list[str]:
        reader = Roamer([0], self.key, "reader", 0)
        for row in (await self._storage.load(self.key)).updates:
            reader.received.apply_update(row.update)
        return reader.tokens(reader.received)

    async def owner(self) -> int:
        """The number of the node that the logs say has taken the wedding last."""
        node = self.field.owner(self.key.wedding)
        assert node is not None
        return node.number

    async def agree(self) -> None:
        """Wait until everybody has everything, and compare with the store and the logs."""
        await self.saved()
        everything = set().union(*(client.own for client in self.clients))
        for client in self.clients:
            await client.until(lambda c=client: set(c.tokens(c.received)) == everything, SECONDS)  # type: ignore[misc]
        stored = await self.stored()
        for client in self.clients:
            assert client.tokens() == client.tokens(client.received) == stored
        assert self.field.broken() == []


@asynccontextmanager
async def people(field: Field, *nodes: Sequence[int]) -> AsyncIterator[People]:
    """A person for each: the nodes they go to, in turn."""
    key = DocumentKey(f"failure{next(_numbers)}", NOTES)
    clients = [
        Roamer([field.nodes[number].port for number in numbers], key, f"p{place}", 1)
        for place, numbers in enumerate(nodes)
    ]
    async with AsyncExitStack() as stack:
        storage = await open_storage(field.database_url)
        stack.push_async_callback(storage.close)
        for client in clients:
            await stack.enter_async_context(client)
            await client.until(lambda c=client: c.synced, SECONDS)  # type: ignore[misc]
        here = People(field, storage, clients)
        await here.write()
        assert await here.owner() == nodes[0][0]
        yield here
        await here.agree()


async def ready(field: Field, number: int) -> tuple[int, str]:
    """What a node's probe says: the HTTP status, and the status in words."""
    async with httpx.AsyncClient(timeout=10) as http:
        answer = await http.get(f"{field.nodes[number].url}/readyz")
    said = answer.json()
    return answer.status_code, said.get("status") if answer.status_code == 200 else said.get("code", "")


async def until_ready(field: Field, number: int, status: str = "ready") -> None:
    async with asyncio.timeout(SECONDS):
        while (await ready(field, number))[1] != status:  # noqa: ASYNC110 - no event reports it
            await asyncio.sleep(0.05)


async def test_kill_9_of_the_owner(field: Field) -> None:
    async with people(field, [0, 1], [1], [2]) as here:
        field.nodes[0].kill9()
        begin = time.monotonic()
        _, there, _ = here.clients
        await there.write()
        await there.until(lambda: there.saved, SECONDS)
        print(f"writes stood still for {time.monotonic() - begin:.2f} s")
        assert there.closes == []
        assert await here.owner() != 0
        await here.write()
        await field.nodes[0].begin()


async def test_a_stopped_owner_that_wakes_up_writes_nothing(field: Field) -> None:
    async with people(field, [0], [1]) as here:
        one, two = here.clients
        lost = len(field.nodes[0].lines("weddings_lost"))
        field.nodes[0].stop()
        await one.write()  # waits in the socket of the stopped one
        await two.write()
        await two.until(lambda: two.saved, SECONDS)
        assert await here.owner() == 1
        before = await here.stored()
        field.nodes[0].wake()
        await logged(lambda: len(field.nodes[0].lines("weddings_lost")) > lost, SECONDS)
        await one.until(lambda: TRY_AGAIN in one.closes and one.saved, SECONDS)
        assert await here.owner() == 1
        assert set(before) < set(await here.stored())


async def test_redis_is_down(field: Field) -> None:
    async with people(field, [0], [1]) as here:
        one, two = here.clients
        field.redis.kill()
        for number in range(3):
            await until_ready(field, number, "degraded")
        await two.write()
        await one.write()
        await one.until(lambda: one.saved, SECONDS)
        assert not two.saved
        assert two.closes == []
        field.redis.start()
        begin = time.monotonic()
        await here.saved()
        print(f"caught up {time.monotonic() - begin:.2f} s after Redis was back")
        assert one.closes == two.closes == []
    for number in range(3):
        await until_ready(field, number)


async def test_redis_is_down_for_longer_than_a_request_may_wait(field: Field) -> None:
    async with people(field, [0], [1]) as here:
        one, two = here.clients
        field.redis.pause()
        await two.write()
        await here.sent_away(two)
        assert (await ready(field, 1))[0] == 200
        await one.write()
        await one.until(lambda: one.saved, SECONDS)
        assert one.closes == []
        field.redis.resume()
        await here.write()


async def test_a_node_is_cut_off_from_redis(field: Field) -> None:
    """Its readers get nothing meanwhile, and everything afterwards."""
    async with people(field, [0], [1], [2]) as here:
        one, two, three = here.clients
        field.nodes[1].redis_wire.freeze()
        await one.write()
        await three.write()
        await asyncio.gather(*(each.until(lambda e=each: e.saved, SECONDS) for each in (one, three)))  # type: ignore[misc]
        await field.nodes[1].redis_wire.heal()
        await two.until(lambda: two.tokens(two.received) == one.tokens(one.received), SECONDS)
        assert two.closes == []


async def test_postgresql_is_down(field: Field) -> None:
    async with people(field, [0], [1]) as here:
        field.postgres.kill()
        for client in here.clients:
            await client.write()
        await here.sent_away(*here.clients)
        assert (await ready(field, 0))[0] == (await ready(field, 1))[0] == 503
        field.postgres.start()
        await here.saved()
    await until_ready(field, 0)


async def test_postgresql_is_stopped_for_longer_than_a_lease(field: Field) -> None:
    async with people(field, [0], [1], [2]) as here:
        field.postgres.pause()
        for client in here.clients:
            await client.write()
        await until_ready(field, 0, "database_slow")
        field.postgres.resume()
        await here.write()
        assert await here.owner() == 0, "all leases ended at once, and no node has died"


@pytest.mark.parametrize("way", ["cut", "freeze"])
async def test_the_owner_is_cut_off_from_postgresql(field: Field, way: str) -> None:
    """Other nodes take over; its own clients are closed with 1013, and find another node."""
    async with people(field, [0, 1], [1]) as here:
        one, two = here.clients
        getattr(field.nodes[0].postgres_wire, way)()
        begin = time.monotonic()
        await two.write()
        await two.until(lambda: two.saved, SECONDS)
        print(f"writes stood still for {time.monotonic() - begin:.2f} s")
        assert await here.owner() == 1
        await one.write()
        await here.sent_away(one)
        await one.until(lambda: one.saved, SECONDS)
        await field.nodes[0].postgres_wire.heal()
        await until_ready(field, 0)


async def test_the_presence_of_a_killed_node_disappears(field: Field) -> None:
    place = f"ws/presence/{NOTES}?user=ann"
    ann = await connect(f"ws://127.0.0.1:{field.nodes[0].port}/{place}", compression=None)
    there = connect(f"ws://127.0.0.1:{field.nodes[1].port}/{place}", compression=None)
    async with there as bob, asyncio.timeout(SECONDS):
        await ann.send(encode_awareness(write_states([(7, 1, STATE)])))
        seen: list[str] = []
        killed = False
        while "null" not in seen:
            frame = await bob.recv()
            assert isinstance(frame, bytes)
            for message in decode_messages(frame):
                if isinstance(message, AwarenessUpdate):
                    seen += [text for client, _, text in read_states(message.payload, None) if client == 7]
            if seen == [STATE] and not killed:  # other frames may follow before the state is gone
                killed = True
                field.nodes[0].kill9()
        assert seen == [STATE, "null"]
    await field.nodes[0].begin()
    await ann.close()


async def test_a_graceful_restart_of_each_node(field: Field) -> None:
    async with people(field, [0, 1, 2], [1, 2, 0], [2, 0, 1]) as here:
        for node in field.nodes:
            writing = asyncio.create_task(_keep_writing(here.clients))
            code = await asyncio.to_thread(node.terminate)
            assert code == 0
            await node.begin()
            writing.cancel()
            await asyncio.wait([writing])
            await here.saved()
        assert TRY_AGAIN not in set().union(*(client.closes for client in here.clients))


async def _keep_writing(clients: Sequence[Roamer]) -> None:
    while True:
        for client in clients:
            await client.write()
            await asyncio.sleep(0.02)  # the pace of the load, not a wait
