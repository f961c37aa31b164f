"""A command that its estimate lets pass, and that uses up its CPU time all the same: its host is ended."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

import pytest

from crdt_server.access.identity import Identity
from crdt_server.access.limits import person_at
from crdt_server.hosts.supervisor import HostFactory
from crdt_server.hub.commands import OperationsRefusedError, carry_out
from crdt_server.hub.hub import Hub
from crdt_server.metrics import Metrics
from crdt_server.operations import Operation
from crdt_server.settings import Settings
from storage import Storage
from tests.hub.test_weddings import read_rows

ADA, HOME = Identity("ada", "couple"), "192.0.2.1"
SHORT_LIMIT = """
import sys
from crdt_server.judge import commands, host_commands, process
host_commands.write_limit_seconds = lambda size_bytes: 0.02
commands.WRITTEN_AT_ONCE = 10_000
process.main(sys.argv[1:])
"""


def spawn(arguments: Sequence[int], descriptors: Sequence[int]) -> subprocess.Popen[bytes]:
    """A host whose commands are written in one step, and have 20 ms for it."""
    command = [sys.executable, "-c", SHORT_LIMIT, *map(str, arguments)]
    return subprocess.Popen(
        command, pass_fds=descriptors, stdin=subprocess.DEVNULL, env=os.environ | {"PYTHONPATH": "."}
    )


def inserts(count: int) -> list[Operation]:
    return [
        {"op": "insert", "root": "guests", "record": f"g_{n}", "value": {"firstName": f"Guest {n}"}}
        for n in range(count)
    ]


async def test_it_is_refused_as_too_expensive_and_nothing_is_done(storage: Storage) -> None:
    settings = Settings(dev=True, document_hosts=1, host_timeout_seconds=60)
    factory = HostFactory(memory_bytes=0, max_document_bytes=settings.max_document_bytes, spawn=spawn)
    hub = Hub(settings, storage, Metrics(), None, factory)
    await hub.start()
    try:
        with pytest.raises(OperationsRefusedError) as refused:
            await carry_out(hub, "w", ADA, HOME, [("guests", inserts(1_500))])
        assert [each["code"] for each in refused.value.problems] == ["too_expensive"]
        assert hub.hosts.dispatchers[0].supervisor.restarts == 1
        assert not any((await read_rows(hub)).values())
        assert await storage.quarantined() == []
        assert set(hub.strikes._of_persons._strikes) == {person_at(ADA, HOME)}
    finally:
        await hub.stop()
