"""Rare interleavings: a node that others take for dead, lost responses, reads that return too late."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from crdt_server.cluster.owners import LEASE_SECONDS
from crdt_server.rooms.hosted_document import Placement
from crdt_server.rooms.room import Phase
from storage import DocumentKey, StorageUnavailable
from tests.cluster.conftest import Node, Nodes, until
from tests.rooms.person import Person

NOTE = DocumentKey("w", "notes.a")


async def couple(one: Node, two: Node) -> tuple[Person, Person]:
    """A person at each; the first node owns the wedding."""
    here = one.person(1)
    await here.is_synced()
    there = two.person(2)
    await there.is_synced()
    return here, there


async def trio(nodes: Nodes) -> tuple[list[Node], list[Person]]:
    """Three nodes with a person each; the first owns the wedding."""
    all_ = [await nodes.start() for _ in range(3)]
    people = []
    for number, node in enumerate(all_, 1):
        people.append(node.person(number))
        await people[-1].is_synced()
    assert [node.owns() for node in all_] == [True, False, False]
    return all_, people


class Gate:
    """Delays the return of a function's first call until `open`."""

    def __init__(self, call: Callable[..., Coroutine[Any, Any, Any]]) -> None:
        self._call = call
        self._open = asyncio.Event()
        self.reached = asyncio.Event()

    async def __call__(self, *arguments: Any) -> Any:
        result = await self._call(*arguments)
        if not self.reached.is_set():
            self.reached.set()
            await asyncio.wait_for(self._open.wait(), 60)
        return result

    def open(self) -> None:
        self._open.set()


async def test_readers_get_the_updates_of_a_dead_owners_successor(nodes: Nodes) -> None:
    """A reader sends no request, so its node cannot detect a dead owner by a missing response."""
    (one, two, _), (_, reader, writer) = await trio(nodes)
    one.die()
    writer.type("hello")
    await asyncio.gather(writer.sees("hello"), reader.sees("hello"))
    assert not two.owns() or reader.socket.closed is None


async def test_updates_that_a_dead_owner_did_not_send_come_from_the_store(nodes: Nodes) -> None:
    (one, *_), (owners, *others) = await trio(nodes)
    one.bus.cut()
    owners.type("stored")
    await owners.sees("stored")
    one.die()
    await asyncio.gather(*(person.sees("stored") for person in others))


async def test_a_subscriber_taken_for_dead_gets_updates_again(nodes: Nodes) -> None:
    """It was stopped for longer than its lease, and wakes up."""
    one, two = await nodes.pair()
    here, there = await couple(one, two)
    one.cluster._on_gone({two.name})
    here.type("hello")
    await there.sees("hello")


async def test_an_owner_taken_for_dead_gets_requests_again(nodes: Nodes) -> None:
    one, two = await nodes.pair()
    here, there = await couple(one, two)
    two.cluster._on_gone({one.name})
    there.type("hello")
    await here.sees("hello")
    assert one.owns()


async def test_a_claim_whose_response_was_lost(nodes: Nodes) -> None:
    """The node owns the wedding without knowing it: unless it releases it, no other node can ever claim it."""
    one, two = await nodes.pair()
    await one.storage.claim(["w"], one.name)
    assert not one.owns()
    there = two.person(2)
    there.type("hello")
    await there.sees("hello")
    assert two.owns()


