"""The storage that a wedding takes: bytes, records and documents, summed from its rows when it is requested.

No counter is kept beside the rows: an append would write one more page for each wedding. Plain functions over a
`Connection`, as in `updates`.
"""

from functools import cache, partial, reduce
from operator import add
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, LargeBinary, Select, Table, bindparam, cast, func, select

from storage.messaging_tables import participants, threads
from storage.tables import (
    answers,
    audit,
    client_ids,
    devices,
    documents,
    events,
    grants,
    invitations,
    members,
    policy_overrides,
    rows,
    updates,
)

CLIENT_BYTES = 64
"""Bytes counted for one client id of a document."""

AUDIT_BYTES = 256
"""Bytes counted for one entry of the audit log besides its content."""

ACCESS_BYTES = 512
"""Bytes counted for one member, invitation, device, grant, thread, participant or change of the policy, those that have
ended included."""

_ACCESS = (members, invitations, devices, grants, policy_overrides, threads, participants)


class WeddingUsage(NamedTuple):
    """The storage that one wedding takes. Names and numbers beside the content count nothing."""

    update_bytes: int
    row_bytes: int
    event_bytes: int
    client_bytes: int
    answer_bytes: int
    records: int
    """Rows of documents, those that were removed included."""
    documents: int
    access_bytes: int = 0
    """Of the audit log, members, invitations, devices, grants and changes of the policy."""

    @property
    def size_bytes(self) -> int:
        """All bytes together."""
        content = self.update_bytes + self.row_bytes + self.event_bytes + self.client_bytes + self.answer_bytes
        return content + self.access_bytes


def usage(connection: Connection, wedding: str) -> WeddingUsage:
    """The storage that a wedding takes. Reads all of it: about a second for a gigabyte."""
    found = connection.execute(_usage(connection.dialect.name), {"wedding": wedding}).one()
    return WeddingUsage(*map(int, found))


def count_documents(connection: Connection, wedding: str) -> int:
    """How many documents of a wedding are stored."""
    return int(connection.scalar(_DOCUMENTS, {"wedding": wedding}) or 0)


def size(connection: Connection, column: ColumnElement[str]) -> ColumnElement[int]:
    """The bytes of a text."""
    return _size(connection.dialect.name, column)


def _size(dialect: str, column: ColumnElement[str]) -> ColumnElement[int]:
    if dialect == "postgresql":
        return func.octet_length(column)
    return func.length(cast(column, LargeBinary))


@cache
def _usage(dialect: str) -> Select[Any]:
    """The query of `usage`: one, which is made once. Fifteen took some milliseconds to make for each wedding."""
    size = partial(_size, dialect)
    row_size = func.coalesce(size(rows.c.fields), 0) + size(rows.c.writers)
    mirrored = _sum(row_size, rows).add_columns(func.count()).subquery()  # both in one pass over the rows
    row_bytes, records = mirrored.c
    updated = documents.join(updates, documents.c.id == updates.c.document_id)
    bytes_of_updates = select(func.coalesce(func.sum(func.length(updates.c.update)), 0)).select_from(updated)
    stored = bytes_of_updates.where(documents.c.wedding == bindparam("wedding"))
    audited = _sum(AUDIT_BYTES + size(audit.c.detail), audit).scalar_subquery()
    return select(
        stored.scalar_subquery(),
        row_bytes,
        _sum(size(events.c.body), events).scalar_subquery(),
        CLIENT_BYTES * _count(client_ids).scalar_subquery(),
        _sum(size(answers.c.key) + size(answers.c.body), answers).scalar_subquery(),
        records,
        _DOCUMENTS.scalar_subquery(),
        audited + ACCESS_BYTES * reduce(add, (_count(table).scalar_subquery() for table in _ACCESS)),
    )


def _sum(value: ColumnElement[int], table: Table) -> Select[Any]:
    of_wedding = table.c.wedding == bindparam("wedding")
    return select(func.coalesce(func.sum(value), 0)).select_from(table).where(of_wedding)


def _count(table: Table) -> Select[Any]:
    return select(func.count()).select_from(table).where(table.c.wedding == bindparam("wedding"))


_DOCUMENTS: Final = _count(documents)
