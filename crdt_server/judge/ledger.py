"""What a host knows beside the bytes of a document, on its way to the store: rows, events, client ids, bookings.

Everything here is committed together with the updates it follows from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

import orjson

from documents.events import Event
from documents.invariants import NOBODY, UNKNOWN, Field, Writer

if TYPE_CHECKING:  # who takes only `Writers` from here may be a process that must not load pycrdt
    from documents.changes import Row, RowsByRoot

T = TypeVar("T")

RowKey = tuple[str, str, str]  # document, root, record


def instant(now: float) -> str:
    """Seconds since 1970 as RFC 3339 in UTC, with milliseconds."""
    second, millisecond = divmod(round(now * 1_000_000) // 1_000, 1_000)
    return f"{_second(second)}.{millisecond:03}Z"


@lru_cache(maxsize=2)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat().removesuffix("+00:00")


class Writers:
    """(document, root, record, key) -> who wrote it last; also of keys and rows that are no more.

    Kept as it goes to the store and comes from there, since most is never asked for: of each row the JSON, or key
    (empty for the row as a whole) -> user, role, rank, arrival, instant and, where known, before.
    """

    def __init__(self) -> None:
        self._of_row: dict[RowKey, dict[str, Sequence[Any]]] = {}
        self._packed: dict[RowKey, str] = {}

    def get(self, field: Any, default: Writer = NOBODY) -> Writer:
        """As of a mapping; ``field`` may be a `documents.invariants.Field`."""
        row = self._row(field[:3])
        found = None if row is None else row.get(field[3] or "")
        return default if found is None else Writer(*found)

    def __iter__(self) -> Iterator[Field]:
        """Every row that somebody wrote, at least once; which keys, is not always said."""
        yield from (Field(*row, None) for row in self._packed)
        yield from (Field(*row, key or None) for row, writers in self._of_row.items() for key in writers)

    def newest(self) -> int:
        """The highest arrival of those that were taken over and not asked for yet."""
        rows = map(orjson.loads, self._packed.values())
        return max((writer[3] for row in rows for writer in row.values()), default=0)

    def put(self, row: RowKey, key: str | None, writer: Writer) -> None:
        """Somebody has written a key of a row."""
        writers = self._row(row)
        if writers is None:
            self._of_row[row] = writers = {}
        writers[key or ""] = writer[:5] if writer.before is UNKNOWN else tuple(writer)

    def pack(self, row: RowKey) -> str:
        """JSON of one row."""
        packed = self._packed.get(row)
        return _json(self._of_row.get(row, {})) if packed is None else packed

    def unpack(self, row: RowKey, packed: str) -> None:
        """Take over what `pack` gave."""
        self._packed[row] = packed

    def _row(self, row: RowKey) -> dict[str, Sequence[Any]] | None:
        packed = self._packed.pop(row, None) if self._packed else None
        if packed is not None:
            self._of_row[row] = orjson.loads(packed)
        return self._of_row.get(row)


def _json(value: object) -> str:
    # What is unreadable is a dataclass, and never gets into the store.
    return orjson.dumps(value, option=orjson.OPT_PASSTHROUGH_DATACLASS).decode()


class RecordBuffer:
    """What came of one batch for one document, until it is taken."""

    def __init__(self) -> None:
        self.rows: set[tuple[str, str]] = set()
        self.events: list[Event] = []
        self.owners: list[tuple[int, str]] = []
        self.answers: list[tuple[str, str, str]] = []  # key and digest of a command, and the answer to it
        self.bookings: list[list[Any]] = []

    def __bool__(self) -> bool:
        return bool(self.rows or self.events or self.owners or self.answers or self.bookings)

    def take(self, document: str, roots: RowsByRoot, writers: Writers, at: str) -> list[Any] | None:
        """As it goes over the pipe: the members of `storage.DerivedRecords` but its key; None: nothing."""
        if not self:
            return None
        rows = [_image(document, *row, roots, writers) for row in sorted(self.rows)]
        events = [[event.type, event.at, event.record, _json(event.as_json())] for event in self.events]
        taken = [rows, events, self.owners, [[*answer, at] for answer in self.answers], self.bookings]
        self.__init__()  # type: ignore[misc]
        return taken


def _image(document: str, root: str, record: str, roots: RowsByRoot, writers: Writers) -> list[Any]:
    row: Row = roots[root].get(record)
    return [root, record, None if row is None else _json(row), writers.pack((document, root, record))]
