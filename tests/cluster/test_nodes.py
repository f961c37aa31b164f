"""Two nodes and their clients: an edit at one node reaches the clients of the other, whatever fails between them."""

from __future__ import annotations

import asyncio
import json

import pytest

from crdt_server.access.identity import Identity
from crdt_server.cluster import subscribers
from crdt_server.cluster.messages import EventsMessage, encode
from crdt_server.hub import ticks
from crdt_server.hub.commands import IdempotentCommands, carry_out, names_of
from crdt_server.hub.http_sync import sync
from crdt_server.pipe import Bytes, RequestKind
from crdt_server.rooms.awareness_states import write_states
from crdt_server.rooms.room import Phase
from crdt_server.rooms.session import Request
from storage import DocumentKey
from tests.cluster.conftest import Node, Nodes, until
from tests.hub.test_weddings import Guide
from tests.rooms.person import Person
from tests.support.codec import encode_awareness, encode_update

ADA = Identity("ada", "couple")


async def couple(one: Node, two: Node, document: str = "notes.a") -> tuple[Person, Person]:
    """A person at each; the first node owns the wedding."""
    here = one.person(1, document)
    await here.is_synced()
    there = two.person(2, document)
    await there.is_synced()
    assert one.owns()
    assert not two.owns()
    return here, there


async def test_two_people_at_two_nodes_write_one_note(nodes: Nodes) -> None:
    here, there = await couple(*await nodes.pair())
    here.type("hello")
    await there.sees("hello")
    there.type(" world")
    await asyncio.gather(here.sees("hello world"), there.sees("hello world"))
    assert await nodes.stored_text() == "hello world"


async def test_many_edits_at_once(nodes: Nodes) -> None:
    one, two = await nodes.pair()
    here, there = await couple(one, two)
    for _ in range(200):
        here.type("a", 0)
        there.type("b", 0)
    await asyncio.gather(here.has_length(400), there.has_length(400))
    assert str(here.replica) == str(there.replica) == await nodes.stored_text()


async def test_a_later_client_gets_everything(nodes: Nodes) -> None:
    one, two = await nodes.pair()
    here, there = await couple(one, two)
    there.type("hello")
    await here.sees("hello")
    late = [node.person(9 + n) for n, node in enumerate((one, two))]
    for person in late:
        await person.sees("hello")


async def test_a_gap_is_healed_across_nodes(nodes: Nodes) -> None:
    here, there = await couple(*await nodes.pair())
    there.replica.type("lost ")
    there.type("seen")
    await asyncio.gather(here.sees("lost seen"), there.sees("lost seen"))


async def test_a_large_update_and_a_hostile_one(nodes: Nodes) -> None:
    one, two = await nodes.pair()
    here, there = await couple(one, two)
    there.type("x" * 100_000)
    await here.has_length(100_000)
    bad = two.person(3)
    await bad.is_synced()
    bad.send(b"\0\2\5hello")
    await until(lambda: bad.socket.closed is not None)
    assert bad.socket.close_code == 4400
    there.type("y")
    await here.has_length(100_001)


async def test_a_schema_is_kept_across_nodes(nodes: Nodes) -> None:
    one, two = await nodes.pair()
    here = Guide(one.hub, 11)
    await here.is_synced()
    there = Guide(two.hub, 12)
    await there.is_synced()
    there.put("g_1", side="of no side")
    await asyncio.gather(here.knows("g_1"), there.knows("g_1"))
    await until(lambda: bool(_read(there).denied))
    assert here.guests == there.guests == {"g_1": {"firstName": "g_1"}}
    assert json.loads(there.denied[0])["reverted"][0]["key"] == "side"
    assert await nodes.storage.owners(DocumentKey("w", "guests")) == {12: "user-12"}
    rows = await two.hub.request(DocumentKey("w", "guests"), ADA, "test", Request(None, RequestKind.READ, b""))
    assert isinstance(rows, Bytes)
    assert json.loads(rows.data)["guests"].keys() == {"g_1"}


def _read(person: Person) -> Person:
    person.read()
    return person


