"""What every backend of `storage` does with documents."""

import asyncio
import os
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from storage import (
    Append,
    CorruptDocument,
    DocumentKey,
    QuarantinedUpdate,
    SchemaOutdated,
    SequenceConflict,
    Storage,
    StorageError,
    StoredUpdate,
    migrate,
    open_storage,
    sqlite_append,
)
from storage import quarantine as quarantine_rows
from storage import store as store_module
from storage.sqlite_executors import AsyncExecutor, ThreadExecutor
from tests.contract.backends import Backend, Database

NOTE = DocumentKey("w_42", "notes.hello")
OTHER = DocumentKey("w_42", "notes.other")
ELSEWHERE = DocumentKey("w_7", "notes.hello")


def batch(key: DocumentKey, first: int, *payloads: bytes) -> list[Append]:
    return [Append(key, seq, update) for seq, update in enumerate(payloads, first)]


async def head(store: Storage, key: DocumentKey) -> int:
    return (await store.load(key)).head_seq


async def keys(store: Storage, wedding: str | None = None) -> list[DocumentKey]:
    return [key async for key in store.keys(wedding)]


class TestAppendAndLoad:
    async def test_what_is_appended_is_loaded_in_order(self, store: Storage) -> None:
        await store.append(batch(NOTE, 1, b"a", b"", b"\x00\xff" * 5_000))
        await store.append(batch(NOTE, 4, b"d"))
        document = await store.load(NOTE)
        assert document.key == NOTE
        assert document.updates == [
            StoredUpdate(1, 1, b"a"),
            StoredUpdate(2, 2, b""),
            StoredUpdate(3, 3, b"\x00\xff" * 5_000),
            StoredUpdate(4, 4, b"d"),
        ]
        assert (document.head_seq, document.size_bytes) == (4, 10_002)

    async def test_it_is_there_after_reopening(self, store: Storage, url: str) -> None:
        await store.append(batch(NOTE, 1, b"a"))
        await store.close()
        reopened = await open_storage(url)
        assert await head(reopened, NOTE) == 1
        await reopened.append(batch(NOTE, 2, b"b"))
        assert await head(reopened, NOTE) == 2
        await reopened.close()

    async def test_many_documents_in_one_batch(self, store: Storage) -> None:
        # More documents than one IN list takes.
        many = [DocumentKey(f"w_{number % 7}", f"notes.{number}") for number in range(1_201)]
        await store.append([Append(key, 1, str(key).encode()) for key in many])
        await store.append([Append(key, seq, b"x") for seq in (2, 3) for key in many])
        for key in (many[0], many[700], many[-1]):
            document = await store.load(key)
            assert (document.head_seq, document.updates[0].update) == (3, str(key).encode())

    async def test_large_updates_are_all_or_nothing_like_small_ones(self, store: Storage) -> None:
        """On SQLite they go in one by one: a copy of each statement's values took most of the time."""
        large = [bytes([n]) * 70_000 for n in range(3)]
        await store.append([*batch(NOTE, 1, large[0], b"small", large[1]), *batch(OTHER, 1, large[2])])
        assert [row.update for row in (await store.load(NOTE)).updates] == [large[0], b"small", large[1]]
        for wrong in (batch(OTHER, 3, b"o"), batch(OTHER, 1, b"o")):
            with pytest.raises(SequenceConflict) as conflict:
                await store.append([*batch(NOTE, 4, large[0], b"small"), *wrong])
            assert conflict.value.weddings == (OTHER.wedding,)
            assert (await head(store, NOTE), await head(store, OTHER)) == (3, 1)
        await store.append([*batch(NOTE, 4, large[0], b"small"), *batch(ELSEWHERE, 1, b"new")])
        assert (await head(store, NOTE), await head(store, ELSEWHERE)) == (5, 1)

    async def test_an_unknown_document_is_empty_and_not_created(self, store: Storage) -> None:
        document = await store.load(NOTE)
        assert (document.updates, document.head_seq, document.size_bytes) == ([], 0, 0)
        assert await keys(store) == []

    async def test_an_empty_batch_is_nothing(self, store: Storage) -> None:
        await store.append([])
        assert await keys(store) == []

    async def test_equal_names_of_two_weddings_are_two_documents(self, store: Storage) -> None:
        await store.append([Append(NOTE, 1, b"here"), Append(ELSEWHERE, 1, b"there")])
        assert (await store.load(NOTE)).updates == [StoredUpdate(1, 1, b"here")]
        assert (await store.load(ELSEWHERE)).updates == [StoredUpdate(1, 1, b"there")]

    async def test_names_differ_by_case_and_script(self, store: Storage) -> None:
        names = [DocumentKey("w", name) for name in ("notes.é", "notes.É", "notes.e", "notes.E", "notes.💍")]
        await store.append([Append(key, 1, b"x") for key in names])
        assert sorted(await keys(store)) == sorted(names)

    @pytest.mark.parametrize("bad", [DocumentKey("", "a"), DocumentKey("w", ""), DocumentKey("w", "n" * 256)])
    async def test_names_are_bounded(self, store: Storage, bad: DocumentKey) -> None:
        with pytest.raises(StorageError, match="1 to 255 characters"):
            await store.append([Append(NOTE, 1, b"a"), Append(bad, 1, b"a")])
        assert await keys(store) == []


