"""One small wedding, and who may read and write what of it: tables that repeat the design and not the program, but for
the rows of derived documents, which follow from their declarations."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from documents import derived
from documents.derived import View
from documents.fields import Reason
from documents.invariants.model import Wedding
from documents.kind import Shape
from documents.rows import RowsByRoot


class Role(NamedTuple):
    """A role, and whose."""

    role: str
    vendor: str = ""
    guest: str = ""
    side: str = ""


ROLES = (
    Role("planner"),
    Role("coordinator"),
    Role("vendor", vendor="v_1"),
    Role("photographer", vendor="v_2"),
    Role("caterer", vendor="v_3"),
    Role("family", side="a", guest="g_1"),
    Role("family", side="b"),
    Role("wedding_party"),
    Role("guest", guest="g_1"),
    Role("guest", guest="g_2"),
)
FIRST = (ROLES[0], ROLES[2], ROLES[5], ROLES[8])

ROWS: dict[str, dict[str, dict[str, dict[str, Any]]]] = {
    "wedding": {"vendors": {"v_1": {"name": "Peonies", "stage": "booked"}}},
    "timeline": {
        "items": {
            "i_1": {"title": "Arch", "vendor:v_1": True, "visibility": "public"},
            "i_2": {"title": "Letters", "visibility": "private", "vendor:v_2": True},
            "i_3": {"title": "Toast", "keyMoment": True},
        },
        "emergencies": {"x_1": {"kind": "weather", "text": "Storm", "audience": "everyone"}},
    },
    "guests": {
        "guests": {"g_1": {"firstName": "Cleo", "side": "a", "phone": "1"}, "g_2": {"firstName": "Bo", "side": "b"}}
    },
    "care": {"care": {"g_1": {"access": "ramp"}, "g_2": {"allergy:nuts": "severe"}}},
    "budget": {"items": {"b_1": {"name": "Band"}}},
}
# Derived document -> the roles that it is for, and the category, as letters of which none may be N.
AUDIENCES: Mapping[str, set[Role]] = {
    name: {role for role in ROLES if role.role in roles and own in ("", role.vendor, role.guest, role.side)}
    for name, own, roles in (
        ("wedding@public", "", {"guest"}),
        ("wedding@service", "", {"venue", "caterer", "photographer", "vendor"}),
        ("timeline@public", "", {"guest"}),
        ("timeline@team", "", {"family", "wedding_party"}),
        ("timeline@v.v_1", "v_1", {"vendor", "photographer", "caterer"}),
        ("timeline@v.v_2", "v_2", {"vendor", "photographer", "caterer"}),
        ("guests@self.g_1", "g_1", {"guest"}),
        ("guests@side.a", "a", {"family"}),
        ("guests@coord", "", {"coordinator"}),
        ("care@cater", "", {"caterer"}),
        ("budget@contrib.g_1", "g_1", {"family"}),
    )
}
DOCUMENTS = (*ROWS, *AUDIENCES)
POSITION = {name: n for n, name in ((0, "wedding"), (2, "timeline"), (3, "budget"), (4, "guests"), (5, "care"))}
OVERRIDES = (("planner", "budget", "R"), ("coordinator", "budget", "R"), ("wedding_party", "timeline", "R"))


DAY = 8
VENDORS = {"venue", "caterer", "photographer", "vendor"}


class Place(NamedTuple):
    """Something that people write. ``value`` "": text."""

    document: str
    root: str
    record: str
    key: str
    value: str = ""
    """The name of its values in `VALUES`."""


Values = Callable[[str, str], Any]
VALUES: Mapping[str, Values] = {
    "": lambda word, _: word,
    "instant": lambda word, _: instant(word),
    "stamp": lambda word, user: {"at": instant(word), "by": user},
    "stamp of another": lambda word, _: {"at": instant(word), "by": "u_9"},
    "answer": lambda word, _: "yes",
    "pledge": lambda word, _: {"contributor": word, "amount": 5, "guest": "g_1"},
    "pledge of another": lambda word, _: {"contributor": word, "amount": 5, "guest": "g_2"},
    "emergency": lambda word, user: {"text": word, "kind": "weather", "audience": "everyone", "by": user},
}
WHOLE = {name for name in VALUES if name.startswith(("pledge", "emergency"))}
"""Values that are rows. An emergency is added each time, with the word in its id."""


def instant(word: str) -> str:
    """A moment that no other word has."""
    return f"2026-06-20T13:30:00.{word.removeprefix('word')}Z"


def trace(place: Place, word: str) -> str:
    """The text by which a word that was written is found in rows."""
    return instant(word) if place.value.startswith(("instant", "stamp")) else word


OWN_ACKNOWLEDGEMENT = "acknowledgedBy:{user}"
OWN_ANSWER = "rsvp:e_{word}"
# In derived documents the places that are writable to their audience, and some that are not.
WRITABLE = {
    Place("timeline@v.v_1", "items", "i_1", "vendorNote:v_1"),
    Place("timeline@v.v_1", "items", "i_1", "actualStart", "instant"),
    Place("timeline@v.v_1", "emergencies", "", "", "emergency"),
    Place("guests@self.g_1", "guests", "g_1", "meal"),
    Place("guests@self.g_1", "guests", "g_1", OWN_ANSWER, "answer"),
    Place("guests@self.g_1", "care", "g_1", "access"),
    Place("guests@side.a", "guests", "g_1", "firstName"),
    Place("guests@side.a", "guests", "g_1", "phone"),
    Place("guests@side.a", "guests", "g_1", OWN_ANSWER, "answer"),
    Place("guests@coord", "guests", "g_2", OWN_ANSWER, "answer"),
    Place("guests@coord", "guests", "g_1", "checkedIn", "stamp"),
    Place("care@cater", "care", "g_2", OWN_ACKNOWLEDGEMENT, "instant"),
    Place("budget@contrib.g_1", "contributions", "c_1", "", "pledge"),
    *(
        Place(document, "emergencies", "x_1", OWN_ACKNOWLEDGEMENT, "instant")
        for document in ("timeline@public", "timeline@v.v_1", "guests@side.a", "guests@coord", "care@cater")
    ),
}
PLACES = (
    Place("wedding", "vendors", "v_1", "name"),
    Place("timeline", "items", "i_1", "title"),
    Place("timeline", "items", "i_2", "title"),
    Place("timeline", "emergencies", "x_1", "text"),
    Place("timeline", "emergencies", "x_1", OWN_ACKNOWLEDGEMENT, "instant"),
    Place("timeline", "emergencies", "x_1", "acknowledgedBy:u_9", "instant"),
    Place("timeline", "emergencies", "", "", "emergency"),
    Place("guests", "guests", "g_1", "firstName"),
    Place("guests", "guests", "g_2", "phone"),
    Place("guests", "guests", "g_2", OWN_ANSWER, "answer"),
    Place("care", "care", "g_1", "access"),
    Place("budget", "items", "b_1", "name"),
    Place("budget", "contributions", "c_2", "", "pledge of another"),
    *sorted(WRITABLE),
    Place("wedding@public", "places", "x", "name"),
    Place("wedding@service", "vendors", "v_1", "name"),
    Place("timeline@public", "items", "i_1", "title"),
    Place("timeline@public", "emergencies", "x_1", "acknowledgedBy:u_9", "instant"),
    Place("timeline@team", "items", "i_3", "title"),
    Place("timeline@team", "emergencies", "x_1", "text"),
    Place("timeline@v.v_1", "items", "i_3", "title"),
    Place("timeline@v.v_1", "items", "i_3", "actualStart", "instant"),
    Place("timeline@v.v_1", "items", "i_1", "vendorNote:v_2"),
    Place("timeline@v.v_2", "items", "i_2", "title"),
    Place("guests@self.g_1", "guests", "g_1", "phone"),
    Place("guests@side.a", "guests", "g_2", "firstName"),
    Place("guests@side.a", "guests", "g_2", OWN_ANSWER, "answer"),
    Place("guests@coord", "guests", "g_1", "firstName"),
    Place("guests@coord", "guests", "g_1", "checkedIn", "stamp of another"),
    Place("care@cater", "care", "g_1", "table"),
    Place("care@cater", "care", "g_2", "acknowledgedBy:u_9", "instant"),
    Place("budget@contrib.g_1", "contributions", "c_3", "", "pledge of another"),
)


def shown(document: str, sources: dict[str, RowsByRoot], users: Collection[str] = ()) -> RowsByRoot:
    """The rows that a document has, by those of all sources. ``users``: those who have written in it."""
    found = derived.find(document)
    if found is None:
        return sources[document]
    view = View(Wedding(sources), found.own, users)  # type: ignore[arg-type]
    rows: RowsByRoot = {}
    for name, projection in found.declaration.projections.items():
        root, rows[name] = projection.root, {}
        for record in projection.all_records(view):
            row = projection.row(view, record)
            if row is not None and root.record is not None:
                row = {key: value for key, value in row.items() if type(root.check(record, key, value)) is not Reason}
            if row or (row is not None and root.shape is not Shape.RECORD):
                rows[name][record] = row
    return rows