async def test_events_reach_every_node(nodes: Nodes) -> None:
    one, two = await nodes.pair()
    here = Guide(one.hub, 11)
    await here.is_synced()
    with two.hub.events.listen("w") as listener:
        here.put("g_1")
        await here.knows("g_1")
        while not listener.head:
            assert await listener.wait(10)
        assert (await nodes.storage.events("w"))[0].type == "guest.added"


async def test_a_phone_syncs_at_any_node(nodes: Nodes) -> None:
    one, two = await nodes.pair()
    here, _ = await couple(one, two)
    here.type("hello")
    await here.sees("hello")
    phone = Person(two.hub, "notes.a", 5)
    await phone.sees("hello")
    update = phone.replica.type("!")
    await sync(two.hub, DocumentKey("w", "notes.a"), ADA, "192.0.2.7", phone.replica.state_vector, update)
    await here.sees("hello!")


async def test_a_response_too_long_for_the_bus_comes_from_the_store(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscribers, "RESPONSE_BYTES", 1_000)
    one, two = await nodes.pair()
    here, there = await couple(one, two)
    here.type("x" * 5_000)
    await there.has_length(5_000)
    for client in range(5, 8):  # while it is edited
        late = two.person(client)
        here.type("y" * 10, 0)
        await late.has_length(5_010 + 11 * (client - 5))
        late.type("z")
    await here.has_length(5_033)


async def test_a_newcomer_gets_the_stored_document_while_the_owner_is_silent(nodes: Nodes) -> None:
    one, two = await nodes.pair()
    here, there = await couple(one, two)
    here.type("stored")
    await there.sees("stored")
    one.bus.cut()
    late, phone = two.person(5), Person(two.hub, "notes.a", 6)
    await late.sees("stored")
    await phone.sees("stored")
    late.type(" and more")
    assert here.socket.closed is there.socket.closed is None
    one.bus.rejoin()
    await asyncio.gather(*(person.sees("stored and more") for person in (here, there, late)))
    assert await nodes.stored_text() == "stored and more"


def state(name: str, clock: int, client: int) -> bytes:
    return encode_awareness(write_states([(client, clock, json.dumps({"name": name}))]))


def names(person: Person) -> set[str]:
    states = person.room.presence.awareness.states.clients
    return {json.loads(held.text)["name"] for held in states.values()}


async def test_presence_at_both_nodes(nodes: Nodes) -> None:
    here, there = await couple(*await nodes.pair())
    here.send(state("ann", 1, 1))
    await until(lambda: names(there) == {"ann"})
    there.send(state("zoë 💍", 1, 2))
    await until(lambda: names(here) == {"ann", "zoë 💍"})
    await until(lambda: any(b"zo" in frame for frame in here.socket.outbox))
    here.leave()
    await until(lambda: names(there) == {"zoë 💍"})


async def test_presence_reaches_a_node_that_opens_the_room_later(nodes: Nodes) -> None:
    one, two = await nodes.pair()
    here = one.person(1)
    here.send(state("ann", 1, 1))
    await until(lambda: names(here) == {"ann"})
    there = two.person(2)
    await until(lambda: names(there) == {"ann"})


async def test_no_presence_is_published_while_no_other_node_has_the_room(nodes: Nodes) -> None:
    one, two = await nodes.pair()
    said: list[str] = []
    publish = one.bus.publish
    one.bus.publish = lambda channel, message: said.append(channel) or publish(channel, message)  # type: ignore[method-assign,func-returns-value]
    here = one.person(1)
    await here.is_synced()
    begin = said.count("presence.w/notes.a")
    here.send(state("ann", 1, 1))
    await until(lambda: names(here) == {"ann"})
    assert said.count("presence.w/notes.a") == begin
    there = two.person(2)
    await until(lambda: names(there) == {"ann"})
    here.send(state("anna", 2, 1))
    await until(lambda: names(there) == {"anna"})
    there.leave()

    def evicted() -> bool:
        two.evict_idle()  # a room with something in flight stays
        return ("w", "notes.a") not in two.hub.rooms

    await until(evicted)
    await asyncio.sleep(0)
    before = said.count("presence.w/notes.a")
    here.send(state("ann", 3, 1))
    await until(lambda: names(here) == {"ann"})
    assert said.count("presence.w/notes.a") == before
    again = two.person(3)
    await until(lambda: names(again) == {"ann"})


