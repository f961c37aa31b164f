"""The input of a decision about the recipients of events, read from the store piece by piece."""

import asyncio
import json
import time
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Select, Table, bindparam, delete, func, select
from sqlalchemy.util import await_only

from storage import audit, last_seen, preferences, routing
from storage.audit import NewAuditEntry
from storage.derived import StoredEvent
from storage.derived_queries import list_events
from storage.last_seen import LastSeen
from storage.messaging_tables import (
    contacts,
    participants,
    read_pointers,
    routing_overrides,
    threads,
    webhooks,
)
from storage.tables import events, rows

EARLIER_EVENTS = 500
"""Events in which those of the same type and record shortly before are searched for."""

ROOT_CHARACTERS = 2_000_000
"""Characters of the records of one root that are read at once."""


class EarlierEvent(NamedTuple):
    """An event that was routed before, without its content."""

    seq: int
    type: str
    at: str
    document: str
    record: str


class Participant(NamedTuple):
    """Somebody who takes part in a thread."""

    user: str
    muted: bool


class Webhook(NamedTuple):
    """Where events of some types, or their beginnings, are sent; none: all of them."""

    id: str
    types: tuple[str, ...]
    by: str
    """The user who added it: it is sent what they may know."""


class RoutingOverride(NamedTuple):
    """A rule as a wedding has it. `body` is JSON."""

    rule: str
    body: str
    by: str
    at: datetime


# Statements are made once: a page of one event takes twelve, and to make each takes five times as long as to run it.


def _of_wedding(table: Table, *names: str) -> Select[Any]:
    return select(*(table.c[name] for name in names)).where(table.c.wedding == bindparam("wedding"))


def _earlier() -> Select[Any]:
    query = _of_wedding(events, *EarlierEvent._fields).where(events.c.seq <= bindparam("until"))
    query = query.where(events.c.seq > bindparam("behind"), events.c.at >= bindparam("since"))
    return query.where(events.c.record.in_(bindparam("records", expanding=True))).order_by(events.c.seq.desc())


def _records() -> Select[Any]:
    query = _of_wedding(rows, "record", "fields").where(rows.c.document == bindparam("document"))
    return query.where(rows.c.root == bindparam("root"), rows.c.record.in_(bindparam("records", expanding=True)))


def _channels() -> Select[Any]:
    query = _of_wedding(contacts, "user", "channel").distinct()
    query = query.where(contacts.c.disabled_at.is_(None), contacts.c.confirmed_at.is_not(None))
    return query.where(contacts.c.user.in_(bindparam("users", expanding=True)))


_BY_NUMBER: Final = (
    _of_wedding(events, *StoredEvent._fields)
    .where(events.c.seq.in_(bindparam("numbers", expanding=True)))
    .order_by(events.c.seq)
)
_EARLIER: Final = _earlier()
_RECORDS: Final = _records()
_CHANNELS: Final = _channels()
_PARTICIPANTS: Final = _of_wedding(participants, "user", "muted").where(
    participants.c.thread == bindparam("thread"), participants.c.removed_at.is_(None)
)
_POINTERS: Final = _of_wedding(read_pointers, "user", "sequence").where(read_pointers.c.thread == bindparam("thread"))
_TITLE: Final = _of_wedding(threads, "title").where(threads.c.id == bindparam("thread"))
_WEBHOOKS: Final = (
    _of_wedding(webhooks, "id", "types", "by").where(webhooks.c.disabled_at.is_(None)).order_by(webhooks.c.id)
)
_OVERRIDES: Final = _of_wedding(routing_overrides, *RoutingOverride._fields).order_by(routing_overrides.c.rule)


def rest(reader: "RoutingReader", seconds: float) -> None:
    """Let the process do other things for so long; the transaction stays open."""
    if reader.connection.dialect.is_async:  # on the thread of the event loop
        await_only(asyncio.sleep(seconds))
    else:
        time.sleep(seconds)


