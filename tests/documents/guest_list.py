"""A guest list of any length, with keys of any length."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pycrdt import Doc, Map, Text

SHORT = {
    "firstName": "first", "lastName": "last", "household": "hh", "plusOnesAllowed": "plusOk", "order": "ord",
    "checkedIn": "in", "greeting": "greet", "address": "addr",
}  # fmt: skip
"""The shortest names one would think of, for comparison."""


def guest_list(guests: int, rename: Callable[[str], str] = lambda name: name) -> Doc[Any]:
    """A document `guests` with everything a guest usually has."""
    doc: Doc[Any] = Doc(client_id=1)
    households, people = doc.get("households", type=Map), doc.get("guests", type=Map)

    def write(root: Map[Any], record_id: str, fields: Mapping[str, Any]) -> None:
        root[record_id] = Map({rename(name): value for name, value in fields.items()})

    with doc.transaction():
        for i in range(0, guests, 2):
            write(
                households, f"h_{i:010}", {"name": f"Family {i}", "side": "a", "greeting": f"Dear {i}", "order": "a0"}
            )
        for i in range(guests):
            fields = {
                "firstName": f"First {i}",
                "lastName": f"Last {i}",
                "household": f"h_{i // 2 * 2:010}",
                "side": "a",
                "kind": "adult",
                "email": f"guest{i}@example.org",
                "plusOnesAllowed": 1,
                "rsvp:e_ceremony01": "yes",
                "rsvp:e_reception1": "yes",
                "meal": "fish",
                "order": f"b{i // 62 % 62:02}V",
                "note": Text(),
            }
            write(people, f"g_{i:010}", fields)
    return doc
