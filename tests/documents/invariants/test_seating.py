"""S1-S7: broken by two people, and resolved as the wedding has chosen."""

from __future__ import annotations

from typing import Any

import pytest

from documents.invariants import Finding, Op
from tests.documents.invariants.planning import NOW, Planning

SEATING = "seating"


@pytest.fixture
def planning() -> Planning:
    return seated()


def seated(**strategies: str) -> Planning:
    planning = Planning(strategies=strategies)
    for i, name in enumerate(("Ann", "Bob", "Cleo", "Dan", "Eve")):
        planning.add("chloe", "guests", "guests", f"g_{name.lower()}", firstName=name, household=f"h_{i}")
        planning.add("chloe", "guests", "households", f"h_{i}", name=name)
    for i in (1, 2, 3):
        planning.add("chloe", SEATING, "tables", f"t_{i}", label=str(i), capacity=2, position={"x": i * 100, "y": 0})
    return planning


def sit(planning: Planning, user: str, guest: str, table: str, seat: int | None = None) -> None:
    planning.write(user, SEATING, "assignments", f"g_{guest}", None, {"table": table, "seat": seat})


def seat(planning: Planning, guest: str) -> tuple[str, int | None] | None:
    row = planning.value(SEATING, "assignments", f"g_{guest}")
    return None if row is None else (row["table"], row["seat"])


def both_in_one_seat(first: str = "chloe", second: str = "maria", **strategies: str) -> Planning:
    planning = seated(**strategies)
    sit(planning, first, "ann", "t_1", 0)
    sit(planning, second, "bob", "t_1", 0)
    assert planning.broken() == ["S1"]
    return planning


@pytest.mark.parametrize(
    ("strategy", "first", "second", "keeps"),
    [
        ("priority_based", "maria", "chloe", "bob"),  # rank
        ("priority_based", "maria", "nina", "ann"),  # equal rank: who came first
        ("wedding_hierarchy", "chloe", "maria", "ann"),
        ("wedding_hierarchy", "maria", "nina", "bob"),  # equal rank: who came last
        ("last_writer_wins", "chloe", "maria", "bob"),
    ],
)
def test_s1_one_of_two_keeps_the_seat(strategy: str, first: str, second: str, keeps: str) -> None:
    planning = both_in_one_seat(first, second, S1=strategy)
    finding = planning.finding("S1")
    assert "Ann" in finding.summary
    assert "Bob" in finding.summary
    assert finding.subject.settle_seconds == 3
    planning.resolve()
    assert planning.broken() == []
    moves = {"ann": "bob", "bob": "ann"}[keeps]
    assert seat(planning, keeps) == ("t_1", 0)
    assert seat(planning, moves) == ("t_1", 1)


def test_s1_a_person_decides_under_manual_review() -> None:
    planning = both_in_one_seat(S1="manual_review")
    finding = planning.finding("S1")
    assert finding.automatic is None
    assert finding.strategy == "manual_review"
    assert [option.text for option in finding.options] == [
        "Ann keeps seat 1.", "Bob keeps seat 1.", "Leave it as it is."
    ]  # fmt: skip
    planning.choose(finding, "Bob")
    assert planning.broken() == []
    assert seat(planning, "bob") == ("t_1", 0)
    assert seat(planning, "ann") == ("t_1", 1)


def test_s1_can_be_decided_otherwise_after_it_was_resolved() -> None:
    planning = both_in_one_seat()
    finding = planning.finding("S1")
    planning.resolve()
    planning.choose(finding, "Bob")
    assert planning.broken() == []
    assert (seat(planning, "bob"), seat(planning, "ann")) == (("t_1", 0), ("t_1", 1))


def test_s1_at_a_full_table_the_other_guest_has_no_seat(planning: Planning) -> None:
    sit(planning, "chloe", "cleo", "t_1", 1)
    sit(planning, "chloe", "ann", "t_1", 0)
    sit(planning, "maria", "bob", "t_1", 0)
    assert planning.finding("S1").severity == "error"
    planning.resolve()
    assert (seat(planning, "ann"), seat(planning, "bob")) == (("t_1", 0), None)
    assert planning.broken() == []


def test_s1_at_a_table_of_unknown_size_the_other_guest_stays_without_a_seat(planning: Planning) -> None:
    planning.write("chloe", SEATING, "tables", "t_1", "capacity", None)
    sit(planning, "chloe", "ann", "t_1", 7)
    sit(planning, "maria", "bob", "t_1", 7)
    planning.resolve()
    assert seat(planning, "bob") == ("t_1", None)


def test_s1_who_sat_before_the_table_was_locked_stays() -> None:
    planning = seated()
    sit(planning, "maria", "ann", "t_1", 0)
    planning.locked(SEATING, "t_1", "maria")
    sit(planning, "chloe", "bob", "t_1", 0)
    planning.resolve()
    assert (seat(planning, "ann"), seat(planning, "bob")) == (("t_1", 0), ("t_1", 1))


