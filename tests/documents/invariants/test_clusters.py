"""T1-T3 where many items overlap: one finding per vendor, person or place and cluster, whatever the number of pairs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from documents.invariants import Field, Index, Wedding, review_id, review_row
from documents.invariants.busy import MAX_COMPARED, BusyTimes, Claim, Pair, TimelineEntry
from documents.invariants.timeline import MAX_MOVED_ALONE
from tests.documents.invariants.planning import NOW, Planning, empty
from tests.support.effort import examples

ITEMS = ("timeline", "items")
LENS = ("T1", "v_lens")


def at_once(items: int, vendors: int, persons: int) -> dict[str, Any]:
    """Items at one time at different places, each with all the vendors and persons."""
    documents = empty()
    wanted = {f"vendor:v_{i}": True for i in range(vendors)} | {f"person:g_{i}": True for i in range(persons)}
    for i in range(items):
        row = {"title": f"Item {i}", "start": 900, "duration": 60, "place": f"p_{i}", **wanted}
        documents["timeline"]["items"][f"i_{i:03}"] = row
    return documents


def broken(index: Index) -> list[str]:
    return [each.invariant for each in index.subjects() if each.invariant in ("T1", "T2", "T3") and index.broken(each)]


@pytest.mark.parametrize(("items", "vendors", "persons"), [(100, 20, 20), (70, 2, 0), (70, 10, 4)])
def test_there_is_one_finding_per_vendor_and_person_however_many_items_overlap(
    items: int, vendors: int, persons: int
) -> None:
    index = Index(Wedding(at_once(items, vendors, persons)))
    found = broken(index)
    assert (found.count("T1"), found.count("T2")) == (vendors, persons)
    assert len(index.subjects()) < 10 * items + vendors + persons, "pairs that overlap are no subjects"


def test_a_finding_names_the_number_of_the_others() -> None:
    index = Index(Wedding(at_once(70, 1, 0)))
    (subject,) = (each for each in index.subjects() if each.invariant == "T1")
    finding = index.find(subject)
    assert finding is not None
    assert finding.summary == "A vendor without a name: Item 0 and Item 1 overlap, and 68 more."
    assert finding.fingerprint.endswith("+68")


def test_touching_an_item_touches_as_many_subjects_as_it_has_vendors_and_persons() -> None:
    documents = at_once(100, 20, 20)
    index = Index(Wedding(documents))
    documents["timeline"]["items"]["i_050"]["start"] = 930
    assert len(index.update([Field(*ITEMS, "i_050", "start")])) < 2 * 40 + 10


def three_at_once() -> Planning:
    documents = empty()
    documents["wedding"]["meta"][""]["cascade"] = "propose"
    planning = Planning(documents)
    for i, place in enumerate(("p_oak", "p_hall", "p_lake")):
        planning.add("maria", *ITEMS, f"i_{i}", title=f"Item {i}", start=900 + i, duration=60, place=place,
                     vendor__v_lens=True)  # fmt: skip
    return planning


def pairs_of(planning: Planning) -> list[tuple[str, ...]]:
    return [subject.ids[1:] for subject in sorted(planning.open) if subject.invariant == "T1"]


def test_the_next_pair_comes_up_when_the_first_is_resolved() -> None:
    planning = three_at_once()
    assert pairs_of(planning) == [("i_0", "i_1")]
    planning.write("maria", *ITEMS, "i_1", "vendor:v_lens", None)
    assert pairs_of(planning) == [("i_0", "i_2")]
    assert planning.finding("T1").summary == "Light & Lens: Item 0 and Item 2 overlap."
    planning.write("maria", *ITEMS, "i_2", "start", 1000)
    assert pairs_of(planning) == []


def test_the_next_pair_comes_up_when_the_first_is_left_as_it_is() -> None:
    planning = three_at_once()
    left = planning.finding("T1")
    row = review_row(left, NOW, state="resolved") | {"_outcome": "option", "_fingerprint": left.fingerprint}
    planning.add("maria", "timeline", "review", review_id(left.subject), **row)
    assert pairs_of(planning) == [("i_1", "i_2")]
    planning.write("maria", *ITEMS, "i_1", "start", 1100)
    assert pairs_of(planning) == [("i_0", "i_2")]
    planning.write("maria", *ITEMS, "i_1", "start", 901)
    planning.write("maria", *ITEMS, "i_2", "start", 1100)
    assert pairs_of(planning) == [], "the facts about the pair that was left are the same"
    planning.write("maria", *ITEMS, "i_1", "start", 902)
    assert pairs_of(planning) == [("i_0", "i_1")]


def test_what_is_over_by_itself_was_not_left_as_it_is() -> None:
    planning = three_at_once()
    moot = planning.finding("T1")
    row = review_row(moot, NOW, state="resolved") | {"_outcome": "moot", "_fingerprint": moot.fingerprint}
    planning.add("maria", "timeline", "review", review_id(moot.subject), **row)
    assert pairs_of(planning) == [("i_0", "i_1")]


@pytest.mark.parametrize(("items", "moved"), [(5, True), (MAX_MOVED_ALONE + 1, True), (MAX_MOVED_ALONE + 2, False)])
def test_items_of_a_small_cluster_are_moved_one_after_the_other(items: int, moved: bool) -> None:
    planning = Planning(at_once(items, 1, 0))
    rounds = planning.resolve(rounds=2 * items)
    starts = {row["start"] for row in planning.documents["timeline"]["items"].values()}
    if moved:
        assert len(starts) == items
        assert "T1" not in planning.broken()
        assert rounds <= items
    else:
        assert starts == {900}
        assert planning.finding("T1").manual


def test_clusters_at_other_times_have_findings_of_their_own() -> None:
    documents = at_once(4, 1, 0)
    for item in ("i_002", "i_003"):
        documents["timeline"]["items"][item]["start"] = 1200
    planning = Planning(documents)
    assert pairs_of(planning) == [("i_000", "i_001"), ("i_002", "i_003")]


def test_only_the_earliest_items_are_compared() -> None:
    busy = BusyTimes(lambda _: False)
    for i in range(2 * MAX_COMPARED):
        entry = TimelineEntry(10 * i, 10 * i + 15, True, (), ("bride",), None, ())
        pairs = set(busy.add(f"i_{i:04}", entry))
        assert len(pairs) <= 1
    ((_, one, other),) = busy.pairs()
    assert (one, other) == ("i_0000", "i_0001")
    assert len(busy.others(("T2", "bride"), one, other)) == MAX_COMPARED - 2


# -- any times


def entry_of(start: int, length: int, place: str | None) -> TimelineEntry:
    return TimelineEntry(start, start + length, True, ("v_lens",), ("bride",), place, ())


entries = st.builds(entry_of, st.integers(0, 30), st.integers(0, 12), st.sampled_from(("p_oak", "p_hall", None)))
steps = st.lists(st.tuples(st.integers(0, 7), st.one_of(st.none(), entries)), max_size=25)


def in_conflict(claim: Claim, one: TimelineEntry, other: TimelineEntry) -> bool:
    """Whether two items want a claim at once."""
    if not (one.start < other.end and other.start < one.end and one.start < one.end and other.start < other.end):
        return False
    if claim[0] == "T2":
        return True
    places = one.place is not None and other.place is not None
    return places and one.place != other.place if claim == LENS else one.place == claim[1] == other.place


@settings(max_examples=examples(300))
@given(steps, st.frozensets(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=4))
def test_a_pair_is_found_where_there_is_a_conflict(
    history: list[tuple[int, TimelineEntry | None]], left: frozenset[tuple[int, int]]
) -> None:
    left_pairs = {frozenset((f"i_{one}", f"i_{other}")) for one, other in left}

    def is_left(pair: Pair) -> bool:
        return frozenset(pair[1:]) in left_pairs

    items: dict[str, TimelineEntry] = {}
    busy, before = BusyTimes(is_left), set()
    for number, entry in history:
        item, touched = f"i_{number}", set()
        if item in items:
            touched |= set(busy.remove(item, items.pop(item)))
        if entry is not None:
            items[item] = entry
            touched |= set(busy.add(item, entry))
        found = set(busy.pairs())
        assert found ^ before <= touched
        before = found
        new = BusyTimes(is_left)
        for each in items:
            list(new.add(each, items[each]))
        assert set(new.pairs()) == found
        for claim in (LENS, ("T2", "bride"), ("T3", "p_oak"), ("T3", "p_hall")):
            conflicts = {
                (one, other)
                for one in items
                for other in items
                if one < other and in_conflict(claim, items[one], items[other])
            }
            open_ones = {pair for pair in conflicts if frozenset(pair) not in left_pairs}
            of_claim = {tuple(sorted(pair[1:])) for pair in found if pair[0] == claim}
            assert of_claim <= open_ones
            assert bool(of_claim) == bool(open_ones)
            concerned = {item for pair in conflicts for item in pair}
            for one, other in of_claim:
                assert set(busy.others(claim, one, other)) <= concerned - {one, other}
