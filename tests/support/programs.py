"""The command line of the server in processes of their own: forked from a template, since an interpreter takes longer
to import it than a server to start.

`make test-all` and benchmarks start interpreters, as users do; so do a PYTHONPATH of its own and other programs.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import BinaryIO

from tests.support.effort import EVERYTHING
from tests.support.templates import ROOT, ForkedChild, Template

PROGRAM = ("crdt_server",)
_TEMPLATE = Template("tests.support.program_template", lambda: os.environ | {"PYTHONUNBUFFERED": "1"})
FORKS = "PYTEST_VERSION" in os.environ and not EVERYTHING


class Program:
    """A command that runs. ``stdout`` is what it prints, and its errors too where they go to no file."""

    def __init__(self, process: ForkedChild | subprocess.Popen[bytes], stdout: BinaryIO) -> None:
        self._process = process
        self.stdout = stdout
        self.pid = process.pid
        self.poll = process.poll
        self.wait = process.wait
        self.kill = process.kill
        self.send_signal = process.send_signal


def start_program(
    arguments: Sequence[str], environment: Mapping[str, str], errors: int | None, program: Sequence[str] = PROGRAM
) -> Program:
    """Run `python -m crdt_server` with arguments, in this environment and a few variables more; ``errors`` is the
    descriptor for its errors."""
    everything = os.environ | environment
    if not FORKS or program != PROGRAM or "PYTHONPATH" in environment:
        command = [sys.executable, "-m", *program, *arguments]
        stderr = subprocess.STDOUT if errors is None else errors
        process = subprocess.Popen(command, cwd=ROOT, env=everything, stdout=subprocess.PIPE, stderr=stderr)
        assert process.stdout is not None
        return Program(process, process.stdout)
    reading, writing = os.pipe()
    try:
        message = {"arguments": arguments, "environment": everything}
        child = _TEMPLATE.fork(message, [writing, writing if errors is None else errors])
    finally:
        os.close(writing)
    return Program(child, os.fdopen(reading, "rb"))
