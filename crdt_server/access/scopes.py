"""The claim `scope` of a token: categories, each to be read or written (`timeline:write guests:read`). A scope narrows
what the role may, and never widens it; categories that it does not name are closed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from crdt_server.access.access import Action, Decision, Denied
from documents.categories import AccessCategory

_VERBS = ("read", "write")
_READING = frozenset((Action.READ, Action.READ_PART))
_NAMES: Mapping[str, AccessCategory] = MappingProxyType({each.value: each for each in AccessCategory})


class UnknownScope(ValueError):
    """A scope with an entry that is none of this server's, or without any."""


@lru_cache(maxsize=4096)
def parse_scope(scope: str) -> Mapping[AccessCategory, bool]:
    """Category -> whether it may be written, too. Raises UnknownScope."""
    found: dict[AccessCategory, bool] = {}
    for entry in scope.split(" "):
        name, _, verb = entry.partition(":")
        if name not in _NAMES or verb not in _VERBS:
            raise UnknownScope("scope of the token is not category:read or category:write, with spaces between")
        category = _NAMES[name]
        found[category] = found.get(category, False) or verb == "write"
    return MappingProxyType(found)


def in_scope(scope: str, category: AccessCategory, action: Action) -> bool:
    """Whether a scope leaves an action on a category open. "" is no scope, which leaves all open."""
    if not scope:
        return True
    writable = parse_scope(scope).get(category)
    return writable is not None and (writable or action in _READING)


def outside_scope(category: AccessCategory) -> Denied:
    """The denial of what a scope does not leave open."""
    return Denied("forbidden", f"the scope of the token does not allow this ({category.value})")


def scope_decision(scope: str, category: AccessCategory, action: Action) -> Decision:
    """The decision of a scope about an action on a category."""
    return None if in_scope(scope, category, action) else outside_scope(category)


def narrowed(rights: str, scope: str) -> str:
    """The letters of `Identity.rights` that a scope leaves."""
    if not scope:
        return rights
    allowed = parse_scope(scope)
    return "".join(
        letter if allowed.get(category, False) else "-" for letter, category in zip(rights, AccessCategory, strict=True)
    )
