"""What may come between: a node that others take for dead, answers that are lost, reads that arrive too late."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from crdt_server.cluster.messenger import LETTER_BYTES, letters
from crdt_server.pipe import unpack
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
    """Lets the first call of a function return only when it is opened, with what it had found before."""

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


async def test_readers_of_a_dead_owner_hear_its_successor(nodes: Nodes) -> None:
    """Who only reads asks nothing, so nothing tells its node that the owner does not answer."""
    (one, two, _), (_, reader, writer) = await trio(nodes)
    one.die()
    writer.type("hello")
    await asyncio.gather(writer.sees("hello"), reader.sees("hello"))
    assert not two.owns() or reader.socket.closed is None


async def test_what_a_dead_owner_could_not_tell_comes_from_the_store(nodes: Nodes) -> None:
    (one, *_), (owners, *others) = await trio(nodes)
    one.bus.cut()
    owners.type("stored")
    await owners.sees("stored")
    one.die()
    await asyncio.gather(*(person.sees("stored") for person in others))


async def test_a_node_that_was_taken_for_dead_is_told_again(nodes: Nodes) -> None:
    """It was stopped for longer than a node lives, and wakes up."""
    one, two = await nodes.pair()
    here, there = await couple(one, two)
    one.cluster._gone({two.name})
    here.type("hello")
    await there.sees("hello")


async def test_an_owner_that_was_taken_for_dead_is_asked_again(nodes: Nodes) -> None:
    one, two = await nodes.pair()
    here, there = await couple(one, two)
    two.cluster._gone({one.name})
    there.type("hello")
    await here.sees("hello")
    assert one.owns()


async def test_a_claim_whose_answer_was_lost(nodes: Nodes) -> None:
    """The database says that the wedding is ours, and we do not know: nobody else could ever get it."""
    one, two = await nodes.pair()
    await one.storage.claim(["w"], one.name)
    assert not one.owns()
    there = two.person(2)
    there.type("hello")
    await there.sees("hello")
    assert two.owns()


async def test_a_claim_that_failed_is_made_again(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    """For somebody who only reads."""
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
    """As after a cut: what a dead node claims, the next who asks takes away from it."""
    one, two = await nodes.pair()
    (beating,) = [task for task in one.hub._tasks if "Owners.run" in str(task)]
    beating.cancel()
    async with asyncio.timeout(30):
        while one.name in await nodes.storage.nodes():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.05)
    here, there = await couple(one, two)
    there.type("hello")
    await here.sees("hello")
    assert one.cluster.owners.fences == {"w": 1}


async def test_a_wedding_that_was_away_in_between_is_judged_anew(nodes: Nodes) -> None:
    """Another node has owned it, and may have written, before this one heard that it had lost it."""
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


async def test_a_refusal_under_an_old_number_takes_nothing(nodes: Nodes) -> None:
    one = await nodes.start()
    here = one.person(1)
    await here.is_synced()
    fence = one.cluster.owners.fences["w"]
    one.cluster.owners.disown({"w": fence - 1})
    assert one.owns()
    assert here.socket.closed is None


async def test_a_read_that_arrives_when_the_wedding_is_at_home(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it brings is known; told again it would set the number of the document back."""
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
    await until(lambda: there.room.phase.value == "live" and not there.room.away)
    await there.sees("missed a")
    there.type("b")
    await there.sees("missed ab")
    late.open()
    await until(lambda: not any("_read_missing" in str(task) for task in two.hub._tasks))
    there.type("c")
    await there.sees("missed abc")
    assert there.socket.closed is None
    assert await nodes.stored_text() == "missed abc"


async def lost_on_its_way_home(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> tuple[Node, Node, Person, Gate]:
    """The second node has claimed the wedding and still reads what it missed of it, and the third has taken it since.

    Both, the person at the second one, and the gate of what it reads.
    """
    (one, two, three), (_, there, third) = await trio(nodes)
    third.leave()
    late = Gate(two.storage.updates_after)
    monkeypatch.setattr(two.storage, "updates_after", late)
    claim = three.cluster.dispatcher._claim
    monkeypatch.setattr(three.cluster.dispatcher, "_claim", lambda _: None)  # the second is first, however slow it is
    await one.hub.stop()
    await asyncio.wait_for(late.reached.wait(), 30)
    assert two.owns()
    await nodes.storage.release(two.name, ["w"])
    monkeypatch.setattr(three.cluster.dispatcher, "_claim", claim)
    await three.cluster.owners.claim(["w"])
    await two.cluster.owners.beat()
    assert not two.owns()
    return two, three, there, late


async def test_a_wedding_that_is_lost_on_its_way_home(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    _, three, there, late = await lost_on_its_way_home(nodes, monkeypatch)
    third = three.person(4)
    late.open()
    third.type("hello")
    await there.sees("hello")
    there.type(" world")
    await third.sees("hello world")


async def test_a_wedding_that_is_lost_and_won_again_on_its_way_home(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read is older than what the owner in between has stored."""
    two, three, there, late = await lost_on_its_way_home(nodes, monkeypatch)
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


def test_messages_travel_together_but_not_too_many() -> None:
    small, large = [1, "k", b"x" * 100], [2, "k", b"y" * (LETTER_BYTES // 3)]
    messages = [small, large, large, small, large, [3, b"z" * 2 * LETTER_BYTES], small]
    sent = list(letters(messages))
    assert len(sent) > 2
    assert all(len(letter) <= LETTER_BYTES + 10 or len(unpack(letter)) == 1 for letter in sent)
    assert [message for letter in sent for message in unpack(letter)] == messages
    assert list(letters([])) == []
