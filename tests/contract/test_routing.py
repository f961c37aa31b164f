"""What every backend of `storage` does with events that are routed, and with inboxes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, insert, text

from storage import (
    ClaimOf,
    DeliveryValues,
    DerivedRecords,
    DocumentKey,
    EventSpan,
    ItemValues,
    NewEvent,
    NewMessage,
    RoutedPage,
    RoutingReader,
    Storage,
    StoredEvent,
    StoredRow,
    open_storage,
)
from storage import outbox as states
from storage.inbox import MARKED_AT_ONCE, MOST_COUNTED, PAGE_CHARACTERS
from storage.messaging_tables import messages, webhooks
from storage.outbox import key_of
from storage.routing_reader import rest
from tests.contract.backends import Database
from tests.support.rights import put_member

GUESTS = DocumentKey("w_42", "guests")
AT = datetime(2026, 6, 20, 13, 30, tzinfo=UTC)


async def put_events(store: Storage, number: int, wedding: str = "w_42") -> None:
    events = [NewEvent("guest.rsvp", "2026-06-20T13:30:00.250Z", "g_1", "{}")] * number
    await store.append([], [DerivedRecords(DocumentKey(wedding, "guests"), events=events)])


def item(event: int, user: str = "u_1", *, seconds: float = 0, earlier: tuple[int, ...] = ()) -> ItemValues:
    at = AT + timedelta(seconds=seconds)
    return ItemValues(user, event, "guest.rsvp", 2, "guests", "g_1", f'{{"n": "{event}"}}', 1, at, at, earlier)


def of_message(number: int) -> ItemValues:
    return item(number)._replace(document="thread.t_1", record=f"m_{number}", sequence=number)


def mirror_five(connection: Connection, wedding: str, _: Sequence[StoredEvent]) -> None:
    """Five messages of a thread."""
    known = {"author": "x", "at": "", "body": "", "redacted": False, "thread": "t_1"}
    for number in range(1, 6):
        row = {"wedding": wedding, "message": f"m_{number}", "sequence": number, **known}
        connection.execute(insert(messages), row)


def delivery(
    event: int, *, earlier: tuple[int, ...] = (), later: timedelta | None = None, **more: Any
) -> DeliveryValues:
    key, *keys = (key_of("w_42", each, "u_1", "mail") for each in (event, *earlier))
    message = NewMessage(
        key, "w_42", "u_1", "mail", event, "guest.rsvp", 2, "guests", "g_1", f'{{"n": "{event}"}}', AT,
        next_at=None if later is None else AT + later,
    )  # fmt: skip
    return DeliveryValues(message._replace(**more), tuple(keys))


def page(
    after: int,
    until: int,
    *items: ItemValues,
    deliveries: Sequence[DeliveryValues] = (),
    version: int = 0,
    wedding: str = "w_42",
) -> RoutedPage:
    return RoutedPage(wedding, version, after, until, AT, (), items, deliveries)


async def sent(store: Storage) -> list[tuple[int, str, str]]:
    """The events of all messages, with their states and values."""

    def read(reader: RoutingReader) -> list[tuple[int, str, str]]:
        return [
            tuple(row) for row in reader.connection.execute(text("SELECT event, state, params FROM outbox ORDER BY id"))
        ]

    return await store.plan_routing("w_42", read)


async def test_others_get_on_while_a_page_rests_between_its_decisions(store: Storage) -> None:
    read = asyncio.Event()

    def plan(reader: RoutingReader) -> int:
        loop.call_soon_threadsafe(read.set)
        while not others:
            rest(reader, 0.001)
        return reader.cursor()

    loop, others = asyncio.get_running_loop(), list[int]()
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        planned = tasks.create_task(store.plan_routing("w_42", plan))
        await read.wait()
        others.append(await store.plan_routing("w_42", lambda reader: reader.cursor()))
    assert (planned.result(), others) == (0, [0])


class TestCursor:
    async def test_weddings_with_events_behind_their_cursor_are_found(self, store: Storage) -> None:
        assert await store.unrouted() == ([], None)
        for wedding, number in (("w_1", 3), ("w_2", 1), ("w_3", 2)):
            await put_events(store, number, wedding)
        assert [tuple(each) for each in (await store.unrouted())[0]] == [("w_1", 0, 3), ("w_2", 0, 1), ("w_3", 0, 2)]
        await store.store_routed([page(0, 3, wedding="w_1"), page(0, 1, wedding="w_3")])
        assert [tuple(each) for each in (await store.unrouted())[0]] == [("w_2", 0, 1), ("w_3", 1, 2)]
        assert [each.wedding for each in (await store.unrouted("w_2"))[0]] == ["w_3"]

    async def test_cursors_move_over_events_that_nobody_is_informed_of(self, store: Storage) -> None:
        for wedding in ("w_1", "w_2", "w_3"):
            await put_events(store, 3, wedding)
        hook = {
            "wedding": "w_3", "id": "whk_1", "url": "https://x", "types": "[]", "secrets": "[]", "by": "u", "at": AT,
            "reason": "",
        }  # fmt: skip
        await store._executor.write(lambda connection: connection.execute(insert(webhooks), hook))
        found = await store.pass_over([EventSpan("w_1", 1, 2), EventSpan("w_2", 2, 3), EventSpan("w_3", 1, 3)])
        assert sorted(map(tuple, found)) == [("w_1", 2, False), ("w_3", 0, True)]
        assert [tuple(each) for each in await store.pass_over([EventSpan("w_1", 3, 3)])] == [("w_1", 3, False)]
        assert [tuple(each) for each in await store.pass_over([EventSpan("w_1", 1, 2)])] == [("w_1", 3, False)]
        assert [tuple(each) for each in (await store.unrouted())[0]] == [("w_2", 0, 3), ("w_3", 0, 3)]

    async def test_a_page_is_stored_by_one_router_only(self, store: Storage, database: Database) -> None:
        await put_events(store, 2)
        other = await open_storage(database.url)
        try:
            tries = [each.store_routed([page(0, 2, item(1), item(2))]) for each in (store, other) * 4]
            stored = [pages for pages in await asyncio.gather(*tries) if pages]
        finally:
            await other.close()
        assert len(stored) == 1
        assert [each.event for each in await store.inbox("w_42", "u_1")] == [1, 2]
        assert await store.store_routed([page(1, 2, item(2))]) == []
        assert await store.plan_routing("w_42", lambda reader: reader.cursor()) == 2

    async def test_what_fails_leaves_nothing_of_the_page(self, store: Storage) -> None:
        await put_events(store, 1)

        def fail(connection: Connection, wedding: str, events: Sequence[StoredEvent]) -> None:
            raise RuntimeError("killed")

        with pytest.raises(RuntimeError):
            await store.store_routed([page(0, 1, item(1))], [fail])
        assert await store.inbox("w_42", "u_1") == []
        assert await store.plan_routing("w_42", lambda reader: reader.cursor()) == 0
        assert len(await store.store_routed([page(0, 1, item(1))])) == 1

    async def test_a_page_that_was_decided_by_other_rights_is_not_stored(self, store: Storage) -> None:
        await put_events(store, 1)
        await put_member(store, "u_1", "couple", wedding="w_42")
        assert await store.store_routed([page(0, 1, item(1), version=0)]) == []
        assert len(await store.store_routed([page(0, 1, item(1), version=1)])) == 1

    async def test_projections_are_given_the_events(self, store: Storage) -> None:
        await put_events(store, 2)
        seen: list[tuple[str, list[int]]] = []

        def see(connection: Connection, wedding: str, events: Sequence[StoredEvent]) -> None:
            seen.append((wedding, [event.seq for event in events]))

        events = await store.events("w_42")
        await store.store_routed([RoutedPage("w_42", 0, 0, 2, AT, events)], [see])
        assert seen == [("w_42", [1, 2])]


class TestMerging:
    async def test_what_repeats_within_ten_seconds_is_one_item(self, store: Storage) -> None:
        await store.store_routed([page(0, 1, item(1))])
        await store.store_routed([page(1, 2, item(2, seconds=4, earlier=(1,)))])
        await store.store_routed([page(2, 3, item(3, seconds=9, earlier=(2, 1)))])
        (merged,) = await store.inbox("w_42", "u_1")
        assert (merged.event, merged.events, merged.at, merged.params) == (3, 3, AT, '{"n": "3"}')
        await store.store_routed([page(3, 4, item(4, seconds=12, earlier=(3, 2)))])
        assert [each.event for each in await store.inbox("w_42", "u_1")] == [3, 4]

    async def test_what_replaces_the_newest_item_has_a_new_id(self, store: Storage) -> None:
        """Whoever reads on behind the last id gets it."""
        ((_, _, stored, *_),) = await store.store_routed([page(0, 1, item(1))])
        await store.store_routed([page(1, 2, item(2, seconds=4, earlier=(1,)))])
        assert [each.event for each in await store.inbox("w_42", "u_1", after=stored[0][1].id)] == [2]

    async def test_what_was_read_is_not_taken_back(self, store: Storage) -> None:
        ((_, _, stored, *_),) = await store.store_routed([page(0, 1, item(1))])
        await store.mark_read("w_42", "u_1", [stored[0][1].id], AT)
        await store.store_routed([page(1, 2, item(2, seconds=4, earlier=(1,)))])
        assert [(each.event, each.read_at is None) for each in await store.inbox("w_42", "u_1")] == [
            (1, False),
            (2, True),
        ]

    async def test_a_message_that_waits_takes_the_newer_values(self, store: Storage) -> None:
        await store.store_routed([page(0, 1, deliveries=[delivery(1)])])
        await store.store_routed([page(1, 2, deliveries=[delivery(2, earlier=(1,))])])
        assert await sent(store) == [(1, "waiting", '{"n": "2"}')]

    @pytest.mark.parametrize("state", [states.SENT, states.DROPPED])
    async def test_the_last_values_are_sent_after_the_first(
        self, store: Storage, database: Database, state: str
    ) -> None:
        """They were swallowed: whoever got "at 14:00" was not told of "at 15:00" eight seconds later."""
        await store.store_routed([page(0, 1, deliveries=[delivery(1)])])
        database.execute("UPDATE outbox SET state = 'sent', params = '{}'")
        if state == states.DROPPED:
            database.execute("UPDATE outbox SET state = 'dropped'")
        await store.store_routed([page(1, 2, deliveries=[delivery(2, earlier=(1,))])])
        await store.store_routed([page(2, 3, deliveries=[delivery(3, earlier=(2, 1))])])
        assert await sent(store) == [(1, state, "{}"), (2, "later", '{"n": "3"}')]
        urgent = delivery(4, earlier=(1,), priority=0)
        await store.store_routed([page(3, 4, deliveries=[urgent])])
        assert (await sent(store))[-1] == (4, "waiting", '{"n": "4"}')

    async def test_a_message_is_enqueued_once(self, store: Storage) -> None:
        for after in (0, 1):
            await store.store_routed([page(after, after + 1, deliveries=[delivery(1)])])
        assert len(await sent(store)) == 1

    async def test_what_is_only_counted_is_one_message(self, store: Storage, database: Database) -> None:
        for event in (1, 2, 3):
            one = delivery(event, held=True, record="", params="{}", count=event)._replace(counted=True)
            await store.store_routed([page(event - 1, event, deliveries=[one])])
        assert await sent(store) == [(1, "held", "{}")]
        assert database.execute("SELECT count FROM outbox") == ["6"]


async def test_a_recipient_of_whom_too_many_wait_gets_no_more(store: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    """300,000 messages that waited for one webhook kept the writer for 0.1 s with every claim."""
    monkeypatch.setattr("storage.routing.MOST_WAITING", 3)
    monkeypatch.setattr("storage.routing.MOST_OF_RECIPIENT", 4)

    def to_hook(event: int, hook: str = "whk_1", priority: int = 2) -> DeliveryValues:
        key = key_of("w_42", event, hook, "webhook")
        return delivery(event, user=hook, channel="webhook", priority=priority, key=key)

    async def overflow(after: int, until: int, *deliveries: DeliveryValues) -> int:
        (stored,) = await store.store_routed([page(after, until, deliveries=deliveries)])
        return stored.overflow

    await put_events(store, 7)
    assert await overflow(0, 3, *map(to_hook, (1, 2, 3))) == 0
    assert await overflow(3, 4, to_hook(4)) == 0  # of the wedding three wait
    assert await overflow(4, 6, to_hook(5), to_hook(6), to_hook(6, "whk_2"), to_hook(5, "whk_3", 0), delivery(6)) == 2
    assert await overflow(6, 7, to_hook(7), to_hook(6, priority=0)) == 1
    assert [event for event, _, _ in await sent(store)] == [1, 2, 3, 4, 6, 5, 6, 6]


async def test_a_recipient_of_whom_too_many_characters_wait_gets_no_more(
    store: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """10,000 messages of 25 KB that nobody fetched were 250 MB of one wedding."""
    monkeypatch.setattr("storage.routing.MOST_CHARACTERS", 3_000)
    monkeypatch.setattr("storage.routing.MOST_CHARACTERS_OF_RECIPIENT", 4_000)
    long = json.dumps({"text": "é" * 1_000}, ensure_ascii=False)

    def to_hook(event: int, hook: str = "whk_1", priority: int = 2, params: str = long) -> DeliveryValues:
        key = key_of("w_42", event, hook, "webhook")
        return delivery(event, user=hook, channel="webhook", priority=priority, key=key, params=params)

    async def overflow(after: int, until: int, *deliveries: DeliveryValues) -> int:
        (stored,) = await store.store_routed([page(after, until, deliveries=deliveries)])
        return stored.overflow

    await put_events(store, 6)
    assert await overflow(0, 3, *map(to_hook, (1, 2, 3))) == 0
    assert await overflow(3, 4, to_hook(4)) == 0, "of the recipient there are less"
    assert await overflow(4, 5, to_hook(5), to_hook(5, "whk_2"), to_hook(5, "whk_3", 0), delivery(5)) == 1
    await store.claim_messages("n", 60, [], [ClaimOf("webhook", 9, 4, 9)], AT, 7)
    assert await overflow(5, 6, to_hook(6, params="{}"), to_hook(3, priority=0)) == 1, "what is being sent counts"
    assert [event for event, _, _ in await sent(store)] == [1, 2, 3, 4, 5, 5, 5]


class TestInbox:
    async def test_items_come_in_pages_in_both_directions(self, store: Storage) -> None:
        await store.store_routed([page(0, 9, *(item(event) for event in range(1, 6)), item(6, "u_2"))])
        first = await store.inbox("w_42", "u_1", limit=3)
        assert [each.event for each in first] == [1, 2, 3]
        assert [each.event for each in await store.inbox("w_42", "u_1", after=first[-1].id)] == [4, 5]
        assert [each.event for each in await store.newest_inbox("w_42", "u_1", before=first[-1].id)] == [2, 1]
        assert await store.inbox("w_7", "u_1") == []
        assert await store.inbox_head("w_42", "u_1") == first[-1].id + 2
        assert await store.inbox_head("w_42", "u_3") == 0

    async def test_a_page_is_bounded_in_characters(self, store: Storage) -> None:
        long = [item(event)._replace(params=json.dumps({"n": "x" * (PAGE_CHARACTERS // 2)})) for event in range(1, 6)]
        await store.store_routed([page(0, 5, *long)])
        assert [each.event for each in await store.inbox("w_42", "u_1")] == [1, 2]
        assert [each.event for each in await store.newest_inbox("w_42", "u_1", before=1 << 62)] == [5, 4]

    async def test_ids_rise_in_the_order_of_the_commits(self, store: Storage) -> None:
        ids: list[int] = []
        for event in range(1, 5):
            ((_, _, stored, *_),) = await store.store_routed([page(event - 1, event, item(event), item(event, "u_2"))])
            ids += [each.id for _, each in stored]
        assert ids == sorted(ids)

    async def test_items_are_read_by_id_and_up_to_one(self, store: Storage) -> None:
        await store.store_routed([page(0, 9, *(item(event) for event in range(1, 6)), item(6, "u_2"))])
        ids = [each.id for each in await store.inbox("w_42", "u_1")]
        assert await store.mark_read("w_42", "u_1", [ids[1], ids[3], 1 << 40], AT) == [ids[1], ids[3]]
        assert await store.mark_read("w_42", "u_1", [ids[1]], AT) == []
        assert await store.unread("w_42", "u_1") == 3
        assert await store.mark_read("w_42", "u_1", ids[3], AT) == [ids[0], ids[2]]
        assert await store.mark_read("w_42", "u_2", ids[-1], AT) == []
        assert await store.unread("w_42", "u_1") == 1
        assert await store.unread("w_42", "u_2") == 1

    async def test_reading_ends_messages_that_wait_for_that(self, store: Storage) -> None:
        later = timedelta(minutes=15)
        made = [
            delivery(1),
            delivery(2, later=later),
            delivery(3, held=True),
            delivery(4, later=later, priority=0),
        ]
        await store.store_routed([page(0, 4, item(4), deliveries=made)])
        await store.mark_read("w_42", "u_1", 1 << 40, AT)
        assert [state for _, state, _ in await sent(store)] == ["waiting", "dropped", "dropped", "later"]

    async def test_reading_an_old_item_ends_no_message_about_a_new_one(self, store: Storage) -> None:
        """It was about the same record: the change of five minutes later was in no digest, and unread."""
        made = [delivery(1, held=True), delivery(2, held=True), delivery(3, later=timedelta(minutes=2))]
        stored = await store.store_routed([page(0, 3, item(1), item(2), item(3), deliveries=made)])
        ids = [each.id for _, each in stored[0].items]
        await store.mark_read("w_42", "u_1", ids[:1], AT)
        assert [state for _, state, _ in await sent(store)] == ["dropped", "held", "later"]
        await store.mark_read("w_42", "u_1", ids[2:], AT)
        assert [state for _, state, _ in await sent(store)] == ["dropped", "dropped", "dropped"]

    async def test_what_is_read_in_a_thread_is_read_in_the_inbox(
        self, store: Storage, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        later = timedelta(minutes=15)
        mails = [delivery(each, document="thread.t_1", record=f"m_{each}", later=later) for each in (1, 2, 3)]
        joined = item(3)._replace(document="thread.t_1", record="t_1", user="u_2")
        first = page(0, 3, of_message(1), of_message(2), of_message(3), item(4), joined, deliveries=mails)
        await store.store_routed([first], [mirror_five])
        await store.mark_thread_read("w_42", "t_1", "u_1", 2, AT)
        assert [each.read_at is None for each in await store.inbox("w_42", "u_1")] == [False, False, True, True]
        assert [state for _, state, _ in await sent(store)] == ["dropped", "dropped", "later"]
        assert await store.unread("w_42", "u_2") == 1
        await store.mark_thread_read("w_42", "t_1", "u_2", 0, AT)
        assert await store.unread("w_42", "u_2") == 0
        monkeypatch.setattr("storage.inbox.MARKED_AT_ONCE", 1)  # the rest is marked in transactions of its own
        await store.mark_thread_read("w_42", "t_1", "u_1", 4, AT)
        mails = [delivery(each, document="thread.t_1", record=f"m_{each}", later=later) for each in (14, 15)]
        second = [
            of_message(4)._replace(event=14),
            of_message(5)._replace(event=15),
            of_message(5)._replace(event=15, user="u_2"),
        ]
        await store.store_routed([page(3, 5, *second, deliveries=mails)])
        assert [each.event for each in await store.inbox("w_42", "u_1")] == [1, 2, 3, 4, 15]
        assert await store.unread("w_42", "u_2") == 1
        assert [event for event, state, _ in await sent(store) if state == "later"] == [15]

    async def test_what_is_read_in_the_inbox_is_read_in_its_thread(self, store: Storage) -> None:
        """The inbox and the list of threads counted differently for good."""

        async def read() -> tuple[int, int, list[int]]:
            (reading,) = await store.readings("w_42", "u_1", ["t_1"])
            items = await store.inbox("w_42", "u_1")
            return reading.sequence, reading.unread, [each.event for each in items if each.read_at is None]

        other = of_message(5)._replace(user="u_2")
        later = timedelta(minutes=15)
        mails = [delivery(each, document="thread.t_1", record=f"m_{each}", later=later) for each in (1, 2, 4)]
        first = page(0, 9, of_message(1), of_message(2), of_message(4), item(7), other, deliveries=mails)
        await store.store_routed([first], [mirror_five])
        ids = {each.event: each.id for each in await store.inbox("w_42", "u_1")}
        assert await store.mark_read("w_42", "u_1", [ids[7]], AT) == [ids[7]]
        assert await read() == (0, 5, [1, 2, 4])
        assert await store.mark_read("w_42", "u_1", [ids[2]], AT) == [ids[2]]
        assert await read() == (2, 3, [4])
        assert [state for _, state, _ in await sent(store)] == ["dropped", "dropped", "later"]
        await store.mark_thread_read("w_42", "t_1", "u_1", 3, AT)
        await store.mark_read("w_42", "u_1", 1 << 40, AT)
        assert await read() == (4, 1, [])
        assert await store.unread("w_42", "u_2") == 1
        assert [(each.sequence, each.unread) for each in await store.readings("w_42", "u_2", ["t_1"])] == [(0, 5)]

    async def test_of_what_is_redacted_no_text_is_left(self, store: Storage) -> None:
        made = [delivery(1), delivery(2, record="g_2")]
        await store.store_routed([page(0, 2, item(1), item(2)._replace(record="g_2"), deliveries=made)])
        await store.store_routed([page(2, 3)._replace(redacted=[("guests", "g_1")])])
        items = await store.inbox("w_42", "u_1")
        assert [(each.params, each.read_at is None) for each in items] == [("{}", False), ('{"n": "2"}', True)]
        assert await store.unread("w_42", "u_1") == 1
        assert await sent(store) == [(1, "dropped", "{}"), (2, "waiting", '{"n": "2"}')]

    async def test_counts_and_marks_are_bounded(self, store: Storage, database: Database) -> None:
        number = MOST_COUNTED * 2 + MARKED_AT_ONCE
        await store.store_routed([page(0, number, *(item(event) for event in range(1, number + 1)))])
        assert await store.unread("w_42", "u_1") == MOST_COUNTED + 1
        assert len(await store.mark_read("w_42", "u_1", 1 << 40, AT)) == MARKED_AT_ONCE
        while await store.mark_read("w_42", "u_1", 1 << 40, AT):
            pass
        assert await store.unread("w_42", "u_1") == 0
        # The index of unread items is what it is counted with: the million that was read is not gone through.
        count = "SELECT id FROM inbox WHERE wedding = 'w_42' AND \"user\" = 'u_1' AND read_at IS NULL LIMIT 1001"
        explain = "EXPLAIN QUERY PLAN" if database.url.startswith("sqlite") else "SET enable_seqscan = off; EXPLAIN"
        assert "ix_inbox_unread" in "\n".join(database.execute(f"{explain} {count}"))

    @pytest.mark.soak
    async def test_a_million_unread(self, store: Storage, database: Database) -> None:
        database.execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000) INSERT INTO inbox "
            '(wedding, "user", event, type, priority, document, record, params, count, at) '
            "SELECT 'w_42', 'u_1', i, 'guest.rsvp', 2, 'guests', 'g_1', '{}', 1, '2026-06-20 13:30:00' FROM n"
        )
        assert await store.unread("w_42", "u_1") == MOST_COUNTED + 1
        assert len(await store.newest_inbox("w_42", "u_1", before=1 << 62, limit=50)) == 50
        assert len(await store.mark_read("w_42", "u_1", 1 << 62, AT)) == MARKED_AT_ONCE
        assert await store.unread("w_42", "u_2") == 0
        ((_, _, stored, *_),) = await store.store_routed([page(0, 1, item(1_000_001), item(1, "u_2"))])
        assert [each.id for _, each in stored] == [1_000_001, 1_000_002]

    async def test_old_items_go(self, store: Storage) -> None:
        await store.store_routed([page(0, 3, *(item(event, seconds=event) for event in (1, 2, 3)))])
        assert await store.trim_inbox(AT + timedelta(seconds=3)) == 2
        assert [each.event for each in await store.inbox("w_42", "u_1")] == [3]
        assert await store.trim_inbox(AT + timedelta(seconds=3)) == 0


class TestReader:
    async def test_records_are_read_as_they_are_needed(self, store: Storage) -> None:
        rows = [
            StoredRow("items", "t_1", '{"after:t_2": 5, "title": "Toast"}', "{}"),
            StoredRow("items", "t_2", '{"title": "after:t_2 100% _"}', "{}"),
            StoredRow("items", "t_3", None, "{}"),
        ]
        await store.append([], [DerivedRecords(DocumentKey("w_42", "timeline"), rows)])

        def read(reader: RoutingReader) -> tuple[object, ...]:
            return (
                sorted(reader.records("timeline", "items", ["t_1", "t_3", "t_9"])),
                list(reader.all_records("timeline", "items")),
                list(reader.records_with("timeline", "items", "after:t_2")),
                reader.participants("t_1"),
                reader.read_pointers("t_1"),
                reader.channels(["u_1"]),
                reader.overrides(),
            )

        expected = (["t_1"], ["t_1", "t_2"], ["t_1"], [], {}, set(), [])
        assert await store.plan_routing("w_42", read) == expected

    async def test_earlier_events_are_those_shortly_before(self, store: Storage) -> None:
        moments = ("2026-06-20T13:29:00.000Z", "2026-06-20T13:29:55.000Z", "2026-06-20T13:30:00.000Z")
        events = [NewEvent("guest.rsvp", at, "g_1", "{}") for at in moments]
        await store.append([], [DerivedRecords(GUESTS, events=events)])
        found = await store.plan_routing(
            "w_42", lambda reader: reader.earlier_events(2, "2026-06-20T13:29:50", ["g_1"])
        )
        assert [(each.seq, each.at) for each in found] == [(2, moments[1])]
        assert await store.plan_routing("w_42", lambda reader: reader.earlier_events(2, "", ["g_2"])) == []
