"""Preferences of people: everybody has their own, and nobody has those of another."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from crdt_server.access.access import require_allowed
from crdt_server.access.identity import Identity
from crdt_server.access.members import may_change_own, may_read_own
from crdt_server.services.entries import Now
from crdt_server.services.messaging.preferences import (
    Preferences,
    WeddingDefaults,
    as_json,
    defaults_in,
    next_digest,
    parse_preferences,
)
from crdt_server.services.messaging.unsubscribe import LinkTarget
from crdt_server.services.wedding_meta import wedding_meta
from storage import PreferenceChange, Storage, StoredPreferences


class OwnPreferences(NamedTuple):
    """Preferences as a person has set them, and as they are with the defaults of the wedding."""

    chosen: Preferences
    effective: Preferences
    digest_at: datetime | None


class PreferenceService:
    """See the head of the file. Methods raise ForbiddenError."""

    def __init__(self, storage: Storage, now: Now) -> None:
        self._storage = storage
        self._now = now

    async def of(self, wedding: str, actor: Identity) -> OwnPreferences:
        """One's own preferences."""
        require_allowed(may_read_own(actor))
        found = await self._storage.preferences(wedding, actor.user)
        return _shown(found or StoredPreferences("", self._now(), None), await self._defaults(wedding))

    async def replace(self, wedding: str, actor: Identity, preferences: Preferences) -> OwnPreferences:
        """Put one's own preferences in the place of those before."""
        require_allowed(may_change_own(actor))
        defaults = await self._defaults(wedding)
        stored = await self._change(wedding, actor.user, defaults, lambda _: preferences)
        return _shown(stored, defaults)

    async def unsubscribe(self, target: LinkTarget) -> None:
        """Switch a group off on a channel; nothing changes where it is off."""
        wedding, user, channel, group = target
        defaults = await self._defaults(wedding)
        await self._change(wedding, user, defaults, lambda before: before.without(group, channel))

    async def _change(
        self, wedding: str, user: str, defaults: WeddingDefaults, changed: Callable[[Preferences], Preferences]
    ) -> StoredPreferences:
        now = self._now()

        def decide(body: str, digest_at: datetime | None) -> PreferenceChange:
            after = changed(parse_preferences(body))
            if digest_at is not None and digest_at > now:  # what is due is made as it was planned
                digest_at = next_digest(after.within(defaults), now)
            return PreferenceChange(json.dumps(as_json(after), ensure_ascii=False), digest_at)

        return await self._storage.change_preferences(wedding, user, decide, now)

    async def _defaults(self, wedding: str) -> WeddingDefaults:
        return defaults_in(await wedding_meta(self._storage, wedding))


def _shown(stored: StoredPreferences, defaults: WeddingDefaults) -> OwnPreferences:
    chosen = parse_preferences(stored.body)
    return OwnPreferences(chosen, chosen.within(defaults), stored.digest_at)
