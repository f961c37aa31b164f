"""Differences of texts, and many of them composed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from documents.events import splices
from documents.events.splices import ComposedSplices, Splice, apply_splices, cost, splice_of

TEXTS = st.text(alphabet="ab😀é", max_size=30)
EDITS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 6), st.text(alphabet="abc", max_size=4)), max_size=40)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("", "", Splice(0, "", "")),
        ("", "Sings", Splice(0, "", "Sings")),
        ("Sings", "", Splice(0, "Sings", "")),
        ("one three", "one two three", Splice(5, "", "wo t")),
        ("aaa", "aa", Splice(2, "a", "")),
        ("a😀b", "a🎂b", Splice(1, "😀", "🎂")),
    ],
)
def test_the_difference_of_two_texts(before: str, after: str, expected: Splice) -> None:
    assert splice_of(before, after) == expected


@given(TEXTS, TEXTS)
def test_a_difference_makes_the_one_of_the_other(before: str, after: str) -> None:
    assert apply_splices(before, [splice_of(before, after).as_json()]) == after


@pytest.mark.parametrize("most", [1, 2, 5, 32])
@given(before=TEXTS, edits=EDITS)
def test_many_edits_compose(most: int, before: str, edits: list[tuple[int, int, str]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(splices, "MOST_SPLICES", most)
        composed, text = ComposedSplices(before), before
        for at, length, inserted in edits:
            at = min(at, len(text))
            after = text[:at] + inserted + text[at + length :]
            composed.add(Splice(at, text[at : at + length], inserted) if length % 2 else splice_of(text, after))
            text = after
        found = composed.splices()
        assert apply_splices(before, [splice.as_json() for splice in found]) == text
        assert len(found) <= most


def test_what_is_typed_at_both_ends_of_a_long_text_costs_what_was_typed() -> None:
    text = "x" * 20_000
    composed = ComposedSplices(text)
    for letter in "abc":
        composed.add(splice_of(text, letter + text))
        text = letter + text
        composed.add(splice_of(text, text + letter))
        text += letter
    assert composed.splices() == [Splice(0, "", "cba"), Splice(20_003, "", "abc")]
    assert cost(composed.splices()) < 200
