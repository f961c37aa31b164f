"""Files of conversations: their names, sizes and digests. Their bytes are in a store of files, under the digest.

An attachment has no message until the message that names it is projected; without one for long enough it is an orphan.
That of a message which was taken back, or which is not there any more, is not found from that moment on. Plain
functions over a `Connection`, as in `updates`.
"""

import json
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    text,
    tuple_,
    update,
)

from storage import audit
from storage.audit import NewAuditEntry
from storage.derived import StoredEvent
from storage.errors import ValuesRefused
from storage.messaging_tables import attachments
from storage.store_parts import StorePart
from storage.tables import rows

ATTACHMENT_BYTES = 16 * 1024
"""Bytes counted for one attachment besides its content: with each one that is added all of its wedding are summed."""

MESSAGES, REDACTIONS = "messages", "redactions"
"""The roots of a conversation that decide whether an attachment is found."""

ORPHANS_AT_ONCE = 500
LISTED = 500

_LOCK = "SELECT pg_advisory_xact_lock(hashtext('attachments'), hashtext(:wedding))"


class StoredAttachment(NamedTuple):
    """A file of a conversation. `thread` is its document; `message` is empty until a message names it."""

    id: str
    thread: str
    message: str
    name: str
    media_type: str
    size: int
    sha256: str
    by: str
    at: datetime


_COLUMNS = [attachments.c[name] for name in StoredAttachment._fields]


class AttachmentStore(StorePart):
    """The attachments of weddings."""

    async def add_attachment(self, wedding: str, attachment: StoredAttachment, most_bytes: int) -> None:
        """Add one. Raises ValuesRefused where the wedding has more than `most_bytes` of them then (0: any number)."""
        await self._executor.write(lambda connection: add(connection, wedding, attachment, most_bytes))

    async def remove_attachment(self, wedding: str, id_: str) -> None:
        """Remove one."""
        await self._executor.write_at_once(lambda connection: remove(connection, wedding, id_))

    async def attachment(self, wedding: str, thread: str, id_: str) -> StoredAttachment | None:
        """One of a conversation, as long as its message is there and not taken back."""
        return await self._executor.read(lambda connection: find(connection, wedding, thread, id_))

    async def thread_attachments(
        self, wedding: str, thread: str, user: str, before: tuple[datetime, str] | None, limit: int
    ) -> list[StoredAttachment]:
        """Those of a conversation that `attachment` finds, the newest first, as far as a message names them or ``user``
        has sent them; ``before``: the moment and id of the last one of the page before."""
        return await self._executor.read(lambda connection: page(connection, wedding, thread, user, before, limit))

    async def delete_attachment(self, wedding: str, id_: str, entry: NewAuditEntry) -> bool:
        """Remove one, with an entry of the audit log; whether there was one."""
        return await self._executor.write(lambda connection: remove_recorded(connection, wedding, id_, entry))

    async def attachment_bytes(self, wedding: str) -> int:
        """The bytes of the attachments of a wedding, equal files once."""
        return await self._executor.read(lambda connection: used_bytes(connection, wedding))

    async def remove_orphans(self, before: datetime) -> int:
        """Remove up to 500 attachments of a moment before that one which no message names; returns how many."""
        return await self._executor.write_at_once(lambda connection: remove_orphans(connection, before))

    async def attachments(self, wedding: str | None = None) -> AsyncIterator[tuple[str, StoredAttachment]]:
        """All attachments, or those of a wedding, each with its wedding, in order; read in pages."""
        after = ("" if wedding is None else wedding, "")
        while page := await self._attachments_behind(wedding, after):
            for found in page:
                yield found
            after = page[-1][0], page[-1][1].id

    async def _attachments_behind(
        self, wedding: str | None, after: tuple[str, str]
    ) -> list[tuple[str, StoredAttachment]]:
        return await self._executor.read(lambda connection: _behind(connection, wedding, after))

    async def unused_files(self, wedding: str, digests: Iterable[str]) -> set[str]:
        """Those of these digests that no attachment of a wedding has."""
        wanted = set(digests)
        return wanted - await self._executor.read(lambda connection: used(connection, wedding, sorted(wanted)))