class RoutingReader:
    """The reads of one wedding in one transaction, or on PostgreSQL one after the other."""

    def __init__(self, connection: Connection, wedding: str) -> None:
        self.wedding = wedding
        self.connection = connection

    def cursor(self) -> int:
        """The number up to which the events were routed."""
        return routing.cursor(self.connection, self.wedding)

    def events(self, after: int, limit: int) -> list[StoredEvent]:
        """The next events behind a number."""
        return list_events(self.connection, self.wedding, after, limit)

    def earlier_events(self, until: int, since: str, records: Collection[str]) -> list[EarlierEvent]:
        """Events about some records, of the EARLIER_EVENTS up to a number, that happened since a moment; the newest
        first."""
        values = {"wedding": self.wedding, "until": until, "behind": until - EARLIER_EVENTS, "since": since}
        found = self.connection.execute(_EARLIER, {**values, "records": sorted(set(records))})
        return [EarlierEvent(*row) for row in found]

    def records(self, document: str, root: str, ids: Collection[str]) -> dict[str, str]:
        """The fields of these records, as JSON; of those that are there."""
        values = {"wedding": self.wedding, "document": document, "root": root, "records": sorted(set(ids))}
        return {record: fields for record, fields in self.connection.execute(_RECORDS, values) if fields is not None}

    def all_records(self, document: str, root: str) -> dict[str, str]:
        """The records of a root, in order, as `records`: those whose fields begin within ROOT_CHARACTERS."""
        query = select(rows.c.record, rows.c.fields).where(rows.c.wedding == self.wedding)
        query = query.where(rows.c.document == document, rows.c.root == root, rows.c.fields.is_not(None))
        page = query.order_by(rows.c.record).subquery()
        before = func.sum(func.length(page.c.fields)).over(order_by=page.c.record, rows=(None, -1))
        sized = select(page, func.coalesce(before, 0).label("characters_before")).subquery()
        found = select(sized.c.record, sized.c.fields).where(sized.c.characters_before < ROOT_CHARACTERS)
        return dict(self.connection.execute(found.order_by(sized.c.record)).all())

    def records_with(self, document: str, root: str, key: str) -> dict[str, str]:
        """The records of a root that have a key, as `records`; perhaps some that have it as a text."""
        query = select(rows.c.record, rows.c.fields).where(rows.c.wedding == self.wedding)
        query = query.where(rows.c.document == document, rows.c.root == root)
        named = rows.c.fields.contains(json.dumps(key, ensure_ascii=False), autoescape=True)
        return dict(self.connection.execute(query.where(named)).all())

    def participants(self, thread: str) -> list[Participant]:
        """Those who take part in a thread now."""
        found = self.connection.execute(_PARTICIPANTS, {"wedding": self.wedding, "thread": thread})
        return [Participant(*row) for row in found]

    def read_pointers(self, thread: str) -> dict[str, int]:
        """How far each person has read a thread."""
        return dict(self.connection.execute(_POINTERS, {"wedding": self.wedding, "thread": thread}).all())

    def last_seen(self) -> list[LastSeen]:
        """The people who are or were connected."""
        return last_seen.find(self.connection, self.wedding)

    def title_of(self, thread: str) -> str:
        """The title of a thread; empty where there is none."""
        return str(self.connection.scalar(_TITLE, {"wedding": self.wedding, "thread": thread}) or "")

    def webhooks(self) -> list[Webhook]:
        """The webhooks in use."""
        found = self.connection.execute(_WEBHOOKS, {"wedding": self.wedding})
        return [Webhook(id_, tuple(json.loads(types)), by) for id_, types, by in found]

    def channels(self, users: Iterable[str]) -> set[tuple[str, str]]:
        """Users with the channels in which they have an address in use."""
        values = {"wedding": self.wedding, "users": sorted(set(users))}
        return {(user, channel) for user, channel in self.connection.execute(_CHANNELS, values)}

    def preferences(self, users: Collection[str]) -> dict[str, str]:
        """User -> preferences as JSON, of those who have set any."""
        return preferences.of_users(self.connection, self.wedding, sorted(users))

    def overrides(self) -> list[RoutingOverride]:
        """The rules that the wedding has otherwise, by name."""
        return list_overrides(self.connection, self.wedding)


def events_of(reader: RoutingReader, numbers: Collection[int]) -> list[StoredEvent]:
    """The events of these numbers in a wedding, in order, as far as they are kept."""
    found = reader.connection.execute(_BY_NUMBER, {"wedding": reader.wedding, "numbers": sorted(set(numbers))})
    return [StoredEvent(*row) for row in found]


def list_overrides(connection: Connection, wedding: str) -> list[RoutingOverride]:
    """The rules that a wedding has otherwise, by name."""
    return [RoutingOverride(*row) for row in connection.execute(_OVERRIDES, {"wedding": wedding})]


def set_override(
    connection: Connection, wedding: str, override: RoutingOverride, entry: NewAuditEntry, *, keep: bool
) -> bool:
    """Put an override in the place of the one of its rule; without `keep` that one only goes. Adds the entry to the
    audit log. Where nothing changes nothing is written; returns whether it was."""
    audit.lock(connection, wedding)
    table = routing_overrides
    same = (table.c.wedding == wedding) & (table.c.rule == override.rule)
    if connection.scalar(select(table.c.body).where(same)) == (override.body if keep else None):
        return False
    connection.execute(delete(table).where(same))
    if keep:
        connection.execute(table.insert(), {"wedding": wedding, **override._asdict()})
    audit.add(connection, wedding, [entry])
    return True
