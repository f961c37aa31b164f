"""A redacted message on several nodes: nobody who comes later is sent its text, whichever node they come to."""

from __future__ import annotations

from storage import DocumentKey
from tests.cluster.conftest import Nodes
from tests.rooms.message_writer import Writer
from tests.support.mirrored import Mirror
from tests.support.stored_bytes import tables_with

TEXT = "the ring is under the oak"
KEY = DocumentKey("w", "thread.t")


async def test_newcomers_at_every_node_after_the_owner_has_written_it_anew(nodes: Nodes) -> None:
    owner, other = await nodes.pair()
    here = Writer(owner.hub, KEY.document, 11)
    here.say("m1", TEXT)
    await here.arrived("m1")
    there = Writer(other.hub, KEY.document, 12)
    there.say("m2", "Hello")
    for writer in (here, there):
        await writer.arrived("m1")
        await writer.arrived("m2")
    early = Writer(other.hub, KEY.document, 13)
    await early.arrived("m2")
    assert TEXT.encode() in b"".join(early.socket.arrived), "the other node keeps the reply to newcomers"
    here.redact("m1")
    for writer in (here, there, early):
        await writer.emptied("m1")
    await Mirror(nodes.storage).follow()
    await other.hub.purger.purge_pending()
    assert await tables_with(nodes.storage, TEXT) == ["updates"], "it is the owner's"
    await owner.hub.purger.purge_pending()
    assert await tables_with(nodes.storage, TEXT) == []
    early.enter()  # somebody who comes back: from now on the node may reply to newcomers by itself
    (room,) = other.hub.rooms.values()
    await early.until(lambda: room.replies.state_vector is not None)
    for number, node in enumerate((other, owner), 20):
        late = Writer(node.hub, KEY.document, number)
        await late.arrived("m2")
        frames = b"".join(late.socket.arrived)
        assert b"Hello" in frames
        assert TEXT.encode() not in frames, node.name
    late.say("m3", "I am late")
    await there.arrived("m3")
    assert there.socket.closed is None
