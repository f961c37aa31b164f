"""Ends and rewrites that are planned: SIGTERM, compaction, eviction. Nothing that was echoed may be missing after."""

from __future__ import annotations

import asyncio
import os
import random

from crdt_server.pipe import PIECE_BYTES
from tests.crash.fleet import fleet
from tests.crash.process import CrashServer, StartServer
from tests.support.databases import run_sql
from tests.support.effort import promised
from tests.support.yclient import YClient

ROUNDS = int(os.environ.get("CRASH_COMPACTION_ROUNDS", "1"))
SEED = int(os.environ.get("CRASH_SEED", "1"))
RESTARTING = 1012
TERM_SECONDS = promised(10.0)


async def test_sigterm_under_load(start: StartServer) -> None:
    server = await start()
    async with fleet(server, seed=SEED) as people:
        people.start_writing()
        await people.heard(each=5)
        before = asyncio.get_running_loop().time()
        assert await server.terminate(TERM_SECONDS) == 0
        print(f"ended in {asyncio.get_running_loop().time() - before:.2f} s")
        await people.cut_off()
        assert [client.closes for client in people.clients] == [[RESTARTING]] * len(people.clients)
        receipts = people.receipts()
        await people.nothing_missing(receipts)
        await server.start()
        await people.stop_writing()
        await people.converged()
    assert "Traceback" not in server.log


async def test_kill_9_in_the_middle_of_compaction(start: StartServer) -> None:
    """`crdt-server compact` beside the running server, both killed while rows are being replaced."""
    chance = random.Random(SEED)
    server = await start(compact_after_updates=10, room_grace_seconds=0.1)
    rows = 0
    async with fleet(server, clients=12, rooms=3, seed=SEED) as people:
        for _ in range(ROUNDS):
            people.start_writing()
            await people.heard(each=10)
            compaction = server.begin("compact")
            await people.heard(each=chance.randint(1, 4))
            compaction.kill()
            await asyncio.to_thread(compaction.wait)
            compaction.stdout.close()
            await server.kill()
            await people.cut_off()
            receipts = people.receipts()
            await people.nothing_missing(receipts)
            await server.start()
            await people.stop_writing()
            await people.converged()
        rows, size = await _rows(server)
        code, output = await server.command("compact")
        assert code == 0, output
        # Two neighbours that are left would be more than a row may hold.
        most = len(people.rooms) + 2 * size // PIECE_BYTES
        assert (await _rows(server))[0] <= min(rows, most)  # the server itself may have left few rows
        await people.nothing_missing(people.receipts())
        people.start_writing()
        await people.heard(each=2)
        await people.stop_writing()
        await people.converged()
        assert {code for client in people.clients for code in client.closes} == {1006}
        receipts = people.receipts()
        await server.kill()
        await people.nothing_missing(receipts)
        await server.start()
        code, output = await server.command("verify")
        assert code == 0, output
    print(f"{ROUNDS} rounds, {rows} rows before the last compaction")


async def test_a_room_is_given_up_and_loaded_again(start: StartServer) -> None:
    server = await start(room_grace_seconds=0.1)
    async with YClient(server.socket_url("notes.a"), "ann") as ann, YClient(server.socket_url("notes.b"), "bob") as bob:
        for _ in range(12):
            await ann.write()
        await ann.until(lambda: ann.saved)
        await bob.write()
        await bob.until(lambda: bob.saved)
        assert await server.metric("crdt_rooms") == 2
        await ann.__aexit__(None, None, None)
        async with asyncio.timeout(60):
            while await server.metric("crdt_room_evictions_total") == 0:
                await bob.write()
                await bob.until(lambda: bob.saved)
        assert await server.metric("crdt_rooms") == 1
        async with YClient(server.socket_url("notes.a"), "carl") as carl:
            await carl.until(lambda: carl.tokens() == ann.tokens())
            await carl.write()
            await carl.until(lambda: carl.saved)


async def _rows(server: CrashServer) -> tuple[int, int]:
    """Stored updates of the rooms that are written to, and their bytes; the wedding `demo` has its own."""
    totals = 'SELECT count(*), coalesce(sum(length("update")), 0) FROM updates'
    query = f"{totals} JOIN documents ON documents.id = document_id WHERE wedding = 'w'"
    ((count, size),) = await run_sql(server.database_url, query)
    return int(count), int(size)
