"""A y-websocket client that follows the inbox of its person."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from websockets.asyncio.client import ClientConnection, connect

from crdt_server import Settings
from crdt_server.access.access import DevAccess
from crdt_server.protocol.lib0 import write_var_string
from tests.support.databases import sqlite_database
from tests.support.gate import local_server, until

CHANGED = b"\2\1" + write_var_string('{"inbox": "changed"}')


async def frames_to(socket: ClientConnection, last: bytes) -> list[str | bytes]:
    """What comes up to a frame."""
    frames: list[str | bytes] = []
    while not frames or frames[-1] != last:
        frames.append(await socket.recv())
    return frames


@pytest.mark.parametrize("lane", ["fast", "asgi"])
async def test_the_inbox_is_followed_where_the_url_says_so(lane: Literal["fast", "asgi"], tmp_path: Path) -> None:
    settings = Settings(
        port=0,
        websocket_lane=lane,
        database_url=sqlite_database(tmp_path),
        document_hosts=1,
    )
    async with local_server(settings, DevAccess()) as server:
        options = {"compression": None, "proxy": None}

        def client(query: str) -> connect:
            return connect(f"{server.ws_url}/w/notes.a?{query}", **options)  # type: ignore[arg-type]

        async with client("user=ada&inbox=1") as ada, client("user=ada") as other, client("user=bob&inbox=1") as bob:
            await until(lambda: len(server.hub.rooms["w", "notes.a"].members) == 3)
            server.hub.publish_inbox("w", ["ada"])
            assert (await frames_to(ada, CHANGED)).count(CHANGED) == 1
            server.hub.publish_inbox("w", ["bob"])
            assert (await frames_to(bob, CHANGED)).count(CHANGED) == 1
            await other.send(b"\0\0\1\0")
            assert CHANGED not in await frames_to(other, b"\0\1\2\0\0")
        await until(lambda: not server.hub.events._listeners)
