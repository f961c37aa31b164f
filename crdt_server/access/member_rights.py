"""A person's rights over the members of one wedding: the category `members` of the policy, as the couple has changed
it. Nobody gets at the members of a role that their own does not reach, nor into it."""

from __future__ import annotations

from typing import NamedTuple

from crdt_server.access.access import Action, Decision, Denied
from crdt_server.access.identity import Identity
from crdt_server.access.policy import NO_OVERRIDES, OVERRIDERS, Overrides, Policy
from crdt_server.access.threads import types_left
from documents.categories import AccessCategory


class MemberRights(NamedTuple):
    """See the head of the file."""

    policy: Policy
    overrides: Overrides = NO_OVERRIDES

    def may_read(self, actor: Identity) -> Decision:
        """Whether somebody may read the members, their devices and their grants."""
        return self._may(actor, Action.READ)

    def may_read_audit(self, actor: Identity) -> Decision:
        """Whether somebody may read the audit log: those who administer members."""
        return self._may(actor, Action.ADMINISTER)

    def may_manage(self, actor: Identity, *roles: str) -> Decision:
        """Whether somebody may add, change or remove a member. ``roles``: those that the member has, and is to have."""
        decisions = (self._may(actor, Action.ADMINISTER, role) for role in roles or ("",))
        return next((denied for denied in decisions if denied is not None), None)

    def may_override(self, actor: Identity) -> Decision:
        """Whether somebody may change the policy of the wedding, or give grants."""
        if actor.role not in OVERRIDERS:
            return Denied("forbidden", f"only the {' and '.join(OVERRIDERS)} may do this")
        return self._may(actor, Action.ADMINISTER)

    def types_left(self, person: Identity) -> list[str]:
        """The types of threads in which a member with a new role takes part no more."""
        return types_left(self.policy, person, self.overrides)

    def _may(self, actor: Identity, action: Action, over: str = "") -> Decision:
        return self.policy.may(actor, AccessCategory.MEMBERS, action, self.overrides, over)
