"""Routing of events: the cursor of each wedding, the rows that a decision about recipients is made from, and the rows
that follow from it.

The events of a wedding up to `routed.seq` were routed. The result of a page of events is stored in one transaction
with the cursor behind them, and the cursor is moved first, from the number that the page was read behind: of several
routers one stores the page and the others store nothing, and a crash leaves all of it or nothing. While the row of the
cursor is held, nobody else adds to the inbox of the wedding, so that its ids rise in the order of the commits.

Plain functions over a `Connection`, as in `updates`.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    Connection,
    Insert,
    Integer,
    Select,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from storage import inbox as inbox_rows
from storage import preferences
from storage.derived import StoredEvent
from storage.inbox import StoredItem
from storage.messaging_tables import inbox, outbox, read_pointers, routed, webhooks
from storage.outbox import HELD, LATER, UNSENT, WAITING, NewMessage, enqueue, redact
from storage.statements import add_rows
from storage.tables import THREAD, rights

MERGED_WITHIN = timedelta(seconds=10)
"""Events of one type about one record are one item for a recipient when they are no further apart than this."""

MOST_WAITING, MOST_OF_RECIPIENT = 10_000, 1_000
MOST_CHARACTERS, MOST_CHARACTERS_OF_RECIPIENT = 16_000_000, 1_000_000
"""Messages of a wedding that were not sent, and characters in them; those of one recipient where there are that many.
What is left out is in the inbox, or can be read as events."""

Projection = Callable[[Connection, str, Sequence[StoredEvent]], None]
"""Brings something up to date with the next events of a wedding, in the transaction in which they are routed."""


class ItemValues(NamedTuple):
    """An item for one inbox about so many `events`: `at` is the moment of the first, `event` the number of the
    newest."""

    user: str
    event: int
    type: str
    priority: int
    document: str
    record: str
    params: str
    events: int
    at: datetime
    newest_at: datetime
    earlier: tuple[int, ...] = ()
    """Events of the same type and record shortly before: their item is replaced where it is unread."""
    sequence: int = 0
    """Of a message in a thread, its number there."""


class DeliveryValues(NamedTuple):
    """A message to be sent. `earlier`: keys of messages of the same type about the same record shortly before. Where
    one of them waits, it takes the newer values and nothing is added. Where they were sent, or dropped, this one comes
    MERGED_WITHIN later, unless it is an emergency: the last values reach everybody."""

    message: NewMessage
    earlier: tuple[str, ...] = ()
    counted: bool = False
    """Whether it is only counted in a message that is held for the same type and person, where there is one."""


class RoutedPage(NamedTuple):
    """The result of routing the events of a wedding behind `after` up to `until`."""

    wedding: str
    version: int
    """The version of the rights by which it was decided; by another one nothing is stored."""
    after: int
    until: int
    at: datetime
    """When it was decided."""
    events: Sequence[StoredEvent] = ()
    items: Sequence[ItemValues] = ()
    deliveries: Sequence[DeliveryValues] = ()
    redacted: Sequence[tuple[str, str]] = ()
    """Documents and records of which no text may be left."""


class StoredPage(NamedTuple):
    """A page that was stored, with its items."""

    wedding: str
    until: int
    items: Sequence[tuple[str, StoredItem]]
    """Each with its user."""
    read: Sequence[str] = ()
    """Users who have fewer unread items, because something was taken back."""
    overflow: int = 0
    """Messages that were left out: too many of their recipients wait, see MOST_WAITING."""


class UnroutedWedding(NamedTuple):
    """A wedding with events behind its cursor."""

    wedding: str
    after: int
    head: int


class EventSpan(NamedTuple):
    """The events of a wedding from the number `first` to `last`."""

    wedding: str
    first: int
    last: int


class RoutedCursor(NamedTuple):
    """The number up to which the events of a wedding were routed, and whether it has webhooks in use."""

    wedding: str
    seq: int
    webhooks: bool


_UNROUTED = """
WITH RECURSIVE named (wedding, place) AS (
    SELECT (SELECT MIN(wedding) FROM events WHERE wedding > :after), 1
    UNION ALL
    SELECT (SELECT MIN(events.wedding) FROM events WHERE events.wedding > named.wedding), place + 1
    FROM named WHERE named.wedding IS NOT NULL AND place < :page
)
SELECT wedding,
    COALESCE((SELECT seq FROM routed WHERE routed.wedding = named.wedding), 0) AS seq,
    (SELECT MAX(seq) FROM events WHERE events.wedding = named.wedding) AS head
