"""Requests that are large, or bring much back: they cross the bus, and nobody at the node of their sender waits."""

from __future__ import annotations

import pytest

from crdt_server.access.identity import Identity
from crdt_server.app import bus_queue_bytes
from crdt_server.cluster import remote_dispatcher
from crdt_server.cluster.messages import RemoteRequest, RequestMessage, UpdateMessage, encode_batches
from crdt_server.pipe import RequestKind
from crdt_server.rooms.session import SessionId
from crdt_server.settings import Settings
from storage import DocumentKey
from storage.bus import SendQueue
from tests.cluster.conftest import Nodes, until
from tests.support.codec import encode_sync_step1
from tests.support.wire import state_vector

KEY = DocumentKey("w", "notes.a")
SOCKETS, READS = 20, 10


def test_the_largest_frame_crosses_the_bus() -> None:
    """It would be lost each time it is sent, and every loss has all nodes of its channel subscribe anew."""
    settings = Settings()
    update = bytes(settings.max_frame_bytes)
    request = RemoteRequest(1, SessionId(1), Identity("mal", "couple"), "192.0.2.1", RequestKind.UPDATE, update)
    requested, stored = SendQueue(bus_queue_bytes(settings)), SendQueue(bus_queue_bytes(settings))
    (batch,) = encode_batches([RequestMessage("node", KEY, [request])])
    assert requested.put("node.a", batch)
    (batch,) = encode_batches([UpdateMessage(KEY, 1, update)])
    assert stored.put("node.b", batch)
    assert stored.put("node.c", batch)


async def test_reads_of_one_person_keep_nobody_waiting_at_another_node(nodes: Nodes) -> None:
    """80 bytes of a sync step 1 bring a whole document back: few of them are under way at a time."""
    one, two = await nodes.pair()
    here = one.person(1)
    await here.is_synced()
    assert one.owns()
    here.type("x" * 100_000)
    await here.has_length(100_000)
    there = two.person(2)
    await there.has_length(100_000)
    flood = [two.person(100 + number) for number in range(SOCKETS)]
    for person in flood:
        for number in range(READS):
            person.send(encode_sync_step1(state_vector({1000 * person.replica.client_id + number: 1})))
    await until(lambda: KEY in two.cluster.dispatcher.remotes)
    remote = two.cluster.dispatcher.remotes[KEY]
    most = 0

    def is_done() -> bool:
        nonlocal most
        most = max(most, sum(request.kind is RequestKind.DIFF for request in remote._pending.values()))
        there.read()
        return there.saved and not remote.waits and not remote.room.inbox

    there.type("y")
    await until(is_done)
    assert most <= remote_dispatcher.MOST_LARGE + 1  # and the one that all newcomers share


async def test_edits_behind_those_that_are_denied_are_sent(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all that was taken in a turn is denied, there may be more of that sender, and others come behind it."""
    monkeypatch.setattr(remote_dispatcher, "SILENCE_SECONDS", 3600.0)  # else all is sent anew after a second
    one, two = await nodes.pair()
    here = one.person(1)
    await here.is_synced()
    there, reader = two.person(2), two.person(3)
    await there.is_synced()
    await reader.is_synced()
    remote = two.cluster.dispatcher.remotes[KEY]
    for _ in range(5):
        reader.type("x" * 3000)
    reader.session.reads_only = True
    await until(lambda: not remote.room.inbox, 10)
    there.type("y")
    await here.sees("y")
