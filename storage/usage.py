"""The storage that a wedding takes: bytes, records and documents, summed from its rows when it is requested.

No counter is kept beside the rows: an append would write one more page for each wedding. Plain functions over a
`Connection`, as in `updates`.
"""

from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, LargeBinary, Select, cast, func, select

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
    stored = (
        select(func.coalesce(func.sum(func.length(updates.c.update)), 0))
        .join(documents, documents.c.id == updates.c.document_id)
        .where(documents.c.wedding == wedding)
    )
    row_size = func.coalesce(size(connection, rows.c.fields), 0) + size(connection, rows.c.writers)
    mirrored = select(func.coalesce(func.sum(row_size), 0), func.count()).where(rows.c.wedding == wedding)
    row_bytes, records = connection.execute(mirrored).one()
    happened = select(func.coalesce(func.sum(size(connection, events.c.body)), 0)).where(events.c.wedding == wedding)
    answered = func.coalesce(func.sum(size(connection, answers.c.key) + size(connection, answers.c.body)), 0)
    clients = select(func.count()).where(client_ids.c.wedding == wedding)
    return WeddingUsage(
        _number(connection, stored),
        int(row_bytes),
        _number(connection, happened),
        CLIENT_BYTES * _number(connection, clients),
        _number(connection, select(answered).where(answers.c.wedding == wedding)),
        int(records),
        count_documents(connection, wedding),
        _access_bytes(connection, wedding),
    )


def _access_bytes(connection: Connection, wedding: str) -> int:
    entry = AUDIT_BYTES + size(connection, audit.c.detail)
    entries = select(func.coalesce(func.sum(entry), 0)).where(audit.c.wedding == wedding)
    counts = (select(func.count()).select_from(table).where(table.c.wedding == wedding) for table in _ACCESS)
    return _number(connection, entries) + ACCESS_BYTES * sum(_number(connection, count) for count in counts)


def count_documents(connection: Connection, wedding: str) -> int:
    """How many documents of a wedding are stored."""
    return _number(connection, select(func.count()).where(documents.c.wedding == wedding))


def size(connection: Connection, column: ColumnElement[str]) -> ColumnElement[int]:
    """The bytes of a text."""
    if connection.dialect.name == "postgresql":
        return func.octet_length(column)
    return func.length(cast(column, LargeBinary))


def _number(connection: Connection, query: Select[Any]) -> int:
    return int(connection.scalars(query).one())
