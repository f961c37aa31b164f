"""C1, W1, W3, M1: needs, who decides, trades booked once, messages."""

from __future__ import annotations

from typing import Any

import pytest

from tests.documents.invariants.planning import Planning


def needs(planning: Planning, user: str = "gina", **keys: Any) -> None:
    planning.add("chloe", "guests", "guests", "g_1", firstName="Ann", meal="beef")
    planning.add(user, "care", "care", "g_1", **keys)


def test_c1_the_caterer_takes_note_of_severe_allergies() -> None:
    planning = Planning()
    needs(planning, allergy__nut="severe", allergy__egg="mild")
    finding = planning.finding("C1")
    assert (finding.severity, finding.automatic) == ("warning", None)
    planning.context(now="2026-06-06T00:00:00Z")
    assert planning.finding("C1").severity == "critical"
    planning.write("carl", "care", "care", "g_1", "acknowledgedBy:carl", "2026-05-01T00:00:00Z")
    assert planning.broken() == []
    planning.write("gina", "care", "care", "g_1", "allergy:sesame", "severe")
    assert planning.finding("C1").summary == "Ann: the caterer has not taken note of sesame."
    planning.write("gina", "guests", "guests", "g_1", "rsvp:e_reception", "no")
    assert planning.broken() == []


@pytest.mark.parametrize(
    ("diet", "meal", "fits"),
    [("vegan", "fish", False), ("vegetarian", "chicken", False), ("pescatarian", "fish", True),
     ("halal", "pork", False), ("vegan", "tasting", True), ("low_carb", "beef", True), ("kosher", "seafood", False)],
)  # fmt: skip
def test_c1_meals_fit_diets(diet: str, meal: str, fits: bool) -> None:
    planning = Planning()
    needs(planning, **{f"diet__{diet}": True})
    planning.write("chloe", "guests", "guests", "g_1", "meal", meal)
    assert planning.broken() == ([] if fits else ["C1"])
    if not fits:
        planning.choose(planning.finding("C1"), "Ann chooses another meal")
        assert planning.broken() == []


@pytest.mark.parametrize(("key", "value"), [("date", "2026-06-21"), ("timeZone", "Asia/Kolkata"), ("currency", "INR")])
def test_w1_only_the_couple_sets_what_everything_depends_on(key: str, value: str) -> None:
    planning = Planning()
    before = planning.value("wedding", "meta", "", key)
    planning.write("maria", "wedding", "meta", "", key, value)
    assert planning.finding("W1").severity == "critical"
    planning.resolve()
    assert planning.broken() == []
    assert planning.value("wedding", "meta", "", key) == before
    planning.write("chloe", "wedding", "meta", "", key, value)
    assert planning.broken() == []


def test_w1_a_couple_remains() -> None:
    planning = Planning()
    planning.write("chloe", "wedding", "members", "aroha", "role", "guest")
    assert planning.broken() == []
    planning.write("aroha", "wedding", "members", "chloe", "role", "family")
    assert planning.broken() == ["W1"]
    planning.resolve()
    assert planning.broken() == []
    assert planning.value("wedding", "members", "chloe", "role") == "couple"


@pytest.mark.parametrize("strategy", ["manual_review", "wedding_hierarchy"])
def test_w3_some_trades_are_booked_once(strategy: str) -> None:
    planning = Planning(strategies={"W3": strategy})
    planning.add("chloe", "wedding", "vendors", "v_eye", name="Eye", category="photographer", stage="quoted")
    planning.write("maria", "wedding", "vendors", "v_lens", "stage", "confirmed")
    planning.write("chloe", "wedding", "vendors", "v_eye", "stage", "booked")
    planning.add("chloe", "wedding", "vendors", "v_trio", name="Trio", category="music", stage="booked")
    finding = planning.finding("W3")
    if strategy == "manual_review":
        assert finding.automatic is None
        planning.choose(finding, "Keep Eye")
    else:
        planning.resolve()
    assert planning.broken() == []
    assert planning.value("wedding", "vendors", "v_lens", "stage") == "quoted"


def test_w3_what_is_booked_once_is_the_weddings_choice() -> None:
    planning = Planning()
    planning.add("chloe", "wedding", "vendors", "v_trio", name="Trio", category="music", stage="booked")
    assert planning.broken() == []
    planning.context(single_trades=frozenset({"music"}))
    assert planning.broken() == ["W3"]


def message(user: str, body: str = "Hello") -> dict[str, str]:
    return {"from": user, "at": "2026-05-01T00:00:00Z", "kind": "text", "body": body}


def test_m1_messages_are_from_who_wrote_them() -> None:
    planning = Planning()
    planning.write("chloe", "thread.one", "messages", "01A", None, message("chloe"))
    assert planning.broken() == []
    planning.write("leo", "thread.one", "messages", "01B", None, message("chloe"))
    assert planning.finding("M1").severity == "critical"
    planning.resolve()
    assert planning.broken() == []
    assert list(planning.documents["thread.one"]["messages"]) == ["01A"]


@pytest.mark.parametrize("value", [message("chloe", "Never said"), message("leo"), None])
def test_m1_messages_stay_as_they_were(value: Any) -> None:
    planning = Planning()
    planning.write("chloe", "thread.one", "messages", "01A", None, message("chloe"))
    planning.write("leo", "thread.one", "messages", "01A", None, value)
    assert planning.broken() == ["M1"]
    planning.resolve()
    assert planning.broken() == []
    assert planning.value("thread.one", "messages", "01A") == message("chloe")
