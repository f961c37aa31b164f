"""The parts of a question."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.config import Scale
from benchmarks.servers import Server

Values = dict[str, Any]
Case = tuple[str, Values]
"""A named part of a question and its figures."""

Measure = Callable[[Server, Scale], Iterator[Case]]


@dataclass(frozen=True, slots=True)
class Column:
    """One figure of the report. ``better`` is "more", "less" or "" where no ratio makes sense."""

    key: str
    title: str
    better: str = ""
    digits: int = 0


@dataclass(frozen=True, slots=True)
class Question:
    """One question: its measurement gets a server that is not started yet, on an empty data directory."""

    name: str
    title: str
    servers: tuple[str, ...]
    measure: Measure
    columns: tuple[Column, ...]
    rounds: int = 0
    """Rounds of the full scale, where they differ from its own number."""