class TestUpdatesAfter:
    @pytest.fixture(autouse=True)
    async def rows(self, store: Storage) -> None:
        await store.append([*batch(NOTE, 1, b"a", b"b", b"c", b"d", b"e", b"f"), *batch(OTHER, 1, b"o")])
        await store.replace(NOTE, 2, 4, b"bcd")

    @pytest.mark.parametrize(
        ("seq", "found"),
        [
            (
                0,
                [
                    StoredUpdate(1, 1, b"a"),
                    StoredUpdate(2, 4, b"bcd"),
                    StoredUpdate(5, 5, b"e"),
                    StoredUpdate(6, 6, b"f"),
                ],
            ),
            (1, [StoredUpdate(2, 4, b"bcd"), StoredUpdate(5, 5, b"e"), StoredUpdate(6, 6, b"f")]),
            (3, [StoredUpdate(2, 4, b"bcd"), StoredUpdate(5, 5, b"e"), StoredUpdate(6, 6, b"f")]),
            (4, [StoredUpdate(5, 5, b"e"), StoredUpdate(6, 6, b"f")]),
            (5, [StoredUpdate(6, 6, b"f")]),
            (6, []),
            (99, []),
        ],
    )
    async def test_are_the_rows_that_cover_them(self, store: Storage, seq: int, found: list[StoredUpdate]) -> None:
        assert await store.updates_after(NOTE, seq) == found
        assert await store.updates_after(ELSEWHERE, seq) == []

    @pytest.mark.parametrize(
        ("statement", "seq"),
        [
            ("DELETE FROM updates WHERE document_id = 1 AND first_seq = 5", 5),
            ("DELETE FROM updates WHERE document_id = 1 AND first_seq = 2", 4),
            ("UPDATE updates SET checksum = 1 WHERE document_id = 1 AND first_seq = 6", 6),
        ],
    )
    async def test_are_verified(self, store: Storage, database: Database, statement: str, seq: int) -> None:
        database.execute(statement)
        with pytest.raises(CorruptDocument) as caught:
            await store.updates_after(NOTE, 3)
        assert caught.value.seq == seq


