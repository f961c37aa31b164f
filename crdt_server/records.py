"""Records that follow from an edit and are committed with it, and those of a wedding that its host is given: columns as
in the tables of the store.

Tuples, because a database driver takes those as they are.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, NamedTuple

import msgspec


class RowChange(NamedTuple):
    """One row of the mirror. ``fields`` and ``writers`` are JSON; no fields: the row was removed."""

    root: str
    record: str
    fields: str | None
    writers: str


class MirrorRow(NamedTuple):
    """One row of a wedding as the store has it, see `RowChange`."""

    document: str
    root: str
    record: str
    fields: str | None
    writers: str


def last_written(writers: str) -> str:
    """The newest instant in the writers of a `RowChange`, RFC 3339 in UTC; empty where there is none."""
    return max((str(each[4]) for each in json.loads(writers).values()), default="")


class EventRecord(NamedTuple):
    """One event. ``at`` is RFC 3339 in UTC, ``body`` JSON."""

    type: str
    at: str
    record: str
    body: str


class ClientOwner(NamedTuple):
    """A Yjs client id, and the user that it belongs to from now on."""

    client: int
    user: str


class CommandAnswer(NamedTuple):
    """The answer to a command with an idempotency key. ``at`` carries its time zone."""

    key: str
    digest: str
    body: str
    at: Annotated[datetime, msgspec.Meta(tz=True)]


class BookingChange(NamedTuple):
    """A vendor's booking, in minutes since 1970; no stage: there is none any more."""

    vendor: str
    organization: str
    start: int
    until: int
    stage: str | None
    seq: int


class OtherBooking(NamedTuple):
    """A booking of another wedding, in minutes since 1970; ``vouched``: its organization is vouched for."""

    organization: str
    wedding: str
    vendor: str
    start: int
    until: int
    stage: str
    seq: int
    vouched: bool = False


class BatchRecords(msgspec.Struct, array_like=True, forbid_unknown_fields=True, gc=False):
    """Everything that follows from one batch in one document."""

    rows: list[RowChange]
    events: list[EventRecord]
    owners: list[ClientOwner]
    answers: list[CommandAnswer]
    bookings: list[BookingChange]
