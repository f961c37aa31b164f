"""Order keys: where a record stands in its list."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Generator, Mapping
from typing import Any

from fractional_indexing import FIError, generate_key_between

from documents.sorting import SORTED_AT_ONCE, sorted_in_steps


class NoPlaceError(Exception):
    """There is no such record to stand behind, or the keys there leave no room."""


class OrderKeys:
    """The order keys of the rows of one root, sorted: without them, each of a thousand moves reads all rows."""

    def __init__(self, rows: Mapping[str, Any]) -> None:
        self._keys = sorted(key for row in rows.values() if (key := order_of(row)) is not None)

    @classmethod
    def in_steps(cls, rows: Mapping[str, Any]) -> Generator[None, None, OrderKeys]:
        """Those of many rows, which do not change meanwhile."""
        found: list[str] = []
        all_rows = list(rows.values())
        for start in range(0, len(all_rows), SORTED_AT_ONCE):
            found += [key for row in all_rows[start : start + SORTED_AT_ONCE] if (key := order_of(row)) is not None]
            yield
        keys = cls({})
        keys._keys = yield from sorted_in_steps(found)
        return keys

    def replace(self, before: str | None, after: str | None) -> None:
        """A row has another key than before (None: it has none)."""
        if before == after:
            return
        if before is not None:
            del self._keys[bisect_left(self._keys, before)]
        if after is not None:
            insort(self._keys, after)

    def next(self, key: str | None) -> str | None:
        """The least key that is greater than another one (None: of all), if any."""
        place = 0 if key is None else bisect_right(self._keys, key)
        return self._keys[place] if place < len(self._keys) else None


def order_behind(rows: Mapping[str, Any], record: str | None, keys: OrderKeys | None = None) -> str:
    """The order key that puts a record right behind another one (None: before all). Raises NoPlaceError.

    ``rows`` are those of one root, and ``keys`` theirs. Of records with the same key, the place is behind all of them.
    """
    before = order_of(rows.get(record)) if record is not None else None
    if record is not None and before is None:
        raise NoPlaceError(f"there is no record {record!r} with an order")
    try:
        return str(generate_key_between(before, (keys or OrderKeys(rows)).next(before)))
    except FIError as error:
        raise NoPlaceError(f"the neighbours' order keys leave no room: {error}") from error


def order_of(row: Any) -> str | None:
    """The order key of a row, if it has one."""
    key = row.get("order") if type(row) is dict else None
    return key if type(key) is str else None
