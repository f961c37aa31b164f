"""kill -9 of the server under writing clients: what anybody had received is there afterwards."""

from __future__ import annotations

import os
import random
from time import monotonic

from tests.crash.fleet import CONVERGE_SECONDS, fleet
from tests.crash.process import StartServer

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "5"))
SEED = int(os.environ.get("CRASH_SEED", "1"))


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
            await server.start()
            restarted = monotonic()
            await people.nothing_missing(receipts)
            await people.heard(each=1)
            await people.stop_writing()
            await people.converged()
            slowest = max(slowest, monotonic() - restarted)
        written = sum(client.written for client in people.clients)
        reconnects = sum(len(client.closes) for client in people.clients)
    print(f"{ROUNDS} kills, {written} edits, {reconnects} lost connections, slowest convergence {slowest:.2f} s")
    assert slowest < CONVERGE_SECONDS
    assert written > ROUNDS * len(people.clients)
