"""Two people break an invariant without seeing each other: what comes of it, whoever comes first, whatever their ids.

What has to hold is in `cases`. W2 is about several weddings and so not a matter of one wedding's documents.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from documents.invariants import INVARIANTS
from tests.documents.invariants.planning import empty
from tests.judge.bench import NAMES, Bench, Replica
from tests.judge.cases import CASES, GONE, Case, Edit

ORDERS = [(first, ids) for first in ("one", "other") for ids in ((100, 200), (200, 100))]


def make(replica: Replica, edits: Iterable[Edit]) -> None:
    for what, name, root, record, *rest in edits:
        getattr(replica, what)(name, root, record, *rest)


def merge(case: Case, first: str, ids: tuple[int, int]) -> Bench:
    bench = Bench(empty(), names=(*NAMES, "thread.day"))
    before = bench.join("chloe", "couple", 50)
    make(before, case.given)
    bench.sync(before)
    bench.settle()
    assert not bench.reviews(), "nothing is wrong before they part"
    one, other = (
        bench.join(*people, client_id) for (people, _), client_id in zip((case.one, case.other), ids, strict=True)
    )
    bench.part(one, other)
    make(one, case.one[1])
    make(other, case.other[1])
    for replica in (one, other) if first == "one" else (other, one):
        assert bench.sync(replica) == []
    bench.settle()
    return bench


def seen(bench: Bench, field: tuple[str, ...]) -> Any:
    value = bench.value(*field)
    return GONE if value is None else value


def test_there_is_a_case_for_every_invariant() -> None:
    covered = {invariant for case in CASES for invariant in {**case.invariants, **case.sometimes}}
    assert covered == INVARIANTS.keys() - {"W2"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Case) -> None:
    results: set[str] = set()
    occurred: set[str] = set()
    for first, ids in ORDERS:
        bench = merge(case, first, ids)
        bench.check()
        in_this_order = case.if_one_is_first if first == "one" else case.if_other_is_first
        for field, value in {**case.expected, **in_this_order}.items():
            assert seen(bench, field) == value, (field, first, ids)
        records = {record["_kind"]: record["_state"] for record in bench.reviews()}
        assert case.invariants.items() <= records.items() <= {**case.invariants, **case.sometimes}.items(), (first, ids)
        occurred |= records.keys()
        for finding in bench.findings():
            assert finding.invariant in records or not finding.manual
        results.add(bench.everything("review", "stamps"))  # these say who came first
        if ids == ORDERS[0][1]:
            bench.check_restart()
    assert case.sometimes.keys() <= occurred
    if not case.if_one_is_first and not case.sometimes and case.invariants.get("X1") != "open":
        assert len(results) == 1
