"""The consumer of events: each event once, whatever happens; repeats merged; nobody who may not know."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection

from crdt_server.access.members import WeddingRights
from crdt_server.counters import Counters
from crdt_server.services.messaging import routing_pace
from crdt_server.services.messaging.router import PAGE_EVENTS
from crdt_server.services.messaging.routing_pace import RoutingPace
from storage import DeliveryValues, DerivedRecords, DocumentKey, NewEvent, StoredEvent, StoredItem, StoredRow
from storage.messaging_tables import outbox, routed
from tests.services.messaging.conftest import AT, PEOPLE, World
from tests.support.databases import run_sql

pytestmark = pytest.mark.asyncio(loop_scope="module")

BOOKED = "vendor.booked"
MESSAGE = {"from": "aroha", "at": "2026-06-01T12:00:00Z", "kind": "text", "body": "Hello @Pia"}


async def put_events(
    world: World, number: int, *, seconds: float = 60, type_: str = BOOKED, record: str = "v_1", **more: str
) -> None:
    """Events of one record, so many seconds apart, by nobody who is a member."""
    events = []
    for each in range(number):
        at = (AT + timedelta(seconds=each * seconds)).astimezone(UTC).isoformat(timespec="milliseconds")
        body = {"root": "vendors", "priority": 2, "actor": {"user": "server", "role": "server"}, "fields": ["stage"]}
        body |= {"before": {"stage": "quoted"}, "after": {"stage": f"booked {each}"}, **more}
        events.append(NewEvent(type_, at.replace("+00:00", "Z"), record, json.dumps(body)))
    await world.storage.append([], [DerivedRecords(DocumentKey(world.wedding, "wedding"), events=events)])


async def stages(world: World, user: str = "ben") -> list[tuple[str, int]]:
    """What somebody's items are about, and how many events each."""
    items: list[StoredItem] = []
    while page := await world.storage.inbox(world.wedding, user, after=items[-1].id if items else 0, limit=500):
        items += page
    return [(json.loads(each.params)["after"], each.events) for each in items]


