"""Members of a wedding, invitations, devices, and the policy of a wedding.

A right is decided on what is stored: about members in the transaction of the change (see `storage.members`), by the
policy of the wedding as it is before that.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from datetime import timedelta
from hashlib import sha256
from typing import Final, NamedTuple, TypeAlias

from crdt_server.access.access import require_allowed
from crdt_server.access.identity import Identity
from crdt_server.access.member_rights import MemberRights
from crdt_server.access.members import COUPLE, fault_of, may_change_own, may_read_own
from crdt_server.access.policy import Policy, PolicyError, default_policy
from crdt_server.errors import NotFoundError, ProtocolError
from crdt_server.services.changes import UNLIMITED, ChangeLimit
from crdt_server.services.entries import Changed, MembershipError, Now, audit_entry, described
from storage import (
    BoundReached,
    MemberChange,
    NewAuditEntry,
    PolicyOverride,
    Storage,
    StoredDevice,
    StoredInvitation,
    StoredMember,
)

INVITATIONS: Final = 1_000
"""Invitations of a wedding that nobody has used."""

INVITATIONS_OF_PERSON: Final = 500
"""Of these, those that one person has made who is not of the couple: a planner invites all guests of a large wedding,
and leaves room for others."""

LISTED: Final = 500
"""Members of a page."""

LONGEST_INVITATION_SECONDS: Final = 90 * 86_400
SEEN_WITHIN: Final = timedelta(days=30)
"""A device that was not given new tokens for so long has ended."""

_ALPHABET: Final = "ABCDEFGHJKMNPQRSTVWXYZ23456789"
_GROUPS, _GROUP = 4, 4  # 16 characters of 30: 78 bits


_Decide: TypeAlias = Callable[[StoredMember | None, int], MemberChange]


class Invited(NamedTuple):
    """An invitation with its code, which is not kept."""

    invitation: StoredInvitation
    code: str


class MemberService:
    """See the head of the file. ``actor`` is who wants it. Methods raise ForbiddenError, NotFoundError, ProtocolError
    for what nobody can be, MembershipError, and RateLimitError for more ``changes`` than one person makes."""

    def __init__(
        self,
        storage: Storage,
        now: Now,
        changed: Changed,
        policy: Policy | None = None,
        *,
        changes: ChangeLimit = UNLIMITED,
    ) -> None:
        self._storage = storage
        self._now = now
        self._changed = changed
        self._policy = policy or default_policy()
        self._changes = changes

    async def rights_in(self, wedding: str) -> MemberRights:
        """The rights of each role over the members of a wedding."""
        return await read_rights(self._storage, wedding, self._policy)

    # -- members

    async def page(
        self, wedding: str, actor: Identity, after: str = "", limit: int = LISTED
    ) -> tuple[list[StoredMember], str | None]:
        """The next members behind a user, without those that were removed, and the user behind whom there may be more;
        None: these were the last."""
        require_allowed((await self.rights_in(wedding)).may_read(actor))
        found = await self._storage.members_behind(wedding, after, limit + 1)
        return found[:limit], found[limit - 1].user if len(found) > limit else None

    async def add(self, wedding: str, actor: Identity, person: Identity) -> StoredMember:
        """Make a person a member."""
        _require_possible(person)
        rights = await self.rights_in(wedding)

        def decide(before: StoredMember | None, _: int) -> MemberChange:
            require_allowed(rights.may_manage(actor, person.role))
            if before is not None and before.removed_at is None:
                raise MembershipError("member_exists", "this user is a member already: change the role instead")
            return self._change(actor, "member.added", person)

        return await self._store(wedding, actor, person.user, decide)

    async def change(self, wedding: str, actor: Identity, user: str, fields: Mapping[str, str]) -> StoredMember:
        """Give a member another role, or another name. With another role it leaves threads of types that are not for
        that."""
        rights = await self.rights_in(wedding)

        def decide(before: StoredMember | None, others: int) -> MemberChange:
            member = _present(before)
            person = changed_person(_person(member), fields)
            require_allowed(rights.may_manage(actor, member.role, person.role))
            if person.role != COUPLE:
                _keep_couple(member, others)
            _require_possible(person)
            change = self._change(actor, "member.changed", person, member)
            return change if person.role == member.role else change._replace(leaves=rights.types_left(person))

        return await self._store(wedding, actor, user, decide)

    async def remove(self, wedding: str, actor: Identity, user: str) -> StoredMember:
        """Remove a member, whose devices, invitations and grants end, who takes part in no thread any more, and whose
        inbox is emptied."""
        rights = await self.rights_in(wedding)

        def decide(before: StoredMember | None, others: int) -> MemberChange:
            member = _present(before)
            require_allowed(rights.may_manage(actor, member.role))
            _keep_couple(member, others)
            at = self._now()
            entry = audit_entry(at, actor.user, "member.removed", **described(_person(member)))
            return MemberChange(member._replace(removed_at=at), entry)

        return await self._store(wedding, actor, user, decide)

    def _change(
        self, actor: Identity, action: str, person: Identity, before: StoredMember | None = None
    ) -> MemberChange:
        at = self._now()
        was = {} if before is None else {"before": described(_person(before))}
        member = StoredMember(*_columns(person), actor.user if before is None else before.added_by, at)
        return MemberChange(member, audit_entry(at, actor.user, action, **described(person), **was))

    async def _store(self, wedding: str, actor: Identity, user: str, decide: _Decide) -> StoredMember:
        try:
            with self._changes.count(wedding, actor.user) as counted:
                member, version = await self._storage.change_member(wedding, user, decide)
                counted.is_stored = version > 0
        except BoundReached as error:
            raise MembershipError("too_many_members", str(error)) from error
        if version:
            self._changed(wedding)
        return member

    # -- invitations

    async def invite(self, wedding: str, actor: Identity, person: Identity, seconds: int) -> Invited:
        """Invite a person, who is a member with the first use of the code. Without a user one is made up."""
        if not person.user:
            person = person._replace(user=f"u_{secrets.token_hex(8)}")
        _require_possible(person)
        require_allowed((await self.rights_in(wedding)).may_manage(actor, person.role))
        at, code = self._now(), _new_code()
        expires = at + timedelta(seconds=min(seconds, LONGEST_INVITATION_SECONDS))
        invitation = StoredInvitation(f"i_{secrets.token_hex(8)}", *_columns(person), actor.user, at, expires)
        entry = audit_entry(at, actor.user, "invitation.made", invitation=invitation.id, **described(person))
        own = None if actor.role == COUPLE else INVITATIONS_OF_PERSON
        try:
            with self._changes.count(wedding, actor.user):
                await self._storage.invite(
                    wedding, digest_of_code(code), invitation, INVITATIONS, entry, most_of_person=own
                )
        except BoundReached as error:
            refusal = "too_many_own_invitations" if error.of_person else "too_many_invitations"
            raise MembershipError(refusal, str(error)) from error
        return Invited(invitation, code)

    async def invitations(self, wedding: str, actor: Identity) -> list[StoredInvitation]:
        """The invitations that nobody has used, without their codes."""
        require_allowed((await self.rights_in(wedding)).may_read(actor))
        return await self._storage.invitations(wedding, self._now())

    async def withdraw(self, wedding: str, actor: Identity, id_: str) -> None:
        """End an invitation."""
        rights = await self.rights_in(wedding)

        def decide(found: StoredInvitation) -> NewAuditEntry:
            require_allowed(rights.may_manage(actor, found.role))
            return audit_entry(self._now(), actor.user, "invitation.withdrawn", invitation=found.id, user=found.user)

        with self._changes.count(wedding, actor.user):
            if not await self._storage.withdraw(wedding, id_, decide):
                raise NotFoundError("not_found", "no such invitation")

    # -- devices

    async def devices(self, wedding: str, actor: Identity) -> list[StoredDevice]:
        """The devices of the members, or to whom may not read those, one's own."""
        require_allowed(may_read_own(actor))
        user = None if (await self.rights_in(wedding)).may_read(actor) is None else actor.user
        return await self._storage.devices(wedding, user, self._now() - SEEN_WITHIN)

    async def revoke(self, wedding: str, actor: Identity, device: str) -> None:
        """End a device: one's own, or one of a member that one may change."""
        require_allowed(may_change_own(actor))
        rights, at = await self.rights_in(wedding), self._now()

        def decide(found: StoredDevice, member: StoredMember | None) -> NewAuditEntry:
            if found.user != actor.user:
                require_allowed(rights.may_manage(actor, "" if member is None else member.role))
            return audit_entry(at, actor.user, "device.revoked", device=device, user=found.user)

        with self._changes.count(wedding, actor.user):
            if not await self._storage.revoke_device(wedding, device, decide, at):
                raise NotFoundError("not_found", "no such device")
        self._changed(wedding)

    # -- policy

    async def overrides(self, wedding: str, actor: Identity) -> list[PolicyOverride]:
        """The cells of the policy that the couple has changed."""
        require_allowed((await self.rights_in(wedding)).may_read(actor))
        return await self._storage.overrides(wedding)

    async def override(self, wedding: str, actor: Identity, role: str, category: str, rights: str | None) -> None:
        """Change one cell of the policy; None: it is as for all weddings again."""
        require_allowed((await self.rights_in(wedding)).may_override(actor))
        try:
            self._policy.check_override(role, category, rights or "N")
        except PolicyError as error:
            raise ProtocolError("invalid_request", str(error)) from error
        at = self._now()
        change = PolicyOverride(role, category, rights or "", actor.user, at)
        entry = audit_entry(at, actor.user, "policy.changed", role=role, category=category, rights=rights)
        with self._changes.count(wedding, actor.user) as counted:
            version = await self._storage.set_override(wedding, change, entry, keep=rights is not None)
            counted.is_stored = version > 0
        if version:
            self._changed(wedding)


