"""Words as they are searched for, and where they are in a text. Both databases get them from here, and so agree.

- A word is a run of letters, digits and the marks that belong to them, in small letters, compatibility forms resolved
  (NFKD), without accents and points: `Müller` and `MULLER` are one word, `m²` and `m2` too. Some letters that Unicode
  does not take apart are spelled out: `ß` is `ss`, `ø` is `o`, `ł` is `l`.
- In scripts without blanks between words each character is a word, and what is searched for is found as a phrase.
- A query is words, all of which have to be there; `"words in quotes"` stand one behind the other; `begin*` is the
  beginning of a word, two characters at least. Nothing else has a meaning, and nothing is an error.
- Positions count code points.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Final, NamedTuple

from storage import SearchTerm

WORD_LENGTH: Final = 64
"""Characters of a word that count."""
MOST_TERMS: Final = 16
"""Terms of a query; those behind them are ignored."""
MOST_PHRASE: Final = 32
"""Words of a term that count."""
SHORTEST_BEGINNING: Final = 2

_SPELLED: Final = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ħ": "h", "\u0131": "i", "ŧ": "t", "æ": "ae", "œ": "oe", "þ": "th", "ð": "d"}
)
# Accents, and the points of Hebrew and Arabic. Other marks are vowels: without them words would be others.
_ACCENTS: Final = re.compile("[\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u1ab0-\u1aff\u1dc0-\u1dff]")
_WITHOUT_BLANKS: Final = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
_CACHED: Final = 16_384
_PART: Final = re.compile(r'"([^"]*)"?|([^\s"]+)')
_QUOTES: Final = str.maketrans(dict.fromkeys("“”„«»\uff02", '"'))


@lru_cache(_CACHED)
def _folded(character: str) -> str:
    """What is searched for of a character: a part of a word, or words with blanks around them, or nothing of both."""
    found = []
    for each in unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", character).casefold()).translate(_SPELLED):
        category = unicodedata.category(each)
        if _WITHOUT_BLANKS.match(each) and category[0] in "LM":
            found.append(f" {each} ")
        elif _ACCENTS.match(each) or category == "Cf":
            continue
        else:
            found.append(each if category[0] in "LNM" else " ")
    return "".join(found)


class Word(NamedTuple):
    """A word and the characters of the text that it is of."""

    word: str
    start: int
    end: int


def words_of(text: str) -> list[str]:
    """The words of a text, in their order."""
    return [word[:WORD_LENGTH] for word in "".join(map(_folded, text)).split()]


def placed_words(text: str) -> Iterator[Word]:
    """The words of a text with their places."""
    word, start, end = "", 0, 0
    for place, character in enumerate(text):
        for each in _folded(character):
            if each != " ":
                start = start if word else place
                word, end = word + each, place + 1
            elif word:
                yield Word(word[:WORD_LENGTH], start, end)
                word = ""
        if word and end == place and not _folded(character):
            end = place + 1  # an accent behind its letter
    if word:
        yield Word(word[:WORD_LENGTH], start, end)


def parse_query(query: str) -> list[SearchTerm]:
    """The terms of a query."""
    terms = []
    for phrase, plain in _PART.findall(query.translate(_QUOTES)):
        words = words_of(phrase or plain)[:MOST_PHRASE]
        if words:
            is_beginning = plain.endswith("*") and len(words[-1]) >= SHORTEST_BEGINNING
            terms.append(SearchTerm(tuple(words), is_beginning))
    return list(dict.fromkeys(terms))[:MOST_TERMS]


def places_of(text: str, terms: Sequence[SearchTerm]) -> list[tuple[int, int]]:
    """Where the terms are in a text, in order and apart; nothing where one of them is not there."""
    words = list(placed_words(text))
    at: dict[str, list[int]] = {}
    for index, each in enumerate(words):
        at.setdefault(each.word, []).append(index)
    found: list[tuple[int, int]] = []
    for term in terms:
        places = [(words[first].start, words[first + len(term.words) - 1].end) for first in _firsts(words, at, term)]
        if not places:
            return []
        found += places
    return _apart(sorted(found))


def _firsts(words: Sequence[Word], at: dict[str, list[int]], term: SearchTerm) -> list[int]:
    """The indices of the first words of a term."""
    *whole, last = term.words
    if whole:
        firsts = at.get(whole[0], [])
    elif term.is_beginning:
        return [index for index, each in enumerate(words) if each.word.startswith(last)]
    else:
        return at.get(last, [])
    return [first for first in firsts if _stands_at(words[first : first + len(term.words)], term)]


def _stands_at(words: Sequence[Word], term: SearchTerm) -> bool:
    if len(words) < len(term.words):
        return False
    *before, last = (each.word for each in words)
    fits = last.startswith(term.words[-1]) if term.is_beginning else last == term.words[-1]
    return fits and tuple(before) == term.words[:-1]


def _apart(places: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Places in order, with those united that overlap."""
    found: list[tuple[int, int]] = []
    for start, end in places:
        if found and start < found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    assert all(one[1] <= other[0] for one, other in pairwise(found))
    return found