async def test_a_claim_that_failed_is_repeated(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here for a client that only reads."""
    (one, two, three), (_, reader, writer) = await trio(nodes)
    claim, failed = two.storage.claim, asyncio.Event()

    async def fail_once(*arguments: Any) -> Any:
        if failed.is_set():
            return await claim(*arguments)
        failed.set()
        raise StorageUnavailable("cut off")

    monkeypatch.setattr(two.storage, "claim", fail_once)
    await one.hub.stop()
    await asyncio.wait_for(failed.wait(), 30)
    writer.type("hello")
    await reader.sees("hello")
    assert three.owns() or two.owns()


async def test_a_node_whose_heartbeat_is_late_claims_as_one_that_lives(nodes: Nodes) -> None:
    """Otherwise the claim is void, and the next node to claim the wedding takes it."""
    one, two = await nodes.pair()
    (beating,) = [task for task in one.hub._tasks if "Owners.run" in str(task)]
    beating.cancel()
    async with asyncio.timeout(30):
        while one.name in await nodes.storage.nodes():  # noqa: ASYNC110 - no event reports it
            await asyncio.sleep(0.05)
    here, there = await couple(one, two)
    there.type("hello")
    await here.sees("hello")
    assert one.cluster.owners.fences == {"w": 1}


async def test_who_reaches_the_database_first_takes_nothing_from_the_others(nodes: Nodes) -> None:
    """The database was stopped for longer than a lease: all leases have ended, and no node has died."""
    one, two = await nodes.pair()
    here, there = await couple(one, two)
    for node in (one, two):
        (beating,) = [task for task in node.hub._tasks if "Owners.run" in str(task)]
        beating.cancel()
        await nodes.storage.heartbeat(node.name, -1)
        node.cluster.owners._heartbeat_at -= LEASE_SECONDS
    claim = asyncio.create_task(two.cluster.owners.claim(["w"]))
    async with asyncio.timeout(30):
        while await nodes.storage.nodes() != [two.name]:  # noqa: ASYNC110 - no event reports it
            await asyncio.sleep(0.005)
    await two.cluster.owners.heartbeat()
    await one.cluster.owners.heartbeat()
    await claim
    assert one.cluster.owners.fences == {"w": 1}
    there.type("hello")
    await here.sees("hello")


async def test_a_wedding_owned_by_another_node_in_between_is_loaded_again(nodes: Nodes) -> None:
    """The owner in between may have stored updates, before this node learns that it had lost the wedding."""
    one, _ = await nodes.pair()
    here = one.person(1)
    await here.is_synced()
    await nodes.storage.release(one.name, ["w"])
    await nodes.storage.claim(["w"], "another")
    await nodes.storage.release("another", ["w"])
    await one.cluster.owners.claim(["w"])
    await until(lambda: here.socket.closed is not None)
    assert here.socket.close_code == 1013
    here.enter()
    here.type("hello")
    await here.sees("hello")


async def test_a_refusal_of_an_old_fence_changes_nothing(nodes: Nodes) -> None:
    one = await nodes.start()
    here = one.person(1)
    await here.is_synced()
    fence = one.cluster.owners.fences["w"]
    one.cluster.owners.disown({"w": fence - 1})
    assert one.owns()
    assert here.socket.closed is None


async def test_a_read_that_returns_after_the_takeover(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its rows are known by then; to send them again would reset the sequence number of the room."""
    one, two = await nodes.pair()
    here, there = await couple(one, two)
    late = Gate(two.storage.updates_after)
    monkeypatch.setattr(two.storage, "updates_after", late)
    two.bus.cut()
    for seen in ("missed", "missed "):  # the message about the last may still be on its way, the first is lost
        here.type(seen[len(str(here.replica)) :])
        await here.sees(seen)
    two.bus.rejoin()
    await asyncio.wait_for(late.reached.wait(), 30)
    await one.hub.stop()
    await until(two.owns)
    there.type("a")
    await until(lambda: there.room.phase is Phase.LIVE and there.room.hosted.placement is Placement.HOST)
    await there.sees("missed a")
    there.type("b")
    await there.sees("missed ab")
    late.open()
    await until(lambda: not any("_read_missing" in str(task) for task in two.hub._tasks))
    there.type("c")
    await there.sees("missed abc")
    assert there.socket.closed is None
    assert await nodes.stored_text() == "missed abc"


async def lost_during_takeover(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> tuple[Node, Node, Person, Gate]:
    """The second node has claimed the wedding and still reads missing updates, when the third takes the wedding.

    Returns both, the person at the second node, and the gate of its read.
    """
    (one, two, three), (_, there, third) = await trio(nodes)
    third.leave()
    late = Gate(two.storage.updates_after)
    monkeypatch.setattr(two.storage, "updates_after", late)
    takeover = three.cluster.dispatcher._takeover
    claim = takeover.claim
    monkeypatch.setattr(takeover, "claim", lambda _: None)  # so that the second is the first to claim it
    await one.hub.stop()
    await asyncio.wait_for(late.reached.wait(), 30)
    assert two.owns()
    await nodes.storage.release(two.name, ["w"])
    monkeypatch.setattr(takeover, "claim", claim)
    await three.cluster.owners.claim(["w"])
    await two.cluster.owners.heartbeat()
    assert not two.owns()
    return two, three, there, late


async def test_a_wedding_that_is_lost_during_its_takeover(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    _, three, there, late = await lost_during_takeover(nodes, monkeypatch)
    third = three.person(4)
    late.open()
    third.type("hello")
    await there.sees("hello")
    there.type(" world")
    await third.sees("hello world")


async def test_a_wedding_that_is_lost_and_claimed_again_during_its_takeover(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows that were read are older than those of the owner in between."""
    two, three, there, late = await lost_during_takeover(nodes, monkeypatch)
    two.bus.cut()
    third = three.person(4)
    third.type("hello")
    await third.sees("hello")
    await nodes.storage.release(three.name, ["w"])
    await two.cluster.owners.claim(["w"])
    assert two.owns()
    late.open()
    await there.sees("hello")
    there.type(" world")
    await there.sees("hello world")
