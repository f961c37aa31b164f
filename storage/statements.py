"""Many rows in one statement, and few statements: what the driver's own tuples go in with.

The driver lets go of the interpreter for each statement it runs: with a busy event loop beside it, 500 rows took 40 ms
to come in one by one.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import TypeVar

T = TypeVar("T")

CHUNK_SIZES = (128, 16, 4, 1)
"""Rows of one statement."""


def chunks(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    """The rows in parts of few sizes, so that there are few statements."""
    begin = 0
    while begin < len(rows):
        size = next(size for size in CHUNK_SIZES if size <= len(rows) - begin)
        yield rows[begin : begin + size]
        begin += size


@cache
def with_rows(template: str, count: int, width: int) -> str:
    """The statement with parameters for `count` rows of `width` values where the template says `{rows}`."""
    row = f"({', '.join(['?'] * width)})"
    return template.format(rows=", ".join([row] * count))
