"""`verify` as a client would open, and `repair`: on stores that were filled as a server or an attacker fills them."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pycrdt import Doc, Text

from crdt_server.judge.review_limits import MAX_REVIEW_BYTES
from crdt_server.maintenance import compact_store, verify_store
from crdt_server.repair import repair_store
from crdt_server.sample import plant
from crdt_server.settings import Settings
from documents.kind import MAX_DOCUMENT_BYTES
from documents.registry import kind_of
from documents.sample.build import build
from storage import (
    Append,
    DerivedRecords,
    DocumentKey,
    NewEvent,
    QuarantinedUpdate,
    Storage,
    StoredRow,
    open_storage,
)
from tests.judge import test_torn_structs as torn_structs
from tests.judge.indexed import TEXT
from tests.support.wire import Replica

GUESTS = DocumentKey("w", "guests")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "wedding.db"


def settings(path: Path, **more: int) -> Settings:
    return Settings(dev=True, database_url=f"sqlite:///{path}", **more)


FILES: dict[tuple[str, ...], bytes] = {}
"""Stores with sample weddings: planting one takes longer than reading a copy."""


async def filled(path: Path, *weddings: str) -> Storage:
    if weddings not in FILES:
        storage = await open_storage(f"sqlite:///{path}", migrate=True)
        for wedding in weddings:
            await plant(storage, wedding, guests=200)
        await storage.close()
        FILES[weddings] = path.read_bytes()
    path.write_bytes(FILES[weddings])
    return await open_storage(f"sqlite:///{path}")


def change(path: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        assert database.execute(statement, values).rowcount > 0


async def verified(path: Path, **more: int) -> tuple[int, list[str], list[str]]:
    lines: list[str] = []
    progress: list[str] = []
    problems = await verify_store(settings(path, **more), None, lines.append, progress.append)
    return problems, lines, progress


async def repaired(path: Path, *, dry_run: bool = False, **more: int) -> tuple[int, list[str]]:
    lines: list[str] = []
    return await repair_store(settings(path, **more), None, lines.append, dry_run=dry_run), lines


async def rows(path: Path) -> dict[str, str | None]:
    storage = await open_storage(f"sqlite:///{path}")
    try:
        return {f"{row.root}.{row.record}": row.fields for row in await storage.document_rows(GUESTS)}
    finally:
        await storage.close()


async def test_a_mirror_that_differs_is_found_and_built_anew(path: Path) -> None:
    await (await filled(path, "w")).close()
    assert (await verified(path))[0] == 0
    good = await rows(path)
    change(path, "DELETE FROM rows WHERE document = 'guests' AND root = 'guests' AND record < 'g_3'")
    change(path, "UPDATE rows SET fields = '{}' WHERE document = 'guests' AND root = 'households'")
    problems, lines, _ = await verified(path)
    assert problems == 1
    assert "w/guests: the stored rows are not those of the document" in lines
    broken = await rows(path)
    failed, lines = await repaired(path, dry_run=True)
    assert (failed, await rows(path)) == (0, broken)
    assert any(line.startswith("w/guests: ") and line.endswith(" missing") for line in lines)
    failed, lines = await repaired(path)
    assert failed == 0
    assert any(line.startswith("w/guests: ") and " rows" in line and line.endswith(" written") for line in lines)
    now = await rows(path)
    assert {key: json.loads(fields or "null") for key, fields in now.items() if not key.startswith("review")} == {
        key: json.loads(fields or "null") for key, fields in good.items() if not key.startswith("review")
    }
    assert (await verified(path))[0] == 0
    assert (await repaired(path))[1] == []


async def test_a_document_that_cannot_be_opened_is_a_problem_and_left_as_it_is(path: Path) -> None:
    storage = await filled(path, "w")
    head = (await storage.load(DocumentKey("w", "care"))).head_seq
    await storage.append([Append(DocumentKey("w", "care"), head + 1, b"no update")])
    await storage.close()
    problems, lines, _ = await verified(path)
    assert problems == 1
    assert any(line.startswith("w/care: ") for line in lines)
    failed, lines = await repaired(path)
    assert failed == 1
    assert any(line.startswith("w/care: left as it is") for line in lines)


async def test_what_is_full_or_nearly_so_is_reported(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = await filled(path, "w")
    usage = await storage.usage("w")
    size = (await storage.load(GUESTS)).size_bytes
    await storage.close()
    monkeypatch.setattr("crdt_server.maintenance.MAX_DOCUMENT_BYTES", size)
    problems, lines, _ = await verified(path, max_wedding_records=usage.records)
    assert problems == 2
    assert any(line.startswith("w/guests: the document is full: ") for line in lines)
    assert f"w: the wedding is full: {usage.records} of {usage.records} records" in lines
    monkeypatch.setattr("crdt_server.maintenance.MAX_DOCUMENT_BYTES", MAX_DOCUMENT_BYTES)
    problems, lines, _ = await verified(path, max_wedding_bytes=usage.size_bytes + 10)
    assert problems == 0
    assert any(line.startswith("w: the wedding is nearly full: ") for line in lines)


async def test_long_work_reports_its_progress(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await (await filled(path, "w")).close()
    monkeypatch.setattr("crdt_server.maintenance.PROGRESS_SECONDS", 0)
    _, _, progress = await verified(path)
    assert progress[0] == "1 documents, the last of them w/budget"
    assert len(progress) == 8


async def test_what_is_kept_long_enough_is_removed(path: Path) -> None:
    storage = await open_storage(f"sqlite:///{path}", migrate=True)
    kind = kind_of("guests")
    assert kind is not None
    old = "2020-01-01T00:00:00.000Z"
    gone = StoredRow("guests", "g_gone", None, json.dumps({"": ["u", "couple", 100, 1, old]}))
    events = [NewEvent("guest.changed", old, "g", "x" * 100) for _ in range(3)]
    update = build({"guests": {"g_1": {"firstName": "Ann", "note": ""}}}, kind, 7)
    await storage.append([Append(GUESTS, 1, update)], [DerivedRecords(GUESTS, [gone], events)])
    await storage.close()
    more = {"event_days": 30, "removed_record_days": 30}
    _, lines = await repaired(path, dry_run=True, **more)
    assert "w: 1 rows of removed records too many" in lines
    _, lines = await repaired(path, **more)
    assert "w: 300 bytes of events removed" in lines  # behind them is that of the guest whose row was missing
    assert "w: 1 rows of removed records removed" in lines
    assert list(await rows(path)) == ["guests.g_1"]


async def test_the_quarantine_is_cut_to_its_bound(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = await filled(path)
    for n in range(3):
        item = QuarantinedUpdate(DocumentKey(f"w_{n}", "notes.a"), b"x" * 10, "why", "who", datetime.now(UTC))
        await storage.quarantine(item)
    await storage.close()
    monkeypatch.setattr("storage.quarantine.QUARANTINE_BYTES_IN_ALL", 10)
    assert (await repaired(path, dry_run=True))[1] == ["quarantine: 30 bytes"]
    assert (await repaired(path))[1] == ["quarantine: 2 updates removed"]


async def test_a_wedding_that_a_node_owns_is_left_alone(path: Path) -> None:
    storage = await filled(path, "w", "free")
    await storage.heartbeat("node", 60)
    await storage.claim(["w"], "node")
    failed, lines = await repaired(path)
    assert failed == 1
    assert "w: left alone, a node that is running owns it" in lines
    assert not any(line.startswith("w/") for line in lines)
    assert await storage.owned("node") == {"w": 1}
    assert [name for name in await storage.nodes() if name != "node"] == []
    await storage.close()


async def test_of_two_at_once_one_stops(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As beside a single server, which holds no fence: nothing of the other's is overwritten."""
    await (await filled(path, "w")).close()
    change(path, "DELETE FROM rows WHERE document = 'guests'")
    append = Storage.append

    async def late(self: Storage, batch: list[Append], *args: object, **more: object) -> dict[str, int]:
        if batch and batch[0].key.wedding == "w":
            head = (await self.load(batch[0].key)).head_seq
            await append(self, [Append(batch[0].key, head + 1, b"\0\0")])
        return await append(self, batch, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Storage, "append", late)
    failed, lines = await repaired(path)
    assert failed == 1
    assert any("written by another process meanwhile" in line for line in lines)