def add(connection: Connection, wedding: str, attachment: StoredAttachment, most_bytes: int) -> None:
    """Add one. Raises ValuesRefused where the wedding has more than `most_bytes` of them then (0: any number)."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(_LOCK), {"wedding": wedding})  # two of them would each count without the other
    connection.execute(insert(attachments), {"wedding": wedding, **attachment._asdict()})
    if 0 < most_bytes < used_bytes(connection, wedding):
        raise ValuesRefused(f"the files of the wedding are more than {most_bytes} bytes")


def remove(connection: Connection, wedding: str, id_: str) -> bool:
    """Remove one; whether there was one."""
    own = and_(attachments.c.wedding == wedding, attachments.c.id == id_)
    return bool(connection.execute(delete(attachments).where(own)).rowcount)


def remove_recorded(connection: Connection, wedding: str, id_: str, entry: NewAuditEntry) -> bool:
    """Remove one, with an entry of the audit log; whether there was one."""
    audit.lock(connection, wedding)
    removed = remove(connection, wedding, id_)
    if removed:
        audit.add(connection, wedding, [entry])
    return removed


def find(connection: Connection, wedding: str, thread: str, id_: str) -> StoredAttachment | None:
    """One of a conversation, as long as its message is there and not taken back."""
    found = connection.execute(_found(wedding, thread).where(attachments.c.id == id_)).first()
    return None if found is None else StoredAttachment(*found)


def page(
    connection: Connection, wedding: str, thread: str, user: str, before: tuple[datetime, str] | None, limit: int
) -> list[StoredAttachment]:
    """See `AttachmentStore.thread_attachments`."""
    table = attachments.c
    query = _found(wedding, thread).where(or_(table.message != "", table.by == user))
    if before is not None:
        query = query.where(
            tuple_(table.at, table.id) < tuple_(literal(before[0], table.at.type), literal(before[1], table.id.type))
        )
    newest = query.order_by(table.at.desc(), table.id.desc()).limit(limit)
    return [StoredAttachment(*row) for row in connection.execute(newest)]


def _found(wedding: str, thread: str) -> Select[Any]:
    """Those of a conversation, as long as their messages are there and not taken back."""
    of_message = and_(
        rows.c.wedding == attachments.c.wedding,
        rows.c.document == attachments.c.thread,
        rows.c.record == attachments.c.message,
        rows.c.fields.is_not(None),
    )
    is_there = exists().where(of_message, rows.c.root == MESSAGES)
    is_withdrawn = exists().where(of_message, rows.c.root == REDACTIONS)
    query = select(*_COLUMNS).where(attachments.c.wedding == wedding, attachments.c.thread == thread)
    return query.where(or_(attachments.c.message == "", and_(is_there, ~is_withdrawn)))


def _behind(connection: Connection, wedding: str | None, after: tuple[str, str]) -> list[tuple[str, StoredAttachment]]:
    key = (attachments.c.wedding, attachments.c.id)
    query = select(attachments.c.wedding, *_COLUMNS).where(tuple_(*key) > tuple_(*after))
    if wedding is not None:
        query = query.where(attachments.c.wedding == wedding)
    page = connection.execute(query.order_by(*key).limit(LISTED))
    return [(of_wedding, StoredAttachment(*row)) for of_wedding, *row in page]


def used_bytes(connection: Connection, wedding: str) -> int:
    """The bytes of the attachments of a wedding, equal files once."""
    files = select(attachments.c.sha256, attachments.c.size).where(attachments.c.wedding == wedding).distinct()
    size = select(func.coalesce(func.sum(files.subquery().c.size), 0))
    count = select(func.count()).select_from(attachments).where(attachments.c.wedding == wedding)
    return int(connection.scalars(size).one()) + ATTACHMENT_BYTES * int(connection.scalars(count).one())


def used(connection: Connection, wedding: str, digests: Sequence[str]) -> set[str]:
    """Those of these digests that an attachment of a wedding has."""
    found: set[str] = set()
    for begin in range(0, len(digests), ORPHANS_AT_ONCE):
        query = select(attachments.c.sha256).where(attachments.c.wedding == wedding)
        found.update(
            connection.scalars(query.where(attachments.c.sha256.in_(digests[begin : begin + ORPHANS_AT_ONCE])))
        )
    return found


def remove_orphans(connection: Connection, before: datetime) -> int:
    """Remove attachments of a moment before that one which no message names; returns how many."""
    key = (attachments.c.wedding, attachments.c.id)
    oldest = select(*key).where(attachments.c.message == "", attachments.c.at < before)
    page = connection.execute(oldest.order_by(attachments.c.at).limit(ORPHANS_AT_ONCE)).all()
    for wedding, id_ in page:
        same = and_(attachments.c.wedding == wedding, attachments.c.id == id_, attachments.c.message == "")
        connection.execute(delete(attachments).where(same))
    return len(page)


def project_attachments(connection: Connection, wedding: str, events: Sequence[StoredEvent]) -> None:
    """Give attachments the messages that name them, and remove those of messages that were taken back. Runs in the
    transaction of the router. A message names only what its author has sent, and each attachment is of one message."""
    for event in events:
        if event.type in ("message.redacted", "message.removed"):
            _forget(connection, wedding, event)
        elif event.type in ("message.sent", "message.changed") and '"attachments"' in event.body:
            after = json.loads(event.body).get("after")
            if isinstance(after, dict):
                _bind(connection, wedding, event, after)


def _bind(connection: Connection, wedding: str, event: StoredEvent, message: dict[str, object]) -> None:
    named = message.get("attachments")
    ids = [each["id"] for each in named if isinstance(each, dict) and "id" in each] if isinstance(named, list) else []
    if ids:
        unbound = and_(attachments.c.thread == event.document, attachments.c.message == "")
        own = and_(attachments.c.id.in_(ids), attachments.c.by == str(message.get("from", "")))
        bound = update(attachments).where(attachments.c.wedding == wedding, unbound, own)
        connection.execute(bound.values(message=event.record))
        if connection.execute(select(_is_withdrawn(wedding, event))).scalar():  # it came before the message
            _forget(connection, wedding, event)


def _is_withdrawn(wedding: str, event: StoredEvent) -> ColumnElement[bool]:
    message = and_(rows.c.wedding == wedding, rows.c.document == event.document, rows.c.record == event.record)
    return exists().where(message, rows.c.root == REDACTIONS, rows.c.fields.is_not(None))


def _forget(connection: Connection, wedding: str, event: StoredEvent) -> None:
    """Remove the attachments of a message."""
    of_message = and_(attachments.c.thread == event.document, attachments.c.message == event.record)
    connection.execute(delete(attachments).where(attachments.c.wedding == wedding, of_message))
