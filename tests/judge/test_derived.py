"""Derived documents: each is the function of the rows that its declaration says, whatever changes."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from documents.derived import DECLARATIONS
from documents.invariants import Op
from documents.kind import WHOLE, Shape
from documents.registry import kind_of
from documents.sample import sample_wedding
from tests.judge.audiences import expected, names, open_derived
from tests.judge.bench import NAMES, Bench
from tests.support.effort import and_repeated

GUESTS = 30
OF_GUESTS = {("guests", "guests"), ("care", "care"), ("seating", "assignments")}


def bench_of(seed: int) -> Bench:
    """A sample wedding with few guests, an emergency and contributions."""
    sample = sample_wedding(guests=200, seed=seed, violations=0)
    guests = list(sample.documents["guests"]["guests"])[:GUESTS]
    rows = {
        name: {
            root: {record: row for record, row in rows.items() if (name, root) not in OF_GUESTS or record in guests}
            for root, rows in sample.documents[name].items()
        }
        for name in NAMES
    }
    for guest in sorted(guests)[:3]:
        rows["care"]["care"].setdefault(guest, {})["access"] = "A ramp"
        rows["guests"]["guests"][guest] |= {"plusOneOf": sorted(guests)[0], "meal": "fish"}
    for number, audience in enumerate(("team", "vendors", "everyone")):
        rows["timeline"]["emergencies"][f"x_{number}"] = {"kind": "weather", "text": "Rain", "audience": audience}
        rows["budget"]["contributions"][f"c_{number}"] = {"contributor": "A", "amount": number, "guest": guests[0]}
    return Bench(rows)


def some_ops(bench: Bench, random: Random) -> Iterator[Op]:
    """Keys that get the value of another record or go, records that come and go, of any document."""
    document = random.choice([name for name in bench.names if name != "budget" or random.random() < 0.5])
    kind = kind_of(document)
    assert kind is not None
    root = kind.roots[random.choice([name for name in kind.roots if name not in ("review", "members", "board")])]
    rows = bench.rows(document)[root.name]
    if not rows:
        return
    ids = sorted(rows) if random.random() < 0.3 else sorted(rows)[:3]  # those that have a document of their own
    record, other = random.choice(ids), random.choice(sorted(rows))
    where = (document, root.name, record)
    if root.shape is Shape.VALUES:
        yield Op("delete", *where) if random.random() < 0.4 else Op("set", *where, None, rows[other])
        return
    if root.shape is Shape.RECORDS and random.random() < 0.1:
        new = Op("insert", document, root.name, f"n_{random.randrange(1 << 40)}", None, dict(rows[other]))
        yield Op("delete", *where) if random.random() < 0.5 else new
        return
    values: dict[str, Any] = {**rows[other]}
    if record != WHOLE:
        values["deleted"] = {"at": "2026-05-01T12:00:00Z", "by": "u_x"}
    key = random.choice(sorted({**values, **rows[record]}))
    if key in rows[record] and random.random() < 0.4:
        yield Op("delete", *where, key)
    elif key in values:
        yield Op("set", *where, key, values[key])


@pytest.mark.parametrize("seed", and_repeated(0, 1, 2))
def test_every_derived_document_follows_the_rows(seed: int) -> None:
    bench, random = bench_of(seed + 1), Random(seed)
    documents = [open_derived(bench, name) for name in names(bench)]
    assert len({document.derived.declaration.name for document in documents}) == len(DECLARATIONS)
    for document in documents:
        assert document.rows.roots == expected(document), document.name
    for _ in range(300):
        ops = list(some_ops(bench, random))
        bench.state.write(ops)
        bench.state.derived.refresh()
        for document in documents:
            assert document.rows.roots == expected(document), (document.name, ops)


def test_an_edit_concerns_only_the_documents_that_show_its_record() -> None:
    bench = bench_of(1)
    guests = sorted(bench.rows("guests")["guests"])
    documents = {guest: open_derived(bench, f"guests@self.{guest}") for guest in guests}
    public = open_derived(bench, "timeline@public")
    bench.state.write([Op("set", "guests", "guests", guests[-1], "meal", "soup")])
    stale = {guest: list(document.stale) for guest, document in documents.items() if document.stale}
    host = bench.value("guests", "guests", guests[-1]).get("plusOneOf")
    assert stale == {each: [("guests", guests[-1])] for each in (guests[-1], host) if each is not None}
    assert not public.stale
    bench.state.derived.refresh()
    assert {guest for guest, document in documents.items() if document.take_outgoing()} >= stale.keys()