async def test_a_review_beyond_its_bound_is_collapsed_by_the_server(path: Path) -> None:
    """As older versions have left it: 3 MB of records that were closed long ago."""
    kind = kind_of("guests")
    assert kind is not None
    closed = {
        "_kind": "G1", "_subject": [], "_severity": "warning", "_at": "2026-01-01T00:00:00.000Z", "_parties": [],
        "_options": [], "_strategy": "manual_review", "_state": "resolved", "_outcome": "moot",
        "_summary": "x" * 900, "_fingerprint": "f" * 32,
    }  # fmt: skip
    update = build({"review": {f"c_{n:05}": closed for n in range(2_500)}}, kind, 7)
    storage = await open_storage(f"sqlite:///{path}", migrate=True)
    await storage.append([Append(GUESTS, 1, update)])
    await storage.close()
    before = await rows(path)
    failed, lines = await repaired(path, dry_run=True)
    assert (failed, await rows(path)) == (0, before)
    failed, lines = await repaired(path)
    assert failed == 0
    assert any(line.startswith("w/guests: ") and " updates" in line for line in lines)
    left = sum(len(fields or "") for fields in (await rows(path)).values())
    assert left < MAX_REVIEW_BYTES
    assert (await verified(path))[0] == 0
    assert (await repaired(path))[1] == []


