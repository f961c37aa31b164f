"""X1, X2: writes that did not know of each other; and W2, bookings of weddings that do not know of each other."""

from __future__ import annotations

from typing import Any

import pytest

from documents.invariants import (
    Booking,
    Context,
    Field,
    Op,
    Wedding,
    Writer,
    Written,
    bookings,
    clashes,
    edit_of_deleted,
    lost_write,
    rank_of,
)
from tests.documents.invariants.planning import empty

START = Field("timeline", "items", "i_1", "start")


def by(user: str, role: str, seq: int, value: Any) -> Written:
    return Written(value, Writer(user, role, rank_of(role), seq))


COUPLE, PLANNER = by("chloe", "couple", 1, 930), by("maria", "planner", 2, 885)
OTHER_PLANNER = by("nina", "coordinator", 3, 900)


@pytest.mark.parametrize(
    ("strategy", "one", "other", "value"),
    [
        ("wedding_hierarchy", COUPLE, PLANNER, 930),
        ("wedding_hierarchy", PLANNER, OTHER_PLANNER, 900),  # equal ranks: the later
        ("unheard_of", COUPLE, PLANNER, 930),
        ("last_writer_wins", COUPLE, PLANNER, 885),
        ("priority_based", COUPLE, PLANNER, 930),
        ("priority_based", PLANNER, OTHER_PLANNER, 885),  # equal ranks: the earlier
        ("manual_review", COUPLE, PLANNER, None),
    ],
)
def test_x1_does_not_depend_on_who_won_the_merge(strategy: str, one: Written, other: Written, value: Any) -> None:
    for merged, lost in ((one, other), (other, one)):
        finding = lost_write(strategy, START, merged, lost)
        assert finding is not None
        assert {party.value for party in finding.parties} == {one.value, other.value}
        assert {option.ops[0].value for option in finding.options} == {one.value, other.value}
        if value is None:
            assert finding.automatic is None
            assert finding.strategy == "manual_review"
        elif value == merged.value:
            assert finding.automatic == ()
        else:
            assert finding.automatic == (Op("set", *START, value),)


def test_x1_nothing_is_lost_where_both_wrote_the_same() -> None:
    assert lost_write("wedding_hierarchy", START, COUPLE, by("maria", "planner", 2, 930)) is None


def test_x1_a_deletion_is_a_write() -> None:
    finding = lost_write("wedding_hierarchy", START, PLANNER, by("chloe", "couple", 1, None))
    assert finding is not None
    assert finding.automatic == (Op("delete", *START),)


def test_x1_priority_prefers_what_is_certain() -> None:
    stage = Field("wedding", "vendors", "v_1", "stage")
    finding = lost_write("priority_based", stage, by("a", "couple", 1, "quoted"), by("b", "planner", 2, "confirmed"))
    assert finding is not None
    assert finding.automatic == (Op("set", *stage, "confirmed"),)


@pytest.mark.parametrize(
    ("strategy", "document", "roles"),
    [("last_writer_wins", "care", ("couple", "planner")), ("wedding_hierarchy", "care", ("planner", "planner")),
     ("priority_based", "budget", ("couple", "planner")), ("priority_based", "guests", ("couple", "planner"))],
)  # fmt: skip
def test_x1_safety_money_and_people_are_decided_by_people(strategy: str, document: str, roles: tuple[str, str]) -> None:
    field = Field(document, document, "r", "k")
    finding = lost_write(strategy, field, by("a", roles[0], 1, "mild"), by("b", roles[1], 2, "severe"))
    assert finding is not None
    assert finding.automatic is None


@pytest.mark.parametrize(
    ("strategy", "deleter", "editor", "stays"),
    [
        ("wedding_hierarchy", "couple", "planner", True),
        ("wedding_hierarchy", "planner", "planner", True),
        ("wedding_hierarchy", "family", "planner", False),
        ("merge_changes", "couple", "guest", False),
        ("manual_review", "couple", "guest", None),
    ],
)
def test_x2(strategy: str, deleter: str, editor: str, stays: bool | None) -> None:
    deletion = by("a", deleter, 1, {"at": "2026-05-01T00:00:00Z", "by": "a"})
    finding = edit_of_deleted(strategy, Field("guests", "guests", "g_1", "meal"), deletion, by("b", editor, 2, "fish"))
    restore = (Op("delete", "guests", "guests", "g_1", "deleted"),)
    assert finding.automatic == {True: (), False: restore, None: None}[stays]
    stay = (Op("set", "guests", "guests", "g_1", "deleted", deletion.value),)
    assert [option.ops for option in finding.options] == ([stay, restore] if stays is not False else [restore, stay])


