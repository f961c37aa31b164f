"""Rows that go when a person takes no part any more: in a thread, in threads of some types, in a wedding.

A person who is added again later begins anew: neither threads, nor an inbox, nor messages that waited come back. Plain
functions over a `Connection`, as in `updates`, in the transaction of the change that ends it, but for `clear_slice`.
"""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, and_, delete, or_, select, update

from storage.inbox import ALL_MESSAGES, hold_cursor, mark_thread_read
from storage.messaging_tables import inbox, outbox, participants, threads, webhooks
from storage.outbox import DEAD, DROPPED, NO_PARAMS, UNSENT
from storage.outbox_addresses import WEBHOOK

CLEARED_AT_ONCE = 1_000
"""Items of an inbox and messages that one transaction removes: some milliseconds."""


def leave_thread(connection: Connection, wedding: str, user: str, thread: str, at: datetime) -> None:
    """A person takes part in a thread no more."""
    key = and_(participants.c.wedding == wedding, participants.c.thread == thread, participants.c.user == user)
    connection.execute(update(participants).where(key).values(removed_at=at))
    # A hidden thread does not count as unread, and no message about it goes out later.
    while mark_thread_read(connection, wedding, user, thread, ALL_MESSAGES, at):
        pass


def leave_threads(connection: Connection, wedding: str, user: str, types: Collection[str], at: datetime) -> None:
    """A person takes part in no thread of these types any more."""
    of_types = and_(threads.c.wedding == participants.c.wedding, threads.c.id == participants.c.thread)
    query = select(participants.c.thread).join(threads, of_types).where(threads.c.type.in_(types))
    query = query.where(participants.c.wedding == wedding, participants.c.user == user)
    for thread in connection.scalars(query.where(participants.c.removed_at.is_(None))).all():
        leave_thread(connection, wedding, user, thread, at)


def leave_wedding(connection: Connection, wedding: str, user: str, at: datetime) -> None:
    """A person takes part in no thread any more, has no inbox, and gets nothing of what waits, nor do the webhooks that
    the person has made."""
    begin_to_leave(connection, wedding, user, at)
    while clear_slice(connection, wedding, user, at):
        pass


def begin_to_leave(connection: Connection, wedding: str, user: str, at: datetime) -> None:
    """As `leave_wedding`, but of the inbox and of what waits only the first slice goes: nobody reads the rest, nothing
    of it is sent, and `clear_slice` removes it in transactions of its own. There may be a million of them."""
    hold_cursor(connection, wedding)
    theirs = and_(participants.c.wedding == wedding, participants.c.user == user, participants.c.removed_at.is_(None))
    connection.execute(update(participants).where(theirs).values(removed_at=at))
    clear_slice(connection, wedding, user, at)


def clear_slice(connection: Connection, wedding: str, user: str, at: datetime) -> bool:
    """Remove a slice of the inbox of somebody who has left, and of what waits. Returns whether there may be more."""
    of_inbox = select(inbox.c.id).where(inbox.c.wedding == wedding, inbox.c.user == user).limit(CLEARED_AT_ONCE)
    items = connection.scalars(of_inbox).all()
    connection.execute(delete(inbox).where(inbox.c.id.in_(items)))
    hooks = select(webhooks.c.id).where(webhooks.c.wedding == wedding, webhooks.c.by == user)
    to_them = or_(
        and_(outbox.c.user == user, outbox.c.channel != WEBHOOK),
        and_(outbox.c.user.in_(hooks), outbox.c.channel == WEBHOOK),
    )
    waiting = and_(outbox.c.wedding == wedding, to_them, outbox.c.state.in_((*UNSENT, DEAD)))
    messages = connection.scalars(select(outbox.c.id).where(waiting).limit(CLEARED_AT_ONCE)).all()
    dropped = {"state": DROPPED, "params": NO_PARAMS, "error": "not a member any more", "done_at": at}
    connection.execute(update(outbox).where(outbox.c.id.in_(messages)).values(dropped))
    return CLEARED_AT_ONCE in (len(items), len(messages))
