"""Messages that have to leave the server, each with its state. `outbox_claims` has what delivery workers do.

A message is in one of these states:

- `waiting`: due now, in the order of (priority, id); `later`: due at `next_at`, a further attempt or the end of quiet
  hours; `sending`: a worker has it under a lease; `held`: for a digest.
- `sent`: the channel took it over; `dropped`: there is nothing to send any more; `dead`: all attempts failed, with the
  last error. An operator can have one that is dead sent once more.

What people typed is in `params`, and goes when a message was sent or dropped. Plain functions over a `Connection`, as
in `updates`: `enqueue` belongs into the transaction that knows of the message.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, Literal, NamedTuple, get_args

from sqlalchemy import ColumnElement, Connection, Select, and_, delete, func, or_, select, tuple_, update
from sqlalchemy.dialects import postgresql

from storage.errors import ValuesRefused
from storage.messaging_tables import inbox, outbox
from storage.statements import add_rows
from storage.tables import DIGEST_LENGTH, NAME_LENGTH

WAITING, LATER, SENDING, HELD = "waiting", "later", "sending", "held"
SENT, DROPPED, DEAD = "sent", "dropped", "dead"
MessageState = Literal["waiting", "later", "sending", "held", "sent", "dropped", "dead"]
STATES: tuple[str, ...] = get_args(MessageState)
UNSENT = (WAITING, LATER, SENDING, HELD)
"""Their texts may still reach somebody."""

NO_PARAMS = "{}"
DIGEST = "digest"
"""The type of a message that bundles others: its params hold `notices`, a list of objects with `event`, `type`,
`priority`, `document`, `record`, `count`, `at` (ISO 8601) and `params`."""

CONFIRMATION = "contact.confirm"
"""The type of a message with the code of an address: the only one that goes to an address which is not confirmed."""

LEAST_URGENT = 4
SLICE = 500
"""Rows of one call that deletes some, sends some once more, or finds out which are due."""

MESSAGE_CHARACTERS = 512
"""Counted for one message besides its params."""

PAGE_CHARACTERS = 1_000_000
_ADDED = postgresql.insert(outbox).on_conflict_do_nothing(index_elements=["key"]).returning(outbox.c.id)


class NewMessage(NamedTuple):
    """A message to be sent. `next_at`: not before then; `held`: not before a digest takes it over."""

    key: str
    """See `key_of`."""
    wedding: str
    user: str
    """The recipient; of a webhook, its id."""
    channel: str
    event: int
    type: str
    priority: int
    document: str
    record: str
    params: str
    """JSON: an object of texts; of a digest, see `DIGEST`."""
    at: datetime
    """When it happened; of a digest, when it was made."""
    count: int = 1  # type: ignore[assignment]  # hides a method of tuples
    contact: str = ""
    next_at: datetime | None = None
    held: bool = False


class StoredMessage(NamedTuple):
    """A message of the outbox. `attempts`: those that were begun. `lease_until` counts while it is `sending`."""

    id: int
    key: str
    wedding: str
    user: str
    channel: str
    contact: str
    event: int
    type: str
    priority: int
    document: str
    record: str
    params: str
    count: int  # type: ignore[assignment]  # as above
    state: str
    attempts: int
    at: datetime
    next_at: datetime
    lease: str
    lease_until: datetime | None
    error: str
    done_at: datetime | None


class ChannelDepth(NamedTuple):
    """The depth of the queue of a channel: messages, and since when the oldest one that is due has been due."""

    channel: str
    messages: int
    oldest: datetime | None


class MessageCount(NamedTuple):
    """So many messages of a wedding are in this state."""

    channel: str
    state: str
    messages: int


class InboxCount(NamedTuple):
    """The items in the inboxes of a wedding."""

    items: int
    read: int


def key_of(wedding: str, event: int, recipient: str, channel: str, *more: str) -> str:
    """The key of a message: one that is enqueued again under it is not stored again. `more` names what is sent besides
    about the same event: the contact, the moment of a digest…"""
    return sha256(json.dumps([wedding, event, recipient, channel, *more]).encode()).hexdigest()


def enqueue(connection: Connection, messages: Sequence[NewMessage]) -> int:
    """Store messages, and return how many: one whose key is stored already is left as it is. Raises ValuesRefused."""
    if not messages:
        return 0
    rows = [_row_of(each) for each in messages]
    if connection.dialect.name == "sqlite":
        return add_rows(connection, outbox, rows, keep="key").rows
    return len(connection.execute(_ADDED, rows).all())


def _row_of(message: NewMessage) -> dict[str, Any]:
    names = (message.wedding, message.user, message.channel, message.type, message.document, message.record)
    if max(map(len, names)) > NAME_LENGTH or max(len(message.key), len(message.contact)) > DIGEST_LENGTH:
        raise ValuesRefused(f"a name of a message is too long: {max(names, key=len)[:300]!r}")
    if not 0 <= message.priority <= LEAST_URGENT:
        raise ValuesRefused(f"a priority is 0 to {LEAST_URGENT}, not {message.priority}")
    values = message._asdict()
    held, due = values.pop("held"), message.next_at or message.at
    later = message.next_at is not None and message.next_at > message.at
    state = HELD if held else LATER if later else WAITING
    new = {"attempts": 0, "lease": "", "lease_until": None, "error": "", "done_at": None}
    return {**values, **new, "state": state, "next_at": due}


# -- for people


def find(connection: Connection, id_: int) -> StoredMessage | None:
    """A message by its number."""
    row = connection.execute(select_messages().where(outbox.c.id == id_)).one_or_none()
    return None if row is None else StoredMessage(*row)


def page(
    connection: Connection, wedding: str | None, state: str, channel: str | None, after: int, limit: int
) -> list[StoredMessage]:
    """The next messages in a state behind a number, of one wedding or of all, without their params."""
    query = select_messages().where(outbox.c.state == state, outbox.c.id > after)
    query = query.where(*_of(wedding, channel)).order_by(outbox.c.id).limit(limit)
    return [StoredMessage(*row)._replace(params=NO_PARAMS) for row in connection.execute(query)]


def retry_one(connection: Connection, wedding: str | None, id_: int, now: datetime) -> StoredMessage | None:
    """Have a message sent now that is dead or due later, and return it as it is then, which is soon over; None where
    there is none. In another state it stays as it is."""
    query = select_messages().where(outbox.c.id == id_, *_of(wedding, None))
    if connection.dialect.name == "postgresql":
        query = query.with_for_update()
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    found = StoredMessage(*row)
    if found.state in (DEAD, LATER):
        connection.execute(update(outbox).where(outbox.c.id == id_).values(_afresh(now)))
        found = found._replace(**_afresh(now))
    return found


def retry_dead(connection: Connection, wedding: str | None, channel: str | None, now: datetime) -> int:
    """Have up to 500 messages sent now that are dead since before; returns how many. Those that die again meanwhile are
    left: whoever sends all of them would never be done."""
    chosen = lock_some(connection, and_(outbox.c.state == DEAD, outbox.c.done_at <= now, *_of(wedding, channel)))
    connection.execute(update(outbox).where(outbox.c.id.in_(chosen)).values(_afresh(now)))
    return len(chosen)


def lock_some(connection: Connection, among: ColumnElement[bool]) -> list[int]:
    """The numbers of up to 500 messages, locked; those that others have locked are left out."""
    # In no order: by number, PostgreSQL would walk all messages where few are in the state.
    query = select(outbox.c.id).where(among).limit(SLICE)
    return list(connection.scalars(query.with_for_update(skip_locked=True)))


def _afresh(now: datetime) -> dict[str, Any]:
    return {"state": WAITING, "attempts": 0, "next_at": now, "done_at": None, "lease": "", "lease_until": None}


def counts(connection: Connection, wedding: str) -> list[MessageCount]:
    """The messages of a wedding by channel and state, as far as they are kept."""
    columns = (outbox.c.channel, outbox.c.state)
    query = select(*columns, func.count()).where(outbox.c.wedding == wedding).group_by(*columns).order_by(*columns)
    return [MessageCount(*row) for row in connection.execute(query)]


def inbox_counts(connection: Connection, wedding: str) -> InboxCount:
    """The items in the inboxes of a wedding."""
    query = select(func.count(), func.count(inbox.c.read_at)).where(inbox.c.wedding == wedding)
    return InboxCount(*connection.execute(query).one())


def depths(connection: Connection, now: datetime) -> list[ChannelDepth]:
    """The depth of the queue of each channel, of all weddings; messages that are held for a digest are left out."""
    unsent = outbox.c.state.in_((WAITING, LATER, SENDING))
    by_channel = select(outbox.c.channel, func.count()).where(unsent).group_by(outbox.c.channel)
    # By themselves: an index has the first, and those that are due are few among those that wait.
    due = select(outbox.c.channel, func.min(outbox.c.next_at)).where(unsent, outbox.c.next_at <= now)
    oldest: dict[str, datetime] = dict(connection.execute(due.group_by(outbox.c.channel)).all())
    return [ChannelDepth(channel, count, oldest.get(channel)) for channel, count in connection.execute(by_channel)]


# -- what goes


def redact(connection: Connection, wedding: str, redacted: Collection[tuple[str, str]], now: datetime) -> int:
    """Drop the messages about records, each with its document, that were not sent yet, and remove them from digests;
    returns how many rows that changed. Nothing that was typed there stays in the outbox, and no digest without anything
    in it."""
    if not redacted:
        return 0
    unsent = and_(outbox.c.wedding == wedding, outbox.c.state.in_((*UNSENT, DEAD)))
    about = and_(unsent, tuple_(outbox.c.document, outbox.c.record).in_(list(redacted)), outbox.c.type != DIGEST)
    dropped: dict[str, Any] = {"state": DROPPED, "params": NO_PARAMS, "error": "redacted", "done_at": now}
    changed = connection.execute(update(outbox).where(about).values(dropped)).rowcount
    # Once for all of them: a wedding may have many megabytes of digests that wait.
    named = {json.dumps(document, ensure_ascii=False) for document, _ in redacted}
    concerned = or_(*(outbox.c.params.contains(each, autoescape=True) for each in sorted(named)))
    digests = select(outbox.c.id, outbox.c.params).where(unsent, outbox.c.type == DIGEST, concerned)
    for id_, params in connection.execute(digests).all():
        notices = json.loads(params).get("notices", [])
        kept = [each for each in notices if (each["document"], each["record"]) not in redacted]
        if len(kept) < len(notices):
            values = {"params": json.dumps({"notices": kept}, ensure_ascii=False)} if has_content(kept) else dropped
            connection.execute(update(outbox).where(outbox.c.id == id_).values(values))
            changed += 1
    return changed


def has_content(notices: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a digest with these notices has anything in it but the number of others."""
    return any(each.get("type") != DIGEST for each in notices)


