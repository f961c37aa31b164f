"""The program that `hosts` starts: becomes a document host for each message, a list of its limits."""

from __future__ import annotations

import os
import sys

from crdt_server.judge.process import main as run_host
from tests.support.fork_server import serve


def main() -> None:
    child = serve()
    if child is None:
        return
    limits, given = child
    try:
        os.setpgid(0, 0)
        run_host([*map(str, given), *map(str, limits)])
    finally:
        os._exit(0 if sys.exc_info()[0] is None else 1)


if __name__ == "__main__":
    main()