FROM named WHERE wedding IS NOT NULL ORDER BY wedding
"""
# One seek in the index of `events` for each wedding; grouping would read the index of all events.


def _load(messages: Select[Any]) -> Select[Any]:
    """The number of messages, as far as it is counted, and of their characters: read in an index."""
    some = messages.limit(bindparam("number", type_=Integer)).subquery()
    return select(func.count(), func.coalesce(func.sum(some.c.characters), 0))


# Statements of every page are made once: to make them takes longer than to run them.
_CURSOR = select(routed.c.seq).where(routed.c.wedding == bindparam("wedding"))
_VERSION = select(rights.c.version).where(rights.c.wedding == bindparam("of")).scalar_subquery()
_MOVE = (
    update(routed)
    .where(routed.c.wedding == bindparam("of"), routed.c.seq == bindparam("after"))
    .values(seq=bindparam("until"))
)
_MOVE_BY_RIGHTS = _MOVE.where(func.coalesce(_VERSION, 0) == bindparam("version"))
_HAS_WEBHOOKS = exists().where(webhooks.c.wedding == routed.c.wedding, webhooks.c.disabled_at.is_(None))
_PASS_OVER = (
    update(routed)
    .where(routed.c.wedding == bindparam("of"), routed.c.seq >= bindparam("before"), routed.c.seq < bindparam("until"))
    .where(~_HAS_WEBHOOKS)
    .values(seq=bindparam("until"))
)
_CURSORS = select(routed.c.wedding, routed.c.seq, _HAS_WEBHOOKS).where(
    routed.c.wedding.in_(bindparam("weddings", expanding=True))
)
_UNSENT_OF = select(outbox.c.characters).where(outbox.c.wedding == bindparam("of"), outbox.c.state.in_(UNSENT))
_WAITING = _load(_UNSENT_OF)
_WAITING_OF_RECIPIENT = _load(_UNSENT_OF.where(outbox.c.user == bindparam("recipient")))
_ADDED = insert(inbox).returning(inbox.c.id, sort_by_parameter_order=True)


def unrouted(connection: Connection, after: str, page: int) -> tuple[list[UnroutedWedding], str | None]:
    """Of the next `page` weddings behind a name those with events to route, and the last name; None: there are no
    more."""
    found = [UnroutedWedding(*row) for row in connection.execute(text(_UNROUTED), {"after": after, "page": page})]
    behind = [each for each in found if each.after < each.head]
    return behind, found[-1].wedding if len(found) == page else None


def cursor(connection: Connection, wedding: str) -> int:
    """The number up to which the events of a wedding were routed."""
    return int(connection.scalar(_CURSOR, {"wedding": wedding}) or 0)


def pass_over(connection: Connection, spans: Iterable[EventSpan]) -> list[RoutedCursor]:
    """Move the cursors of weddings over events that nobody is informed of, where those before them were routed and no
    webhook is in use. Returns the cursors as they are then."""
    ordered = sorted(spans)  # in one order: no two routers wait for each other
    begun = [{"wedding": each.wedding, "seq": 0} for each in ordered if each.first == 1]
    if begun:
        connection.execute(_begin(connection), begun)
    moved = [{"of": each.wedding, "before": each.first - 1, "until": each.last} for each in ordered]
    connection.execute(_PASS_OVER, moved)
    found = connection.execute(_CURSORS, {"weddings": [each.wedding for each in ordered]})
    return [RoutedCursor(*row) for row in found]


def commit(
    connection: Connection, pages: Iterable[RoutedPage], projections: Sequence[Projection] = ()
) -> list[StoredPage]:
    """Store pages of several weddings. Those of which the cursor or the version of the rights is another one by now are
    left out: they are to be decided about again."""
    stored = []
    for page in sorted(pages, key=lambda page: page.wedding):  # in one order: no two routers wait for each other
        if _advance(connection, page):
            for projection in projections:
                projection(connection, page.wedding, page.events)
            read: list[str] = []
            for document, record in page.redacted:
                read += inbox_rows.take_back(connection, page.wedding, document, record, page.at)
            redact(connection, page.wedding, set(page.redacted), page.at)
            page = _without_read(connection, page)
            items = _put_items(connection, page)
            overflow = _put_deliveries(connection, page)
            stored.append(StoredPage(page.wedding, page.until, items, read, overflow))
    return stored


def _advance(connection: Connection, page: RoutedPage) -> bool:
    """Move the cursor, and hold its row until the end of the transaction."""
    if not page.after:
        connection.execute(_begin(connection), {"wedding": page.wedding, "seq": 0})
    values: dict[str, object] = {"of": page.wedding, "after": page.after, "until": page.until}
    if page.items or page.deliveries:  # else nobody's rights matter
        # In a statement of its own: on PostgreSQL the next one sees what was committed while this one waited.
        inbox_rows.hold_cursor(connection, page.wedding)
        return connection.execute(_MOVE_BY_RIGHTS, values | {"version": page.version}).rowcount == 1
    return connection.execute(_MOVE, values).rowcount == 1


def _begin(connection: Connection) -> Insert:
    """Adds the cursor of a wedding, where there is none."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(routed).on_conflict_do_nothing(index_elements=["wedding"])
    return sqlite.insert(routed).on_conflict_do_nothing(index_elements=["wedding"])


