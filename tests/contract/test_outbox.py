"""What every backend of `storage` does with messages that have to leave the server: each state and the ways between."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, insert, select
from sqlalchemy import event as sql_event

from storage import ClaimOf, DerivedRecords, DocumentKey, MessageOutcome, NewMessage, Storage, ValuesRefused
from storage import outbox as states
from storage.derived import StoredRow
from storage.messaging_tables import contacts, outbox, webhooks
from storage.outbox import key_of
from storage.outbox_claims import WALKED
from storage.tables import members
from tests.contract.backends import Database

NOON = datetime(2026, 6, 20, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
ATTEMPTS = 7
LEASE = 60.0
MAIL = ClaimOf("mail", 100, 4, 100)


def new(
    event: int = 1, *, user: str = "u_1", channel: str = "mail", priority: int = 2, wedding: str = "w", **more: object
) -> NewMessage:
    key = key_of(wedding, event, user, channel)
    params = json.dumps({"text": f"Zoë 💍 {event}"})
    message = NewMessage(
        key, wedding, user, channel, event, "message.sent", priority, "thread.t", f"m_{event}", params, NOON
    )
    return message._replace(**more)  # type: ignore[arg-type]


async def claim(
    store: Storage,
    *claims: ClaimOf,
    lease: str = "n_1",
    seconds: float = LEASE,
    now: datetime = NOON,
    outcomes: tuple[MessageOutcome, ...] = (),
) -> list[int]:
    """The events of the messages that were claimed, in their order."""
    found, _ = await store.claim_messages(lease, seconds, outcomes, claims or (MAIL,), now, ATTEMPTS)
    return [each.event for each in found]


async def settle(store: Storage, *outcomes: MessageOutcome, lease: str = "n_1", now: datetime = NOON) -> None:
    await store.claim_messages(lease, LEASE, outcomes, (), now, ATTEMPTS)


async def in_state(store: Storage, state: str, wedding: str | None = "w") -> list[int]:
    return [each.event for each in await store.messages(wedding, state)]


async def number(store: Storage, event: int) -> int:
    found = [each for state in states.STATES for each in await store.messages("w", state) if each.event == event]
    return found[0].id


async def all_params(store: Storage) -> list[str]:
    return await store._executor.read(lambda connection: list(connection.scalars(select(outbox.c.params))))


class TestEnqueue:
    async def test_each_key_once(self, store: Storage) -> None:
        assert await store.enqueue([new(1), new(2)]) == 2
        assert await store.enqueue([new(2, priority=0), new(3)]) == 1
        assert await store.enqueue([]) == 0
        assert await claim(store) == [1, 2, 3]

    async def test_more_than_one_statement_takes(self, store: Storage) -> None:
        assert await store.enqueue([new(n) for n in range(1_500)]) == 1_500
        assert await claim(store, MAIL._replace(limit=2_000, per_recipient=2_000)) == list(range(1_500))

    async def test_one_for_later_waits_until_then(self, store: Storage) -> None:
        await store.enqueue([new(1, next_at=NOON + SECOND), new(2, next_at=NOON)])
        assert await claim(store) == [2]
        assert not await store.outbox_is_due(NOON)
        assert await store.outbox_is_due(NOON + SECOND)
        assert await claim(store, now=NOON + SECOND) == [1]

    async def test_one_that_is_held_is_never_claimed(self, store: Storage) -> None:
        await store.enqueue([new(1, held=True)])
        assert not await store.outbox_is_due(NOON + timedelta(days=9))
        assert await claim(store, now=NOON + timedelta(days=9)) == []
        assert await in_state(store, states.HELD) == [1]

    @pytest.mark.parametrize(
        "bad", [new(user="u" * 256), new(record="r" * 256), new(key="k" * 65), new(priority=5), new(priority=-1)]
    )
    async def test_what_cannot_be_stored_is_refused_whole(self, store: Storage, bad: NewMessage) -> None:
        with pytest.raises(ValuesRefused):
            await store.enqueue([new(2), bad])
        assert await claim(store) == []


class TestClaims:
    async def test_order_is_priority_then_age(self, store: Storage) -> None:
        await store.enqueue([new(n, priority=4 - n % 5) for n in range(10)])
        assert await claim(store, MAIL._replace(limit=3)) == [4, 9, 3]
        assert await claim(store) == [8, 2, 7, 1, 6, 0, 5]

    async def test_emergencies_overtake_1000_that_wait(self, store: Storage) -> None:
        await store.enqueue([new(n) for n in range(1_000)])
        await store.enqueue([new(1_000 + n, priority=0) for n in range(3)])
        assert await claim(store, MAIL._replace(limit=4)) == [1_000, 1_001, 1_002, 0]

    async def test_only_as_urgent_and_of_the_channel(self, store: Storage) -> None:
        await store.enqueue([new(1), new(2, priority=1), new(3, priority=0, channel="sms")])
        assert await claim(store, MAIL._replace(priority=1)) == [2]
        assert await claim(store, MAIL, MAIL._replace(channel="sms")) == [1, 3]

    async def test_a_second_claim_of_a_channel_takes_others(self, store: Storage) -> None:
        await store.enqueue([new(n, priority=n % 2) for n in range(6)])
        assert await claim(store, MAIL._replace(limit=2), MAIL._replace(limit=3, priority=0)) == [0, 2, 4]
        assert await claim(store) == [1, 3, 5]

    async def test_one_recipient_does_not_fill_a_claim(self, store: Storage) -> None:
        await store.enqueue([new(n, user="slow") for n in range(3)] + [new(9)])
        assert await claim(store, ClaimOf("mail", 2, 4, 1)) == [0, 9]
        busy = [("w", "slow", "")]
        await store.enqueue([new(10, user="slow", wedding="v")])
        assert await claim(store, MAIL._replace(busy=busy)) == [10]
        assert await claim(store) == [1, 2]

    async def test_nodes_never_take_the_same(self, store: Storage) -> None:
        await store.enqueue([new(n) for n in range(60)])
        of_ten = MAIL._replace(limit=10)
        found = await asyncio.gather(*(claim(store, of_ten, lease=f"n_{n}") for n in range(8)))
        taken = [event for events in found for event in events]
        assert len(taken) == len(set(taken))
        rest = await claim(store)
        assert sorted(taken + rest) == list(range(60))

    async def test_a_lease_that_ended_frees_its_messages(self, store: Storage) -> None:
        await store.enqueue([new(1), new(2)])
        assert await claim(store, MAIL._replace(limit=1), seconds=-1) == [1]
        assert await claim(store, lease="n_2") == [1, 2]
        assert await claim(store, lease="n_3", now=NOON + timedelta(days=9)) == [], "whatever the clock of a node says"

    async def test_a_lease_is_renewed(self, store: Storage) -> None:
        await store.enqueue([new(1), new(2), new(3)])
        assert await claim(store, MAIL._replace(limit=2), seconds=-1) == [1, 2]
        first, third = await number(store, 1), await number(store, 3)
        assert await store.renew_lease("n_1", [first, third], LEASE) == 1
        assert await store.renew_lease("n_2", [first, third], LEASE) == 0
        assert await store.renew_lease("n_1", [], LEASE) == 0
        assert await claim(store, lease="n_2") == [2, 3]

    async def test_a_message_that_ends_its_node_dies_with_the_last_attempt(self, store: Storage) -> None:
        await store.enqueue([new(1)])
        for attempt in range(ATTEMPTS):
            assert await claim(store, seconds=-1, lease=f"n_{attempt}") == [1]
        assert await store.claim_messages("n_9", LEASE, (), (MAIL,), NOON, ATTEMPTS) == ([], {"mail": 1})
        assert await store.claim_messages("n_9", LEASE, (), (MAIL,), NOON, ATTEMPTS) == ([], {})
        (dead,) = await store.messages("w", states.DEAD)
        assert (dead.attempts, dead.error) == (ATTEMPTS, "the server ended during attempt 7")


class TestOutcomes:
    async def test_sent(self, store: Storage) -> None:
        await store.enqueue([new(1)])
        await claim(store)
        await settle(store, MessageOutcome(await number(store, 1), states.SENT, "", NOON))
        stored = await store.message(await number(store, 1))
        assert stored is not None
        assert (stored.state, stored.attempts, stored.done_at, stored.lease) == (states.SENT, 1, NOON, "")
        assert stored.params == "{}", "what was typed is not kept"
        assert await claim(store, now=NOON + timedelta(days=1)) == []

    async def test_later_again(self, store: Storage) -> None:
        await store.enqueue([new(1)])
        await claim(store)
        await settle(store, MessageOutcome(await number(store, 1), states.LATER, "e" * 600, NOON, NOON + 5 * SECOND))
        (stored,) = await store.messages("w", states.LATER)
        assert (stored.attempts, stored.error, stored.done_at) == (1, "e" * 500, None)
        assert await claim(store, now=NOON + 4 * SECOND) == []
        assert await claim(store, now=NOON + 5 * SECOND) == [1]
        again = await store.message(stored.id)
        assert again is not None
        assert (again.attempts, json.loads(again.params)) == (2, {"text": "Zoë 💍 1"})

    async def test_given_back(self, store: Storage) -> None:
        await store.enqueue([new(1)])
        await claim(store)
        await settle(store, MessageOutcome(await number(store, 1), states.WAITING, "", NOON))
        (stored,) = await store.messages("w", states.WAITING)
        assert (stored.attempts, stored.lease) == (0, "")

    @pytest.mark.parametrize("state", [states.DEAD, states.DROPPED])
    async def test_the_end(self, store: Storage, state: str) -> None:
        await store.enqueue([new(1)])
        await claim(store)
        await settle(store, MessageOutcome(await number(store, 1), state, "no such mailbox", NOON))
        (stored,) = await store.messages("w", state)
        assert (stored.error, stored.done_at) == ("no such mailbox", NOON)
        full = await store.message(stored.id)
        assert full is not None
        assert (full.params == "{}") is (state == states.DROPPED), "what is dead may be sent once more"

    async def test_who_lost_the_lease_decides_only_that_it_was_sent(self, store: Storage) -> None:
        await store.enqueue([new(1), new(2)])
        await claim(store, seconds=-1)
        first, second = await number(store, 1), await number(store, 2)
        assert await claim(store, lease="n_2") == [1, 2]
        await settle(
            store,
            MessageOutcome(first, states.DEAD, "late", NOON),
            MessageOutcome(second, states.SENT, "", NOON),
            lease="n_1",
        )
        assert await in_state(store, states.SENDING) == [1]
        assert await in_state(store, states.SENT) == [2]
        await settle(store, MessageOutcome(second, states.DEAD, "late", NOON), lease="n_2")
        assert await in_state(store, states.SENT) == [2]


class TestOperators:
    async def test_pages_are_ordered_and_show_no_text(self, store: Storage) -> None:
        await store.enqueue([new(n) for n in range(5)] + [new(7, wedding="v"), new(8, channel="sms")])
        first = await store.messages("w", states.WAITING, limit=3)
        rest = await store.messages("w", states.WAITING, after=first[-1].id)
        assert [each.event for each in first + rest] == [0, 1, 2, 3, 4, 8]
        assert {each.params for each in first + rest} == {"{}"}
        assert [each.event for each in await store.messages("w", states.WAITING, channel="sms")] == [8]
        assert await in_state(store, states.WAITING, None) == [0, 1, 2, 3, 4, 7, 8]

    async def test_one_is_sent_once_more(self, store: Storage) -> None:
        await store.enqueue([new(1), new(2, next_at=NOON + SECOND), new(3, held=True), new(4)])
        await claim(store, MAIL._replace(limit=1))
        await settle(store, MessageOutcome(await number(store, 1), states.DEAD, "no", NOON))
        for event, state in ((1, states.WAITING), (2, states.WAITING), (3, states.HELD), (4, states.WAITING)):
            retried = await store.retry_message("w", await number(store, event), NOON)
            assert retried is not None
            assert (retried.state, retried.attempts, retried.done_at) == (state, 0, None)
            assert retried == await store.message(retried.id)
        assert await store.retry_message("v", await number(store, 1), NOON) is None
        assert await store.retry_message("w", 10**9, NOON) is None
        assert await claim(store) == [1, 2, 4]
        again = await store.message(await number(store, 1))
        assert again is not None
        assert (again.attempts, again.error, again.done_at, again.params != "{}") == (1, "no", None, True)

    async def test_all_that_are_dead(self, store: Storage) -> None:
        messages = [new(n) for n in range(501)] + [new(600, channel="sms"), new(601, wedding="v")]
        await store.enqueue(messages)
        many = MAIL._replace(limit=600, per_recipient=600)
        found, _ = await store.claim_messages("n_1", LEASE, (), (many, MAIL._replace(channel="sms")), NOON, ATTEMPTS)
        await settle(store, *(MessageOutcome(each.id, states.DEAD, "no", NOON) for each in found))
        assert await store.retry_dead("w", "sms", NOON) == 1
        assert await store.retry_dead("w", None, NOON) == 501
        assert await store.retry_dead(None, None, NOON) == 1
        assert await store.retry_dead(None, None, NOON) == 0
        assert len(await claim(store, many)) == 502

    async def test_those_that_die_again_meanwhile_are_left(self, store: Storage) -> None:
        """Whoever had all of them sent once more waited for as long as they died at once."""
        await store.enqueue([new(1), new(2)])
        await claim(store)
        for event, at in ((1, NOON), (2, NOON + SECOND)):
            await settle(store, MessageOutcome(await number(store, event), states.DEAD, "no", at))
        assert await store.retry_dead("w", None, NOON) == 1
        assert await in_state(store, states.DEAD) == [2]

    async def test_counts_and_depths(self, store: Storage) -> None:
        await store.enqueue([new(1), new(2), new(3, channel="sms", next_at=NOON + SECOND), new(4, held=True)])
        await claim(store, MAIL._replace(limit=1))
        counts, inbox = await store.message_counts("w")
        assert [tuple(each) for each in counts] == [
            ("mail", states.HELD, 1),
            ("mail", states.SENDING, 1),
            ("mail", states.WAITING, 1),
            ("sms", states.LATER, 1),
        ]
        assert inbox == (0, 0)
        assert sorted(await store.outbox_depths(NOON)) == [("mail", 2, NOON), ("sms", 1, None)]
        due = NOON + SECOND  # though no worker has made it wait
        assert sorted(await store.outbox_depths(due)) == [("mail", 2, NOON), ("sms", 1, due)]
        assert await store.message_counts("v") == ([], (0, 0))


class TestWhatGoes:
    async def test_a_record_that_was_redacted(self, store: Storage) -> None:
        await store.enqueue([new(1), new(2), new(3, held=True), new(4), new(4, user="u_2", held=True)])
        notices = [{"document": "thread.t", "record": f"m_{n}", "params": {"text": "Zoë"}} for n in (1, 4)]
        digest = json.dumps({"notices": notices})
        await store.enqueue([new(9, type=states.DIGEST, params=digest, document="", record="")])
        await claim(store, MAIL._replace(limit=1))
        await settle(store, MessageOutcome(await number(store, 1), states.DEAD, "no", NOON))

        async def redact(record: str) -> int:
            return await store._executor.write(
                lambda connection: states.redact(connection, "w", {("thread.t", record)}, NOON)
            )

        assert await redact("m_1") == 2, "the dead one and the digest"
        assert await redact("m_4") == 3
        assert await redact("m_4") == 0
        assert await in_state(store, states.DROPPED) == [1, 4, 4, 9]
        left = ["{}", "{}", "{}", "{}", new(2).params, new(3).params]
        assert sorted(await all_params(store)) == sorted(left)

    async def test_many_records_are_searched_for_once(self, store: Storage) -> None:
        """Digests that waited were read for each message: 17 MB of them for 100 messages held up writers for 7 s."""
        statements: list[object] = []

        def redact(connection: Connection) -> int:
            sql_event.listen(connection, "before_cursor_execute", lambda *call: statements.append(call[2]))
            return states.redact(connection, "w", {("thread.t", f"m_{n}") for n in range(100)}, NOON)

        notices = [{"document": "thread.t", "record": f"m_{n}", "type": "message.sent"} for n in (1, 2, 200)]
        digest = json.dumps({"notices": notices})
        await store.enqueue([new(9, type=states.DIGEST, params=digest, document="", record=""), new(3), new(201)])
        assert await store._executor.write(redact) == 2
        assert len(statements) == 3, "messages, digests, and the one that has some of them"
        assert json.dumps({"notices": notices[2:]}) in await all_params(store)

    async def test_a_digest_without_anything_in_it_is_not_sent(self, store: Storage) -> None:
        """It could not be rendered, and died after seven attempts."""
        told = {"document": "thread.t", "record": "m_1", "type": "message.sent"}
        notices = [told, {"document": "", "record": "", "type": states.DIGEST, "count": 3}]
        digest = json.dumps({"notices": notices})
        await store.enqueue([new(9, type=states.DIGEST, params=digest, document="", record="")])
        await store._executor.write(lambda connection: states.redact(connection, "w", {("thread.t", "m_1")}, NOON))
        assert await in_state(store, states.DROPPED) == [9]
        assert await all_params(store) == ["{}"]

    async def test_what_is_over_goes_in_time(self, store: Storage) -> None:
        await store.enqueue([new(n) for n in range(4)])
        await claim(store)
        ends = (states.SENT, states.DROPPED, states.DEAD)
        await settle(store, *[MessageOutcome(await number(store, n), state, "", NOON) for n, state in enumerate(ends)])
        assert await store.expire_messages(NOON, NOON) == 0
        assert await store.expire_messages(NOON + SECOND, NOON) == 2
        assert await store.expire_messages(NOON + SECOND, NOON + SECOND) == 1
        assert await in_state(store, states.SENDING) == [3]


async def test_the_oldest_that_are_over_go_beyond_a_number_of_characters(store: Storage) -> None:
    await store.enqueue([new(event) for event in range(6)])
    await claim(store, MAIL)
    messages = await store.messages("w", states.SENDING)
    dead = [MessageOutcome(each.id, states.DEAD, "", NOON) for each in messages[:5]]
    await claim(store, outcomes=[*dead, MessageOutcome(messages[5].id, states.SENT, "", NOON)])
    size = states.MESSAGE_CHARACTERS + len(new(0).params)
    assert await store.trim_messages("w", (states.DEAD,), 5 * size) == 0
    assert await store.trim_messages("w", (states.DEAD,), 3 * size) == 2
    assert [each.event for each in await store.messages("w", states.DEAD)] == [2, 3, 4]
    assert await store.trim_messages("w", (states.SENT, states.DROPPED), 1) == 1
    assert await store.trim_messages("w_2", (states.DEAD,), 1) == 0


class TestRecipients:
    @pytest.fixture(autouse=True)
    async def people(self, store: Storage) -> None:
        own = {"wedding": "w", "user": "u_1", "secret": "", "at": NOON, "confirmed_at": NOON}
        addresses = [("mail", "c_1", None), ("push", "p_1", None), ("push", "p_2", None), ("push", "x", NOON)]
        hook = {"wedding": "w", "id": "wh_1", "url": "https://a.example", "types": "[]", "secrets": '["s"]'}
        person = {"wedding": "w", "role": "guest", "vendor": "", "guest": "g", "side": "", "added_by": "x", "at": NOON}

        def put(connection: Connection) -> None:
            for channel, id_, gone in addresses:
                row = own | {"channel": channel, "id": id_, "address": f"{id_}@example", "disabled_at": gone}
                connection.execute(insert(contacts), row)
            connection.execute(insert(webhooks), hook | {"by": "u_1", "at": NOON, "disabled_at": None, "reason": ""})
            for user, name, removed in (("u_1", "Ada", None), ("u_gone", "Eve", NOON)):
                connection.execute(insert(members), person | {"user": user, "name": name, "removed_at": removed})

        await store._executor.write(put)
        meta = StoredRow("meta", "", '{"title":"A & B"}', "{}")
        await store.append([], [DerivedRecords(DocumentKey("w", "wedding"), rows=[meta])])

    async def test_addresses_and_people(self, store: Storage) -> None:
        users = [("u_1", "mail"), ("u_1", "push"), ("wh_1", "webhook"), ("u_gone", "mail"), ("u_1", "sms")]
        await store.enqueue([new(n, user=user, channel=channel) for n, (user, channel) in enumerate(users)])
        claimed = await store.messages("w", states.WAITING)
        found = {each.event: (await store.resolve_recipients(claimed))[each.id] for each in claimed}
        assert [[tuple(a) for a in found[n].addresses] for n in range(5)] == [
            [("c_1", "c_1@example", "")],
            [("p_1", "p_1@example", ""), ("p_2", "p_2@example", "")],
            [("", "https://a.example", '["s"]')],
            [],
            [],
        ]
        assert [found[n].removed for n in range(5)] == [False, False, False, True, False]
        assert (found[0].name, found[0].preferences, json.loads(found[0].wedding)) == ("Ada", "", {"title": "A & B"})

    async def test_a_webhook_is_sent_nothing_when_its_maker_was_removed(self, store: Storage) -> None:
        def put(connection: Connection) -> None:
            hook = {"wedding": "w", "id": "wh_2", "url": "https://b.example", "types": "[]", "secrets": "[]"}
            connection.execute(insert(webhooks), hook | {"by": "u_gone", "at": NOON, "reason": ""})

        await store._executor.write(put)
        await store.enqueue([new(n, user=f"wh_{n}", channel="webhook") for n in (1, 2)])
        claimed = await store.messages("w", states.WAITING)
        resolved = await store.resolve_recipients(claimed)
        found = {each.user: resolved[each.id] for each in claimed}
        assert {id_: (each.removed, each.person) for id_, each in found.items()} == {
            "wh_1": (False, "u_1"),
            "wh_2": (True, "u_gone"),
        }

    async def test_one_for_each_address(self, store: Storage) -> None:
        await store.enqueue([new(1, channel="push", priority=0)])
        push = MAIL._replace(channel="push")
        ((message,), _) = await store.claim_messages("n_1", LEASE, (), [push], NOON, ATTEMPTS)
        assert await store.split_message(message, ["p_1", "p_2"]) == 1
        assert await store.split_message(message, ["p_1", "p_2"]) == 0
        ((other,), _) = await store.claim_messages("n_1", LEASE, (), [push], NOON, ATTEMPTS)
        assert (other.contact, other.priority, other.params) == ("p_2", 0, message.params)
        assert other.key != message.key
        first = await store.message(message.id)
        assert first is not None
        found = await store.resolve_recipients([first, other])
        assert [[a.contact for a in found[each.id].addresses] for each in (first, other)] == [["p_1"], ["p_2"]]

    async def test_nothing_is_split_that_was_redacted_meanwhile(self, store: Storage) -> None:
        await store.enqueue([new(1, channel="push")])
        ((message,), _) = await store.claim_messages("n_1", LEASE, (), [MAIL._replace(channel="push")], NOON, ATTEMPTS)
        await store._executor.write(lambda connection: states.redact(connection, "w", {("thread.t", "m_1")}, NOON))
        assert await store.split_message(message, ["p_1", "p_2"]) == 0
        assert await all_params(store) == ["{}"]
        await settle(store, MessageOutcome(message.id, states.SENT, "", NOON))
        assert await in_state(store, states.DROPPED) == [1]

    async def test_an_address_that_is_gone(self, store: Storage) -> None:
        users = [("u_1", "push"), ("wh_1", "webhook")]
        await store.enqueue([new(n, user=user, channel=channel) for n, (user, channel) in enumerate(users)])
        push, hook = await store.messages("w", states.WAITING)
        await store.disable_address(push, "p_1", "410", NOON)
        await store.disable_address(hook, "", "410 " * 200, NOON)
        found = await store.resolve_recipients([push, hook])
        assert [[a.contact for a in found[each.id].addresses] for each in (push, hook)] == [["p_2"], []]


class TestTurns:
    """Where those in front go to recipients that are busy, or to few."""

    async def test_recipients_behind_a_backlog_take_turns(self, store: Storage) -> None:
        backlog = [new(event, user="u_busy") for event in range(WALKED + 50)]
        others = [new(1_000 + number, user=f"u_{number % 4}") for number in range(8)]
        urgent = new(2_000, user="u_9", wedding="w_2", priority=1)
        await store.enqueue([*backlog, *others, urgent])
        busy = ClaimOf("mail", 3, 4, 4, [("w", "u_busy", "")])
        assert await claim(store, busy) == [2_000, 1_000, 1_001], "an urgent one is in front of the others"
        assert await claim(store, busy._replace(after=("w", "u_1", ""))) == [1_002, 1_003, 1_004]
        assert await claim(store, busy._replace(limit=9, after=("w", "u_2", ""))) == [1_007, 1_005, 1_006]
        assert await claim(store, busy) == []
        assert await claim(store, busy._replace(busy=[])) == [0, 1, 2]

    async def test_they_take_turns_where_those_in_front_are_sent_at_once(self, store: Storage) -> None:
        backlog = [new(event, user="u_fast") for event in range(WALKED + 50)]
        await store.enqueue([*backlog, new(1_000, user="u_1"), new(1_001, user="u_2")])
        assert await claim(store, ClaimOf("mail", 8, 4, 4)) == [0, 1, 2, 3, 1_000, 1_001]
        assert await claim(store, ClaimOf("mail", 8, 4, 4)) == [4, 5, 6, 7]

    async def test_only_so_urgent_ones_have_turns(self, store: Storage) -> None:
        backlog = [new(event, user="u_busy", priority=0) for event in range(WALKED)]
        await store.enqueue([*backlog, new(1_000, priority=2), new(1_001, channel="sms", priority=0)])
        assert await claim(store, ClaimOf("mail", 3, 1, 4, [("w", "u_busy", "")])) == []
        assert await claim(store, ClaimOf("mail", 3, 2, 4, [("w", "u_busy", "")])) == [1_000]

    async def test_addresses_and_weddings_are_recipients_of_their_own(self, store: Storage) -> None:
        backlog = [new(event, user="u_1", contact="b") for event in range(WALKED)]
        more = [new(1_000 + n, wedding=w, contact=c) for n, (w, c) in enumerate([("w", "a"), ("w", "c"), ("v", "b")])]
        await store.enqueue([*backlog, *more])
        assert await claim(store, ClaimOf("mail", 9, 4, 1, [("w", "u_1", "b")])) == [1_002, 1_000, 1_001]

    async def test_no_claim_reads_what_waits(self, store: Storage, database: Database) -> None:
        """Neither what is taken in order nor what is taken in turns: by indexes that end with what is taken."""
        seen: list[tuple[str, Any]] = []

        def see(connection: object, cursor: object, statement: str, parameters: Any, *rest: object) -> None:
            if "FROM outbox" in statement:
                seen.append((statement, parameters))

        await store.enqueue([new(event) for event in range(3)])
        sql_event.listen(Engine, "before_cursor_execute", see)
        try:
            await claim(store, MAIL._replace(busy=[("w", "u_1", "")], limit=1))
        finally:
            sql_event.remove(Engine, "before_cursor_execute", see)
        claims = [each for each in seen if "walked" in each[0] or "seen" in each[0]]
        assert len(claims) == 1 + 5
        if not database.url.startswith("sqlite"):
            pytest.skip("plans of PostgreSQL follow from the sizes of tables")
        with closing(sqlite3.connect(database.url.partition(":///")[2])) as connection:
            steps = [
                step[3]
                for statement, parameters in claims
                for step in connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            ]
        used = [each for each in steps if each.startswith("SEARCH") or each.startswith("SCAN outbox")]
        walk = "(state=? AND channel=? AND priority<?)"
        places = ["wedding=? AND user=? AND contact>?", "wedding=? AND user>?", "wedding>?"]
        seeks = [f"ix_outbox_recipients (channel=? AND priority=? AND {each})" for each in places]
        assert [each for each in used if "PRIMARY KEY" not in each and not each.endswith((walk, *seeks))] == []
        assert all(any(each.endswith(seek) for each in used) for seek in seeks)