def test_s1_a_swap_in_two_writes_is_over_when_it_is_looked_at_again(planning: Planning) -> None:
    sit(planning, "chloe", "ann", "t_1", 0)
    sit(planning, "chloe", "bob", "t_1", 1)
    sit(planning, "chloe", "ann", "t_1", 1)
    assert planning.broken() == ["S1"]
    sit(planning, "chloe", "bob", "t_1", 0)
    assert planning.broken() == []


def overfull(**strategies: str) -> Planning:
    planning = seated(**strategies)
    for user, guest in (("chloe", "ann"), ("maria", "bob"), ("nina", "cleo")):
        sit(planning, user, guest, "t_2")
    assert planning.broken() == ["S2"]
    return planning


def test_s2_a_person_moves_the_latest() -> None:
    planning = overfull()
    finding = planning.finding("S2")
    assert [option.text for option in finding.options] == [
        "Move Cleo to table 1.", "Move Cleo to table 3.", "Set 3 seats at table 2.", "Leave it as it is."
    ]  # fmt: skip
    planning.choose(finding, "Move Cleo to table 3")
    assert planning.broken() == []


def test_s2_priority_moves_the_lowest() -> None:
    planning = overfull(S2="priority_based")
    planning.resolve()
    assert planning.broken() == []
    assert seat(planning, "cleo") == ("t_1", None)


def test_s2_nobody_is_moved_where_there_is_no_room() -> None:
    planning = overfull(S2="priority_based")
    for table in ("t_1", "t_3"):
        planning.write("chloe", SEATING, "tables", table, "capacity", 0)
    assert planning.finding("S2").automatic is None


@pytest.mark.parametrize("guest", ["g_dan", "g_gone"])
def test_s4_who_does_not_come_has_no_seat(planning: Planning, guest: str) -> None:
    planning.write("chloe", SEATING, "assignments", guest, None, {"table": "t_1", "seat": 0})
    planning.write("gina", "guests", "guests", "g_dan", "rsvp:e_reception", "no")
    assert planning.broken() == ["S4"]
    planning.resolve()
    assert planning.broken() == []
    assert planning.documents[SEATING]["assignments"] == {}


def test_s4_a_person_decides_under_manual_review() -> None:
    planning = seated(S4="manual_review")
    sit(planning, "chloe", "dan", "t_1", 0)
    planning.write("chloe", "guests", "guests", "g_dan", "deleted", {"at": "2026-05-01T00:00:00Z", "by": "chloe"})
    planning.choose(planning.finding("S4"), "Free")
    assert planning.broken() == []


def test_s4_another_event_has_its_own_answers(planning: Planning) -> None:
    name = "seating.e_ceremony"
    planning.add("chloe", name, "tables", "t_1", label="Row 1", capacity=9)
    planning.write("chloe", name, "assignments", "g_dan", None, {"table": "t_1", "seat": 0})
    planning.write("gina", "guests", "guests", "g_dan", "rsvp:e_reception", "no")
    assert planning.broken() == []
    planning.write("gina", "guests", "guests", "g_dan", "rsvp:e_ceremony", "no")
    assert planning.finding("S4").subject.ids == (name, "g_dan")


def test_s4_the_seat_of_who_does_not_come_is_free(planning: Planning) -> None:
    sit(planning, "chloe", "ann", "t_1", 0)
    sit(planning, "chloe", "bob", "t_1", 0)
    planning.write("gina", "guests", "guests", "g_ann", "rsvp:e_reception", "no")
    assert planning.broken() == ["S4"]


def test_nobody_is_unseated_while_the_guests_are_not_at_hand() -> None:
    documents: dict[str, Any] = {
        SEATING: {"tables": {"t_1": {"capacity": 2}}, "assignments": {"g_1": {"table": "t_1", "seat": 0}}}
    }
    assert Planning(documents).broken() == []


@pytest.mark.parametrize(
    ("change", "becomes"),
    [
        (Op("set", SEATING, "tables", "t_1", "capacity", 1), ("t_1", None)),
        (Op("delete", SEATING, "tables", "t_1"), None),
        (Op("set", SEATING, "tables", "t_1", "deleted", {"at": "2026-05-01T00:00:00Z", "by": "maria"}), None),
    ],
)
def test_s3_seats_that_are_gone(planning: Planning, change: Op, becomes: Any) -> None:
    sit(planning, "chloe", "ann", "t_1", 1)
    planning.apply([change], "maria")
    assert planning.broken() == ["S3"]
    planning.resolve()
    assert seat(planning, "ann") == becomes
    assert planning.broken() == []


# -- slips: what the server has freed comes back