def booked(
    stage: str, start: int = 840, end: int = 1320, strategy: str = "priority_based", date: str = "2026-06-20"
) -> Wedding:
    documents = empty()
    documents["wedding"]["meta"][""]["date"] = date
    documents["wedding"]["vendors"]["v_lens"] |= {
        "organization": "org_lens", "stage": stage, "bookedWindow": {"start": start, "end": end}
    }  # fmt: skip
    return Wedding(documents, {}, Context(strategies={"W2": strategy} if strategy else {}))


def found(first: Wedding, second: Wedding, *, vouched: bool = True) -> dict[str, Any]:
    both = [*bookings("w_secret_one", first, {"v_lens": 1}), *bookings("w_secret_two", second, {"v_lens": 2})]
    both = [each._replace(vouched=vouched) for each in both]
    assert clashes(both) == clashes(reversed(both))
    return clashes(both)


def test_w2_the_earlier_booking_keeps_the_vendor() -> None:
    result = found(booked("booked"), booked("booked", 1300, 1400))
    (keeps,), (loses,) = result["w_secret_one"], result["w_secret_two"]
    assert keeps.automatic == ()
    assert loses.automatic == (Op("set", "wedding", "vendors", "v_lens", "stage", "quoted"),)
    assert loses.summary == "Light & Lens is not available 20 June 2026, 14:00 to 22:00."
    for finding, other in ((keeps, "w_secret_two"), (loses, "w_secret_one")):
        assert other not in repr(finding)
    assert found(booked("booked"), booked("quoted", 1300, 1400)) == {}


def test_w2_without_vouching_the_later_one_has_a_doubt_and_the_other_nothing() -> None:
    result = found(booked("booked"), booked("confirmed", 1300, 1400), vouched=False)
    assert result.keys() == {"w_secret_two"}
    (doubt,) = result["w_secret_two"]
    assert (doubt.automatic, doubt.strategy) == (None, "manual_review")
    assert doubt.summary == "Light & Lens may not be available at that time."
    assert "w_secret_one" not in repr(doubt)


def test_w2_the_default_is_that_a_person_decides() -> None:
    result = found(booked("booked"), booked("booked", strategy=""))
    assert result["w_secret_two"][0].automatic is None


def test_w2_confirmed_comes_before_booked() -> None:
    result = found(booked("booked"), booked("confirmed"))
    assert result["w_secret_one"][0].automatic
    assert result["w_secret_two"][0].automatic == ()


def test_w2_a_person_decides_under_manual_review() -> None:
    result = found(booked("booked"), booked("booked", strategy="manual_review"))
    assert result["w_secret_two"][0].automatic is None


@pytest.mark.parametrize(("start", "clash"), [(1379, True), (1380, False)])
def test_w2_travel_counts(start: int, clash: bool) -> None:
    assert bool(found(booked("booked"), booked("booked", start, start + 60))) == clash


def test_w2_days_and_time_zones_count() -> None:
    assert found(booked("booked"), booked("booked", date="2026-06-21")) == {}
    far = booked("booked")
    far.documents["wedding"]["meta"][""]["timeZone"] = "Pacific/Auckland"
    assert found(booked("booked"), far) == {}
    night = booked("booked", 1380, 1500)
    assert "20 June 2026, 23:00 to 21 June 2026, 01:00" in found(night, night)["w_secret_one"][0].summary


def test_w2_needs_dates_windows_and_organizations() -> None:
    for change in ({"bookedWindow": None}, {"bookedWindow": {}}, {"organization": ""}, {"deleted": {}}):
        wedding = booked("booked")
        wedding.documents["wedding"]["vendors"]["v_lens"] |= change
        assert list(bookings("w", wedding, {})) == []
    assert list(bookings("w", booked("booked", date="someday"), {})) == []
    assert Booking("o", "w", "v", 0, 1, "booked", 0).time_zone == "UTC"
