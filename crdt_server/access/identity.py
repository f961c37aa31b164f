"""The identity that travels with every request, also over the pipe to a document host and between nodes."""

from __future__ import annotations

from typing import NamedTuple


class Identity(NamedTuple):
    """A person as far as the server knows one. ``role`` is one of the wedding's roles."""

    user: str
    role: str
    vendor: str = ""
    """For roles of vendors: the vendor of the wedding."""
    guest: str = ""
    """For guests: the guest of the wedding."""


SERVER = Identity("server", "server")
"""The identity of the server's own writes."""
