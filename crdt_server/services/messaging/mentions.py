"""Names in messages: ``@`` before the user id of a person, or before the name that others see."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final, Protocol

MOST: Final = 50
"""Mentions of one message."""

_AT: Final = re.compile(r"(?<![\w@.+-])@")


class Named(Protocol):
    """A person that can be mentioned."""

    @property
    def user(self) -> str: ...
    @property
    def name(self) -> str: ...


def mentioned(text: str, people: Collection[Named]) -> set[str]:
    """The users whose names a text has behind an ``@``, at most MOST: of names that begin alike the longest. Two people
    of one name are both mentioned. Nothing of a mail address is a mention."""
    users: dict[str, set[str]] = {}
    for person in people:
        for name in {person.user.casefold(), person.name.casefold()} - {""}:
            users.setdefault(name, set()).add(person.user)
    names = sorted(users, key=len, reverse=True)
    found: set[str] = set()
    folded = text.casefold()
    for place in list(_AT.finditer(folded))[:MOST]:
        rest = folded[place.end() :]
        found |= next((users[each] for each in names if rest.startswith(each) and _ends(rest, len(each))), set())
    return found


def _ends(text: str, length: int) -> bool:
    return length >= len(text) or not (text[length].isalnum() or text[length] == "_")
