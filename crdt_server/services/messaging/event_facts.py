"""Events as the router decides about them, and the rows of their wedding, read when they are needed."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

from documents.invariants.instants import instant, zone
from storage import StoredEvent

LIVE: Final = "live"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class RoutedEvent:
    """A stored event, decoded. `before` and `after`: see `documents.events.DocumentEvent`."""

    seq: int
    type: str
    at: datetime
    document: str
    root: str
    record: str
    priority: int
    actors: frozenset[str]
    fields: tuple[str, ...]
    before: Any
    after: Any
    body: Mapping[str, Any]

    @property
    def actor(self) -> str:
        """The user who acted; of several, the first."""
        actor = self.body.get("actor")
        return str(actor.get("user", "")) if isinstance(actor, dict) else ""

    @property
    def actor_role(self) -> str:
        """The role of that user."""
        actor = self.body.get("actor")
        return str(actor.get("role", "")) if isinstance(actor, dict) else ""


def decoded(event: StoredEvent) -> RoutedEvent:
    """An event as the store has it."""
    body = json.loads(event.body)
    people = [body.get("actor"), *body.get("others", ())]
    return RoutedEvent(
        event.seq,
        event.type,
        instant(event.at) or _EPOCH,
        event.document,
        str(body.get("root", "")),
        event.record,
        int(body.get("priority", 4)),
        frozenset(str(each.get("user", "")) for each in people if isinstance(each, dict)),
        tuple(body.get("fields", ())),
        body.get("before"),
        body.get("after"),
        body,
    )


class RecordReader(Protocol):
    """Reads records of one wedding; their fields are JSON."""

    def records(self, document: str, root: str, ids: Collection[str]) -> dict[str, str]:
        """These records, as far as they are there."""

    def all_records(self, document: str, root: str) -> dict[str, str]:
        """All records of a root."""


class WeddingRows:
    """The rows of a wedding as `documents.derived` reads them: `Source`."""

    def __init__(self, reader: RecordReader) -> None:
        self._reader = reader
        self._roots: dict[tuple[str, str], _LazyRoot] = {}

    @property
    def live(self) -> bool:
        """Whether the wedding takes place right now."""
        return self.meta("wedding").get("phase") == LIVE

    def rows(self, document: str, root: str) -> Mapping[str, Any]:
        """The rows of a root, each read when it is needed."""
        key = document, root
        if key not in self._roots:
            self._roots[key] = _LazyRoot(self._reader, document, root)
        return self._roots[key]

    def record(self, document: str, root: str, record: str | None) -> dict[str, Any] | None:
        """A record that is there and not deleted."""
        return _present(self.rows(document, root), record)

    def meta(self, document: str) -> Mapping[str, Any]:
        """The record `meta` of a document."""
        row = self.rows(document, "meta").get("")
        return row if isinstance(row, dict) else {}

    def prefetch(self, document: str, root: str, records: Collection[str]) -> None:
        """Read several records with one query."""
        rows = self.rows(document, root)
        assert isinstance(rows, _LazyRoot)
        rows.prefetch(records)

    def start_of(self, item: Mapping[str, Any]) -> datetime | None:
        """When an item of the timeline starts; None where that is not known."""
        start, midnight = item.get("start"), self._midnight()
        if type(start) is not int or midnight is None:
            return None
        try:
            return midnight + timedelta(minutes=start)
        except OverflowError:
            return None

    def days_before(self, now: datetime) -> int | None:
        """How many days are left until the wedding, by the calendar where it is; None where its day is not known."""
        midnight = self._midnight()
        return None if midnight is None else (midnight.date() - now.astimezone(midnight.tzinfo).date()).days

    def _midnight(self) -> datetime | None:
        meta = self.meta("wedding")
        try:
            day = datetime.fromisoformat(str(meta.get("date", "")))
        except ValueError:
            return None
        return day.replace(tzinfo=zone(str(meta.get("timeZone", ""))))


class _LazyRoot(Mapping[str, Any]):
    """The records of one root. Single ones are read one by one, all of them when somebody goes through them."""

    def __init__(self, reader: RecordReader, document: str, root: str) -> None:
        self._reader = reader
        self._place = document, root
        self._known: dict[str, Any] = {}  # None: there is no such record
        self._complete = False

    def prefetch(self, records: Collection[str]) -> None:
        missing = [] if self._complete else [each for each in records if each not in self._known]
        if missing:
            found = self._reader.records(*self._place, missing)
            self._known |= {each: json.loads(found[each]) if each in found else None for each in missing}

    def __getitem__(self, record: str) -> Any:
        self.prefetch((record,))
        row = self._known.get(record)
        if row is None:
            raise KeyError(record)
        return row

    def _read_all(self) -> None:
        if not self._complete:
            for record, fields in self._reader.all_records(*self._place).items():
                if record not in self._known:
                    self._known[record] = json.loads(fields)
            self._complete = True

    def __iter__(self) -> Iterator[str]:
        self._read_all()
        return iter([record for record, row in self._known.items() if row is not None])

    def __len__(self) -> int:
        return sum(1 for _ in self)


class RowsWith:
    """The rows of a wedding, with another row in the place of one."""

    def __init__(self, rows: WeddingRows, document: str, root: str, record: str, row: Any) -> None:
        self._rows = rows
        self._place = document, root
        self._root = {record: row}

    @property
    def live(self) -> bool:
        """See `WeddingRows.live`."""
        return self._rows.live

    def rows(self, document: str, root: str) -> Mapping[str, Any]:
        """See `WeddingRows.rows`."""
        found = self._rows.rows(document, root)
        return _Replaced(found, self._root) if (document, root) == self._place else found

    def record(self, document: str, root: str, record: str | None) -> dict[str, Any] | None:
        """See `WeddingRows.record`."""
        return _present(self.rows(document, root), record)

    def meta(self, document: str) -> Mapping[str, Any]:
        """See `WeddingRows.meta`."""
        return self._rows.meta(document)


class _Replaced(Mapping[str, Any]):
    """A root with other rows in the place of some; None: there is no such record."""

    def __init__(self, rows: Mapping[str, Any], other: Mapping[str, Any]) -> None:
        self._rows = rows
        self._other = other

    def __getitem__(self, record: str) -> Any:
        row = self._other[record] if record in self._other else self._rows[record]
        if row is None:
            raise KeyError(record)
        return row

    def __iter__(self) -> Iterator[str]:
        yield from (record for record in self._rows if record not in self._other)
        yield from (record for record, row in self._other.items() if row is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _present(rows: Mapping[str, Any], record: str | None) -> dict[str, Any] | None:
    row = None if record is None else rows.get(record)
    return row if isinstance(row, dict) and "deleted" not in row else None


def row_before(event: RoutedEvent, row: Any) -> Any:
    """The row of an event's record as it was before the event, as far as the event and the row of now show it; None:
    there was none."""
    if event.before is None or not event.fields:
        return event.before
    was = {key: value for key, value in row.items() if key not in event.fields} if isinstance(row, dict) else {}
    return was | event.before if isinstance(event.before, dict) else event.before
