"""A socket that sends more presence than its budget is not read for a while, on both transports."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Literal

import pytest
from websockets.asyncio.client import ClientConnection, connect

from crdt_server import Settings
from crdt_server.access.access import DevAccess
from crdt_server.rooms.awareness_states import write_states
from tests.support.codec import encode_awareness, encode_update
from tests.support.gate import local_server, until, update_from
from tests.support.wire import Replica

OWN = 3_000_000_001
MESSAGES = 400  # 16 MB in all: more than the buffers between two processes hold
STATES = 4_096


@pytest.mark.parametrize("lane", ["fast", "asgi"])
async def test_a_flood_waits_in_its_own_socket(lane: Literal["fast", "asgi"], tmp_path: Path) -> None:
    settings = Settings(
        port=0,
        websocket_lane=lane,
        database_url=f"sqlite:///{tmp_path}/store.db",
        document_hosts=1,
        presence_bytes_per_second=50_000,
        max_loop_lag_seconds=3600.0,
    )
    claim = encode_awareness(write_states([(OWN, 1, "{}")]))
    states = [(OWN, 2, "{}"), *((number + 5_000_000_000, 1, "{}") for number in range(STATES - 1))]
    flood = encode_awareness(write_states(states))

    async def send(websocket: ClientConnection) -> None:
        for _ in range(MESSAGES):
            await websocket.send(flood)

    async with local_server(settings, DevAccess()) as server:
        url, options = f"{server.ws_url}/w/notes.a", {"compression": None, "proxy": None}
        async with connect(url, **options) as mallory, connect(url, **options) as ada:  # type: ignore[arg-type]
            await mallory.send(claim)
            began = time.monotonic()
            sending = asyncio.create_task(send(mallory))
            counters = server.hub.metrics.counters
            await until(lambda: counters.awareness_pauses > 0)
            replica = Replica(1)
            for _ in range(5):
                edit = replica.type("x")
                await ada.send(encode_update(edit))
                assert await update_from(ada) == edit
            assert not sending.done()
            seconds = time.monotonic() - began
            assert counters.awareness_states < (seconds + 2) * settings.presence_states_per_second
            sending.cancel()
            mallory.transport.abort()
