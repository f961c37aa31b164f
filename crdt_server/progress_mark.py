"""The memory that a document host shares with the serving process, for what cannot wait for a message on the pipe."""

from __future__ import annotations

import mmap
import struct


class ProgressMark:
    """From the host: room and request that it works on, written before each risky step, so that a crash names its
    suspect. To the host: whether somebody waits for the end of its batch."""

    SIZE = mmap.PAGESIZE
    STARTING = (-2, -2)  # the host has not opened it yet
    IDLE = (-1, -1)
    MERGING = -1  # in place of a request: what was accepted is put together, and no single update is the cause
    LOADING = -2  # in place of a request: the stored bytes themselves are being read
    RESOLVING = -3  # in place of a request: the rules of the wedding, which no request and no stored bytes answer for
    _cells = struct.Struct("<ii")
    _WAITING = _cells.size  # one byte behind them

    def __init__(self, fd: int) -> None:
        self._map = mmap.mmap(fd, self.SIZE)
        self.set(*self.IDLE)

    def set(self, room: int, request: int) -> None:
        self._cells.pack_into(self._map, 0, room, request)

    def get(self) -> tuple[int, int]:
        return self._cells.unpack_from(self._map, 0)

    def set_waiting(self, waiting: bool) -> None:
        """Others wait for the end of the batch, or nobody does."""
        self._map[self._WAITING] = waiting

    def is_waiting(self) -> bool:
        """Whether others wait for the end of the batch."""
        return bool(self._map[self._WAITING])

    def close(self) -> None:
        self._map.close()
