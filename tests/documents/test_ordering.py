"""Order keys: a record that is moved stands where it was put."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from documents.fields import OrderKey, Reason
from documents.ordering import NoPlaceError, OrderKeys, order_behind, order_of

IDS = st.sampled_from("abcdef")


def listed(rows: dict[str, Any]) -> list[str]:
    return sorted(rows, key=lambda record: (rows[record]["order"], record))


@given(st.lists(st.tuples(IDS, st.none() | IDS), max_size=40))
def test_records_stand_where_they_were_put(moves: list[tuple[str, str | None]]) -> None:
    rows: dict[str, Any] = {}
    keys = OrderKeys(rows)
    expected: list[str] = []
    for record, after in moves:
        if after == record or (after is not None and after not in rows):
            continue
        key = order_behind(rows, after)
        assert order_behind(rows, after, keys) == key
        keys.replace(order_of(rows.get(record)), key)
        rows[record] = {"order": key}
        expected = [each for each in expected if each != record]
        expected.insert(0 if after is None else expected.index(after) + 1, record)
        assert listed(rows) == expected
        assert type(OrderKey().check(rows[record]["order"])) is not Reason


def test_behind_all_that_share_a_key() -> None:
    rows = {"a": {"order": "a0"}, "b": {"order": "a0"}, "c": {"order": "a1"}}
    assert "a0" < order_behind(rows, "a") < "a1"


@pytest.mark.parametrize("record", ["none", "without", "value", "odd"])
def test_nowhere_to_stand(record: str) -> None:
    rows = {"a": {"order": "a0"}, "without": {}, "value": True, "odd": {"order": 4}}
    with pytest.raises(NoPlaceError):
        order_behind(rows, record)
