"""Declarations that several kinds share: stamps, addresses, conflict records, the references between documents."""

from __future__ import annotations

from typing import Any

from documents.fields import (
    AnyJson,
    Code,
    Enum,
    Id,
    Instant,
    Integer,
    ListOf,
    Minutes,
    OrderKey,
    Pattern,
    Reference,
    String,
)
from documents.kind import Extensible, Root, key, needed, record, records, single, value_of

MINUTES_PER_DAY = 24 * 60

SEVERITIES = Enum("info", "warning", "error", "critical")
SIDES = Enum("a", "b", "both")
STRATEGIES = Enum("wedding_hierarchy", "priority_based", "last_writer_wins", "merge_changes", "manual_review")
ORDER = OrderKey()
LABEL = String(120)
NAME = String(200)
EMAIL = String(254)
PHONE = String(40)
CURRENCY = Pattern(r"[A-Z]{3}", "ISO 4217 code")
USER = Id("id of a user")
COUNT = Integer(0, 100_000, "count")
MOMENT = Minutes(-30 * MINUTES_PER_DAY, 30 * MINUTES_PER_DAY)
DURATION = Minutes(0, 14 * MINUTES_PER_DAY)

EVENT = Reference("wedding", "events")
PLACE = Reference("wedding", "places")
VENDOR = Reference("wedding", "vendors")
TIMELINE_ITEM = Reference("timeline", "items")
BUDGET_ITEM = Reference("budget", "items")
BUDGET_CATEGORY = Reference("budget", "categories")
PAYMENT = Reference("budget", "payments")
HOUSEHOLD = Reference("guests", "households")
PERSON = Id("id of a person or guest")
GUEST = Reference("guests", "guests")
MESSAGE = Reference("thread", "messages")
TABLE = Reference("seating", "tables")


@record
class Stamp:
    """The user and the instant of an action."""

    at: str = needed(Instant(), "When.")
    by: str = needed(USER, "Who.")


@record
class Retraction:
    """The user, the instant and the reason of a withdrawal."""

    at: str = needed(Instant(), "When.")
    by: str = needed(USER, "Who.")
    reason: str | None = key(String(), "Why.")


@record
class Address:
    """A postal address; no part is required, countries differ too much."""

    line1: str | None = key(NAME, "Street and number, or the name of the house.")
    line2: str | None = key(NAME, "What does not fit the first line.")
    city: str | None = key(LABEL, "Town or city.")
    region: str | None = key(LABEL, "State, county, prefecture.")
    postal_code: str | None = key(String(20), "Postal code.")
    country: str | None = key(Pattern(r"[A-Z]{2}", "ISO 3166-1 alpha-2 code"), "Country.")


SENTENCE = AnyJson(2048)
"""See `documents.sentences`."""

STAMP = value_of(Stamp)
RETRACTION = value_of(Retraction)
ADDRESS = value_of(Address)


@record
class Record(Extensible):
    """A record that can be deleted softly and restored."""

    deleted: Stamp | None = key(STAMP, "Set: the record is deleted. Delete this key to restore the record.")


@record
class Meta(Extensible):
    """About the document as a whole."""

    version: int | None = key(Integer(1, 10_000), "Version of the schema the document is written in.", server=True)


@record
class ReviewParty:
    """One of the writers whose writes conflict."""

    user: str = needed(USER, "Who wrote.")
    role: str = needed(Code(), "In which role.")
    value: Any = key(AnyJson(4096), "What they wrote.")
    at: str | None = key(Instant(), "When it arrived.")
    subject: int | None = key(Integer(0, 49), "Place in `_subject` of the field that they wrote, counted from 0.")
    before: Any = key(
        AnyJson(4096), "What the field held before the conflict, null for nothing; absent: that is not known."
    )
    text: str | None = key(String(), "What they wrote over what, in English.")
    sentence: Any = key(SENTENCE, "The same for every language: an id of the catalogue, and values.")


@record
class ReviewSubject:
    """One record or key the conflict is about."""

    document: str = needed(String(120), "Document.")
    root: str = needed(String(40), "Root.")
    record: str = needed(String(200), "Id of the record.")
    key: str | None = key(String(120), "Key of the record; absent: the record as a whole.")


@record
class ReviewOption:
    """One way to resolve the conflict."""

    id: int = needed(Integer(0, 99), "What `choice` is set to.")
    text: str = needed(String(), "What choosing it does, in English.")
    sentence: Any = key(SENTENCE, "The same for every language: an id of the catalogue, and values.")
    operations: Any = key(AnyJson(16_384), "What choosing it does, for the server.")
    roles: tuple[str, ...] = key(
        ListOf(Code(), 10), "Roles of those who may choose it; absent: all who may write here.", default=()
    )


@record
class Conflict:
    """A conflict between edits: resolved by the server, or waiting for somebody to set `choice`."""

    kind: str | None = key(Code(), "Which invariant is broken.", server=True)
    subject: tuple[ReviewSubject, ...] = key(
        ListOf(value_of(ReviewSubject), 50), "What it is about.", default=(), server=True
    )
    severity: str | None = key(SEVERITIES, "How bad it is.", server=True)
    at: str | None = key(Instant(), "When it was found.", server=True)
    parties: tuple[ReviewParty, ...] = key(
        ListOf(value_of(ReviewParty), 20), "Who wrote what.", default=(), server=True
    )
    options: tuple[ReviewOption, ...] = key(
        ListOf(value_of(ReviewOption), 20), "Ways to resolve it.", default=(), server=True
    )
    undo: int | None = key(
        Integer(0, 99), "Id of the option that takes back what the server has resolved by itself.", server=True
    )
    strategy: str | None = key(STRATEGIES, "How it was or is to be resolved.", server=True)
    state: str | None = key(Enum("open", "auto", "resolved", "expired"), "Where it stands.", server=True)
    outcome: str | None = key(Code(), "How it ended: `option`, `moot`, `undone`…", server=True)
    by: str | None = key(USER, "Who resolved it; absent: the server.", server=True)
    closed_at: str | None = key(Instant(), "When it was resolved.", server=True)
    summary: str | None = key(String(), "What happened, in one English sentence with names.", server=True)
    sentence: Any = key(SENTENCE, "The same for every language: an id of the catalogue, and values.", server=True)
    fingerprint: str | None = key(String(64), "Equal while the facts are.", server=True)
    choice: int | None = key(Integer(0, 99), "Id of the chosen option. Clients set it.")
    say: str | None = key(String(), "A remark on the choice. Clients set it.")


def meta() -> Root:
    """The root `meta` of a kind that has no more to say about itself than its version."""
    return single("meta", Meta, "About the document.")


def review() -> Root:
    """The root `review` that every kind with a schema has."""
    return records(
        "review",
        Conflict,
        "Conflicts between edits. The server writes them; clients set `choice` and `say`.",
        server=True,
        client_keys=frozenset({"choice", "say"}),
    )
