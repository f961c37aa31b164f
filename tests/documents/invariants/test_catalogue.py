"""The table of the README is the list that runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from documents.invariants import INVARIANTS, RANKS, STRATEGIES, Invariant
from documents.shared import SEVERITIES
from documents.shared import STRATEGIES as STRATEGY_FIELD
from documents.wedding import ROLES

README = (Path(__file__).parents[3] / "documents" / "invariants" / "README.md").read_text()
SHORT = {
    "hierarchy": "wedding_hierarchy", "priority": "priority_based", "last": "last_writer_wins",
    "merge": "merge_changes", "manual": "manual_review",
}  # fmt: skip
ROWS = {
    cells[0]: cells
    for line in README.splitlines()
    if len(cells := [cell.strip() for cell in line.strip("|").split("|")]) == 6 and cells[0] in INVARIANTS
}


def test_the_table_has_every_invariant_in_order() -> None:
    assert list(ROWS) == list(INVARIANTS)


@pytest.mark.parametrize("invariant", INVARIANTS.values(), ids=INVARIANTS)
def test_the_table_says_what_runs(invariant: Invariant) -> None:
    _, _, severity, default, also, does = ROWS[invariant.id]
    assert severity.partition(",")[0] == invariant.severity
    assert SHORT[default] == invariant.default
    assert [SHORT[each] for each in also.split(", ") if each] == list(invariant.strategies[1:])
    assert ("at once" in does) == (invariant.settle_seconds == 0)


def test_words_are_those_of_the_documents() -> None:
    assert set(STRATEGIES) == set(SHORT.values())
    assert all(STRATEGY_FIELD.check(each) == each for each in STRATEGIES)
    assert all(SEVERITIES.check(each.severity) == each.severity for each in INVARIANTS.values())
    assert all(ROLES.check(role) == role for role in RANKS)


def test_money_and_people_are_left_alone_by_default() -> None:
    assert {each.default for each in INVARIANTS.values() if each.id[0] in "BC"} == {"manual_review"}
    assert not any("last_writer_wins" in each.strategies for each in INVARIANTS.values() if each.id[0] in "BCW")
