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
from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate, islice
from typing import Final

from storage import SearchTerm
from storage.search import MARK_LENGTH

WORD_LENGTH: Final = 64
"""Characters of a word that count."""
INDEX_FACTOR: Final = 8
"""Bytes of the words of a text in the index for each of its own. Those of any language are less, even a character each:
a text of characters that stand for many (`ﷺ`) would be twenty times as long."""
SMALL_INDEX_BYTES: Final = 1024
"""Besides."""
MOST_TERMS: Final = 16
"""Terms of a query; those behind them are ignored."""
MOST_PHRASE: Final = 32
"""Words of a term that count."""
SHORTEST_BEGINNING: Final = 2
MOST_PLACES: Final = 256

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
    """The searchable form of a character: a part of a word, words with blanks around them, or nothing."""
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


def words_of(text: str) -> list[str]:
    """The words of a text, in their order."""
    return [word[:WORD_LENGTH] for word in "".join(map(_folded, text)).split()]


def indexed_words(text: str) -> list[str]:
    """The words of a text as far as they are indexed: nearly always all of them."""
    left = SMALL_INDEX_BYTES + INDEX_FACTOR * len(text.encode())
    words = words_of(text)
    sizes = accumulate(MARK_LENGTH + 1 + len(word.encode()) for word in words)
    return words[: sum(1 for size in sizes if size <= left)]


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
    """Where the terms are in a text, in order and apart, the first `MOST_PLACES` of each; nothing where one of them is
    not there. The slow parts are expressions and iterators: word by word, a note took ten times as long."""
    folds = list(map(_folded, text))
    folded = "".join(folds)
    found: list[tuple[int, int]] = []
    for term in terms:
        spans = [each.span() for each in islice(_expression(term).finditer(folded), MOST_PLACES)]
        if not spans:
            return []
        found += spans
    starts = list(accumulate(map(len, folds), initial=0))
    return _apart(sorted(_unfolded(starts, *span) for span in found))


def _expression(term: SearchTerm) -> re.Pattern[str]:
    """Finds a term in a folded text."""
    words = [re.escape(word) + (r"\S*" if len(word) == WORD_LENGTH else "") for word in term.words]
    end = r"\S*" if term.is_beginning else r"(?!\S)"
    return re.compile(r"(?<!\S)" + r"\s+".join(words) + end)


def _unfolded(starts: Sequence[int], start: int, end: int) -> tuple[int, int]:
    """A place in a text, given as one in the folded text; with the accents behind its last letter."""
    first, last = bisect_right(starts, start) - 1, bisect_right(starts, end - 1)
    while last + 1 < len(starts) and starts[last] == starts[last + 1]:
        last += 1
    return first, last


def _apart(places: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Places in order, with those united that overlap."""
    found: list[tuple[int, int]] = []
    for start, end in places:
        if found and start < found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found
