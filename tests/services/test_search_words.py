"""Words of texts and queries, and where they are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt_server.services.search_words import (
    INDEX_FACTOR,
    MOST_PHRASE,
    MOST_TERMS,
    SMALL_INDEX_BYTES,
    WORD_LENGTH,
    indexed_words,
    parse_query,
    places_of,
    words_of,
)
from storage import SearchTerm
from storage.search import MARK_LENGTH

TEXT = "Zoë Straße — Nguyễn Đức, 田中美咲 m² e\u0301te\u0301 O'Brien 🎂 ½ cup"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Müller MÜLLER mu\u0308ller", ["muller"] * 3),
        ("Straße", ["strasse"]),
        ("Łódź Øster Đức İstanbul", ["lodz", "oster", "duc", "istanbul"]),
        ("O'Brien, 3.14; a_b-c", ["o", "brien", "3", "14", "a", "b", "c"]),
        ("田中さん", ["田", "中", "さ", "ん"]),
        ("ab\u200fcd zero\u200bwidth", ["abcd", "zerowidth"]),
        ("مُحَمَّد", ["محمد"]),
        ("½ m²", ["1", "2", "m2"]),
        ("🎂 — !", []),
        ("", []),
        ("a" * 100, ["a" * WORD_LENGTH]),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert words_of(text) == words


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("zoe", ["Zoë"]),
        ("STRAS*", ["Straße"]),
        ("中美", ["中美"]),
        ("ete", ["e\u0301te\u0301"]),
        ("o'brien", ["O'Brien"]),
        ("“nguyen duc”", ["Nguyễn Đức"]),
        ("cup zoe", ["Zoë", "cup"]),
        ("1", ["½"]),
        ("zo", []),
        ("zoe nothing", []),
        ('"duc nguyen"', []),
    ],
)
def test_places(query: str, found: list[str]) -> None:
    places = places_of(TEXT, parse_query(query))
    assert [TEXT[start:stop] for start, stop in places] == found


def test_the_words_of_a_text_are_bounded() -> None:
    """Texts of any script are indexed as a whole; characters that stand for many words are cut."""
    for whole in (TEXT * 200, "a b " * 5_000, "田中美咲" * 5_000, "ภาษาไทย " * 2_000, "½", "word " * 20_000):
        assert indexed_words(whole) == words_of(whole)
    hostile = "\ufdfa" * 4_000
    words = indexed_words(hostile)
    size = sum(MARK_LENGTH + 1 + len(word.encode()) for word in words)
    most = INDEX_FACTOR * len(hostile.encode()) + SMALL_INDEX_BYTES
    assert most - 100 < size <= most
    assert words == words_of(hostile)[: len(words)]


def test_queries_have_no_syntax_but_three() -> None:
    assert parse_query('NEAR(a b) col:x -y "p q" beg* c*') == [
        SearchTerm(("near", "a")),
        SearchTerm(("b",)),
        SearchTerm(("col", "x")),
        SearchTerm(("y",)),
        SearchTerm(("p", "q")),
        SearchTerm(("beg",), is_beginning=True),
        SearchTerm(("c",)),
    ]
    for empty in ("", '"', '""', "***", "—", "\u202e"):
        assert parse_query(empty) == []
    assert len(parse_query(" ".join(f"w{n}" for n in range(50)))) == MOST_TERMS
    (phrase,) = parse_query(f'"{"a " * 90}"')
    assert len(phrase.words) == MOST_PHRASE


PIECES = st.sampled_from(["ab", "abc", "é", "e\u0301", "ß", "田", "中", " ", "  ", "-", "½", "\u200d", "x" * 70, "🎂"])


@given(st.lists(PIECES, max_size=12).map("".join), st.lists(PIECES, min_size=1, max_size=3).map("".join), st.booleans())
def test_places_are_where_the_words_are(text: str, wanted: str, is_beginning: bool) -> None:
    """Compared with a search word by word."""
    words, term = words_of(text), tuple(words_of(wanted))
    if not term:
        return
    found = places_of(text, [SearchTerm(term, is_beginning)])
    count = len(term)
    parts = [tuple(words[at : at + count]) for at in range(len(words) - count + 1)]
    fits = [part[:-1] == term[:-1] and part[-1].startswith(term[-1]) for part in parts]
    assert bool(found) == (any(fits) if is_beginning else term in parts)
    for start, stop in found:
        assert 0 <= start < stop <= len(text)
        shown = words_of(text[start:stop])
        assert shown
        assert "".join(shown).find("".join(term)[:WORD_LENGTH]) >= 0 or len(wanted) >= WORD_LENGTH


@given(st.text(max_size=200))
def test_any_query_is_words(query: str) -> None:
    for term in parse_query(query):
        assert all(word and not set(word) & set(" \"'*():^-\\") for word in term.words)
