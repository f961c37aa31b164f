"""Turns of workers: a serial test runs alone, and a worker that was ended holds nobody up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

TAKE_TURN = """
import os, signal, sys
from pathlib import Path
from types import SimpleNamespace
from tests.support.schedule import Turns

item = SimpleNamespace(get_closest_marker=lambda name: sys.argv[2] == name or None)
with Turns(Path(sys.argv[1])).turn(item):
    if sys.argv[2] == "serial":
        sys.exit()
    forked = os.fork()
    if not forked:
        os.closerange(0, 3)
        signal.pause()
    print(forked, flush=True)
    os._exit(1)
"""


def test_the_turn_of_a_worker_ends_with_it_though_a_process_lives_that_it_forked(tmp_path: Path, root: Path) -> None:
    def take_turn(kind: str) -> str:
        command = [sys.executable, "-c", TAKE_TURN, str(tmp_path), kind]
        return subprocess.run(command, cwd=root, stdout=subprocess.PIPE, text=True, timeout=60, check=False).stdout

    forked = int(take_turn("ordinary"))
    try:
        take_turn("serial")
    finally:
        os.kill(forked, signal.SIGKILL)
