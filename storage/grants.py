"""Rights of single persons for a time, changes of the policy of a wedding, and all rights of a wedding at once.

Changes are made as in `members`. A change of a grant is an event of the wedding too. Plain functions over a
`Connection`, as in `updates`.
"""

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, and_, delete, func, insert, select, text, update

from storage import audit, conversations, members
from storage.audit import NewAuditEntry
from storage.conversations import ThreadRights
from storage.derived import NewEvent
from storage.errors import BoundReached
from storage.event_rows import add_event, lock_events
from storage.members import StoredMember
from storage.tables import grants, policy_overrides

GRANTS_KEPT = 1_000
"""Grants of a wedding that are kept when they have ended."""

WEDDING_DOCUMENT = "wedding"
"""The document that events about grants belong to."""


class StoredGrant(NamedTuple):
    """A right of a user for a time, besides those of its role. Requested as long as it has no `given_at`; it holds from
    then until `until`, unless it was ended before."""

    id: str
    user: str
    what: str
    reason: str
    seconds: int
    at: datetime
    given_by: str = ""
    given_at: datetime | None = None
    until: datetime | None = None
    ended_at: datetime | None = None


class GrantChange(NamedTuple):
    """A grant as it is to be, and what is recorded of that."""

    grant: StoredGrant
    entry: NewAuditEntry
    event: NewEvent


class PolicyOverride(NamedTuple):
    """The rights of a role in a category, in place of those of the policy."""

    role: str
    category: str
    rights: str
    by: str
    at: datetime


class StoredRights(NamedTuple):
    """All that decides about the rights in a wedding; at least as new as `version`."""

    version: int
    members: Sequence[StoredMember]
    overrides: Sequence[PolicyOverride]
    grants: Sequence[StoredGrant]
    """Those that hold, or will."""
    revoked_devices: Sequence[str]
    threads: Sequence[ThreadRights] = ()


DecideGrant = Callable[[StoredGrant | None], GrantChange]
"""Decides about the change of a grant, given as it is. May raise."""

_WEDDINGS = {
    "sqlite": "SELECT value FROM json_each(:weddings)",
    "postgresql": 'SELECT each COLLATE "C" FROM json_array_elements_text(CAST(:weddings AS json)) AS e (each)',
}
_VERSIONS = "SELECT wedding, version FROM rights WHERE wedding IN ({given})"


def change(
    connection: Connection,
    wedding: str,
    id_: str,
    decide: DecideGrant,
    most_open: int,
    most_of_person: int | None = None,
) -> tuple[int, int]:
    """Change a grant, or add one; returns the version of the rights and the number of the event about it.

    Raises BoundReached for one more than `most_open` that have not ended, or `most_of_person` of its user.
    """
    lock_events(connection, wedding)
    audit.lock(connection, wedding)
    key = and_(grants.c.wedding == wedding, grants.c.id == id_)
    row = connection.execute(select(*(grants.c[field] for field in StoredGrant._fields)).where(key)).one_or_none()
    grant, entry, event = decide(None if row is None else StoredGrant(*row))
    if row is not None:
        connection.execute(update(grants).where(key).values(grant._asdict()))
    else:
        _require_room(connection, wedding, grant, most_open, most_of_person)
        connection.execute(insert(grants), {"wedding": wedding, **grant._asdict()})
        _forget_ended(connection, wedding)
    seq = add_event(connection, wedding, WEDDING_DOCUMENT, event)
    return audit.add(connection, wedding, [entry], changes_rights=True), seq


def _require_room(
    connection: Connection, wedding: str, grant: StoredGrant, most_open: int, most_of_person: int | None
) -> None:
    is_open = and_(grants.c.ended_at.is_(None), (grants.c.until > grant.at) | grants.c.until.is_(None))
    query = select(func.count()).select_from(grants).where(grants.c.wedding == wedding, is_open)
    own = query.where(grants.c.user == grant.user)
    if most_of_person is not None and int(connection.scalars(own).one()) >= most_of_person:
        raise BoundReached(f"a person has at most {most_of_person} grants that have not ended", of_person=True)
    if int(connection.scalars(query).one()) >= most_open:
        raise BoundReached(f"there are {most_open} grants that have not ended", of_person=False)


def _forget_ended(connection: Connection, wedding: str) -> None:
    """Delete ended grants behind the newest."""
    newest = select(grants.c.id).where(grants.c.wedding == wedding).order_by(grants.c.at.desc()).limit(GRANTS_KEPT)
    ended = and_(grants.c.wedding == wedding, grants.c.ended_at.is_not(None))
    connection.execute(delete(grants).where(ended, grants.c.id.not_in(newest)))


def list_all(connection: Connection, wedding: str, limit: int) -> list[StoredGrant]:
    """The newest grants of a wedding, also those that have ended."""
    query = select(*(grants.c[field] for field in StoredGrant._fields)).where(grants.c.wedding == wedding)
    query = query.order_by(grants.c.at.desc(), grants.c.id).limit(limit)
    return [StoredGrant(*row) for row in connection.execute(query)]


def set_override(
    connection: Connection, wedding: str, override: PolicyOverride, entry: NewAuditEntry, *, keep: bool
) -> int:
    """Put an override in the place of the one of its role and category; without `keep` that one only goes. Returns the
    version of the rights; 0 where nothing changes, and nothing is written."""
    audit.lock(connection, wedding)
    table = policy_overrides
    same = and_(table.c.wedding == wedding, table.c.role == override.role, table.c.category == override.category)
    if connection.scalar(select(table.c.rights).where(same)) == (override.rights if keep else None):
        return 0
    connection.execute(delete(table).where(same))
    if keep:
        connection.execute(insert(table), {"wedding": wedding, **override._asdict()})
    return audit.add(connection, wedding, [entry], changes_rights=True)


def list_overrides(connection: Connection, wedding: str) -> list[PolicyOverride]:
    """The overrides of a wedding, by role and category."""
    table = policy_overrides
    query = select(*(table.c[field] for field in PolicyOverride._fields)).where(table.c.wedding == wedding)
    return [PolicyOverride(*row) for row in connection.execute(query.order_by(table.c.role, table.c.category))]


def rights_of(connection: Connection, wedding: str, now: datetime) -> StoredRights:
    """All rights of a wedding."""
    # The version first: on PostgreSQL each query of a read shows what is committed when it begins.
    version = versions(connection, [wedding]).get(wedding, 0)
    if version == 0:  # nothing was ever changed: of most weddings whose roles come with tokens
        return StoredRights(0, [], [], [], [], [])
    query = select(*(grants.c[field] for field in StoredGrant._fields)).where(
        grants.c.wedding == wedding, grants.c.ended_at.is_(None), grants.c.until > now
    )
    return StoredRights(
        version,
        members.list_all(connection, wedding),
        list_overrides(connection, wedding),
        [StoredGrant(*row) for row in connection.execute(query)],
        members.revoked_devices(connection, wedding),
        conversations.rights_of(connection, wedding),
    )


def versions(connection: Connection, weddings: Sequence[str]) -> dict[str, int]:
    """The versions of the rights of these weddings, as far as they were ever changed."""
    statement = text(_VERSIONS.format(given=_WEDDINGS[connection.dialect.name]))
    return {row.wedding: row.version for row in connection.execute(statement, {"weddings": json.dumps(list(weddings))})}
