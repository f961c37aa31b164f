"""Uniting two guests who are one person."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import nsmallest
from itertools import islice
from typing import Any, Final

from documents.invariants.model import Op, Wedding, document_kind, stamp

MAX_ROWS: Final = 1000
"""Of more rules, or items of the running order, only the first are looked at; of those brought along, too."""
MAX_NOTE_MOVED: Final = 4000
"""A longer remark stays with the deleted guest."""

_STAYS: Final = frozenset({"deleted", "order", "note"})
_CARE_NOTE: Final = frozenset({"deleted", "note"})
_ANSWERED: Final = ("yes", "no", "maybe")


def merged(wedding: Wedding, keep: str, drop: str, brought: Iterable[str]) -> list[Op]:
    """Fields that only `drop` has go to `keep`: answers, contact, seats, needs, and the guests `brought` by them. Then
    `drop` is deleted."""
    return [
        *_guest(wedding, keep, drop),
        *(
            Op("set", "guests", "guests", guest, "plusOneOf", keep)
            for guest in nsmallest(MAX_ROWS, brought)
            if guest != keep
        ),
        *_care(wedding, keep, drop),
        *_seats(wedding, keep, drop),
        *_rules(wedding, keep, drop),
        *_items(wedding, keep, drop),
        Op("set", "guests", "guests", drop, "deleted", stamp(wedding)),
    ]


def _row(wedding: Wedding, document: str, root: str, record: str) -> dict[str, Any]:
    row = wedding.rows(document, root).get(record)
    return row if type(row) is dict else {}


def _guest(wedding: Wedding, keep: str, drop: str) -> Iterator[Op]:
    kept, dropped = (_row(wedding, "guests", "guests", guest) for guest in (keep, drop))
    for key, value in dropped.items():
        if key in _STAYS or value == keep:
            continue
        unanswered = key.startswith("rsvp:") and kept.get(key) not in _ANSWERED and value in _ANSWERED
        if key not in kept or unanswered:
            yield Op("set", "guests", "guests", keep, key, value)
    yield from _merge_notes(kept, dropped, ("guests", "guests", keep))
    if kept.get("plusOneOf") == drop:
        yield Op("delete", "guests", "guests", keep, "plusOneOf")


def _care(wedding: Wedding, keep: str, drop: str) -> Iterator[Op]:
    dropped = wedding.record("care", "care", drop)
    if dropped is None:
        return
    kept = wedding.rows("care", "care").get(keep)
    if type(kept) is not dict:
        needs = {key: value for key, value in dropped.items() if key not in _CARE_NOTE}
        yield Op("insert", "care", "care", keep, None, {**needs, "note": dropped.get("note", "")})
        return
    for key, value in dropped.items():
        if key not in _CARE_NOTE and (key not in kept or (key.startswith("allergy:") and value == "severe")):
            yield Op("set", "care", "care", keep, key, value)
    yield from _merge_notes(kept, dropped, ("care", "care", keep))
    if "deleted" in kept:
        yield Op("delete", "care", "care", keep, "deleted")


def _merge_notes(kept: dict[str, Any], dropped: dict[str, Any], where: tuple[str, str, str]) -> Iterator[Op]:
    """Both remarks, one below the other."""
    here, there = kept.get("note"), dropped.get("note")
    if type(here) is str and type(there) is str and there and there not in here:
        text = f"{here}\n{there}" if here else there
        if len(text) <= MAX_NOTE_MOVED:
            yield Op("set", *where, "note", text)


def _seats(wedding: Wedding, keep: str, drop: str) -> Iterator[Op]:
    for document in sorted(wedding.documents):
        if document_kind(document) == "seating":
            assignments = wedding.rows(document, "assignments")
            if drop in assignments:
                if keep not in assignments:
                    yield Op("set", document, "assignments", keep, None, assignments[drop])
                yield Op("delete", document, "assignments", drop)


def _rules(wedding: Wedding, keep: str, drop: str) -> Iterator[Op]:
    for document in sorted(wedding.documents):
        if document_kind(document) == "seating":
            yield from _flags(wedding, document, "rules", f"guest:{keep}", f"guest:{drop}")


def _items(wedding: Wedding, keep: str, drop: str) -> Iterator[Op]:
    yield from _flags(wedding, "timeline", "items", f"person:{keep}", f"person:{drop}")


def _flags(wedding: Wedding, document: str, root: str, keep: str, drop: str) -> Iterator[Op]:
    for record, row in islice(wedding.rows(document, root).items(), MAX_ROWS):
        if type(row) is dict and drop in row:
            yield Op("set", document, root, record, keep, True)
            yield Op("delete", document, root, record, drop)
