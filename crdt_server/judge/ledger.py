"""The records that follow from the changes of a wedding's documents: writers, rows, events, owners, bookings.

Everything here is committed together with the updates it follows from.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson

from crdt_server.judge.text_edits import TextEdit, TextEdits
from crdt_server.records import BatchRecords, BookingChange, ClientOwner, CommandAnswer, EventRecord, RowChange
from documents.changes import Change, Changes, RowsByRoot
from documents.events import Actor, DocumentEvent, events_of
from documents.invariants import NOBODY, UNKNOWN, Field, Wedding, Writer, rank_of
from documents.invariants.model import SERVER
from documents.kind import Kind, Shape

RowKey = tuple[str, str, str]  # document, root, record

SERVER_ACTOR = Actor(SERVER, SERVER)


def instant(now: float) -> str:
    """Seconds since 1970 as RFC 3339 in UTC, with milliseconds."""
    second, millisecond = divmod(round(now * 1_000_000) // 1_000, 1_000)
    return f"{_second(second)}.{millisecond:03}Z"


@lru_cache(maxsize=2)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat().removesuffix("+00:00")


class Writers:
    """(document, root, record, key) -> the last writer; also of keys and rows that are no more.

    Kept in the form in which the store has it, since most entries are never read: of each row the JSON, or
    key (empty for the row as a whole) -> user, role, rank, arrival, instant and, where known, before; of a text with
    edits that are no event yet, its others too: user and role of who began, and of those who joined.
    """

    def __init__(self) -> None:
        self._of_row: dict[RowKey, dict[str, Sequence[Any]]] = {}
        self._packed: dict[RowKey, str] = {}
        self._newest = 0

    def get(self, field: Any, default: Writer = NOBODY) -> Writer:
        """The last writer of a field, as `Mapping.get`; ``field`` may be a `documents.invariants.Field`."""
        row = self._row(field[:3])
        found = None if row is None else row.get(field[3] or "")
        return default if found is None else Writer(*found[:6])

    def of_text(self, field: Field) -> list[Actor]:
        """The actors of the pending edits of a text, as `put` has them; empty where they are not known."""
        row = self._row(field[:3])
        found = () if row is None else row.get(field.key or "", ())
        return [Actor(*each) for each in found[6]] if len(found) > 6 else []

    def __iter__(self) -> Iterator[Field]:
        """Every row that has a writer, at least once, without keys. Others may be read and written meanwhile."""
        yield from (Field(*row, None) for row in list(self._packed))
        yield from (Field(*row, None) for row in list(self._of_row))

    def newest(self) -> int:
        """The highest arrival of the rows that were unpacked from the store."""
        return self._newest

    def put(self, row: RowKey, key: str | None, writer: Sequence[Any]) -> None:
        """Set the writer of a key of a row: a `Writer`, or its members, without ``before`` where that is not known.
        Behind them may stand who has made the pending edits of a text."""
        writers = self._row(row)
        if writers is None:
            self._of_row[row] = writers = {}
        writers[key or ""] = tuple(writer[:5] if len(writer) > 5 and writer[5] is UNKNOWN else writer)

    def pack(self, row: RowKey) -> str:
        """JSON of one row."""
        packed = self._packed.get(row)
        return _json(self._of_row.get(row, {})) if packed is None else packed

    def unpack(self, row: RowKey, packed: str) -> None:
        """Take over what `pack` returned."""
        self._packed[row] = packed
        self._newest = max([self._newest, *(writer[3] for writer in orjson.loads(packed).values())])

    def _row(self, row: RowKey) -> dict[str, Sequence[Any]] | None:
        packed = self._packed.pop(row, None) if self._packed else None
        if packed is not None:
            self._of_row[row] = orjson.loads(packed)
        return self._of_row.get(row)


def _json(value: object) -> str:
    # An unreadable value is a dataclass, and is never stored.
    return orjson.dumps(value, option=orjson.OPT_PASSTHROUGH_DATACLASS).decode()


class PendingRecords:
    """The records of one document that are not taken yet."""

    __slots__ = ("answers", "bookings", "events", "owners", "rows")

    def __init__(self) -> None:
        self.rows: set[tuple[str, str]] = set()
        self.events: list[DocumentEvent] = []
        self.owners: list[tuple[int, str]] = []
        self.answers: list[tuple[str, str, str]] = []  # key and digest of a command, and the answer to it
        self.bookings: list[BookingChange] = []


class Ledger:
    """The writers of all fields of one wedding, and the records that are not taken yet.

    ``wedding`` has the rows, and reads the writers from here.
    """

    def __init__(self, wedding: Wedding, writers: Writers) -> None:
        self.writers = writers
        self.texts = TextEdits()
        self._wedding = wedding
        self._pending: dict[str, PendingRecords] = {}
        # The newest arrival, whatever the clock of the host that recorded it.
        self._arrivals = writers.newest()

    def writer_of(self, actor: Actor, now: float, at: str) -> Writer:
        """The actor as the writer of an update that arrives now. ``at``: ``now`` as `instant` gives it."""
        user, role = actor[:2]
        rank = 0 if user == SERVER else rank_of(role, live=self._wedding.live)
        arrival = max(self._arrivals + 1, int(now * 1_000_000))
        return Writer(user, role, rank, arrival, at)

    def pending(self, document: str) -> PendingRecords:
        """The records of a document, to add to them."""
        found = self._pending.get(document)
        if found is None:
            found = self._pending[document] = PendingRecords()
        return found

    def documents(self) -> set[str]:
        """The names of the documents that have pending records."""
        return set(self._pending)

    def take(self, document: str, roots: RowsByRoot, at: str) -> BatchRecords | None:
        """The pending records of a document as they cross the pipe; None where there are none."""
        pending = self._pending.pop(document, None)
        if pending is None:
            return None
        pack = self.writers.pack
        rows = []
        for root, record in sorted(pending.rows):
            row = roots[root].get(record)
            rows.append(RowChange(root, record, None if row is None else _json(row), pack((document, root, record))))
        events = [EventRecord(event.type, event.at, event.record, _json(event.as_json())) for event in pending.events]
        answers = [CommandAnswer(*answer, datetime.fromisoformat(at)) for answer in pending.answers]
        owners = [ClientOwner(*owner) for owner in pending.owners]
        return BatchRecords(rows, events, owners, answers, pending.bookings)

    def record(
        self,
        document: str,
        kind: Kind,
        changes: Changes,
        writer: Writer,
        *,
        now: float = 0.0,
        cause: str | None = None,
        writers: Mapping[Field, Writer] | None = None,
        rewritten: Sequence[Change] = (),
    ) -> None:
        """Record changes that the rows have already.

        ``writer``: as `writer_of` gives it; ``cause``: the conflict or command from which the changes follow;
        ``writers``: fields that count as written by somebody else; ``rewritten``: fields that were written with the
        value they had.
        """
        self._arrivals = writer.seq
        pending = self.pending(document)
        actor = Actor(writer.user, writer.role)
        coming_or_going = {*changes.added, *changes.removed} if changes.added or changes.removed else ()
        if coming_or_going:
            pending.rows.update(coming_or_going)
            if changes.removed and self.texts:
                self._finish_removed(document, changes, writer.at)
        head = writer[:5]
        texts = []
        for change in (*changes.fields, *rewritten) if rewritten else changes.fields:
            root, record, key, before, _ = change
            row = (root, record)
            pending.rows.add(row)
            declared = kind.roots[root]
            is_text = key in declared.text_keys or declared.shape is Shape.TEXT
            if not declared.server or key in declared.client_keys:
                by: Sequence[Any] | None = writers.get(Field(document, root, record, key)) if writers else None
                if by is None:  # the value before an edit of a text is that of the last event about it
                    by = head if is_text else (*head, before)
                self.writers.put((document, root, record), key, by)
            if is_text and row not in coming_or_going:
                texts.append(change)
        others = changes
        if texts:
            self._edit_texts(document, kind, texts, actor, now)
            others = Changes([each for each in changes.fields if each not in texts], changes.added, changes.removed)
        pending.events += events_of(kind, document, others, actor, writer.at, live=self._wedding.live, cause=cause)

    # -- texts: many small edits are one event

    def finish_texts(self, now: float, at: str, open_documents: Container[str]) -> None:
        """Turn the edits of texts that have been pending for long enough into events."""
        for field, edit in self.texts.due(now, open_documents):
            self._finish(field, edit, self._wedding.value(field), at)

    def resume_texts(self, document: str, kind: Kind, rows: RowsByRoot, now: float) -> Iterator[None]:
        """Edits that were pending when the document was closed become events at once. In steps."""
        found: dict[Field, TextEdit] = {}
        for name, records in rows.items():
            root = kind.roots[name]
            for key in (None,) if root.shape is Shape.TEXT else root.text_keys:
                for record in records:
                    yield
                    field = Field(document, name, record, key)
                    writer = self.writers.get(field)
                    if writer.before is not UNKNOWN:
                        actor, *others = self.writers.of_text(field) or [Actor(writer.user, writer.role)]
                        edit = TextEdit(now, actor, writer.before, kind, tuple(others))
                        edit.add(edit.before, self._wedding.value(field))
                        found[field] = edit
        self.texts.resume(found)

    def _edit_texts(self, document: str, kind: Kind, texts: list[Change], actor: Actor, now: float) -> None:
        for change in texts:
            field = Field(document, *change[:3])
            finished = self.texts.add(field, TextEdit(now, actor, change.before, kind))
            writer = self.writers.get(field)
            if finished is not None:
                self._finish(field, finished, change.before, writer.at)
            pending = self.texts[field]
            pending.add(change.before, change.after)
            names = [each[:2] for each in (pending.actor, *pending.others)]
            self.writers.put(field[:3], field.key, (*writer[:5], pending.before, names))

    def _finish_removed(self, document: str, changes: Changes, at: str) -> None:
        """Before the event of a removal: when events are folded, a later one would bring the record back."""
        removed = set(changes.removed)
        for change in changes.fields:
            if change[:2] in removed:
                field = Field(document, *change[:3])
                edit = self.texts.pop(field)
                if edit is not None:
                    self._finish(field, edit, change.before, at)

    def _finish(self, field: Field, edit: TextEdit, after: Any, at: str) -> None:
        pending = self.pending(field.document)
        pending.events += edit.events(field, after, at)
        pending.rows.add((field.root, field.record))
        self.writers.put(field[:3], field.key, self.writers.get(field)._replace(before=UNKNOWN))
