"""Logs: one JSON object per line on stderr, with room and session where there is one, never document content."""

from __future__ import annotations

import logging
import sys
import time
from contextlib import suppress
from typing import TextIO, cast

import structlog
from structlog.typing import Processor

LIBRARY_LINES, SECONDS_PER_LIBRARY_LINE = 20, 3.0  # from one place of a library: at once, and one more every so often


class _Lossy:
    """A stream that drops lines which it cannot write: the log often shares a disk with the database, and a full disk
    must fail the commit, not the code that is about to log that."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with suppress(OSError):
            self._stream.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


class _Sparing(logging.Filter):
    """Drops most of what a library repeats: some log a line for every request that is malformed, and nothing bounds
    how many of those a stranger sends."""

    def __init__(self) -> None:
        super().__init__()
        self._all_at: dict[tuple[str, int], float] = {}  # place -> when it may have all of its lines again

    def filter(self, record: logging.LogRecord) -> bool:
        place, now = (record.pathname, record.lineno), time.monotonic()
        all_at = max(now, self._all_at.get(place, now))
        allowed = all_at - now <= (LIBRARY_LINES - 1) * SECONDS_PER_LIBRARY_LINE
        if allowed:
            self._all_at[place] = all_at + SECONDS_PER_LIBRARY_LINE
        return allowed


def configure(level: str) -> None:
    """Send everything, the libraries' logs included, through structlog."""
    number = getattr(logging, level.upper())
    stream = cast("TextIO", _Lossy(sys.stderr))
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.addFilter(_Sparing())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(number, logging.WARNING), force=True)
