"""Tokens beside ``--dev``: a request with a token is that of its person, one without is anybody's."""

from __future__ import annotations

from collections.abc import Awaitable

from crdt_server.access.access import Credentials, Denied, Identified, Reach
from crdt_server.access.identity import Authenticated, Identity
from crdt_server.access.members import WeddingRights
from crdt_server.access.policy_access import PolicyAccess
from crdt_server.access.role_switch import RoleSwitch
from crdt_server.access.tokens import token_of


class TokenOrDevAccess(RoleSwitch):
    """See the head of the file. ``tokens`` decides who sends a request that has one, and what these may."""

    def __init__(self, tokens: PolicyAccess) -> None:
        super().__init__(enforced=tokens)
        self._tokens = tokens

    def identify(  # type: ignore[override]  # tokens expire, names in a query do not
        self, credentials: Credentials, wedding: str
    ) -> Identified | Awaitable[Identified]:
        """See `Access.identify`."""
        if token_of(credentials):
            return self._tokens.identify(credentials, wedding)
        identity = super().identify(credentials, wedding)
        return self._tokens.in_memory(identity, wedding) if identity.rights else identity

    def reach(self, credentials: Credentials) -> Reach | Denied | Awaitable[Reach | Denied]:
        """See `KnowsReach`."""
        return self._tokens.reach(credentials) if token_of(credentials) else super().reach(credentials)

    def recheck(self, held: Authenticated, wedding: str, rights: WeddingRights) -> Identity | Denied:
        """See `PolicyAccess.recheck`. A name in a query follows from no member."""
        return held.identity if held.expires_at is None else self._tokens.recheck(held, wedding, rights)
