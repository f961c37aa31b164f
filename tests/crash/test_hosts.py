"""Document hosts that are killed, stopped, or poisoned: the people in the rooms must not notice more than a pause."""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
from contextlib import suppress

from pycrdt import create_update_message
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.crash.fleet import Fleet, fleet
from tests.crash.process import CrashServer, StartServer
from tests.support.wire import Typist

ROUNDS = int(os.environ.get("CRASH_HOST_ROUNDS", "5"))
SEED = int(os.environ.get("CRASH_SEED", "1"))
WATCHDOG_SECONDS = 1.5
VIOLATION = 4409


def killer(client_id: int) -> tuple[bytes, bytes]:
    """Letters of one client, each before the last, then as many of another: every one passes all of the first's."""
    root = f"root {client_id}"
    return Typist(client_id, root).many_items(3000), Typist(client_id + 100, root).many_items(3000)


async def test_kill_9_of_hosts(start: StartServer) -> None:
    """One, two or three deaths in a row at random moments: while it edits, while it loads, while it is born."""
    print(f"seed {SEED}, {ROUNDS} rounds")
    chance = random.Random(SEED)
    server = await start()
    kills = 0
    async with fleet(server, seed=SEED) as people:
        people.start_writing()
        for _ in range(ROUNDS):
            await people.heard(each=chance.randint(1, 3))
            for _ in range(chance.choice((1, 1, 2, 3))):
                await asyncio.sleep(chance.uniform(0, 0.05))  # the random moment
                kills += _kill_hosts(server)
        restarts = await server.metric("crdt_host_restarts_total")
        await _nobody_noticed(server, people)
    assert restarts >= ROUNDS
    print(f"{kills} processes killed, {sum(c.written for c in people.clients)} edits")


async def test_a_stopped_host_is_replaced(start: StartServer) -> None:
    server = await start(host_timeout_seconds=WATCHDOG_SECONDS)
    async with fleet(server, clients=12, rooms=3) as people:
        people.start_writing()
        for _ in range(max(1, ROUNDS // 6)):
            await people.heard(each=2)
            os.kill(server.hosts()[0], signal.SIGSTOP)  # the oldest: the others are spare
        await _nobody_noticed(server, people)


def _kill_hosts(server: CrashServer) -> int:
    """SIGKILL to every host there is, the spare ones too; to how many."""
    hosts = server.hosts()
    for host in hosts:
        with suppress(ProcessLookupError):
            os.kill(host, signal.SIGKILL)
    return len(hosts)


async def _nobody_noticed(server: CrashServer, people: Fleet) -> None:
    await people.heard(each=3)
    await people.stop_writing()
    await people.converged()
    assert [client.closes for client in people.clients] == [[]] * len(people.clients)
    assert await server.metric("crdt_quarantined_total") == 0
    receipts = people.receipts()
    await server.kill()
    await people.nothing_missing(receipts)
    await server.start()


async def test_updates_that_kill_their_host(start: StartServer) -> None:
    """Message by message, then both in one frame: the sender goes, the update is kept aside, the others write on."""
    server = await start()
    room = "notes.room0"
    async with fleet(server, clients=5, rooms=1) as people:
        people.start_writing()
        for client_id in (9, 10):
            messages = [create_update_message(update) for update in killer(client_id)]
            await people.heard(each=2)
            async with connect(server.socket_url(room), compression=None) as attacker:
                for frame in messages if client_id == 9 else [b"".join(messages)]:
                    await attacker.send(frame)
                with suppress(ConnectionClosed):
                    async with asyncio.timeout(60):
                        async for _ in attacker:
                            pass
                assert attacker.close_code == VIOLATION
        await people.heard(each=2)
        await people.stop_writing()
        await people.converged()
        assert [client.closes for client in people.clients] == [[]] * 5
        code, output = await server.command("verify")
        assert code == 0, output
        kept = re.findall(rf"w/{room}: quarantined update \d+ of (\d+) bytes", output)
        assert len(kept) == 2, output
        # the piece that did it, of an update that was cut
        assert all(0 < int(size) <= len(killer(client_id)[1]) for size, client_id in zip(kept, (9, 10), strict=True))
        receipts = people.receipts()
        await server.kill()
        await people.nothing_missing(receipts)
        await server.start()
        await people.converged()