class TestSequence:
    @pytest.mark.parametrize("seq", [0, 1, 2, 4, 5, -1])
    async def test_only_the_next_number_is_accepted(self, store: Storage, seq: int) -> None:
        await store.append(batch(NOTE, 1, b"a", b"b"))
        with pytest.raises(SequenceConflict) as caught:
            await store.append(batch(NOTE, seq, b"late"))
        assert caught.value.document == "w_42/notes.hello"
        await store.append(batch(NOTE, 3, b"c"))
        assert await head(store, NOTE) == 3

    async def test_a_batch_is_stored_whole_or_not_at_all(self, store: Storage) -> None:
        await store.append(batch(NOTE, 1, b"a"))
        with pytest.raises(SequenceConflict) as caught:
            await store.append(
                [*batch(OTHER, 1, b"x", b"y"), *batch(NOTE, 2, b"b", b"c"), *batch(ELSEWHERE, 2, b"gap")]
            )
        assert caught.value.document == str(ELSEWHERE)
        assert await keys(store) == [NOTE]
        assert await head(store, NOTE) == 1
        # The ids of rows rolled back are forgotten with them.
        await store.append([*batch(ELSEWHERE, 1, b"p"), *batch(OTHER, 1, b"q")])
        assert (await store.load(ELSEWHERE)).updates == [StoredUpdate(1, 1, b"p")]
        assert (await store.load(OTHER)).updates == [StoredUpdate(1, 1, b"q")]

    async def test_one_number_twice_in_a_batch(self, store: Storage) -> None:
        with pytest.raises(SequenceConflict):
            await store.append([Append(NOTE, 1, b"a"), Append(NOTE, 1, b"b")])
        assert await keys(store) == []

    async def test_of_two_writers_one_wins(self, store: Storage, url: str) -> None:
        second = await open_storage(url)
        await store.append(batch(NOTE, 1, b"a"))
        outcomes = await asyncio.gather(
            store.append(batch(NOTE, 2, b"first")), second.append(batch(NOTE, 2, b"second")), return_exceptions=True
        )
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["SequenceConflict", "dict"]
        assert await head(second, NOTE) == 2
        await second.close()

    async def test_a_stale_writer_fails_after_compaction_too(self, store: Storage, url: str) -> None:
        second = await open_storage(url)
        await store.append(batch(NOTE, 1, b"a"))
        await second.append(batch(NOTE, 2, b"b", b"c"))
        await second.replace(NOTE, 1, 3, b"abc")
        with pytest.raises(SequenceConflict):
            await store.append(batch(NOTE, 2, b"stale"))
        assert (await store.load(NOTE)).updates == [StoredUpdate(1, 3, b"abc")]
        await second.close()

    async def test_appends_at_once_keep_their_order(self, store: Storage) -> None:
        await asyncio.gather(*(store.append(batch(NOTE, seq, b"%d" % seq)) for seq in range(1, 51)))
        assert [row.update for row in (await store.load(NOTE)).updates] == [b"%d" % seq for seq in range(1, 51)]

    async def test_more_documents_than_the_id_cache_holds(
        self, url: str, backend: Backend, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sqlite_append, "ID_CACHE_LIMIT", 3)
        small = await open_storage(url, migrate=True)
        documents = [DocumentKey("w", f"notes.{number}") for number in range(10)]
        for seq in (1, 2, 3):
            await small.append([Append(key, seq, b"x") for key in documents])
        assert [await head(small, key) for key in documents] == [3] * 10
        if backend.remembers_ids:
            assert isinstance(small._executor, ThreadExecutor | AsyncExecutor)
            assert small._executor.cached_ids == 3
        await small.close()

    async def test_a_document_removed_by_another_process(
        self, store: Storage, backend: Backend, database: Database
    ) -> None:
        await store.append([Append(NOTE, 1, b"a"), Append(OTHER, 1, b"b")])
        for statement in ("DELETE FROM updates", "DELETE FROM documents"):
            database.execute(statement)
        # Their ids are free again; a remembered one is trusted once, by a write that then does not go in.
        if backend.remembers_ids:
            with pytest.raises(SequenceConflict):
                await store.append([Append(OTHER, 1, b"new")])
        await store.append([Append(OTHER, 1, b"new")])
        assert (await store.load(OTHER)).updates == [StoredUpdate(1, 1, b"new")]


class TestReplace:
    @pytest.fixture(autouse=True)
    async def five(self, store: Storage) -> None:
        await store.append([*batch(NOTE, 1, b"a", b"b", b"c", b"d", b"e"), *batch(OTHER, 1, b"o", b"p")])

    async def test_rows_become_one(self, store: Storage) -> None:
        await store.replace(NOTE, 2, 4, b"bcd")
        assert (await store.load(NOTE)).updates == [
            StoredUpdate(1, 1, b"a"),
            StoredUpdate(2, 4, b"bcd"),
            StoredUpdate(5, 5, b"e"),
        ]
        await store.append(batch(NOTE, 6, b"f"))
        await store.replace(NOTE, 1, 6, b"abcdef")
        assert (await store.load(NOTE)).updates == [StoredUpdate(1, 6, b"abcdef")]
        assert (await store.load(OTHER)).head_seq == 2

    async def test_rows_become_fewer_and_share_the_numbers(self, store: Storage) -> None:
        await store.replace(NOTE, 1, 5, b"ab", b"cde")
        assert (await store.load(NOTE)).updates == [StoredUpdate(1, 2, b"ab"), StoredUpdate(3, 5, b"cde")]
        await store.replace(NOTE, 1, 5, *(bytes((letter,)) for letter in b"abcde"))
        assert [row.last_seq for row in (await store.load(NOTE)).updates] == [1, 2, 3, 4, 5]

    async def test_one_row_can_be_rewritten(self, store: Storage) -> None:
        await store.replace(NOTE, 3, 3, b"C")
        assert [row.update for row in (await store.load(NOTE)).updates] == [b"a", b"b", b"C", b"d", b"e"]

    @pytest.mark.parametrize(
        ("first", "last"), [(1, 2), (2, 2), (3, 3), (3, 4), (4, 6), (6, 6), (0, 1), (3, 2), (5, 4)]
    )
    async def test_a_range_that_is_not_covered_exactly(self, store: Storage, first: int, last: int) -> None:
        await store.replace(NOTE, 2, 3, b"bc")
        before = await store.load(NOTE)
        with pytest.raises(SequenceConflict):
            await store.replace(NOTE, first, last, b"wrong")
        assert await store.load(NOTE) == before

    async def test_an_unknown_document(self, store: Storage) -> None:
        with pytest.raises(SequenceConflict):
            await store.replace(ELSEWHERE, 1, 1, b"x")
        assert ELSEWHERE not in await keys(store)

    async def test_beside_appends(self, store: Storage) -> None:
        await asyncio.gather(
            store.append(batch(NOTE, 6, b"f")), store.replace(NOTE, 1, 5, b"abcde"), store.append(batch(NOTE, 7, b"g"))
        )
        assert (await store.load(NOTE)).updates == [
            StoredUpdate(1, 5, b"abcde"),
            StoredUpdate(6, 6, b"f"),
            StoredUpdate(7, 7, b"g"),
        ]


