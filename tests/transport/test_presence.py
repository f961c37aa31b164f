"""Presence on both transports: a socket that sends more than its budget is not read for a while, and no frame of a
guest says where somebody is."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Literal

import pytest
from websockets.asyncio.client import ClientConnection, connect

from crdt_server import Settings
from crdt_server.access.access import Credentials, DevAccess
from crdt_server.access.identity import Identity
from crdt_server.rooms.awareness_states import write_states
from tests.support.codec import encode_awareness, encode_update
from tests.support.databases import sqlite_database
from tests.support.gate import local_server, until, update_from
from tests.support.wire import Replica, presence

OWN = 3_000_000_001
MESSAGES = 400  # 16 MB in all: more than the buffers between two processes hold
STATES = 4_096


@pytest.mark.parametrize("lane", ["fast", "asgi"])
async def test_a_flood_waits_in_its_own_socket(lane: Literal["fast", "asgi"], tmp_path: Path) -> None:
    settings = Settings(
        port=0,
        websocket_lane=lane,
        database_url=sqlite_database(tmp_path),
        document_hosts=1,
        presence_bytes_per_second=50_000,
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


class Ruled(DevAccess):
    """Everybody has the name and role of the query, and rules."""

    def identify(self, credentials: Credentials, wedding: str) -> Identity:
        return super().identify(credentials, wedding)._replace(rights="-" * 9)


@pytest.mark.parametrize("lane", ["fast", "asgi"])
async def test_no_frame_of_a_guest_says_where_somebody_is(lane: Literal["fast", "asgi"], tmp_path: Path) -> None:
    settings = Settings(
        port=0,
        websocket_lane=lane,
        database_url=sqlite_database(tmp_path),
        document_hosts=1,
    )
    barn = "behind-the-barn"

    async def frames_until(websocket: ClientConnection, part: bytes) -> bytes:
        received = b""
        async with asyncio.timeout(60):
            while part not in received:
                frame = await websocket.recv()
                assert isinstance(frame, bytes)
                received += frame
        return received

    async with local_server(settings, Ruled()) as server:
        url, options = f"{server.ws_url}/w/notes.a", {"compression": None, "proxy": None}
        async with (
            connect(f"{url}?user=u_gus&role=guest", **options) as guest,  # type: ignore[arg-type]
            connect(f"{url}?user=u_pam&role=planner", **options) as planner,  # type: ignore[arg-type]
            connect(f"{url}?user=u_ada&role=vendor&name=Ada", **options) as sender,  # type: ignore[arg-type]
        ):
            await sender.send(presence(OWN, 1, {"zone": barn, "section": "menu", "user": {"name": "The couple"}}))
            sent = [await frames_until(each, b'"menu"') for each in (guest, planner)]
            async with connect(f"{url}?user=u_new&role=guest", **options) as newcomer:  # type: ignore[arg-type]
                sent.append(await frames_until(newcomer, b'"menu"'))
                for each in (newcomer, guest):
                    await each.send(b"\3")
                    sent.append(await frames_until(each, b'"menu"'))
    assert [barn.encode() in frames for frames in sent] == [False, True, False, False, False]
    assert all(b'"id":"u_ada","name":"Ada"' in frames or b'"name":"Ada","id":"u_ada"' in frames for frames in sent)
