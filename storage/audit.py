"""The audit log of a wedding: entries that are only ever added, each with the digest of the one before it.

The row of `rights` keeps the number and the digest of the newest entry, so that one which is cut off the end is missed
too. The digest is no signature: somebody who may write the database can make all digests anew. `head` is what an
operator keeps elsewhere against that.

An entry is added in the transaction of the change that it is about: by `add` here, by appends in a batch. Plain
functions over a `Connection`, as in `updates`.
"""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import NamedTuple, Protocol

from sqlalchemy import BigInteger, Connection, bindparam, insert, select, text, update

from storage.errors import ValuesRefused
from storage.tables import MOMENT_LENGTH, NAME_LENGTH, audit, rights

ENTRIES_PER_PAGE = 500
"""Entries that `page` reads at most."""


class AuditValues(Protocol):
    """An entry to be added. `at` is an RFC 3339 moment in UTC, `actor` a user, `detail` JSON in one line."""

    @property
    def at(self) -> str: ...
    @property
    def actor(self) -> str: ...
    @property
    def action(self) -> str: ...
    @property
    def detail(self) -> str: ...


class NewAuditEntry(NamedTuple):
    """`AuditValues` as a tuple."""

    at: str
    actor: str
    action: str
    detail: str


class AuditEntry(NamedTuple):
    """An entry of a wedding. The entries of a wedding are numbered 1, 2, 3, … without a gap."""

    seq: int
    at: str
    actor: str
    action: str
    detail: str
    previous: str
    digest: str


class AuditHead(NamedTuple):
    """The number of entries of a wedding, and the digest of the newest; 0 and empty where there is none."""

    seq: int
    digest: str


NO_ENTRIES = AuditHead(0, "")
INSERTED_LAST = "was inserted: the log ends before it"

_CREATE = text(
    "INSERT INTO rights (wedding, version, audit_seq, audit_digest) VALUES (:wedding, 0, 0, '') "
    "ON CONFLICT (wedding) DO NOTHING"
)


class AuditFault(NamedTuple):
    """The first entry of a chain that is not as it was written."""

    seq: int
    reason: str


def digest_of(wedding: str, seq: int, values: AuditValues, previous: str) -> str:
    """The digest of an entry behind one with the digest `previous`. PostgreSQL computes the same: see
    `postgres_function`."""
    lines = (wedding, str(seq), values.at, values.actor, values.action, values.detail, previous)
    return sha256("\n".join(lines).encode()).hexdigest()


def chain(wedding: str, head: AuditHead, entries: Sequence[AuditValues]) -> Iterator[AuditEntry]:
    """The entries with their numbers and digests, behind those that are there."""
    for each in entries:
        seq = head.seq + 1
        digest = digest_of(wedding, seq, each, head.digest)
        yield AuditEntry(seq, each.at, each.actor, each.action, each.detail, head.digest, digest)
        head = AuditHead(seq, digest)


def check_entries(entries: Sequence[AuditValues]) -> None:
    """Raise ValuesRefused for an entry that the table cannot keep, or that has a line break: a digest could not tell
    where a value ends."""
    for each in entries:
        if len(each.at) > MOMENT_LENGTH or max(len(each.actor), len(each.action)) > NAME_LENGTH:
            raise ValuesRefused(f"a value of an audit entry is too long: {each.action[:300]!r}")
        if any("\n" in value or "\0" in value for value in (each.at, each.actor, each.action, each.detail)):
            raise ValuesRefused("a value of an audit entry has a line break")


def add(connection: Connection, wedding: str, entries: Sequence[AuditValues], *, changes_rights: bool = False) -> int:
    """Add entries, and count the version of the rights up where they change. Returns the version.

    Holds until the end of the transaction: changes of the rights of one wedding wait for one another.
    """
    check_entries(entries)
    version, head = lock(connection, wedding)
    version += changes_rights
    added = list(chain(wedding, head, entries))
    if added:
        connection.execute(insert(audit), [{"wedding": wedding, **entry._asdict()} for entry in added])
        head = AuditHead(added[-1].seq, added[-1].digest)
    connection.execute(
        update(rights).where(rights.c.wedding == wedding),
        {"version": version, "audit_seq": head.seq, "audit_digest": head.digest},
    )
    return version


