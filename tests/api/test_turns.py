"""Requests of one person wait behind one another in the store, and those of others do not."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import httpx

from crdt_server import Settings
from tests.support.databases import sqlite_database
from tests.support.gate import SECONDS, local_server, until

MANY = 40


async def test_a_write_waits_for_one_of_another_person_and_not_for_all(tmp_path: Path) -> None:
    url, order, proceed = sqlite_database(tmp_path), list[str](), threading.Event()
    settings = Settings(port=0, dev=True, database_url=url, document_hosts=1, files=str(tmp_path))
    async with local_server(settings) as server, httpx.AsyncClient(base_url=f"{server.url}/api/weddings/w") as client:
        executor = server.hub.storage._executor

        async def put(user: str) -> None:
            answer = await client.put("/preferences", params={"user": user, "role": "couple"}, json={"digest_hour": 9})
            assert answer.status_code == 200
            order.append(user)

        held = asyncio.create_task(executor.write(lambda _: proceed.wait(SECONDS)))
        many = [asyncio.create_task(put("ada")) for _ in range(MANY)]
        await until(lambda: executor._writer_thread._tokens.qsize() >= MANY)
        other = asyncio.create_task(put("bob"))
        await until(lambda: executor._writer_thread._tokens.qsize() > MANY)
        proceed.set()
        await asyncio.gather(held, other, *many)
    assert order.index("bob") <= MANY // 4
