"""Access of ``--dev`` in which somebody can look as any role."""

from __future__ import annotations

from crdt_server.access.access import Action, Credentials, Decision, Denied, DevAccess, Target
from crdt_server.access.identity import Identity
from crdt_server.access.policy import Policy
from crdt_server.access.policy_access import FindDerived, PolicyAccess, no_derived


class RoleSwitch(DevAccess):
    """Everybody may do everything; with ``enforce=1`` in the query, what the policy allows the role of the query.

    A person who is held to the policy has `Identity.rights`. ``enforced`` decides about them.
    """

    def __init__(
        self,
        policy: Policy | None = None,
        find_derived: FindDerived = no_derived,
        *,
        enforced: PolicyAccess | None = None,
    ) -> None:
        self._enforced = enforced or PolicyAccess(_no_proof, policy=policy, find_derived=find_derived)
        self.policy = self._enforced.policy

    def identify(self, credentials: Credentials, wedding: str) -> Identity:
        """See `DevAccess.identify`."""
        identity = super().identify(credentials, wedding)
        if credentials.query.get("enforce") != "1":
            return identity
        return self._enforced.with_rights(identity, wedding)

    def may(self, identity: Identity, action: Action, wedding: str, target: Target) -> Decision:
        """See `Access.may`."""
        return self._enforced.may(identity, action, wedding, target) if identity.rights else None


def _no_proof(credentials: Credentials, wedding: str | None) -> Denied:
    return Denied("unauthenticated", "no proof is verified here")