def _without_read(connection: Connection, page: RoutedPage) -> RoutedPage:
    """The page without what people have read since it was decided about: somebody who is in a thread reads a message as
    soon as it is there."""
    threads = {item.document.removeprefix(THREAD) for item in page.items if item.sequence}
    if not threads:
        return page
    query = select(read_pointers.c.user, read_pointers.c.thread, read_pointers.c.sequence)
    query = query.where(read_pointers.c.wedding == page.wedding, read_pointers.c.thread.in_(threads))
    pointers = {(user, THREAD + thread): sequence for user, thread, sequence in connection.execute(query)}
    read = {
        (item.user, item.event)
        for item in page.items
        if item.sequence and item.sequence <= pointers.get((item.user, item.document), 0)
    }
    items = [item for item in page.items if (item.user, item.event) not in read]
    deliveries = [each for each in page.deliveries if (each.message.user, each.message.event) not in read]
    return page._replace(items=items, deliveries=deliveries)


def _put_items(connection: Connection, page: RoutedPage) -> list[tuple[str, StoredItem]]:
    if not page.items:
        return []
    rows, replaced = [], []
    there = _unread(connection, page)
    for item in page.items:
        count, at = item.events, item.at
        for event in item.earlier:
            old = there.pop((item.user, event, item.type), None)
            if old is not None and item.newest_at - old.at <= MERGED_WITHIN:
                count, at = count + old.events, min(at, old.at)
                replaced.append(old.id)
        values = {name: getattr(item, name) for name in ("user", "event", "type", "priority", "document", "record")}
        rows.append({"wedding": page.wedding, **values, "params": item.params, "count": count, "at": at})
    ids = _add_items(connection, rows)
    if replaced:  # not before: SQLite would give the id of the newest item once more, and `after` would miss it
        connection.execute(delete(inbox).where(inbox.c.id.in_(replaced)))
    return [(row["user"], _stored(id_, row)) for id_, row in zip(ids, rows, strict=True)]


def _add_items(connection: Connection, rows: Sequence[dict[str, Any]]) -> Sequence[int]:
    """Store items; returns their ids, which rise."""
    if connection.dialect.name == "postgresql":
        return connection.scalars(_ADDED, rows).all()
    added = add_rows(connection, inbox, rows)
    return range(added.last_id - added.rows + 1, added.last_id + 1)


def _stored(id_: int, row: Mapping[str, Any]) -> StoredItem:
    values = {name: row[name] for name in StoredItem._fields if name in row}
    return StoredItem(id_, **values, events=row["count"])


class _Unread(NamedTuple):
    id: int
    events: int
    at: datetime


