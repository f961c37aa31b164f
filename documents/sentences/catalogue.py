"""The one catalogue of texts: language -> id -> text. Names in braces are values of the sentence.

| id | is |
|---|---|
| `X1`, `S1.keep`… | a sentence about the invariant in front of the point, or one of several (`T`, `B`, `S`) |
| `S2.one`… | the same where `count` is 1 |
| `field.start` | the label of a key, or of a family of keys |
| `unnamed.items` | a record of a root without a name |
| `document.guests` | a document, as the object of a sentence |
| `role.planner` | somebody in this role, whose name is not known |
| `word.vegan` | a word of the schema, or one that is common where a list of words is open |
| `joint.and` | what is between values of a list |

A test compares the languages with each other, with the rules, and with the keys that the kinds declare.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from documents.sentences.english import ENGLISH
from documents.sentences.formats import CONVENTIONS
from documents.sentences.german import GERMAN

CATALOGUE: Final[Mapping[str, Mapping[str, str]]] = {"en": ENGLISH, "de": GERMAN}
LANGUAGES: Final = frozenset(CONVENTIONS)
OTHERWISE: Final = "en"
"""The language of those for whom there is no other, and of what is stored."""

_BETWEEN_WORDS: Final = re.compile(r"[_.-]+|(?<=[a-z])(?=[A-Z])").sub


def language_of(tag: str) -> str:
    """The language, of those there are, for a BCP 47 tag: `de` for `de-AT`, `en` for `fr`."""
    code = tag.partition("-")[0].lower()
    return code if code in LANGUAGES else OTHERWISE


def word(code: str, language: str) -> str:
    """A word of the schema in a language. One that the catalogue does not have is read as people write it: `best_man`
    as `best man`."""
    found = CATALOGUE[language].get(f"word.{code}")
    return _BETWEEN_WORDS(" ", code).strip() if found is None else found
