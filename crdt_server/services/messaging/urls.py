"""URLs of webhooks and push services, which users enter."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from crdt_server.services.messaging.ip_addresses import is_address

MOST_CHARACTERS: Final = 2_000
ENCRYPTED: Final = ("https",)
ANY: Final = ("https", "http")
_LABEL: Final = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?", re.ASCII).fullmatch
_NUMERIC: Final = re.compile(r"(0[xX][0-9a-fA-F]*|[0-9]+)", re.ASCII).fullmatch


def fault_of_url(url: str, schemes: tuple[str, ...] = ANY) -> str | None:
    """The reason why a URL cannot be used; None: it can. One with a user and password is refused, and one with a
    fragment."""
    if len(url) > MOST_CHARACTERS:
        return f"a URL has at most {MOST_CHARACTERS} characters"
    if not url.isascii() or not url.isprintable() or any(character in url for character in ' "<>\\^`{|}'):
        return "the URL has a character that a URL has not; names of hosts are written with xn--"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "this is no URL"
    if parts.scheme not in schemes:
        return f"a URL begins with {' or '.join(f'{scheme}://' for scheme in schemes)}"
    if "@" in parts.netloc or "#" in url:
        return "a URL with a user or a fragment is not taken"
    if port == 0 or not parts.hostname or not _is_host(parts.hostname):
        return "the URL names no host"
    return None


def _is_host(host: str) -> bool:
    """Whether this is an address, or a name that no resolver reads as one: `2130706433` and `0x7f.1` are 127.0.0.1."""
    if is_address(host):
        return "%" not in host
    labels = host.removesuffix(".").split(".")
    return len(host) <= 253 and all(map(_LABEL, labels)) and not _NUMERIC(labels[-1])
