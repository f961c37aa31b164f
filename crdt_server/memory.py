"""Measures the memory of processes (Linux), and returns memory to the system, where the C library can (glibc)."""

from __future__ import annotations

import ctypes
import os
from typing import NamedTuple

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
M_MMAP_THRESHOLD = -3  # malloc.h of glibc
LARGE_BLOCK_BYTES = 128 << 10


class Usage(NamedTuple):
    """The memory of a process in bytes: its address space, and the part of that which is in memory."""

    address_bytes: int
    resident_bytes: int


def usage_of(pid: int) -> Usage | None:
    """The memory of a process; None where it is gone, or the system does not say. Takes microseconds."""
    try:
        with open(f"/proc/{pid}/statm", "rb", buffering=0) as file:
            address, resident, *_ = file.read().split()
    except (OSError, ValueError):
        return None
    return Usage(int(address) * PAGE_BYTES, int(resident) * PAGE_BYTES)


def give_back_large_blocks() -> None:
    """glibc stops giving blocks back to the system once it has seen larger ones freed: after a few frames of 16 MB the
    process kept 100 MB more than at rest. A threshold that is set does not grow."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES)


def trim_heap() -> None:
    """Give freed memory back, that between blocks in use too. Takes milliseconds; lets other threads run meanwhile."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
