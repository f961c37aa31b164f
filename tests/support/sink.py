"""A place where messages of a test arrive: an HTTP server in a process of its own, which writes what it takes to a file
before it answers. `python -m tests.support.sink FILE` prints its port.

A message is a POST with a JSON body to one of these:

- `/ok…` is taken; `/500…`, `/410…`: not taken, with this status; `/wait…`: 503 with `Retry-After: 7200`.
- `/cut…` is taken, and the connection closed in the middle of the answer.
- `/hold…` is taken when `POST /release` came, and no sooner.

Each line of the file is the path, the moment, and the body. `GET /began?n=3` waits until three have begun, and has the
paths of all that have.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Condition, Event, Lock
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
REFUSALS = {"/500": 500, "/410": 410, "/wait": 503}


class Arrived(NamedTuple):
    """A message that was taken, or refused."""

    path: str
    at: float
    body: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.body["id"])


class Sink:
    """The process, and what it took."""

    def __init__(self, file: Path, port: int) -> None:
        self._file = file
        self.url = f"http://127.0.0.1:{port}"

    @property
    def arrived(self) -> list[Arrived]:
        """All messages so far, in the order in which they came."""
        lines = self._file.read_text().splitlines() if self._file.exists() else []
        return [Arrived(*json.loads(line)) for line in lines]


@contextmanager
def run_sink(directory: Path) -> Iterator[Sink]:
    """A sink for the length of a test."""
    file = directory / "sink.jsonl"
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.sink", str(file)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield Sink(file, int(process.stdout.readline()))
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    file: Path
    released = Event()
    lock = Lock()
    began: list[str]
    beginning = Condition()

    def do_GET(self) -> None:
        least = int(self.path.rpartition("=")[2])
        with self.beginning:
            self.beginning.wait_for(lambda: len(self.began) >= least, 60)
            answer = json.dumps(self.began).encode()
        self._answer(200, answer)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/release":
            self.released.set()
            self._answer(200)
            return
        with self.beginning:
            self.began.append(self.path)
            self.beginning.notify_all()
        if self.path.startswith("/hold"):
            self.released.wait(60)
        line = json.dumps([self.path, time.time(), json.loads(body)]) + "\n"
        with self.lock, self.file.open("a") as file:
            file.write(line)
        if self.path.startswith("/cut"):
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
            self.close_connection = True
            return
        status = next((status for start, status in REFUSALS.items() if self.path.startswith(start)), 200)
        self._answer(status)

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if status == 503:
            self.send_header("Retry-After", "7200")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is printed."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Of a client that was killed nothing is printed."""


def main() -> None:
    """Serve until killed."""
    _Handler.file = Path(sys.argv[1])
    _Handler.began = []
    with _Server(("127.0.0.1", 0), _Handler) as server:
        print(server.server_port, flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
