"""Writes that an invariant judges by the value they replaced, such as to put that back.

They are resolved one by one: after the next write of the field, the value that they replaced is not known any more.
All other invariants follow from the rows, and are looked up once for many writes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from documents.changes import Change
from documents.invariants.catalogue import HIERARCHY
from documents.invariants.model import Wedding, document_kind
from documents.invariants.vendors import COUPLE_KEYS


def _always(_: Wedding, __: str, ___: Change) -> bool:
    return True


def _late_answers_are_put_back(wedding: Wedding, _: str, __: Change) -> bool:
    return wedding.strategy("G4") == HIERARCHY and "rsvpBy" in wedding.meta("wedding")


def _has_to_be_approved(wedding: Wedding, document: str, change: Change) -> bool:
    over, amount = wedding.meta("budget").get("mustApproveOver"), change.after
    row = wedding.rows(document, change.root).get(change.record)
    if type(over) is int and type(amount) is int and type(row) is dict and "currency" not in row:
        return amount > over
    return over is not None


def _table_is_locked(wedding: Wedding, document: str, change: Change) -> bool:
    """Whether a guest is put at a locked table, or sat at one when it was locked."""
    table = change.after.get("table") if type(change.after) is dict else None
    return any(
        document == each and (table == locked or change.record in guests)
        for (each, locked), guests in wedding.context.locked.items()
    )


class WriteGuard(NamedTuple):
    """Fields of one root whose writes are judged one by one."""

    invariant: str
    keys: frozenset[str] | None = None
    """Keys, and prefixes of families without the colon; None: any."""
    applies: Callable[[Wedding, str, Change], bool] = _always
    """(wedding, document, change): whether the invariant is concerned with it just now."""


GUARDS: Final[Mapping[tuple[str, str], WriteGuard]] = {
    ("budget", "items"): WriteGuard("B5", frozenset({"actual", "quoted", "estimated"}), _has_to_be_approved),
    ("guests", "guests"): WriteGuard("G4", frozenset({"rsvp"}), _late_answers_are_put_back),
    ("seating", "assignments"): WriteGuard("S7", None, _table_is_locked),
    ("thread", "messages"): WriteGuard("M1"),
    ("wedding", "members"): WriteGuard("W1", frozenset({"role"})),
    ("wedding", "meta"): WriteGuard("W1", frozenset(COUPLE_KEYS)),
}
"""Kind and root -> guard."""


@lru_cache(maxsize=4096)
def _guard_of(document: str, root: str, key: str | None) -> WriteGuard | None:
    guard = GUARDS.get((document_kind(document), root))
    if guard is None or guard.keys is None:
        return guard
    return guard if key in guard.keys or (key or "").partition(":")[0] in guard.keys else None


def judged_alone(wedding: Wedding, document: str, change: Change) -> str | None:
    """The invariant for which a write has to be resolved before the next write of the same field; None: there is none.
    """
    guard = _guard_of(document, change.root, change.key)
    return guard.invariant if guard is not None and guard.applies(wedding, document, change) else None
