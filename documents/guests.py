"""`guests`: who is invited, in households, and what they answered."""

from __future__ import annotations

from collections.abc import Mapping

from documents.fields import Code, Enum, Flag, Integer, Note, String
from documents.kind import Kind, family, key, record, records
from documents.shared import (
    ADDRESS,
    EMAIL,
    EVENT,
    GUEST,
    HOUSEHOLD,
    LABEL,
    NAME,
    ORDER,
    PHONE,
    SIDES,
    STAMP,
    Address,
    Record,
    Stamp,
    meta,
    review,
)


@record
class Household(Record):
    """People who get one invitation."""

    name: str | None = key(NAME, "What the household is called.")
    side: str | None = key(SIDES, "Whose family or friends: of the first or second partner, or of both.")
    address: Address | None = key(ADDRESS, "Where the invitation goes.")
    greeting: str | None = key(NAME, "How the invitation addresses them.")
    order: str | None = key(ORDER, "Place in the list.")


@record
class Guest(Record):
    """Somebody who is invited."""

    first_name: str | None = key(LABEL, "First name, or the only one.")
    last_name: str | None = key(LABEL, "Family name.")
    household: str | None = key(HOUSEHOLD, "With whom they are invited.")
    side: str | None = key(SIDES, "Whose family or friend.")
    kind: str = key(Enum("adult", "child", "infant"), "What they eat and sit on.", default="adult")
    email: str | None = key(EMAIL, "E-mail address.")
    phone: str | None = key(PHONE, "Telephone number.")
    party: str | None = key(Code(), "Part in the wedding party: `bridesmaid`, `best_man`…")
    plus_one_of: str | None = key(GUEST, "The guest who brings them.")
    plus_ones_allowed: int | None = key(Integer(0, 20, "count"), "How many they may bring.")
    rsvp: Mapping[str, str] = family(
        "rsvp", EVENT, Enum("pending", "yes", "no", "maybe"), "What they answered, for each event."
    )
    meal: str | None = key(Code(), "What they chose to eat.")
    checked_in: Stamp | None = key(STAMP, "Set: they have arrived.")
    tags: Mapping[str, bool] = family("tag", String(40), Flag(), "Whatever groups they belong to.")
    order: str | None = key(ORDER, "Place in the list.")
    note: str | None = key(Note(), "Remarks.")


KIND = Kind(
    "guests",
    "Who is invited, in households, and what they answered.",
    (
        meta(),
        records("households", Household, "People who get one invitation."),
        records("guests", Guest, "Who is invited."),
        review(),
    ),
)
