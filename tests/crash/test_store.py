"""The store on a bad day: full, locked, read-only, damaged. Clients are sent away with 1013 and lose nothing."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import AsyncExitStack, closing

from tests.crash.fleet import Fleet, fleet
from tests.crash.process import CrashServer, StartServer
from tests.support.databases import about_sqlite, run_sql
from tests.support.yclient import YClient

TRY_AGAIN = 1013
SMALLEST_FILE = 4096
FRAME_BYTES = 4096 + 24  # of the write-ahead log: a page and its head


async def sent_away(people: Fleet) -> None:
    """Wait until every client was closed with 1013."""
    await asyncio.gather(*(c.until(lambda c=c: TRY_AGAIN in c.closes) for c in people.clients))  # type: ignore[misc]


@about_sqlite
async def test_disk_full(start: StartServer) -> None:
    server = await start()
    async with fleet(server, clients=12, rooms=3) as people:
        people.start_writing()
        await people.heard(each=5)
        with server.log_file.open("a") as log:
            log.write("#" * SMALLEST_FILE + "\n")
        server.limit_files(SMALLEST_FILE)  # the log cannot be written either: it is on the same disk
        await sent_away(people)
        assert await server.status("/readyz") == 503
        assert await server.status("/healthz") == 200
        await people.nothing_missing(people.receipts())
        server.limit_files(-1)
        await people.heard(each=3)
        assert await server.status("/readyz") == 200
        await people.stop_writing()
        await people.converged()
        assert set().union(*(c.closes for c in people.clients)) == {TRY_AGAIN}
        receipts = people.receipts()
        await server.kill()
        await people.nothing_missing(receipts)
        await server.start()
        await people.converged()


@about_sqlite
async def test_a_disk_with_room_for_a_probe_but_for_no_commit(start: StartServer) -> None:
    server = await start()
    async with fleet(server, clients=4, rooms=2) as people:
        people.start_writing()
        await people.heard(each=3)
        await people.stop_writing()
        await people.converged()
        log = server.database.with_name(f"{server.database.name}-wal")
        server.limit_files(log.stat().st_size + FRAME_BYTES)
        people.start_writing()
        await sent_away(people)
        assert await server.status("/readyz") == 503
        server.limit_files(-1)
        await people.heard(each=3)
        assert await server.status("/readyz") == 200
        await people.stop_writing()
        await people.converged()


@about_sqlite
async def test_database_locked_by_somebody_else(start: StartServer) -> None:
    server = await start()
    async with fleet(server, clients=4, rooms=1) as people:
        people.start_writing()
        await people.heard(each=3)
        with closing(sqlite3.connect(server.database, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            await sent_away(people)
            assert await server.status("/readyz") == 503
            assert await server.status("/healthz") == 200
            await people.nothing_missing(people.receipts())
            other.execute("ROLLBACK")
        await people.heard(each=3)
        await people.stop_writing()
        await people.converged()
        assert await server.status("/readyz") == 200


@about_sqlite
async def test_read_only_database(start: StartServer) -> None:
    server = await start()
    writable = server.database_url
    async with fleet(server, clients=4, rooms=2) as people:
        people.start_writing()
        await people.heard(each=3)
        await people.stop_writing()
        await people.converged()
        await server.terminate()
        server.database_url = f"sqlite:///file:{server.database}?mode=ro&uri=true"
        await server.start()
        assert await server.status("/readyz") == 503
        assert await server.status("/healthz") == 200
        await people.converged()  # reading goes on
        people.start_writing()
        await sent_away(people)
        await people.nothing_missing(people.receipts())
        await server.terminate()
        server.database_url = writable
        await server.start()
        await people.heard(each=3)
        await people.stop_writing()
        await people.converged()


DAMAGE = {
    "notes.flipped": "UPDATE updates SET checksum = checksum + 1 WHERE document_id = :document AND first_seq = 2",
    "notes.hole": "DELETE FROM updates WHERE document_id = :document AND first_seq = 2",
    "notes.headless": "DELETE FROM updates WHERE document_id = :document AND first_seq < 4",
}


async def test_damaged_documents_are_refused_and_left_alone(start: StartServer) -> None:
    server = await start()
    people = {name: YClient(server.socket_url(name), name) for name in (*DAMAGE, "notes.good")}
    async with AsyncExitStack() as stack:
        for client in people.values():
            await stack.enter_async_context(client)
        for _ in range(5):
            for client in people.values():
                await client.write()
                await client.until(lambda c=client: c.saved)  # type: ignore[misc]
        await server.kill()
        for name, statement in DAMAGE.items():
            find = "SELECT id FROM documents WHERE name = :name"
            ((document,),) = await run_sql(server.database_url, find, name=name)
            assert await run_sql(server.database_url, f"{statement} RETURNING 1", document=document)
        before = await _rows(server)
        await server.start()
        for name in DAMAGE:
            client = people[name]
            await client.until(lambda c=client: c.closes.count(TRY_AGAIN) > 1)  # type: ignore[misc]
            await client.write()
            ends = len(client.closes)
            await client.until(lambda c=client, n=ends: len(c.closes) > n)  # type: ignore[misc]
            assert not client.synced
            assert any("document_unreadable" in line and f"w/{name}" in line for line in server.log.splitlines())
        assert await _rows(server) == before
        good = people["notes.good"]
        await good.write()
        await good.until(lambda: good.saved)
        before = await _rows(server)
        code, output = await server.command("verify")
        assert code == 1
        assert all(f"w/{name}: " in output for name in DAMAGE)
        assert "w/notes.good: " not in output
        code, output = await server.command("compact")
        assert code == 1
        assert all(f"w/{name}: left as it is" in output for name in DAMAGE)
        good_document = max(row[0] for row in before)
        after = await _rows(server)
        assert [r for r in after if r[0] != good_document] == [r for r in before if r[0] != good_document]
        await good.write()
        await good.until(lambda: good.saved)
    assert "Traceback" not in server.log


async def _rows(server: CrashServer) -> list[tuple[int, ...]]:
    """Those of the wedding of the test; the demo wedding is tidied up by the server."""
    return await run_sql(
        server.database_url,
        "SELECT * FROM updates WHERE document_id IN (SELECT id FROM documents WHERE wedding = 'w') "
        "ORDER BY document_id, first_seq",
    )
