"""For every invariant, what two people do without seeing each other that breaks it, and what has to come of it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

Edit = tuple[Any, ...]
"""("set" | "add" | "delete", document, root, record, key or fields, value)"""

COUPLE, PLANNER, COORDINATOR = ("chloe", "couple"), ("maria", "planner"), ("nina", "coordinator")
FAMILY, GUEST = ("aunt", "family"), ("gina", "guest")
OTHER_PLANNER = ("paul", "planner")

DELETED = {"at": "2026-05-01T10:00:00Z", "by": "somebody"}
NONE: Final[Mapping[Any, Any]] = MappingProxyType({})
GONE = object()
"""The field, or the record, is not there."""


class Case(NamedTuple):
    name: str
    invariants: dict[str, str]
    """Invariant -> state of the records about it."""
    given: list[Edit]
    """What is there before they go offline, in the form of edits."""
    one: tuple[tuple[str, str], list[Edit]]
    other: tuple[tuple[str, str], list[Edit]]
    expected: dict[tuple[str, ...], Any]
    """Fields in the end, where it does not matter who comes first."""
    if_one_is_first: Mapping[tuple[str, ...], Any] = NONE
    if_other_is_first: Mapping[tuple[str, ...], Any] = NONE
    sometimes: Mapping[str, str] = NONE
    """Records that there are or are not, as it depends on who comes first or has the higher client id."""


def item(id: str, start: int, **fields: Any) -> Edit:
    row = {"title": id, "start": start, "duration": 60, **{key.replace("__", ":"): v for key, v in fields.items()}}
    return ("add", "timeline", "items", id, row)


def guest(id: str, **fields: Any) -> Edit:
    row = {"firstName": id, "lastName": "Smith", "household": "h_one"}
    return ("add", "guests", "guests", id, row | {key.replace("__", ":"): value for key, value in fields.items()})


def table(id: str, capacity: int, **fields: Any) -> Edit:
    return ("add", "seating", "tables", id, {"label": id, "capacity": capacity, **fields})


def sit(guest: str, table: str, seat: int | None = None) -> Edit:
    return ("set", "seating", "assignments", guest, None, {"table": table, "seat": seat})


def cost(id: str, **fields: Any) -> Edit:
    return ("add", "budget", "items", id, {"name": id, "category": "c_one", **fields})


def pay(id: str, amount: int, on: str) -> Edit:
    value = {"item": "b_band", "amount": amount, "on": on, "kind": "balance"}
    return ("set", "budget", "payments", id, None, value)


def change(document: str, root: str, record: str, key: str, value: Any) -> Edit:
    return ("set", document, root, record, key, value)


def message(id: str, sender: str) -> Edit:
    value = {"from": sender, "at": "2026-05-01T10:00:00Z", "kind": "text", "body": "Hello"}
    return ("set", "thread.day", "messages", id, None, value)


CASES = [
    Case(
        "the photographer gets a second place to be",
        {"T1": "auto"},
        [item("i_a", 900, rigidity="fixed", place="p_oak"), item("i_b", 1000, place="p_hall", vendor__v_lens=True)],
        (PLANNER, [change("timeline", "items", "i_a", "vendor:v_lens", True)]),
        (COORDINATOR, [change("timeline", "items", "i_b", "start", 930)]),
        {("timeline", "items", "i_b", "start"): 960, ("timeline", "items", "i_a", "start"): 900},
    ),
    Case(
        "the bride is in two items",
        {"T2": "open"},
        [item("i_a", 900), item("i_b", 1000, person__bride=True)],
        (PLANNER, [change("timeline", "items", "i_a", "person:bride", True)]),
        (COORDINATOR, [change("timeline", "items", "i_b", "start", 930)]),
        {("timeline", "items", "i_b", "start"): 930, ("timeline", "items", "i_a", "person:bride"): True},
    ),
    Case(
        "the hall is used twice",
        {"T3": "open"},
        [item("i_a", 900), item("i_b", 1000, place="p_hall")],
        (PLANNER, [change("timeline", "items", "i_a", "place", "p_hall")]),
        (COORDINATOR, [change("timeline", "items", "i_b", "start", 930)]),
        {("timeline", "items", "i_b", "start"): 930, ("timeline", "items", "i_a", "place"): "p_hall"},
    ),
    Case(
        "one lengthens the first item, one advances the second",
        {"T4": "auto"},
        [item("i_a", 900, duration=30), item("i_b", 1000, after__i_a=10)],
        (PLANNER, [change("timeline", "items", "i_a", "duration", 60)]),
        (COORDINATOR, [change("timeline", "items", "i_b", "start", 950)]),
        {("timeline", "items", "i_b", "start"): 970, ("timeline", "items", "i_a", "duration"): 60},
    ),
    Case(
        "later and longer is too late",
        {"T5": "open"},
        [change("wedding", "meta", "", "hardEnd", 1380), item("i_a", 1300)],
        (PLANNER, [change("timeline", "items", "i_a", "start", 1320)]),
        (COORDINATOR, [change("timeline", "items", "i_a", "duration", 80)]),
        {("timeline", "items", "i_a", "start"): 1320, ("timeline", "items", "i_a", "duration"): 80},
    ),
    Case(
        "a vendor is cancelled and given work",
        {"T6": "open"},
        [item("i_a", 900)],
        (COUPLE, [change("wedding", "vendors", "v_band", "stage", "cancelled")]),
        (PLANNER, [change("timeline", "items", "i_a", "vendor:v_band", True)]),
        {("timeline", "items", "i_a", "_unstaffed"): True, ("timeline", "items", "i_a", "vendor:v_band"): True},
    ),
    Case(
        "two ranks write one field",
        {"X1": "auto"},
        [guest("g_a", meal="soup")],
        (COUPLE, [change("guests", "guests", "g_a", "meal", "fish")]),
        (PLANNER, [change("guests", "guests", "g_a", "meal", "beef")]),
        {("guests", "guests", "g_a", "meal"): "fish"},
    ),
    Case(
        "two ranks write a field that was not there",
        {"X1": "auto"},
        [guest("g_a")],
        (FAMILY, [change("guests", "guests", "g_a", "phone", "+44 7700 900001")]),
        (PLANNER, [change("guests", "guests", "g_a", "phone", "+44 7700 900002")]),
        {("guests", "guests", "g_a", "phone"): "+44 7700 900002"},
    ),
    Case(
        "two of one rank write one field",
        {"X1": "auto"},
        [guest("g_a", meal="soup")],
        (OTHER_PLANNER, [change("guests", "guests", "g_a", "meal", "fish")]),
        (PLANNER, [change("guests", "guests", "g_a", "meal", "beef")]),
        {},
        {("guests", "guests", "g_a", "meal"): "beef"},
        {("guests", "guests", "g_a", "meal"): "fish"},
    ),
    Case(
        "one guest is put at two tables",
        {"X1": "auto"},
        [guest("g_a"), table("t_1", 4), table("t_2", 4)],
        (FAMILY, [sit("g_a", "t_1")]),
        (COUPLE, [sit("g_a", "t_2")]),
        {("seating", "assignments", "g_a"): {"table": "t_2", "seat": None}},
    ),
    Case(
        "both write the same",
        {},
        [guest("g_a", meal="soup")],
        (COUPLE, [change("guests", "guests", "g_a", "meal", "fish")]),
        (PLANNER, [change("guests", "guests", "g_a", "meal", "fish")]),
        {("guests", "guests", "g_a", "meal"): "fish"},
    ),
    Case(
        "needs are not decided between equals",
        {"X1": "open"},
        [guest("g_a"), ("add", "care", "care", "g_a", {})],
        (OTHER_PLANNER, [change("care", "care", "g_a", "access", "Wheelchair")]),
        (PLANNER, [change("care", "care", "g_a", "access", "Stick")]),
        {},
    ),
    Case(
        "the family deletes whom the planner edits",
        {"X2": "auto"},
        [guest("g_a")],
        (FAMILY, [change("guests", "guests", "g_a", "deleted", DELETED)]),
        (PLANNER, [change("guests", "guests", "g_a", "meal", "fish")]),
        {("guests", "guests", "g_a", "deleted"): GONE, ("guests", "guests", "g_a", "meal"): "fish"},
    ),
    Case(
        "the couple deletes whom the planner edits",
        {"X2": "auto"},
        [guest("g_a")],
        (COUPLE, [change("guests", "guests", "g_a", "deleted", DELETED)]),
        (PLANNER, [change("guests", "guests", "g_a", "meal", "fish")]),
        {("guests", "guests", "g_a", "deleted"): DELETED, ("guests", "guests", "g_a", "meal"): "fish"},
    ),
    Case(
        "both spend what is left",
        {"B1": "open"},
        [change("budget", "meta", "", "limit", 1000)],
        (PLANNER, [cost("b_x", estimated=600)]),
        (FAMILY, [cost("b_y", estimated=500)]),
        {("budget", "items", "b_x", "estimated"): 600, ("budget", "items", "b_y", "estimated"): 500},
    ),
    Case(
        "both spend what is left of a category",
        {"B2": "open"},
        [("add", "budget", "categories", "c_one", {"name": "Music", "allocated": 1000})],
        (PLANNER, [cost("b_x", estimated=600)]),
        (FAMILY, [cost("b_y", estimated=500)]),
        {("budget", "items", "b_x", "estimated"): 600, ("budget", "items", "b_y", "estimated"): 500},
    ),
    Case(
        "both pay the balance",
        {"B3": "open"},
        [cost("b_band", actual=1000)],
        (PLANNER, [pay("pay_x", 600, "2026-04-01")]),
        (COUPLE, [pay("pay_y", 1000, "2026-04-20")]),
        {("budget", "voids", "pay_x"): GONE, ("budget", "voids", "pay_y"): GONE},
    ),
    Case(
        "both enter one transfer",
        {"B4": "open"},
        [cost("b_band", actual=5000)],
        (PLANNER, [pay("pay_x", 600, "2026-04-01")]),
        (COUPLE, [pay("pay_y", 600, "2026-04-02")]),
        {("budget", "voids", "pay_x"): GONE, ("budget", "voids", "pay_y"): GONE},
    ),
    Case(
        "what has to be approved changes while an amount does",
        {"B5": "open"},
        [change("budget", "meta", "", "mustApproveOver", 1000), cost("b_band", quoted=500)],
        (COUPLE, [change("budget", "meta", "", "mustApproveOver", 600)]),
        (PLANNER, [change("budget", "items", "b_band", "quoted", 800)]),
        {("budget", "items", "b_band", "quoted"): 800},
    ),
    Case(
        "both add Aunt Mei",
        {"G1": "open"},
        [],
        (COUPLE, [guest("g_x", firstName="Mei", email="mei@example.org")]),
        (PLANNER, [guest("g_y", firstName="Aunt Mei", email="Mei@example.org")]),
        {("guests", "guests", "g_x", "deleted"): GONE, ("guests", "guests", "g_y", "deleted"): GONE},
    ),
    Case(
        "the last place is taken twice",
        {"G2": "open"},
        [change("wedding", "events", "e_reception", "capacity", 1), guest("g_a"), guest("g_b")],
        (GUEST, [change("guests", "guests", "g_a", "rsvp:e_reception", "yes")]),
        (FAMILY, [change("guests", "guests", "g_b", "rsvp:e_reception", "yes")]),
        {
            ("guests", "guests", "g_a", "rsvp:e_reception"): "yes",
            ("guests", "guests", "g_b", "rsvp:e_reception"): "yes",
        },
    ),
    Case(
        "two plus-ones where one may come",
        {"G3": "open"},
        [guest("g_a", plusOnesAllowed=1)],
        (GUEST, [guest("g_x", plusOneOf="g_a")]),
        (FAMILY, [guest("g_y", plusOneOf="g_a")]),
        {("guests", "guests", "g_x", "deleted"): GONE, ("guests", "guests", "g_y", "deleted"): GONE},
    ),
    Case(
        "the time to answer ends while a guest answers",
        {"G4": "auto"},
        [guest("g_a")],
        (COUPLE, [change("wedding", "meta", "", "rsvpBy", "2026-04-29")]),
        (GUEST, [change("guests", "guests", "g_a", "rsvp:e_reception", "yes")]),
        {("guests", "guests", "g_a", "rsvp:e_reception"): "yes"},
    ),
    Case(
        "a household is deleted while somebody joins it",
        {"G5": "auto"},
        [],
        (COUPLE, [change("guests", "households", "h_two", "deleted", DELETED)]),
        (PLANNER, [guest("g_a", household="h_two")]),
        {("guests", "households", "h_two", "deleted"): DELETED},
    ),
    Case(
        "two guests get one seat",
        {"S1": "auto"},
        [guest("g_a"), guest("g_b"), table("t_1", 4)],
        (FAMILY, [sit("g_a", "t_1", 2)]),
        (PLANNER, [sit("g_b", "t_1", 2)]),
        {
            ("seating", "assignments", "g_b"): {"table": "t_1", "seat": 2},
            ("seating", "assignments", "g_a"): {"table": "t_1", "seat": 0},
        },
    ),
    Case(
        "two of one rank give one seat away",
        {"S1": "auto"},
        [guest("g_a"), guest("g_b"), table("t_1", 4)],
        (OTHER_PLANNER, [sit("g_a", "t_1", 0)]),
        (PLANNER, [sit("g_b", "t_1", 0)]),
        {},
        {
            ("seating", "assignments", "g_a"): {"table": "t_1", "seat": 0},
            ("seating", "assignments", "g_b"): {"table": "t_1", "seat": 1},
        },
        {
            ("seating", "assignments", "g_a"): {"table": "t_1", "seat": 1},
            ("seating", "assignments", "g_b"): {"table": "t_1", "seat": 0},
        },
    ),
    Case(
        "the last chair is taken twice",
        {"S2": "open"},
        [guest("g_a"), guest("g_b"), table("t_1", 1)],
        (FAMILY, [sit("g_a", "t_1")]),
        (PLANNER, [sit("g_b", "t_1")]),
        {
            ("seating", "assignments", "g_a"): {"table": "t_1", "seat": None},
            ("seating", "assignments", "g_b"): {"table": "t_1", "seat": None},
        },
    ),
    Case(
        "a table becomes smaller while its last seat is given away",
        {"S3": "auto"},
        [guest("g_a"), table("t_1", 8)],
        (COUPLE, [change("seating", "tables", "t_1", "capacity", 4)]),
        (PLANNER, [sit("g_a", "t_1", 6)]),
        {("seating", "assignments", "g_a"): {"table": "t_1", "seat": None}},
    ),
    Case(
        "a table goes while somebody is put there",
        {"S3": "auto"},
        [guest("g_a"), table("t_1", 8)],
        (COUPLE, [change("seating", "tables", "t_1", "deleted", DELETED)]),
        (PLANNER, [sit("g_a", "t_1", 6)]),
        {("seating", "assignments", "g_a"): GONE},
    ),
    Case(
        "a guest says no while they get a seat",
        {"S4": "auto"},
        [guest("g_a"), table("t_1", 8)],
        (GUEST, [change("guests", "guests", "g_a", "rsvp:e_reception", "no")]),
        (PLANNER, [sit("g_a", "t_1", 6)]),
        {("seating", "assignments", "g_a"): GONE},
    ),
    Case(
        "those who must be apart get to one table",
        {"S5": "open"},
        [
            guest("g_a"), guest("g_b"), table("t_1", 8), table("t_2", 8),
            ("add", "seating", "rules", "r_1", {"kind": "apart", "hard": True, "guest:g_a": True, "guest:g_b": True}),
        ],
        (FAMILY, [sit("g_a", "t_1", 1)]),
        (PLANNER, [sit("g_b", "t_1", 2)]),
        {
            ("seating", "assignments", "g_a"): {"table": "t_1", "seat": 1},
            ("seating", "assignments", "g_b"): {"table": "t_1", "seat": 2},
        },
    ),
    Case(
        "those who belong together get to two tables",
        {"S6": "open"},
        [
            guest("g_a"), guest("g_b", household="h_two"), table("t_1", 8), table("t_2", 8),
            ("add", "seating", "rules", "r_1", {"kind": "together", "guest:g_a": True, "guest:g_b": True}),
        ],
        (FAMILY, [sit("g_a", "t_1")]),
        (PLANNER, [sit("g_b", "t_2")]),
        {
            ("seating", "assignments", "g_a"): {"table": "t_1", "seat": None},
            ("seating", "assignments", "g_b"): {"table": "t_2", "seat": None},
        },
    ),
    Case(
        "a table is locked while somebody is moved away",
        {},
        [guest("g_a"), table("t_1", 8), table("t_2", 8), sit("g_a", "t_1", 1)],
        (COUPLE, [change("seating", "tables", "t_1", "locked", DELETED)]),
        (PLANNER, [sit("g_a", "t_2", 3)]),
        {},
        {("seating", "assignments", "g_a"): {"table": "t_1", "seat": 1}},
        {("seating", "assignments", "g_a"): {"table": "t_2", "seat": 3}},
        sometimes={"S7": "auto"},
    ),
    Case(
        "a diet and a meal that does not go with it",
        {"C1": "open"},
        [guest("g_a"), ("add", "care", "care", "g_a", {})],
        (FAMILY, [change("care", "care", "g_a", "diet:vegan", True)]),
        (PLANNER, [change("guests", "guests", "g_a", "meal", "beef")]),
        {("guests", "guests", "g_a", "meal"): "beef", ("care", "care", "g_a", "diet:vegan"): True},
    ),
    Case(
        "the planner moves the wedding while the couple gives it a name",
        {"W1": "auto"},
        [change("wedding", "meta", "", "title", "A wedding")],
        (PLANNER, [change("wedding", "meta", "", "date", "2026-07-01")]),
        (COUPLE, [change("wedding", "meta", "", "title", "Chloé & Aroha")]),
        {("wedding", "meta", "", "date"): "2026-06-20", ("wedding", "meta", "", "title"): "Chloé & Aroha"},
    ),
    Case(
        "couple and planner move the wedding",
        {"X1": "auto"},
        [],
        (PLANNER, [change("wedding", "meta", "", "date", "2026-07-01")]),
        (COUPLE, [change("wedding", "meta", "", "date", "2026-08-01")]),
        {("wedding", "meta", "", "date"): "2026-08-01"},
        sometimes={"W1": "auto"},
    ),
    Case(
        "each of them books a photographer",
        {"W3": "open"},
        [("add", "wedding", "vendors", "v_new", {"name": "New", "category": "photographer", "stage": "quoted"}),
         change("wedding", "vendors", "v_lens", "stage", "quoted")],
        (COUPLE, [change("wedding", "vendors", "v_lens", "stage", "booked")]),
        (("aroha", "couple"), [change("wedding", "vendors", "v_new", "stage", "booked")]),
        {("wedding", "vendors", "v_lens", "stage"): "booked", ("wedding", "vendors", "v_new", "stage"): "booked"},
    ),
    Case(
        "one writes in the name of the other",
        {"M1": "auto"},
        [],
        (PLANNER, [message("01JY3Z8Q7M4T2V6W8X9Y0ZABCD", "chloe")]),
        (COUPLE, [message("01JY3Z8Q7M4T2V6W8X9Y0ZABCE", "chloe")]),
        {
            ("thread.day", "messages", "01JY3Z8Q7M4T2V6W8X9Y0ZABCD"): GONE,
            ("thread.day", "messages", "01JY3Z8Q7M4T2V6W8X9Y0ZABCE"): message("x", "chloe")[5],
        },
    ),
]  # fmt: skip