async def test_a_malformed_presence_message_is_dropped(nodes: Nodes) -> None:
    one, two = await nodes.pair()
    here, there = one.person(1), two.person(2)
    for message in (b"", b"\xc1", b"\x92\x01", encode(EventsMessage("w", 1))):
        one.bus.publish("presence.w/notes.a", message)
    here.send(state("ann", 1, 1))
    await until(lambda: names(there) == {"ann"})


async def test_the_same_person_at_another_node(nodes: Nodes) -> None:
    """The old socket is still open."""
    one, two = await nodes.pair()
    here, there = one.person(1), two.person(2)
    here.send(state("ann", 1, 1))
    await until(lambda: names(there) == {"ann"})
    again = two.person(1)
    again.send(state("ann moved", 2, 1))
    await until(lambda: names(here) == names(there) == {"ann moved"})
    here.leave()
    here_again = one.person(3)
    here_again.send(state("bob", 1, 3))
    await until(lambda: names(there) == {"ann moved", "bob"})


async def test_a_graceful_end_hands_over(nodes: Nodes) -> None:
    one, two = await nodes.pair()
    here, there = await couple(one, two)
    there.type("before ")
    await here.sees("before ")
    await one.hub.stop()
    assert here.socket.close_code == 1012
    there.type("after")
    await there.sees("before after")
    assert two.owns()
    assert there.socket.closed is None
    assert await nodes.stored_text() == "before after"


async def test_edits_on_their_way_when_the_owner_ends(nodes: Nodes) -> None:
    one, two = await nodes.pair()
    _, there = await couple(one, two)
    for _ in range(20):
        there.type("x")
    stopping = asyncio.create_task(one.hub.stop())
    for _ in range(20):
        there.type("y")
        await asyncio.sleep(0)
    await stopping
    await there.sees("x" * 20 + "y" * 20)
    assert await nodes.stored_text() == "x" * 20 + "y" * 20


async def test_the_bus_is_interrupted(nodes: Nodes) -> None:
    one, two = await nodes.pair()
    here, there = await couple(one, two)
    two.bus.cut()
    here.type("here ")
    await here.sees("here ")
    there.type("there ")
    two.bus.rejoin()
    await until(lambda: len(str(_read(there).replica)) == len(str(_read(here).replica)) == 11)
    assert str(here.replica) == str(there.replica) == await nodes.stored_text()


async def test_missed_updates_come_from_the_store(nodes: Nodes) -> None:
    """No edit follows the reconnection of the bus."""
    one, two = await nodes.pair()
    here, there = await couple(one, two)
    two.bus.cut()
    here.type("missed")
    await here.sees("missed")
    two.bus.rejoin()
    await there.sees("missed")


async def test_a_node_that_lost_a_wedding_stores_nothing(nodes: Nodes) -> None:
    """As after a long stop: another node has taken the wedding, and this node has not learned it yet."""
    one, two = await nodes.pair()
    here, there = await couple(one, two)
    one.stop_heartbeats()
    await nodes.storage.release("node-0", ["w"])
    two.cluster.owners.forget("w")
    await two.cluster.owners.claim(["w"])
    assert one.owns()
    assert two.owns()
    here.type("lost?")
    await until(lambda: here.socket.closed is not None)
    assert here.socket.close_code == 1013
    assert not one.owns()
    here.enter()
    await here.sees("lost?")
    assert await nodes.stored_text() == "lost?"
    await there.sees("lost?")


