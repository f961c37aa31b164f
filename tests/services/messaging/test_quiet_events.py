"""Events that nobody is informed of: the cursor moves over them, they are not read, and nothing is missed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from crdt_server.counters import Counters
from crdt_server.services.messaging.quiet_events import QuietEvents
from crdt_server.services.messaging.router import EventRouter
from storage import EventSpan, RoutedCursor, StorageError, StoredEvent, UnroutedWedding
from storage.messaging_tables import routed
from tests.services.messaging.conftest import AT, World
from tests.services.messaging.test_router import BOOKED, put_events, stages
from tests.support.databases import run_sql
from tests.support.gate import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUIET = "guest.changed"


def is_loud(event: StoredEvent) -> bool:
    return event.type == BOOKED


async def put(world: World, router: EventRouter, number: int, type_: str = QUIET) -> Sequence[StoredEvent]:
    """Store events, and report them to a router as their commit does."""
    head = await world.storage.event_head(world.wedding)
    await put_events(world, number, type_=type_)
    events = await world.storage.events(world.wedding, after=head)
    router.wake(world.wedding, events[-1].seq, events)
    return events


async def cursor(world: World) -> int:
    found = await run_sql(world.url, routed.select().where(routed.c.wedding == world.wedding))
    return int(found[0][1]) if found else 0


async def test_the_cursor_moves_over_them_without_a_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.begin("quiet")
    await world.settle()
    counters = Counters()
    router = world.router(concerns=is_loud, counters=counters)
    await put(world, router, 3)
    events = await put(world, router, 2)
    monkeypatch.setattr(world.storage, "plan_routing", None)
    assert router.lag_events == 0
    await router.sweep()
    assert router.lag_events == 0
    await router.quiet.pass_over(router.wake)
    assert (await cursor(world), counters.routed_events) == (events[-1].seq, 5)


async def test_the_first_events_of_a_wedding_may_be_quiet(world: World) -> None:
    world.wedding = "quiet from the start"
    router = world.router(concerns=is_loud)
    await put(world, router, 2)
    await router.quiet.pass_over(router.wake)
    assert await cursor(world) == 2


async def test_a_sweep_leaves_them_alone_while_the_cursor_moves(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.begin("moving")
    await world.settle()
    router = world.router(concerns=is_loud)
    first = await put(world, router, 2)
    move = world.storage.pass_over

    async def sweep_first(spans: Sequence[EventSpan]) -> list[RoutedCursor]:
        await put(world, router, 1)
        await router.sweep()
        assert router.lag_events == 0
        return await move(spans)

    with monkeypatch.context() as patched:
        patched.setattr(world.storage, "pass_over", sweep_first)
        await router.quiet.pass_over(router.wake)
    assert await cursor(world) == first[-1].seq
    await router.sweep()
    assert router.lag_events == 0


async def test_what_comes_behind_them_is_routed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.begin("loud")
    await world.settle()
    router = world.router(concerns=is_loud)
    await put(world, router, 2)
    events = await put(world, router, 1, BOOKED)
    assert router.lag_events == 1
    plan = world.storage.plan_routing

    async def plan_as_others_write(*arguments: Any) -> Any:
        page = await plan(*arguments)
        await put(world, router, 1)
        return page

    with monkeypatch.context() as patched:
        patched.setattr(world.storage, "plan_routing", plan_as_others_write)
        await router.route_batch()
    assert (await stages(world), await cursor(world)) == ([("booked 0", 1)], events[-1].seq)
    assert router.lag_events == 0  # the event since is quiet: the wedding is not behind for ever
    await router.quiet.pass_over(router.wake)
    assert await cursor(world) == events[-1].seq + 1


async def test_what_another_process_stored_before_or_between_is_read(world: World) -> None:
    await world.begin("others")
    await world.settle()
    router = world.router(concerns=is_loud)
    await put_events(world, 1)
    await put(world, router, 1)
    await router.quiet.pass_over(router.wake)
    assert (router.lag_events, await stages(world)) == (1, [])
    await router.route_batch()
    assert await stages(world) == [("booked 0", 1)]
    await router.route_batch()
    await put(world, router, 1)
    await put_events(world, 1, record="v_2")
    await put(world, router, 1)
    assert router.lag_events == 1
    await router.route_all()
    assert await stages(world) == [("booked 0", 1), ("booked 0", 1)]


async def test_a_wedding_with_webhooks_has_its_events_read(world: World) -> None:
    await world.begin("hooked")
    await world.settle()
    url = {"url": "https://x", "secrets": "[]", "types": "[]", "id": "whk_q", "by": "aroha", "reason": ""}
    await world.put("webhooks", **url, at=AT)
    counters = Counters()
    router = world.router(concerns=is_loud, counters=counters)
    await put(world, router, 1)
    await router.quiet.pass_over(router.wake)
    assert router.lag_events == 1
    await router.route_batch()
    assert (await world.channels(QUIET), counters.routed_events) == ({"whk_q": "webhook"}, 1)
    await router.route_batch()
    await put(world, router, 1)
    assert router.lag_events == 1  # at once: it is known to have webhooks


async def test_they_are_read_where_the_cursor_cannot_be_moved(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.begin("refused")
    await world.settle()
    router = world.router(concerns=is_loud)
    events = await put(world, router, 1)

    async def refuse(spans: object) -> None:
        raise StorageError("no")

    with monkeypatch.context() as patched:
        patched.setattr(world.storage, "pass_over", refuse)
        await router.quiet.pass_over(router.wake)
    await router.route_batch()
    assert await cursor(world) == events[-1].seq


async def test_a_running_router_moves_cursors_by_itself(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crdt_server.services.messaging.quiet_events.PASS_SECONDS", 0.01)
    await world.begin("running")
    await world.settle()
    counters = Counters()
    router = world.router(concerns=is_loud, counters=counters)
    running = asyncio.create_task(router.run())
    try:
        events = await put(world, router, 2)
        await until(lambda: counters.routed_events == 2)
        assert await cursor(world) == events[-1].seq
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_crash_leaves_them_to_the_next_start(world: World) -> None:
    await world.begin("crashed")
    await world.settle()
    events = await put(world, world.router(concerns=is_loud), 2)
    assert await cursor(world) < events[-1].seq
    await world.router(concerns=is_loud).route_all()
    assert await cursor(world) == events[-1].seq


async def test_weddings_with_webhooks_are_remembered_within_a_bound(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crdt_server.services.messaging.quiet_events.MOST_WITH_WEBHOOKS", 2)
    quiet = QuietEvents(world.storage, is_loud, Counters())
    for name in ("a", "b", "c"):
        quiet._remember(name)
    event = StoredEvent(1, QUIET, "", "guests", "g_1", "{}")
    assert [quiet.add(name, [event]) for name in ("a", "b", "c")] == [True, False, False]
    assert quiet.covers(UnroutedWedding("a", 0, 1))
    assert not quiet.covers(UnroutedWedding("a", 0, 2))
