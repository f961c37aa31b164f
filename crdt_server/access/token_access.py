"""Tokens beside ``--dev``: a request with a token is that of its person, one without is anybody's."""

from __future__ import annotations

from collections.abc import Awaitable

from crdt_server.access.access import Access, Credentials, Identified
from crdt_server.access.policy_access import FindDerived, no_derived
from crdt_server.access.role_switch import RoleSwitch
from crdt_server.access.tokens import token_of


class TokenOrDevAccess(RoleSwitch):
    """See the head of the file. ``tokens`` decides who sends a request that has one."""

    def __init__(self, tokens: Access, find_derived: FindDerived = no_derived) -> None:
        super().__init__(find_derived=find_derived)
        self._tokens = tokens

    def identify(  # type: ignore[override]  # tokens expire, names in a query do not
        self, credentials: Credentials, wedding: str
    ) -> Identified | Awaitable[Identified]:
        """See `Access.identify`."""
        if token_of(credentials):
            return self._tokens.identify(credentials, wedding)
        return super().identify(credentials, wedding)
