"""What a delay does to the rest of the day."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from documents.invariants.cascade import MAX_ITEMS, Cascade, Move, Risk, Slot, cascade

PORTRAITS = {
    "portraits": {"start": 960, "duration": 40, "vendor:lens": True},
    "buffer": {"start": 1000, "duration": 10, "rigidity": "buffer", "after:portraits": 0},
    "cocktail": {"start": 1010, "duration": 60, "minDuration": 45, "after:buffer": 0},
    "dinner": {"start": 1080, "duration": 90, "rigidity": "fixed", "after:cocktail": 0},
    "flowers": {"start": 980, "duration": 30, "vendor:florist": True},
}


def late(minutes: int, items: Any = PORTRAITS, **context: Any) -> Cascade:
    return cascade(items, {"portraits": Slot(960, 40 + minutes)}, **context)


def new(result: Cascade) -> dict[str, Slot]:
    return {move.item: move.new for move in result.moves}


def test_buffers_absorb_first_then_flexible_items_move() -> None:
    result = late(20)
    assert new(result) == {"portraits": Slot(960, 60), "buffer": Slot(1020, 0), "cocktail": Slot(1020, 60)}
    assert result.clear
    assert [op[1:] for op in result.ops()] == [
        ("timeline", "items", "portraits", "duration", 60),
        ("timeline", "items", "buffer", "start", 1020),
        ("timeline", "items", "buffer", "duration", 0),
        ("timeline", "items", "cocktail", "start", 1020),
    ]


def test_a_delay_a_buffer_takes_in_goes_no_further() -> None:
    assert new(late(5)) == {"portraits": Slot(960, 45), "buffer": Slot(1005, 5)}


def test_flexible_items_become_shorter_before_a_fixed_one() -> None:
    result = late(30)
    assert new(result)["cocktail"] == Slot(1030, 50)
    assert result.clear


def test_what_is_fixed_stays_and_is_at_risk() -> None:
    result = late(60)
    assert "dinner" not in new(result)
    assert new(result)["cocktail"] == Slot(1060, 45)
    assert result.at_risk == (Risk("dinner", 25),)


def test_the_last_before_a_fixed_item_becomes_shorter_first() -> None:
    items = {
        "portraits": {"start": 0, "duration": 10},
        "a": {"start": 10, "duration": 20, "minDuration": 10, "after:portraits": 0},
        "b": {"start": 30, "duration": 20, "minDuration": 10, "after:a": 0},
        "fixed": {"start": 50, "duration": 10, "rigidity": "fixed", "after:b": 0},
    }
    assert new(cascade(items, {"portraits": Slot(0, 15)})) == {
        "portraits": Slot(0, 15), "a": Slot(15, 20), "b": Slot(35, 15)
    }  # fmt: skip
    assert new(cascade(items, {"portraits": Slot(0, 25)}))["a"] == Slot(25, 15)


def test_vendors_people_and_exclusive_places_are_waited_for() -> None:
    shared = {"vendor:lens": True}, {"person:bride": True}, {"place": "hall"}
    for keys in shared:
        items = {
            "portraits": {"start": 960, "duration": 40} | keys,
            "next": {"start": 1000, "duration": 20} | keys,
        }
        moved = late(10, items, exclusive={"hall"})
        assert new(moved)["next"] == Slot(1010, 20)
    assert "next" not in new(late(10, items))


def test_what_goes_on_does_not_move_and_what_is_over_does_not_matter() -> None:
    items = {
        "portraits": {"start": 960, "duration": 40},
        "live": {"start": 1000, "duration": 20, "status": "live", "after:portraits": 0},
        "done": {"start": 1000, "duration": 20, "status": "done", "after:portraits": 0},
    }
    result = late(10, items)
    assert new(result) == {"portraits": Slot(960, 50)}
    assert result.at_risk == (Risk("live", 10),)


def test_nothing_is_pushed_beyond_the_hard_end_unseen() -> None:
    items = {
        "portraits": {"start": 960, "duration": 40},
        "last": {"start": 1000, "duration": 60, "minDuration": 50, "after:portraits": 0},
        "breakdown": {"start": 1060, "duration": 60, "kind": "breakdown", "after:last": 0},
    }
    result = late(20, items, hard_end=1060)
    assert new(result)["last"] == Slot(1020, 50)
    assert result.at_risk == (Risk("last", 10),)
    assert late(10, items, hard_end=1060).clear


def test_circles_are_left_alone() -> None:
    items = {"portraits": {"start": 960, "duration": 40, "after:b": 0}, "b": {"start": 960, "after:portraits": 0}}
    result = late(10, items)
    assert result.circular == ("b", "portraits") or result.circular == ("portraits",)
    assert not result.clear


def test_too_many_items_are_left_alone() -> None:
    items = PORTRAITS | {f"i{i}": {"start": i, "duration": 1} for i in range(MAX_ITEMS)}
    assert not late(10, items).clear


RIGIDITIES = st.sampled_from(("fixed", "flex", "buffer"))


@st.composite
def running_orders(draw: Any) -> dict[str, Any]:
    items: dict[str, Any] = {}
    for i in range(draw(st.integers(2, 8))):
        items[f"i{i}"] = {
            "start": draw(st.integers(0, 100)), "duration": draw(st.integers(0, 30)), "rigidity": draw(RIGIDITIES),
            "minDuration": draw(st.integers(0, 30)),
        }  # fmt: skip
        items[f"i{i}"] |= {f"after:i{j}": 0 for j in draw(st.sets(st.integers(0, 7), max_size=2))}
        items[f"i{i}"] |= {f"vendor:{v}": True for v in draw(st.sets(st.sampled_from("xy"), max_size=1))}
    return items


@given(running_orders(), st.integers(0, 60))
def test_a_clear_cascade_keeps_the_order(items: dict[str, Any], minutes: int) -> None:
    old = Slot(items["i0"]["start"], items["i0"]["duration"])
    result = cascade(items, {"i0": Slot(old.start, old.duration + minutes)})
    assert result == cascade(dict(reversed(items.items())), {"i0": Slot(old.start, old.duration + minutes)})
    slots = {each: Slot(row["start"], row["duration"]) for each, row in items.items()} | new(result)
    for item, before, after in result.moves:
        if item != "i0":
            assert items[item]["rigidity"] != "fixed"
            assert after.start >= before.start
            assert after.duration >= min(before.duration, items[item]["minDuration"])
    if result.clear:
        pushed = {move.item for move in result.moves} | {"i0"}
        for item, row in items.items():
            for key in row:
                if key.startswith("after:") and key[6:] in pushed:
                    assert slots[item].start >= slots[key[6:]].end


def test_a_move_says_from_where_to_where() -> None:
    assert late(5).moves[0] == Move("portraits", Slot(960, 40), Slot(960, 45))
