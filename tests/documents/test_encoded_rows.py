"""Rows are encoded in steps, between which any of them may change."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from documents.encoded_rows import EncodedRows
from documents.readers import canonical_json
from tests.support.effort import and_repeated

RECORDS, EDITS = 700, 500


def encoded(rows: dict[str, dict[str, Any]]) -> bytes:
    encoding = EncodedRows(rows)
    for _ in encoding.steps:
        pass
    return encoding.result()


@pytest.mark.parametrize(
    "rows",
    [
        {},
        {"guests": {}},
        {"guests": {}, "meta": {"": {"a": 1}}, "tables": {}},
        {"b": {"\u00e9": "x", "z": 1.5, '"': True}, "a": {"r": {"k": "\u20ac", "j": None}}},
    ],
)
def test_all_shapes(rows: dict[str, dict[str, Any]]) -> None:
    assert str(encoded(rows), "utf-8") == canonical_json(rows)


@pytest.mark.parametrize("seed", and_repeated(1, 2, 3))
@pytest.mark.parametrize("at_first", [0, 1, RECORDS])
def test_the_end_is_that_of_the_rows_as_they_are_then(seed: int, at_first: int) -> None:
    random = Random(seed)
    rows: dict[str, dict[str, Any]] = {"a": {}, "b": {}, "c": {}}
    for number in random.sample(range(RECORDS), at_first):
        rows[random.choice("ab")][f"r_{number}"] = {"n": number}
    encoding = EncodedRows(rows)
    edits = 0
    for _ in encoding.steps:
        if random.random() < 0.3 and edits < RECORDS:
            root, record = random.choice("abc"), f"r_{random.randrange(2 * RECORDS)}"
            if random.random() < 0.4:
                rows[root].pop(record, None)
            else:
                rows[root].setdefault(record, {})["n"] = edits
            encoding.changed([(root, record)])
            edits += 1
    assert str(encoding.result(), "utf-8") == canonical_json(rows)


def test_a_change_costs_the_records_beside_it_only() -> None:
    """Somebody edits it at every step: the end follows the last edit."""
    rows = {"a": {f"r_{number}": {"n": number} for number in range(RECORDS)}}
    encoding, steps = EncodedRows(rows), 0
    for _ in encoding.steps:
        steps += 1
        if steps < EDITS:
            rows["a"]["r_7"]["n"] = steps
            encoding.changed([("a", "r_7")])
    assert steps <= EDITS + 1
    assert str(encoding.result(), "utf-8") == canonical_json(rows)
