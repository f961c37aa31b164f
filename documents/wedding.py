"""`wedding`: the day itself, its events, places, vendors and tasks, and who takes part."""

from __future__ import annotations

from collections.abc import Mapping

from documents.fields import Bool, Code, Date, DecimalString, Enum, Id, ListOf, Note, Pattern
from documents.kind import Kind, family, key, needed, record, records, single, text, value_of
from documents.shared import (
    ADDRESS,
    COUNT,
    CURRENCY,
    DURATION,
    EMAIL,
    GUEST,
    MOMENT,
    NAME,
    ORDER,
    PHONE,
    PLACE,
    SIDES,
    STAMP,
    STRATEGIES,
    TIMELINE_ITEM,
    USER,
    VENDOR,
    Address,
    Meta,
    Record,
    Stamp,
    review,
)


@record
class WeddingMeta(Meta):
    """The wedding as a whole."""

    title: str | None = key(NAME, "What the wedding is called.")
    date: str | None = key(Date(), "The wedding date; all minutes count from its local midnight.")
    time_zone: str | None = key(
        Pattern(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+){0,2}", "IANA time zone"), "Where the clocks are."
    )
    currency: str | None = key(CURRENCY, "Currency of every amount that names no other.")
    locale: str | None = key(Pattern(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,3}", "BCP 47 tag"), "Language and region.")
    capacity: int | None = key(COUNT, "How many people the venue holds.")
    hard_end: int | None = key(MOMENT, "When everything but breakdown must be over.")
    rsvp_by: str | None = key(Date(), "Last day on which guests answer by themselves.")
    cascade: str = key(
        Enum("off", "propose", "flex"),
        "What a delay does to later items: nothing, a proposal, or flexible ones move.",
        default="propose",
    )
    phase: str = key(Enum("planning", "locked", "live", "closed"), "Where the wedding stands.", default="planning")
    strategy: Mapping[str, str] = family(
        "strategy", Code(), STRATEGIES, "How conflicts of this invariant are resolved, where it has a choice."
    )


@record
class Event(Record):
    """A part of the wedding to which people are invited."""

    name: str | None = key(NAME, "What it is called.")
    start: int | None = key(MOMENT, "When it starts.")
    duration: int | None = key(DURATION, "How long it lasts.")
    place: str | None = key(PLACE, "Where it is.")
    rsvp: bool = key(Bool(), "Whether guests are asked to answer.", default=False)
    capacity: int | None = key(COUNT, "How many people it holds.")
    visibility: str = key(Enum("public", "invited"), "Who sees it.", default="invited")
    order: str | None = key(ORDER, "Place in the list.")


@record
class Location:
    """A point on the map, WGS 84."""

    latitude: str = needed(DecimalString("decimal degrees", signed=True), "North of the equator.")
    longitude: str = needed(DecimalString("decimal degrees", signed=True), "East of Greenwich.")


@record
class Place(Record):
    """Where something happens: a venue, one of its rooms, a meadow, a road."""

    name: str | None = key(NAME, "What it is called.")
    kind: str | None = key(Enum("venue", "room", "outdoor", "road"), "What it is.")
    capacity: int | None = key(COUNT, "How many people it holds.")
    address: Address | None = key(ADDRESS, "Postal address.")
    location: Location | None = key(value_of(Location), "Point on the map.")
    exclusive: bool = key(Bool(), "Whether only one thing at a time can be there.", default=False)
    parent: str | None = key(PLACE, "The place it is part of.")
    rain_plan: str | None = key(PLACE, "Where to go when it rains.")
    order: str | None = key(ORDER, "Place in the list.")


@record
class Contact:
    """A person to call."""

    name: str | None = key(NAME, "Name.")
    email: str | None = key(EMAIL, "E-mail address.")
    phone: str | None = key(PHONE, "Telephone number.")


@record
class Window:
    """A span of time."""

    start: int = needed(MOMENT, "First minute.")
    end: int = needed(MOMENT, "The minute after the last.")


@record
class Vendor(Record):
    """A business that works at the wedding."""

    name: str | None = key(NAME, "What it is called.")
    category: str | None = key(Code(), "Its trade: `photographer`, `caterer`, `venue`…")
    organization: str | None = key(Id("id of an organization"), "The same business in other weddings has the same.")
    stage: str | None = key(
        Enum("shortlisted", "quoted", "booked", "confirmed", "cancelled"), "How far the booking is."
    )
    day_status: str | None = key(
        Enum("expected", "en_route", "on_site", "setting_up", "ready", "working", "breaking_down", "left", "late",
             "no_show"),
        "Where they are on the day.",
    )  # fmt: skip
    contact: Contact | None = key(value_of(Contact), "Whom to call.")
    booked_window: Window | None = key(value_of(Window), "From when to when they are booked.")
    availability: tuple[Window, ...] = key(
        ListOf(value_of(Window), 50), "When they could work; absent: unknown.", default=()
    )
    order: str | None = key(ORDER, "Place in the list.")
    note: str | None = key(Note(), "Remarks of the couple and their planners.")


@record
class Task(Record):
    """Something to be done."""

    title: str | None = key(NAME, "What is to be done.")
    due: str | None = key(Date(), "By when.")
    assignee: str | None = key(USER, "Who does it.")
    done: Stamp | None = key(STAMP, "Set: it is done.")
    priority: str = key(Enum("low", "normal", "high"), "How much it matters.", default="normal")
    item: str | None = key(TIMELINE_ITEM, "The item of the timeline it is for.")
    vendor: str | None = key(VENDOR, "The vendor it is about.")
    order: str | None = key(ORDER, "Place in the list.")
    note: str | None = key(Note(), "Remarks.")


ROLES = Enum(
    "couple", "planner", "coordinator", "venue", "caterer", "photographer", "vendor", "family", "wedding_party", "guest"
)


@record
class Member:
    """Somebody who takes part in the planning, as shown to others; access is decided elsewhere."""

    role: str | None = key(ROLES, "In which role.")
    name: str | None = key(NAME, "Name.")
    vendor: str | None = key(VENDOR, "The vendor they work for.")
    guest: str | None = key(GUEST, "The guest they are.")
    side: str | None = key(SIDES, "Whose family or friend.")


KIND = Kind(
    "wedding",
    "The day itself, its events, places, vendors and tasks, and who takes part.",
    (
        single("meta", WeddingMeta, "The wedding as a whole."),
        records("events", Event, "Rehearsal dinner, ceremony, reception, brunch."),
        records("places", Place, "Where things happen."),
        records("vendors", Vendor, "Businesses that work at the wedding."),
        records("tasks", Task, "What is to be done beforehand."),
        records("members", Member, "Who takes part, by user id.", ids=USER, server=True),
        text("board", "A page shared by all planners."),
        review(),
    ),
)
