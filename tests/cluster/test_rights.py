"""Rights that change reach those who are connected to other nodes."""

from __future__ import annotations

from datetime import UTC, datetime

from crdt_server.access.access import Denied
from crdt_server.access.policy_access import PolicyAccess
from crdt_server.hub.rights_cache import HeldMembers
from storage import NewAuditEntry, NewEvent, StoredThread, ThreadChange
from tests.cluster.conftest import Nodes
from tests.support.rights import MembersAccess, member_of, put_member

REMOVED = 4403  # the reason is that of the node which was first: the person's own, or the owner of the document


async def test_all_sockets_of_a_removed_member_on_three_nodes_are_closed(nodes: Nodes) -> None:
    started = [await nodes.start(), await nodes.start(), await nodes.start()]
    for node in started:
        node.hub.rights.access = MembersAccess()
    gone = [member_of(node.hub, f"notes.{n}", 1) for node in started for n in range(40)]
    stay = [member_of(node.hub, "notes.1", 2) for node in started]
    await put_member(started[0].storage, "user-1", "guest", removed=True)
    started[0].hub.rights.changed("w")
    for person in gone:
        await person.socket.until(lambda person=person: person.socket.close_code == REMOVED)
    assert {person.socket.closed for person in stay} == {None}


async def test_a_message_that_was_lost_is_made_up_for(nodes: Nodes) -> None:
    first, second = await nodes.start(), await nodes.start()
    second.hub.rights.access = MembersAccess()
    person = member_of(second.hub, "notes.a", 1)
    second.bus.cut()
    await put_member(first.storage, "user-1", "guest", removed=True)
    first.hub.rights.changed("w")
    second.bus.rejoin()  # which reports that messages may be missing
    await person.socket.until(lambda: person.socket.close_code == REMOVED)


async def test_the_owner_takes_nothing_of_a_removed_member_of_another_node(nodes: Nodes) -> None:
    owner, other = await nodes.start(), await nodes.start()
    owner.hub.rights.access = MembersAccess()
    at_owner = member_of(owner.hub, "notes.a", 2)
    at_owner.type("mine ")
    await at_owner.sees("mine ")
    late = member_of(other.hub, "notes.a", 1)
    await late.sees("mine ")
    await put_member(owner.storage, "user-1", "guest", removed=True)
    await owner.hub.rights.cache.read("w")
    late.type("late ")
    await late.socket.until(lambda: late.socket.closed == (4403, "not allowed in this room any more"))
    at_owner.type("!")
    await at_owner.sees("mine !")


async def test_a_participant_that_was_removed_is_closed_on_each_node(nodes: Nodes) -> None:
    started = [await nodes.start(), await nodes.start(), await nodes.start()]
    at = datetime.now(UTC)
    thread = StoredThread("t", "Flowers", "general", "open", 3, "", "user-2", at, at)

    async def change(**users: tuple[str, ...]) -> None:
        entry = NewAuditEntry("2026-06-20T13:30:00Z", "user-2", "thread", "{}")
        event = NewEvent("thread.joined", "2026-06-20T13:30:00Z", "t", "{}")
        decided = ThreadChange(thread, at, entry, event, **users)
        await started[0].storage.change_thread("w", "t", "user-2", (), lambda _: decided)
        started[0].hub.rights.changed("w")

    for user in ("user-1", "user-2"):
        await put_member(started[0].storage, user, "guest")
    await change(added=("user-1", "user-2"))
    for node in started:
        members = HeldMembers()
        members.cache = node.hub.rights.cache
        node.hub.rights.access = PolicyAccess(lambda *_: Denied("unauthenticated", ""), members)
        await node.hub.rights.cache.read("w")
    gone = [member_of(node.hub, "thread.t", 1) for node in started]
    stay = [member_of(node.hub, "thread.t", 2) for node in started]
    await change(removed=("user-1",))
    for person in gone:
        await person.socket.until(lambda person=person: person.socket.close_code == REMOVED)
    assert {person.socket.closed for person in stay} == {None}
