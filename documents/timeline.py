"""`timeline`: the running order of the day, and emergencies."""

from __future__ import annotations

from collections.abc import Mapping

from documents.fields import Bool, Enum, Flag, Instant, Minutes, Note, String
from documents.kind import Kind, family, key, record, records
from documents.shared import (
    DURATION,
    LABEL,
    MINUTES_PER_DAY,
    MOMENT,
    NAME,
    ORDER,
    PERSON,
    PLACE,
    SEVERITIES,
    STAMP,
    TIMELINE_ITEM,
    USER,
    VENDOR,
    Record,
    Stamp,
    meta,
    review,
)


@record
class TimelineItem(Record):
    """One entry of the running order."""

    title: str | None = key(NAME, "What happens.")
    start: int | None = key(MOMENT, "When it starts.")
    duration: int | None = key(DURATION, "How long it lasts.")
    min_duration: int | None = key(DURATION, "The shortest it can become.")
    rigidity: str = key(
        Enum("fixed", "flex", "buffer"), "Whether it stays, may move, or is there to absorb delays.", default="flex"
    )
    kind: str | None = key(Enum("setup", "moment", "photo", "meal", "transport", "breakdown"), "What it is.")
    place: str | None = key(PLACE, "Where.")
    track: str | None = key(LABEL, "Column in which it is shown, such as `bride's party`.")
    key_moment: bool = key(Bool(), "Whether every vendor sees it.", default=False)
    visibility: str = key(Enum("public", "team", "private"), "Who sees it.", default="team")
    vendors: Mapping[str, bool] = family("vendor", VENDOR, Flag(), "Vendors who work on it.")
    persons: Mapping[str, bool] = family(
        "person", PERSON, Flag(), "Who is needed: `bride`, `groom` and the like, or guest ids."
    )
    after: Mapping[str, int] = family(
        "after", TIMELINE_ITEM, Minutes(0, MINUTES_PER_DAY), "Items that must be over, and how long before it starts."
    )
    status: str = key(Enum("planned", "ready", "live", "done", "skipped"), "How far it is.", default="planned")
    actual_start: str | None = key(Instant(), "When it really started.")
    actual_end: str | None = key(Instant(), "When it was really over.")
    order: str | None = key(ORDER, "Place among items that start at the same minute.")
    note: str | None = key(Note(), "Remarks for the team.")
    vendor_notes: Mapping[str, str] = family("vendorNote", VENDOR, String(), "What each vendor remarks.")
    unstaffed: bool = key(Bool(), "Whether a vendor of it was cancelled or is gone.", default=False, server=True)


@record
class Emergency(Record):
    """Something that cannot wait."""

    kind: str | None = key(Enum("weather", "medical", "vendor_no_show", "security", "power", "other"), "What it is.")
    text: str | None = key(String(), "What has happened.")
    severity: str | None = key(SEVERITIES, "How bad it is.")
    at: str | None = key(Instant(), "When it was raised.")
    by: str | None = key(USER, "Who raised it.")
    acknowledged_by: Mapping[str, str] = family("acknowledgedBy", USER, Instant(), "Who has read it, and when.")
    closed: Stamp | None = key(STAMP, "Set: it is over.")
    audience: str = key(
        Enum("team", "vendors", "everyone"),
        "Who is told: those who plan, vendors too, or guests as well.",
        default="vendors",
    )


KIND = Kind(
    "timeline",
    "The running order of the day, and emergencies.",
    (
        meta(),
        records("items", TimelineItem, "The running order."),
        records("emergencies", Emergency, "Weather, no-shows, accidents."),
        review(),
    ),
)
