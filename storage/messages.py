"""The messages of threads: a mirror in the order of their arrival, which the router keeps in step, what each person has
read, and what of their text is in the store.

The content of a message is in `rows`, as of every record; the mirror has its number, its author and its text. With
`message.redacted` the text goes from the mirror and from the events about the message, in the transaction in which the
redaction is routed, and the document is noted in `purges`: its updates hold the text until they are written anew.
Plain functions over a `Connection`, as in `updates`.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

from sqlalchemy import Connection, and_, delete, func, insert, select, tuple_, update

from storage import inbox as inbox_rows
from storage.derived import StoredEvent
from storage.inbox import mark_thread_read
from storage.messaging_tables import inbox, messages, purges, read_pointers, threads
from storage.tables import OF_THREADS, THREAD, events, rows

UNREAD_COUNTED = 1_000
"""Unread messages of a thread are counted up to this."""

PAGE_CHARACTERS = 256 * 1024
"""Characters of a page of messages, behind the first."""

MOST_REACTIONS = 10_000
"""Reactions to the messages of a page, in all; those to the last messages are left out behind that."""

_EMPTIED = ("body", "attachments", "context")
"""Members of a message that go with its redaction."""


_Message: TypeAlias = tuple[str, str]
"""The document of a message, and its record."""


class ThreadMessage(NamedTuple):
    """A message as it is in its document. `fields` is JSON."""

    id: str
    sequence: int
    fields: str
    redacted: bool


class ThreadReading(NamedTuple):
    """How far a person has read a thread, and how many messages of others came since."""

    thread: str
    sequence: int
    unread: int


# -- the mirror


def mirror(connection: Connection, wedding: str, page: Sequence[StoredEvent]) -> None:
    """Bring the messages up to date with the next events of a wedding: a `Projection` of the router."""
    emptied: set[_Message] = set()
    for event in page:
        apply = _MIRRORED.get(event.type)
        if apply is not None and event.document.startswith(THREAD):
            body = json.loads(event.body)
            apply(connection, wedding, event, body)
            if _is_emptied(event, body):
                emptied.add((event.document, event.record))
    _empty_events(connection, wedding, emptied)


def _sent(connection: Connection, wedding: str, event: StoredEvent, body: Mapping[str, Any]) -> None:
    message = body.get("after")
    if not isinstance(message, dict):
        return
    values = {"author": str(message.get("from", "")), "at": str(message.get("at", ""))}
    text = str(message.get("body", ""))
    key = _of_message(wedding, event)
    # A redaction may have come first.
    if not connection.execute(update(messages).where(key, messages.c.redacted.is_(False)).values(body=text)).rowcount:
        known = connection.execute(update(messages).where(key).values(values)).rowcount
        if not known:
            names = {"wedding": wedding, "thread": event.document.removeprefix(THREAD), "message": event.record}
            connection.execute(insert(messages), {**names, **values, "sequence": 0, "body": text, "redacted": False})


def _changed(connection: Connection, wedding: str, event: StoredEvent, body: Mapping[str, Any]) -> None:
    """Messages stay as they are, unless they are emptied: by their redaction, which may be an old one."""
    if _is_emptied(event, body):
        _redacted(connection, wedding, event, body)
    else:
        _sent(connection, wedding, event, body)


def _is_emptied(event: StoredEvent, body: Mapping[str, Any]) -> bool:
    """Whether an event leaves nothing of the text of a message."""
    if event.type == "message.changed":
        message = body.get("after")
        return isinstance(message, dict) and message.get("body") == ""
    return event.type == "message.redacted"


def _stamped(connection: Connection, wedding: str, event: StoredEvent, body: Mapping[str, Any]) -> None:
    stamp = body.get("after")
    if not isinstance(stamp, dict):
        return
    connection.execute(update(messages).where(_of_message(wedding, event)).values(sequence=stamp["sequence"]))
    at = datetime.fromisoformat(stamp["at"])
    thread = and_(threads.c.wedding == wedding, threads.c.id == event.document.removeprefix(THREAD))
    connection.execute(update(threads).where(thread, threads.c.active_at < at).values(active_at=at))


def _redacted(connection: Connection, wedding: str, event: StoredEvent, body: Mapping[str, Any]) -> None:
    connection.execute(update(messages).where(_of_message(wedding, event)).values(body="", redacted=True))
    pending = and_(purges.c.wedding == wedding, purges.c.document == event.document)
    if not connection.execute(update(purges).where(pending).values(event=event.seq)).rowcount:
        connection.execute(insert(purges), {"wedding": wedding, "document": event.document, "event": event.seq})


def _removed(connection: Connection, wedding: str, event: StoredEvent, body: Mapping[str, Any]) -> None:
    connection.execute(delete(messages).where(_of_message(wedding, event)))


_Apply = Callable[[Connection, str, StoredEvent, Mapping[str, Any]], None]
_MIRRORED: Mapping[str, _Apply] = {
    "message.sent": _sent,
    "message.changed": _changed,
    "message.stamped": _stamped,
    "message.redacted": _redacted,
    "message.removed": _removed,
}


def _of_message(wedding: str, event: StoredEvent) -> Any:
    thread = event.document.removeprefix(THREAD)
    return and_(messages.c.wedding == wedding, messages.c.thread == thread, messages.c.message == event.record)


def _empty_events(connection: Connection, wedding: str, emptied: Collection[_Message]) -> None:
    """Take the text of messages out of the events about them: with one query for a page, by the index of the events of
    threads."""
    if not emptied:
        return
    documents, records = ({each[part] for each in emptied} for part in (0, 1))
    about = and_(events.c.wedding == wedding, events.c.document.in_(documents), events.c.record.in_(records))
    query = select(events.c.seq, events.c.document, events.c.record, events.c.body).where(about, OF_THREADS)
    for seq, document, record, body in connection.execute(query).all():
        if (document, record) not in emptied:
            continue
        found = json.loads(body)
        without = {name: _without_text(found[name]) if name in ("before", "after") else found[name] for name in found}
        if without != found:
            one = and_(events.c.wedding == wedding, events.c.seq == seq)
            connection.execute(update(events).where(one).values(body=json.dumps(without, ensure_ascii=False)))


def _without_text(value: Any) -> Any:
    if not isinstance(value, dict) or "body" not in value:
        return value
    return {name: each for name, each in value.items() if name not in _EMPTIED} | {"body": ""}


# -- reading


def page(
    connection: Connection, wedding: str, thread: str, after: int | None, before: int | None, limit: int
) -> list[ThreadMessage]:
    """Messages behind a number, the oldest first; or without one, those before a number, the newest first. Ends with
    the one that exceeds PAGE_CHARACTERS."""
    of_thread = and_(messages.c.wedding == wedding, messages.c.thread == thread, messages.c.sequence > (after or 0))
    if before is not None:
        of_thread = and_(of_thread, messages.c.sequence < before)
    order = messages.c.sequence.desc() if after is None else messages.c.sequence
    content = and_(
        rows.c.wedding == wedding,
        rows.c.document == THREAD + thread,
        rows.c.root == "messages",
        rows.c.record == messages.c.message,
        rows.c.fields.is_not(None),
    )
    query = select(messages.c.message, messages.c.sequence, rows.c.fields, messages.c.redacted)
    query = query.join(rows, content).where(of_thread).order_by(order).limit(limit)
    found, characters = [], 0
    for row in connection.execute(query):
        found.append(ThreadMessage(*row))
        characters += len(row.fields)
        if characters > PAGE_CHARACTERS:
            break
    return found


def find(connection: Connection, wedding: str, thread: str, message: str) -> ThreadMessage | None:
    """A message as it is in its document, also where it was not mirrored yet."""
    query = select(rows.c.root, rows.c.fields).where(
        rows.c.wedding == wedding,
        rows.c.document == THREAD + thread,
        rows.c.record == message,
        rows.c.root.in_(("messages", "stamps", "redactions")),
        rows.c.fields.is_not(None),
    )
    found: dict[str, str] = {row.root: row.fields for row in connection.execute(query)}
    if "messages" not in found or "stamps" not in found:
        return None
    sequence = int(json.loads(found["stamps"])["sequence"])
    return ThreadMessage(message, sequence, found["messages"], "redactions" in found)


def reactions(connection: Connection, wedding: str, thread: str, among: Collection[str]) -> dict[str, list[str]]:
    """The reactions to these messages, MOST_REACTIONS in all: of each the emoji and the user, as `emoji|user`."""
    found: dict[str, list[str]] = {}
    query = select(rows.c.record).where(
        rows.c.wedding == wedding,
        rows.c.document == THREAD + thread,
        rows.c.root == "reactions",
        rows.c.fields.is_not(None),
    )
    if among:
        query = query.where(rows.c.record >= min(among), rows.c.record < max(among) + "}")  # behind "|"
        for record in connection.scalars(query.order_by(rows.c.record).limit(MOST_REACTIONS)):
            message, _, reaction = record.partition("|")
            if message in among:
                found.setdefault(message, []).append(reaction)
    return found


# -- what was read


def mark_read(
    connection: Connection, wedding: str, thread: str, user: str, sequence: int, at: datetime
) -> tuple[int, bool]:
    """A person has read a thread up to a number; returns the highest of all devices, which never goes back, and whether
    `inbox.mark_thread_read` has to be called again."""
    key = and_(read_pointers.c.wedding == wedding, read_pointers.c.thread == thread, read_pointers.c.user == user)
    more = mark_thread_read(connection, wedding, user, thread, sequence, at)
    moved = update(read_pointers).where(key, read_pointers.c.sequence < sequence).values(sequence=sequence, at=at)
    if not connection.execute(moved).rowcount:
        known = connection.scalar(select(read_pointers.c.sequence).where(key))
        if known is not None:
            return int(known), more
        names = {"wedding": wedding, "thread": thread, "user": user}
        connection.execute(insert(read_pointers), {**names, "sequence": sequence, "at": at})
    return sequence, more


def mark_items_read(
    connection: Connection, wedding: str, user: str, which: Collection[int] | int, at: datetime
) -> list[int]:
    """Mark items of an inbox as read, as `inbox.mark_read` does: whoever has read of a message there has read
    its thread up to it."""
    inbox_rows.hold_cursor(connection, wedding)  # before any item, as the router does
    marked = inbox_rows.mark_read(connection, wedding, user, which, at)
    about = and_(
        messages.c.wedding == inbox.c.wedding,
        messages.c.thread == func.substr(inbox.c.document, len(THREAD) + 1),
        messages.c.message == inbox.c.record,
        messages.c.sequence > 0,
    )
    query = select(messages.c.thread, func.max(messages.c.sequence)).join(inbox, about)
    query = query.where(inbox.c.id.in_(marked), inbox.c.document.startswith(THREAD))
    for thread, sequence in connection.execute(query.group_by(messages.c.thread)).all():
        mark_read(connection, wedding, thread, user, sequence, at)
    return marked


def readings(connection: Connection, wedding: str, user: str, ids: Sequence[str], author: str) -> list[ThreadReading]:
    """How far a person has read each of these threads, and how many messages of others came since. ``author``: the
    person as messages name their authors."""
    query = select(read_pointers.c.thread, read_pointers.c.sequence)
    query = query.where(read_pointers.c.wedding == wedding, read_pointers.c.user == user)
    pointers = {row.thread: row.sequence for row in connection.execute(query.where(read_pointers.c.thread.in_(ids)))}
    found = []
    for thread in ids:
        sequence = pointers.get(thread, 0)
        unread = select(messages.c.sequence).where(
            messages.c.wedding == wedding,
            messages.c.thread == thread,
            messages.c.sequence > sequence,
            messages.c.author != author,
            messages.c.redacted.is_(False),
        )
        count = select(func.count()).select_from(unread.limit(UNREAD_COUNTED).subquery())
        found.append(ThreadReading(thread, sequence, int(connection.scalars(count).one())))
    return found


# -- what is to be written anew


def pending_purges(
    connection: Connection, limit: int, after: tuple[str, str] = ("", ""), wedding: str | None = None
) -> list[tuple[str, str, int]]:
    """The next weddings and documents, in order, that hold text of redacted messages, and the event of the last
    redaction of each; of one wedding, or of all."""
    key = (purges.c.wedding, purges.c.document)
    query = select(*key, purges.c.event).where(tuple_(*key) > tuple_(*after)).order_by(*key)
    if wedding is not None:
        query = query.where(purges.c.wedding == wedding)
    return [(row.wedding, row.document, row.event) for row in connection.execute(query.limit(limit))]


def purged(connection: Connection, wedding: str, document: str, event: int) -> None:
    """A document was written anew behind this event; a later redaction stays to be done."""
    key = and_(purges.c.wedding == wedding, purges.c.document == document, purges.c.event <= event)
    connection.execute(delete(purges).where(key))
