"""T1-T6: broken by two people, and resolved as the wedding has chosen."""

from __future__ import annotations

from typing import Any

import pytest

from tests.documents.invariants.planning import Planning, empty

TIMELINE, ITEMS = "timeline", "items"


def timeline(cascade: str | None = "flex", **strategies: str) -> Planning:
    documents = empty()
    documents["wedding"]["meta"][""]["cascade"] = cascade
    return Planning(documents, strategies=strategies)


def item(planning: Planning, id: str, start: int, duration: int, user: str = "maria", **keys: Any) -> None:
    planning.add(user, TIMELINE, ITEMS, id, title=id.title(), start=start, duration=duration, **keys)


def start(planning: Planning, id: str) -> int:
    value: int = planning.value(TIMELINE, ITEMS, id, "start")
    return value


def two_places(cascade: str | None = "flex", first: str = "flex", second: str = "flex", **strategies: str) -> Planning:
    planning = timeline(cascade, **strategies)
    item(planning, "portraits", 900, 40, place="p_oak", rigidity=first, vendor__v_lens=True)
    item(planning, "details", 960, 30, user="nina", place="p_hall", rigidity=second, vendor__v_lens=True)
    planning.write("chloe", TIMELINE, ITEMS, "portraits", "start", 930)
    return planning


def test_t1_the_later_flexible_item_moves() -> None:
    planning = two_places()
    assert planning.broken() == ["T1"]
    finding = planning.finding("T1")
    assert finding.summary == "Light & Lens: Portraits and Details overlap."
    assert [party.field.record for party in finding.parties] == ["portraits", "portraits", "details", "details"]
    planning.resolve()
    assert planning.broken() == []
    assert (start(planning, "portraits"), start(planning, "details")) == (930, 970)


@pytest.mark.parametrize(("first", "second", "moved"), [("flex", "fixed", "portraits"), ("fixed", "flex", "details")])
def test_t1_fixed_items_stay(first: str, second: str, moved: str) -> None:
    planning = two_places(first=first, second=second)
    before = {each: start(planning, each) for each in ("portraits", "details")}
    planning.resolve()
    assert planning.broken() == []
    assert {each for each in before if before[each] != start(planning, each)} == {moved}


def test_t1_key_moments_stay() -> None:
    planning = two_places()
    planning.write("maria", TIMELINE, ITEMS, "details", "keyMoment", True)
    planning.resolve()
    assert (start(planning, "portraits"), start(planning, "details")) == (990, 960)


@pytest.mark.parametrize(
    ("cascade", "first", "second", "strategies"),
    [
        ("propose", "flex", "flex", {}),
        (None, "flex", "flex", {}),
        ("flex", "fixed", "fixed", {}),
        ("flex", "fixed", "buffer", {}),
        ("flex", "flex", "flex", {"T1": "manual_review"}),
    ],
)
@pytest.mark.parametrize("choice", ["Details begins", "Portraits begins", "Light & Lens is not needed for Details"])
def test_t1_a_person_decides_otherwise(
    cascade: str | None, first: str, second: str, strategies: dict[str, str], choice: str
) -> None:
    planning = two_places(cascade, first, second, **strategies)
    finding = planning.finding("T1")
    assert finding.automatic is None
    planning.choose(finding, choice)
    assert planning.broken() == []


def test_t1_one_place_or_an_unknown_one_is_no_conflict() -> None:
    planning = two_places()
    planning.write("maria", TIMELINE, ITEMS, "details", "place", None)
    assert planning.broken() == []
    planning.write("maria", TIMELINE, ITEMS, "details", "place", "p_oak")
    assert planning.broken() == []


def test_t1_skipped_and_deleted_items_are_not_there() -> None:
    planning = two_places()
    planning.write("maria", TIMELINE, ITEMS, "details", "status", "skipped")
    assert planning.broken() == []
    planning.write("maria", TIMELINE, ITEMS, "details", "status", "ready")
    assert planning.broken() == ["T1"]
    planning.write("maria", TIMELINE, ITEMS, "portraits", "deleted", {"at": "2026-05-01T00:00:00Z", "by": "maria"})
    assert planning.broken() == []


