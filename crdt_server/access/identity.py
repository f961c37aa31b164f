"""Who a connection is. The seam for tokens and roles: until they come, only ``--dev`` lets anybody in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Identity(NamedTuple):
    """A person as far as the server knows one. ``role`` is one of the wedding's roles."""

    user: str
    role: str
    vendor: str = ""
    """For roles of vendors: which of the wedding's vendors."""
    guest: str = ""
    """For guests: which of the wedding's guests."""


SERVER = Identity("server", "server")
"""As whom the server itself writes."""


class DevAccess:
    """Everybody is who they say they are, and acts as couple unless they say otherwise."""

    def identify(self, query: Mapping[str, str]) -> Identity:
        """The identity of a connection from its query parameters ``user``, ``role``, ``vendor`` and ``guest``."""
        user, role, vendor, guest = (query.get(name, "")[:64] for name in ("user", "role", "vendor", "guest"))
        if user == SERVER.user:
            user = ""
        return Identity(user or "anonymous", role or "couple", vendor, guest)
