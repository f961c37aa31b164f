"""Returns memory to the system, where the C library can (glibc)."""

from __future__ import annotations

import ctypes

M_MMAP_THRESHOLD = -3  # malloc.h of glibc
LARGE_BLOCK_BYTES = 128 << 10


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
