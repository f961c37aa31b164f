"""The program that `programs` starts: becomes the command line of the server for each message, {arguments,
environment}, on descriptors for output and errors."""

from __future__ import annotations

import os
import sys

from crdt_server.cli import main as run_command
from tests.support.fork_server import serve


def main() -> None:
    child = serve()
    if child is None:
        return
    message, given = child
    for place, descriptor in enumerate(given, 1):
        os.dup2(descriptor, place)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(message["environment"])
    sys.argv[1:] = message["arguments"]
    run_command()


if __name__ == "__main__":
    main()
