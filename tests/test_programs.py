"""The programs that tests start."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.support.programs import start_program

AT_ONCE = 6


def test_those_that_start_at_once_are_told_apart(tmp_path: Path) -> None:
    """Each is the one that is killed, and no other."""
    store = f"sqlite:///{tmp_path}"
    commands = [["serve", "--dev", "--port", "0", "--database-url", f"{store}/{n}.db"] for n in range(AT_ONCE)]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        programs = list(threads.map(lambda command: start_program(command, {}, None), commands))
    try:
        for program in programs:
            program.kill()
            assert program.wait(60) == -signal.SIGKILL
    finally:
        for program in programs:
            program.kill()
            program.stdout.close()
