"""What every backend of `storage` does with preferences, addresses and digests."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, insert, select
from sqlalchemy import event as sql_event

from storage import (
    DueDigest,
    HeldMessage,
    HeldMessages,
    MemberChange,
    NewAuditEntry,
    NewDigest,
    PreferenceChange,
    Storage,
    StoredContact,
    StoredMember,
    StoredPreferences,
    ValuesRefused,
    open_storage,
    preferences,
)
from storage.leaving import begin_to_leave
from storage.messaging_tables import outbox
from storage.outbox import SLICE
from tests.contract.backends import Backend, Database

EIGHT = datetime(2026, 6, 20, 8, tzinfo=UTC)
NINE = EIGHT + timedelta(hours=1)
TOMORROW = EIGHT + timedelta(days=1)
ROOT = Path(__file__).parents[2]


async def hold(
    store: Storage, user: str, *events: int, channel: str = "mail", at: datetime = EIGHT, state: str = "held"
) -> None:
    """Hold messages back, as the router does it."""
    rows = [
        {
            **dict.fromkeys(("lease", "error", "contact"), ""),
            "count": 1,
            **dict.fromkeys(("at", "next_at"), EIGHT),
            "key": f"{user} {channel} {event}",
            "wedding": "w",
            "user": user,
            "channel": channel,
            "event": event,
            "type": "guest.rsvp",
            "priority": 3 if event % 2 else 2,
            "document": "guests",
            "record": f"g_{event}",
            "params": json.dumps({"title": f"Guest {event}"}),
            "state": state,
            "attempts": 0,
        }
        for event in events
    ]

    def work(connection: Any) -> None:
        connection.execute(insert(outbox), rows)
        preferences.hold(connection, "w", {user: at}, EIGHT)

    await store._executor.write(work)


async def messages(store: Storage, **where: str) -> list[Mapping[str, Any]]:
    """The rows of the outbox with these values, in their order."""
    query = select(outbox).filter_by(**where).order_by(outbox.c.id)
    return await store._executor.read(lambda connection: list(connection.execute(query).mappings()))


def digest_of(body: str, held: HeldMessages) -> NewDigest:
    params = {"body": body, "events": [each.event for each in held.messages], "others": held.others}
    return NewDigest(json.dumps(params), 3, max(each.event for each in held.messages), NINE)


def no_digest(body: str, held: HeldMessages) -> None:
    return


def entry() -> NewAuditEntry:
    return NewAuditEntry("2026-06-20T08:00:00Z", "u_aroha", "member", "{}")


async def remove(store: Storage, user: str) -> None:
    member = StoredMember(user, "guest", "", "g_1", "", "", "u_aroha", EIGHT, EIGHT)
    await store.change_member("w", user, lambda *_: MemberChange(member, entry()))


class TestPreferences:
    async def test_are_those_that_were_put_last(self, store: Storage) -> None:
        assert await store.preferences("w", "u_1") is None
        for number, at in ((1, EIGHT), (2, NINE)):
            body = json.dumps({"digest_hour": number})
            changed = await store.change_preferences("w", "u_1", lambda *_, body=body: PreferenceChange(body, None), at)
            assert changed == StoredPreferences(body, at, None) == await store.preferences("w", "u_1")
        assert await store.preferences("v", "u_1") is None
        assert await store.preferences("w", "u_2") is None

    async def test_a_decision_that_raises_changes_nothing(self, store: Storage) -> None:
        def decide(body: str, digest_at: datetime | None) -> PreferenceChange:
            raise ValuesRefused("no")

        with pytest.raises(ValuesRefused):
            await store.change_preferences("w", "u_1", decide, EIGHT)
        assert await store.preferences("w", "u_1") is None

    async def test_changes_at_a_time_build_on_one_another(self, store: Storage) -> None:
        def add(body: str, digest_at: datetime | None) -> PreferenceChange:
            return PreferenceChange(body + "x", digest_at)

        await asyncio.gather(*(store.change_preferences("w", "u_1", add, EIGHT) for _ in range(10)))
        found = await store.preferences("w", "u_1")
        assert found is not None
        assert found.body == "x" * 10

    async def test_of_several_people(self, store: Storage) -> None:
        for user, wedding in (("u_1", "w"), ("u_2", "w"), ("u_3", "v")):
            await store.change_preferences(wedding, user, lambda *_: PreferenceChange("{}", None), EIGHT)
        await hold(store, "u_4", 1)
        found = await store._executor.read(
            lambda connection: preferences.of_users(connection, "w", ["u_2", "u_3", "u_4", "u_5"])
        )
        assert found == {"u_2": "{}"}


class TestDigests:
    async def test_the_first_moment_that_is_set_holds_until_the_digest_is_made(self, store: Storage) -> None:
        await hold(store, "u_1", 1, at=NINE)
        await hold(store, "u_1", 2, at=TOMORROW)
        found = await store.preferences("w", "u_1")
        assert found == StoredPreferences("", EIGHT, NINE)
        assert await store.bundle("w", "u_1", EIGHT, digest_of) == 0
        assert await store.bundle("w", "u_1", NINE, digest_of) == 1
        assert await store.bundle("w", "u_1", TOMORROW, digest_of) == 0
        await hold(store, "u_1", 3, at=TOMORROW)
        assert (await store.preferences("w", "u_1")) == StoredPreferences("", EIGHT, TOMORROW)

    async def test_what_is_held_is_due_with_the_digest_also_where_its_hour_changes(self, store: Storage) -> None:
        await hold(store, "u_1", 1, at=NINE)
        await hold(store, "u_1", 2, at=NINE, state="sent")
        await hold(store, "u_2", 3, at=NINE)
        await store.change_preferences("w", "u_1", lambda *_: PreferenceChange("{}", TOMORROW), EIGHT)
        found = {each["event"]: each["next_at"] for each in await messages(store)}
        assert found == {1: TOMORROW, 2: EIGHT, 3: EIGHT}
        await store.change_preferences("w", "u_1", lambda *_: PreferenceChange("{}", None), EIGHT)
        assert {each["next_at"] for each in await messages(store, user="u_1", state="held")} == {TOMORROW}

    async def test_those_that_are_due_come_in_pages_and_the_oldest_first(self, store: Storage) -> None:
        for user, at in (("u_c", EIGHT), ("u_b", NINE), ("u_a", NINE), ("u_d", TOMORROW)):
            await hold(store, user, 1, at=at)
        await store.change_preferences("w", "u_e", lambda *_: PreferenceChange("{}", None), EIGHT)
        expected = [DueDigest(EIGHT, "w", "u_c"), DueDigest(NINE, "w", "u_a"), DueDigest(NINE, "w", "u_b")]
        assert await store.due_digests(NINE, None, 10) == expected
        assert await store.due_digests(NINE, None, 2) == expected[:2]
        assert await store.due_digests(NINE, expected[1], 2) == expected[2:]

    async def test_a_digest_takes_the_place_of_what_was_held(self, store: Storage) -> None:
        await hold(store, "u_1", 1, 2, 3)
        await hold(store, "u_1", 4, state="sent")
        await hold(store, "u_2", 5)
        await store.change_preferences("w", "u_1", lambda _, at: PreferenceChange("{}", at), EIGHT)
        assert await store.bundle("w", "u_1", NINE, digest_of) == 1
        (digest,) = await messages(store, type="digest")
        assert json.loads(digest["params"]) == {"body": "{}", "events": [2, 1, 3], "others": 0}
        expected = {"wedding": "w", "user": "u_1", "channel": "mail", "event": 3, "priority": 3, "state": "waiting"}
        expected |= {"document": "", "record": "", "at": NINE, "next_at": NINE, "attempts": 0, "done_at": None}
        assert {name: digest[name] for name in expected} == expected
        bundled = [each for each in await messages(store, user="u_1", type="guest.rsvp") if each["event"] < 4]
        assert {(each["state"], each["params"], each["done_at"]) for each in bundled} == {("dropped", "{}", NINE)}
        assert [each["state"] for each in await messages(store, user="u_2")] == ["held"]
        assert [each["params"] for each in await messages(store, state="sent")] == ['{"title": "Guest 4"}']

    async def test_each_channel_has_its_own(self, store: Storage) -> None:
        await hold(store, "u_1", 1, 2)
        await hold(store, "u_1", 2, channel="sms")
        assert await store.bundle("w", "u_1", NINE, digest_of) == 2
        found = {each["channel"]: json.loads(each["params"])["events"] for each in await messages(store, type="digest")}
        assert found == {"mail": [2, 1], "sms": [2]}

    async def test_there_are_so_many_messages_in_one(self, store: Storage) -> None:
        await hold(store, "u_1", *range(preferences.READ_AT_ONCE + 7))
        await store.bundle("w", "u_1", NINE, digest_of)
        (digest,) = await messages(store, type="digest")
        found = json.loads(digest["params"])
        assert (len(found["events"]), found["others"]) == (preferences.READ_AT_ONCE, 7)
        assert await messages(store, state="held") == []

    async def test_no_transaction_changes_all_that_is_held(self, store: Storage) -> None:
        """10,000 messages that were held kept the writer for 77 ms when the hour of their digest was changed, and for
        113 ms when it was made."""
        number = preferences.READ_AT_ONCE + 2 * SLICE + 7
        await hold(store, "u_1", *range(number), at=NINE)
        await hold(store, "u_1", *range(3), channel="push", at=NINE)
        changed: list[int] = []

        def see(connection: Any, cursor: Any, statement: str, *rest: object) -> None:
            if statement.startswith("UPDATE outbox"):
                changed.append(cursor.rowcount)

        sql_event.listen(Engine, "after_cursor_execute", see)
        try:
            await store.change_preferences("w", "u_1", lambda *_: PreferenceChange("{}", TOMORROW), EIGHT)
            assert sum(changed) == number + 3
            assert {each["next_at"] for each in await messages(store)} == {TOMORROW}
            assert await store.bundle("w", "u_1", TOMORROW, digest_of) == 2
        finally:
            sql_event.remove(Engine, "after_cursor_execute", see)
        assert max(changed) <= SLICE
        mail, push = [json.loads(each["params"]) for each in await messages(store, type="digest")]
        assert mail["events"] == list(range(0, 2 * preferences.READ_AT_ONCE, 2))
        assert (mail["others"], push["others"]) == (number - preferences.READ_AT_ONCE, 0)
        assert await messages(store, state="held") == []
        assert {each["params"] for each in await messages(store, state="dropped")} == {"{}"}

    async def test_a_digest_that_was_begun_counts_what_it_has_counted_already(self, store: Storage) -> None:
        """The node has ended between two slices, or somebody has read what was left."""
        number = preferences.READ_AT_ONCE + SLICE
        await hold(store, "u_1", *range(1, number + 1))

        async def count(now: datetime) -> bool:
            found = await store._executor.read(lambda connection: preferences.surplus(connection, "w", "u_1"))
            ids = found["mail"][:5]
            return await store._executor.write(
                lambda connection: preferences.count_surplus(connection, "w", "u_1", "mail", ids, now)
            )

        assert not await count(EIGHT - timedelta(hours=1)), "it is not due"
        assert await count(NINE)
        await store._executor.write(lambda connection: begin_to_leave(connection, "w", "u_1", NINE))
        await hold(store, "u_1", *range(10_001, 10_001 + number))
        assert await count(NINE), "what was counted before somebody had left does not come back"
        assert await count(NINE)
        await hold(store, "u_1", 5_000, at=TOMORROW)
        assert 0 not in await store.held_events("w", "u_1")
        await store.bundle("w", "u_1", NINE, digest_of)
        (digest,) = await messages(store, type="digest")
        found = json.loads(digest["params"])
        assert (len(found["events"]), found["others"]) == (preferences.READ_AT_ONCE, SLICE + 1)
        assert await messages(store, state="held") == []

    async def test_what_nobody_wants_is_dropped(self, store: Storage) -> None:
        await hold(store, "u_1", 1)
        assert await store.bundle("w", "u_1", NINE, no_digest) == 0
        (message,) = await messages(store)
        assert (message["state"], message["params"]) == ("dropped", "{}")
        assert await store.due_digests(TOMORROW, None, 10) == []

    async def test_a_member_that_was_removed_has_no_digest_and_no_addresses(self, store: Storage) -> None:
        await hold(store, "u_1", 1)
        await put_contact(store, contact("a@b.nz"), 10)
        await remove(store, "u_1")
        assert await store.bundle("w", "u_1", NINE, digest_of) == 0
        assert [each["state"] for each in await messages(store)] == ["dropped"]
        assert await store.contacts("w", "u_1") == []

    async def test_a_failure_leaves_all_as_it_was(self, store: Storage) -> None:
        await hold(store, "u_1", 1, 2)
        await hold(store, "u_1", 3, channel="push")

        def fail(body: str, held: HeldMessages) -> NewDigest:
            if held.channel == "push":
                raise ValueError("no")
            return digest_of(body, held)

        with pytest.raises(ValueError, match="no"):
            await store.bundle("w", "u_1", NINE, fail)
        assert {each["state"] for each in await messages(store)} == {"held"}
        assert await store.bundle("w", "u_1", NINE, digest_of) == 2

    async def test_of_nodes_at_a_time_one_makes_it(self, store: Storage, url: str) -> None:
        users = [f"u_{number}" for number in range(12)]
        for user in users:
            await hold(store, user, 1, 2)
        others = [await open_storage(url) for _ in range(2)]
        try:
            made = await asyncio.gather(
                *(each.bundle("w", user, NINE, digest_of) for user in users for each in (store, *others))
            )
        finally:
            await asyncio.gather(*(each.close() for each in others))
        assert sum(made) == len(users)
        digests = await messages(store, type="digest")
        assert sorted(each["user"] for each in digests) == sorted(users)
        assert {each["params"] for each in digests} == {'{"body": "", "events": [2, 1], "others": 0}'}

    async def test_a_node_that_dies_while_it_makes_one_takes_nothing_along(self, store: Storage, url: str) -> None:
        await hold(store, "u_1", 1, 2)
        await hold(store, "u_1", 3, channel="sms")
        killed = subprocess.run([sys.executable, "-c", DYING, url], cwd=ROOT, capture_output=True, text=True)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert {each["state"] for each in await messages(store)} == {"held"}
        assert await store.bundle("w", "u_1", NINE, digest_of) == 2
        assert [each["channel"] for each in await messages(store, type="digest")] == ["mail", "sms"]

    async def test_what_is_in_one_is_changed_by_nobody_else_meanwhile(
        self, store: Storage, database: Database, backend: Backend
    ) -> None:
        """A message is redacted before it is read for a digest, or in the digest that is stored by then."""
        if backend.name != "postgresql":
            return  # SQLite has one writer at a time
        await hold(store, "u_1", 1, 2)
        await hold(store, "u_2", 3)
        unlocked: list[str] = []

        def make(body: str, held: HeldMessages) -> NewDigest:
            unlocked.extend(database.execute("SELECT event FROM outbox FOR UPDATE SKIP LOCKED"))
            return digest_of(body, held)

        await store.bundle("w", "u_1", NINE, make)
        assert unlocked == ["3"]

    async def test_what_is_held_while_one_is_made_is_in_the_next(self, store: Storage, url: str) -> None:
        """In any order: each message is in one digest, or held for the next."""
        other = await open_storage(url)
        try:
            for number in range(10):
                await hold(store, "u_1", 2 * number)
                await asyncio.gather(
                    store.bundle("w", "u_1", NINE, digest_of), hold(other, "u_1", 2 * number + 1, at=TOMORROW)
                )
        finally:
            await other.close()
        await store.bundle("w", "u_1", TOMORROW, digest_of)
        events = [json.loads(each["params"])["events"] for each in await messages(store, type="digest")]
        assert sorted(event for each in events for event in each) == list(range(20))


DYING = """
import asyncio, os, signal, sys
from datetime import UTC, datetime
from storage import NewDigest, open_storage

