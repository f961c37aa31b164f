"""The canonical JSON of rows, made in steps between which rows may change.

A row that changes is encoded again with its neighbours, so that the end is the JSON of the rows as they are then. A
snapshot would be older than the updates that its reader has, and to begin again would never end while somebody writes.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from documents.readers import canonical
from documents.rows import RowId
from documents.sorting import sorted_in_steps

CHUNK_RECORDS = 32


class EncodedRows:
    """See the head of the file. `changed` has to be called for all rows that change until `result` is taken."""

    def __init__(self, roots: Mapping[str, Mapping[str, Any]]) -> None:
        self._roots = {name: _EncodedRoot(rows) for name, rows in sorted(roots.items())}
        self.steps = self._encode()
        """The steps in which the rows are encoded. After the last one nothing may change before `result`."""

    def changed(self, rows: Iterable[RowId]) -> None:
        """These rows may be others."""
        for root, record in rows:
            self._roots[root].changed(record)

    def result(self) -> bytes:
        """The canonical JSON in UTF-8, as `readers.canonical_json` makes it."""
        parts: list[bytes] = []
        for name, root in self._roots.items():
            before = b"%b%b:{" % (b"," if parts else b"{", canonical(name).encode())
            for chunk in root.chunks():
                parts += (before, chunk)
                before = b","
            if before == b",":
                parts.append(b"}")
        parts.append(b"}" if parts else b"{}")
        return b"".join(parts)

    def _encode(self) -> Iterator[None]:
        for root in self._roots.values():
            yield from root.sort()
        while any(root.stale for root in self._roots.values()):
            for root in self._roots.values():
                yield from root.encode()


class _Chunk:
    """Some records that follow one another."""

    __slots__ = ("data", "records")

    def __init__(self, records: list[str]) -> None:
        self.records = records
        self.data = b""


class _EncodedRoot:
    """The rows of one root, in chunks by record."""

    def __init__(self, rows: Mapping[str, Any]) -> None:
        self.stale: dict[_Chunk, None] = {}
        self._rows = rows
        self._chunks: list[_Chunk] = []
        self._starts: list[str] = []  # the first record of each chunk, when they were made
        self._changed: dict[str, None] | None = {}  # before there are chunks

    def sort(self) -> Iterator[None]:
        """Sort the records, and cut them into chunks. Every step takes as long for as many records."""
        records = yield from sorted_in_steps(list(self._rows))
        for start in range(0, len(records), CHUNK_RECORDS):
            self._chunks.append(_Chunk(records[start : start + CHUNK_RECORDS]))
            self._starts.append(records[start])
            yield
        self.stale = dict.fromkeys(self._chunks)
        before, self._changed = self._changed or (), None
        for record in before:
            self.changed(record)

    def changed(self, record: str) -> None:
        """Have a record encoded again, where it is still there."""
        if self._changed is not None:
            self._changed[record] = None
            return
        if not self._chunks:
            self._chunks.append(_Chunk([]))
            self._starts.append("")
        chunk = self._chunks[max(0, bisect_right(self._starts, record) - 1)]
        records, place = chunk.records, bisect_left(chunk.records, record)
        is_known = place < len(records) and records[place] == record
        if record not in self._rows:
            del records[place : place + is_known]
        elif not is_known:
            records.insert(place, record)
        self.stale[chunk] = None

    def encode(self) -> Iterator[None]:
        """Encode the chunks that are not up to date."""
        while self.stale:
            chunk = next(iter(self.stale))
            del self.stale[chunk]
            rows = self._rows
            chunk.data = canonical({record: rows[record] for record in chunk.records})[1:-1].encode()
            yield

    def chunks(self) -> Iterator[bytes]:
        """The encoded chunks, in order."""
        return (chunk.data for chunk in self._chunks if chunk.records)
