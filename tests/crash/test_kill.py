"""kill -9 of the server under writing clients: what anybody had received is there afterwards."""

from __future__ import annotations

import json
import os
import random
from time import monotonic
from typing import Any, cast

from pycrdt import Array, Doc

from tests.crash.fleet import CONVERGE_SECONDS, fleet
from tests.crash.process import StartServer
from tests.interop.clients import WEDDING, NodeRunner, Room
from tests.support.effort import EVERYTHING, timed
from tests.support.server import ServerProcess

WRITE = """
    const array = doc.getArray('array')
    let n = array.length
    const anywhere = () => Math.floor(Math.random() * array.length)
    client.timer = setInterval(() => array.insert(anywhere(), [`${args.name}:${n++}`]), 10)
"""
THEIRS = "doc.getArray('array').toArray().filter(token => !token.startsWith(args.name))"
ROUNDS = int(os.environ.get("CRASH_ROUNDS", 5 if EVERYTHING else 2))
SEED = int(os.environ.get("CRASH_SEED", "1"))


@timed
async def test_kill_9_of_the_server(start: StartServer) -> None:
    server = await start(compact_after_updates=40, room_grace_seconds=1)
    print(f"seed {SEED}, {ROUNDS} rounds")
    chance = random.Random(SEED)
    slowest = 0.0
    async with fleet(server, seed=SEED) as people:
        for _ in range(ROUNDS):
            people.start_writing()
            await people.heard(each=chance.randint(1, 8))
            await server.kill()
            await people.cut_off()
            receipts = people.receipts()
            await people.nothing_missing(receipts)
            await server.start()
            restarted = monotonic()
            await people.heard(each=1)
            await people.stop_writing()
            await people.converged()
            slowest = max(slowest, monotonic() - restarted)
        written = sum(client.written for client in people.clients)
        reconnects = sum(len(client.closes) for client in people.clients)
        assert {code for client in people.clients for code in client.closes} == {1006}  # and never 1013
    print(f"{ROUNDS} kills, {written} edits, {reconnects} lost connections, slowest convergence {slowest:.2f} s")
    assert slowest < CONVERGE_SECONDS
    assert written > ROUNDS * len(people.clients)


async def test_kill_9_under_stock_clients(start: StartServer) -> None:
    """The same with y-websocket in Node: what they had of each other is on the disk, and they meet again."""
    server = await start()
    node = NodeRunner()
    try:
        room = Room(node, cast("ServerProcess", server), "notes.stock")
        clients = [room.join(name) for name in ("ann", "bob", "carl")]
        for _ in range(max(1, ROUNDS // 5)):
            for client in clients:
                client.run(WRITE, name=client.name)
            for client in clients:
                seen = len(client.run(f"return {THEIRS}", name=client.name))
                client.wait(f"{THEIRS}.length > args.count", name=client.name, count=seen + 50)
            await server.kill()
            for client in clients:
                client.wait("!provider.wsconnected")
            received = {token for client in clients for token in client.run(f"return {THEIRS}", name=client.name)}
            stored: Doc[Any] = Doc()
            for row in await server.stored("notes.stock", WEDDING):
                stored.apply_update(row)
            assert received <= set(json.loads(str(stored.get("array", type=Array))))
            for client in clients:
                client.run("clearInterval(client.timer)")
            await server.start()
            room.settle(seconds=CONVERGE_SECONDS)
    finally:
        node.close()