class TestCorruption:
    @pytest.fixture(autouse=True)
    async def stored(self, store: Storage) -> None:
        await store.append([*batch(NOTE, 1, b"alpha", b"beta", b"gamma"), *batch(OTHER, 1, b"fine")])

    @pytest.mark.parametrize(
        ("statement", "seq"),
        [
            ("UPDATE updates SET \"update\" = X'6262746161' WHERE first_seq = 2", 2),
            ("UPDATE updates SET \"update\" = X'' WHERE first_seq = 3", 3),
            ("UPDATE updates SET checksum = checksum + 1 WHERE first_seq = 1", 1),
            ("DELETE FROM updates WHERE document_id = 1 AND first_seq = 2", 2),
            ("DELETE FROM updates WHERE document_id = 1 AND first_seq = 1", 1),
            ("UPDATE updates SET last_seq = 2 WHERE document_id = 1 AND first_seq = 1", 3),
        ],
    )
    async def test_is_named_and_concerns_one_document(
        self, store: Storage, database: Database, statement: str, seq: int
    ) -> None:
        database.execute(statement.replace("WHERE first_seq", "WHERE document_id = 1 AND first_seq"))
        with pytest.raises(CorruptDocument, match=r"w_42/notes\.hello") as caught:
            await store.load(NOTE)
        assert (caught.value.document, caught.value.seq) == (str(NOTE), seq)
        assert (await store.load(OTHER)).updates == [StoredUpdate(1, 1, b"fine")]


