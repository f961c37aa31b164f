"""Inboxes: what people of a wedding were informed of, item by item. `routing` adds items.

Reading an item, wherever it is done, ends the messages about it that were to be sent only if it stayed unread, and
those that are held for a digest. Counts are bounded and calls change so many rows at a time: somebody may have a
million unread. Plain functions over a `Connection`, as in `updates`.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, delete, func, literal, or_, select, tuple_, update

from storage.messaging_tables import inbox, messages, outbox, routed
from storage.outbox import DROPPED, HELD, LATER, NO_PARAMS, SLICE
from storage.tables import THREAD
from storage.usage import size

PAGE_CHARACTERS = 256 * 1024
"""Characters of `params` in one page, the first item apart."""

MOST_COUNTED = 1_000
"""Unread items are counted up to here; there may be more."""

MARKED_AT_ONCE = 1_000
"""Items that one transaction marks as read: it takes some milliseconds."""

TRIMMED_AT_ONCE = 500

ALL_MESSAGES = (1 << 63) - 1
"""A number that no message of a thread has."""

ITEM_BYTES = 256
"""Bytes counted for one item besides its `params`."""


class StoredItem(NamedTuple):
    """One item of an inbox: `events` of a type about a record, `event` the newest of them, `at` the moment of the
    first. An item replaces an unread one about the same type and record."""

    id: int
    event: int
    type: str
    priority: int
    document: str
    record: str
    params: str
    """JSON: names and texts."""
    events: int
    at: datetime
    read_at: datetime | None = None


_COLUMNS = [inbox.c.count.label("events") if name == "events" else inbox.c[name] for name in StoredItem._fields]


def page(connection: Connection, wedding: str, user: str, after: int, limit: int) -> list[StoredItem]:
    """The next items behind an id, the oldest first: at most `limit`, and no more behind PAGE_CHARACTERS."""
    return _page(connection, and_(_of(wedding, user), inbox.c.id > after), limit, newest_first=False)


def newest(connection: Connection, wedding: str, user: str, before: int, limit: int) -> list[StoredItem]:
    """The items before an id, the newest first: at most `limit`, and no more behind PAGE_CHARACTERS."""
    return _page(connection, and_(_of(wedding, user), inbox.c.id < before), limit, newest_first=True)


def _page(connection: Connection, among: ColumnElement[bool], limit: int, *, newest_first: bool) -> list[StoredItem]:
    found = select(*_COLUMNS).where(among).order_by(_ordered(inbox.c.id, newest_first)).limit(limit).subquery()
    order = _ordered(found.c.id, newest_first)
    before = func.sum(func.length(found.c.params)).over(order_by=order, rows=(None, -1))
    sized = select(found, func.coalesce(before, 0).label("characters_before")).subquery()
    listed = [sized.c[name] for name in StoredItem._fields]
    query = select(*listed).where(sized.c.characters_before < PAGE_CHARACTERS)
    return [StoredItem(*row) for row in connection.execute(query.order_by(_ordered(sized.c.id, newest_first)))]


def _ordered(column: ColumnElement[int], newest_first: bool) -> ColumnElement[int]:
    return column.desc() if newest_first else column.asc()


def newest_id(connection: Connection, wedding: str, user: str) -> int:
    """The id of the newest item; 0 where there is none."""
    return int(connection.scalar(select(func.max(inbox.c.id)).where(_of(wedding, user))) or 0)


def unread(connection: Connection, wedding: str, user: str) -> int:
    """How many items are unread, counted up to MOST_COUNTED + 1."""
    some = select(inbox.c.id).where(_of(wedding, user), inbox.c.read_at.is_(None)).limit(MOST_COUNTED + 1).subquery()
    return int(connection.scalars(select(func.count()).select_from(some)).one())


def mark_read(connection: Connection, wedding: str, user: str, which: Collection[int] | int, at: datetime) -> list[int]:
    """Mark unread items as read: those of the given ids, or the oldest up to one id. At most MARKED_AT_ONCE, whose ids
    are returned. Those about messages are read in their threads, too: see `messages.mark_items_read`."""
    among = inbox.c.id <= which if isinstance(which, int) else inbox.c.id.in_(which)
    return _mark(connection, wedding, user, among, at)


def hold_cursor(connection: Connection, wedding: str) -> None:
    """Have the router of a wedding wait until the end of the transaction. It holds this row while it adds items: they
    are there by then, or it sees what is changed here. On SQLite it does nothing: transactions
    that write are one at a time there."""
    if connection.dialect.name != "sqlite":
        connection.execute(select(routed.c.seq).where(routed.c.wedding == wedding).with_for_update())


def mark_thread_read(connection: Connection, wedding: str, user: str, thread: str, sequence: int, at: datetime) -> bool:
    """Mark the items about messages of a thread up to a number as read, and those about the thread itself: at most
    MARKED_AT_ONCE. Returns whether there may be more."""
    hold_cursor(connection, wedding)
    upto = select(messages.c.message).where(messages.c.wedding == wedding, messages.c.thread == thread)
    upto = upto.where(messages.c.sequence <= sequence)
    document = THREAD + thread
    items = and_(_of(wedding, user), inbox.c.read_at.is_(None), inbox.c.document == document)
    items = and_(items, or_(inbox.c.record == thread, inbox.c.record.in_(upto)))
    ids = connection.scalars(select(inbox.c.id).where(items).order_by(inbox.c.id).limit(MARKED_AT_ONCE)).all()
    connection.execute(update(inbox).where(inbox.c.id.in_(ids)).values(read_at=at))
    about = and_(outbox.c.document == document, or_(outbox.c.record == thread, outbox.c.record.in_(upto)))
    _drop_unsent(connection, wedding, user, about, at)
    return len(ids) == MARKED_AT_ONCE


def _mark(connection: Connection, wedding: str, user: str, among: ColumnElement[bool], at: datetime) -> list[int]:
    unread_items = and_(_of(wedding, user), inbox.c.read_at.is_(None), among)
    found = select(inbox.c.id, inbox.c.event, inbox.c.document, inbox.c.record, inbox.c.type).where(unread_items)
    rows = connection.execute(found.order_by(inbox.c.id).limit(MARKED_AT_ONCE)).all()
    if not rows:
        return []
    ids = [row.id for row in rows]
    connection.execute(update(inbox).where(inbox.c.id.in_(ids)).values(read_at=at))
    newest: dict[tuple[str, ...], int] = {}
    for _, event, *about in rows:
        newest[tuple(about)] = max(event, newest.get(tuple(about), 0))
    _drop_unsent_until(connection, wedding, user, newest, at)
    return ids


def _drop_unsent_until(
    connection: Connection, wedding: str, user: str, newest: Mapping[tuple[str, ...], int], at: datetime
) -> None:
    """End the messages about a document, record and type up to the newest event that was read: of a later one there is
    an item that is unread."""
    about = (outbox.c.document, outbox.c.record, outbox.c.type)
    query = select(outbox.c.id, outbox.c.event, *about).where(_unsent(wedding, user, at))
    query = query.where(tuple_(*about).in_(list(newest)))
    ids = [id_ for id_, event, *named in connection.execute(query) if event <= newest[tuple(named)]]
    for begin in range(0, len(ids), SLICE):
        _drop_unsent(connection, wedding, user, outbox.c.id.in_(ids[begin : begin + SLICE]), at)


def _drop_unsent(connection: Connection, wedding: str, user: str, about: ColumnElement[bool], at: datetime) -> None:
    """End the messages about items that were read, as far as they were to be sent later and nobody has begun to."""
    dropped = {"state": DROPPED, "params": NO_PARAMS, "error": "was read", "done_at": at}
    connection.execute(update(outbox).where(_unsent(wedding, user, at), about).values(dropped))


def _unsent(wedding: str, user: str, at: datetime) -> ColumnElement[bool]:
    later = and_(outbox.c.state == LATER, outbox.c.next_at > at, outbox.c.attempts == 0)
    of_user = and_(outbox.c.wedding == wedding, outbox.c.user == user, outbox.c.state.in_((LATER, HELD)))
    return and_(of_user, or_(outbox.c.state == HELD, later), outbox.c.priority > 0)


def take_back(connection: Connection, wedding: str, document: str, record: str, at: datetime) -> list[str]:
    """Leave nothing of what was said about a record: items keep that there was something, and are read, since there is
    nothing to be read any more. Returns the users who had not read theirs."""
    about = and_(inbox.c.wedding == wedding, inbox.c.document == document, inbox.c.record == record)
    users = list(connection.scalars(select(inbox.c.user).where(about, inbox.c.read_at.is_(None)).distinct()))
    read_at = func.coalesce(inbox.c.read_at, literal(at, inbox.c.read_at.type))
    connection.execute(update(inbox).where(about).values(params=NO_PARAMS, read_at=read_at))
    return users


def trim(connection: Connection, before: datetime) -> int:
    """Delete one slice of the oldest items of all weddings, those from before a moment; returns how many."""
    oldest = connection.execute(select(inbox.c.id, inbox.c.at).order_by(inbox.c.id).limit(TRIMMED_AT_ONCE))
    ids = [row.id for row in oldest if row.at < before]
    if ids:
        connection.execute(delete(inbox).where(inbox.c.id.in_(ids)))
    return len(ids)


def oldest_beyond(connection: Connection, wedding: str, most_bytes: int) -> int:
    """The newest of the oldest items of a wedding without which its inboxes have ``most_bytes``; 0: they have no more.
    Reads all of them."""
    sizes = ITEM_BYTES + size(connection, inbox.c.params)
    newer = func.sum(sizes).over(order_by=inbox.c.id.desc()).label("bytes_with_newer")
    items = select(inbox.c.id, newer).where(inbox.c.wedding == wedding).subquery()
    return int(connection.scalar(select(func.max(items.c.id)).where(items.c.bytes_with_newer > most_bytes)) or 0)


def trim_wedding(connection: Connection, wedding: str, until: int) -> int:
    """Delete some of the items of a wedding up to an id; returns how many: 0 when there are none any more."""
    some = select(inbox.c.id).where(inbox.c.wedding == wedding, inbox.c.id <= until).limit(TRIMMED_AT_ONCE)
    ids = list(connection.scalars(some))
    if ids:
        connection.execute(delete(inbox).where(inbox.c.id.in_(ids)))
    return len(ids)


def _of(wedding: str, user: str) -> ColumnElement[bool]:
    return and_(inbox.c.wedding == wedding, inbox.c.user == user)
