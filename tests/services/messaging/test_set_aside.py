"""An event that cannot be routed: it is set aside after a second try, and everything else is routed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, timedelta

import pytest
from sqlalchemy import Connection

from crdt_server.counters import Counters
from crdt_server.services.messaging.router import EventRouter
from storage import DerivedRecords, DocumentKey, NewEvent, StoredEvent
from tests.services.messaging.conftest import AT, World

pytestmark = pytest.mark.asyncio(loop_scope="module")

NUMBER, POISON = 7, 4


async def put_events(world: World, poison: object = 2) -> None:
    """Events of a record a minute apart; one has another priority than the others."""
    events = []
    for each in range(NUMBER):
        at = (AT + timedelta(minutes=each)).astimezone(UTC).isoformat(timespec="milliseconds")
        body = {"root": "vendors", "actor": {"user": "server", "role": "server"}, "fields": ["stage"]}
        body |= {"priority": poison if each == POISON else 2, "before": {"stage": "a"}, "after": {"stage": f"{each}"}}
        events.append(NewEvent("vendor.booked", at.replace("+00:00", "Z"), "v_1", json.dumps(body)))
    await world.storage.append([], [DerivedRecords(DocumentKey(world.wedding, "wedding"), events=events)])


async def try_twice(world: World, router: EventRouter) -> list[list[str]]:
    """The items of one of the couple after each of two sweeps."""
    found = []
    for _ in range(2):
        await router.sweep()
        await router._route_apart()
        items = await world.storage.inbox(world.wedding, "ben")
        found.append([json.loads(each.params)["after"] for each in items])
    return found


async def test_an_event_that_cannot_be_decided_about_is_set_aside(world: World) -> None:
    await world.begin("undecided")
    await world.settle()
    counters = Counters()
    router = world.router(counters=counters)
    await put_events(world, poison="no number")
    expected = [str(each) for each in range(NUMBER)]
    assert await try_twice(world, router) == [expected[:POISON], expected[:POISON] + expected[POISON + 1 :]]
    assert (counters.routing_skipped, router.lag_events) == (1, 0)


async def test_an_event_that_a_projection_cannot_take_reaches_people_and_the_other_projections(world: World) -> None:
    await world.begin("unprojected")
    await world.settle()
    seen: list[int] = []

    def break_one(connection: Connection, wedding: str, events: Sequence[StoredEvent]) -> None:
        if any(json.loads(each.body)["after"]["stage"] == str(POISON) for each in events):
            raise ValueError("a defect")

    def see(connection: Connection, wedding: str, events: Sequence[StoredEvent]) -> None:
        seen.extend(each.seq for each in events)

    counters = Counters()
    router = world.router(counters=counters, projections=[break_one, see])
    before = await world.storage.event_head(world.wedding)
    await put_events(world)
    expected = [str(each) for each in range(NUMBER)]
    assert await try_twice(world, router) == [expected[:POISON], expected]
    assert sorted(set(seen)) == [before + 1 + each for each in range(NUMBER)]
    assert (counters.routing_skipped, router.lag_events) == (1, 0)