def make(body, held):
    if held.channel == "sms":
        os.kill(os.getpid(), signal.SIGKILL)
    return NewDigest("{}", 3, 1, datetime(2026, 6, 20, 9, tzinfo=UTC))

async def main():
    store = await open_storage(sys.argv[1])
    await store.bundle("w", "u_1", datetime(2026, 6, 20, 9, tzinfo=UTC), make)

asyncio.run(main())
"""


def contact(address: str, channel: str = "mail", *, at: datetime = EIGHT, secret: str = "") -> StoredContact:
    return StoredContact(channel, f"id of {address}", address, secret, at)


async def put_contact(store: Storage, each: StoredContact, most: int) -> StoredContact:
    return await store.put_contact("w", "u_1", each, most, since=EIGHT, make=lambda sent: None)


class TestContacts:
    async def test_are_added_replaced_and_deleted(self, store: Storage) -> None:
        first, second = contact("a@b.nz"), contact("c@d.nz", at=NINE)
        for each in (second, first):
            await put_contact(store, each, 2)
        assert await store.contacts("w", "u_1") == [first, second]
        again = contact("a@b.nz", at=TOMORROW, secret="{}")  # noqa: S106
        await put_contact(store, again, 2)
        assert await store.contacts("w", "u_1") == [second, again]
        assert await store.contacts("w", "u_2") == []
        assert not await store.delete_contact("w", "u_2", first.id)
        assert await store.delete_contact("w", "u_1", first.id)
        assert await store.contacts("w", "u_1") == [second]

    async def test_are_bounded_for_each_channel(self, store: Storage) -> None:
        await put_contact(store, contact("+6421", "sms"), 3)
        put = [put_contact(store, contact(f"{number}@b.nz"), 3) for number in range(10)]
        results = await asyncio.gather(*put, return_exceptions=True)
        assert sum(isinstance(each, ValuesRefused) for each in results) == 7
        assert [each.channel for each in await store.contacts("w", "u_1")] == ["mail"] * 3 + ["sms"]

    async def test_what_is_disabled_makes_room(self, store: Storage) -> None:
        gone = contact("a@b.nz")._replace(disabled_at=NINE)
        await put_contact(store, gone, 1)
        assert await store.contacts("w", "u_1") == [gone]
        await put_contact(store, contact("c@d.nz"), 1)
        assert await store.contacts("w", "u_1") == [contact("c@d.nz")]


def test_columns() -> None:
    assert set(HeldMessage._fields) <= set(outbox.c.keys())
