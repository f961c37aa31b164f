"""Every field type: what it takes, what it refuses and why, and that no value whatever makes it raise."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from documents import fields as f
from documents.registry import KINDS
from documents.shared import STAMP

TEXT_OF_501 = "x" * 501

CASES: list[tuple[f.FieldType, list[Any], list[tuple[Any, str]]]] = [
    (
        f.String(),
        ["", "O'Brien-Müller", "田中 美咲", "حداد", "line\r\nline", "x" * 500, "👰🏽" * 250],
        [(TEXT_OF_501, "length"), ("a\0b", "format"), ("\ud83d", "format"), (None, "type"), (["a"], "type")],
    ),
    (f.Note(), ["", "x" * 20_000], [("x" * 20_001, "length"), (f.Unreadable("string"), "type")]),
    (f.Bool(), [True, False], [(1, "type"), ("true", "type"), (None, "type")]),
    (f.Flag(), [True], [(False, "type"), (1, "type"), (None, "type")]),
    (
        f.Integer(-5, 10),
        [-5, 0, 10],
        [(11, "range"), (-6, "range"), (1.5, "type"), (True, "type"), ("1", "type"), (math.nan, "type")],
    ),
    (f.Money(), [0, f.MAX_INTEGER], [(-1, "range"), (f.MAX_INTEGER + 1, "range"), (0.5, "type"), (1e300, "range")]),
    (f.Minutes(-360, 2040), [-360, 2040], [(2041, "range")]),
    (
        f.Id(),
        ["g_7zk3v0q9xw", "a", "-", "X" * 64],
        [("", "id"), ("x" * 65, "id"), ("__proto__", "id"), ("é", "id"), ("a b", "id"), ("a\n", "id"), (7, "type")],
    ),
    (f.Reference("guests", "guests"), ["g_1"], [("g 1", "id")]),
    (f.Code(), ["vegan", "gluten-free", "best_man"], [("", "format"), ("1x", "format"), ("a b", "format")]),
    (f.Enum("yes", "no"), ["yes"], [("YES", "choice"), ("", "choice"), (True, "type"), ({}, "type")]),
    (
        f.Date(),
        ["2026-06-20", "2028-02-29", "2026-12-31"],
        [("2026-02-29", "format"), ("2026-13-01", "format"), ("2026-00-10", "format"), ("2026-06-00", "format"),
         ("0000-01-01", "format"), ("2026-6-2", "format"), ("٢٠٢٦-06-20", "format"), (20260620, "type")],
    ),
    (
        f.Instant(),
        ["2026-06-20T14:05:00Z", "2026-06-20T23:59:59.123Z"],
        [("2026-06-20T14:05:00+02:00", "format"), ("2026-06-20 14:05:00Z", "format"),
         ("2026-06-31T14:05:00Z", "format"),
         ("2026-06-20T24:00:00Z", "format"), ("2026-06-20T14:60:00Z", "format"), (1.5, "type")],
    ),
    (
        f.DecimalString(),
        ["0", "1.0825", "123456789012.123456789012"],
        [("-1", "format"), ("1.", "format"), (".5", "format"), ("1e3", "format"), ("", "format"), (1.5, "type")],
    ),
    (f.DecimalString(signed=True), ["-0.1276"], [("--1", "format")]),
    (
        f.OrderKey(),
        ["a0", "a1V", "Zz", "b00", "zzzzzzzzzzzzzzzzzzzzzzzzzzz", "a0" + "V" * 126],
        [("", "format"), ("a", "format"), ("a00", "format"), ("b0", "format"), ("0a", "format"), ("a-", "format"),
         ("A" + "0" * 26, "format"), ("a0" + "V" * 127, "length"), (1, "type")],
    ),
    (f.Nullable(f.Integer(0, 3)), [None, 3], [(4, "range"), ("", "type")]),
    (f.ListOf(f.Flag(), 2), [[], [True, True]], [([True] * 3, "length"), ([False], "type"), ({}, "type")]),
    (
        f.AnyJson(20),
        [{"a": [1, None]}, [], "x" * 18, 1, False],
        [("x" * 19, "length"), (math.inf, "type"), ([[[[[[[[[]]]]]]]]], "type"), (b"x", "type"),
         ({"a": 1e300}, "type"), ({"\ud83d": 1}, "type")],
    ),
    (
        STAMP,
        [{"at": "2026-06-20T14:05:00Z", "by": "u_1"}],
        [({}, "member"), ({"at": "2026-06-20T14:05:00Z"}, "member"), ({"at": "now", "by": "u_1"}, "format"),
         ({"at": "2026-06-20T14:05:00Z", "by": "u_1", "why": ""}, "member"), ([], "type"), ("x", "type")],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, good, _ in CASES for value in good])
def test_takes(kind: f.FieldType, value: Any) -> None:
    assert kind.check(value) == value


@pytest.mark.parametrize(("kind", "value", "code"), [(kind, *refused) for kind, _, bad in CASES for refused in bad])
def test_refuses(kind: f.FieldType, value: Any, code: str) -> None:
    reason = kind.check(value)
    assert isinstance(reason, f.Reason)
    assert reason.code == code
    assert code in f.REASONS


def test_integral_floats_are_integers() -> None:
    checked = f.Integer().check(5.0)
    assert (checked, type(checked)) == (5, int)
    assert f.normalised({"a": [1.0, 2.5, -0.0]}) == {"a": [1, 2.5, 0]}
    assert type(f.normalised([3.0])[0]) is int


@pytest.mark.parametrize(
    "value", [None, math.nan, math.inf, 2.0**53, 1e300, 2**53, b"x", bytearray(1), object(), {"a": math.nan}, [b"x"]]
)
def test_what_is_no_json_is_unreadable(value: object) -> None:
    assert isinstance(f.normalised(value), f.Unreadable)


def test_depth_is_bounded() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert f.normalised(deep) == f.Unreadable("depth")


def test_truth_is_not_one() -> None:
    assert not f.same(True, 1)
    assert not f.same({"seat": 1}, {"seat": True})
    assert not f.same([[1]], [[True]])
    assert f.same({"a": [1, None]}, {"a": [1, None]})


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=30)
    | st.binary(max_size=3)
    | st.builds(f.Unreadable, st.just("map")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)


def all_types() -> list[f.FieldType]:
    declared = [key.type for kind in KINDS for root in kind.roots.values() for key in root.keys.values()]
    return [kind for kind, _, _ in CASES] + declared


@given(st.sampled_from(all_types()), anything)
def test_no_value_makes_a_check_raise_and_a_checked_value_stays(kind: f.FieldType, value: Any) -> None:
    checked = kind.check(value)
    if isinstance(checked, f.Reason):
        assert checked.code in f.REASONS
    else:
        assert f.same(kind.check(checked), checked)
        kind.read(checked)
