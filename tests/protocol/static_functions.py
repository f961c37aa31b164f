"""A process of its own for pycrdt's static functions: a crash there is a finding, not the end of the test run.

`StaticFunctions` is the parent's side; running this file is the child's. A job is a list of updates that our reader
accepted; the answer is one line: `ok` and the merged update in hex, `refused` (pycrdt raises an ordinary error),
`panic` (a BaseException), or `died` and the exit status.
"""

from __future__ import annotations

import resource
import signal
import struct
import subprocess
import sys
from collections.abc import Sequence
from typing import BinaryIO

MEMORY_LIMIT_BYTES = 1 << 30
CPU_LIMIT_SECONDS_PER_JOB = 5


class StaticFunctions:
    """Runs jobs in one child, one at a time."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> StaticFunctions:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def run(self, job: Sequence[bytes]) -> str:
        """The answer to one job; after a death the next job gets a new child."""
        if self._child is None:
            self._child = subprocess.Popen(
                [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(_pack(job))
        self._child.stdin.flush()
        answer = self._child.stdout.readline().decode()
        return answer.rstrip("\n") if answer else f"died {self._end()}"

    def _end(self) -> int | None:
        if self._child is None:
            return None
        child, self._child = self._child, None
        with child:
            if child.stdin is not None:
                child.stdin.close()
        return child.returncode


def _pack(job: Sequence[bytes]) -> bytes:
    return struct.pack("<I", len(job)) + b"".join(struct.pack("<I", len(data)) + data for data in job)


def _read_number(stream: BinaryIO) -> int | None:
    raw = stream.read(4)
    return struct.unpack("<I", raw)[0] if len(raw) == 4 else None


def _serve() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))
    stdin = sys.stdin.buffer
    while (count := _read_number(stdin)) is not None:
        updates = [stdin.read(_read_number(stdin) or 0) for _ in range(count)]
        signal.setitimer(signal.ITIMER_PROF, CPU_LIMIT_SECONDS_PER_JOB)
        sys.stdout.write(_answer(updates).replace("\n", " ") + "\n")
        sys.stdout.flush()


def _answer(updates: list[bytes]) -> str:
    try:
        for update in updates:
            _call([update])
        return f"ok {_call(updates).hex()}"
    except ValueError as error:
        return f"refused {error}"
    except BaseException as error:  # noqa: BLE001 - pyo3's PanicException is a BaseException, and the finding
        return f"panic {type(error).__name__} {error}"


def _call(updates: list[bytes]) -> bytes:
    from pycrdt import get_state, get_update, merge_updates

    merged: bytes = merge_updates(*updates)
    state = get_state(merged)
    get_update(merged, state)
    for update in updates:
        get_update(merged, get_state(update))
        get_update(update, state)
    merge_updates(merged, *updates)
    merge_updates(get_update(merged, b"\0"), merged)
    return merged


if __name__ == "__main__":
    _serve()
