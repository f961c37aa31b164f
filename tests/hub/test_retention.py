"""Events that are kept long enough, rows of records that were removed long ago, and readers that come too late."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from crdt_server.hub.retention import Kept, Retention, expire
from crdt_server.metrics import Metrics
from storage import Append, DerivedRecords, DocumentKey, NewEvent, Storage, StoredRow, retention

NOW = datetime(2026, 6, 20, 12, tzinfo=UTC)


def moment(days: float) -> str:
    return (NOW - timedelta(days=days)).isoformat().replace("+00:00", ".000Z")


async def put(storage: Storage, *days: float, wedding: str = "w", size: int = 10) -> None:
    events = [NewEvent("guest.changed", moment(each), "g_1", "x" * size) for each in days]
    await storage.append([], [DerivedRecords(DocumentKey(wedding, "guests"), events=events)])


async def numbers(storage: Storage, wedding: str = "w") -> list[int]:
    return [each.seq for each in await storage.events(wedding)]


async def test_days_and_bytes_both_count(storage: Storage) -> None:
    await put(storage, 40, 30, 20, 10, 5, 1)
    assert await expire(storage, "w", Kept(0, 0, 0), NOW) == (0, 0)
    assert await expire(storage, "w", Kept(25, 0, 0), NOW, dry_run=True) == (0, 0)
    assert await expire(storage, "w", Kept(25, 0, 0), NOW) == (20, 0)
    assert await numbers(storage) == [3, 4, 5, 6]
    assert await expire(storage, "w", Kept(0, 25, 0), NOW, dry_run=True) == (15, 0)
    assert await expire(storage, "w", Kept(25, 25, 0), NOW) == (20, 0)
    assert await numbers(storage) == [5, 6]


async def test_much_is_removed_in_slices(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "SLICE", 10)
    await put(storage, *[50.0] * 95)
    assert await expire(storage, "w", Kept(1, 0, 0), NOW) == (940, 0)
    assert await numbers(storage) == [95]


async def test_rows_of_records_that_were_removed_long_ago(storage: Storage) -> None:
    rows = []
    for days, fields in ((50, None), (31, None), (29, None), (60, "{}")):
        writers = {"": ["u", "couple", 100, 1, moment(days)], "meal": ["u", "couple", 100, 1, moment(70), "fish"]}
        rows.append(StoredRow("guests", f"g_{days}", fields, json.dumps(writers)))
    await storage.append([], [DerivedRecords(DocumentKey("w", "guests"), rows)])
    assert await expire(storage, "w", Kept(0, 0, 30), NOW, dry_run=True) == (0, 2)
    assert await expire(storage, "w", Kept(0, 0, 30), NOW) == (0, 2)
    left = [row.record for row in await storage.document_rows(DocumentKey("w", "guests"))]
    assert left == ["g_29", "g_60"]


async def test_the_owner_looks_through_what_was_written_and_once_a_day_through_all(storage: Storage) -> None:
    kept = Retention(storage, Kept(0, 5, 0), Metrics(), "me")
    for wedding in ("mine", "theirs", "nobody's"):
        key = DocumentKey(wedding, "guests")
        await storage.append([Append(key, 1, b"\0\0")])
        await put(storage, 1, 1, 1, wedding=wedding)
    for node in ("me", "them"):
        await storage.heartbeat(node, 60)
    await storage.claim(["mine"], "me")
    await storage.claim(["theirs"], "them")
    await kept.sweep(every=False)
    assert [await numbers(storage, name) for name in ("mine", "theirs", "nobody's")] == [[1, 2, 3]] * 3
    kept.stored([], [DerivedRecords(DocumentKey("mine", "guests"))])
    await kept.sweep(every=False)
    assert [await numbers(storage, name) for name in ("mine", "nobody's")] == [[3], [1, 2, 3]]
    await kept.sweep(every=True)
    assert [await numbers(storage, name) for name in ("theirs", "nobody's")] == [[1, 2, 3], [3]]