async def test_what_stands_between_two_places_is_removed(path: Path) -> None:
    """As older versions have accepted it: for yrs it is the end of the note, for Yjs it is nowhere."""
    storage = await open_storage(f"sqlite:///{path}", migrate=True)
    stored = torn_structs.stored(TEXT).updates["guests"]
    await storage.append([Append(GUESTS, seq, update) for seq, update in enumerate(stored, 1)])
    await storage.close()
    failed, lines = await repaired(path)
    assert (failed, lines[0].split(",")[0]) == (0, "w/guests: 1 updates")
    assert json.loads((await rows(path))["guests.g_a"] or "") == torn_structs.ROWS["g_a"]
    assert (await verified(path))[0] == 0
    assert (await repaired(path))[1] == []


async def test_what_a_derived_document_shows_no_more_is_repaired_and_compacted(path: Path) -> None:
    public = DocumentKey("w", "timeline@public")
    kind = kind_of(public.document)
    assert kind is not None
    storage = await filled(path, "w")
    await storage.append([Append(public, 1, build({"items": {"i_old": {"title": "SECRET"}}}, kind, 7))])
    assert (await repaired(path))[0] == 0
    assert (await repaired(path))[1] == []
    assert (await verified(path))[0] == 0
    assert b"SECRET" in b"".join(row.update for row in (await storage.load(public)).updates)
    await compact_store(settings(path), None, lambda _: None)
    (row,) = (await storage.load(public)).updates
    assert b"SECRET" not in row.update
    assert b"items" in row.update
    await storage.close()


async def test_what_is_deleted_is_compacted_away(path: Path) -> None:
    """Text of a note, and a removed record, in pieces that are no larger than before."""
    note, replica = DocumentKey("w", "notes.a"), Replica(11)
    updates = [replica.type("kept"), replica.type("SECRET" * 10_000), replica.erase(4, 60_004), replica.type("!")]
    storage = await filled(path, "w")
    before = (await storage.usage("w")).size_bytes
    await storage.append([Append(note, n, update) for n, update in enumerate(updates, 1)])
    await compact_store(settings(path), None, lambda _: None)
    rows = (await storage.load(note)).updates
    assert sum(len(row.update) for row in rows) < 200
    assert (await storage.usage("w")).size_bytes < before + 200
    doc = Doc[Any]()
    for row in rows:
        doc.apply_update(row.update)
    assert str(doc.get("text", type=Text)) == "kept!"
    assert (await verified(path))[0] == 0
    await storage.close()
