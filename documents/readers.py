"""Rows as Python sees them, as canonical JSON, and as one digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from documents.fields import Unreadable
from documents.kind import Kind


def read_records(kind: Kind, rows: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Root -> id -> dataclass of the record (or plain value), of every row of a document.

    Keys whose values the schema refuses are as if absent, rows that are refused as a whole are left out.
    """
    return {
        name: {record_id: value for record_id, row in rows[name].items() if (value := root.read(row)) is not None}
        for name, root in kind.roots.items()
        if name in rows
    }


def canonical_json(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """One string for equal rows: keys sorted by code point, no blanks, integral numbers as integers, no empty roots."""
    return canonical({name: row_by_id for name, row_by_id in rows.items() if row_by_id})


def digest(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """SHA-256 of the canonical JSON in UTF-8, in hexadecimal."""
    return hashlib.sha256(canonical_json(rows).encode()).hexdigest()


def _unreadable(value: object) -> Any:
    assert isinstance(value, Unreadable)
    return {"unreadable": value.shape}


canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_unreadable).encode
"""Rows of one root, or whatever is in them, as canonical JSON."""