DELETED = {"at": "2026-05-01T00:00:00Z", "by": "maria"}
TABLE = (SEATING, "tables", "t_1", "deleted")
RSVP = ("guests", "guests", "g_ann", "rsvp:e_reception")


def slip(planning: Planning, *field: Any, value: Any, again: Any = None) -> None:
    """Somebody writes, the server frees seats, and somebody writes something else."""
    planning.write("maria", *field, value)
    planning.resolve()
    planning.write("maria", *field, again)


@pytest.mark.parametrize("number", [0, None])
def test_s3_a_table_that_is_restored_gives_the_seats_back(planning: Planning, number: int | None) -> None:
    sit(planning, "chloe", "ann", "t_1", number)
    sit(planning, "chloe", "bob", "t_1", 1)
    slip(planning, *TABLE, value=DELETED)
    assert seat(planning, "ann") is seat(planning, "bob") is None
    assert planning.broken() == ["S3", "S3"]
    planning.resolve()
    assert planning.broken() == []
    assert (seat(planning, "ann"), seat(planning, "bob")) == (("t_1", number), ("t_1", 1))


@pytest.mark.parametrize("field", [RSVP, (*RSVP[:3], "deleted")])
def test_s4_a_guest_who_comes_after_all_has_the_seat_again(planning: Planning, field: Any) -> None:
    sit(planning, "chloe", "ann", "t_1", 0)
    slip(planning, *field, value="no" if field is RSVP else DELETED, again="yes" if field is RSVP else None)
    assert planning.finding("S4").summary == "Ann has seat 1 at table 1 again."
    planning.resolve()
    assert planning.broken() == []
    assert seat(planning, "ann") == ("t_1", 0)


def test_a_seat_that_was_taken_meanwhile_is_told(planning: Planning) -> None:
    sit(planning, "chloe", "ann", "t_1", 0)
    planning.write("maria", *RSVP, "no")
    planning.resolve()
    sit(planning, "maria", "bob", "t_1", 0)
    planning.write("maria", *RSVP, "yes")
    planning.resolve()
    finding = planning.finding("S4")
    assert finding.manual
    assert finding.summary == "Ann had seat 1 at table 1, which is taken by now."
    assert [option.text for option in finding.options] == ["Seat Ann at table 1.", "Leave it as it is."]
    sit(planning, "maria", "cleo", "t_1", 1)
    assert [option.text for option in planning.finding("S4").options] == ["Leave it as it is."], "no room"
    planning.write("maria", SEATING, "assignments", "g_bob", None, None)
    planning.resolve()  # it is free again
    assert seat(planning, "ann") == ("t_1", 0)
    assert planning.broken() == []


def test_of_two_who_had_one_seat_the_last_has_it_again(planning: Planning) -> None:
    sit(planning, "chloe", "ann", "t_1", 0)
    planning.write("maria", *RSVP, "no")
    planning.resolve()
    sit(planning, "chloe", "bob", "t_1", 0)
    slip(planning, *TABLE, value=DELETED)
    planning.write("maria", *RSVP, "yes")
    planning.resolve()
    assert seat(planning, "bob") == ("t_1", 0)
    assert planning.broken() == ["S3"]
    planning.choose(planning.finding("S3"), "Seat Ann at table 1")
    assert planning.broken() == []


def test_what_a_person_did_is_no_slip(planning: Planning) -> None:
    sit(planning, "chloe", "ann", "t_1", 0)
    slip(planning, *TABLE, value=DELETED)
    sit(planning, "maria", "ann", "t_2", 0)
    assert planning.broken() == []
    planning.write("maria", SEATING, "assignments", "g_ann", None, None)
    assert planning.broken() == []


def test_a_locked_table_gives_back_the_seats_it_was_locked_with(planning: Planning) -> None:
    sit(planning, "chloe", "ann", "t_1", 0)
    planning.locked(SEATING, "t_1", "chloe")
    slip(planning, *TABLE, value=DELETED)
    planning.resolve()
    assert seat(planning, "ann") == ("t_1", 0)
    planning.write("maria", *RSVP, "no")
    planning.resolve()
    planning.write("chloe", *TABLE[:3], "locked", {"at": NOW, "by": "aroha"})  # as it is now
    planning.write("maria", *RSVP, "yes")
    assert planning.broken() == []


def test_a_day_later_nothing_is_given_back(planning: Planning) -> None:
    sit(planning, "chloe", "ann", "t_1", 0)
    planning.write("maria", *TABLE, DELETED)
    planning.resolve()
    planning.now = "2026-05-02T12:00:01Z"
    planning.write("maria", *TABLE, None)
    assert planning.broken() == []


