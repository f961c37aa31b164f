"""The calls of delivery workers on the outbox: claim messages that are due, renew their lease, store outcomes.

- Leases end by the clock of the database: a node whose clock is wrong takes no message away from another one. When a
  message is due is decided by the clock of the caller.
- No call waits for a message that another transaction holds: it is left to the next call.
- A claim is an attempt, so that a message which ends the process that sends it dies with its last one.
- The cost of a claim follows from what it takes and from what is under way, not from what waits. Where those in front
  all go to recipients that are busy, or to so few that places are left, the other recipients take turns, each with one
  index seek.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final, NamedTuple, TypeAlias

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    Integer,
    Interval,
    Select,
    and_,
    bindparam,
    cast,
    func,
    literal,
    or_,
    select,
    text,
    tuple_,
    update,
)

from storage.messaging_tables import WAITS, outbox
from storage.outbox import (
    DEAD,
    DROPPED,
    LATER,
    NO_PARAMS,
    SENDING,
    SENT,
    SLICE,
    WAITING,
    StoredMessage,
    select_messages,
)
from storage.tables import REASON_LENGTH, UtcDateTime

LOOKED_AT = 4
"""Messages that a claim locks for each that it may take: more of one recipient are left for later."""

WALKED = 256
"""Messages in front of a channel, those of busy recipients included, of which a claim takes some in their order."""

Recipient: TypeAlias = tuple[str, str, str]
"""Wedding, user and contact."""

FIRST: Final[Recipient] = ("", "", "")
"""In front of all recipients."""


class ClaimOf(NamedTuple):
    """Up to `limit` messages of a channel with priorities up to `priority`, of one recipient at most
    `per_recipient`, none of those in `busy`. Where recipients take turns, the one behind `after` is next."""

    channel: str
    limit: int
    priority: int
    per_recipient: int
    busy: Sequence[Recipient] = ()
    after: Recipient = FIRST


class ClaimedMessages(NamedTuple):
    """The messages that a claim took, and those that had to be given up."""

    messages: Sequence[StoredMessage]
    died: Mapping[str, int]
    """Channel -> messages that are dead because their nodes ended during the last attempt."""


class MessageOutcome(NamedTuple):
    """The outcome for a message that was claimed: its next state, and for `later` the moment where it is due again. One
    that waits again was given back without an attempt; one for later may be put off, without one as well."""

    id: int
    state: str
    error: str
    at: datetime
    next_at: datetime | None = None
    is_attempt: bool = True


def promote(connection: Connection, now: datetime, attempts: int) -> Mapping[str, int]:
    """Make messages wait that are due, or whose lease has ended; one that ended so with the last of its `attempts` is
    dead. Returns how many died, by channel."""
    lapsed = connection.execute(_lapsed(connection.dialect.name), _clock_values(connection)).all()
    dead = [row for row in lapsed if row.attempts >= attempts]
    due = connection.scalars(_DUE, {"now": now}).all()
    died = {"state": DEAD, "error": f"the server ended during attempt {attempts}", "done_at": now, "lease": ""}
    _update(connection, [row.id for row in dead], died)
    free = [row.id for row in lapsed if row.attempts < attempts]
    _update(connection, [*free, *due], {"state": WAITING, "lease": "", "lease_until": None})
    return Counter(row.channel for row in dead)


def _update(connection: Connection, ids: Sequence[int], values: dict[str, Any]) -> None:
    if ids:
        connection.execute(update(outbox).where(outbox.c.id.in_(ids)).values(values))


def claim(
    connection: Connection, claims: Sequence[ClaimOf], lease: str, seconds: float, now: datetime
) -> list[StoredMessage]:
    """Take messages that wait under a lease, each channel's in the order of (priority, id), and behind them those of
    recipients that take turns."""
    taken: list[StoredMessage] = []
    for wanted in claims:
        if chosen := _choose(connection, wanted, now):
            until = _clock(connection, seconds)
            values = {"state": SENDING, "lease": lease, "lease_until": until, "attempts": outbox.c.attempts + 1}
            _update(connection, [each.id for each in chosen], values)
            taken += (each._replace(state=SENDING, lease=lease, attempts=each.attempts + 1) for each in chosen)
    return taken


def _choose(connection: Connection, wanted: ClaimOf, now: datetime) -> list[StoredMessage]:
    rows = LOOKED_AT * wanted.limit
    values = {"channel": wanted.channel, "now": now, "most": wanted.priority, "rows": rows}
    values["walked"] = max(WALKED, rows)
    found = connection.execute(_WAITING_BUT, {**values, "busy": wanted.busy}) if wanted.busy else None
    chosen: list[StoredMessage] = []
    of: dict[Recipient, int] = {}
    for row in connection.execute(_WAITING, values) if found is None else found:
        message = StoredMessage(*row)
        recipient = message.wedding, message.user, message.contact
        of[recipient] = of.get(recipient, 0) + 1
        if of[recipient] <= wanted.per_recipient and len(chosen) < wanted.limit:
            chosen.append(message)
    is_crowded = wanted.busy or sum(of.values()) == rows  # else there were no others
    if is_crowded and len(chosen) < wanted.limit:
        chosen += _in_turns(connection, wanted, now, wanted.limit - len(chosen), of)
    return chosen


def _in_turns(
    connection: Connection, wanted: ClaimOf, now: datetime, limit: int, but: Collection[Recipient]
) -> list[StoredMessage]:
    """The oldest message of the most urgent ones for each of up to `limit` recipients, from `after` on and around,
    without those that are busy and some others."""
    out = [*wanted.busy, *but]
    chosen: list[StoredMessage] = []
    for priority in range(wanted.priority + 1):
        for start in dict.fromkeys((wanted.after, FIRST)):
            if len(chosen) >= limit:
                return chosen
            values = dict(zip(_PLACE, start, strict=True)) | {"channel": wanted.channel, "now": now, "out": out}
            left = limit - len(chosen)
            values |= {"at_priority": priority, "rows": left, "seeks": left + len(out)}
            found = [StoredMessage(*row) for row in connection.execute(_HEADS, values)]
            chosen += found
            out += ((each.wedding, each.user, each.contact) for each in found)
    return chosen


# Statements of every claim are made once: to make them takes longer than to run them.


@cache
def _lapsed(dialect: str) -> Select[Any]:
    """Messages whose lease has ended, as far as nobody holds them. In no order: by number, PostgreSQL would walk all
    messages where few are in the state."""
    clock = func.clock_timestamp() if dialect == "postgresql" else bindparam("clock")
    query = select(outbox.c.id, outbox.c.attempts, outbox.c.channel).where(outbox.c.state == SENDING)
    return query.where(outbox.c.lease_until <= clock).limit(SLICE).with_for_update(skip_locked=True)


def _clock_values(connection: Connection) -> dict[str, datetime]:
    return {} if connection.dialect.name == "postgresql" else {"clock": datetime.now(UTC)}


_DUE: Final = (
    select(outbox.c.id)
    .where(outbox.c.state == LATER, outbox.c.next_at <= bindparam("now"))
    .limit(SLICE)
    .with_for_update(skip_locked=True)
)


def _waiting(*but: ColumnElement[bool]) -> Select[Any]:
    front = select(outbox.c.id).where(outbox.c.state == WAITING, outbox.c.channel == bindparam("channel"))
    front = front.where(outbox.c.priority <= bindparam("most")).order_by(outbox.c.priority, outbox.c.id)
    # Bounded before anything is left out: of what is left out there may be any number.
    walked = front.limit(bindparam("walked", type_=Integer)).subquery("walked")
    query = select_messages().join(walked, walked.c.id == outbox.c.id)
    query = query.where(outbox.c.state == WAITING, outbox.c.next_at <= bindparam("now"), *but)
    query = query.order_by(outbox.c.priority, outbox.c.id).limit(bindparam("rows", type_=Integer))
    return query.with_for_update(skip_locked=True, of=outbox)


def _heads() -> Select[Any]:
    """The oldest message of each of some recipients behind a place, of one channel and priority: three seeks in an
    index for each of them, however many messages wait."""
    begin = [cast(bindparam(name), outbox.c[name].type).label(name) for name in _PLACE]
    seen = select(literal(0, BigInteger).label("id"), *begin, literal(0).label("seek")).cte("seen", recursive=True)
    head = outbox.alias("head")
    following = select(head.c.id, *(head.c[name] for name in _PLACE), seen.c.seek + 1)
    following = following.select_from(seen.join(head, head.c.id == _next_id(seen)))
    seen = seen.union_all(following.where(seen.c.seek < bindparam("seeks", type_=Integer)))
    wanted = tuple_(*(seen.c[name] for name in _PLACE)).not_in(bindparam("out", expanding=True))
    heads = select(seen.c.id).where(seen.c.seek > 0, wanted).limit(bindparam("rows", type_=Integer)).subquery("heads")
    query = select_messages().join(heads, heads.c.id == outbox.c.id).where(outbox.c.state == WAITING)
    query = query.where(outbox.c.next_at <= bindparam("now")).order_by(*(outbox.c[name] for name in _PLACE))
    return query.with_for_update(skip_locked=True, of=outbox)


def _next_id(seen: FromClause) -> ColumnElement[int]:
    """The oldest message of the recipient behind one: with another contact, or user, or wedding. One comparison of all
    three would go through the messages of the recipient itself."""
    found = outbox.alias("found")
    ids: list[ColumnElement[int]] = []
    for place in reversed(range(len(_PLACE))):
        same = [found.c[name] == seen.c[name] for name in _PLACE[:place]]
        behind = found.c[_PLACE[place]] > seen.c[_PLACE[place]]
        # The state is in the text: only so an index of what waits is used.
        query = select(found.c.id).where(text(f"found.{WAITS}"), found.c.channel == bindparam("channel"))
        query = query.where(found.c.priority == bindparam("at_priority"), *same, behind)
        order = [found.c[name] for name in _PLACE[place:]]
        ids.append(query.order_by(*order, found.c.id).limit(1).scalar_subquery())
    return func.coalesce(*ids)


_PLACE: Final = ("wedding", "user", "contact")
_RECIPIENT: Final = tuple_(outbox.c.wedding, outbox.c.user, outbox.c.contact)
_WAITING: Final = _waiting()
_WAITING_BUT: Final = _waiting(_RECIPIENT.not_in(bindparam("busy", expanding=True)))
_HEADS: Final = _heads()


def renew(connection: Connection, lease: str, ids: Sequence[int], seconds: float) -> int:
    """Keep these messages under a lease for so long from now, as far as it holds; returns how many. The others of the
    lease are left to end: a worker that lost a reply does not know of them."""
    held = and_(outbox.c.id.in_(ids), outbox.c.state == SENDING, outbox.c.lease == lease)
    return connection.execute(update(outbox).where(held).values(lease_until=_clock(connection, seconds))).rowcount


def settle(connection: Connection, lease: str, outcomes: Sequence[MessageOutcome]) -> None:
    """Store what became of messages. One that was sent is so whoever holds it now, unless it was dropped meanwhile; all
    else counts as long as the lease holds."""
    sent = [each for each in outcomes if each.state == SENT]
    if sent:
        among = and_(outbox.c.id.in_([each.id for each in sent]), outbox.c.state.in_((WAITING, LATER, SENDING)))
        connection.execute(update(outbox).where(among).values(_values(sent[-1])))
    for each in sorted(set(outcomes).difference(sent)):
        held = and_(outbox.c.id == each.id, outbox.c.state == SENDING, outbox.c.lease == lease)
        connection.execute(update(outbox).where(held).values(_values(each)))


def _values(outcome: MessageOutcome) -> dict[str, Any]:
    values: dict[str, Any] = {"state": outcome.state, "error": outcome.error[:REASON_LENGTH]}
    values |= {"lease": "", "lease_until": None}
    if outcome.next_at is not None:
        values["next_at"] = outcome.next_at
    if outcome.state in (SENT, DROPPED, DEAD):
        values["done_at"] = outcome.at
    if outcome.state in (SENT, DROPPED):
        values["params"] = NO_PARAMS
    if outcome.state == WAITING or not outcome.is_attempt:
        values["attempts"] = outbox.c.attempts - 1
    return values


def is_due(connection: Connection, now: datetime) -> bool:
    """Whether `promote` or `claim` has anything to do."""
    due = or_(
        and_(outbox.c.state.in_((WAITING, LATER)), outbox.c.next_at <= now),
        and_(outbox.c.state == SENDING, outbox.c.lease_until <= _clock(connection, 0)),
    )
    return connection.scalars(select(outbox.c.id).where(due).limit(1)).first() is not None


def _clock(connection: Connection, seconds: float) -> ColumnElement[datetime]:
    """The time by the clock of the database, so many seconds from now."""
    later = timedelta(seconds=seconds)
    if connection.dialect.name == "postgresql":
        return func.clock_timestamp(type_=UtcDateTime()) + literal(later, Interval())
    return literal(datetime.now(UTC) + later, UtcDateTime())
