"""`PolicyAccess`: proof of identity, the members of weddings, and the policy, as the one `Access` of a server.

- What a role has no right to is denied. A document that every wedding has (`budget`) is then forbidden; one whose name
  says something (`thread.t_1`, `timeline@v.v_2`) is not found, whether or not there is one.
- Derived documents decide by themselves whom they admit; the policy has to allow their category as well.
- A grant opens one document to one person, to be read, for as long as it holds and the person has a role that asks for
  grants.
- A thread is open to those who take part in it, and unless it is for those alone, to roles that read all messages.
- Without I/O: the members of a wedding may come later, the overrides of a wedding are those in memory.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Final, Protocol, TypeAlias

from crdt_server.access.access import Action, Credentials, Decision, Denied, Identified, Reach, Target
from crdt_server.access.identity import SERVER, Authenticated, Identity
from crdt_server.access.later import Later
from crdt_server.access.members import (
    GRANTEES,
    KnownMember,
    KnownMembers,
    KnownThread,
    Lost,
    WeddingRights,
    current_identity,
    standing,
)
from crdt_server.access.policy import NO_OVERRIDES, NO_RIGHTS, Overrides, Policy, default_policy
from crdt_server.access.scopes import in_scope, narrowed, outside_scope
from crdt_server.access.threads import NOT_FOUND, decide_thread, thread_of
from documents.categories import AccessCategory, category_of
from documents.registry import kind_of


class VerifiedClaims(Protocol):
    """The content of a proof that was verified. ``wedding`` "": of any wedding; ``role`` "": its members decide."""

    @property
    def user(self) -> str: ...
    @property
    def wedding(self) -> str: ...
    @property
    def role(self) -> str: ...
    @property
    def vendor(self) -> str: ...
    @property
    def guest(self) -> str: ...
    @property
    def side(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def scope(self) -> str: ...
    @property
    def device(self) -> str: ...
    @property
    def expires_at(self) -> float | None: ...


class MembersPort(Protocol):
    """The members of all weddings."""

    def of(self, wedding: str) -> KnownMembers | Awaitable[KnownMembers]:
        """The members of a wedding; an awaitable where they have to be read first, as its overrides are then."""

    def overrides(self, wedding: str) -> Overrides:
        """The overrides of a wedding, as far as they are in memory."""

    def granted(self, wedding: str, user: str, document: str) -> bool:
        """Whether a user has a grant to read a document now, as far as grants are in memory."""

    def thread(self, wedding: str, thread: str) -> KnownThread | None:
        """A thread of a wedding; None: there is none."""


class AudienceDocument(Protocol):
    """A document that the server derives from another one for an audience."""

    @property
    def source(self) -> str:
        """The document from which it is derived."""

    def admits(self, role: str, vendor: str, guest: str, side: str) -> bool:
        """Whether a person belongs to the audience."""


class NoMembers:
    """`MembersPort` of a server whose proofs of identity hold the roles."""

    def of(self, wedding: str) -> NoMembers:
        """See `MembersPort`."""
        return self

    def member(self, user: str) -> KnownMember | None:
        """Nobody."""
        return None

    def revoked(self, device: str) -> bool:
        """Never."""
        return False

    def overrides(self, wedding: str) -> Overrides:
        """None."""
        return NO_OVERRIDES

    def granted(self, wedding: str, user: str, document: str) -> bool:
        """Never."""
        return False

    def thread(self, wedding: str, thread: str) -> KnownThread | None:
        """None."""
        return None


FindDerived = Callable[[str], AudienceDocument | None]
"""A derived document by its name; None where there is none."""


def no_derived(name: str) -> None:
    """The `FindDerived` of a server without derived documents."""
    return


Verified: TypeAlias = VerifiedClaims | Denied
Verify = Callable[[Credentials, str | None], Verified | Awaitable[Verified]]
"""Verifies the proof in the credentials of a request to a wedding; None: to none in particular."""

_GRANTED: Final = frozenset((Action.READ, Action.READ_PART))
"""The actions that a grant allows: a document is never written by one."""

_NO_MEMBER: Final = Denied("forbidden", "not a member of this wedding")


class PolicyAccess:
    """See the head of the file."""

    def __init__(
        self,
        verify: Verify,
        members: MembersPort | None = None,
        policy: Policy | None = None,
        find_derived: FindDerived = no_derived,
    ) -> None:
        self._verify = verify
        self._members: MembersPort = members or NoMembers()
        self._find_derived = find_derived
        self.policy = policy or default_policy()

    def identify(self, credentials: Credentials, wedding: str) -> Identified | Awaitable[Identified]:
        """The person that the proof names, in the role that the proof or the members of the wedding give."""
        verified = self._verify(credentials, wedding)
        if isawaitable(verified):
            return Later(verified, lambda claims: self._person(claims, wedding))
        return self._person(verified, wedding)

    def _person(self, claims: Verified, wedding: str) -> Identified | Awaitable[Identified]:
        if isinstance(claims, Denied):
            return claims
        if claims.wedding not in ("", wedding):
            return _NO_MEMBER
        members = self._members.of(wedding)
        if isawaitable(members):
            return Later(members, lambda found: self._in_wedding(claims, wedding, found))
        return self._in_wedding(claims, wedding, members)

    def _in_wedding(self, claims: VerifiedClaims, wedding: str, members: KnownMembers) -> Identified:
        if claims.user in ("", SERVER.user):
            return _NO_MEMBER
        member = standing(members, claims.user, claims.device, claims.role)
        if isinstance(member, Lost):
            # The token of a revoked device proves nothing any more: its owner signs in again.
            return Denied("unauthenticated" if member is Lost.DEVICE else "forbidden", member.value)
        given = claims if claims.role else member
        if given is None or given.role not in self.policy.roles:
            return _NO_MEMBER
        name = given.name or claims.name
        identity = Identity(claims.user, given.role, given.vendor, given.guest, given.side, name=name)
        identity = self.with_rights(identity._replace(scope=claims.scope), wedding)
        return Authenticated(identity, claims.expires_at, claims.device, by_members=not claims.role)

    def reach(self, credentials: Credentials) -> Reach | Denied | Awaitable[Reach | Denied]:
        """See `KnowsReach`."""
        verified = self._verify(credentials, None)
        return Later(verified, _reach_of) if isawaitable(verified) else _reach_of(verified)

    def in_memory(self, identity: Identity, wedding: str) -> Identity | Awaitable[Identity]:
        """An identity that did not come from `identify`, when the rights of the wedding are in memory."""
        members = self._members.of(wedding)
        return Later(members, lambda _: identity) if isawaitable(members) else identity

    def with_rights(self, identity: Identity, wedding: str) -> Identity:
        """See `RightsOfRoles`."""
        if identity == SERVER:
            return identity
        if identity.role not in self.policy.roles:
            return identity._replace(rights=NO_RIGHTS)
        return self._held_to(identity, self._members.overrides(wedding))

    def _held_to(self, identity: Identity, overrides: Overrides) -> Identity:
        """An identity in a role of the policy, with what it may write."""
        rights = self.policy.rights_to_write(identity.role, overrides)
        return identity._replace(rights=narrowed(rights, identity.scope))

    def recheck(self, held: Authenticated, wedding: str, rights: WeddingRights) -> Identity | Denied:
        """Somebody who was admitted before, by newer rights of the wedding: as now, or denied."""
        current = current_identity(held, rights)
        if isinstance(current, Denied) or current == SERVER:
            return current
        if current.role not in self.policy.roles:
            return _NO_MEMBER
        return self._held_to(current, rights.overrides)

    def may(self, identity: Identity, action: Action, wedding: str, target: Target) -> Decision:
        """See `Access.may`."""
        if identity == SERVER:  # programs of this process; nobody is identified as it
            return None
        overrides = self._members.overrides(wedding)
        denied = decide(self.policy, identity, action, target, self._find_derived, overrides)
        thread = thread_of(target) if isinstance(target, str) else None
        if thread is not None:
            known = self._members.thread(wedding, thread)
            return decide_thread(self.policy, identity, action, known, denied, overrides)
        if denied is None or action not in _GRANTED or not isinstance(target, str) or identity.role not in GRANTEES:
            return denied
        kind = kind_of(target.partition("@")[0])
        if kind is None or not in_scope(identity.scope, category_of(kind.name), action):
            return denied
        return None if self._members.granted(wedding, identity.user, target) else denied


def _reach_of(claims: Verified) -> Reach | Denied:
    return claims if isinstance(claims, Denied) else Reach(claims.user, claims.role, claims.wedding)


def decide(
    policy: Policy,
    identity: Identity,
    action: Action,
    target: Target,
    find_derived: FindDerived,
    overrides: Overrides = NO_OVERRIDES,
) -> Decision:
    """The decision of `Access.may` about somebody in a wedding with these overrides."""
    if identity.role not in policy.roles:
        return _NO_MEMBER
    if target is None:
        return None
    if isinstance(target, AccessCategory):
        return policy.may(identity, target, action, overrides)
    if "@" in target:
        return _derived_decision(policy, identity, action, target, find_derived(target), overrides)
    return _document_decision(policy, identity, action, target, overrides)


def _document_decision(
    policy: Policy, identity: Identity, action: Action, document: str, overrides: Overrides
) -> Decision:
    rule = policy.document_rule(document)
    if rule is None:
        return NOT_FOUND
    denied = policy.may(identity, rule.category, rule.read if action is Action.READ else action, overrides)
    if denied is None or "." not in document or policy.may(identity, rule.category, rule.read, overrides) is None:
        return denied
    return NOT_FOUND


def _derived_decision(
    policy: Policy,
    identity: Identity,
    action: Action,
    document: str,
    derived: AudienceDocument | None,
    overrides: Overrides,
) -> Decision:
    kind = None if derived is None else kind_of(derived.source)
    if derived is None or kind is None:
        return NOT_FOUND
    denied: Decision
    if derived.admits(identity.role, identity.vendor, identity.guest, identity.side):
        # Its fields decide what may be written in it.
        part = Action.READ_PART if action in (Action.READ, Action.WRITE) else action
        category = category_of(kind.name)
        denied = policy.may(identity, category, part, overrides)
        if denied is None and not in_scope(identity.scope, category, action):
            denied = outside_scope(category)
    else:
        denied = Denied("forbidden", f"the role {identity.role} may not open this document")
    return denied if denied is None or "." not in document else NOT_FOUND
