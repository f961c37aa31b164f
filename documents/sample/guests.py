"""The documents `guests` and `care`: households, who is in them, what they answered and what they need."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from documents.invariants.model import Field
from documents.sample.day import EVENTS, RSVP_BY, ZONES
from documents.sample.draft import DAY, Author, Draft, number
from documents.sample.names import FIRST, LAST, NICKNAMES, ONE_WORD, ascii_slug

PARTY: Final = (
    "maid_of_honour", "bridesmaid", "bridesmaid", "best_man", "groomsman", "groomsman", "bridesmaid", "groomsman",
    "usher", "usher", "flower_girl", "ring_bearer", "reader", "reader",
)  # fmt: skip
CREW_CATEGORIES: Final = ("photographer", "videographer", "dj", "florist", "transport")
ANSWERS: Final = {"yes": 74, "no": 14, "pending": 9, "maybe": 3}
MEALS: Final = {"beef": 45, "fish": 30, "vegan": 25}
DIETS: Final = {
    "vegetarian": 8, "vegan": 4, "halal": 4, "kosher": 2, "pescatarian": 3, "gluten_free": 5, "lactose_free": 4
}  # fmt: skip
"""Percent of the guests who keep each."""
_ONLY_VEGAN: Final = frozenset({"vegetarian", "vegan", "halal", "kosher", "lactose_free", "gluten_free"})
ALLERGENS: Final = ("peanut", "tree_nut", "sesame", "mustard", "celery", "lupin")
"""Ones that none of the meals names."""


def invite(draft: Draft) -> None:
    """The document `guests`: guests of the couple, and a few of the crew who get a meal."""
    crew = draft.guests * 4 // 100
    households: dict[str, Any] = {}
    guests: dict[str, Any] = {}
    draft.documents["guests"] = {"meta": {"": {"_version": 1}}, "households": households, "guests": guests}
    sizes = _sizes(draft, draft.guests - crew)
    plus_ones = _plus_ones(draft, sizes)
    children = _children(draft, sizes)
    for index, size in enumerate(sizes):
        _household(draft, size, plus_ones.get(index), children)
    _choose_party(draft)
    _add_crew(draft, crew)
    for row in guests.values():
        row["note"] = draft.words(20, 200) if draft.chance.happens(12) else ""
    _reach(draft)
    number(households.values())
    number(guests.values())


def _sizes(draft: Draft, people: int) -> list[int]:
    """How many people are in each household: 30 % one, 40 % two, 12 % three, 12 % four, 6 % five or six."""
    count = max(1, people * 10 // 23)
    shares = {1: 30, 2: 40, 3: 12, 4: 12, 5: 4, 6: 2}
    sizes = [size for size, percent in shares.items() for _ in range(count * percent // 100)]
    while sum(sizes) < people:
        sizes.append(min(2, people - sum(sizes)))
    while sum(sizes) > people:
        sizes.remove(1 if sum(sizes) - people == 1 else 2)
    return draft.chance.shuffled(sizes)


def _plus_ones(draft: Draft, sizes: list[int]) -> dict[int, bool]:
    """Which households of two are a guest and a plus-one -> whether the plus-one has a name (two thirds)."""
    couples = draft.chance.shuffled([index for index, size in enumerate(sizes) if size == 2])
    chosen = couples[: draft.guests * 12 // 100]
    return {household: turn % 3 != 0 for turn, household in enumerate(chosen)}


def _children(draft: Draft, sizes: list[int]) -> Iterator[str]:
    """The kind of each third, fourth… member of a household: 9 % of all guests are children, 2 % infants."""
    slots = sum(size - 2 for size in sizes if size > 2)
    infants, children = draft.guests * 2 // 100, draft.guests * 9 // 100
    kinds = ["infant"] * infants + ["child"] * children
    return iter(draft.chance.shuffled((kinds + ["adult"] * slots)[:slots]))


def _household(draft: Draft, size: int, named_plus_one: bool | None, children: Iterator[str]) -> None:
    chance = draft.chance
    household, name = chance.id("h"), chance.pick(LAST)
    side = chance.weighted({"a": 45, "b": 45, "both": 10})
    firsts = chance.shuffled(FIRST)[:size]
    if chance.happens(4):
        firsts[0] = chance.pick(NICKNAMES)
    _, country, city, _, _ = ZONES[chance.pick(list(ZONES))]
    address = {"line1": f"{chance.between(1, 240)} {chance.pick(LAST)} Street", "city": city, "country": country}
    draft.rows("guests", "households")[household] = {
        "name": name,
        "side": side,
        "address": address,
        "greeting": f"Dear {firsts[0]}" + (" and all" if size > 1 else ""),
    }
    answers, members = _answers(draft, size), list[str]()
    for index, first in enumerate(firsts):
        guest = chance.id("g")
        row: dict[str, Any] = {
            "firstName": first, "lastName": name, "household": household, "side": side,
            "kind": next(children) if index >= 2 else "adult",
        }  # fmt: skip
        if size == 1 and chance.happens(15):
            row["firstName"] = chance.pick(ONE_WORD)
            del row["lastName"]
        if index == 1 and named_plus_one is not None:
            _make_plus_one(draft, row, members[0], named_plus_one)
        row |= answers[index] if index == 0 or named_plus_one is None else answers[0]
        if row["rsvp:e_reception"] == "yes" and row["kind"] != "infant":
            row["meal"] = chance.weighted(MEALS)
        if chance.happens(10):
            row[f"tag:{chance.pick(('choir', 'school', 'work', 'from abroad', 'Straße 12'))}"] = True
        draft.rows("guests", "guests")[guest] = row
        members.append(guest)


def _make_plus_one(draft: Draft, row: dict[str, Any], host: str, named: bool) -> None:
    row["plusOneOf"] = host
    row["lastName"] = draft.chance.pick(LAST)
    if not named:
        del row["firstName"], row["lastName"]
    draft.rows("guests", "guests")[host]["plusOnesAllowed"] = draft.chance.pick((1, 1, 1, 2))


def _answers(draft: Draft, size: int) -> list[dict[str, str]]:
    """The answers of each member: mostly all the same. Some households are not asked to the smaller events."""
    chance = draft.chance
    asked = [event for event, percent in zip(EVENTS, (16, 100, 100, 60), strict=True) if chance.happens(percent)]
    common = {event: chance.weighted(ANSWERS) for event in asked}
    common["e_ceremony"] = common["e_reception"] if chance.happens(90) else common["e_ceremony"]
    result = []
    for _ in range(size):
        own = {event: chance.weighted(ANSWERS) if chance.happens(8) else answer for event, answer in common.items()}
        result.append({f"rsvp:{event}": own[event] for event in EVENTS if event in own})
    return result


def _choose_party(draft: Draft) -> None:
    """The wedding party: people who are invited alone, so that no family is parted at the head table."""
    guests = draft.rows("guests", "guests")
    members: dict[str, list[str]] = {}
    for guest, row in guests.items():
        members.setdefault(row["household"], []).append(guest)
    alone = [people[0] for people in members.values() if len(people) == 1]
    for guest, part in zip(alone, PARTY, strict=False):
        row = guests[guest]
        row["party"] = part
        row |= {f"rsvp:{event}": "yes" for event in EVENTS}
        row.setdefault("lastName", draft.chance.pick(LAST))
        row.setdefault("meal", draft.chance.weighted(MEALS))


def _add_crew(draft: Draft, count: int) -> None:
    """People who work at the reception and get a meal, five to a household."""
    household = ""
    for index in range(count):
        if index % 5 == 0:
            household = draft.chance.id("h")
            name = f"Crew {index // 5 + 1}"
            draft.rows("guests", "households")[household] = {"name": name, "side": "both"}
        category = CREW_CATEGORIES[index % len(CREW_CATEGORIES)]
        draft.rows("guests", "guests")[draft.chance.id("g")] = {
            "firstName": f"{category} {index // 5 + 1}".capitalize(), "lastName": "Crew", "household": household,
            "side": "both", "kind": "adult", "rsvp:e_reception": "yes", "meal": "vendor", "tag:crew": True,
        }  # fmt: skip


def _reach(draft: Draft) -> None:
    """E-mail addresses of 60 % and telephone numbers of 40 % of the guests, no two alike."""
    for index, row in enumerate(draft.rows("guests", "guests").values()):
        if row["kind"] != "adult" or "firstName" not in row:
            continue
        # Children and unnamed plus-ones have none: others make up for it.
        if draft.chance.happens(70):
            slug = ascii_slug(f"{row['firstName']}{row.get('lastName', '')}") or "guest"
            row["email"] = f"{slug}.{index}@example.org"
        if draft.chance.happens(47):
            row["phone"] = draft.phone()


def answer(draft: Draft) -> None:
    """Set the writer and moment of each answer: most in the last days before its date. Needs the accounts."""
    chance = draft.chance
    accounts = {each.guest: each.user for each in draft.people if each.role == "guest"}
    for guest, row in draft.rows("guests", "guests").items():
        late = min(chance.below(60), chance.below(60), chance.below(60))
        minute = (RSVP_BY - 1 - late) * DAY + chance.between(480, 1320)
        user = accounts.get(guest) or "u_" + guest.partition("_")[2]
        for key, value in row.items():
            if key == "meal" or (key.startswith("rsvp:") and value != "pending"):
                draft.written[Field("guests", "guests", guest, key)] = Author(user, "guest", minute)


def add_care_needs(draft: Draft) -> None:
    """The document `care`. The caterer has seen every severe allergy, and nobody chose a meal against their diet."""
    chance = draft.chance
    caterer = draft.user("caterer")
    care: dict[str, Any] = {}
    draft.documents["care"] = {"meta": {"": {"_version": 1}}, "care": care}
    for guest, row in draft.rows("guests", "guests").items():
        needs: dict[str, Any] = {}
        if chance.happens(sum(DIETS.values())):
            _keep_diet(row, needs, chance.weighted(DIETS))
        if chance.happens(4):
            needs[f"allergy:{chance.pick(ALLERGENS)}"] = "severe"
        elif chance.happens(4):
            needs[f"allergy:{chance.pick(ALLERGENS)}"] = "mild"
        if chance.happens(5):
            access = chance.pick(("Wheelchair", "No stairs", "Hearing loop"))
            needs |= {"access": access, "seatingNeed": "Near the door"}
        if not needs:
            continue
        if "severe" in needs.values():
            needs[f"acknowledgedBy:{caterer}"] = draft.instant(-40 * DAY + chance.between(0, 600))
            draft.written[Field("care", "care", guest, f"acknowledgedBy:{caterer}")] = Author(
                caterer, "caterer", -22 * DAY
            )
        care[guest] = needs | {"note": draft.words(5, 25) if chance.happens(30) else ""}


def _keep_diet(row: dict[str, Any], needs: dict[str, Any], diet: str) -> None:
    if row.get("meal") == "vendor":
        return
    needs[f"diet:{diet}"] = True
    if "meal" in row and (diet in _ONLY_VEGAN or row["meal"] == "beef"):
        row["meal"] = "vegan" if diet in _ONLY_VEGAN else "fish"