def test_t1_nothing_is_moved_that_puts_something_fixed_at_risk() -> None:
    planning = two_places()
    item(planning, "dinner", 1000, 60, rigidity="fixed", after__details=0)
    finding = planning.finding("T1")
    assert finding.automatic == (finding.options[0].ops)  # just fits
    planning.write("maria", TIMELINE, ITEMS, "details", "duration", 40)
    finding = planning.finding("T1")
    assert finding.automatic is None
    assert "Dinner at risk" in finding.options[0].text


@pytest.mark.parametrize(("strategy", "automatic"), [("manual_review", False), ("priority_based", True)])
def test_t2_a_person_in_two_items(strategy: str, automatic: bool) -> None:
    planning = timeline(T2=strategy)
    item(planning, "hair", 600, 60, person__bride=True)
    item(planning, "first_look", 630, 20, person__bride=True, user="nina")
    assert planning.broken() == ["T2"]
    finding = planning.finding("T2")
    assert (finding.automatic is not None) == automatic
    if automatic:
        planning.resolve()
    else:
        planning.choose(finding, "First_Look begins at 11:00")
    assert planning.broken() == []
    assert start(planning, "first_look") == 660


@pytest.mark.parametrize(("strategy", "automatic"), [("manual_review", False), ("priority_based", True)])
def test_t3_an_exclusive_place_is_used_once(strategy: str, automatic: bool) -> None:
    planning = timeline(T3=strategy)
    item(planning, "decorate", 600, 120, place="p_hall")
    item(planning, "rehearse", 700, 30, place="p_hall", user="nina")
    item(planning, "picnic", 600, 30, place="p_oak")
    item(planning, "photos", 600, 30, place="p_oak")
    assert planning.broken() == ["T3"]
    assert (planning.finding("T3").automatic is not None) == automatic
    if automatic:
        planning.resolve()
    else:
        planning.choose(planning.finding("T3"), "Rehearse begins at 12:00")
    assert planning.broken() == []
    planning.write("maria", "wedding", "places", "p_oak", "exclusive", True)
    assert planning.finding("T3").subject.ids == ("p_oak", "photos", "picnic")


def test_t3_a_place_is_large_enough() -> None:
    planning = timeline()
    planning.write("maria", "wedding", "places", "p_oak", "capacity", 1)
    for guest in ("g_1", "g_2"):
        planning.add("gina", "guests", "guests", guest, firstName=guest, rsvp__e_ceremony="yes")
    finding = planning.finding("T3")
    assert finding.summary == "2 guests come to Ceremony; Old oak holds 1."
    planning.choose(finding, "Move it to Hall")
    assert planning.broken() == []


def chain(cascade: str | None = "flex", rigidity: str = "flex", **strategies: str) -> Planning:
    planning = timeline(cascade, **strategies)
    item(planning, "ceremony", 900, 40, rigidity="fixed")
    item(planning, "family", 950, 30, after__ceremony=10, rigidity=rigidity)
    item(planning, "couple", 980, 30, after__family=0)
    planning.write("chloe", TIMELINE, ITEMS, "ceremony", "duration", 60)
    return planning


def test_t4_flexible_successors_are_pushed() -> None:
    planning = chain()
    assert planning.broken() == ["T4"]
    planning.resolve()
    assert planning.broken() == []
    assert [start(planning, each) for each in ("ceremony", "family", "couple")] == [900, 970, 1000]


@pytest.mark.parametrize(
    ("cascade", "rigidity", "strategies"),
    [("propose", "flex", {}), ("off", "flex", {}), ("flex", "fixed", {}), ("flex", "flex", {"T4": "manual_review"})],
)
def test_t4_a_person_decides_otherwise(cascade: str, rigidity: str, strategies: dict[str, str]) -> None:
    planning = chain(cascade, rigidity, **strategies)
    finding = planning.finding("T4")
    assert finding.automatic is None
    planning.choose(finding, "Family need not be" if rigidity == "fixed" else "Push 2 later items")
    assert planning.broken() == []


