"""Threads of weddings, who takes part in them, and up to where each person has read.

Changes are made as in `members`: what is there is handed to a function of the caller, which decides, in the
transaction of the change. Participation is a right: each change counts their version up, and adds an entry to the
audit log and an event. Plain functions over a `Connection`, as in `updates`.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, exists, func, insert, literal, or_, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from storage import audit, members
from storage.audit import NewAuditEntry
from storage.derived import NewEvent, StoredAnswer
from storage.errors import AnswerTaken, BoundReached, ValuesRefused
from storage.event_rows import add_event, lock_events
from storage.leaving import leave_thread
from storage.members import StoredMember
from storage.messaging_tables import participants, threads
from storage.tables import NAME_LENGTH, THREAD, answers

MOST_THREADS = 1_000
"""Threads of a wedding."""

MOST_PARTICIPANTS = 200
"""Participants of a thread."""

MOST_PARTICIPATIONS = 10_000
"""Participants of all threads of a wedding: nodes hold them in memory."""


class StoredThread(NamedTuple):
    """A conversation. `context` is JSON: what it is about; empty: nothing."""

    id: str
    title: str
    type: str
    status: str
    priority: int
    context: str
    created_by: str
    at: datetime
    active_at: datetime


class StoredParticipant(NamedTuple):
    """Somebody who takes part in a thread, or did."""

    thread: str
    user: str
    added_by: str
    at: datetime
    muted: bool
    removed_at: datetime | None = None


class ThreadRights(NamedTuple):
    """The properties of a thread that decide on access to it."""

    id: str
    type: str
    users: Sequence[str]
    """Those who take part."""


class ThreadState(NamedTuple):
    """A thread as a change finds it. ``members``: those of whom the change was announced to be about."""

    thread: StoredThread | None
    users: Collection[str]
    members: dict[str, StoredMember]


class ThreadChange(NamedTuple):
    """A thread as it is to be, with what is recorded of that."""

    thread: StoredThread
    at: datetime
    entry: NewAuditEntry
    event: NewEvent
    added: Sequence[str] = ()
    removed: Sequence[str] = ()
    answer: StoredAnswer | None = None
    """Stored with the thread, in case the request comes again."""
    most_own: int | None = None
    """The most threads that its maker may have made; None: any number."""


class ThreadFilter(NamedTuple):
    """Which threads a list has: those that ``user`` takes part in, and with ``others`` all but those of ``closed``
    types. The other members are empty where they do not matter."""

    user: str
    others: bool
    closed: Collection[str]
    type: str = ""
    status: str = ""


ThreadCursor = tuple[datetime, str]
"""When the last thread of a page was active, and its id."""

DecideThread = Callable[[ThreadState], ThreadChange]
"""Decides about the change of a thread. May raise."""


def change(
    connection: Connection, wedding: str, id_: str, by: str, users: Collection[str], decide: DecideThread
) -> tuple[StoredThread, int]:
    """Change a thread or make one, as `decide` decides, given also the members among `users`. Returns it with the
    number of the event; 0 where nothing changes, and nothing is written. Raises ValuesRefused for one too many, and
    AnswerTaken where there is an answer already."""
    lock_events(connection, wedding)
    audit.lock(connection, wedding)
    before = find(connection, wedding, id_)
    found = {user: members.find(connection, wedding, user) for user in users}
    known = {user: member for user, member in found.items() if member is not None}
    changed = decide(ThreadState(before, users_of(connection, wedding, id_), known))
    thread = changed.thread
    if before == thread and not (changed.added or changed.removed or changed.answer):
        return thread, 0
    if changed.answer is not None:
        _add_answer(connection, wedding, changed.answer)
    if before is None:
        _require_room(connection, wedding, thread.created_by, changed.most_own)
        connection.execute(insert(threads), {"wedding": wedding, **thread._asdict()})
    elif before != thread:
        key = and_(threads.c.wedding == wedding, threads.c.id == id_)
        connection.execute(update(threads).where(key).values(thread._asdict()))
    _add(connection, wedding, id_, by, changed)
    for user in changed.removed:
        leave_thread(connection, wedding, user, id_, changed.at)
    rights = before is None or bool(changed.added or changed.removed)
    audit.add(connection, wedding, [changed.entry], changes_rights=rights)
    return thread, add_event(connection, wedding, THREAD + id_, changed.event)


def _add_answer(connection: Connection, wedding: str, answer: StoredAnswer) -> None:
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(answers).on_conflict_do_nothing().returning(answers.c.key)
    if connection.execute(statement, {"wedding": wedding, **answer._asdict()}).first() is None:
        raise AnswerTaken(wedding, answer.key)


def _require_room(connection: Connection, wedding: str, by: str, most_own: int | None) -> None:
    count = select(func.count()).select_from(threads).where(threads.c.wedding == wedding)
    if most_own is not None and connection.scalars(count.where(threads.c.created_by == by)).one() >= most_own:
        raise BoundReached(f"a person makes at most {most_own} threads", of_person=True)
    if connection.scalars(count).one() >= MOST_THREADS:
        raise ValuesRefused(f"there are {MOST_THREADS} threads")


def _add(connection: Connection, wedding: str, id_: str, by: str, changed: ThreadChange) -> None:
    if not changed.added:
        return
    at, of_wedding = changed.at, participants.c.wedding == wedding
    for user in changed.added:
        if not 0 < len(user) <= NAME_LENGTH:
            raise ValuesRefused(f"the name of a user has 1 to {NAME_LENGTH} characters: {user[:300]!r}")
        values = {"added_by": by, "at": at, "muted": False, "removed_at": None}
        key = and_(of_wedding, participants.c.thread == id_, participants.c.user == user)
        if not connection.execute(update(participants).where(key).values(values)).rowcount:
            connection.execute(insert(participants), {"wedding": wedding, "thread": id_, "user": user, **values})
    present = select(func.count()).select_from(participants).where(of_wedding, participants.c.removed_at.is_(None))
    if connection.scalars(present.where(participants.c.thread == id_)).one() > MOST_PARTICIPANTS:
        raise ValuesRefused(f"{MOST_PARTICIPANTS} take part in this thread")
    if connection.scalars(present).one() > MOST_PARTICIPATIONS:
        raise ValuesRefused(f"{MOST_PARTICIPATIONS} take part in the threads of this wedding")


# -- reading


def find(connection: Connection, wedding: str, id_: str) -> StoredThread | None:
    """A thread; None: there is none."""
    query = select(*(threads.c[field] for field in StoredThread._fields))
    row = connection.execute(query.where(threads.c.wedding == wedding, threads.c.id == id_)).one_or_none()
    return None if row is None else StoredThread(*row)


def users_of(connection: Connection, wedding: str, id_: str) -> list[str]:
    """The participants of a thread, by their names."""
    query = select(participants.c.user).where(participants.c.wedding == wedding, participants.c.thread == id_)
    return list(connection.scalars(query.where(participants.c.removed_at.is_(None)).order_by(participants.c.user)))


def participants_of(connection: Connection, wedding: str, ids: Collection[str]) -> list[StoredParticipant]:
    """The participants of these threads, by thread and user."""
    query = select(*(participants.c[field] for field in StoredParticipant._fields))
    query = query.where(participants.c.wedding == wedding, participants.c.thread.in_(ids))
    query = query.where(participants.c.removed_at.is_(None)).order_by(participants.c.thread, participants.c.user)
    return [StoredParticipant(*row) for row in connection.execute(query)]


def page(
    connection: Connection, wedding: str, among: ThreadFilter, after: ThreadCursor | None, limit: int
) -> list[StoredThread]:
    """The next threads behind a cursor, the last active first."""
    takes_part = exists().where(
        participants.c.wedding == wedding,
        participants.c.thread == threads.c.id,
        participants.c.user == among.user,
        participants.c.removed_at.is_(None),
    )
    seen: ColumnElement[bool] = takes_part
    if among.others:
        seen = or_(takes_part, threads.c.type.not_in(among.closed))
    query = select(*(threads.c[field] for field in StoredThread._fields)).where(threads.c.wedding == wedding, seen)
    if among.type:
        query = query.where(threads.c.type == among.type)
    if among.status:
        query = query.where(threads.c.status == among.status)
    if after is not None:
        query = query.where(tuple_(threads.c.active_at, threads.c.id) < tuple_(*_bound(after)))
    query = query.order_by(threads.c.active_at.desc(), threads.c.id.desc()).limit(limit)
    return [StoredThread(*row) for row in connection.execute(query)]


def _bound(after: ThreadCursor) -> tuple[ColumnElement[datetime], ColumnElement[str]]:
    """A cursor as values of the columns that it is compared with: the moments of SQLite are texts."""
    return literal(after[0], threads.c.active_at.type), literal(after[1], threads.c.id.type)


def rights_of(connection: Connection, wedding: str) -> list[ThreadRights]:
    """The properties of all threads of a wedding that decide on access to them."""
    query = (
        select(threads.c.id, threads.c.type, participants.c.user)
        .outerjoin(
            participants,
            and_(
                participants.c.wedding == threads.c.wedding,
                participants.c.thread == threads.c.id,
                participants.c.removed_at.is_(None),
            ),
        )
        .where(threads.c.wedding == wedding)
    )
    found: dict[str, ThreadRights] = {}
    for id_, type_, user in connection.execute(query):
        users = found.setdefault(id_, ThreadRights(id_, type_, [])).users
        if user is not None:
            assert isinstance(users, list)
            users.append(user)
    return list(found.values())


def mute(connection: Connection, wedding: str, id_: str, user: str, *, muted: bool) -> bool:
    """Whether a participant is notified of new messages from now on; False: they do not take part."""
    key = and_(participants.c.wedding == wedding, participants.c.thread == id_, participants.c.user == user)
    statement = update(participants).where(key, participants.c.removed_at.is_(None)).values(muted=muted)
    return bool(connection.execute(statement).rowcount)
