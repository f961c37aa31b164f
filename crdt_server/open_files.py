"""How many files and sockets this process may have open, and how they are divided up.

A process that has as many as it may accepts nothing, answers no probe, and cannot replace a document host that has
died. So connections end before that: what is left is for hosts, the database and files.
"""

from __future__ import annotations

import resource

MOST_FILES = 1 << 20
WEBSOCKET_SHARE, HTTP_SHARE = 0.75, 0.125  # of them


def raise_limit() -> None:
    """Raise the limit of this process as far as its system allows: shells and service managers begin with 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def most_websockets(most: int) -> int:
    """``most``, or as many as there are files for. 0: no limit, in the argument."""
    return min(most or MOST_FILES, int(WEBSOCKET_SHARE * _limit()))


def most_http_connections() -> int:
    """Connections that are no WebSockets."""
    return int(HTTP_SHARE * _limit())


def _limit() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_FILES if soft == resource.RLIM_INFINITY else min(soft, MOST_FILES)
