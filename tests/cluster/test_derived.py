"""Derived documents at a node that does not own their wedding: nothing is sent there that is not shown any more."""

from __future__ import annotations

from tests.cluster.conftest import Node, Nodes, until
from tests.hub.derived import Reader

SECRET = "Quarrel at the altar"  # noqa: S105 - no password


async def planner_and_guest(one: Node, two: Node) -> tuple[Reader, Reader]:
    """A planner at the node that owns the wedding, and a guest at the other."""
    planner = Reader(one.hub, "timeline", 11)
    await planner.is_synced()
    planner.add("items", "i_1", {"title": "Ceremony", "visibility": "public"})
    planner.add("items", "i_2", {"title": SECRET})
    await planner.until(lambda rows: True)
    guest = Reader(two.hub, "timeline@public", 12, "guest")
    await guest.until(lambda rows: rows["items"] == {"i_1": {"title": "Ceremony"}})
    assert one.owns()
    assert not two.owns()
    return planner, guest


async def guest_at(owner: Node) -> Reader:
    """Another guest, at the node that owns the wedding."""
    here = Reader(owner.hub, "timeline@public", 14, "guest")
    await here.until(lambda rows: list(rows["items"]) == ["i_1"])
    return here


async def show_and_hide(planner: Reader, here: Reader) -> None:
    """Let guests see the secret for a moment, and another item from then on."""
    planner.set("items", "i_2", visibility="public")
    await here.until(lambda rows: len(rows["items"]) == 2)
    planner.set("items", "i_2", visibility="team")
    await here.until(lambda rows: len(rows["items"]) == 1)
    planner.add("items", "i_3", {"title": "Dance", "visibility": "public"})
    await here.until(lambda rows: len(rows["items"]) == 2)


async def until_shown(reader: Reader, *records: str) -> None:
    """Wait until these items are here, however often the socket is closed on the way."""

    def there() -> bool:
        if reader.socket.closed is not None:
            reader.enter()
        return reader.rows["items"].keys() == set(records)

    while not there():
        await reader.socket.until(lambda: reader.socket.closed is not None or there())


async def test_edits_reach_the_other_node_and_come_back(nodes: Nodes) -> None:
    one, two = await nodes.pair()
    planner, guest = await planner_and_guest(one, two)
    planner.set("items", "i_1", title="Vows")
    await guest.until(lambda rows: rows["items"] == {"i_1": {"title": "Vows"}})
    planner.set("items", "i_1", **{"vendor:v_lens": True})
    lens = Reader(two.hub, "timeline@v.v_lens", 13, "photographer", vendor="v_lens")
    await lens.until(lambda rows: list(rows["items"]) == ["i_1"])
    lens.set("items", "i_1", status="ready", title=SECRET)
    await planner.until(lambda rows: rows["items"]["i_1"].get("status") == "ready")
    await guest.until(lambda rows: rows["items"] == {"i_1": {"title": "Vows", "status": "ready"}})
    await lens.until(lambda rows: rows["items"]["i_1"]["title"] == "Vows")
    assert len(lens.denied) == 1
    assert SECRET.encode() not in guest.received_bytes() + lens.received_bytes()


async def test_what_was_missed_is_not_read_from_the_store(nodes: Nodes) -> None:
    one, two = await nodes.pair()
    planner, guest = await planner_and_guest(one, two)
    here = await guest_at(one)
    two.bus.cut()
    await show_and_hide(planner, here)
    two.bus.rejoin()
    await until_shown(guest, "i_1", "i_3")
    newcomer = Reader(two.hub, "timeline@public", 15, "guest")
    await newcomer.until(lambda rows: rows["items"].keys() == {"i_1", "i_3"})
    assert SECRET.encode() in here.received_bytes()
    assert SECRET.encode() not in guest.received_bytes() + newcomer.received_bytes()


async def test_after_a_takeover_nothing_is_sent_that_is_not_shown_any_more(nodes: Nodes) -> None:
    one, two = await nodes.pair()
    planner, guest = await planner_and_guest(one, two)
    here = await guest_at(one)
    one.bus.cut()
    await show_and_hide(planner, here)
    one.die()
    await until_shown(guest, "i_1", "i_3")
    newcomer = Reader(two.hub, "timeline@public", 15, "guest")
    await newcomer.until(lambda rows: rows["items"].keys() == {"i_1", "i_3"})
    assert two.owns()
    assert SECRET.encode() not in guest.received_bytes() + newcomer.received_bytes()


async def hide(planner: Reader) -> None:
    """Hide the only item that guests are shown, and show another one."""
    planner.set("items", "i_1", visibility="team")
    planner.add("items", "i_3", {"title": "Dance", "visibility": "public"})
    await planner.until(lambda rows: rows["items"]["i_1"]["visibility"] == "team")


async def planner_and_guest_who_see_the_secret(one: Node, two: Node) -> tuple[Reader, Reader]:
    planner, guest = await planner_and_guest(one, two)
    planner.set("items", "i_1", title=SECRET)
    await guest.until(lambda rows: rows["items"] == {"i_1": {"title": SECRET}})
    again = Reader(two.hub, "timeline@public", 16, "guest")  # has it as the reply to a newcomer
    await again.until(lambda rows: rows["items"] == {"i_1": {"title": SECRET}})
    return planner, guest


async def take_over(nodes: Nodes, one: Node, two: Node) -> None:
    """As after a long stop of the owner, which has not learned yet that another node has taken the wedding."""
    one.stop_heartbeats()
    await nodes.storage.release("node-0", ["w"])
    two.cluster.owners.forget("w")
    two.cluster.dispatcher.resubscribe(["w"])
    await until(two.owns)


async def planner_at(node: Node) -> Reader:
    planner = Reader(node.hub, "timeline", 17)
    await planner.is_synced()
    return planner


async def test_a_node_that_is_cut_off_shows_newcomers_nothing_that_was_hidden_since(nodes: Nodes) -> None:
    one, two = await nodes.pair()
    planner, _ = await planner_and_guest_who_see_the_secret(one, two)
    one.bus.cut()
    await hide(planner)
    newcomer = Reader(two.hub, "timeline@public", 15, "guest")
    one.bus.rejoin()
    await until_shown(newcomer, "i_3")
    assert SECRET.encode() not in newcomer.received_bytes()


async def test_after_a_takeover_edits_reach_readers_who_request_nothing(nodes: Nodes) -> None:
    one, two = await nodes.pair()
    _, guest = await planner_and_guest_who_see_the_secret(one, two)
    await take_over(nodes, one, two)
    await hide(await planner_at(two))
    await until_shown(guest, "i_3")


async def test_a_node_that_lost_the_wedding_shows_newcomers_nothing_that_was_hidden_since(nodes: Nodes) -> None:
    one, two = await nodes.pair()
    await planner_and_guest_who_see_the_secret(one, two)
    here = Reader(one.hub, "timeline@public", 18, "guest")
    await here.until(lambda rows: rows["items"] == {"i_1": {"title": SECRET}})
    await take_over(nodes, one, two)
    await hide(await planner_at(two))
    assert one.owns()
    newcomer = Reader(one.hub, "timeline@public", 15, "guest")
    await until_shown(newcomer, "i_3")
    assert not one.owns()
    assert SECRET.encode() not in newcomer.received_bytes()