async def test_a_node_that_lost_a_wedding_refuses_nothing_for_good(nodes: Nodes) -> None:
    """Its documents are outdated: edits that another node has accepted look forged to its hosts."""
    one, two = await nodes.pair()
    here = Guide(one.hub, 11)
    await here.is_synced()
    there, third = Guide(two.hub, 12), Guide(two.hub, 13)
    there.put("g_1")
    await asyncio.gather(here.knows("g_1"), there.knows("g_1"), third.knows("g_1"))
    one.stop_heartbeats()
    await nodes.storage.release("node-0", ["w"])
    two.cluster.owners.forget("w")
    two.cluster.dispatcher.resubscribe(["w"])
    there.put("g_2")
    await asyncio.gather(there.knows("g_1", "g_2"), third.knows("g_1", "g_2"))
    assert one.owns()
    assert two.owns()
    third.leave()
    third.hub = one.hub
    third.enter()
    await third.socket.until(lambda: _read(third).socket.closed is not None)
    assert third.socket.close_code == 1013
    assert not one.owns()
    third.enter()
    third.put("g_3")
    await asyncio.gather(third.knows("g_1", "g_2", "g_3"), there.knows("g_1", "g_2", "g_3"))


async def test_a_dead_owner_is_followed_by_another_node(nodes: Nodes) -> None:
    """Its lease ends without a message."""
    one, two = await nodes.pair()
    _, there = await couple(one, two)
    one.bus.cut()
    for task in list(one.hub._tasks):
        task.cancel()
    there.type("still here")
    await there.sees("still here")
    assert two.owns()
    assert there.socket.closed is None


async def test_a_wedding_without_open_documents_is_released(nodes: Nodes) -> None:
    one, two = await nodes.pair()
    here = one.person(1)
    await here.is_synced()
    here.leave()
    one.evict_idle()
    assert here.room.phase is Phase.DEAD
    await until(lambda: not one.owns())
    there = two.person(2)
    await there.is_synced()
    assert two.owns()


async def test_a_room_with_subscribers_is_not_evicted(nodes: Nodes) -> None:
    one, two = await nodes.pair()
    here, there = await couple(one, two)
    here.leave()
    one.evict_idle()
    assert one.owns()
    there.type("x")
    await there.sees("x")
    there.leave()
    await until(lambda: not two.hub.dispatcher_for(there.room).busy(there.room))
    two.evict_idle()
    await until(lambda: here.room.update_subscriber is None)
    one.evict_idle()
    await until(lambda: not one.owns())


@pytest.mark.parametrize("count", [3])
async def test_three_nodes(nodes: Nodes, count: int) -> None:
    people = []
    for n in range(count):
        node = await nodes.start()
        people.append(node.person(n + 1))
        await people[-1].is_synced()
    for person in people:
        person.type("abc")
    await asyncio.gather(*(person.has_length(9) for person in people))
    assert len({str(person.replica) for person in people}) == 1


async def test_one_command_at_two_nodes_at_once_is_carried_out_once(nodes: Nodes) -> None:
    one, two = await nodes.pair()
    guide = Guide(one.hub, 11)
    await guide.is_synced()
    parts = [("guests", [{"op": "insert", "root": "guests", "record": "g_1", "value": {"firstName": "Ada"}}])]
    names = names_of(ADA, "once", parts)

    async def ask(node: Node) -> tuple[str, bool]:
        answers = IdempotentCommands(node.hub.storage)
        return await answers.once("w", names, lambda: carry_out(node.hub, "w", ADA, "192.0.2.9", parts, names))

    told = await asyncio.gather(*(ask(node) for node in (one, two, one, two)))
    assert {body for body, _ in told} == {'{"operations": 1}'}
    assert sorted(replayed for _, replayed in told) == [False, True, True, True]
    assert await nodes.storage.event_head("w") == 1
    assert guide.socket.closed is None


async def test_what_a_full_wedding_refuses_at_another_node_is_stored_when_there_is_room(
    nodes: Nodes,
) -> None:
    one, two = await nodes.pair()
    here, there = await couple(one, two)
    here.type("hello")
    await there.sees("hello")
    here.room.hosted.quota.full = True
    for letter in " you":
        there.type(letter)
    await there.socket.until(lambda: bool(_read(there).denied))
    here.send(encode_update(here.replica.erase(0, 1)))
    await asyncio.gather(here.sees("ello"), there.has_length(len("ello you")))
    here.room.hosted.quota.full = False
    two.hub.ticks.retry_deferred(two.hub.time() + ticks.RETRY_SECONDS)
    await asyncio.gather(here.sees("ello you"), there.sees("ello you"))
    assert [json.loads(notice)["code"] for notice in there.denied] == ["over_quota"]
