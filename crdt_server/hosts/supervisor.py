"""Supervision of one document host: start it, send it one batch at a time, detect its death, start the next.

A `HostProcess` is one child process. A `Supervisor` replaces the child, and reports for each death whether the host
caused it (a crash, a panic, memory, the watchdog) or was killed from outside: only the first follows from the batch.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol, cast

import structlog

from crdt_server.pipe import (
    LENGTH,
    MAX_FRAME_BYTES,
    Batch,
    BatchResponse,
    Job,
    RoomRequests,
    decode_response,
    frame,
)
from crdt_server.progress_mark import ProgressMark

log = structlog.get_logger(__name__)

PIPE_BUFFER_BYTES = 4 << 20
WATCHDOG_BYTES_PER_SECOND = 1 << 20
WATCHDOG_TICKS = 10  # in the time of a batch; a stall of this process, however long, uses up one of them
START_SECONDS = 60.0  # for the interpreter, on a machine that is busy with others
CPU_LIMIT = "CPU time"
SPARES = 2  # one deadly request takes two hosts: the first dies in the batch, the second of the request alone
# After the first host, and between two. An interpreter takes 0.2 to 0.3 s of CPU, for which those wait who come back
# after a restart; one at a time leaves them a core.
SPARES_AFTER_SECONDS, SPARES_APART_SECONDS = 5.0, 2.0
PACKAGE_PARENT = str(Path(__file__).resolve().parents[2])


class HostDied(Exception):
    """The host is gone. ``mark``: the room and request that it worked on; ``own_fault``: it was not killed from
    outside."""

    def __init__(self, mark: tuple[int, int], own_fault: bool, cause: str) -> None:
        super().__init__(cause)
        self.mark = mark
        self.own_fault = own_fault
        self.cause = cause

    @property
    def certain(self) -> bool:
        """Whether the marked request alone is the cause: it used up the CPU time of one request."""
        return self.cause == CPU_LIMIT


class Child(Protocol):
    """The part of `subprocess.Popen` that is used."""

    @property
    def pid(self) -> int: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def kill(self) -> None: ...


Spawn = Callable[[Sequence[int], Sequence[int]], Child]
"""Starts the program of a host, given its arguments and the file descriptors it inherits."""


def spawn_interpreter(arguments: Sequence[int], descriptors: Sequence[int]) -> Child:
    """Start an interpreter with an empty environment, and with no file descriptors but these."""
    return subprocess.Popen(
        [sys.executable, "-m", "crdt_server.judge.process", *map(str, arguments)],
        pass_fds=descriptors,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env={
            "PYTHONPATH": os.pathsep.join([PACKAGE_PARENT, *filter(None, sys.path)]),
            "MALLOC_ARENA_MAX": "2",
            "MALLOC_MMAP_THRESHOLD_": "1048576",
        },
        # A Ctrl-C meant for the server must not take the hosts first. Not a session of its own: Linux gives
        # each session the same share of the CPU, and niceness counts only inside one.
        process_group=0,
    )


class HostProcess(asyncio.Protocol):
    """One child process and its pipe. One request at a time."""

    def __init__(self) -> None:
        self._response: asyncio.Future[memoryview | None] | None = None
        self._received = bytearray()
        self._killed_for: str | None = None
        self._ticks_left = 0
        self._transport: asyncio.Transport
        self.lost = False

    @classmethod
    async def start(cls, memory_bytes: int, max_document_bytes: int, spawn: Spawn = spawn_interpreter) -> HostProcess:
        """Spawn a child and connect to it."""
        ours, theirs = socket.socketpair()
        mark_fd = os.memfd_create("host-progress")
        try:
            os.ftruncate(mark_fd, ProgressMark.SIZE)
            for end in (ours, theirs):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, PIPE_BUFFER_BYTES)
            mark = ProgressMark(mark_fd)
            mark.set(*ProgressMark.STARTING)
            descriptors = (theirs.fileno(), mark_fd)
            # Returns in about a millisecond; there is a spare one anyway.
            process = spawn((*descriptors, memory_bytes, max_document_bytes), descriptors)
        finally:
            theirs.close()
            os.close(mark_fd)
        loop = asyncio.get_running_loop()
        _, host = await loop.create_connection(cls, sock=ours)
        host._process = process
        host._mark = mark
        host._start_deadline = loop.time() + START_SECONDS
        return host

    _process: Child
    _mark: ProgressMark
    _start_deadline: float
    _watchdog: asyncio.TimerHandle

    @property
    def pid(self) -> int:
        return self._process.pid

    async def run(self, batch: Batch, timeout_seconds: float, *, others_wait: bool = True) -> BatchResponse:
        """Send one batch and wait for the response. ``others_wait``: as `interrupt`. Raises HostDied."""
        data = frame(batch)
        self._mark.set_waiting(others_wait)
        loop = asyncio.get_running_loop()
        self._response = loop.create_future()
        if self.lost:
            raise await self._death()
        self._ticks_left = WATCHDOG_TICKS
        self._tick_later((timeout_seconds + len(data) / WATCHDOG_BYTES_PER_SECOND) / WATCHDOG_TICKS)
        self._transport.write(data)
        try:
            body = await self._response
            if body is None:
                raise await self._death()
            return decode_response(body)
        except (ValueError, RecursionError) as error:  # too deep is no ValueError
            self.kill("broken response")
            raise await self._death() from error
        finally:
            self._watchdog.cancel()
            self._response = None

    @property
    def is_idle(self) -> bool:
        """Whether it has no batch."""
        return self._response is None

    def interrupt(self) -> None:
        """Others wait for the end of the batch."""
        self._mark.set_waiting(True)

    def _tick_later(self, seconds: float) -> None:
        self._watchdog = asyncio.get_running_loop().call_later(seconds, self._tick, seconds)

    def _tick(self, seconds: float) -> None:
        """One tick of the watchdog. Neither the start of the interpreter counts, nor a stall of this process, after
        which the response may lie unread in the pipe.
        """
        starting = self._mark.get() == ProgressMark.STARTING
        if not starting or asyncio.get_running_loop().time() > self._start_deadline:
            self._ticks_left -= 1
        if self._ticks_left:
            self._tick_later(seconds)
        else:
            self.kill("watchdog")

    async def _death(self) -> HostDied:
        code = await asyncio.to_thread(self._process.wait)
        mark = self._mark.get()
        if mark == ProgressMark.STARTING:
            mark = ProgressMark.IDLE
        self._mark.close()
        own_fault = self._killed_for is not None or code != -signal.SIGKILL
        cause = CPU_LIMIT if code == -signal.SIGPROF else f"exit {code}"
        return HostDied(mark, own_fault, self._killed_for or cause)

    def kill(self, why: str) -> None:
        """End the child at once; ``why`` makes the death its own fault."""
        self._killed_for = why
        self._process.kill()

    async def stop(self) -> None:
        """Close the pipe, which ends an idle child, and reap it."""
        self._transport.close()
        try:
            await asyncio.wait_for(asyncio.to_thread(self._process.wait, 2), 3)
        except (subprocess.TimeoutExpired, TimeoutError):
            self._process.kill()
            await asyncio.to_thread(self._process.wait)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name

    def data_received(self, data: bytes) -> None:
        received = self._received
        received += data
        if len(received) < LENGTH.size:
            return
        (size,) = LENGTH.unpack_from(received)
        if size > MAX_FRAME_BYTES:
            self.kill("oversized answer")
            return
        if len(received) >= LENGTH.size + size:
            self._received = bytearray()
            self._settle(memoryview(received)[LENGTH.size : LENGTH.size + size])

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self._settle(None)

    def _settle(self, body: memoryview | None) -> None:
        if self._response is not None and not self._response.done():
            self._response.set_result(body)


class HostFactory:
    """Starts host processes, and keeps spare ones, but for the first seconds, in which they are started one by one: a
    dead host is replaced without waiting for an interpreter."""

    def __init__(self, *, memory_bytes: int, max_document_bytes: int, spawn: Spawn = spawn_interpreter) -> None:
        self._spawn_child = spawn
        self._memory_bytes = memory_bytes
        self._max_document_bytes = max_document_bytes
        self._spares: deque[asyncio.Task[HostProcess]] = deque()
        self._next_spare: asyncio.TimerHandle | None = None  # while the first ones are started
        self._keeps_spares = False

    async def take(self) -> HostProcess:
        """A running process. Spare ones are started behind it, or some seconds later."""
        process = await self._spares.popleft() if self._spares else await self._spawn()
        if process.lost:
            process = await self._spawn()
        if self._keeps_spares:
            while len(self._spares) < SPARES:
                self._start_spare()
        elif self._next_spare is None:
            self._start_spare_later(SPARES_AFTER_SECONDS)
        return process

    def _start_spare_later(self, seconds: float) -> None:
        self._next_spare = asyncio.get_running_loop().call_later(seconds, self._start_first_spares)

    def _start_first_spares(self) -> None:
        if len(self._spares) < SPARES:
            self._start_spare()
            self._start_spare_later(SPARES_APART_SECONDS)
        else:
            self._keeps_spares = True

    def _start_spare(self) -> None:
        self._spares.append(asyncio.create_task(self._spawn()))

    async def _spawn(self) -> HostProcess:
        return await HostProcess.start(self._memory_bytes, self._max_document_bytes, self._spawn_child)

    async def stop(self) -> None:
        """End the spare processes."""
        if self._next_spare is not None:
            self._next_spare.cancel()
        while self._spares:
            await (await self._spares.popleft()).stop()


class Supervisor:
    """The place of one host. `run` starts a child where there is none; after HostDied the next `run` starts another."""

    def __init__(
        self,
        name: str,
        factory: HostFactory,
        *,
        timeout_seconds: float,
        niceness: int = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self._clock = clock
        self._niceness = niceness
        self.restarts = 0
        self._deaths = 0  # in a row, without an answered batch between
        self._factory = factory
        self._timeout_seconds = timeout_seconds
        self._process: HostProcess | None = None

    @property
    def pid(self) -> int | None:
        """The process id of the living child, for operators and tests."""
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Start the child, so that the first edit does not wait for it."""
        while self._process is None:
            await asyncio.sleep(self._pause_seconds())
            try:
                self._process = await self._factory.take()
                if self._niceness:
                    with suppress(ProcessLookupError):  # it is dead already; the first request to it reports that
                        own = os.getpriority(os.PRIO_PROCESS, 0)
                        os.setpriority(os.PRIO_PROCESS, self._process.pid, own + self._niceness)
            except OSError as error:
                self._deaths += 1
                log.error("document_host_not_started", host=self.name, error=str(error))

    def _pause_seconds(self) -> float:
        """The delay before the next start: 0 at first, and longer while children die one after the other."""
        return 0.0 if self._deaths < 4 else min(2.0, 0.05 * 2 ** min(self._deaths - 4, 10))

    async def run(
        self, rooms: Sequence[RoomRequests], jobs: Sequence[Job] = (), *, others_wait: bool = True
    ) -> BatchResponse:
        """One batch; ``others_wait`` for its end. Raises HostDied; the child's documents are gone then."""
        await self.start()
        assert self._process is not None
        try:
            batch = Batch(self._clock(), list(rooms), list(jobs))
            response = await self._process.run(batch, self._timeout_seconds, others_wait=others_wait)
            self._deaths = 0
            return response
        except HostDied as death:
            self._process = None
            self.restarts += 1
            self._deaths += 1
            log.warning("document_host_died", host=self.name, cause=death.cause, own_fault=death.own_fault)
            raise

    def interrupt(self) -> None:
        """Others wait for the end of the batch in flight: what can go on later does."""
        if self._process is not None:
            self._process.interrupt()

    @property
    def is_idle(self) -> bool:
        """Whether there is a child, and it has no batch."""
        return self._process is not None and self._process.is_idle

    async def renew(self) -> None:
        """End an idle child: what it holds goes with it. The next batch starts another one."""
        if self._process is not None and self._process.is_idle:
            process, self._process = self._process, None
            await process.stop()

    async def kill(self, why: str) -> HostDied:
        """Kill the child for its response. Returns the error to raise."""
        process, self._process = self._process, None
        if process is not None:
            process.kill(why)
            await process.stop()
        self.restarts += 1
        log.warning("document_host_died", host=self.name, cause=why, own_fault=True)
        return HostDied(ProgressMark.IDLE, True, why)

    async def stop(self) -> None:
        """End the child."""
        if self._process is not None:
            process, self._process = self._process, None
            await process.stop()
