"""Typed text, made safe to stand in a message: no control character, no link, no change of direction.

Clients of mail and SMS make links of whatever looks like an address, in plain text too. `unlinked` puts a joint into
everything that does, so that it is read as before but is no link. Telephone numbers stay as they are: a phone may
offer to call one.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

ZERO_WIDTH_SPACE: Final = "\u200b"
"""The joint where a message may have any character."""

ELLIPSIS: Final = "…"

_LINE_ENDS: Final = re.compile("\r\n?|[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
# Controls, embeddings and overrides of direction, the byte order mark, halves of surrogate pairs, noncharacters.
_DROPPED: Final = re.compile(
    "[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ufdd0-\ufdef\ufffe\uffff\ud800-\udfff]"
)
_DOTS: Final = ".\u3002\uff0e\uff61"  # all are dots to a browser
_LINKED: Final = re.compile(
    r"(?<=[^\W\d_]):(?=\S|\Z)|:(?=//)"  # https://…, mailto:…, tel:…
    rf"|(?<=[\w\u0080-\U0010ffff])[{_DOTS}](?=[^\W\d_])"  # evil.example; behind a vowel sign or an emoji as well
    rf"|(?<=\d)[{_DOTS}](?=\d+[{_DOTS}]\d+[{_DOTS}]\d)|(?<=\d)[{_DOTS}](?=\d+(?::|/))"  # 192.0.2.1, 2.1:80
    r"|(?<=\S)@(?=\w)"
)
_RIGHT_TO_LEFT: Final = frozenset(("R", "AL", "AN"))
_JOINERS: Final = frozenset("\u200d\ufe0e\ufe0f")
_SKIN_TONES: Final = range(0x1F3FB, 0x1F400)
_TAGS: Final = range(0xE0020, 0xE0080)


def cleaned(typed: str) -> str:
    """A text without controls but for line breaks and tabs, in one kind of line break."""
    return _DROPPED.sub("", _LINE_ENDS.sub("\n", typed))


def one_line(text: str) -> str:
    """A text with single spaces in place of all white space."""
    return " ".join(text.split())


def cut(text: str, most: int) -> str:
    """A text of at most so many characters; a longer one ends with an ellipsis, in the middle of no character as people
    see it."""
    if len(text) <= most:
        return text
    end = most - 1
    while end > 0 and _continues(text, end):
        end -= 1
    return text[:end].rstrip() + ELLIPSIS


def _continues(text: str, index: int) -> bool:
    """Whether the character at an index belongs to the one before it."""
    character = text[index]
    return (
        character in _JOINERS
        or text[index - 1] == "\u200d"
        or ord(character) in _SKIN_TONES
        or ord(character) in _TAGS
        or unicodedata.category(character) in ("Mn", "Me")
    )


def unlinked(text: str, joint: str = ZERO_WIDTH_SPACE) -> str:
    """A text in which nothing looks like the address of a page or a mailbox: there is a joint behind what would make
    one of it."""
    return _LINKED.sub(lambda found: found[0] + joint, text)


def isolated(text: str) -> str:
    """A text that changes the direction of nothing around it: between isolates where a part of it runs from right to
    left."""
    if not any(unicodedata.bidirectional(character) in _RIGHT_TO_LEFT for character in text):
        return text
    return f"\u2068{text}\u2069"