async def test_nothing_rests_in_front_of_an_emergency(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.begin("emergency")
    await world.settle()
    rests: list[float] = []
    monkeypatch.setattr(routing_pace, "PIECE_SECONDS", 0.0)
    monkeypatch.setattr(RoutingPace, "rest_between", lambda _, seconds: rests.append(seconds) or 0.0)
    await put_events(world, 1)
    await world.settle()
    assert rests
    rests.clear()
    await world.edit("timeline", "emergencies", "e_1", {"kind": "power", "text": "dark", "severity": "error"})
    await world.router().route_all()
    assert await world.channels("emergency.raised")
    assert rests == []


async def test_each_event_is_routed_once_by_several_routers(world: World) -> None:
    await world.begin("once")
    await world.settle()
    number = 3 * PAGE_EVENTS + 7
    await put_events(world, number)
    await asyncio.gather(*(world.router().route_all() for _ in range(3)))
    assert await stages(world) == [(f"booked {each}", 1) for each in range(number)]
    keys = await run_sql(world.url, outbox.select().where(outbox.c.wedding == world.wedding, outbox.c.user == "ben"))
    assert len(keys) == len({row[1] for row in keys}) == number


async def test_nobody_is_informed_of_what_was_imported(world: World) -> None:
    await world.begin("imported")
    await world.settle()
    await put_events(world, 3, cause="import")
    await put_events(world, 1)
    await world.router().route_all()
    assert await stages(world) == [("booked 0", 1)]


async def test_a_router_that_is_killed_between_pages_loses_and_repeats_nothing(world: World) -> None:
    await world.begin("killed")
    await world.settle()
    number = 3 * PAGE_EVENTS
    await put_events(world, number)

    class Killed(Exception):
        pass

    def kill(connection: Connection, wedding: str, events: Sequence[StoredEvent]) -> None:
        if events[0].seq > after + PAGE_EVENTS:
            raise Killed

    ((_, after),) = await run_sql(world.url, routed.select().where(routed.c.wedding == world.wedding))
    with pytest.raises(Killed):
        await world.router(projections=[kill]).route_all()
    assert len(await stages(world)) == PAGE_EVENTS
    await world.router().route_all()
    assert await stages(world) == [(f"booked {each}", 1) for each in range(number)]


async def test_a_wedding_whose_events_cannot_be_routed_is_in_the_way_of_no_other(world: World) -> None:
    arrived = asyncio.Event()

    def break_one(connection: Connection, wedding: str, events: Sequence[StoredEvent]) -> None:
        if wedding == "broken":
            raise ValueError("a defect")

    router = world.router(projections=[break_one], on_inbox=lambda wedding, items, read: arrived.set())
    for name in ("broken", "whole"):
        await world.begin(name)
    await world.settle()
    for world.wedding in ("broken", "whole"):
        await put_events(world, 1)
    running = asyncio.create_task(router.run())
    try:
        async with asyncio.timeout(30):
            await arrived.wait()
        assert not running.done()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert await stages(world) == [("booked 0", 1)]
    assert router.lag_events == 1
    await world.router().route_all()
    world.wedding = "broken"
    assert await stages(world) == [("booked 0", 1)]


async def test_the_lag_is_that_of_the_oldest_event_between_two_pages_as_well(world: World) -> None:
    await world.begin("lag")
    await world.settle()
    await put_events(world, 2 * PAGE_EVENTS)
    age = timedelta(days=1)
    world.clock.now = AT + age
    router = world.router()
    await router.sweep()
    assert await router.route_batch([world.wedding]), "there is more"
    newest = timedelta(seconds=2 * PAGE_EVENTS * 60)
    assert (age - newest).total_seconds() <= router.lag_seconds <= age.total_seconds()
    await router.route_all()
    assert router.lag_seconds == 0


async def test_repeats_within_ten_seconds_are_one_item_in_a_page_and_across_pages(world: World) -> None:
    await world.begin("merged")
    await world.settle()
    await put_events(world, 5, seconds=4)  # at 0, 4, 8, 12 and 16 seconds
    await world.router().route_all()
    assert await stages(world) == [("booked 2", 3), ("booked 4", 2)]
    await world.begin("merged-later")
    await world.settle()
    router = world.router()
    for each in range(5):
        await put_events_at(world, each * 4, each)
        await router.route_all()
    assert await stages(world) == [("booked 2", 3), ("booked 4", 2)]
    held = await run_sql(world.url, outbox.select().where(outbox.c.wedding == world.wedding, outbox.c.user == "ben"))
    assert len(held) == 2


async def put_events_at(world: World, second: float, number: int) -> None:
    at = (AT + timedelta(seconds=second)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    body = {"root": "vendors", "priority": 2, "actor": {"user": "pia", "role": "planner"}, "fields": ["stage"]}
    body |= {"before": {"stage": "quoted"}, "after": {"stage": f"booked {number}"}}
    event = NewEvent(BOOKED, at, "v_1", json.dumps(body))
    await world.storage.append([], [DerivedRecords(DocumentKey(world.wedding, "wedding"), events=[event])])


async def test_other_records_types_and_people_are_not_merged(world: World) -> None:
    await world.begin("apart")
    await world.settle()
    for record in ("v_1", "v_2"):
        await put_events(world, 2, seconds=1, record=record)
    await put_events(world, 1, type_="vendor.confirmed")
    await world.router().route_all()
    assert sorted(await stages(world)) == [("booked 0", 1), ("booked 1", 2), ("booked 1", 2)]


async def test_whoever_acted_is_left_out_and_members_that_were_removed_are(world: World) -> None:
    await world.begin("left-out")
    await world.settle()
    await world.put_member(PEOPLE["ben"], removed=True)
    await put_events_at(world, 0, 0)  # by the planner
    await world.router().route_all()
    assert [user for user in PEOPLE if await world.storage.unread(world.wedding, user)] == ["aroha"]


async def test_rights_that_change_while_a_page_is_decided_count(world: World) -> None:
    await world.begin("changed")
    await world.settle()
    await put_events_at(world, 0, 0)
    before = await world.hub.rights.cache.read(world.wedding)
    await world.put_member(PEOPLE["ben"], removed=True)

    class Outdated:
        """The rights from before, until somebody has them read anew."""

        forgotten = False

        def of(self, wedding: str) -> WeddingRights | Awaitable[WeddingRights]:
            return world.hub.rights.cache.of(wedding) if self.forgotten else before

        def forget(self, wedding: str) -> None:
            self.forgotten = True

    rights = Outdated()
    await world.router(rights=rights).route_all()
    assert rights.forgotten
    assert await stages(world, "ben") == []
    assert await stages(world, "aroha") == [("booked 0", 1)]


async def test_what_was_read_is_not_announced_and_who_is_there_is_not_pushed(world: World) -> None:
    await world.begin("thread")
    for user in ("aroha", "pia", "flo", "cat"):
        await world.put("participants", thread="t_1", user=user, added_by="aroha", at=AT, muted=False)
    await world.put("read_pointers", thread="t_1", user="cat", sequence=1, at=AT)
    ids = [f"01JY3Z8Q7M4T2V6W8X9Y00000{each}" for each in (1, 2)]
    there = {"role": "vendor", "name": "", "at": AT, "changed_at": AT, "connected": True, "node": "n"}
    await world.put("last_seen", user="flo", documents='{"thread.t_1": {}}', **there)
    await world.settle()
    for id_ in ids:
        await world.edit("thread.t_1", "messages", id_, MESSAGE)
    await world.router().route_all()
    assert [each["text"] for each in await world.params("cat")] == ["Hello @Pia"]
    assert len(await world.params("pia")) == len(await world.params("flo")) == 2
    assert await world.channels("message.sent") == {
        "pia": "in-app mail push", "flo": "in-app mail", "cat": "in-app mail push",
    }  # fmt: skip


async def test_whoever_is_mentioned_is_informed_though_the_thread_is_muted(world: World) -> None:
    await world.begin("mention")
    for user in ("aroha", "pia", "flo"):
        await world.put("participants", thread="t_1", user=user, added_by="aroha", at=AT, muted=True)
    await world.settle()
    await world.edit("thread.t_1", "messages", "01JY3Z8Q7M4T2V6W8X9Y000001", MESSAGE)

    def mentioned(text: str, people: object) -> list[str]:
        return ["pia", "gus"] if "@Pia" in text else []

    await world.router(mentioned).route_all()
    assert await world.channels("message.sent") == {"pia": "in-app mail push"}


async def test_nothing_is_left_of_a_message_that_is_redacted(world: World) -> None:
    await world.begin("redacted")
    for user in ("aroha", "pia", "flo"):
        await world.put("participants", thread="t_1", user=user, added_by="aroha", at=AT, muted=False)
    await world.settle()
    ids = [f"01JY3Z8Q7M4T2V6W8X9Y00000{each}" for each in (1, 2)]
    await world.edit("thread.t_1", "messages", ids[0], MESSAGE)
    await world.router().route_all()
    await world.edit("thread.t_1", "messages", ids[1], MESSAGE)
    for id_ in ids:
        await world.edit("thread.t_1", "redactions", id_, {"at": "2026-06-01T12:00:00Z", "by": "aroha"})
    await world.router().route_all()
    assert await world.params("pia") == [{}]  # the second was redacted before it was routed
    rows = await run_sql(world.url, outbox.select().where(outbox.c.wedding == world.wedding))
    assert rows
    assert "Hello" not in repr(rows)


async def test_messages_go_out_later_if_that_is_the_rule(world: World) -> None:
    await world.begin("later")
    await world.put("participants", thread="t_1", user="pia", added_by="aroha", at=AT, muted=False)
    await world.settle()
    await world.edit("thread.t_1", "messages", "01JY3Z8Q7M4T2V6W8X9Y000001", MESSAGE)
    world.clock.now = datetime(2100, 6, 2, tzinfo=UTC)  # behind what the hub gave the event
    await world.router().route_all()
    columns = (outbox.c.channel, outbox.c.state, outbox.c.next_at)
    query = outbox.select().where(outbox.c.wedding == world.wedding).with_only_columns(*columns)
    found = {channel: (state, at > world.clock.now) for channel, state, at in await run_sql(world.url, query)}
    assert found == {"push": ("waiting", False), "mail": ("later", True)}


@pytest.mark.parametrize(("send", "wakes"), [('"mail"', 1), ('{"channel": "mail", "unread_minutes": 15}', 0)])
async def test_the_delivery_is_woken_for_what_is_due(world: World, send: str, wakes: int) -> None:
    await world.router().route_all()  # what is left of other weddings
    await world.begin(f"due_{wakes}")
    await world.settle()
    await world.put("routing_overrides", rule="vendor", body=f'{{"send": [{send}]}}', by="aroha", at=AT)
    await put_events(world, 1)
    woken: list[None] = []
    await world.router(on_messages=lambda: woken.append(None)).route_all()
    assert len(woken) == wakes
    assert set((await world.channels(BOOKED)).values()) == {"mail"}


async def test_a_caterer_is_given_numbers_and_no_names(world: World) -> None:
    await world.begin("counted")
    await world.settle()
    for number in range(3):
        await world.edit("guests", "guests", f"g_{number}", {"firstName": f"Guest{number}"})
        await world.edit("guests", "guests", f"g_{number}", {"rsvp:e_1": "yes"})
        if number != 1:
            await world.router().route_all()
    columns = (outbox.c.record, outbox.c.params, outbox.c.count)
    query = outbox.select().where(outbox.c.wedding == world.wedding, outbox.c.user == "cat").with_only_columns(*columns)
    assert await run_sql(world.url, query) == [("", "{}", 3)]


async def test_vendors_are_told_what_their_documents_show_and_no_more(world: World) -> None:
    await world.begin("values")
    item = {"title": "Arch", "start": 900, "duration": 30, "vendor:v_flowers": True, "visibility": "team"}
    await world.edit("timeline", "items", "t_1", item)
    await world.edit("budget", "items", "i_1", {"name": "Secret peonies", "vendor": "v_flowers", "actual": 20000})
    await world.settle()
    async with world.editor.edit(world.wedding, "timeline", PEOPLE["pia"]) as rows:
        rows["items"]["t_1"]["start"] = 945
        rows["items"]["t_1"]["person:bride"] = True
    payment = {"item": "i_1", "amount": 5000, "on": "2026-05-30", "kind": "deposit", "reference": "secret"}
    await world.edit("budget", "payments", "p_1", payment, by="pia")
    await world.router().route_all()
    moved, paid = await world.params("flo")
    assert moved == {
        "actor": "Pia", "role": "planner", "title": "Arch", "fields": "start",
        "before_minutes": "900", "after_minutes": "945",
    }  # fmt: skip
    assert paid == {"actor": "Pia", "role": "planner", "kind": "deposit", "amount_minor": "5000", "on": "2026-05-30"}
    told = json.dumps(await world.params("flo"))
    assert "bride" not in told
    assert "ecret" not in told


async def test_the_parties_of_a_conflict_are_told_no_values(world: World) -> None:
    await world.begin("parties")
    await world.settle()
    review = {"root": "review", "priority": 2, "actor": {"user": "server", "role": "server"}, "fields": ["_kind"]}
    parties = [{"user": "flo", "role": "vendor", "value": "secret"}, {"user": "pia", "role": "planner"}]
    review |= {"before": None, "after": {"_kind": "X1", "_severity": "warning", "_parties": parties}}
    event = NewEvent("conflict.opened", "2026-06-01T12:00:00.000Z", "c_1", json.dumps(review))
    rows = [StoredRow("review", "c_1", json.dumps(review["after"]), "{}")]
    await world.storage.append([], [DerivedRecords(DocumentKey(world.wedding, "timeline"), rows, [event])])
    await world.router().route_all()
    assert await world.channels("conflict.opened") == dict.fromkeys(("aroha", "ben", "pia", "cora", "flo"), "in-app")
    assert await world.params("flo") == [{"role": "server", "kind": "X1", "severity": "warning"}]


async def test_an_override_changes_a_rule_for_one_wedding(world: World) -> None:
    await world.begin("override")
    await world.settle()
    body = json.dumps({"audience": ["couple", "coordinator"], "send": ["in-app"]})
    await world.put("routing_overrides", rule="vendor", body=body, by="aroha", at=AT)
    await world.put("routing_overrides", rule="emergency", body='{"send": []}', by="aroha", at=AT)
    await world.put("routing_overrides", rule="gone", body="{", by="aroha", at=AT)
    await put_events(world, 1)
    await world.router().route_all()
    assert await world.channels(BOOKED) == dict.fromkeys(("aroha", "ben", "cora"), "in-app")


async def test_a_channel_takes_an_address(world: World) -> None:
    await world.begin("address")
    await world.settle()
    table = "UPDATE contacts SET disabled_at = at WHERE wedding = 'address' AND \"user\" = 'ben'"
    await run_sql(world.url, table)
    await put_events(world, 1)
    await world.router().route_all()
    assert await world.channels(BOOKED) == {"aroha": "digest in-app", "ben": "in-app", "pia": "digest in-app"}


async def test_a_page_ends_where_webhooks_have_enough(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred events for twenty webhooks were one transaction of 67 MB."""
    monkeypatch.setattr("crdt_server.services.messaging.planning.MOST_FOR_WEBHOOKS", 9)
    await world.begin("manyhooks")
    for number in range(4):
        row = {"url": "https://x", "types": "[]", "secrets": "[]", "reason": ""}
        await world.put("webhooks", id=f"wh_{number}", by="pia" if number else "gone", at=AT, **row)
    await world.settle()
    await put_events(world, 5)
    router = world.router()
    await router.sweep()
    pages = 1
    while await router.route_batch():
        pages += 1
    of_webhooks = (outbox.c.wedding == world.wedding) & (outbox.c.channel == "webhook")
    found = await run_sql(
        world.url, outbox.select().where(of_webhooks).with_only_columns(outbox.c.user, outbox.c.event)
    )
    assert (pages, len(found), len({event for _, event in found})) == (3, 15, 5)


async def test_a_webhook_is_sent_what_whoever_added_it_may_know(world: World) -> None:
    await world.begin("webhook")
    for id_, types, by in (("wh_1", ["guest", "budget.item.added"], "pia"), ("wh_2", [], "cora"), ("wh_3", [], "gone")):
        await world.put(
            "webhooks",
            id=id_,
            url="https://example.org",
            types=json.dumps(types),
            secrets="[]",
            by=by,
            at=AT,
            reason="",
        )
    await world.put("participants", thread="t_1", user="aroha", added_by="aroha", at=AT, muted=False)
    await world.settle()
    await world.edit("guests", "guests", "g_1", {"firstName": "Gus"})
    await world.edit("timeline", "items", "t_1", {"title": "Arch"})
    await world.edit("budget", "items", "i_1", {"name": "Peonies"})
    await world.edit("thread.t_1", "messages", "01JY3Z8Q7M4T2V6W8X9Y000001", MESSAGE)
    await world.router().route_all()
    columns = (outbox.c.user, outbox.c.type)
    of_webhooks = (outbox.c.wedding == world.wedding) & (outbox.c.channel == "webhook")
    found = await run_sql(world.url, outbox.select().where(of_webhooks).with_only_columns(*columns))
    assert sorted(found) == [
        ("wh_1", "budget.item.added"), ("wh_1", "guest.added"), ("wh_2", "guest.added"),
        ("wh_2", "timeline.item.added"),
    ]  # fmt: skip


async def test_it_is_woken_and_reports_what_it_has_not_done(world: World) -> None:
    await world.router().route_all()  # what is left of other weddings
    await world.begin("woken")
    await world.settle()
    stored: list[tuple[str, Sequence[tuple[str, StoredItem]]]] = []
    arrived = asyncio.Event()

    def on_inbox(wedding: str, items: Sequence[tuple[str, StoredItem]], read: Sequence[str]) -> None:
        stored.append((wedding, items))
        arrived.set()

    counters = Counters()
    router = world.router(on_inbox=on_inbox, counters=counters)
    running = asyncio.create_task(router.run())
    try:
        await put_events(world, 2)
        head = await world.storage.event_head(world.wedding)
        router.wake(world.wedding, head)
        assert router.lag_events >= 1
        world.clock.now = AT + timedelta(seconds=7)
        assert router.lag_seconds == 7
        async with asyncio.timeout(30):
            await arrived.wait()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    ((wedding, items),) = stored
    assert wedding == world.wedding
    assert {user for user, _ in items} == {"aroha", "ben", "pia"}
    assert [each.id for _, each in items] == sorted(each.id for _, each in items)
    assert (router.lag_events, counters.inbox_items, router.writing) == (0, 6, 0)


async def test_messages_that_are_stored_are_reported(world: World) -> None:
    await world.begin("reported")
    await world.settle()
    reported: list[tuple[str, Sequence[DeliveryValues]]] = []
    await world.edit("wedding", "tasks", "k_1", {"title": "Call", "assignee": "pia", "due": "2026-06-02"})
    await world.router(on_outbox=lambda *stored: reported.append(stored)).route_all()
    ((wedding, deliveries),) = reported
    assert wedding == "reported"
    rows = await run_sql(
        world.url, outbox.select().where(outbox.c.wedding == "reported").with_only_columns(outbox.c.key)
    )
    assert sorted(each.message.key for each in deliveries) == sorted(key for (key,) in rows)
