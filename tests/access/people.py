"""One person of each role with a token, and an `Access` that knows them by those: a verifier and members as tables."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from crdt_server.access.access import Credentials, Denied
from crdt_server.access.members import KnownThread
from crdt_server.access.policy import NO_OVERRIDES, Overrides
from crdt_server.access.policy_access import FindDerived, PolicyAccess, no_derived
from tests.access.roles import ROLES

WEDDING = "w"


class TokenClaims(NamedTuple):
    """The content of a token."""

    user: str
    role: str = ""
    wedding: str = WEDDING
    vendor: str = ""
    guest: str = ""
    side: str = ""
    name: str = ""
    device: str = ""
    scope: str = ""
    expires_at: float | None = 2_000_000_000.0


class TableMember(NamedTuple):
    """A row of the members."""

    role: str
    vendor: str = ""
    guest: str = ""
    side: str = ""
    name: str = ""
    removed: bool = False


class TableMembers:
    """The members of every wedding; ``slow``: they come later."""

    def __init__(self, *, slow: bool = False) -> None:
        self.members: dict[str, TableMember] = {}
        self.revoked_devices: set[str] = set()
        self.set_overrides: dict[str, Overrides] = {}
        self.grants: set[tuple[str, str, str]] = set()
        self.threads: dict[str, KnownThread] = {}
        self._slow = slow

    def of(self, wedding: str) -> TableMembers | Awaitable[TableMembers]:
        return _later(self) if self._slow else self

    def member(self, user: str) -> TableMember | None:
        return self.members.get(user)

    def revoked(self, device: str) -> bool:
        return device in self.revoked_devices

    def overrides(self, wedding: str) -> Overrides:
        return self.set_overrides.get(wedding, NO_OVERRIDES)

    def granted(self, wedding: str, user: str, document: str) -> bool:
        return (wedding, user, document) in self.grants

    def thread(self, wedding: str, thread: str) -> KnownThread | None:
        return self.threads.get(thread)


async def _later(members: TableMembers) -> TableMembers:
    await asyncio.sleep(0)
    return members


TOKENS: dict[str, TokenClaims | Denied] = {
    **{f"t_{role}": TokenClaims(f"u_{role}", role, vendor="v_1", guest="g_1", side="a") for role in ROLES},
    **{f"e_{role}": TokenClaims(f"u_{role}", role, wedding="events") for role in ROLES},
    "t_member": TokenClaims("u_member", device="d_1"),
    "t_elsewhere": TokenClaims("u_else", "couple", wedding="other"),
    "t_removed": TokenClaims("u_removed", "couple"),
    "t_unknown": TokenClaims("u_unknown"),
    "t_server": TokenClaims("server", "couple"),
    "t_no_such_role": TokenClaims("u_admin", "admin"),
    "t_expired": Denied("unauthenticated", "the token has expired"),
}
NO_TOKEN = Denied("unauthenticated", "a token is missing")


def verify(credentials: Credentials, wedding: str) -> TokenClaims | Denied:
    """The claims of the query parameter ``token``, or of the header."""
    token = credentials.query.get("token") or credentials.headers.get("authorization", "").removeprefix("Bearer ")
    return TOKENS.get(token, NO_TOKEN)


async def verify_later(credentials: Credentials, wedding: str) -> TokenClaims | Denied:
    """`verify`, as where keys have to be fetched."""
    await asyncio.sleep(0)
    return verify(credentials, wedding)


def people(
    *, slow: bool = False, verifier: Callable[..., object] = verify, find_derived: FindDerived = no_derived
) -> tuple[PolicyAccess, TableMembers]:
    """An access that knows `TOKENS`, and its members."""
    members = TableMembers(slow=slow)
    members.members["u_removed"] = TableMember("couple", removed=True)
    members.members["u_member"] = TableMember("planner", name="Mia")
    return PolicyAccess(verifier, members, find_derived=find_derived), members  # type: ignore[arg-type]
