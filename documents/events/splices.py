"""Differences of texts: splices, and those of many edits composed into as few as possible.

Positions count code points. Everything is linear in the length of the text, whatever it consists of.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

MOST_SPLICES: Final = 32
"""Splices of one text; beyond it the two nearest become one, with what stands between them."""

SPLICE_CHARACTERS: Final = 48
"""The size of a splice in JSON besides its texts, roughly."""


class Splice(NamedTuple):
    """One replacement in a text."""

    position: int
    removed: str
    inserted: str

    def as_json(self) -> dict[str, Any]:
        """The splice as plain JSON."""
        return {"index": self.position, "removed": self.removed, "inserted": self.inserted}


class _Segment(NamedTuple):
    """A part of the first text, and what stands in its place now."""

    start: int
    end: int
    text: str


def splice_of(before: str, after: str) -> Splice:
    """The one splice that makes ``after`` of ``before``."""
    head = common_prefix(before, after)
    most = min(len(before), len(after)) - head
    tail = 0
    while tail < most:  # by halves, as in `common_prefix`
        middle = (tail + most + 1) // 2
        if before[len(before) - middle : len(before) - tail] == after[len(after) - middle : len(after) - tail]:
            tail = middle
        else:
            most = middle - 1
    return Splice(head, before[head : len(before) - tail], after[head : len(after) - tail])


def common_prefix(one: str, other: str) -> int:
    """The number of characters in the common prefix of two strings."""
    # Halves are compared at once: a character at a time took 1 ms for each text of 20,000.
    alike, most = 0, min(len(one), len(other))
    while alike < most:
        middle = (alike + most + 1) // 2
        if one[alike:middle] == other[alike:middle]:
            alike = middle
        else:
            most = middle - 1
    return alike


def apply_splices(text: str, splices: Iterable[Mapping[str, Any]]) -> str:
    """The text after splices in JSON, in their order: each counts in the text that those before it have made."""
    for splice in splices:
        index = splice["index"]
        text = text[:index] + splice["inserted"] + text[index + len(splice["removed"]) :]
    return text


class ComposedSplices:
    """The differences that a number of edits have made to a text, each part of it once."""

    def __init__(self, before: str) -> None:
        self.before = before
        self._segments: list[_Segment] = []  # disjoint, and in order

    def add(self, splice: Splice) -> None:
        """One more edit of the text as it is by now."""
        index, end = splice.position, splice.position + len(splice.removed)
        left: list[_Segment] = []
        touched: list[tuple[_Segment, int]] = []  # with their positions in the text as it is
        right: list[_Segment] = []
        shift = first_shift = 0  # from positions in the first text to those in the text as it is
        for segment in self._segments:
            begin = segment.start + shift
            if begin > end:
                right.append(segment)
                continue
            shift += len(segment.text) - (segment.end - segment.start)
            if begin + len(segment.text) < index:
                left.append(segment)
                first_shift = shift
            else:
                touched.append((segment, begin))
        new = _Segment(index - first_shift, end - first_shift, splice.inserted)
        if touched:
            new = _united(touched, index, end, first_shift, splice.inserted)
        self._segments = [*left, *([new] if new.text or new.start < new.end else []), *right]
        if len(self._segments) > MOST_SPLICES:
            self._unite_nearest()

    def splices(self) -> list[Splice]:
        """The splices, from left to right; each counts in the text that those before it have made."""
        found, shift = [], 0
        for start, end, text in self._segments:
            found.append(Splice(start + shift, self.before[start:end], text))
            shift += len(text) - (end - start)
        return found

    def _unite_nearest(self) -> None:
        segments = self._segments
        gap, at = min((segments[n + 1].start - segments[n].end, n) for n in range(len(segments) - 1))
        one, other = segments[at : at + 2]
        text = one.text + self.before[one.end : one.end + gap] + other.text
        segments[at : at + 2] = [_Segment(one.start, other.end, text)]


def _united(touched: list[tuple[_Segment, int]], index: int, end: int, first_shift: int, inserted: str) -> _Segment:
    """One segment for an edit and those that it overlaps or meets."""
    (first, begin), (last, last_begin) = touched[0], touched[-1]
    start = min(first.start, index - first_shift)
    head = first.text[: max(0, index - begin)]
    behind = end - (last_begin + len(last.text))
    tail = last.text[len(last.text) + behind :] if behind < 0 else ""
    return _Segment(start, last.end + max(0, behind), head + inserted + tail)


def cost(splices: Iterable[Splice]) -> int:
    """How many characters splices take, roughly."""
    return sum(SPLICE_CHARACTERS + len(splice.removed) + len(splice.inserted) for splice in splices)
