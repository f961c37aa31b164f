"""G1-G5: who is invited, and what they answered."""

from __future__ import annotations

from typing import Any

import pytest

from documents.invariants import Writer
from documents.invariants.guests import UNSORTED
from tests.documents.invariants.planning import Planning

GUESTS = "guests"
DELETED = {"at": "2026-05-01T00:00:00Z", "by": "chloe"}


def guest(planning: Planning, id: str, user: str = "chloe", **keys: Any) -> None:
    planning.add(user, GUESTS, GUESTS, id, **{"household": "h_one", "note": "", **keys})


def two_meis(**strategies: str) -> Planning:
    planning = Planning(strategies=strategies)
    guest(planning, "g_2", firstName="Mei", lastName="Tan", email="mei@example.org", plusOnesAllowed=1, note="Choir")
    guest(planning, "g_1", user="aroha", firstName="MÉI", lastName="Tan", email="Mei@example.org", meal="fish",
          rsvp__e_reception="yes", note="Auntie")  # fmt: skip
    guest(planning, "g_3", firstName="Ben", plusOneOf="g_1")
    planning.write("aroha", GUESTS, GUESTS, "g_1", "plusOnesAllowed", 1)
    return planning


def test_g1_two_people_enter_one_guest() -> None:
    planning = two_meis()
    finding = planning.finding("G1")
    assert finding.summary == "Mei Tan and MÉI Tan seem to be one person: same e-mail address and name and household."
    assert finding.automatic is None
    planning.choose(finding, "They are one person: unite them as Mei Tan.")
    assert planning.broken() == []


def test_g1_says_a_household_only_where_there_is_one() -> None:
    planning = Planning()
    for each in ("g_1", "g_2"):
        planning.add("chloe", GUESTS, GUESTS, each, firstName="Mei")
    assert planning.finding("G1").summary == "Mei and Mei seem to be one person: same name."


def test_g1_two_of_one_name_are_told_apart_by_when_they_were_entered() -> None:
    planning = Planning()
    guest(planning, "g_2", firstName="Mei", lastName="Tan", meal="beef")
    guest(planning, "g_1", user="aroha", firstName="Mei", lastName="Tan", meal="fish")
    finding = planning.finding("G1")
    first, last = (f"They are one person: unite them as Mei Tan, as entered {when}." for when in ("first", "last"))
    assert [option.text for option in finding.options][:2] == [first, last]
    planning.choose(finding, last)
    assert planning.value(GUESTS, GUESTS, "g_1", "meal") == "fish"
    assert "deleted" in planning.value(GUESTS, GUESTS, "g_2")


def test_g1_merge_changes_unites_what_both_have() -> None:
    planning = two_meis(G1="merge_changes")
    planning.add("chloe", "seating", "tables", "t_1", capacity=4)
    planning.write("aroha", "seating", "assignments", "g_1", None, {"table": "t_1", "seat": 0})
    planning.add("aroha", "seating", "rules", "r_1", kind="near", guest__g_1=True)
    planning.add("aroha", "timeline", "items", "i_1", person__g_1=True)
    planning.add("aroha", "care", "care", "g_1", diet__vegan=True, allergy__nut="severe", note="EpiPen")
    planning.write("aroha", GUESTS, GUESTS, "g_1", "meal", "vegan")
    planning.resolve()
    assert planning.broken() == ["C1"]
    older = planning.value(GUESTS, GUESTS, "g_2")
    assert older["rsvp:e_reception"] == "yes"
    assert older["meal"] == "vegan"
    assert older["firstName"] == "Mei"
    assert older["note"] == "Choir\nAuntie"
    assert planning.value("seating", "assignments", "g_2") == {"table": "t_1", "seat": 0}
    assert "g_1" not in planning.documents["seating"]["assignments"]
    assert "guest:g_2" in planning.value("seating", "rules", "r_1")
    assert "person:g_2" in planning.value("timeline", "items", "i_1")
    assert planning.value("care", "care", "g_2") == {"diet:vegan": True, "allergy:nut": "severe", "note": "EpiPen"}
    assert planning.value(GUESTS, GUESTS, "g_3", "plusOneOf") == "g_2"
    assert "deleted" in planning.value(GUESTS, GUESTS, "g_1")


