"""When messages to people go out, by their preferences: `timings.Timings` on what is stored."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import datetime

from crdt_server.services.messaging.model import Channel, Priority
from crdt_server.services.messaging.preferences import (
    HoldUntil,
    InDigest,
    Plan,
    Preferences,
    SendNow,
    WeddingDefaults,
    defaults_in,
    group_of,
    parse_preferences,
    plan,
)
from crdt_server.services.messaging.timings import DROPPED, HELD, WAITING, Timing
from storage import RoutingReader


class PreferredTimings:
    """See the head of the file. ``bodies``: the stored preferences of those who have set any, by user."""

    def __init__(self, bodies: Mapping[str, str], wedding: WeddingDefaults) -> None:
        self._chosen = {user: parse_preferences(body).within(wedding) for user, body in bodies.items()}
        self._others = Preferences().within(wedding)

    def of(self, user: str, priority: int, type_: str, channel: Channel, now: datetime) -> Timing:
        """When a message about an event of a type goes out."""
        return _timing(plan(self._of(user), priority, group_of(type_), channel, now), now)

    def of_digest(self, user: str, type_: str, now: datetime) -> Timing:
        """When a message goes out by mail that a rule sends to the digest."""
        planned = plan(self._of(user), Priority.LIST, group_of(type_), Channel.MAIL, now, routed_to_digest=True)
        return _timing(planned, now)

    def _of(self, user: str) -> Preferences:
        return self._chosen.get(user, self._others)


def preferred_timings(reader: RoutingReader, users: Collection[str]) -> PreferredTimings:
    """The `timings.TimingsOf` of the preferences in the store."""
    fields = reader.records("wedding", "meta", [""]).get("", "")
    return PreferredTimings(reader.preferences(users), defaults_in(json.loads(fields or "{}")))


def _timing(planned: Plan, now: datetime) -> Timing:
    match planned:
        case SendNow():
            return Timing(WAITING, now)
        case HoldUntil(moment):
            return Timing(WAITING, moment)
        case InDigest(moment):
            return Timing(HELD, moment)
    return Timing(DROPPED, now)
