"""No token, good or bad, is in any line that a server prints, nor in anything that it serves."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.support.codec import encode_update
from tests.support.server import Lane, ServerProcess
from tests.support.tokens import SECRET, claims, forged, token
from tests.support.wire import KILLER, Replica

SECONDS = 60.0
DOCUMENT = "/api/weddings/w/documents/notes.a"


@pytest.fixture(params=["fast", "asgi"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServerProcess]:
    lane: Lane = request.param
    (tmp_path / "secret").write_bytes(SECRET)
    env = {
        "CRDT_SERVER_JWT_SECRET_FILE": f"{tmp_path}/secret",
        "CRDT_SERVER_LOG_LEVEL": "debug",
        "CRDT_SERVER_DOCUMENT_HOSTS": "1",
        "CRDT_SERVER_MAX_STRIKES": "0",
    }
    running = ServerProcess(tmp_path, lane=lane, env=env, dev=False)
    running.start()
    yield running
    running.close()


class Served:
    """All bytes that the server has sent."""

    def __init__(self) -> None:
        self.content = b""

    def answer(self, response: httpx.Response) -> int:
        self.content += b"\n".join((*(name + b": " + value for name, value in response.headers.raw), response.content))
        return response.status_code


async def requests(server: ServerProcess, text: str, served: Served) -> set[int]:
    """Calls of every kind that goes wrong, and of some that do not; their status codes."""
    calls: list[tuple[str, str, bytes]] = [
        ("GET", f"{DOCUMENT}/state", b""),
        ("GET", f"{DOCUMENT}/nothing", b""),
        ("GET", "/api/weddings/-/events", b""),
        ("GET", "/api/weddings/other/events", b""),
        ("GET", "/api/weddings/w/events?after=x", b""),
        ("PATCH", f"{DOCUMENT}/state", b""),
        ("POST", f"{DOCUMENT}/sync", b"nonsense"),
        ("POST", f"{DOCUMENT}/sync", b"\x01\x00\x05\x01\x01\x01\x01\x01"),
        ("POST", "/api/weddings/w/ops", b"{"),
        ("POST", "/api/weddings/w/ops", b'{"parts": [{"document": "guests", "operations": [{"op": "no"}]}]}'),
        ("GET", "/", b""),
        ("GET", "/metrics", b""),
        ("GET", "/readyz", b""),
        ("GET", "/nothing", b""),
        ("GET", "/api/openapi.json", b""),
    ]
    found = set()
    async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=60) as client:
        for method, path, body in calls:
            for query, headers in (({"token": text}, {}), ({}, {"Authorization": f"Bearer {text}"})):
                answer = await client.request(method, path, params=query, headers=headers, content=body)
                found.add(served.answer(answer))
    return found


async def sockets(server: ServerProcess, text: str, served: Served) -> None:
    """Sockets that are refused, broken, and used."""
    frames = (encode_update(Replica(1).type("x")), encode_update(KILLER), b"\x09", "text")
    for room in ("w/notes.a", "w/nothing", "other/notes.a"):
        for frame in frames:
            with suppress(ConnectionClosed, InvalidStatus):
                async with connect(f"{server.ws_url}/{room}?token={text}", compression=None, proxy=None) as websocket:
                    await websocket.send(frame)
                    await websocket.send(b"\x09")  # malformed: the server closes
                    async with asyncio.timeout(SECONDS):
                        async for received in websocket:
                            served.content += received if isinstance(received, bytes) else received.encode()
                served.content += (websocket.close_reason or "").encode()


def handshakes(server: ServerProcess, text: str, served: Served) -> None:
    """Upgrades that are none, with the token where it should be and where it should not."""
    target = f"/ws/w/notes.a?token={text}"
    good = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    good += "Sec-WebSocket-Key: dGVzdGtleXRlc3RrZXkwMA==\r\n"
    heads = [
        f"GET {target} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n",
        f"GET {target} HTTP/1.1\r\nHost: x\r\n{good.replace('13', '8')}\r\n",
        f"GET {target} HTTP/1.1\r\nHost: x\r\n{good.replace('dGVz', '')}\r\n",
        f"GET {target} HTTP/1.1\r\n{good}{text}\r\n\r\n",
        f"GET {target} HTTP/9\r\nHost: x\r\n{good}\r\n",
        f"GET {target}\x00 HTTP/1.1\r\nHost: x\r\n{good}\r\n",
        f"GET {target} HTTP/1.1\r\nHost: x\r\nX-{text}: é\r\n{good}\r\n",
        f"GET {target} HTTP/1.1\r\nHost: x\r\n{good}Sec-WebSocket-Protocol: {text}\r\n\r\n",
        f"{text} {target}\r\n\r\n",
        f"GET {target} HTTP/1.1\r\nHost: x\r\n{good}\r\n" + text,
    ]
    for head in heads:
        with socket.create_connection(("127.0.0.1", server.port), SECONDS) as connection:
            connection.sendall(head.encode())
            connection.shutdown(socket.SHUT_WR)
            with suppress(OSError):
                while part := connection.recv(65536):
                    served.content += part


async def test_no_token_is_printed_or_served(server: ServerProcess) -> None:
    good, expired = token(sub="hidden"), token(exp=1, sub="hidden")
    bad = forged({"alg": "HS256", "kid": "hidden"}, claims(sub="hidden"), b"x" * 32)
    served = Served()
    statuses = set()
    for text in (good, expired, bad, good[:-3] + "%C3%A9"):
        statuses |= await requests(server, text, served)
        await sockets(server, text, served)
        handshakes(server, text, served)
    assert statuses >= {200, 400, 401, 403, 404, 405}
    assert server.terminate() == 0
    parts = {part.encode() for text in (good, expired, bad) for part in text.split(".")[1:]}
    printed = server.log_file.read_bytes()
    assert b"update_quarantined" in printed or b"session_refused" in printed, "something was logged"
    for part in (*parts, SECRET):
        at = served.content.find(part)
        assert at < 0, served.content[max(0, at - 200) : at]
        assert part not in printed
