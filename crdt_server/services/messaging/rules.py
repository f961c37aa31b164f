"""The rules of `routing.toml`: which events concern which people, and in which channels they go out. Data.

A wedding may have some of them otherwise: another audience, other channels, or none.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final

from crdt_server.access.identity import ROLES
from crdt_server.services.messaging.model import Channel

FILE: Final = "routing.toml"

WORDS: Final = (
    "everyone",
    "vendors",
    "flagged",
    "neighbours",
    "payee",
    "participants",
    "mentioned",
    "joined",
    "deciders",
    "parties",
    "assignee",
    "subject",
)
"""The audiences besides roles."""

SEVERITIES: Final = ("info", "warning", "error", "critical")
DIGEST: Final = "digest"
"""Stands for mail that is held for the next digest."""

CHANNELS: Final = (Channel.INBOX, Channel.MAIL, Channel.SMS, Channel.PUSH, DIGEST)
MOST_SENDS: Final = 10
"""Channels with their conditions in one rule."""

MOST_HOURS, MOST_DAYS, MOST_MINUTES = 24 * 365, 730, 24 * 60


MOST_OVERRIDDEN: Final = 200
"""Weddings whose rules are kept in memory: 20 rules of MOST_SENDS channels take 50 KB."""


class RuleError(ValueError):
    """A rule that cannot be understood, or may not be set."""


@dataclass(frozen=True, slots=True)
class Send:
    """One channel of a rule, and the conditions under which a message goes out in it."""

    channel: Channel
    digest: bool = False
    """Whether it is held for the next digest."""
    counted: bool = False
    severities: tuple[str, ...] = ()
    live: bool = False
    starts_within_hours: int = 0
    days_before: int = -1
    """-1: however many are left."""
    unread_minutes: int = 0
    absent: bool = False

    def as_json(self) -> str | dict[str, Any]:
        """As in the file."""
        channel = DIGEST if self.digest else self.channel.value
        conditions = {name: getattr(self, name) for name in _CONDITIONS if getattr(self, name) != _CONDITIONS[name]}
        conditions = {name: list(value) if isinstance(value, tuple) else value for name, value in conditions.items()}
        return {"channel": channel, **conditions} if conditions else channel


_CONDITIONS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "counted": False,
        "severities": (),
        "live": False,
        "starts_within_hours": 0,
        "days_before": -1,
        "unread_minutes": 0,
        "absent": False,
    }
)
_NUMBERS: Final = MappingProxyType(
    {"starts_within_hours": MOST_HOURS, "days_before": MOST_DAYS, "unread_minutes": MOST_MINUTES}
)


@dataclass(frozen=True, slots=True)
class RoutingRule:
    """One rule."""

    name: str
    events: tuple[str, ...]
    audience: tuple[str, ...]
    send: tuple[Send, ...]
    severities: tuple[str, ...] = ()
    tells: tuple[str, ...] | None = None
    """Fields that the audience is told although it may not read the document; None: nobody is."""
    fixed: bool = False
    overridden: bool = False

    def fits(self, type_: str, severity: str) -> bool:
        """Whether it is about events of a type and severity."""
        return any(_matches(pattern, type_) for pattern in self.events) and (
            not self.severities or severity in self.severities
        )

    def as_json(self) -> dict[str, Any]:
        """The rule as plain JSON."""
        return {
            "name": self.name,
            "events": list(self.events),
            "severities": list(self.severities),
            "audience": list(self.audience),
            "send": [each.as_json() for each in self.send],
            "fixed": self.fixed,
            "overridden": self.overridden,
        }


def _matches(pattern: str, type_: str) -> bool:
    return type_.startswith(pattern[:-1]) if pattern.endswith(".*") else type_ == pattern


class RoutingRules:
    """All rules, in their order."""

    def __init__(self, rules: Iterable[RoutingRule], later: Sequence[str] = ()) -> None:
        self.all = tuple(rules)
        self.later = tuple(later)
        """Types, or patterns of types, of which there are no events yet."""
        self._by_type: dict[str, tuple[RoutingRule, ...]] = {}
        self._overridden: dict[bytes, RoutingRules] = {}  # by what is changed

    def about(self, type_: str) -> tuple[RoutingRule, ...]:
        """The rules that events of a type may fall under, in order; none: they are routed to nobody."""
        found = self._by_type.get(type_)
        if found is None:  # there are as many as types of events
            found = tuple(rule for rule in self.all if any(_matches(each, type_) for each in rule.events))
            self._by_type[type_] = found
        return found

    def named(self, name: str) -> RoutingRule | None:
        """A rule by its name."""
        return next((rule for rule in self.all if rule.name == name), None)

    def overridden(self, overrides: Iterable[tuple[str, str]]) -> RoutingRules:
        """The rules of a wedding: ``overrides`` are names of rules with their bodies as JSON. One that cannot be
        understood any more counts as none."""
        given = tuple(overrides)
        if not given:
            return self
        key = sha256(repr(given).encode()).digest()
        found = self._overridden.get(key)
        if found is None:  # which takes as long as to decide about ten events
            found = self._with(given)
            self._overridden[key] = found
            if len(self._overridden) > MOST_OVERRIDDEN:
                self._overridden.clear()
        return found

    def _with(self, overrides: Iterable[tuple[str, str]]) -> RoutingRules:
        changed: dict[str, RoutingRule] = {}
        for name, body in overrides:
            rule = self.named(name)
            if rule is None:
                continue
            try:
                changed[name] = override(rule, json.loads(body))
            except (RuleError, ValueError):
                continue
        return RoutingRules((changed.get(rule.name, rule) for rule in self.all), self.later) if changed else self


def override(rule: RoutingRule, body: Any) -> RoutingRule:
    """A rule with another audience, or other channels. Raises RuleError for what a couple may not set."""
    if rule.fixed:
        raise RuleError(f"the rule {rule.name} cannot be changed")
    if not isinstance(body, dict) or not body or not set(body) <= {"audience", "send"}:
        raise RuleError("an override has an audience, or channels to send in, or both")
    audience = _audience(body["audience"], rule.name) if "audience" in body else rule.audience
    if rule.tells is not None and not set(audience) <= set(rule.audience):
        raise RuleError(f"the audience of {rule.name} is told what it may not read: it can only be made smaller")
    send = _sends(body["send"], rule.name) if "send" in body else rule.send
    return replace(rule, audience=audience, send=send, overridden=True)


@cache
def default_rules() -> RoutingRules:
    """The rules that ship with the package."""
    return parse_rules(files("crdt_server.services.messaging").joinpath(FILE).read_text("utf-8"))


def parse_rules(content: str) -> RoutingRules:
    """Rules in the form of `routing.toml`. Raises RuleError with the place of the fault."""
    try:
        found = tomllib.loads(content)
    except tomllib.TOMLDecodeError as error:
        raise RuleError(f"the rules are not TOML: {error}") from error
    if set(found) - {"rules", "later"}:
        raise RuleError(f"there are rules and later, and no {', '.join(sorted(set(found) - {'rules', 'later'}))}")
    rules = [_rule(row) for row in found.get("rules", [])]
    names = [rule.name for rule in rules]
    if len(set(names)) < len(names):
        raise RuleError("two rules have one name")
    return RoutingRules(rules, _texts(found.get("later", []), "later"))


def _rule(row: Any) -> RoutingRule:
    known = {"name", "events", "audience", "send", "severities", "tells", "fixed"}
    if not isinstance(row, dict) or not set(row) <= known or not {"name", "events", "audience", "send"} <= set(row):
        raise RuleError(f"a rule has name, events, audience and send: {row!r}")
    name = str(row["name"])
    return RoutingRule(
        name,
        _texts(row["events"], name),
        _audience(row["audience"], name),
        _sends(row["send"], name),
        _severities(row.get("severities", []), name),
        None if "tells" not in row else _texts(row["tells"], name),
        row.get("fixed") is True,
    )


def _texts(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise RuleError(f"{where}: a list of names, not {value!r:.200}")
    return tuple(value)


def _audience(value: Any, where: str) -> tuple[str, ...]:
    words = tuple(dict.fromkeys(_texts(value, where)))
    for word in words:
        if word not in ROLES and word not in WORDS:
            raise RuleError(f"{where}: an audience is made of roles and {', '.join(WORDS)}, not {word!r:.100}")
    return words


def _severities(value: Any, where: str) -> tuple[str, ...]:
    found = _texts(value, where)
    if not set(found) <= set(SEVERITIES):
        raise RuleError(f"{where}: severities are {', '.join(SEVERITIES)}")
    return found


def _sends(value: Any, where: str) -> tuple[Send, ...]:
    if not isinstance(value, list) or len(value) > MOST_SENDS:
        raise RuleError(f"{where}: send is a list of at most {MOST_SENDS} channels")
    return tuple(_send(each, where) for each in value)


def _send(value: Any, where: str) -> Send:
    row = {"channel": value} if isinstance(value, str) else value
    if not isinstance(row, dict) or not set(row) <= {"channel", *_CONDITIONS}:
        raise RuleError(f"{where}: a channel, or a table with it and {', '.join(_CONDITIONS)}; not {value!r:.200}")
    channel = row.get("channel")
    if channel not in CHANNELS:
        raise RuleError(f"{where}: channels are {', '.join(CHANNELS)}, not {channel!r:.100}")
    conditions: dict[str, Any] = {}
    for name, given in row.items():
        if name == "channel":
            continue
        if name == "severities":
            conditions[name] = _severities(given, where)
        elif name in _NUMBERS:
            if type(given) is not int or not 0 <= given <= _NUMBERS[name]:
                raise RuleError(f"{where}: {name} is a number from 0 to {_NUMBERS[name]}")
            conditions[name] = given
        elif type(given) is bool:
            conditions[name] = given
        else:
            raise RuleError(f"{where}: {name} is true or false")
    digest = channel == DIGEST
    if conditions.get("counted") and not digest:
        raise RuleError(f"{where}: only a digest counts")
    return Send(Channel.MAIL if digest else Channel(channel), digest=digest, **conditions)
