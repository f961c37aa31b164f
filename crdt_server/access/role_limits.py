"""Limits of one person by role: requests, edits, messages to people, emergencies.

`role_limits.toml` has the defaults and describes the fields. A level is that of a person (`identity.person_at`); the
role decides how fast it fills.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import NamedTuple

from crdt_server.access.limits import TokenBucket

DEFAULT = "default"
TRIES_PER_SECOND, TRIES_AT_ONCE = 1, 10


class RoleLimits(NamedTuple):
    """One table of `role_limits.toml`."""

    requests_per_second: int = 0
    edits_per_second: int = 0
    edits_at_once: int = 0
    messages_per_minute: int = 0
    emergencies_per_hour: int = 0


class PersonBuckets(NamedTuple):
    """The usage of the persons of one role."""

    requests: TokenBucket
    edits: TokenBucket
    messages: TokenBucket
    emergencies: TokenBucket | None
    """None: no command passes as an emergency."""
    tries: TokenBucket
    """Commands that are read, though their person has no requests left, because they may be emergencies."""


class RoleBuckets:
    """The buckets of every role. Without ``limits`` there are no limits. ``limits``: see `parse_role_limits`."""

    def __init__(self, limits: Mapping[str, RoleLimits] | None = None) -> None:
        self._of_roles = {role: _buckets_of(each) for role, each in (limits or {DEFAULT: RoleLimits()}).items()}
        self._default = self._of_roles[DEFAULT]

    def of(self, role: str) -> PersonBuckets:
        """The buckets of a role."""
        return self._of_roles.get(role, self._default)


def parse_role_limits(text: str) -> dict[str, RoleLimits]:
    """The limits of all roles in the text of a file as `role_limits.toml`. Raises ValueError."""
    tables = tomllib.loads(text)
    if DEFAULT not in tables:
        raise ValueError(f"there is no table [{DEFAULT}]")
    return {role: _limits_of(role, table) for role, table in tables.items()}


def _limits_of(role: str, table: object) -> RoleLimits:
    if not isinstance(table, dict) or set(table) != set(RoleLimits._fields):
        raise ValueError(f"[{role}] needs {', '.join(RoleLimits._fields)}, and nothing else")
    for name, value in table.items():
        if type(value) is not int or value < 0:
            raise ValueError(f"{name} of [{role}] is no number from 0")
    return RoleLimits(**table)


def _buckets_of(limits: RoleLimits) -> PersonBuckets:
    hourly = limits.emergencies_per_hour
    return PersonBuckets(
        requests=TokenBucket(limits.requests_per_second),
        edits=TokenBucket(limits.edits_per_second, limits.edits_at_once or None),
        messages=TokenBucket(limits.messages_per_minute / 60, limits.messages_per_minute),
        emergencies=TokenBucket(hourly / 3600, hourly) if hourly else None,
        tries=TokenBucket(TRIES_PER_SECOND, TRIES_AT_ONCE),
    )
