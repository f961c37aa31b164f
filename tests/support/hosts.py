"""Document hosts in the process of the tests: forked from a template, in 5 ms instead of 300.

Tests of a host process by itself, and all server processes, start interpreters.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from crdt_server.cluster.cluster import Cluster
from crdt_server.hosts.supervisor import HostFactory
from crdt_server.hub.hub import Hub
from crdt_server.metrics import Metrics
from crdt_server.settings import Settings
from storage import Storage
from tests.support.templates import ROOT, ForkedChild, Template


@contextmanager
def forked_hosts() -> Iterator[None]:
    """Every factory of this process that is not told otherwise makes hosts of this kind."""
    with pytest.MonkeyPatch.context() as changed:
        changed.setitem(HostFactory.__init__.__kwdefaults__, "spawn", _spawn)
        yield


def _spawn(arguments: Sequence[int], descriptors: Sequence[int]) -> ForkedChild:
    return _TEMPLATE.fork(arguments[len(descriptors) :], descriptors)


def make_hub(settings: Settings, storage: Storage, cluster: Cluster | None = None) -> Hub:
    """A hub that is not started yet."""
    hub = Hub(settings, storage, Metrics(), cluster)
    if cluster is not None:
        cluster.join(hub)
    return hub


def _environment() -> dict[str, str]:
    # As `spawn_interpreter` sets it.
    return {
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)]),
        "MALLOC_ARENA_MAX": "2",
        "MALLOC_MMAP_THRESHOLD_": "1048576",
    }


_TEMPLATE = Template("tests.support.host_template", _environment)