def expire(connection: Connection, sent_before: datetime, dead_before: datetime) -> int:
    """Delete up to 500 messages of each state that were sent or dropped before a moment, or died before another.
    Returns how many."""
    gone = 0
    for state, before in ((SENT, sent_before), (DROPPED, sent_before), (DEAD, dead_before)):
        old = and_(outbox.c.state == state, outbox.c.next_at < before, outbox.c.done_at < before)
        chosen = lock_some(connection, old)
        connection.execute(delete(outbox).where(outbox.c.id.in_(chosen)))
        gone += len(chosen)
    return gone


def oldest_beyond(connection: Connection, wedding: str, states: Collection[str], most: int) -> int:
    """The newest of the oldest messages in some states without which a wedding has so many characters of them; 0: it
    has no more. Reads all of them, in an index."""
    newer = func.sum(MESSAGE_CHARACTERS + outbox.c.characters).over(order_by=outbox.c.id.desc()).label("with_newer")
    among = select(outbox.c.id, newer).where(outbox.c.wedding == wedding, outbox.c.state.in_(states)).subquery()
    return int(connection.scalar(select(func.max(among.c.id)).where(among.c.with_newer > most)) or 0)


def trim(connection: Connection, wedding: str, states: Collection[str], until: int) -> int:
    """Delete up to 500 messages of a wedding in some states up to a number; returns how many."""
    chosen = lock_some(connection, and_(outbox.c.wedding == wedding, outbox.c.state.in_(states), outbox.c.id <= until))
    connection.execute(delete(outbox).where(outbox.c.id.in_(chosen)))
    return len(chosen)


def select_messages() -> Select[Any]:
    """The columns of a `StoredMessage`."""
    return select(*(outbox.c[field] for field in StoredMessage._fields))


def _of(wedding: str | None, channel: str | None) -> list[ColumnElement[bool]]:
    wanted = ((outbox.c.wedding, wedding), (outbox.c.channel, channel))
    return [column == value for column, value in wanted if value is not None]