class TestKeys:
    async def test_in_order_and_by_wedding(self, store: Storage) -> None:
        await store.append([Append(key, 1, b"x") for key in (ELSEWHERE, OTHER, NOTE)])
        assert await keys(store) == [NOTE, OTHER, ELSEWHERE]
        assert await keys(store, "w_42") == [NOTE, OTHER]
        assert await keys(store, "nobody") == []

    async def test_page_by_page_without_holding_up_anybody(
        self, store: Storage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(store_module, "KEYS_PER_PAGE", 3)
        documents = sorted(DocumentKey(f"w_{number % 4}", f"notes.{number}") for number in range(20))
        await store.append([Append(key, 1, b"x") for key in documents])
        seen = []
        async for key in store.keys():
            seen.append(key)
            await store.append(batch(key, 2, b"y"))
        assert seen == documents
        of_wedding = [key for key in documents if key.wedding == "w_1"]
        assert [key async for key in store.keys("w_1")] == of_wedding
        assert [key async for key in store.keys("w_1", of_wedding[1])] == of_wedding[2:]


class TestWeddings:
    async def test_those_with_documents_page_by_page(self, store: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(store_module, "KEYS_PER_PAGE", 2)
        assert [wedding async for wedding in store.weddings()] == []
        documents = [DocumentKey(f"w_{number % 5}", f"notes.{number}") for number in reversed(range(15))]
        await store.append([Append(key, 1, b"x") for key in documents])
        assert [wedding async for wedding in store.weddings()] == ["w_0", "w_1", "w_2", "w_3", "w_4"]
        assert [wedding async for wedding in store.weddings("w_2")] == ["w_3", "w_4"]


class TestQuarantine:
    async def test_is_kept_and_listed(self, store: Storage) -> None:
        moment = datetime(2026, 6, 20, 15, 30, 1, 250, tzinfo=timezone(timedelta(hours=2)))
        item = QuarantinedUpdate(NOTE, b"\x01\x02", "host crashed", "session 7", moment)
        await store.quarantine(item)
        await store.quarantine(QuarantinedUpdate(ELSEWHERE, b"", "r" * 600, "s" * 600, moment))
        first, second = await store.quarantined()
        assert (first.key, first.update, first.reason, first.sender) == (NOTE, b"\x01\x02", "host crashed", "session 7")
        assert first.at == moment
        assert first.at.tzinfo is UTC
        assert first.id is not None
        assert (len(second.reason), len(second.sender)) == (500, 500)
        assert await store.quarantined("w_7") == [second]
        assert await keys(store) == []

    async def test_the_oldest_of_a_wedding_go(self, store: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(quarantine_rows, "QUARANTINE_LIMIT", 3)
        moment = datetime(2026, 6, 20, tzinfo=UTC)
        await store.quarantine(QuarantinedUpdate(ELSEWHERE, b"stays", "", "", moment))
        for number in range(5):
            await store.quarantine(QuarantinedUpdate(NOTE, b"%d" % number, "", "", moment))
        assert [item.update for item in await store.quarantined("w_42")] == [b"2", b"3", b"4"]
        assert [item.update for item in await store.quarantined("w_7")] == [b"stays"]


class TestOpening:
    async def test_without_schema_it_says_what_to_do_and_creates_nothing(
        self, url: str, backend: Backend, database: Database, tmp_path: Path
    ) -> None:
        with pytest.raises(SchemaOutdated, match="run crdt-server migrate"):
            await open_storage(url)
        assert list(tmp_path.iterdir()) == []
        if backend.name == "postgresql":
            assert database.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'") == []

    async def test_migrating_twice_changes_nothing(self, url: str) -> None:
        await migrate(url)
        first = await open_storage(url)
        await first.append(batch(NOTE, 1, b"a"))
        await first.close()
        await migrate(url)
        second = await open_storage(url)
        assert await head(second, NOTE) == 1
        await second.close()

    async def test_migrating_at_once(self, url: str) -> None:
        await asyncio.gather(*(migrate(url) for _ in range(8)))
        await (await open_storage(url)).close()

    @pytest.mark.parametrize("found", ["0000", "9999"])
    async def test_another_schema_is_refused(self, url: str, database: Database, found: str) -> None:
        await migrate(url)
        database.execute(f"UPDATE alembic_version SET version_num = '{found}'")  # noqa: S608 - ours
        with pytest.raises(SchemaOutdated, match=found):
            await open_storage(url)
        with pytest.raises(SchemaOutdated, match="newer"):
            await migrate(url)

    async def test_closing_lets_what_is_running_finish(self, store: Storage, url: str) -> None:
        running = [asyncio.create_task(store.append(batch(NOTE, seq, b"x"))) for seq in range(1, 11)]
        await asyncio.sleep(0)
        await asyncio.gather(store.close(), *running)
        reopened = await open_storage(url)
        assert await head(reopened, NOTE) == 10
        await reopened.close()

    async def test_after_close_it_is_closed(self, store: Storage) -> None:
        await store.close()
        with pytest.raises(StorageError, match="closed"):
            await store.load(NOTE)
        with pytest.raises(StorageError, match="closed"):
            await store.append(batch(NOTE, 1, b"a"))
        await store.close()


class TestHousekeeping:
    async def test_probe_writes_and_touches_no_document(self, store: Storage) -> None:
        await store.probe_write()
        await store.probe_write()
        assert await keys(store) == []

    async def test_vacuum_gives_room_back(self, store: Storage) -> None:
        await store.vacuum()
        empty = await store.size_bytes()
        await store.append(batch(NOTE, 1, *(os.urandom(10_000) for _ in range(200))))
        await store.replace(NOTE, 1, 200, b"x")
        before = await store.size_bytes() - empty
        await store.vacuum()
        assert await store.size_bytes() - empty < before / 10
        await store.append(batch(NOTE, 201, b"y"))
        assert await head(store, NOTE) == 201
