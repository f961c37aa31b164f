"""The preferences of a person about messages: the decision about one message on one channel. Pure.

- An emergency is sent at once, whatever anybody prefers. Urgent messages are sent in quiet hours too.
- For each group of types and channel a person may have `on`, `off` or `digest`. Without that, the rule of routing
  decides between `on` and `digest`.
- In quiet hours mail, SMS and push wait for their end. The inbox disturbs nobody, and has no digest.
- `digest` is a group of its own: off, the channel has no digest, and what were in it is only in the inbox.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, time
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeAlias

from crdt_server.services.messaging.local_time import QuietHours, next_time, quiet_until, zone_of
from crdt_server.services.messaging.model import Channel, Priority

TYPE_GROUPS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "emergencies": ("emergency",),
        "broadcasts": ("broadcast",),
        "messages": ("message", "thread"),
        "timeline": ("timeline",),
        "vendors": ("vendor", "integration"),
        "guests": ("guest", "household"),
        "care": ("care",),
        "seating": ("seating",),
        "budget": ("budget", "payment", "contribution", "approval"),
        "tasks": ("task",),
        "photos": ("photo",),
        "notes": ("doc",),
        "conflicts": ("conflict",),
        "members": ("member", "grant", "session"),
        "presence": ("presence",),
        "wedding": ("wedding", "event", "place"),
        "digest": ("digest",),
    }
)
"""Group -> first words of the types in it."""

OTHERS: Final = "others"
"""The group of every other type."""

GROUPS: Final = (*TYPE_GROUPS, OTHERS)
DIGEST: Final = "digest"
"""The group, and the type, of digests."""

PERSONAL: Final = (Channel.MAIL, Channel.SMS, Channel.PUSH)
"""Channels with an address of the person: they have quiet hours and a digest."""

DEFAULT_LANGUAGE: Final = "en"
DEFAULT_DIGEST_HOUR: Final = 8

_GROUP_OF: Final = {word: group for group, words in TYPE_GROUPS.items() for word in words}


class Mode(enum.StrEnum):
    """How a group of types comes on a channel."""

    ON = "on"
    OFF = "off"
    DIGEST = "digest"


class SendNow(NamedTuple):
    """The message is sent as soon as possible."""


class HoldUntil(NamedTuple):
    """The message is sent from a moment on."""

    moment: datetime


class InDigest(NamedTuple):
    """The message is held for the digest of a moment."""

    moment: datetime


class Drop(NamedTuple):
    """The message is not sent."""


Plan: TypeAlias = SendNow | HoldUntil | InDigest | Drop


@dataclass(frozen=True, slots=True)
class Preferences:
    """Of one person in one wedding."""

    language: str = ""
    """BCP 47; empty: that of the wedding."""
    timezone: str = ""
    """IANA; empty: that of the wedding."""
    quiet_hours: QuietHours | None = None
    digest_hour: int = DEFAULT_DIGEST_HOUR
    modes: Mapping[tuple[str, str], Mode] = field(default_factory=dict)
    """Group and channel -> what the person has set."""

    def within(self, wedding: WeddingDefaults) -> Preferences:
        """With language and time zone filled in."""
        language = self.language or wedding.language or DEFAULT_LANGUAGE
        return replace(self, language=language, timezone=self.timezone or wedding.timezone)

    def without(self, group: str, channel: str) -> Preferences:
        """With a group switched off on a channel."""
        return replace(self, modes={**self.modes, (group, channel): Mode.OFF})


class WeddingDefaults(NamedTuple):
    """Language and time zone of a wedding; empty where it has none."""

    language: str = ""
    timezone: str = ""


def group_of(type_: str) -> str:
    """The group of a type of events."""
    return _GROUP_OF.get(type_.partition(".")[0], OTHERS)


def plan(
    preferences: Preferences,
    priority: int,
    type_group: str,
    channel: Channel,
    now: datetime,
    *,
    routed_to_digest: bool = False,
) -> Plan:
    """Whether and when to send a message of a priority about a group of types. `preferences` are those `within` a
    wedding; `routed_to_digest`: the rule of routing names the digest, which holds where the person has set nothing."""
    if priority == Priority.EMERGENCY or channel is Channel.WEBHOOK:
        return SendNow()
    mode = preferences.modes.get((type_group, channel), Mode.DIGEST if routed_to_digest else Mode.ON)
    if mode is Mode.OFF:
        return Drop()
    if channel not in PERSONAL:
        return SendNow()
    if mode is Mode.DIGEST and type_group != DIGEST:
        off = preferences.modes.get((DIGEST, channel)) is Mode.OFF
        return Drop() if off else InDigest(next_digest(preferences, now))
    end = _quiet_end(preferences, priority, now)
    return SendNow() if end is None else HoldUntil(end)


def quiet_end(body: str, meta: str, priority: int, channel: Channel, now: datetime) -> datetime | None:
    """When the quiet hours end in which a message is not to be sent; None: it may be sent. ``body``: the stored
    preferences of its recipient, ``meta``: the fields of the wedding."""
    if not body or channel not in PERSONAL:
        return None
    return _quiet_end(parse_preferences(body).within(defaults_in(json.loads(meta or "{}"))), priority, now)


def _quiet_end(preferences: Preferences, priority: int, now: datetime) -> datetime | None:
    if priority <= Priority.URGENT:
        return None
    return quiet_until(preferences.quiet_hours, zone_of(preferences.timezone), now)


def is_refused(body: str, priority: int, type_: str, channel: Channel, now: datetime) -> bool:
    """Whether a person, whose stored preferences are ``body``, does not want a message any more that was planned when
    they had others."""
    return bool(body) and isinstance(plan(parse_preferences(body), priority, group_of(type_), channel, now), Drop)


def next_digest(preferences: Preferences, now: datetime) -> datetime:
    """When the next digest is due: at the hour of the person, or at the end of the quiet hours that it is in."""
    return next_time(preferences.digest_hour, preferences.quiet_hours, zone_of(preferences.timezone), now)


def defaults_in(meta: Mapping[str, Any]) -> WeddingDefaults:
    """Language and time zone in the record `meta` of a wedding."""
    return WeddingDefaults(str(meta.get("locale") or ""), str(meta.get("timeZone") or ""))


def parse_preferences(body: str) -> Preferences:
    """Preferences as they are stored; "" has the defaults."""
    stored: dict[str, Any] = json.loads(body) if body else {}
    quiet = stored.get("quiet_hours")
    return Preferences(
        stored.get("language", ""),
        stored.get("timezone", ""),
        None if quiet is None else QuietHours(time.fromisoformat(quiet["start"]), time.fromisoformat(quiet["end"])),
        stored.get("digest_hour", DEFAULT_DIGEST_HOUR),
        {
            (group, channel): Mode(mode)
            for group, channels in stored.get("types", {}).items()
            for channel, mode in channels.items()
        },
    )


def as_json(preferences: Preferences) -> dict[str, Any]:
    """Preferences as they are stored and shown."""
    quiet = preferences.quiet_hours
    types: dict[str, dict[str, str]] = {}
    for (group, channel), mode in sorted(preferences.modes.items()):
        types.setdefault(group, {})[str(channel)] = mode.value
    return {
        "language": preferences.language,
        "timezone": preferences.timezone,
        "quiet_hours": None if quiet is None else {"start": f"{quiet.start:%H:%M}", "end": f"{quiet.end:%H:%M}"},
        "digest_hour": preferences.digest_hour,
        "types": types,
    }