def lock(connection: Connection, wedding: str) -> tuple[int, AuditHead]:
    """The version of the rights of a wedding and the head of its log, which nobody else changes until the end of the
    transaction."""
    if not 0 < len(wedding) <= NAME_LENGTH:
        raise ValuesRefused(f"the name of a wedding has 1 to {NAME_LENGTH} characters: {wedding[:300]!r}")
    query = select(rights.c.version, rights.c.audit_seq, rights.c.audit_digest).where(rights.c.wedding == wedding)
    if connection.dialect.name == "postgresql":
        query = query.with_for_update()
    row = connection.execute(query).one_or_none()
    if row is None:
        connection.execute(_CREATE, {"wedding": wedding})
        row = connection.execute(query).one()
    return row.version, AuditHead(row.audit_seq, row.audit_digest)


def head(connection: Connection, wedding: str) -> AuditHead:
    """The head that is kept beside the log."""
    query = select(rights.c.audit_seq, rights.c.audit_digest).where(rights.c.wedding == wedding)
    row = connection.execute(query).one_or_none()
    return NO_ENTRIES if row is None else AuditHead(*row)


def page(connection: Connection, wedding: str, after: int, characters: int) -> list[AuditEntry]:
    """The next entries behind a number: at most 500, and it ends with the one that exceeds so many characters."""
    query = (
        select(*(audit.c[field] for field in AuditEntry._fields))
        .where(audit.c.wedding == wedding, audit.c.seq > bindparam("after", type_=BigInteger))
        .order_by(audit.c.seq)
        .limit(ENTRIES_PER_PAGE)
    )
    found: list[AuditEntry] = []
    for row in connection.execute(query, {"after": after}):
        found.append(AuditEntry(*row))
        characters -= len(found[-1].detail)
        if characters <= 0:
            break
    return found


def weddings(connection: Connection, after: str, limit: int) -> list[str]:
    """The next weddings behind a name that have entries, or had some."""
    kept = select(rights.c.wedding).where(rights.c.audit_seq > 0)
    found = select(audit.c.wedding).union(kept).subquery()
    query = select(found.c.wedding).where(found.c.wedding > after).order_by(found.c.wedding).limit(limit)
    return list(connection.scalars(query))


class ChainCheck:
    """Walks the entries of a wedding in order. `fault` is the first that is not as it was written."""

    def __init__(self, wedding: str) -> None:
        self.fault: AuditFault | None = None
        self.head = NO_ENTRIES
        self._wedding = wedding

    def walk(self, entries: Sequence[AuditEntry]) -> None:
        """The next entries."""
        for entry in entries:
            if self.fault is None:
                self.fault = self._fault_of(entry)
                self.head = AuditHead(entry.seq, entry.digest)

    def _fault_of(self, entry: AuditEntry) -> AuditFault | None:
        seq, before = entry.seq, self.head
        if seq != before.seq + 1:
            return AuditFault(before.seq + 1, "was removed")
        written_as = next((each for each in (seq, seq + 1, seq - 1) if self._was_written_as(entry, each)), None)
        if written_as == seq + 1:
            return AuditFault(seq, "was removed, and those behind it have other numbers")
        if written_as == seq - 1:
            return AuditFault(seq - 1, "was inserted, and those behind it have other numbers")
        if written_as is None:
            return AuditFault(seq, "was altered")
        if entry.previous != before.digest:
            return AuditFault(seq - 1, "was altered: the entry behind it holds another digest")
        return None

    def _was_written_as(self, entry: AuditEntry, seq: int) -> bool:
        return digest_of(self._wedding, seq, entry, entry.previous) == entry.digest

    def end(self, kept: AuditHead) -> None:
        """There are no more entries; `kept` is the head beside the log."""
        if self.fault is not None or kept == self.head:
            return
        if kept.seq > self.head.seq:
            self.fault = AuditFault(self.head.seq + 1, "was removed")
        elif kept.seq < self.head.seq:
            self.fault = AuditFault(kept.seq + 1, INSERTED_LAST)
        else:
            self.fault = AuditFault(kept.seq, "was altered: the log ends with another digest")
