"""Who a connection is. The seam for tokens and roles: until they come, only ``--dev`` lets anybody in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Identity:
    """A person as far as the server knows one. ``role`` is one of the wedding's roles."""

    user: str
    role: str


class DevAccess:
    """Everybody is who they say they are, and acts as couple unless they say otherwise."""

    def identify(self, query: Mapping[str, str]) -> Identity:
        """The identity of a connection from its query parameters ``user`` and ``role``."""
        return Identity(query.get("user", "")[:64] or "anonymous", query.get("role", "")[:32] or "couple")
