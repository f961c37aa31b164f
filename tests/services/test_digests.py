"""The job that makes digests, on a real store with a fake clock."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from crdt_server.access.identity import Identity
from crdt_server.services.messaging import digest
from crdt_server.services.messaging.composing import notices_of
from crdt_server.services.messaging.digest import DIGEST_BYTES, Digests, params_of
from crdt_server.services.messaging.local_time import QuietHours
from crdt_server.services.messaging.preference_service import PreferenceService
from crdt_server.services.messaging.preferences import Mode, Preferences, next_digest, parse_preferences
from crdt_server.services.messaging.still_known import all_known
from crdt_server.services.messaging.unsubscribe import LinkTarget
from storage import (
    Append,
    DerivedRecords,
    DocumentKey,
    HeldMessage,
    HeldMessages,
    Storage,
    StoredMessage,
    StoredPreferences,
    StoredRow,
    open_storage,
    preferences,
)
from storage.messaging_tables import outbox

CHLOE = Identity("u_chloe", "guest", guest="g_1")
BERLIN = Preferences(timezone="Europe/Berlin", digest_hour=7)


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 3, 28, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Storage]:
    store = await open_storage(database_url, migrate=True)
    yield store
    await store.close()


@pytest.fixture
def service(store: Storage, clock: Clock) -> PreferenceService:
    return PreferenceService(store, clock)


@pytest.fixture
def enqueued() -> list[int]:
    return []


@pytest.fixture
def digests(store: Storage, clock: Clock, enqueued: list[int]) -> Digests:
    return Digests(store, clock, enqueued.append, all_known)


async def hold(store: Storage, clock: Clock, *events: int, user: str = "u_chloe", params: str = "{}") -> None:
    """Hold messages for the digest of a person, as the router does it."""
    found = await store.preferences("w", user)
    chosen = parse_preferences("" if found is None else found.body)
    rows = [
        {
            **dict.fromkeys(("document", "record", "contact", "lease", "error"), ""),
            "count": 1,
            **dict.fromkeys(("at", "next_at"), clock.now),
            **{"key": f"{user} {event}", "wedding": "w", "user": user, "channel": "mail", "event": event},
            **{"type": "guest.rsvp", "priority": 3, "params": params, "state": "held", "attempts": 0},
        }
        for event in events
    ]
    due = next_digest(chosen, clock.now)

    def work(connection: Any) -> None:
        connection.execute(insert(outbox), rows)
        preferences.hold(connection, "w", {user: due}, clock.now)

    await store._executor.write(work)


async def made(store: Storage) -> list[Mapping[str, Any]]:
    query = select(outbox).where(outbox.c.type == "digest").order_by(outbox.c.id)
    return await store._executor.read(lambda connection: list(connection.execute(query).mappings()))


def notices(row: Mapping[str, Any]) -> list[int]:
    return [each["event"] for each in json.loads(row["params"])["notices"]]


async def test_a_digest_comes_at_the_hour_of_the_person_when_clocks_change(
    store: Storage, clock: Clock, service: PreferenceService, digests: Digests, enqueued: list[int]
) -> None:
    await service.replace("w", CHLOE, BERLIN)
    for day, event in ((28, 1), (29, 2), (30, 3)):
        await hold(store, clock, event)
        clock.now = datetime(2026, 3, day + 1, 4, 59, tzinfo=UTC)
        assert await digests.make_due() == 0
        clock.now += timedelta(minutes=1)  # 07:00 in summer time
        assert await digests.make_due() == 1
        assert await digests.make_due() == 0
    rows = await made(store)
    assert [notices(row) for row in rows] == [[1], [2], [3]]
    assert [row["next_at"] for row in rows] == [datetime(2026, 3, day, 5, tzinfo=UTC) for day in (29, 30, 31)]
    assert enqueued == [1, 1, 1]


async def test_a_late_one_waits_for_the_end_of_quiet_hours(
    store: Storage, clock: Clock, service: PreferenceService, digests: Digests
) -> None:
    quiet = QuietHours(datetime(2026, 1, 1, 22).time(), datetime(2026, 1, 1, 9).time())  # noqa: DTZ001
    await service.replace("w", CHLOE, Preferences(timezone="UTC", quiet_hours=quiet, digest_hour=20))
    await hold(store, clock, 1)
    clock.now = datetime(2026, 3, 28, 23, tzinfo=UTC)  # no node was there at eight
    assert await digests.make_due() == 1
    (row,) = await made(store)
    assert row["next_at"] == datetime(2026, 3, 29, 9, tzinfo=UTC)


async def test_another_hour_moves_the_digest_that_waits(
    store: Storage, clock: Clock, service: PreferenceService, digests: Digests
) -> None:
    await service.replace("w", CHLOE, BERLIN)
    await hold(store, clock, 1)
    own = await service.replace("w", CHLOE, Preferences(timezone="UTC", digest_hour=20))
    assert own.digest_at == datetime(2026, 3, 28, 20, tzinfo=UTC)
    clock.now = own.digest_at + timedelta(minutes=1)
    own = await service.replace("w", CHLOE, Preferences(timezone="UTC", digest_hour=20))
    assert own.digest_at == datetime(2026, 3, 28, 20, tzinfo=UTC), "one that is due is not moved to the next day"
    assert await digests.make_due() == 1
    assert (await service.of("w", CHLOE)).digest_at is None


async def test_a_digest_has_nothing_of_a_group_that_was_switched_off_since(
    store: Storage, clock: Clock, service: PreferenceService, digests: Digests
) -> None:
    await service.replace("w", CHLOE, BERLIN)
    await hold(store, clock, 1, 2)
    task = update(outbox).where(outbox.c.event == 2).values(type="task.done")
    await store._executor.write(lambda connection: connection.execute(task))
    await service.unsubscribe(LinkTarget("w", "u_chloe", "mail", "guests"))
    clock.now += timedelta(days=1)
    assert await digests.make_due() == 1
    (row,) = await made(store)
    assert notices(row) == [2]
    await hold(store, clock, 3)
    clock.now += timedelta(days=1)
    assert await digests.make_due() == 0


async def test_who_unsubscribes_from_the_digest_gets_none(
    store: Storage, clock: Clock, service: PreferenceService, digests: Digests
) -> None:
    await hold(store, clock, 1)
    target = LinkTarget("w", "u_chloe", "mail", "digest")
    for _ in range(2):
        await service.unsubscribe(target)
    assert (await service.of("w", CHLOE)).chosen == Preferences(modes={("digest", "mail"): Mode.OFF})
    clock.now += timedelta(days=1)
    assert await digests.make_due() == 0
    assert await made(store) == []


async def test_the_zone_of_the_wedding_counts_for_those_who_have_set_none(
    store: Storage, clock: Clock, service: PreferenceService
) -> None:
    row = StoredRow("meta", "", '{"timeZone": "Pacific/Auckland", "locale": "de"}', "{}")
    key = DocumentKey("w", "wedding")
    await store.append([Append(key, 1, b"update")], [DerivedRecords(key, rows=[row])])
    await hold(store, clock, 1)
    own = await service.replace("w", CHLOE, Preferences(digest_hour=9))
    assert (own.effective.language, own.effective.timezone) == ("de", "Pacific/Auckland")
    assert own.digest_at == datetime(2026, 3, 28, 20, tzinfo=UTC)


async def test_one_that_cannot_be_made_is_in_nobodys_way(store: Storage, clock: Clock, digests: Digests) -> None:
    await hold(store, clock, 1, user="u_a", params="no JSON")
    await hold(store, clock, 1, user="u_b")
    clock.now += timedelta(days=1)
    assert await digests.make_due() == 1
    assert [row["user"] for row in await made(store)] == ["u_b"]


async def test_a_defect_of_one_person_ends_no_digests_of_others(store: Storage, clock: Clock) -> None:
    """No digest was made by this node any more."""

    async def known(wedding: str, user: str, events: Collection[int]) -> Collection[int]:
        return events if user != "u_a" else events + 1  # type: ignore[operator]

    for user in ("u_a", "u_b"):
        await hold(store, clock, 1, user=user)
    clock.now += timedelta(days=1)
    assert await Digests(store, clock, lambda number: None, known).make_due() == 1
    assert [row["user"] for row in await made(store)] == ["u_b"]


async def test_many_are_made_in_pages(
    store: Storage, clock: Clock, digests: Digests, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digest, "PAGE", 2)
    users = [f"u_{number}" for number in range(5)]
    for user in users:
        await hold(store, clock, 1, user=user, params="no JSON" if user in ("u_0", "u_1") else "{}")
    clock.now += timedelta(days=1)
    assert await digests.make_due() == 3
    assert sorted(row["user"] for row in await made(store)) == users[2:]


async def test_preferences_are_kept_as_they_were_put(store: Storage, clock: Clock, service: PreferenceService) -> None:
    await service.replace("w", CHLOE, BERLIN)
    found = await store.preferences("w", "u_chloe")
    assert found == StoredPreferences(found.body if found else "", clock.now, None)
    assert (await service.of("w", CHLOE)).chosen == BERLIN


def held(*texts: str, others: int = 0) -> HeldMessages:
    at = datetime(2026, 3, 28, tzinfo=UTC)
    messages = tuple(
        HeldMessage(f"k{n}", n, "message.sent", 3, "thread.t_1", f"m_{n}", json.dumps({"text": text}), 1, at)
        for n, text in enumerate(texts)
    )
    return HeldMessages("mail", messages, others)


def test_a_notice_has_all_that_a_text_is_made_of() -> None:
    at = datetime(2026, 3, 28, tzinfo=UTC)
    (notice,) = json.loads(params_of(held("Zoë says <b>hi</b> 🌿"), at))["notices"]
    assert notice == {
        "event": 0,
        "type": "message.sent",
        "priority": 3,
        "document": "thread.t_1",
        "record": "m_0",
        "count": 1,
        "at": "2026-03-28T00:00:00+00:00",
        "params": {"text": "Zoë says <b>hi</b> 🌿"},
    }


def test_a_digest_is_bounded_in_bytes_and_counts_the_rest() -> None:
    at = datetime(2026, 3, 28, tzinfo=UTC)
    params = params_of(held(*["🌿" * 4_000] * 200, others=50), at)
    assert len(params.encode()) < DIGEST_BYTES + 1_000
    *kept, rest = json.loads(params)["notices"]
    assert (rest["type"], rest["count"], rest["params"]) == ("digest", 250 - len(kept), {})
    assert [each["event"] for each in kept] == list(range(len(kept)))
    assert len(kept) > 40
    row = StoredMessage(
        *(1, "key", "w", "u_1", "mail", "", 7, "digest", 3, "", "", params, 1, "sending", 0),
        *(at, at, "", None, "", None),
    )
    *told, others = notices_of(row)
    assert [each.event for each in told] == [each["event"] for each in kept]
    assert (others.type, others.merged) == ("digest", rest["count"])
    small = params_of(held("a", "b"), at)
    assert [each["type"] for each in json.loads(small)["notices"]] == ["message.sent"] * 2
