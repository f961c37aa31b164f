"""Where messages of the outbox go: the addresses of their recipients, and what a text to them needs.

A message for a recipient with several addresses becomes one for each, so that each has attempts of its own. Plain
functions over a `Connection`, as in `updates`.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

from sqlalchemy import Connection, Table, and_, select, tuple_, update

from storage.messaging_tables import contacts, outbox, preferences, webhooks
from storage.outbox import CONFIRMATION, SENDING, NewMessage, StoredMessage, enqueue, key_of, select_messages
from storage.tables import REASON_LENGTH, members, rows

WEBHOOK = "webhook"
"""The channel whose recipients are rows of `webhooks`."""

Person: TypeAlias = tuple[str, str]
"""Wedding and user."""


class MessageAddress(NamedTuple):
    """An address in use of a recipient. `contact`: its id; `secret`: of a webhook, a JSON list."""

    contact: str
    address: str
    secret: str


class Resolved(NamedTuple):
    """The facts of the store about the recipient of a message."""

    addresses: Sequence[MessageAddress]
    """Those in use, by their ids; of a message for one contact, that one."""
    removed: bool
    """Whether the person was a member, and is none any more."""
    name: str
    preferences: str
    """JSON; empty where the recipient has chosen nothing."""
    wedding: str
    """JSON: the fields of the wedding; empty where it has none."""
    person: str = ""
    """Whose rights decide: the recipient, or whoever made the webhook."""


_Addresses: TypeAlias = dict[tuple[str, str, str], list[tuple[MessageAddress, bool]]]
"""By wedding, recipient and channel, each with whether it is confirmed."""


def resolve(connection: Connection, messages: Sequence[StoredMessage]) -> dict[int, Resolved]:
    """The recipients as the store knows them, by the numbers of the messages."""
    people = sorted({(each.wedding, each.user) for each in messages})
    hooks = _webhooks(connection, people)
    makers = {(wedding, id_): by for (wedding, id_, _), (_, by) in hooks.items()}
    addresses = _contacts(connection, people) | {key: [(address, True)] for key, (address, _) in hooks.items()}
    members_of = sorted({*people, *((wedding, by) for (wedding, _), by in makers.items())})
    names = {person: fields for person, *fields in _of_people(connection, members, members_of, "name", "removed_at")}
    chosen = dict(_of_people(connection, preferences, people, "body"))
    weddings = _weddings(connection, sorted({each.wedding for each in messages}))
    found: dict[int, Resolved] = {}
    for each in messages:
        recipient = each.wedding, each.user
        by = makers.get(recipient, each.user) if each.channel == WEBHOOK else each.user
        name, removed_at = names.get((each.wedding, by), ("", None))
        own = addresses.get((*recipient, each.channel), [])
        wanted = [
            address
            for address, is_confirmed in own
            if each.contact in ("", address.contact) and (is_confirmed or each.type == CONFIRMATION)
        ]
        found[each.id] = Resolved(
            wanted, removed_at is not None, name, chosen.get(recipient, ""), weddings.get(each.wedding, ""), by
        )
    return found


def _contacts(connection: Connection, people: Sequence[Person]) -> _Addresses:
    table = contacts.c
    is_confirmed = table.confirmed_at.is_not(None)
    query = select(table.wedding, table.user, table.channel, table.id, table.address, table.secret, is_confirmed)
    query = query.where(tuple_(table.wedding, table.user).in_(people), table.disabled_at.is_(None))
    found: _Addresses = {}
    for wedding, user, channel, *address, confirmed in connection.execute(query.order_by(table.id)):
        found.setdefault((wedding, user, channel), []).append((MessageAddress(*address), bool(confirmed)))
    return found


def _webhooks(
    connection: Connection, people: Sequence[Person]
) -> dict[tuple[str, str, str], tuple[MessageAddress, str]]:
    """The webhooks in use, each with whoever made it."""
    table = webhooks.c
    query = select(table.wedding, table.id, table.by, table.url, table.secrets)
    query = query.where(tuple_(table.wedding, table.id).in_(people), table.disabled_at.is_(None))
    return {
        (wedding, id_, WEBHOOK): (MessageAddress("", url, secrets), by)
        for wedding, id_, by, url, secrets in connection.execute(query)
    }


def _of_people(connection: Connection, table: Table, people: Sequence[Person], *columns: str) -> list[Any]:
    """The values of these columns of a table, each behind the person that they are about."""
    query = select(table.c.wedding, table.c.user, *(table.c[column] for column in columns))
    found = connection.execute(query.where(tuple_(table.c.wedding, table.c.user).in_(people)))
    return [((wedding, user), *values) for wedding, user, *values in found]


def _weddings(connection: Connection, weddings: Sequence[str]) -> dict[str, str]:
    query = select(rows.c.wedding, rows.c.fields).where(rows.c.wedding.in_(weddings), rows.c.document == "wedding")
    query = query.where(rows.c.root == "meta", rows.c.record == "", rows.c.fields.is_not(None))
    return {row.wedding: row.fields for row in connection.execute(query)}


def split(connection: Connection, message: StoredMessage, contact_ids: Sequence[str]) -> int:
    """Have a message that is claimed go to the first of these contacts, and store one for each of the others; returns
    how many."""
    held = and_(outbox.c.id == message.id, outbox.c.state == SENDING, outbox.c.lease == message.lease)
    # Read once more: what it is about may have been redacted since the claim.
    row = connection.execute(select_messages().where(held).with_for_update()).one_or_none()
    if row is None:
        return 0
    connection.execute(update(outbox).where(held).values(contact=contact_ids[0]))
    stored = StoredMessage(*row)._asdict()
    same = {field: stored[field] for field in NewMessage._fields if field in stored} | {"next_at": None}
    others = [same | {"contact": each, "key": key_of("", 0, message.key, each)} for each in contact_ids[1:]]
    return enqueue(connection, [NewMessage(**each) for each in others])


def disable(connection: Connection, message: StoredMessage, contact: str, reason: str, at: datetime) -> None:
    """Send nothing any more to the address that a message went to."""
    of_recipient = (message.wedding, message.user)
    if message.channel == WEBHOOK:
        table = webhooks.c
        gone = and_(tuple_(table.wedding, table.id) == of_recipient, table.disabled_at.is_(None))
        connection.execute(update(webhooks).where(gone).values(disabled_at=at, reason=reason[:REASON_LENGTH]))
        return
    own = contacts.c
    of_channel = and_(own.wedding == message.wedding, own.user == message.user, own.channel == message.channel)
    gone = and_(of_channel, own.id == contact, own.disabled_at.is_(None))
    connection.execute(update(contacts).where(gone).values(disabled_at=at))