def _unread(connection: Connection, page: RoutedPage) -> dict[tuple[str, int, str], _Unread]:
    """The items that those of a page may replace, by user, event and type."""
    repeated = [item for item in page.items if item.earlier]
    if not repeated:
        return {}
    users = {item.user for item in repeated}
    events = {event for item in repeated for event in item.earlier}
    columns = (inbox.c.user, inbox.c.event, inbox.c.type, inbox.c.id, inbox.c.count, inbox.c.at)
    query = select(*columns).where(inbox.c.wedding == page.wedding, inbox.c.user.in_(users))
    found = connection.execute(query.where(inbox.c.event.in_(events), inbox.c.read_at.is_(None)))
    return {(user, event, type_): _Unread(*rest) for user, event, type_, *rest in found}


def _put_deliveries(connection: Connection, page: RoutedPage) -> int:
    """Add messages; returns how many were left out."""
    held = [message for message, _, _ in page.deliveries if message.held]
    if held:  # before anything else, since it locks: no digest is made of what is changed below
        digests = {message.user: message.next_at or page.at for message in held}
        preferences.hold(connection, page.wedding, digests, page.at)
    new = []
    there = _untouched(connection, [key for each in page.deliveries for key in each.earlier])
    for message, earlier, counted in page.deliveries:
        known = [key for key in earlier if key in there]
        waiting = [key for key in known if there[key]]
        if waiting:
            values = {"params": message.params, "count": outbox.c.count + message.count}
            connection.execute(update(outbox).where(outbox.c.key.in_(waiting)).values(values))
        elif not counted or not _count(connection, message):
            new.append(_behind(message, page.at) if known and message.priority else message)
    fitting = _fitting(connection, page.wedding, new)
    enqueue(connection, fitting)
    return len(new) - len(fitting)


def _fitting(connection: Connection, wedding: str, new: Sequence[NewMessage]) -> list[NewMessage]:
    """The messages but those to recipients of whom too many wait in a wedding in which many do, the newest of them
    first. Emergencies always fit."""
    if not any(message.priority for message in new):
        return list(new)
    waiting, characters = _measured(connection, _WAITING, {"of": wedding, "number": MOST_WAITING + 1})
    if waiting <= MOST_WAITING and characters <= MOST_CHARACTERS:
        return list(new)
    load: dict[str, tuple[int, int]] = {}
    fitting = []
    for message in new:
        if message.priority:
            user = message.user
            if user not in load:
                values = {"of": wedding, "recipient": user, "number": MOST_OF_RECIPIENT}
                load[user] = _measured(connection, _WAITING_OF_RECIPIENT, values)
            waiting, characters = load[user]
            if waiting >= MOST_OF_RECIPIENT or characters >= MOST_CHARACTERS_OF_RECIPIENT:
                continue
            load[user] = waiting + 1, characters + len(message.params)
        fitting.append(message)
    return fitting


def _measured(connection: Connection, load: Select[Any], values: dict[str, object]) -> tuple[int, int]:
    waiting, characters = connection.execute(load, values).one()
    return int(waiting), int(characters)


def _behind(message: NewMessage, now: datetime) -> NewMessage:
    """A message behind one with older values that was sent: later, so that it takes those that come in between."""
    later = now + MERGED_WITHIN
    return message._replace(next_at=max(message.next_at or later, later))


def _untouched(connection: Connection, keys: Collection[str]) -> Mapping[str, bool]:
    """The messages of these keys that are there, and whether nobody has begun to send them."""
    if not keys:
        return {}
    query = select(outbox.c.key, outbox.c.state, outbox.c.attempts).where(outbox.c.key.in_(set(keys)))
    return {row.key: row.state in (WAITING, LATER, HELD) and not row.attempts for row in connection.execute(query)}


def _count(connection: Connection, message: NewMessage) -> bool:
    """Count a message in the one that is held for the same type and person; whether there is one."""
    same = and_(outbox.c.wedding == message.wedding, outbox.c.user == message.user, outbox.c.state == HELD)
    same = and_(same, outbox.c.channel == message.channel, outbox.c.type == message.type, outbox.c.record == "")
    held = connection.scalar(select(outbox.c.id).where(same).limit(1))
    if held is None:
        return False
    more = update(outbox).where(outbox.c.id == held).values(count=outbox.c.count + message.count)
    connection.execute(more)
    return True
