"""Findings as records of the root `review`: valid whatever they are about, and their options can be carried out."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from documents.fields import Unreadable
from documents.invariants import NOBODY, Field, Finding, Op, Option, Party, Subject, Writer, operations, review_row
from documents.sentences import Sentence
from documents.shared import review
from tests.documents.invariants.planning import NOW, Planning
from tests.documents.invariants.test_index import carried_out, edits
from tests.support.effort import examples


def violations(row: object) -> list[object]:
    return list(review().check_row("c_0123456789", row))


@settings(max_examples=examples(100))
@given(st.lists(edits(), max_size=30))
def test_any_finding_makes_a_valid_record(history: list[tuple[str, Op]]) -> None:
    planning = Planning()
    for user, op in history:
        carried_out(planning, user, op)
    for finding in planning.index.all():
        row = review_row(finding, NOW)
        assert violations(row) == []
        assert row["_kind"] == finding.invariant
        assert [each["id"] for each in row["_options"]] == [each.id for each in finding.options]
        for option in finding.options:
            assert operations(row, option.id) == option.ops


def finding(party: Party, ops: tuple[Op, ...] = ()) -> Finding:
    options = (Option(0, Sentence("leave"), ops),)
    return Finding(Subject("X1"), "warning", Sentence("W1"), "manual_review", (party,), options)


def test_what_does_not_fit_is_left_out() -> None:
    field = Field("guests", "guests", "g_1", "note")
    writer = Writer("chloe", "couple", 100, 1, NOW)
    for value in ("x" * 5000, Unreadable("array"), None):
        row = review_row(finding(Party(field, value, writer)), NOW)
        assert row["_parties"] == [{"user": "chloe", "role": "couple", "at": NOW, "subject": 0}]
    row = review_row(finding(Party(field, 1, NOBODY), (Op("set", *field, "x" * 20_000),)), NOW)
    assert (row["_parties"], row["_options"]) == ([], [])
    assert violations(row) == []
    assert operations(row, 0) is None
