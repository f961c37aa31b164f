"""What one edit costs, by kind of edit. By hand: python -m tests.documents.invariants.test_costs"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from time import perf_counter_ns, thread_time_ns
from typing import Any

import pytest

from documents.invariants import Field, Index, Wedding
from tests.documents.invariants.large import index_of, large

ROUNDS = 400
MOST_US = 2000
"""Of CPU time: a hundred times the ordinary. This finds work that grows with the wedding, not a slow machine."""

EDITS: dict[str, tuple[str, str, str | None, Callable[[int], tuple[str, Any]]]] = {
    "a guest's meal": ("guests", "guests", "meal", lambda i: (f"g_{i % 250}", ("fish", "salmon")[i % 2])),
    "a guest's answer": ("guests", "guests", "rsvp:e_reception", lambda i: (f"g_{i % 250}", ("yes", "maybe")[i % 2])),
    "a guest's phone": ("guests", "guests", "phone", lambda i: (f"g_{i % 250}", f"+1 555 {i:07}")),
    "a guest's note": ("guests", "guests", "note", lambda i: (f"g_{i % 250}", str(i))),
    "a seat": ("seating", "assignments", None,
               lambda i: (f"g_{i % 250}", {"table": f"t_{i % 250 // 10}", "seat": None if i % 2 else i % 10})),
    "the start of an item": ("timeline", "items", "start", lambda i: (f"i_{i % 70}", 480 + i % 70 * 12 + i % 2)),
    "the status of an item": ("timeline", "items", "status", lambda i: (f"i_{i % 70}", ("ready", "planned")[i % 2])),
    "an amount": ("budget", "items", "estimated", lambda i: (f"b_{i % 90}", 39_000 + i)),
    "a payment": ("budget", "payments", None,
                  lambda i: (f"pay_{i % 120}", {"item": f"b_{i % 90}", "amount": 10_000 - i, "on": "2026-02-01",
                                                "kind": "deposit"})),
    "a vendor's stage": ("wedding", "vendors", "stage", lambda i: (f"v_{i % 14}", ("booked", "confirmed")[i % 2])),
}  # fmt: skip


CLASH: dict[str, tuple[str, str, str | None, Callable[[int], tuple[str, Any]]]] = {
    "a start that delays all": ("timeline", "items", "start", lambda i: (f"i_{i % 70}", 480 + i % 70 * 12 + 5)),
    "a seat that is taken": ("seating", "assignments", None,
                             lambda i: (f"g_{i % 250}", {"table": f"t_{i % 250 // 10}", "seat": (i + 1) % 10})),
}  # fmt: skip
"""Edits that break something: options and resolutions are worked out as well."""


def costs(index: Index, edit: str) -> list[int]:
    """Nanoseconds of CPU time for hearing of each of many edits of one field, and looking at what they touch."""
    document, root, key, make = {**EDITS, **CLASH}[edit]
    rows: dict[str, Any] = index.wedding.documents[document][root]
    taken = []
    for i in range(ROUNDS):
        record, value = make(i)
        if key is None:
            rows[record] = value
        else:
            rows[record][key] = value
        fields = [Field(document, root, record, key)]
        begin = thread_time_ns()
        for subject in index.update(fields):
            index.find(subject)
        taken.append(thread_time_ns() - begin)
    return taken


@pytest.mark.parametrize("edit", EDITS)
def test_one_edit_costs_little(edit: str) -> None:
    index = index_of(large())
    assert index.all() == []
    assert statistics.median(costs(index, edit)) < MOST_US * 1000


def test_one_edit_costs_the_same_in_a_larger_wedding() -> None:
    small, tall = (statistics.median(costs(index_of(large(guests)), "a guest's answer")) for guests in (250, 2500))
    assert tall < 5 * small


MANY = 3000
CROWDS: dict[str, tuple[str, str, str | None, Any, Any]] = {
    "one phone": ("guests", "guests", "phone", {"firstName": "A", "phone": "1234567"}, "7654321"),
    "one seat": ("seating", "assignments", None, {"table": "t_1", "seat": 1}, {"table": "t_1", "seat": 2}),
    "one payment": ("budget", "payments", None,
                    {"item": "b_1", "amount": 1, "on": "2026-01-01", "kind": "deposit"}, None),
    "one time": ("timeline", "items", "start", {"start": 0, "duration": 99, "person:bride": True}, 1),
}  # fmt: skip


@pytest.mark.parametrize("crowd", CROWDS)
def test_an_edit_among_thousands_that_break_the_same_thing_touches_few(crowd: str) -> None:
    document, root, key, row, value = CROWDS[crowd]
    documents = large(10)
    rows: dict[str, Any] = documents[document][root]
    rows |= {f"z_{i:04}": row if key is None else dict(row) for i in range(MANY)}
    index = Index(Wedding(documents))
    if key is not None:
        rows["z_0000"][key] = value
    elif value is None:
        del rows["z_0000"]
    else:
        rows["z_0000"] = value
    assert len(index.update([Field(document, root, "z_0000", key)])) < 100


if __name__ == "__main__":
    everything = []
    for name in (*EDITS, *CLASH):
        taken = sorted(costs(index_of(large()), name))
        everything.extend(taken if name in EDITS else [])
        print(f"{name:24} {taken[ROUNDS // 2] / 1000:6.1f} µs median, {taken[ROUNDS * 99 // 100] / 1000:6.1f} µs p99")
    print(f"{'all that break nothing':24} {statistics.median(everything) / 1000:6.1f} µs median")
    begin = perf_counter_ns()
    whole = index_of(large())
    built = perf_counter_ns()
    whole.all()
    print(f"a new index {(built - begin) / 1e6:.1f} ms, all() {(perf_counter_ns() - built) / 1e6:.1f} ms")
