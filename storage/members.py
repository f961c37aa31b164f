"""The members of weddings, their invitations, and the devices that signed in with one.

Codes and refresh tokens come in as digests. A change locks the rights of its wedding first (`audit.lock`), reads what
is there and hands it to a function of the caller, which decides: so no other change comes between the decision and what
is written. Each change adds its entries to the audit log in the same transaction. Plain functions over a `Connection`,
as in `updates`.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, Table, and_, delete, func, insert, or_, select, update

from storage import audit
from storage.audit import NewAuditEntry
from storage.errors import BoundReached, StorageError, ValuesRefused
from storage.leaving import begin_to_leave, clear_slice, leave_threads, leave_wedding
from storage.messaging_tables import contacts
from storage.tables import NAME_LENGTH, devices, grants, invitations, members, refresh_tokens

GENERATIONS_KEPT = 1_000
"""Used refresh tokens of a device that are kept, the newest: one that is used again revokes the device."""

MOST_MEMBERS = 5_000
"""Members of a wedding, removed ones included: all of them are read for each decision that is not in memory."""


class StoredMember(NamedTuple):
    """A member of a wedding, also one that was removed."""

    user: str
    role: str
    vendor: str
    guest: str
    side: str
    name: str
    added_by: str
    at: datetime
    removed_at: datetime | None = None


class StoredInvitation(NamedTuple):
    """An invitation that nobody has used. `user` is the member that it makes."""

    id: str
    user: str
    role: str
    vendor: str
    guest: str
    side: str
    name: str
    invited_by: str
    at: datetime
    expires: datetime


class StoredDevice(NamedTuple):
    """A device that signed in. `seen_at`: when it was given its newest tokens."""

    device: str
    wedding: str
    user: str
    label: str
    at: datetime
    seen_at: datetime
    generation: int
    revoked_at: datetime | None = None


class NewDevice(NamedTuple):
    """A device that signs in, with the digest of its first refresh token."""

    device: str
    label: str
    token: str


class SignedIn(NamedTuple):
    """The device with new tokens, and the member that it belongs to."""

    device: StoredDevice
    member: StoredMember


class TokenReused(StorageError):
    """A refresh token came a second time. Its device is revoked."""

    def __init__(self, wedding: str, user: str) -> None:
        super().__init__(f"a refresh token of {user!r} in wedding {wedding!r} was used twice")
        self.wedding = wedding
        self.user = user


class MemberChange(NamedTuple):
    """A member as it is to be, and the entry about that. ``leaves``: the types of threads in which the member takes no
    part any more."""

    member: StoredMember
    entry: NewAuditEntry
    leaves: Collection[str] = ()


Decide = Callable[[StoredMember | None, int], MemberChange]
"""Decides about the change of a member, given as it is, and the number of other members in its role. May raise."""

DecideDevice = Callable[[StoredMember, int], NewAuditEntry]
"""Decides about one more device of a member, given how many it has in use. May raise."""


def find(connection: Connection, wedding: str, user: str) -> StoredMember | None:
    """A member, also one that was removed."""
    query = _select(members, StoredMember).where(members.c.wedding == wedding, members.c.user == user)
    row = connection.execute(query).one_or_none()
    return None if row is None else StoredMember(*row)


def list_all(connection: Connection, wedding: str) -> list[StoredMember]:
    """The members of a wedding, removed ones included, by their users."""
    query = _select(members, StoredMember).where(members.c.wedding == wedding).order_by(members.c.user)
    return [StoredMember(*row) for row in connection.execute(query)]


def page(connection: Connection, wedding: str, after: str, limit: int) -> list[StoredMember]:
    """The next `limit` members behind a user, without those that were removed."""
    behind = and_(members.c.wedding == wedding, members.c.user > after, members.c.removed_at.is_(None))
    query = _select(members, StoredMember).where(behind).order_by(members.c.user).limit(limit)
    return [StoredMember(*row) for row in connection.execute(query)]


def list_weddings(connection: Connection, user: str, after: str, limit: int) -> list[str]:
    """The next `limit` weddings of which a user is a member, in order, beginning behind `after`."""
    present = and_(members.c.user == user, members.c.wedding > after, members.c.removed_at.is_(None))
    return list(connection.scalars(select(members.c.wedding).where(present).order_by(members.c.wedding).limit(limit)))


def change(connection: Connection, wedding: str, user: str, decide: Decide) -> tuple[StoredMember, int]:
    """Change a member, and return it with the version of the rights. One that is removed loses its devices, its
    invitations, its grants, its addresses, its inbox and its threads. The invitations that it has made end, also where
    it has another role now: it may not be one that may make them, and whoever has the code may be the same person.
    Where nothing changes nothing is written, and the version is 0. Raises BoundReached for one too many."""
    audit.lock(connection, wedding)
    before = find(connection, wedding, user)
    changed, entry, leaves = decide(before, _others(connection, wedding, user, before))
    if before is not None and changed._replace(added_by=before.added_by, at=before.at) == before and not leaves:
        return before, 0
    _put(connection, wedding, changed)
    if changed.removed_at is not None:
        _end_all(connection, wedding, user, changed.removed_at)
    elif before is not None and before.removed_at is not None:
        leave_wedding(connection, wedding, user, changed.at)  # releases before this one left all of it in place
    elif leaves:
        leave_threads(connection, wedding, user, leaves, changed.at)
    if changed.removed_at is not None or (before is not None and before.role != changed.role):
        made = and_(invitations.c.wedding == wedding, invitations.c.invited_by == user)
        connection.execute(delete(invitations).where(made))
    return changed, audit.add(connection, wedding, [entry], changes_rights=True)


def clear_removed(connection: Connection, wedding: str, user: str) -> bool:
    """Remove a slice of what `change` has left of the inbox of a removed member. Returns whether there may be more."""
    member = find(connection, wedding, user)
    if member is None or member.removed_at is None:
        return False  # added again: then all of it went before
    return clear_slice(connection, wedding, user, member.removed_at)


def _others(connection: Connection, wedding: str, user: str, member: StoredMember | None) -> int:
    if member is None:
        return 0
    others = and_(members.c.role == member.role, members.c.user != user, members.c.removed_at.is_(None))
    return _count(connection, members, and_(members.c.wedding == wedding, others))


def _put(connection: Connection, wedding: str, member: StoredMember) -> None:
    for value in (member.user, member.role, member.vendor, member.guest, member.side, member.name):
        if len(value) > NAME_LENGTH:
            raise ValuesRefused(f"a name of a member has at most {NAME_LENGTH} characters: {value[:300]!r}")
    key = and_(members.c.wedding == wedding, members.c.user == member.user)
    values = member._asdict()
    if not connection.execute(update(members).where(key).values(values)).rowcount:
        if _count(connection, members, members.c.wedding == wedding) >= MOST_MEMBERS:
            raise BoundReached(f"a wedding has at most {MOST_MEMBERS} members, removed ones included", of_person=False)
        connection.execute(insert(members), {"wedding": wedding, **values})


def _end_all(connection: Connection, wedding: str, user: str, at: datetime) -> None:
    theirs = and_(devices.c.wedding == wedding, devices.c.user == user, devices.c.revoked_at.is_(None))
    connection.execute(update(devices).where(theirs).values(revoked_at=at))
    connection.execute(delete(invitations).where(invitations.c.wedding == wedding, invitations.c.user == user))
    held = and_(grants.c.wedding == wedding, grants.c.user == user, grants.c.ended_at.is_(None))
    connection.execute(update(grants).where(held).values(ended_at=at))
    connection.execute(delete(contacts).where(contacts.c.wedding == wedding, contacts.c.user == user))
    begin_to_leave(connection, wedding, user, at)


# -- invitations


def invite(
    connection: Connection,
    wedding: str,
    code: str,
    invitation: StoredInvitation,
    most: int,
    entry: NewAuditEntry,
    *,
    most_of_person: int | None = None,
) -> None:
    """Keep an invitation under the digest of its code; those that have expired go. Raises BoundReached where there are
    `most` already, or `most_of_person` of the one who invites."""
    audit.lock(connection, wedding)
    of_wedding = invitations.c.wedding == wedding
    connection.execute(delete(invitations).where(of_wedding, invitations.c.expires <= invitation.at))
    own = and_(of_wedding, invitations.c.invited_by == invitation.invited_by)
    if most_of_person is not None and _count(connection, invitations, own) >= most_of_person:
        raise BoundReached(f"a person has at most {most_of_person} invitations that nobody has used", of_person=True)
    if _count(connection, invitations, of_wedding) >= most:
        raise BoundReached(f"there are {most} invitations that nobody has used", of_person=False)
    connection.execute(insert(invitations), {"code": code, "wedding": wedding, **invitation._asdict()})
    audit.add(connection, wedding, [entry])


def list_invitations(connection: Connection, wedding: str, now: datetime) -> list[StoredInvitation]:
    """The invitations that can be used, the oldest first."""
    query = _select(invitations, StoredInvitation).where(invitations.c.wedding == wedding, invitations.c.expires > now)
    return [StoredInvitation(*row) for row in connection.execute(query.order_by(invitations.c.at, invitations.c.id))]


def withdraw(
    connection: Connection, wedding: str, id_: str, decide: Callable[[StoredInvitation], NewAuditEntry]
) -> bool:
    """Delete an invitation; whether there was one."""
    audit.lock(connection, wedding)
    key = and_(invitations.c.wedding == wedding, invitations.c.id == id_)
    row = connection.execute(_select(invitations, StoredInvitation).where(key)).one_or_none()
    if row is None:
        return False
    entry = decide(StoredInvitation(*row))
    connection.execute(delete(invitations).where(key))
    audit.add(connection, wedding, [entry])
    return True


def accept(
    connection: Connection, code: str, device: NewDevice, decide: DecideDevice, at: datetime, seen_after: datetime
) -> SignedIn | None:
    """Use an invitation, once: its person is a member from now on, and has this device. None where the digest of the
    code is none of an invitation. Of a member that is there already it is a further device, unless its role is another
    than that of the invitation: whoever invites may have no power over it.

    Devices seen after a moment count as in use.
    """
    of_code = invitations.c.code == code
    wedding = connection.scalars(select(invitations.c.wedding).where(of_code, invitations.c.expires > at)).one_or_none()
    if wedding is None:
        return None
    audit.lock(connection, wedding)
    row = connection.execute(_select(invitations, StoredInvitation).where(of_code)).one_or_none()
    if row is None:  # used, or withdrawn, meanwhile
        return None
    invitation = StoredInvitation(*row)
    member = find(connection, wedding, invitation.user)
    joins = member is None or member.removed_at is not None
    if member is not None and not joins and member.role != invitation.role:
        return None
    if member is None or joins:
        if member is not None:
            leave_wedding(connection, wedding, member.user, at)  # as in `change`
        member = StoredMember(*invitation[1:7], invitation.invited_by, at)
        _put(connection, wedding, member)
    _forget_devices(connection, wedding, seen_after)
    used = _count(connection, devices, and_(_active(wedding, member.user), devices.c.seen_at > seen_after))
    entry = decide(member, used)
    connection.execute(delete(invitations).where(of_code))
    added = StoredDevice(device.device, wedding, member.user, device.label, at, at, 1)
    connection.execute(insert(devices), added._asdict())
    connection.execute(insert(refresh_tokens), {"token": device.token, "device": device.device, "generation": 1})
    audit.add(connection, wedding, [entry], changes_rights=joins)
    return SignedIn(added, member)


def is_code(connection: Connection, code: str, at: datetime) -> bool:
    """Whether a digest is that of a code that can be used."""
    return _count(connection, invitations, and_(invitations.c.code == code, invitations.c.expires > at)) > 0


# -- devices


def is_token(connection: Connection, token: str) -> bool:
    """Whether a digest is that of a refresh token of a device, also of one that was used."""
    return _count(connection, refresh_tokens, refresh_tokens.c.token == token) > 0


def refresh(
    connection: Connection,
    token: str,
    following: str,
    at: datetime,
    seen_after: datetime,
    reused: Callable[[StoredDevice], NewAuditEntry],
) -> SignedIn | None:
    """Replace the refresh token of a device. None where the digest is none of a token, or the device was revoked or not
    seen after a moment. One that was replaced before revokes the device, which is committed: see `TokenReused`, which
    the caller raises for a `SignedIn` of a device with `revoked_at`."""
    found = connection.execute(
        select(devices.c.wedding, devices.c.device, refresh_tokens.c.generation)
        .join(refresh_tokens, refresh_tokens.c.device == devices.c.device)
        .where(refresh_tokens.c.token == token)
    ).one_or_none()
    if found is None:
        return None
    audit.lock(connection, found.wedding)
    row = connection.execute(_select(devices, StoredDevice).where(devices.c.device == found.device)).one()
    device = StoredDevice(*row)
    member = find(connection, device.wedding, device.user)
    if device.revoked_at is not None or device.seen_at <= seen_after or member is None or member.removed_at is not None:
        return None
    if found.generation < device.generation:
        revoked = device._replace(revoked_at=at)
        _revoke(connection, device.device, at)
        audit.add(connection, device.wedding, [reused(device)], changes_rights=True)
        return SignedIn(revoked, member)
    renewed = device._replace(seen_at=at, generation=device.generation + 1)
    connection.execute(
        update(devices)
        .where(devices.c.device == device.device)
        .values(seen_at=renewed.seen_at, generation=renewed.generation)
    )
    connection.execute(
        insert(refresh_tokens), {"token": following, "device": device.device, "generation": renewed.generation}
    )
    oldest = renewed.generation - GENERATIONS_KEPT
    of_device = refresh_tokens.c.device == device.device
    connection.execute(delete(refresh_tokens).where(of_device, refresh_tokens.c.generation < oldest))
    return SignedIn(renewed, member)


def list_devices(connection: Connection, wedding: str, user: str | None, seen_after: datetime) -> list[StoredDevice]:
    """The devices in use, of one user or of all, by user and age."""
    query = _select(devices, StoredDevice).where(devices.c.wedding == wedding, devices.c.revoked_at.is_(None))
    query = query.where(devices.c.seen_at > seen_after)
    if user is not None:
        query = query.where(devices.c.user == user)
    return [StoredDevice(*row) for row in connection.execute(query.order_by(devices.c.user, devices.c.at))]


def revoke_device(
    connection: Connection,
    wedding: str,
    device: str,
    decide: Callable[[StoredDevice, StoredMember | None], NewAuditEntry],
    at: datetime,
) -> bool:
    """Revoke a device; whether there is one."""
    audit.lock(connection, wedding)
    query = _select(devices, StoredDevice).where(devices.c.wedding == wedding, devices.c.device == device)
    row = connection.execute(query).one_or_none()
    if row is None:
        return False
    found = StoredDevice(*row)
    entry = decide(found, find(connection, wedding, found.user))
    if found.revoked_at is None:
        _revoke(connection, device, at)
        audit.add(connection, wedding, [entry], changes_rights=True)
    return True


def revoked_devices(connection: Connection, wedding: str) -> Sequence[str]:
    """The devices of a wedding that were revoked and are not forgotten."""
    query = select(devices.c.device).where(devices.c.wedding == wedding, devices.c.revoked_at.is_not(None))
    return list(connection.scalars(query))


def _revoke(connection: Connection, device: str, at: datetime) -> None:
    connection.execute(update(devices).where(devices.c.device == device).values(revoked_at=at))
    connection.execute(delete(refresh_tokens).where(refresh_tokens.c.device == device))


def _forget_devices(connection: Connection, wedding: str, before: datetime) -> None:
    """Delete the devices that were last seen, or revoked, before a moment: no token of theirs is valid any more."""
    old = and_(devices.c.seen_at <= before, or_(devices.c.revoked_at.is_(None), devices.c.revoked_at <= before))
    of_wedding = and_(devices.c.wedding == wedding, old)
    names = select(devices.c.device).where(of_wedding)
    connection.execute(delete(refresh_tokens).where(refresh_tokens.c.device.in_(names)))
    connection.execute(delete(devices).where(of_wedding))


def _active(wedding: str, user: str) -> ColumnElement[bool]:
    return and_(devices.c.wedding == wedding, devices.c.user == user, devices.c.revoked_at.is_(None))


def _select(table: Table, kind: Any) -> Select[Any]:
    """The columns of a table that a named tuple has."""
    return select(*(table.c[field] for field in kind._fields))


def _count(connection: Connection, table: Table, among: ColumnElement[bool]) -> int:
    return int(connection.scalars(select(func.count()).select_from(table).where(among)).one())
