"""Preferences about messages, and the digests of those held back.

The row of a person's preferences is locked by whoever holds a message back, changes the preferences or makes a digest:
so each message that is held is in exactly one digest, whichever nodes do this at a time. Somebody may have many
thousands: those that a digest only counts are counted before it is made, slice by slice, in a message that is held with
them; and what follows from a change is written in slices behind it. Plain functions over a `Connection`, as in
`updates`.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    bindparam,
    case,
    delete,
    func,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from storage.messaging_tables import outbox, preferences
from storage.outbox import DIGEST, DROPPED, HELD, LEAST_URGENT, NO_PARAMS, SLICE, NewMessage, enqueue
from storage.tables import members

IN_DIGEST, NOT_WANTED = "in a digest", "no digest is wanted"
"""Why a message that was held is sent no more by itself."""

OTHERS = "others"
"""Names, in its key, the message that counts those of which a digest has no more than the number."""

READ_AT_ONCE = 200
"""Messages that one digest has at most; those beyond are counted."""


class StoredPreferences(NamedTuple):
    """`body` is JSON, "" where the person has set nothing. `digest_at`: None where nothing is held back."""

    body: str
    at: datetime
    digest_at: datetime | None


class PreferenceChange(NamedTuple):
    """Preferences as they are to be."""

    body: str
    digest_at: datetime | None


Decide = Callable[[str, datetime | None], PreferenceChange]
"""Decides about a change, given the body and the moment of the next digest. May raise."""


class DueDigest(NamedTuple):
    """A person whose digest is due."""

    at: datetime
    wedding: str
    user: str


class HeldMessage(NamedTuple):
    """A message that is held back."""

    key: str
    event: int
    type: str
    priority: int
    document: str
    record: str
    params: str
    count: int  # type: ignore[assignment]  # hides a method of tuples
    at: datetime


class HeldMessages(NamedTuple):
    """The messages held back for one person on one channel: the most urgent, and the number of the others."""

    channel: str
    messages: tuple[HeldMessage, ...]
    others: int


class NewDigest(NamedTuple):
    """A digest to be sent from a moment on. `params` is JSON."""

    params: str
    priority: int
    event: int
    next_at: datetime


MakeDigest = Callable[[str, HeldMessages], NewDigest | None]
"""Makes a digest, given the body of the preferences; None: nothing is sent, and what was held is dropped."""


def find(connection: Connection, wedding: str, user: str) -> StoredPreferences | None:
    """The preferences of a person."""
    row = connection.execute(_select().where(_of_person(wedding, user))).one_or_none()
    return None if row is None else StoredPreferences(*row)


# Made once: the router reads it for each page.
_BODIES: Final = select(preferences.c.user, preferences.c.body).where(
    preferences.c.wedding == bindparam("wedding"),
    preferences.c.user.in_(bindparam("users", expanding=True)),
    preferences.c.body != "",
)


def of_users(connection: Connection, wedding: str, users: Sequence[str]) -> dict[str, str]:
    """User -> body, of those who have set anything."""
    return dict(connection.execute(_BODIES, {"wedding": wedding, "users": users}).all())


def change(connection: Connection, wedding: str, user: str, decide: Decide, at: datetime) -> StoredPreferences:
    """Change the preferences of a person, and when the next digest comes. Raises what `decide` raises, and nothing is
    changed then. What is held is due with the digest: see `put_off`."""
    before = lock(connection, wedding, user, at)
    body, digest_at = decide(before.body, before.digest_at)
    changed = StoredPreferences(body, at, digest_at)
    connection.execute(update(preferences).where(_of_person(wedding, user)).values(changed._asdict()))
    return changed


def put_off(connection: Connection, wedding: str, user: str, after: int) -> int:
    """Have a slice of the messages that are held behind a number be due with the digest of the person. Returns the
    number of the last one; 0: there are no more."""
    at = connection.scalar(select(preferences.c.digest_at).where(_of_person(wedding, user)))
    if at is None:
        return 0
    some = select(outbox.c.id).where(_held_of(wedding, user), outbox.c.id > after).order_by(outbox.c.id).limit(SLICE)
    ids = connection.scalars(some).all()
    still = and_(outbox.c.id.in_(ids), outbox.c.state == HELD)
    connection.execute(update(outbox).where(still).values(next_at=at))
    return ids[-1] if len(ids) == SLICE else 0


def hold(connection: Connection, wedding: str, digests: Mapping[str, datetime], at: datetime) -> None:
    """Have digests made: user -> moment, unless one is due already. To be called in the transaction that stores the
    messages in the state `held`."""
    if not digests:
        return
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(preferences)
    # PostgreSQL locks the row also where it changes nothing: no digest is made before the messages are there.
    statement = statement.on_conflict_do_update(
        index_elements=("wedding", "user"),
        set_={"digest_at": statement.excluded.digest_at},
        where=preferences.c.digest_at.is_(None),
    )
    row = {"wedding": wedding, "body": "", "at": at}
    connection.execute(statement, [row | {"user": user, "digest_at": digests[user]} for user in sorted(digests)])


# -- digests


def due(connection: Connection, now: datetime, after: DueDigest | None, limit: int) -> list[DueDigest]:
    """The next digests that are due, behind one; the oldest first."""
    columns = preferences.c.digest_at, preferences.c.wedding, preferences.c.user
    query = select(*columns).where(preferences.c.digest_at <= now).order_by(*columns).limit(limit)
    if after is not None:
        later = and_(preferences.c.digest_at == after.at, tuple_(*columns[1:]) > tuple_(after.wedding, after.user))
        query = query.where((preferences.c.digest_at > after.at) | later)
    return [DueDigest(*row) for row in connection.execute(query)]


def held_events(connection: Connection, wedding: str, user: str) -> set[int]:
    """The events of what may be in the next digests of a person: of at most 200 messages on each channel."""
    found: set[int] = set()
    for channel in _channels_held(connection, wedding, user):
        query = select(outbox.c.event).where(_held_on(wedding, user, channel), outbox.c.type != DIGEST)
        found.update(connection.scalars(query.order_by(outbox.c.priority, outbox.c.id).limit(READ_AT_ONCE)))
    return found


def surplus(connection: Connection, wedding: str, user: str) -> dict[str, list[int]]:
    """By channel, the messages held back of a person that a digest only counts."""
    found: dict[str, list[int]] = {}
    for channel in _channels_held(connection, wedding, user):
        query = select(outbox.c.id).where(_held_on(wedding, user, channel), outbox.c.type != DIGEST)
        query = query.order_by(outbox.c.priority, outbox.c.id).offset(READ_AT_ONCE)
        found[channel] = list(connection.scalars(query))
    return found


def count_surplus(
    connection: Connection, wedding: str, user: str, channel: str, ids: Sequence[int], now: datetime
) -> bool:
    """Count some messages for the digest that is due of a person, and hold them no more. Whether it is due: another
    node may have made it, or be making it."""
    if not _lock_due(connection, wedding, user, now):
        return False
    held = and_(outbox.c.id.in_(ids), outbox.c.state == HELD)
    dropped = {"state": DROPPED, "params": NO_PARAMS, "error": IN_DIGEST, "done_at": now}
    if number := connection.execute(update(outbox).where(held).values(dropped)).rowcount:
        key = sha256(json.dumps([OTHERS, wedding, user, channel]).encode()).hexdigest()
        counted = and_(outbox.c.key == key, outbox.c.state == HELD)
        if not connection.execute(update(outbox).where(counted).values(count=outbox.c.count + number)).rowcount:
            connection.execute(delete(outbox).where(outbox.c.key == key))  # dropped when the person had left
            first = NewMessage(key, wedding, user, channel, 0, DIGEST, LEAST_URGENT, "", "", NO_PARAMS, now, number)
            enqueue(connection, [first._replace(held=True)])
    return True


def bundle(connection: Connection, wedding: str, user: str, now: datetime, make: MakeDigest) -> int:
    """Put what is held back of a person into one digest for each channel, if that is due. Returns how many there are; 0
    also where another node is doing it."""
    found = _lock_due(connection, wedding, user, now)
    if found is None:
        return 0
    made = 0
    gone = _is_removed(connection, wedding, user)
    for channel in _channels_held(connection, wedding, user):
        held = _held_on(wedding, user, channel)
        messages = _read_held(connection, held, channel)
        digest = None if gone or not messages.messages else make(found.body, messages)
        if digest is not None:
            # Each message is in one digest: the key of the first one makes that of the digest.
            key = sha256(f"{DIGEST} {messages.messages[0].key}".encode()).hexdigest()
            params, priority, event, next_at = digest
            new = NewMessage(key, wedding, user, channel, event, DIGEST, priority, "", "", params, now, next_at=next_at)
            enqueue(connection, [new])
            made += 1
        reason = NOT_WANTED if digest is None else IN_DIGEST
        done = {"state": DROPPED, "params": NO_PARAMS, "error": reason, "done_at": now}
        connection.execute(delete(outbox).where(held, outbox.c.type == DIGEST))  # what was counted there is in it
        connection.execute(update(outbox).where(held).values(done))
    connection.execute(update(preferences).where(_of_person(wedding, user)).values(digest_at=None))
    return made


def _lock_due(connection: Connection, wedding: str, user: str, now: datetime) -> StoredPreferences | None:
    """The preferences of a person whose digest is due, locked; None also where another node has them."""
    query = _select().where(_of_person(wedding, user), preferences.c.digest_at <= now)
    row = connection.execute(query.with_for_update(skip_locked=True)).one_or_none()
    return None if row is None else StoredPreferences(*row)


def _is_removed(connection: Connection, wedding: str, user: str) -> bool:
    removed = select(members.c.removed_at).where(members.c.wedding == wedding, members.c.user == user)
    return connection.scalar(removed) is not None


def _channels_held(connection: Connection, wedding: str, user: str) -> list[str]:
    held = and_(outbox.c.wedding == wedding, outbox.c.user == user, outbox.c.state == HELD)
    return list(connection.scalars(select(outbox.c.channel).distinct().where(held).order_by(outbox.c.channel)))


def _held_on(wedding: str, user: str, channel: str) -> ColumnElement[bool]:
    return and_(_held_of(wedding, user), outbox.c.channel == channel)


def _held_of(wedding: str, user: str) -> ColumnElement[bool]:
    return and_(outbox.c.wedding == wedding, outbox.c.user == user, outbox.c.state == HELD)


def _read_held(connection: Connection, held: ColumnElement[bool], channel: str) -> HeldMessages:
    # Locked: a message is redacted before it is read here, or in the digest afterwards.
    query = select(*(outbox.c[name] for name in HeldMessage._fields)).where(held, outbox.c.type != DIGEST)
    query = query.order_by(outbox.c.priority, outbox.c.id).limit(READ_AT_ONCE).with_for_update()
    messages = tuple(HeldMessage(*row) for row in connection.execute(query))
    weight = case((outbox.c.type == DIGEST, outbox.c.count), else_=1)
    count = int(connection.scalar(select(func.coalesce(func.sum(weight), 0)).where(held)) or 0)
    return HeldMessages(channel, messages, max(0, count - len(messages)))


def _of_person(wedding: str, user: str) -> ColumnElement[bool]:
    return and_(preferences.c.wedding == wedding, preferences.c.user == user)


def _select() -> Select[Any]:
    return select(*(preferences.c[name] for name in StoredPreferences._fields))


def lock(connection: Connection, wedding: str, user: str, at: datetime) -> Row[Any]:
    """The row of a person, which nobody else changes until the end of the transaction."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    row = {"wedding": wedding, "user": user, "body": "", "at": at}
    connection.execute(dialect.insert(preferences).on_conflict_do_nothing(), row)
    return connection.execute(_select().where(_of_person(wedding, user)).with_for_update()).one()
