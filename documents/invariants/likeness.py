"""G1: guests who may be one person, by the marks by which they are recognised."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

from documents.invariants.model import Subject, Wedding, string
from documents.invariants.part import Touched

MAX_ALIKE: Final = 32
"""Of more people that are alike only so many are compared: their number is no e-mail address or phone of one person."""

_NO_DIGITS: Final = re.compile(r"\D+").sub


class Likeness:
    """Guests by mark, kept up to date one by one."""

    def __init__(self, wedding: Wedding) -> None:
        self._wedding = wedding
        self._marks: dict[str, frozenset[str]] = {}
        self._alike: dict[str, list[str]] = {}

    def refresh(self, _: str, guest: str, touched: Touched) -> None:
        """Read a guest again."""
        before = self._marks.pop(guest, frozenset())
        after = frozenset(_marks(self._wedding.record("guests", "guests", guest)))
        for mark in before | after:
            touched.update(_pairs(self._alike.get(mark, ())))
        for mark in before - after:
            people = self._alike[mark]
            del people[bisect_left(people, guest)]
            touched.update(_pairs(people))
            if not people:
                del self._alike[mark]
        for mark in after - before:
            people = self._alike.setdefault(mark, [])
            insort(people, guest)
            touched.update(_pairs(people))
        if after:
            self._marks[guest] = after

    def subjects(self) -> Iterator[Subject | None]:
        """Every subject that may have a finding, in steps."""
        for people in self._alike.values():
            yield None
            yield from _pairs(people)

    def common(self, subject: Subject) -> frozenset[str]:
        """The marks by which two guests are alike, as far as they are compared."""
        one, other = subject.ids
        common = self._marks.get(one, frozenset()) & self._marks.get(other, frozenset())
        return frozenset(mark for mark in common if subject in _pairs(self._alike[mark]))


@lru_cache(maxsize=4096)
def folded(text: str) -> str:
    """A name without case, accents, blanks and punctuation, to compare with others."""
    letters = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in letters if letter.isalnum())


def _marks(row: dict[str, Any] | None) -> Iterator[str]:
    """The marks by which a guest is recognised."""
    if row is None:
        return
    email, phone = string(row, "email").strip().casefold(), _digits(string(row, "phone"))
    if email:
        yield "e" + email
    if len(phone) >= 5:
        yield "p" + phone
    first = folded(string(row, "firstName"))
    if first:
        yield f"n{first}|{folded(string(row, 'lastName'))}|{string(row, 'household')}"


def _digits(phone: str) -> str:
    return _NO_DIGITS("", phone).removeprefix("00")


def _pairs(people: Sequence[str]) -> Sequence[Subject]:
    """The first of those alike beside each of the next."""
    if len(people) < 2:  # nearly always
        return ()
    return [Subject("G1", (people[0], other)) for other in people[1:MAX_ALIKE]]
