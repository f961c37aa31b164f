"""A flood of forged tokens at a running server, over HTTP and WebSockets: nobody gets in, and the event loop of the
serving process is not late by its own work.

    python -m tests.hostile.token_flood --tries 100000

Limits are off, so that each token is verified. The figures are those of the server's own loop monitor: how late it was,
and how much CPU time the serving process spent meanwhile. Where that is little, another process had the core.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import quote

from tests.access.test_token_fuzz import ALGORITHMS, Fuzzer
from tests.hostile.report import STALL_MS
from tests.hostile.watch import Log, cpu_seconds
from tests.support.server import ServerProcess
from tests.support.tokens import SECRET, public_pem

CONNECTIONS = 8
HANDSHAKE_EVERY = 20
"""Tries: each needs a connection of its own, as the server closes it."""

NO_LIMITS = ("max_strikes", "handshakes_per_second", "requests_per_second", "requests_per_address")
PICOWS_HEAD_BYTES = 16 * 1024  # of a request; a longer one is not answered
CLOSE = 0x88  # the first byte of a frame that closes a WebSocket
HANDSHAKE = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


@dataclass
class Flood:
    """What came of it. Times in milliseconds."""

    tries: int = 0
    answers: dict[str, int] = field(default_factory=dict)
    admitted: list[str] = field(default_factory=list)
    late_ms: int = 0
    own_stall_ms: int = 0
    """The longest stall by CPU time of the serving process itself."""
    stalls: list[tuple[int, int]] = field(default_factory=list)
    cpu_us_per_try: float = 0.0

    def count(self, answer: str, token: str, *, inside: bool) -> None:
        """The answer to one token; ``inside``: it let somebody in."""
        self.tries += 1
        self.answers[answer] = self.answers.get(answer, 0) + 1
        if inside:
            self.admitted.append(token)


async def flood(tries: int, seed: int, directory: Path) -> Flood:
    """Start a server, and send it so many tokens."""
    keys = [f"{name}={_written(directory / f'{name}.pem', public_pem(name))}" for name in ALGORITHMS]
    flags = ["--jwt-secret-file", _written(directory / "secret", SECRET), "--jwt-public-key", ",".join(keys)]
    env = {f"CRDT_SERVER_{name.upper()}": "0" for name in NO_LIMITS} | {"CRDT_SERVER_LOG_LEVEL": "warning"}
    server = ServerProcess(directory, dev=False, flags=flags, env=env)
    await asyncio.to_thread(server.start)
    try:
        found, fuzzer, left = Flood(), Fuzzer(seed), iter(range(tries))
        before = cpu_seconds(server.pid)
        await asyncio.gather(*(_send(server.port, fuzzer, left, found) for _ in range(CONNECTIONS)))
        found.cpu_us_per_try = round((cpu_seconds(server.pid) - before) / max(found.tries, 1) * 1e6, 1)
    finally:
        await asyncio.to_thread(server.terminate)
        stalls = Log.read(server.log_file).stalls()
        server.close()
    found.stalls = stalls[:10]
    found.late_ms = max((late for late, _ in stalls), default=0)
    found.own_stall_ms = max((cpu for _, cpu in stalls), default=0)
    return found


def _written(file: Path, content: bytes) -> str:
    file.write_bytes(content)
    file.chmod(0o600)
    return str(file)


async def _send(port: int, fuzzer: Fuzzer, left: Iterator[int], found: Flood) -> None:
    """Send tokens one after the other, as long as any are left."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for number in left:
        token = fuzzer.token()
        query = quote(token, safe="", errors="surrogatepass")
        if number % HANDSHAKE_EVERY == 0:
            answer = await _handshake(port, query)
            found.count(answer, token, inside=answer == "open")
            continue
        writer.write(f"GET /api/weddings/w/documents/guests?token={query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        status = head.split()[1].decode()
        found.count(status, token, inside=not status.startswith("4"))
        if b"connection: close" in head:
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()


async def _handshake(port: int, query: str) -> str:
    """What comes of a WebSocket: its close code, "open", or "dropped" where the request is longer than picows reads."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET /ws/w/guests?token={query} HTTP/1.1\r\nHost: x\r\n{HANDSHAKE}\r\n".encode())
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            if error.partial or len(query) < PICOWS_HEAD_BYTES:
                raise
            return "dropped"
        if b" 101 " not in head:
            return head.split()[1].decode()
        opcode, _, *code = await reader.readexactly(4)
        return str(int.from_bytes(bytes(code))) if opcode == CLOSE else "open"
    finally:
        writer.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tries", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        found = asyncio.run(flood(arguments.tries, arguments.seed, Path(directory)))
    print(json.dumps(asdict(found), indent=1))
    return int(bool(found.admitted) or found.own_stall_ms > STALL_MS)


if __name__ == "__main__":
    sys.exit(main())
