"""What every backend of `storage` does with what a wedding takes, and with what is removed of it with time."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from storage import (
    Append,
    ClientUser,
    DerivedRecords,
    DocumentKey,
    NewAuditEntry,
    NewEvent,
    QuarantinedUpdate,
    RowKey,
    Storage,
    StoredAnswer,
    StoredRow,
    WeddingUsage,
    quarantine,
    retention,
)
from storage.usage import ACCESS_BYTES, AUDIT_BYTES
from tests.support.rights import put_member

GUESTS = DocumentKey("w_42", "guests")
NOTE = DocumentKey("w_42", "notes.a")
ELSEWHERE = DocumentKey("w_7", "guests")
OLD, NEW = "2026-01-01T00:00:00.000Z", "2026-06-20T13:30:00.250Z"
BETWEEN = datetime(2026, 3, 1, tzinfo=UTC)


def event(at: str = OLD, body: str = '{"ä":1}') -> NewEvent:
    return NewEvent("guest.changed", at, "g_1", body)


async def put_events(store: Storage, *events: NewEvent, key: DocumentKey = GUESTS) -> None:
    await store.append([], [DerivedRecords(key, events=events)])


async def numbers(store: Storage, wedding: str = "w_42") -> list[int]:
    return [each.seq for each in await store.events(wedding)]


class TestUsage:
    async def test_counts_bytes_records_and_documents_of_one_wedding(self, store: Storage) -> None:
        assert await store.usage("w_42") == WeddingUsage(0, 0, 0, 0, 0, 0, 0)
        rows = [StoredRow("guests", "g_1", '{"n":"ä"}', "{}"), StoredRow("guests", "g_2", None, '{"":1}')]
        answers = [StoredAnswer("key", "digest", '{"ä":1}', BETWEEN)]
        records = DerivedRecords(GUESTS, rows, [event()], [ClientUser(7, "u_1")], answers)
        await store.append([Append(GUESTS, 1, b"12345"), Append(GUESTS, 2, b"67"), Append(NOTE, 1, b"8")], [records])
        await store.append([Append(ELSEWHERE, 1, b"x" * 100)], [DerivedRecords(ELSEWHERE, rows, [event()])])
        assert await store.usage("w_42") == WeddingUsage(8, 10 + 2 + 6, 8, 64, 3 + 8, 2, 2)
        assert (await store.usage("w_42")).size_bytes == 109
        assert await store.document_count("w_42") == 2
        assert await store.document_count("w_8") == 0

    async def test_counts_members_and_the_audit_log(self, store: Storage) -> None:
        await put_member(store, "u_ann", "planner", wedding="w_42")
        await put_member(store, "u_ann", "planner", wedding="w_7")
        assert (await store.usage("w_42")).access_bytes == ACCESS_BYTES + AUDIT_BYTES + len("{}")
        refused = NewAuditEntry(NEW, "u_ann", "socket.refused", '{"document":"ä"}')
        await store.append([], [DerivedRecords(GUESTS, audit=[refused] * 3)])
        await put_member(store, "u_ann", "planner", removed=True, wedding="w_42")
        usage = await store.usage("w_42")
        assert usage.access_bytes == ACCESS_BYTES + 5 * AUDIT_BYTES + 2 * len("{}") + 3 * 17
        assert (usage.size_bytes, usage.records, usage.documents) == (usage.access_bytes, 0, 0)

    async def test_follows_what_replaces_and_merges(self, store: Storage) -> None:
        await store.append([Append(NOTE, 1, b"12345"), Append(NOTE, 2, b"678")])
        await store.replace(NOTE, 1, 2, b"1234567")
        assert (await store.usage("w_42")).update_bytes == 7


class TestEvents:
    async def test_the_oldest_go_until_a_moment(self, store: Storage) -> None:
        await put_events(store, event(OLD), event(OLD), event(NEW), event(OLD), event(NEW))
        await put_events(store, event(OLD), event(OLD), key=ELSEWHERE)
        assert await store.event_floor("w_42") == 0
        assert await store.expire_events("w_42", before=BETWEEN) == 2 * 8
        assert await store.expire_events("w_42", before=BETWEEN) == 0
        assert await numbers(store) == [3, 4, 5]
        assert await store.event_floor("w_42") == 2
        assert await numbers(store, "w_7") == [1, 2]

    async def test_the_oldest_go_until_so_many_bytes_are_free(self, store: Storage) -> None:
        await put_events(store, *(event(NEW, "x" * 10) for _ in range(10)))
        assert await store.event_bytes("w_42") == 100
        assert await store.expire_events("w_42", excess_bytes=25) == 30
        assert await numbers(store) == list(range(4, 11))

    async def test_the_newest_stays_and_numbers_go_on(self, store: Storage) -> None:
        await put_events(store, event(), event(), event())
        assert await store.expire_events("w_42", before=BETWEEN, excess_bytes=1 << 30) == 16
        assert await store.expire_events("w_42", before=BETWEEN, excess_bytes=1 << 30) == 0
        await put_events(store, event())
        assert await numbers(store) == [3, 4]
        assert await store.event_head("w_42") == 4

    async def test_a_slice_is_bounded(self, store: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(retention, "SLICE", 3)
        await put_events(store, *(event() for _ in range(8)))
        freed = []
        while found := await store.expire_events("w_42", before=BETWEEN):
            freed.append(found // 8)
        assert freed == [3, 3, 1]

    async def test_of_no_events(self, store: Storage) -> None:
        assert await store.expire_events("w_42", before=BETWEEN, excess_bytes=5) == 0
        assert (await store.event_floor("w_42"), await store.event_bytes("w_42")) == (0, 0)


class TestRemovedRows:
    async def test_are_listed_in_slices_and_deleted_by_key(
        self, store: Storage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(retention, "SLICE", 2)
        gone = [StoredRow("guests", f"g_{n}", None, f'{{"":{n}}}') for n in range(5)]
        await store.append([], [DerivedRecords(GUESTS, [*gone, StoredRow("guests", "g_9", "{}", "{}")])])
        keys = [RowKey("guests", "guests", f"g_{n}") for n in range(5)]
        pages, after = [], None
        while page := await store.removed_rows("w_42", after):
            pages.append(page)
            after = page[-1][0]
        assert [key for page in pages for key, _ in page] == keys
        assert [len(page) for page in pages] == [2, 2, 1]
        await store.append([], [DerivedRecords(GUESTS, [StoredRow("guests", "g_1", "{}", "{}")])])  # made once more
        assert await store.delete_removed_rows("w_42", keys[:3]) == 2
        assert [row.record for row in await store.document_rows(GUESTS)] == ["g_1", "g_3", "g_4", "g_9"]


class TestQuarantine:
    @staticmethod
    async def kept(store: Storage) -> list[tuple[str, int]]:
        return [(item.key.wedding, len(item.update)) for item in await store.quarantined()]

    @staticmethod
    async def keep(store: Storage, wedding: str, size: int) -> None:
        key = DocumentKey(wedding, "notes.a")
        await store.quarantine(QuarantinedUpdate(key, b"x" * size, "why", "who", BETWEEN))

    async def test_is_bounded_in_bytes_for_each_wedding(self, store: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(quarantine, "QUARANTINE_BYTES", 100)
        for wedding, size in (("a", 60), ("b", 70), ("a", 30), ("a", 20), ("b", 500)):
            await self.keep(store, wedding, size)
        assert await self.kept(store) == [("a", 30), ("a", 20), ("b", 500)]  # the newest stays, however large

    async def test_is_bounded_in_bytes_and_number_in_all(self, store: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(quarantine, "QUARANTINE_BYTES_IN_ALL", 100)
        monkeypatch.setattr(quarantine, "QUARANTINE_LIMIT_IN_ALL", 3)
        for n in range(5):
            await self.keep(store, f"w_{n}", 10)
        assert await self.kept(store) == [("w_2", 10), ("w_3", 10), ("w_4", 10)]
        await self.keep(store, "w_5", 85)
        assert await self.kept(store) == [("w_4", 10), ("w_5", 85)]
        assert await store.quarantine_bytes() == 95
        monkeypatch.setattr(quarantine, "QUARANTINE_BYTES_IN_ALL", 90)
        assert await store.trim_quarantine() == 1
        assert await store.trim_quarantine() == 0
