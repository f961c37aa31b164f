"""Events that one node has stored reach inboxes once, and readers on every node; also when that node has died."""

from __future__ import annotations

import asyncio
import json

from starlette.datastructures import State

from crdt_server.access.identity import Identity
from crdt_server.access.policy import default_policy
from crdt_server.access.policy_access import NoMembers, PolicyAccess
from crdt_server.access.token_access import TokenOrDevAccess
from crdt_server.messaging import Messaging
from crdt_server.services.changes import ChangeLimit
from crdt_server.services.messaging.router import EventRouter
from documents.derived import find
from storage import DerivedRecords, DocumentKey, NewEvent, Storage
from tests.cluster.conftest import Node, Nodes
from tests.support.rights import put_member

ACCESS = TokenOrDevAccess(PolicyAccess(lambda *_: Identity("", ""), NoMembers(), find_derived=find))  # type: ignore[arg-type,return-value]


def route_at(node: Node) -> EventRouter:
    state = State({"access": ACCESS, "policy": default_policy(), "changes": ChangeLimit()})
    messaging = Messaging(node.hub, state, {})
    node.hub.spawn(messaging.router.run())
    return messaging.router


async def put_events(storage: Storage, *vendors: str) -> int:
    """An event `vendor.booked` of each; the number of the last."""
    body = json.dumps({"root": "vendors", "priority": 2, "actor": {"user": "x", "role": "planner"}})
    events = [NewEvent("vendor.booked", "2026-06-01T12:00:00.000Z", each, body) for each in vendors]
    firsts = await storage.append([], [DerivedRecords(DocumentKey("w", "wedding"), events=events)])
    return firsts["w"] + len(events) - 1


async def test_a_reader_on_another_node_is_woken_and_each_item_is_there_once(nodes: Nodes) -> None:
    first, second = await nodes.pair()
    await put_member(first.storage, "ben", "couple")
    for node in (first, second):
        route_at(node)
    with second.hub.events.listen("w", "ben") as ben, second.hub.events.listen("w", "pia") as pia:
        head = await put_events(first.storage, "v_1", "v_2")
        for node in (first, second):  # both are woken, and one of them stores it
            node.hub.publish_events("w", head)
        assert await ben.wait(30)
        assert not await pia.wait(0)
    found = await second.storage.inbox("w", "ben")
    assert [each.record for each in found] == ["v_1", "v_2"]


async def test_what_a_node_left_that_died_is_routed_by_another(nodes: Nodes) -> None:
    first, second = await nodes.pair()
    await put_member(first.storage, "ben", "couple")
    await put_events(first.storage, "v_1")
    first.die()
    router = route_at(second)
    async with asyncio.timeout(30):
        with second.hub.events.listen("w", "ben") as ben:
            while not await second.storage.inbox("w", "ben"):
                await ben.wait(1)
    await router.sweep()
    await router.route_all()
    assert len(await second.storage.inbox("w", "ben")) == 1
