"""A client that writes what the kind of its document forbids, as fast as it can, and comes back when it is closed, or
not read any more.

A process of its own: `python -m tests.hostile.violator URL SECONDS (same|fresh)` attacks the document at the WebSocket
address URL, from one address or from another one with each connection, and prints a tally as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from itertools import count
from urllib.parse import urlsplit

from crdt_server.protocol.lib0 import write_var_bytes, write_var_string, write_var_uint
from tests.hostile.link import Link, Refused, client_frame

FORBIDDEN = "forbidden-fruit"
"""What every forbidden value holds. Nobody else may ever receive it."""

FIRST_ID = 800_000_001
PATIENCE_SECONDS = 0.3  # with a server that does not read
PERSISTENCE = 4  # times as long where it was not slowed: a busy machine needs it to fill the buffers of a socket
BURST = 250  # updates in one write, so that sending costs this process little
_HAS_KEY, _TYPE, _ANY, _MAP, _STRING = 0x20, 7, 8, 1, 119


class Violator:
    """Updates of one client of a document `guests`: each well-formed, and each forbidden."""

    def __init__(self, client_id: int) -> None:
        self._id = write_var_uint(client_id)
        self._clock = 0
        self._makers = (self._wrong_type, self._of_the_server, self._too_long)

    def updates(self, number: int) -> list[bytes]:
        """The next ones, of every kind in turn."""
        return [self._makers[n % len(self._makers)](n) for n in range(number)]

    def _wrong_type(self, n: int) -> bytes:
        """A string where a record belongs."""
        return self._update(self._entry(b"\1" + write_var_string("guests"), f"g{n}", _string(FORBIDDEN)))

    def _of_the_server(self, n: int) -> bytes:
        """A record of a root that only the server writes."""
        return self._record("review", f"c{n}", "summary", FORBIDDEN)

    def _too_long(self, n: int) -> bytes:
        """A name longer than any."""
        return self._record("guests", f"g{n}", "firstName", FORBIDDEN * 20)

    def _record(self, root: str, record: str, key: str, value: str) -> bytes:
        parent = b"\0" + self._id + write_var_uint(self._clock)
        made = bytes((_TYPE | _HAS_KEY,)) + b"\1" + write_var_string(root) + write_var_string(record) + bytes((_MAP,))
        return self._update(made, self._entry(parent, key, _string(value)))

    def _entry(self, parent: bytes, key: str, value: bytes) -> bytes:
        return bytes((_ANY | _HAS_KEY,)) + parent + write_var_string(key) + b"\1" + value

    def _update(self, *structs: bytes) -> bytes:
        head = b"\1" + write_var_uint(len(structs)) + self._id + write_var_uint(self._clock)
        self._clock += len(structs)
        return head + b"".join(structs) + b"\0"


def _string(text: str) -> bytes:
    return bytes((_STRING,)) + write_var_string(text)


async def attack(url: str, seconds: float, *, fresh: bool) -> dict[str, object]:
    """Connections one after the other, each until it is closed or not read. What was sent, what became of it."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    begun = time.monotonic()
    closes: Counter[int] = Counter()
    refused: Counter[int] = Counter()
    sent = slowed = 0

    def is_over() -> bool:
        patience = seconds if slowed or closes or refused else PERSISTENCE * seconds
        return time.monotonic() > begun + patience

    for number in count():
        if is_over():
            break
        address = f"127.0.{1 + number // 250}.{1 + number % 250}" if fresh else "127.0.1.1"
        try:
            link = await Link.open(parts.hostname, parts.port, parts.path, address)
        except Refused as refusal:
            refused[refusal.status] += 1
            await asyncio.sleep(0.01)
            continue
        violator = Violator(FIRST_ID + number)
        while not link.closed.done() and not is_over():
            frames = (client_frame(b"\0\2" + write_var_bytes(update)) for update in violator.updates(BURST))
            link.raw(b"".join(frames))
            sent += BURST
            try:
                await asyncio.wait_for(link.drained(), PATIENCE_SECONDS)
            except TimeoutError:
                slowed += 1
                break
            await asyncio.wait((link.closed,), timeout=BURST / 20_000)
        if link.closed.done():
            closes[link.closed.result()] += 1
        link.abort()
    return {"sent": sent, "closes": dict(closes), "slowed": slowed, "refused": dict(refused)}


def main() -> None:
    url, seconds, addresses = sys.argv[1:]
    print(json.dumps(asyncio.run(attack(url, float(seconds), fresh=addresses == "fresh"))))


if __name__ == "__main__":
    main()
