"""Changes of rights for tests, and an access that follows the members of a wedding."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from crdt_server.access.access import Action, Decision, Denied, DevAccess, Target
from crdt_server.access.identity import Authenticated, Identity
from crdt_server.access.members import WeddingRights, current_identity
from crdt_server.hub.hub import Hub
from storage import MemberChange, NewAuditEntry, Storage, StoredMember
from tests.rooms.person import Person

SECRET, READ, GRANTED = "notes.secret", "notes.read", "notes.granted"


class MembersAccess(DevAccess):
    """Guests may not open `SECRET`, and only read `READ`; `GRANTED` takes a grant."""

    def __init__(self) -> None:
        self._rights = WeddingRights()

    def recheck(self, held: Authenticated, wedding: str, rights: WeddingRights) -> Identity | Denied:
        self._rights = rights
        return current_identity(held, rights)

    def may(self, identity: Identity, action: Action, wedding: str, target: Target) -> Decision:
        if target == SECRET and identity.role == "guest":
            return Denied("forbidden", "not for guests")
        if target == READ and identity.role == "guest" and action is Action.WRITE:
            return Denied("forbidden", "guests only read")
        if target == GRANTED and not self._rights.granted(identity.user, GRANTED, time.time()):
            return Denied("forbidden", "no grant")
        return None


async def put_member(storage: Storage, user: str, role: str, *, removed: bool = False, wedding: str = "w") -> None:
    """Add, change or remove a member in the store; nobody is informed."""
    at = datetime.now(UTC)
    member = StoredMember(user, role, "", "", "", "", "u_aroha", at, at if removed else None)
    entry = NewAuditEntry("2026-06-20T13:30:00Z", "u_aroha", "member", "{}")
    await storage.change_member(wedding, user, lambda *_: MemberChange(member, entry))


def member_of(hub: Hub, document: str, client_id: int, *, wedding: str = "w", device: str = "") -> Person:
    """A person whose role the members of the wedding have decided about."""
    person = Person(hub, document, client_id, wedding=wedding)
    person.session.authenticated = Authenticated(person.identity, None, device, by_members=True)
    return person