async def read_rights(storage: Storage, wedding: str, policy: Policy) -> MemberRights:
    """The rights of each role over the members of a wedding, with the cells that the couple has changed."""
    overrides = {(each.role, each.category): each.rights for each in await storage.overrides(wedding)}
    return MemberRights(policy, overrides)


def digest_of_code(code: str) -> str:
    """The digest of a code as `plain_code` has it, or of a refresh token, under which it is kept."""
    return sha256(code.encode("utf-8", "surrogatepass")).hexdigest()


def plain_code(typed: str) -> str:
    """A code as somebody has typed it, as it was made."""
    letters = "".join(filter(str.isalnum, typed.upper()))
    return "-".join(letters[begin : begin + _GROUP] for begin in range(0, len(letters), _GROUP))


def changed_person(person: Identity, fields: Mapping[str, str]) -> Identity:
    """A person with other fields. Another role begins without the vendor, guest and side of the one before."""
    if fields.get("role", person.role) != person.role:
        person = person._replace(vendor="", guest="", side="")
    return person._replace(**fields)


def _new_code() -> str:
    return plain_code("".join(secrets.choice(_ALPHABET) for _ in range(_GROUPS * _GROUP)))


def _columns(person: Identity) -> tuple[str, str, str, str, str, str]:
    return person.user, person.role, person.vendor, person.guest, person.side, person.name


def _person(member: StoredMember) -> Identity:
    return Identity(member.user, member.role, member.vendor, member.guest, member.side, name=member.name)


def _require_possible(person: Identity) -> None:
    fault = fault_of(person)
    if fault is not None:
        raise ProtocolError("invalid_request", fault)


def _present(member: StoredMember | None) -> StoredMember:
    if member is None or member.removed_at is not None:
        raise NotFoundError("not_found", "no such member")
    return member


def _keep_couple(member: StoredMember, others: int) -> None:
    if member.role == COUPLE and not others:
        raise MembershipError("last_of_couple", "nobody else may do everything: give somebody the role couple first")
