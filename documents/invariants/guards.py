"""Writes that an invariant judges by the value they replaced, such as to put that back.

They are resolved one by one: after the next write of the field, the value that they replaced is not known any more.
All other invariants follow from the rows, and are looked up once for many writes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from documents.invariants.catalogue import HIERARCHY
from documents.invariants.model import Wedding, document_kind
from documents.invariants.vendors import COUPLE_KEYS


def _always(_: Wedding, __: str) -> bool:
    return True


def _late_answers_are_put_back(wedding: Wedding, _: str) -> bool:
    return wedding.strategy("G4") == HIERARCHY and "rsvpBy" in wedding.meta("wedding")


def _amounts_are_approved(wedding: Wedding, _: str) -> bool:
    return "mustApproveOver" in wedding.meta("budget")


def _tables_are_locked(wedding: Wedding, document: str) -> bool:
    return any(document == each for each, _ in wedding.context.locked)


class WriteGuard(NamedTuple):
    """Fields of one root whose writes are judged one by one."""

    invariant: str
    keys: frozenset[str] | None = None
    """Keys, and prefixes of families without the colon; None: any."""
    applies: Callable[[Wedding, str], bool] = _always
    """(wedding, document): whether the invariant is concerned with it just now."""


GUARDS: Final[Mapping[tuple[str, str], WriteGuard]] = {
    ("budget", "items"): WriteGuard("B5", frozenset({"actual", "quoted", "estimated"}), _amounts_are_approved),
    ("guests", "guests"): WriteGuard("G4", frozenset({"rsvp"}), _late_answers_are_put_back),
    ("seating", "assignments"): WriteGuard("S7", None, _tables_are_locked),
    ("thread", "messages"): WriteGuard("M1"),
    ("wedding", "members"): WriteGuard("W1", frozenset({"role"})),
    ("wedding", "meta"): WriteGuard("W1", frozenset(COUPLE_KEYS)),
}
"""Kind and root -> guard."""


def is_judged_alone(wedding: Wedding, document: str, root: str, key: str | None) -> bool:
    """Whether a write of this field has to be resolved before the next write of it."""
    guard = GUARDS.get((document_kind(document), root))
    if guard is None:
        return False
    keys = guard.keys
    if keys is not None and key not in keys and (key or "").partition(":")[0] not in keys:
        return False
    return guard.applies(wedding, document)
