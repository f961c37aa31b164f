"""Order keys: where a record stands in its list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fractional_indexing import FIError, generate_key_between


class NoPlaceError(Exception):
    """There is no such record to stand behind, or the keys there leave no room."""


def order_behind(rows: Mapping[str, Any], record: str | None) -> str:
    """The order key that puts a record right behind another one (None: before all). Raises NoPlaceError.

    ``rows`` are those of one root. Of records with the same key, the place is behind all of them.
    """
    before = _order(rows.get(record)) if record is not None else None
    if record is not None and before is None:
        raise NoPlaceError(f"there is no record {record!r} with an order")
    keys = (key for row in rows.values() if (key := _order(row)) is not None)
    behind = min((key for key in keys if before is None or key > before), default=None)
    try:
        return str(generate_key_between(before, behind))
    except FIError as error:
        raise NoPlaceError(f"the neighbours' order keys leave no room: {error}") from error


def _order(row: Any) -> str | None:
    key = row.get("order") if type(row) is dict else None
    return key if type(key) is str else None
