"""A real server process with a database of its own, to be killed, starved and started again on the same port."""

from __future__ import annotations

import asyncio
import resource
import shutil
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
from sqlalchemy import make_url

from storage import DocumentKey, open_storage
from tests.support.databases import ON_SQLITE, new_database
from tests.support.effort import promised
from tests.support.programs import Program, start_program

START_SECONDS = 120.0


def free_port() -> int:
    """A port that stays the same over restarts, so that clients find the server again."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


StartServer = Callable[..., Awaitable["CrashServer"]]


class CrashServer:
    """``start``, then any of ``kill``, ``terminate``, ``start`` again. ``settings`` are CRDT_SERVER_ variables."""

    def __init__(self, directory: Path, **settings: object) -> None:
        self._stack = ExitStack()
        self.database_url = self._stack.enter_context(new_database(directory, "demo"))
        self.database = Path(make_url(self.database_url).database or "")  # the file, where it is one
        self.log_file = directory / "server.log"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.ws_url = f"ws://127.0.0.1:{self.port}/ws"
        self._environment = {f"CRDT_SERVER_{name.upper()}": str(value) for name, value in settings.items()}
        self._process: Program

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def log(self) -> str:
        """Everything the server has logged, over all its lives."""
        return self.log_file.read_text()

    def socket_url(self, document: str, wedding: str = "w") -> str:
        return f"{self.ws_url}/{wedding}/{document}"

    def _spawn(self, *arguments: str, errors: int | None = None) -> Program:
        environment = {"PYTHONUNBUFFERED": "1"} | self._environment
        return start_program([*arguments, "--database-url", self.database_url], environment, errors)

    async def start(self) -> None:
        """Return when the server listens."""
        with self.log_file.open("ab") as log:
            self._process = self._spawn("serve", "--dev", "--port", str(self.port), errors=log.fileno())
        async with asyncio.timeout(START_SECONDS):
            line = await asyncio.to_thread(self._process.stdout.readline)
        assert b"listening on" in line, self.log[-3000:]

    def begin(self, *arguments: str) -> Program:
        """Start another command of the program on the same database."""
        return self._spawn(*arguments)

    async def command(self, *arguments: str) -> tuple[int, str]:
        """Run another command to its end: its exit code and what it printed."""
        process = self.begin(*arguments)
        with process.stdout:
            output = await asyncio.to_thread(process.stdout.read)
        return await asyncio.to_thread(process.wait), output.decode()

    async def kill(self) -> None:
        """SIGKILL: nothing can be tidied up."""
        self._process.kill()
        await self._ended()

    async def terminate(self, seconds: float = promised(10.0)) -> int:
        """SIGTERM, and the exit code, which has to come within ``seconds``."""
        self._process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(seconds):
            return await self._ended()

    async def _ended(self) -> int:
        code = await asyncio.to_thread(self._process.wait)
        self._process.stdout.close()
        return code

    async def stop(self) -> None:
        """End it somehow, at the end of a test."""
        if self._process.poll() is None:
            await self.kill()
        self._process.stdout.close()
        self._stack.close()

    # -- looking at it

    async def stored(self, document: str, wedding: str = "w") -> list[bytes]:
        """The rows of a document as they lie on the disk."""
        with self._copy() as url:
            store = await open_storage(url)
            try:
                return [row.update for row in (await store.load(DocumentKey(wedding, document))).updates]
            finally:
                await store.close()

    @contextmanager
    def _copy(self) -> Iterator[str]:
        """A copy of the file, so that the server finds what the crash left; another database is read as it is."""
        if not ON_SQLITE:
            yield self.database_url
            return
        with TemporaryDirectory() as directory:
            for file in self.database.parent.glob(f"{self.database.name}*"):
                if not file.name.endswith("-shm"):
                    shutil.copy(file, directory)
            yield f"sqlite:///{directory}/{self.database.name}"

    async def state(self, document: str, wedding: str = "w") -> bytes:
        """The whole document over HTTP."""
        async with httpx.AsyncClient(timeout=60) as http:
            answer = await http.get(f"{self.url}/api/weddings/{wedding}/documents/{document}/state")
            answer.raise_for_status()
            return answer.content

    async def status(self, path: str) -> int:
        """The HTTP status of a probe."""
        async with httpx.AsyncClient(timeout=60) as http:
            return (await http.get(self.url + path)).status_code

    async def metric(self, name: str) -> float:
        """One number of /metrics (a name with its labels); 0 where it is not there yet."""
        async with httpx.AsyncClient(timeout=60) as http:
            lines = (await http.get(f"{self.url}/metrics")).text.splitlines()
        return next((float(line.split()[-1]) for line in lines if line.startswith(name + " ")), 0.0)

    def hosts(self) -> list[int]:
        """Process ids of the living document hosts, the oldest first, spare ones at the end."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return [int(child) for child in children if _state(int(child)) not in "ZX"]

    def memory_bytes(self) -> int:
        """Resident memory of the serving process."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * resource.getpagesize()

    def limit_files(self, size_bytes: int) -> None:
        """No file of the server may grow beyond this: what a full disk looks like from inside. -1 lifts it."""
        _, hard = resource.prlimit(self.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (size_bytes, hard))


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"
