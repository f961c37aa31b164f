"""The numbers of messages when another node takes a wedding over."""

from __future__ import annotations

from pycrdt import Map

from tests.cluster.conftest import Nodes
from tests.rooms.message_writer import Writer


async def test_numbers_go_on_at_the_node_that_takes_over(nodes: Nodes) -> None:
    one, two = await nodes.pair()
    here = Writer(one.hub, "thread.t", 11)
    for number in range(3):
        here.say(f"a{number}", "Hello")
    await here.arrived("a2")
    there = Writer(two.hub, "thread.t", 12)
    await there.arrived("a2")
    one.die()
    for number in range(3):
        there.say(f"b{number}", "Are you there?")
    await there.arrived("b2")
    stamps = there.replica.doc.get("stamps", type=Map).to_py()
    assert stamps is not None
    assert {message: stamp["sequence"] for message, stamp in stamps.items()} == {
        **{f"a{number}": number + 1 for number in range(3)},
        **{f"b{number}": number + 4 for number in range(3)},
    }
