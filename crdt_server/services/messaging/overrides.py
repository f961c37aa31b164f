"""The routing rules of a wedding that differ from `routing.toml`: only the couple changes them."""

from __future__ import annotations

import json
from typing import Any

from crdt_server.access.access import require_allowed
from crdt_server.access.identity import Identity
from crdt_server.access.policy import Policy
from crdt_server.errors import NotFoundError, ProtocolError
from crdt_server.services.changes import UNLIMITED, ChangeLimit
from crdt_server.services.entries import Now, audit_entry
from crdt_server.services.members import read_rights
from crdt_server.services.messaging.rules import RoutingRule, RoutingRules, RuleError, override
from storage import NewAuditEntry, RoutingOverride, Storage


class RoutingOverrides:
    """See the head of the file. Methods raise ForbiddenError, NotFoundError, and ProtocolError for a rule that cannot
    be understood or may not be changed, and RateLimitError for more ``changes`` than one person makes."""

    def __init__(
        self, storage: Storage, now: Now, rules: RoutingRules, policy: Policy, *, changes: ChangeLimit = UNLIMITED
    ) -> None:
        self._storage = storage
        self._now = now
        self._rules = rules
        self._policy = policy
        self._changes = changes

    async def rules(self, wedding: str, actor: Identity) -> tuple[RoutingRule, ...]:
        """All rules as they count for a wedding."""
        require_allowed((await read_rights(self._storage, wedding, self._policy)).may_read(actor))
        found = await self._storage.routing_overrides(wedding)
        return self._rules.overridden((each.rule, each.body) for each in found).all

    async def change(self, wedding: str, actor: Identity, name: str, body: dict[str, Any]) -> RoutingRule:
        """Change the audience or the channels of a rule; what is not given stays as for all weddings."""
        require_allowed((await read_rights(self._storage, wedding, self._policy)).may_override(actor))
        try:
            changed = override(self._named(name), body)
        except RuleError as error:
            raise ProtocolError("invalid_request", str(error)) from error
        at = self._now()
        text = json.dumps(body, ensure_ascii=False)
        entry = audit_entry(at, actor.user, "routing.changed", rule=name, body=text)
        await self._store(wedding, RoutingOverride(name, text, actor.user, at), entry)
        return changed

    async def restore(self, wedding: str, actor: Identity, name: str) -> None:
        """Have a rule as for all weddings again."""
        require_allowed((await read_rights(self._storage, wedding, self._policy)).may_override(actor))
        at, rule = self._now(), self._named(name)
        entry = audit_entry(at, actor.user, "routing.changed", rule=rule.name)
        await self._store(wedding, RoutingOverride(rule.name, "", actor.user, at), entry, keep=False)

    async def _store(self, wedding: str, changed: RoutingOverride, entry: NewAuditEntry, *, keep: bool = True) -> None:
        with self._changes.count(wedding, changed.by) as counted:
            counted.is_stored = await self._storage.set_routing_override(wedding, changed, entry, keep=keep)

    def _named(self, name: str) -> RoutingRule:
        rule = self._rules.named(name)
        if rule is None:
            raise NotFoundError("not_found", "no such rule")
        return rule
