"""Order keys: a record that is moved stands where it was put."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from documents.fields import OrderKey, Reason
from documents.ordering import NoPlaceError, OrderKeys, order_behind, order_of
from tests.support.slices import finish

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


@given(st.lists(st.none() | st.sampled_from(("a0", "a1", "Zz", "b12")), max_size=1000))
def test_keys_that_are_sorted_in_steps_are_the_same(orders: list[str | None]) -> None:
    rows = {f"g_{n}": {} if order is None else {"order": order} for n, order in enumerate(orders)}
    found: list[OrderKeys] = []

    def steps() -> Iterator[None]:
        found.append((yield from OrderKeys.in_steps(rows)))

    finish(steps())
    assert found[0]._keys == OrderKeys(rows)._keys


def test_behind_all_that_share_a_key() -> None:
    rows = {"a": {"order": "a0"}, "b": {"order": "a0"}, "c": {"order": "a1"}}
    assert "a0" < order_behind(rows, "a") < "a1"


@pytest.mark.parametrize("record", ["none", "without", "value", "odd"])
def test_nowhere_to_stand(record: str) -> None:
    rows = {"a": {"order": "a0"}, "without": {}, "value": True, "odd": {"order": 4}}
    with pytest.raises(NoPlaceError):
        order_behind(rows, record)
