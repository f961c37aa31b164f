"""Members of weddings: how many devices they have, and what they are known to be at a moment.

Pure: rights come in as they were read from the store.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

from crdt_server.access.access import Action, Decision, Denied
from crdt_server.access.identity import ROLES, SERVER, Authenticated, Identity
from crdt_server.access.policy import is_removed
from crdt_server.access.scopes import scope_decision
from documents.categories import AccessCategory

COUPLE: Final = "couple"
VENDOR_ROLES: Final = ("venue", "caterer", "photographer", "vendor")

MOST_DEVICES: Final[Mapping[str, int]] = MappingProxyType({"family": 5, "wedding_party": 5, "guest": 5})
DEVICES: Final = 20
"""Devices that a person has at a time, in the roles above and in all others."""

GRANTEES: Final = ("planner", "coordinator")
"""The roles that request grants. A grant counts as long as its person has one of them."""


class KnownMember(NamedTuple):
    """A member of a wedding, or one that was removed."""

    user: str
    role: str
    vendor: str = ""
    guest: str = ""
    side: str = ""
    name: str = ""
    removed: bool = False


class HeldGrant(NamedTuple):
    """A right of a user besides those of its role, until a moment in seconds since 1970."""

    user: str
    what: str
    until: float


class KnownThread(NamedTuple):
    """The properties of a thread that decide on access to it."""

    type: str
    users: frozenset[str]
    """Those who take part."""


@dataclass(frozen=True, slots=True, weakref_slot=True)
class WeddingRights:
    """All that decides about the rights in one wedding, as of a version of them."""

    version: int = 0
    members: Mapping[str, KnownMember] = field(default_factory=dict)
    overrides: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """Role and category -> rights, in place of those of the policy."""
    grants: tuple[HeldGrant, ...] = ()
    revoked_devices: frozenset[str] = frozenset()
    threads: Mapping[str, KnownThread] = field(default_factory=dict)

    def member(self, user: str) -> KnownMember | None:
        """The member, also where it was removed; None: there never was one."""
        return self.members.get(user)

    def revoked(self, device: str) -> bool:
        """Whether a device may not be used any more."""
        return device in self.revoked_devices

    def granted(self, user: str, what: str, now: float) -> bool:
        """Whether a user has a grant at a moment, in seconds since 1970."""
        return self.granted_until(user, what, now) is not None

    def granted_until(self, user: str, what: str, now: float) -> float | None:
        """The end of the longest grant that a user has at a moment, in seconds since 1970; None where there is none."""
        ends = (each.until for each in self.grants if each.user == user and each.what == what and now < each.until)
        return max(ends, default=None)

    def next_end(self, now: float) -> float | None:
        """When the next grant ends by itself."""
        return min((each.until for each in self.grants if each.until > now), default=None)


class KnownMembers(Protocol):
    """The members of one wedding, in memory."""

    def member(self, user: str) -> KnownMember | None:
        """The member, also where it was removed; None: there never was one."""

    def revoked(self, device: str) -> bool:
        """Whether a device may not be used any more."""


class Lost(enum.Enum):
    """The reason for which somebody takes no part in a wedding any more."""

    MEMBERSHIP = "not a member of this wedding any more"
    DEVICE = "this device was revoked"


def standing(members: KnownMembers, user: str, device: str, token_role: str) -> KnownMember | Lost | None:
    """The member as whom somebody takes part; None: there is none, or a removed one whom the role of the token lets in
    all the same. ``token_role`` "": the token names none."""
    member = members.member(user)
    if member is not None and member.removed:  # and all devices are revoked with it
        if is_removed(member.role, token_role):
            return Lost.MEMBERSHIP
        member = None
    return Lost.DEVICE if device and members.revoked(device) else member


def current_identity(held: Authenticated, rights: WeddingRights) -> Identity | Denied:
    """An identity that was admitted before, as it is by newer rights."""
    identity = held.identity
    if identity == SERVER:
        return identity
    member = standing(rights, identity.user, held.device, "" if held.by_members else identity.role)
    if isinstance(member, Lost):
        return Denied("forbidden", member.value)
    if member is None or not held.by_members:
        return identity
    return identity._replace(
        role=member.role,
        vendor=member.vendor,
        guest=member.guest,
        side=member.side,
        name=member.name or identity.name,
    )


def may_read_own(actor: Identity) -> Decision:
    """Whether somebody may read their own devices, grants, addresses and preferences: everybody, but for the scope of a
    token."""
    return scope_decision(actor.scope, AccessCategory.MEMBERS, Action.READ)


def may_change_own(actor: Identity) -> Decision:
    """Whether somebody may change them."""
    return scope_decision(actor.scope, AccessCategory.MEMBERS, Action.WRITE)


_OPTIONAL: Final = (("family", "guest"),)  # who of the family is a guest as well may pledge a contribution


def fault_of(person: Identity) -> str | None:
    """Why nobody can be a member like this."""
    if not person.user or person.user == SERVER.user:
        return "a member needs a user"
    if person.role not in ROLES:
        return f"role is one of {', '.join(ROLES)}"
    for name, needed in (
        ("vendor", person.role in VENDOR_ROLES),
        ("guest", person.role == "guest"),
        ("side", person.role == "family"),
    ):
        given = bool(getattr(person, name))
        if given is not needed and (person.role, name) not in _OPTIONAL:
            return f"the role {person.role} {'needs a' if needed else 'has no'} {name}"
    if person.side not in ("", "a", "b"):
        return "side is a or b"
    return person.fault


def most_devices(role: str) -> int:
    """How many devices a person in a role has at a time."""
    return MOST_DEVICES.get(role, DEVICES)
