"""Derived records: rows, events, users of client ids, answers to commands, bookings, and entries of the audit log.

They follow from the updates of one document and are stored in the transaction of those updates, so that neither is
there without the other. JSON is text to the store.

An append takes any objects with the attributes of the protocols below; reads return the named tuples, which have them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from storage.audit import AuditValues
from storage.updates import DocumentKey


class RowValues(Protocol):
    """One record of a document as it is now. `fields` and `writers` are JSON; no `fields`: the record was deleted."""

    @property
    def root(self) -> str: ...
    @property
    def record(self) -> str: ...
    @property
    def fields(self) -> str | None: ...
    @property
    def writers(self) -> str: ...


class EventValues(Protocol):
    """An event to be stored. `at` is an RFC 3339 moment in UTC, `body` is JSON."""

    @property
    def type(self) -> str: ...
    @property
    def at(self) -> str: ...
    @property
    def record(self) -> str: ...
    @property
    def body(self) -> str: ...


class ClientValues(Protocol):
    """A client id of a document and the user who wrote under it first."""

    @property
    def client(self) -> int: ...
    @property
    def user(self) -> str: ...


class AnswerValues(Protocol):
    """The answer to a command, stored in case the command is sent again.

    `key` is the client's, `digest` identifies the content of the command, `body` is JSON; `at` carries its time zone.
    """

    @property
    def key(self) -> str: ...
    @property
    def digest(self) -> str: ...
    @property
    def body(self) -> str: ...
    @property
    def at(self) -> datetime: ...


class BookingValues(Protocol):
    """A vendor of a wedding who is not free for other weddings from minute `start` to minute `until` since 1970, UTC.

    The same business has the same `organization` in all weddings. `stage` is how firm the booking is, None removes it;
    `seq` orders the bookings of all weddings.
    """

    @property
    def vendor(self) -> str: ...
    @property
    def organization(self) -> str: ...
    @property
    def start(self) -> int: ...
    @property
    def until(self) -> int: ...
    @property
    def stage(self) -> str | None: ...
    @property
    def seq(self) -> int: ...


class StoredRow(NamedTuple):
    """`RowValues` as a tuple."""

    root: str
    record: str
    fields: str | None
    writers: str


class NewEvent(NamedTuple):
    """`EventValues` as a tuple."""

    type: str
    at: str
    record: str
    body: str


class StoredEvent(NamedTuple):
    """An event of a wedding. The events of a wedding are numbered 1, 2, 3, … without a gap."""

    seq: int
    type: str
    at: str
    document: str
    record: str
    body: str


class ClientUser(NamedTuple):
    """`ClientValues` as a tuple."""

    client: int
    user: str


class StoredAnswer(NamedTuple):
    """`AnswerValues` as a tuple."""

    key: str
    digest: str
    body: str
    at: datetime


class VendorBooking(NamedTuple):
    """`BookingValues` as a tuple."""

    vendor: str
    organization: str
    start: int
    until: int
    stage: str | None
    seq: int


class StoredBooking(NamedTuple):
    """A booking of another wedding."""

    organization: str
    wedding: str
    vendor: str
    start: int
    until: int
    stage: str
    seq: int


@dataclass(frozen=True, slots=True)
class DerivedRecords:
    """Derived records of one document, to be stored with its updates."""

    key: DocumentKey
    rows: Sequence[RowValues] = ()
    events: Sequence[EventValues] = ()
    owners: Sequence[ClientValues] = ()
    answers: Sequence[AnswerValues] = ()
    bookings: Sequence[BookingValues] = ()
    audit: Sequence[AuditValues] = ()
