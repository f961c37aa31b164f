"""The hosts of push services to which messages for browsers go.

Endpoints come from users. Without this list the server would send requests, signed with its key, to any host of the
internet that somebody names.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from urllib.parse import urlsplit

_HOST: Final = re.compile(r"(\*\.)?[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})+")
_EVERY: Final = "*"


class PushHosts(NamedTuple):
    """Names of hosts in small letters; `*.example.org`: all below one; `*`: all there are."""

    names: tuple[str, ...]

    def allow(self, endpoint: str) -> bool:
        """Whether the host of a URL is one of them."""
        if _EVERY in self.names:
            return True
        host = urlsplit(endpoint).hostname or ""
        return host in self.names or any(host.endswith(name[1:]) for name in self.names if name.startswith("*."))


EVERY_HOST: Final = PushHosts((_EVERY,))


def parse_push_hosts(text: str) -> PushHosts:
    """The hosts of a text with commas. Raises ValueError for what is no name of a host."""
    names = tuple(filter(None, (each.strip().lower() for each in text.split(","))))
    for name in names:
        if name != _EVERY and not _HOST.fullmatch(name):
            raise ValueError(f"{name[:100]!r} is no name of a host")
    return PushHosts(names)
