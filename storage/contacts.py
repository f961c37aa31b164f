"""The addresses of people, and the codes that confirm them.

An address is in use when whoever entered it has given back a code that was sent there; one of a push service at once:
it was made by the device that enters it, and nobody guesses one. Codes are counted for each address and each person,
also where the address was deleted since. Plain functions over a `Connection`, as in `updates`.
"""

from collections.abc import Callable
from datetime import datetime
from enum import Enum
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, select, text, update

from storage.errors import BoundReached
from storage.messaging_tables import confirmations, contacts
from storage.outbox import NewMessage, enqueue
from storage.preferences import lock

_LOCK = "SELECT pg_advisory_xact_lock(hashtext('confirmations'), hashtext(:contact))"


class StoredContact(NamedTuple):
    """An address of a person. `secret`: of a push service, its keys. It is in use from `confirmed_at` on."""

    channel: str
    id: str
    address: str
    secret: str
    at: datetime
    disabled_at: datetime | None = None
    confirmed_at: datetime | None = None


class SentCodes(NamedTuple):
    """Codes that were sent since a moment: to an address for one person, in all weddings; to it, whoever entered it;
    and to all addresses of a person. `first`: the moment of the first of them."""

    to_one: int
    to_address: int
    of_person: int
    first: datetime | None


class NewCode(NamedTuple):
    """A code to be sent: its digest, and the message with it."""

    code: str
    message: NewMessage


MakeCode = Callable[[SentCodes], NewCode | None]
"""Makes a code, given what was sent; None: nothing is sent. May raise."""


class Confirmed(Enum):
    """The outcome for a code that was given back."""

    YES = "yes"
    WRONG = "wrong"
    EXPIRED = "expired"
    """There is no code any more, or it was tried too often."""
    UNKNOWN = "unknown"
    """There is no such address."""


def list_contacts(connection: Connection, wedding: str, user: str) -> list[StoredContact]:
    """The addresses of a person, disabled ones and those to be confirmed included, by channel and age."""
    query = select(*(contacts.c[name] for name in StoredContact._fields)).where(_contacts_of(wedding, user))
    rows = connection.execute(query.order_by(contacts.c.channel, contacts.c.at, contacts.c.id))
    return [StoredContact(*row) for row in rows]


def find_contact(connection: Connection, wedding: str, user: str, id_: str) -> StoredContact | None:
    """An address of a person."""
    query = select(*(contacts.c[name] for name in StoredContact._fields))
    row = connection.execute(query.where(_contacts_of(wedding, user), contacts.c.id == id_)).one_or_none()
    return None if row is None else StoredContact(*row)


def put_contact(
    connection: Connection,
    wedding: str,
    user: str,
    contact: StoredContact,
    most: int,
    *,
    since: datetime,
    make: MakeCode,
) -> StoredContact:
    """Add an address, or put it in the place of the one with its id; those of the channel that are disabled go. One
    that is not confirmed, and was not before, gets a code: ``make`` decides, given those sent ``since`` a moment.
    Raises BoundReached where `most` are there, and what ``make`` raises; nothing is changed then."""
    lock(connection, wedding, user, contact.at)
    before = find_contact(connection, wedding, user, contact.id)
    if before is not None and before.disabled_at is None and contact.confirmed_at is None:
        contact = contact._replace(confirmed_at=before.confirmed_at)
    of_channel = and_(_contacts_of(wedding, user), contacts.c.channel == contact.channel)
    connection.execute(
        delete(contacts).where(of_channel, contacts.c.disabled_at.is_not(None) | (contacts.c.id == contact.id))
    )
    if (connection.scalar(select(func.count()).where(of_channel)) or 0) >= most:
        raise BoundReached(f"a person has at most {most} addresses of one channel", of_person=True)
    connection.execute(insert(contacts), {"wedding": wedding, "user": user, **contact._asdict()})
    if contact.confirmed_at is None:
        _send_code(connection, wedding, user, contact, since, make)
    return contact


def _send_code(
    connection: Connection, wedding: str, user: str, contact: StoredContact, since: datetime, make: MakeCode
) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text(_LOCK), {"contact": contact.id})  # two people would each count without the other
    connection.execute(delete(confirmations).where(confirmations.c.at < since))
    to_address = confirmations.c.contact == contact.id
    of_person = and_(confirmations.c.wedding == wedding, confirmations.c.user == user)
    counted = (and_(to_address, confirmations.c.user == user), to_address, of_person)
    to_one, to_all, of_all = (connection.scalar(select(func.count()).where(each)) or 0 for each in counted)
    first = connection.scalar(select(func.min(confirmations.c.at)).where(to_address | of_person))
    new = make(SentCodes(to_one, to_all, of_all, first))
    if new is not None:
        row = {"wedding": wedding, "user": user, "contact": contact.id, "code": new.code, "tries": 0, "at": contact.at}
        connection.execute(insert(confirmations), row)
        enqueue(connection, [new.message])


def confirm(
    connection: Connection, wedding: str, user: str, id_: str, code: str, *, since: datetime, tries: int, at: datetime
) -> Confirmed:
    """Have an address in use, if ``code`` is the digest of the newest one that was sent to it for this person since a
    moment, and was tried less than ``tries`` times."""
    lock(connection, wedding, user, at)
    contact = find_contact(connection, wedding, user, id_)
    if contact is None:
        return Confirmed.UNKNOWN
    if contact.confirmed_at is not None:
        return Confirmed.YES
    table = confirmations.c
    query = select(table.id, table.code, table.tries).where(table.wedding == wedding, table.user == user)
    query = query.where(table.contact == id_, table.at >= since).order_by(table.id.desc()).limit(1)
    sent = connection.execute(query).one_or_none()
    if sent is None or sent.tries >= tries:
        return Confirmed.EXPIRED
    connection.execute(update(confirmations).where(table.id == sent.id).values(tries=sent.tries + 1))
    if sent.code != code:
        return Confirmed.WRONG
    confirmed = update(contacts).where(_contacts_of(wedding, user), contacts.c.id == id_)
    connection.execute(confirmed.values(confirmed_at=at))
    return Confirmed.YES


def delete_contact(connection: Connection, wedding: str, user: str, id_: str) -> bool:
    """Delete an address; whether there was one."""
    return bool(connection.execute(delete(contacts).where(_contacts_of(wedding, user), contacts.c.id == id_)).rowcount)


def _contacts_of(wedding: str, user: str) -> ColumnElement[bool]:
    return and_(contacts.c.wedding == wedding, contacts.c.user == user)