def test_t4_items_in_a_circle_are_left_to_a_person() -> None:
    planning = timeline()
    item(planning, "one", 900, 30, after__two=0)
    item(planning, "two", 900, 30, after__one=0)
    assert planning.broken() == ["T4", "T4"]
    assert planning.resolve() == 0


def test_t4_what_goes_on_has_no_order_to_keep() -> None:
    planning = chain()
    planning.write("nina", TIMELINE, ITEMS, "family", "status", "live")
    assert planning.broken() == []


def test_t5_nothing_but_breakdown_after_the_hard_end() -> None:
    planning = timeline()
    item(planning, "party", 1200, 240, minDuration=120)
    item(planning, "clean", 1440, 60, kind="breakdown")
    planning.write("maria", "wedding", "meta", "", "hardEnd", 1380)
    assert planning.broken() == ["T5"]
    finding = planning.finding("T5")
    assert finding.severity == "warning"
    assert [option.text for option in finding.options] == [
        "Shorten Party to 3 h.", "Party begins at 19:00.", "Skip Party.", "The hard end is 00:00 +1.",
        "Leave it as it is.",
    ]  # fmt: skip
    planning.context(live=True)
    assert planning.finding("T5").severity == "critical"
    planning.choose(finding, "Shorten")
    assert planning.broken() == []


def test_t5_fixed_items_stay_while_live() -> None:
    planning = timeline()
    item(planning, "dinner", 1140, 90, rigidity="fixed")
    item(planning, "dance", 1300, 90)
    planning.context(planned={"dinner": 1140, "dance": 1300})
    planning.write("nina", TIMELINE, ITEMS, "dance", "start", 1310)
    planning.write("nina", TIMELINE, ITEMS, "dinner", "start", 1150)
    assert planning.broken() == []
    planning.write("maria", "wedding", "meta", "", "phase", "live")
    finding = planning.finding("T5")
    assert finding.severity == "critical"
    planning.choose(finding, "It begins at 19:00")
    assert planning.broken() == []


def unstaffed(**strategies: str) -> Planning:
    planning = timeline(**strategies)
    item(planning, "dance", 1300, 60, vendor__v_band=True, place="p_hall")
    planning.write("maria", "wedding", "vendors", "v_band", "stage", "cancelled")
    return planning


def test_t6_the_item_is_marked_and_a_person_decides() -> None:
    planning = unstaffed()
    finding = planning.finding("T6")
    assert finding.manual
    planning.resolve()
    assert planning.value(TIMELINE, ITEMS, "dance", "_unstaffed") is True
    finding = planning.finding("T6")
    assert finding.automatic is None
    planning.choose(finding, "Take The Band off Dance")
    planning.resolve()
    assert planning.broken() == []
    assert planning.value(TIMELINE, ITEMS, "dance", "_unstaffed") is None


def test_t6_the_mark_goes_when_the_vendor_works_again() -> None:
    planning = unstaffed()
    planning.resolve()
    planning.write("maria", "wedding", "vendors", "v_band", "stage", "booked")
    assert [party.field.record for party in planning.finding("T6").parties] == ["dance"], "where to look"
    planning.resolve()
    assert planning.broken() == []
    assert planning.value(TIMELINE, ITEMS, "dance", "_unstaffed") is None


def test_t6_merge_changes_only_marks() -> None:
    planning = unstaffed(T6="merge_changes")
    planning.resolve()
    assert not planning.finding("T6").manual


def test_t6_places() -> None:
    planning = timeline()
    item(planning, "dance", 1300, 60, place="p_hall")
    planning.write("maria", "wedding", "places", "p_hall", "deleted", {"at": "2026-05-01T00:00:00Z", "by": "maria"})
    finding = planning.finding("T6")
    assert finding.automatic is None
    planning.choose(finding, "Take its place off")
    assert planning.broken() == []
