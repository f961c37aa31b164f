"""Access of ``--dev`` in which somebody can look as any role."""

from __future__ import annotations

from crdt_server.access.access import Action, Credentials, Decision, DevAccess, Target
from crdt_server.access.identity import Identity
from crdt_server.access.policy import NO_RIGHTS, Policy, default_policy
from crdt_server.access.policy_access import FindDerived, decide, no_derived


class RoleSwitch(DevAccess):
    """Everybody may do everything; with ``enforce=1`` in the query, what the policy allows the role of the query.

    Whoever is held to the policy has `Identity.rights`.
    """

    def __init__(self, policy: Policy | None = None, find_derived: FindDerived = no_derived) -> None:
        self.policy = policy or default_policy()
        self._find_derived = find_derived

    def identify(self, credentials: Credentials, wedding: str) -> Identity:
        """See `DevAccess.identify`."""
        identity = super().identify(credentials, wedding)
        if credentials.query.get("enforce") != "1":
            return identity
        known = identity.role in self.policy.roles
        return identity._replace(rights=self.policy.rights_to_write(identity.role) if known else NO_RIGHTS)

    def may(self, identity: Identity, action: Action, wedding: str, target: Target) -> Decision:
        """See `Access.may`."""
        return decide(self.policy, identity, action, target, self._find_derived) if identity.rights else None
