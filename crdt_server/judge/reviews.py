"""The records of conflicts in the root `review`: reading them, and the operations that write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from documents.events import Actor
from documents.fields import same
from documents.invariants import Finding, Op, Option, Subject, Wedding, review_row
from documents.invariants.part import LEAVE
from documents.sentences import Sentence

UNDO_SECONDS = 24 * 3600.0
_KIND_OF = {"T": "timeline", "B": "budget", "G": "guests", "S": "seating", "C": "care", "W": "wedding", "M": "thread"}
_KEYS_OF_DECISION = ("choice", "say", "_outcome", "_by", "_closedAt", "_undo")


def home_of(finding: Finding) -> str:
    """The document whose `review` has the record: that of the field, or of what the invariant is about."""
    first = finding.parties[0].field.document if finding.parties else ""
    kind = _KIND_OF.get(finding.invariant[0])
    documents = (party.field.document for party in finding.parties)
    return next((each for each in documents if each.partition(".")[0] == kind), kind or first)


def home_of_subject(subject: Subject) -> str:
    """`home_of` the findings about a subject."""
    kind = _KIND_OF[subject.invariant[0]]
    return subject.ids[0] if kind in ("seating", "thread") else kind


def record_of(wedding: Wedding, document: str, record: str) -> dict[str, Any] | None:
    """The record of a conflict, None where there is none."""
    row = wedding.rows(document, "review").get(record)
    return row if type(row) is dict else None


def open_ops(old: Mapping[str, Any] | None, document: str, record: str, finding: Finding, at: str) -> Sequence[Op]:
    """Write a finding into its record. ``old``: what the record holds, None where there is none."""
    state = "open" if finding.manual else "auto"
    new = review_row(finding, at, state=state) | {"_fingerprint": finding.fingerprint}
    if old is None:
        return [Op("insert", document, "review", record, None, new)]
    ops = [Op("set", document, "review", record, k, v) for k, v in new.items() if not same(old.get(k), v)]
    stale = [key for key in _KEYS_OF_DECISION if key in old and key not in new]
    return ops + [Op("delete", document, "review", record, key) for key in stale]


def close_ops(document: str, record: str, outcome: str, at: str, actor: Actor | None) -> Sequence[Op]:
    """Close a record. ``actor``: the user who decided, if any."""
    values = {"_state": "resolved", "_outcome": outcome, "_closedAt": at}
    if actor is not None and actor.user:
        values["_by"] = actor.user
    return [Op("set", document, "review", record, key, value) for key, value in values.items()]


def may_be_decided(row: Mapping[str, Any], now: float) -> bool:
    """Whether a choice counts: the record is open, or was resolved by rule less than `UNDO_SECONDS` ago."""
    if row.get("_state") == "open":
        return True
    found_at = datetime.fromisoformat(row.get("_at", "1970-01-01T00:00:00Z")).timestamp()
    return row.get("_state") == "auto" and now - found_at <= UNDO_SECONDS


def for_a_person(finding: Finding) -> Finding:
    """The finding for a person to decide: the automatic operations are one option, to change nothing is another."""
    options = finding.options or (Option(0, Sentence("repair"), finding.automatic or ()),)
    if all(option.ops for option in options):
        options = (*options, Option(len(options), LEAVE, ()))
    return replace(finding, options=options, automatic=None)


def is_recorded(row: Mapping[str, Any], finding: Finding) -> bool:
    """Whether the record has the finding already, with nothing left to do about it."""
    if row.get("_fingerprint") != finding.fingerprint:
        return False
    if row.get("_state") == "resolved":  # else it has happened once more
        return not finding.invariant.startswith("X") and row.get("_outcome") != "moot"
    return row.get("_state") == "open" or not finding.automatic
