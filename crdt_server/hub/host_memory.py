"""The memory of the document hosts: a document takes many times its stored bytes there, and how many is measured."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence

import structlog

from crdt_server.hosts.dispatcher import HostDispatcher
from crdt_server.hosts.supervisor import Supervisor
from crdt_server.memory import Usage, usage_of
from crdt_server.metrics import Metrics
from crdt_server.rooms.room import Room

log = structlog.get_logger(__name__)

FULL = 0.75  # of the address space: the rest is for batches and loads
USUAL_FACTOR, LEAST_FACTOR, MOST_FACTOR = 60.0, 14.0, 80.0  # 54 where all structs are small, 14 for long texts
COUNTED_ROOMS = 50  # with so many rooms their bytes are summed up after each change, with more of them less often
MEASURED_BYTES = 256 * 1024  # of built documents: fewer say little about the factor
NOTHING = Usage(0, 0)
RENEW_SECONDS = 5.0  # between two searches for idle hosts that have grown: a new one takes 0.2 s of CPU
GROWN_BYTES = 96 << 20  # of a host that holds nothing: a new one takes 40 MB


class HostMemory:
    """One host. ``limit_bytes`` is its address space; 0: no limit. ``rooms`` are those whose documents are there, or on
    the way."""

    def __init__(self, supervisor: Supervisor, limit_bytes: int) -> None:
        self._supervisor = supervisor
        self._limit_bytes = limit_bytes
        self._at_start: tuple[int, Usage] | None = None  # process id, and its memory without documents
        self.rooms: dict[Room, int] = {}  # -> stored bytes when it was loaded
        self._stored_bytes = 0  # of all rooms
        self._built_bytes = 0  # of those that are built
        self._count_after = 0  # so many changes they are summed up again: documents grow

    def add(self, room: Room, stored_bytes: int) -> None:
        """A document is on its way to the host."""
        self.rooms[room] = stored_bytes
        self._stored_bytes += stored_bytes
        self._count_after -= 1

    def remove(self, room: Room) -> None:
        """It is not there any more."""
        stored_bytes = self.rooms.pop(room, None)
        if stored_bytes is not None:
            self._stored_bytes -= max(stored_bytes, room.hosted.size)
            self._count_after -= 1

    @property
    def resident_bytes(self) -> int:
        """The memory of the process, 0 where there is none."""
        return self._measure()[1].resident_bytes

    def takes(self, stored_bytes: int) -> bool:
        """Whether there is memory for a document besides the others; for one alone there always is."""
        if self._count_after <= 0:
            self._count()
        start, usage = self._measure()
        if not self._limit_bytes or not self.rooms:
            return True
        # By what is resident: what was freed and kept for later stays in the address space.
        grown = usage.resident_bytes - start.resident_bytes
        factor = USUAL_FACTOR
        if self._built_bytes >= MEASURED_BYTES:
            factor = min(max(grown / self._built_bytes, LEAST_FACTOR), MOST_FACTOR)
        taken = max(grown, self._stored_bytes * factor)  # a document grows when it is built
        return start.address_bytes + taken + stored_bytes * factor <= FULL * self._limit_bytes

    def _count(self) -> None:
        self._stored_bytes = sum(max(size, room.hosted.size) for room, size in self.rooms.items())
        self._built_bytes = sum(room.hosted.size for room in self.rooms if room.hosted.built)
        self._count_after = len(self.rooms) // COUNTED_ROOMS

    def _measure(self) -> tuple[Usage, Usage]:
        """The memory of the process without documents, and now; zeros where there is none."""
        pid = self._supervisor.pid
        usage = None if pid is None else usage_of(pid)
        if pid is None or usage is None:
            return NOTHING, NOTHING
        if self._at_start is None or self._at_start[0] != pid:
            self._at_start = pid, usage  # before the first document of this process is loaded
        return self._at_start[1], usage


class HostMemories:
    """All hosts. ``evict`` ends those of some rooms that stand empty."""

    def __init__(
        self,
        supervisors: Iterable[Supervisor],
        limit_bytes: int,
        metrics: Metrics,
        evict: Callable[[Collection[Room]], None],
    ) -> None:
        self._hosts = {supervisor: HostMemory(supervisor, limit_bytes) for supervisor in supervisors}
        self._metrics = metrics
        self._evict = evict
        metrics.gauge(
            "host_memory_bytes",
            "Resident memory of the document hosts",
            lambda: sum(host.resident_bytes for host in self._hosts.values()),
        )

    def admit(self, room: Room, stored_bytes: int, supervisor: Supervisor) -> bool:
        """Count a document that is about to be loaded into a host. False where the host has no memory for it, also
        without the rooms that stand empty."""
        host = self._hosts[supervisor]
        self.closed(room)
        if not host.takes(stored_bytes):
            self._evict(host.rooms.keys())
            if not host.takes(stored_bytes):
                log.warning("host_full", host=supervisor.name, room=room.name, stored_bytes=stored_bytes)
                self._metrics.hosts_full.inc()
                return False
        host.add(room, stored_bytes)
        return True

    def closed(self, room: Room) -> None:
        """The room has ended, or its document leaves its host."""
        for host in self._hosts.values():
            host.remove(room)


class IdleHosts:
    """Replaces hosts that hold nothing and have grown: their allocator keeps what documents took that are gone, in
    pages of which a small part is in use."""

    def __init__(self, dispatchers: Sequence[HostDispatcher], jobs: Sequence[Supervisor]) -> None:
        self._dispatchers = dispatchers
        self._jobs = jobs
        self._least: dict[Supervisor, int] = {}  # bytes that a host took when it held nothing

    async def run(self) -> None:
        """Replace them every RENEW_SECONDS, until cancelled."""
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            free = [each.supervisor for each in self._dispatchers if each.residency.is_empty and not each.in_flight]
            for supervisor in [each for each in (*free, *self._jobs) if each.is_idle and self._has_grown(each)]:
                await supervisor.renew()

    def _has_grown(self, supervisor: Supervisor) -> bool:
        usage = None if supervisor.pid is None else usage_of(supervisor.pid)
        if usage is None:
            return False
        least = self._least[supervisor] = min(self._least.get(supervisor, usage.resident_bytes), usage.resident_bytes)
        return usage.resident_bytes > max(GROWN_BYTES, 2 * least)