def test_g1_needs_are_united_too() -> None:
    planning = two_meis(G1="merge_changes")
    planning.documents["care"]["care"] = {
        "g_1": {"allergy:nut": "severe", "diet:vegan": True, "note": "EpiPen"},
        "g_2": {"allergy:nut": "mild", "deleted": DELETED, "note": "Asthma"},
    }
    planning = Planning(planning.documents, strategies={"G1": "merge_changes"})
    planning.resolve()
    dropped, kept = ("g_1", "g_2") if "deleted" in planning.value(GUESTS, GUESTS, "g_1") else ("g_2", "g_1")
    assert "deleted" not in planning.value("care", "care", kept)
    assert planning.value("care", "care", kept, "allergy:nut") == "severe"
    assert dropped != kept


@pytest.mark.parametrize(
    ("other", "alike"),
    [
        ({"firstName": "mei", "lastName": "TAN"}, True),
        ({"firstName": "Mei", "lastName": "Tan", "household": "h_two"}, False),
        ({"phone": "+44 7700 900123"}, True),
        ({"phone": "0044-7700-900123", "firstName": "Auntie"}, True),
        ({"phone": "12"}, False),
        ({"lastName": "Tan"}, False),
    ],
)
def test_g1_who_is_alike(other: dict[str, str], alike: bool) -> None:
    planning = Planning()
    guest(planning, "g_1", firstName="Mei", lastName="Tan", phone="+44 7700 900123")
    guest(planning, "g_2", user="aroha", **other)
    assert planning.broken() == (["G1"] if alike else [])


def test_g1_couples_who_share_an_address_are_not_united() -> None:
    planning = Planning(strategies={"G1": "merge_changes"})
    guest(planning, "g_1", firstName="Mei", email="tans@example.org")
    guest(planning, "g_2", firstName="Bo", email="tans@example.org")
    assert planning.finding("G1").automatic is None


def test_g1_many_alike_are_compared_with_the_first() -> None:
    planning = Planning()
    for i in (5, 3, 4, 1, 2):
        guest(planning, f"g_{i}", phone="+1 555 0100")
    assert len(planning.open) == 4
    planning.write("chloe", GUESTS, GUESTS, "g_1", "deleted", DELETED)
    assert {subject.ids for subject in planning.open} == {("g_2", "g_3"), ("g_2", "g_4"), ("g_2", "g_5")}


@pytest.mark.parametrize("where", [("events", "e_reception"), ("meta", "")])
def test_g2_late_answers(where: tuple[str, str]) -> None:
    planning = Planning()
    planning.write("chloe", "wedding", *where, "capacity", 1)
    guest(planning, "g_1", rsvp__e_reception="yes")
    guest(planning, "g_2", rsvp__e_reception="maybe")
    planning.write("gina", GUESTS, GUESTS, "g_2", "rsvp:e_reception", "yes")
    finding = planning.finding("G2")
    assert finding.summary == "2 guests come to Reception; there is room for 1."
    assert [party.field.record for party in finding.parties] == [where[1], "g_2"]
    planning.choose(finding, "There is room for 2")
    assert planning.broken() == []


@pytest.mark.parametrize("strategy", ["manual_review", "wedding_hierarchy"])
def test_g3_plus_ones(strategy: str) -> None:
    planning = Planning(strategies={"G3": strategy})
    guest(planning, "g_1", firstName="Ann", plusOnesAllowed=1)
    guest(planning, "g_2", user="aunt", firstName="Bob", plusOneOf="g_1")
    guest(planning, "g_3", user="gina", firstName="Cleo", plusOneOf="g_1")
    finding = planning.finding("G3")
    if strategy == "manual_review":
        assert finding.automatic is None
        planning.choose(finding, "Ann may bring 2")
    else:
        planning.resolve()
        assert "deleted" in planning.value(GUESTS, GUESTS, "g_3")
    assert planning.broken() == []


