"""The queue of large jobs: turns, sizes, and its bounds in bytes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from crdt_server.hosts.fair_queue import FairQueue, RequestSender


def filled(queue: FairQueue[str], *items: tuple[str, int]) -> list[str]:
    """Items are named by sender and size; the first letter of a sender is the address. Returns what was dropped."""
    return [
        dropped for name, size in items for dropped in queue.put(RequestSender(name[0], name), size, f"{name}{size}")
    ]


def drained(queue: FairQueue[str]) -> list[str]:
    return list(iter(queue.take, None))


def test_senders_take_turns_and_the_smallest_of_each_is_next() -> None:
    queue = FairQueue[str]()
    assert not filled(queue, ("a", 9), ("a", 5), ("a", 7), ("b", 8), ("c", 1))
    assert drained(queue) == ["a5", "b8", "c1", "a7", "a9"]
    assert queue.waiting_bytes == 0


def test_small_items_can_be_taken_alone() -> None:
    queue = FairQueue[str]()
    filled(queue, ("a", 9), ("b", 8), ("b", 2))
    assert queue.take(2) == "b2"
    assert queue.take(2) is None
    assert drained(queue) == ["a9", "b8"]


def test_a_sender_has_so_many_bytes() -> None:
    queue = FairQueue[str](0, 10)
    assert filled(queue, ("a", 20), ("a", 1), ("b", 5), ("b", 5), ("b", 1)) == ["a1", "b1"]
    assert drained(queue) == ["a20", "b5", "b5"]


def test_in_all_the_sender_of_most_makes_place() -> None:
    queue = FairQueue[str](20)
    assert filled(queue, ("a", 6), ("a", 7), ("a", 5), ("b", 4)) == ["a7"]
    assert filled(queue, ("b", 20)) == ["b20"]
    assert drained(queue) == ["a5", "b4", "a6"]
    assert filled(queue, ("c", 30)) == []


def test_many_names_at_one_address_have_one_turn_between_them() -> None:
    queue = FairQueue[str]()
    filled(queue, ("ax", 1), ("ay", 2), ("az", 3), ("az", 4), ("b", 9))
    assert drained(queue) == ["ax1", "b9", "ay2", "az3", "az4"]


def test_and_make_place_together() -> None:
    queue = FairQueue[str](20)
    assert filled(queue, ("ax", 4), ("ay", 5), ("az", 5), ("b", 6)) == []
    assert filled(queue, ("c", 5)) == ["ay5"]
    assert queue.waiting_bytes == 20


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 9), st.booleans()), max_size=60))
def test_it_stays_within_its_bounds_and_loses_nothing(steps: list[tuple[str, int, bool]]) -> None:
    queue, waiting = FairQueue[tuple[str, int]](20, 12), list[tuple[str, int]]()
    for sender, size, takes in steps:
        if takes and waiting:
            taken = queue.take()
            assert taken is not None
            waiting.remove(taken)
            assert taken[1] == min(other for name, other in [*waiting, taken] if name == taken[0])
        else:
            waiting.append((sender, size))
            for dropped in queue.put(RequestSender(sender, sender), size, (sender, size)):
                waiting.remove(dropped)
        assert queue.waiting_bytes == sum(size for _, size in waiting) <= 20
        assert all(sum(size for name, size in waiting if name == each) <= 12 for each in "abc")