@pytest.mark.parametrize(
    ("breaks", "option", "back"),
    [
        (Op("set", *TABLE, DELETED), "Restore table 1 with Ann", ("t_1", 1)),
        (Op("set", *TABLE[:3], "capacity", 1), "Give table 1 2 seats", ("t_1", 1)),
        (Op("set", *RSVP, "no"), "Ann comes after all", ("t_1", 1)),
        (Op("set", *RSVP[:3], "deleted", DELETED), "Ann comes after all", ("t_1", 1)),
    ],
)
def test_s3_and_s4_offer_the_seat_again(planning: Planning, breaks: Op, option: str, back: Any) -> None:
    sit(planning, "chloe", "ann", "t_1", 1)
    planning.apply([breaks], "maria")
    (subject,) = planning.open
    finding = planning.finding(subject.invariant)
    assert all(each.ops != finding.automatic for each in finding.options)
    planning.resolve()
    planning.choose(finding, option)
    planning.resolve()
    assert planning.broken() == []
    assert seat(planning, "ann") == back


def apart(hard: bool = True, **strategies: str) -> Planning:
    planning = seated(**strategies)
    planning.add("chloe", SEATING, "rules", "r_1", kind="apart", hard=hard, guest__g_ann=True, guest__g_bob=True)
    sit(planning, "chloe", "ann", "t_1")
    sit(planning, "maria", "bob", "t_1")
    return planning


def test_s5_who_must_be_apart() -> None:
    assert apart(hard=False).broken() == []
    planning = apart()
    finding = planning.finding("S5")
    assert [option.text for option in finding.options] == [
        "Move Ann to table 2.", "Move Ann to table 3.", "Move Bob to table 2.", "Move Bob to table 3.",
        "Leave it as it is.",
    ]  # fmt: skip
    planning.choose(finding, "Move Ann to table 3")
    assert planning.broken() == []


def test_s5_priority_moves_the_lower_one() -> None:
    planning = apart(S5="priority_based")
    planning.resolve()
    assert planning.broken() == []
    assert (seat(planning, "ann"), seat(planning, "bob")) == (("t_1", None), ("t_2", None))


def test_s5_nobody_is_moved_where_there_is_no_room() -> None:
    planning = apart(S5="priority_based")
    for table in ("t_2", "t_3"):
        planning.write("chloe", SEATING, "tables", table, "capacity", 0)
    assert planning.finding("S5").automatic is None


def test_s6_rules_and_households(planning: Planning) -> None:
    planning.write("chloe", "guests", "guests", "g_bob", "household", "h_0")
    sit(planning, "chloe", "ann", "t_1")
    sit(planning, "maria", "bob", "t_2")
    assert planning.broken() == ["S6"]
    planning.add("chloe", SEATING, "rules", "r_1", kind="together", guest__g_ann=True, guest__g_bob=True)
    assert planning.broken() == ["S6", "S6"]
    finding = next(finding for finding in planning.open.values())
    assert finding.severity == "info"
    assert finding.manual
    planning.choose(finding, "Seat all at table 1")
    assert planning.broken() == []
    sit(planning, "maria", "bob", "t_2")
    planning.write("maria", "guests", "guests", "g_bob", "party", "best_man")
    planning.write("maria", SEATING, "rules", "r_1", "guest:g_bob", None)
    assert planning.broken() == []


def locked(**strategies: str) -> Planning:
    planning = seated(**strategies)
    sit(planning, "chloe", "ann", "t_1", 0)
    sit(planning, "chloe", "cleo", "t_2", 0)
    planning.locked(SEATING, "t_1", "maria")
    return planning


def test_s7_what_lower_ranks_change_is_put_back() -> None:
    planning = locked()
    sit(planning, "aunt", "ann", "t_2", 1)
    sit(planning, "aunt", "bob", "t_1", 1)
    sit(planning, "aunt", "cleo", "t_1", None)
    assert planning.broken() == ["S7", "S7", "S7"]
    planning.resolve()
    assert planning.broken() == []
    assert [seat(planning, guest) for guest in ("ann", "bob", "cleo")] == [("t_1", 0), None, ("t_2", 0)]


def test_s7_a_guest_who_was_removed_comes_back() -> None:
    planning = locked()
    planning.write("aunt", SEATING, "assignments", "g_ann", None, None)
    planning.resolve()
    assert seat(planning, "ann") == ("t_1", 0)


@pytest.mark.parametrize("user", ["maria", "nina", "chloe"])
def test_s7_equal_and_higher_ranks_may(user: str) -> None:
    planning = locked()
    sit(planning, user, "ann", "t_2", 1)
    assert planning.broken() == []


def test_s7_until_the_table_is_unlocked() -> None:
    planning = locked(S7="manual_review")
    sit(planning, "aunt", "ann", "t_2", 1)
    finding: Finding = planning.finding("S7")
    assert finding.automatic is None
    assert [option.text for option in finding.options] == ["Put it back as it was.", "Leave it as it is."]
    planning.write("maria", SEATING, "tables", "t_1", "locked", None)
    assert planning.broken() == []