@pytest.mark.parametrize("strategy", ["merge_changes", "wedding_hierarchy"])
def test_g4_answers_after_the_last_day(strategy: str) -> None:
    planning = Planning(strategies={"G4": strategy})
    planning.write("chloe", "wedding", "meta", "", "rsvpBy", "2026-04-30")
    guest(planning, "g_1", rsvp__e_reception="maybe")
    planning.write("gina", GUESTS, GUESTS, "g_1", "rsvp:e_reception", "yes")
    finding = planning.finding("G4")
    assert finding.severity == "info"
    assert not finding.manual
    planning.resolve()
    if strategy == "merge_changes":
        assert planning.value(GUESTS, GUESTS, "g_1", "rsvp:e_reception") == "yes"
        planning.choose(finding, "Put the answer back")
    assert planning.value(GUESTS, GUESTS, "g_1", "rsvp:e_reception") == "maybe"
    assert planning.broken() == []


@pytest.mark.parametrize(
    ("at", "zone", "late"),
    [
        ("2026-04-30T23:30:00Z", "UTC", False),
        ("2026-04-30T23:30:00Z", "Europe/London", True),  # half past midnight there
        ("2026-05-01T03:00:00.123Z", "America/New_York", False),
        ("2026-05-01T00:00:00Z", "No/Where", True),
        ("nonsense", "UTC", False),
    ],
)
def test_g4_days_end_where_the_wedding_is(at: str, zone: str, late: bool) -> None:
    planning = Planning()
    guest(planning, "g_1", rsvp__e_reception="yes")
    planning.writers[GUESTS, GUESTS, "g_1", "rsvp:e_reception"] = Writer("gina", "guest", 10, 99, at)
    planning.write("chloe", "wedding", "meta", "", "timeZone", zone)
    planning.write("chloe", "wedding", "meta", "", "rsvpBy", "2026-04-30")
    assert planning.broken() == (["G4"] if late else [])
    planning.apply([], "chloe")
    planning.write("maria", GUESTS, GUESTS, "g_1", "rsvp:e_reception", None)
    assert planning.broken() == []


def homeless(**strategies: str) -> Planning:
    planning = Planning(strategies=strategies)
    guest(planning, "g_1", firstName="Ann")
    planning.write("aroha", GUESTS, "households", "h_one", "deleted", DELETED)
    return planning


def test_g5_guests_of_a_deleted_household_go_to_unsorted() -> None:
    planning = homeless()
    planning.resolve()
    assert planning.broken() == []
    assert planning.value(GUESTS, GUESTS, "g_1", "household") == UNSORTED
    assert planning.value(GUESTS, "households", UNSORTED)["name"] == "Unsorted"
    planning.write("aroha", GUESTS, "households", UNSORTED, "deleted", DELETED)
    planning.resolve()
    assert planning.broken() == []


def test_g5_a_person_restores_the_household() -> None:
    planning = homeless(G5="manual_review")
    finding = planning.finding("G5")
    assert finding.automatic is None
    planning.choose(finding, "Restore One")
    assert planning.broken() == []


def test_g5_who_brings_somebody_is_gone() -> None:
    planning = Planning()
    guest(planning, "g_1", plusOnesAllowed=1)
    guest(planning, "g_2", plusOneOf="g_1")
    planning.write("aroha", GUESTS, GUESTS, "g_1", "deleted", DELETED)
    assert planning.broken() == ["G5"]
    planning.resolve()
    assert planning.broken() == []
    assert planning.value(GUESTS, GUESTS, "g_2", "plusOneOf") is None
