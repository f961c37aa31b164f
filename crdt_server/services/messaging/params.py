"""The values from which a text about an event is made, as one recipient may know them. All of it may have been typed by
people: plain text, never markup.

A value is text, or has its unit at the end of its name: `after_minutes` is a time of the wedding day in minutes from
its midnight, `after_minor` an amount in minor units, `title_sentence` the title for every language.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from crdt_server.access.identity import SERVER
from crdt_server.access.members import KnownMember
from crdt_server.access.threads import THREAD
from crdt_server.services.messaging.event_facts import RoutedEvent, WeddingRows
from crdt_server.services.messaging.knowledge import KnownEvent
from documents.derived.guests import short_name
from storage import LastSeen

LONGEST: Final = 4_000
"""Characters of one value."""

PARAMS_BYTES: Final = 20 * 1024
"""Of all values together, as JSON: a message of 4,000 emojis has 16 KB. Longer ones are cut, the longest first."""

_MOST_FIELDS: Final = 8
_TITLES: Final = ("title", "name", "label", "_summary")
_FIRST: Final = ("start", "place", "status", "stage", "dayStatus")
"""Of several keys that changed, the one that `before` and `after` are about."""

_UNITS: Final = dict.fromkeys(("start", "hardEnd"), "_minutes") | dict.fromkeys(
    ("amount", "estimated", "quoted", "actual", "limit", "mustApproveOver", "allocated", "from", "to"), "_minor"
)
_PLAIN: Final = {
    "severity": "severity", "_severity": "severity", "kind": "kind", "_kind": "kind", "amount": "amount_minor",
    "currency": "currency", "on": "on", "due": "due", "text": "text", "body": "text", "status": "status",
    "dayStatus": "status",
}  # fmt: skip
"""Keys of records whose values are given by themselves."""


class NamesReader(Protocol):
    """Reads what texts are made of besides rows, in one wedding."""

    def title_of(self, thread: str) -> str:
        """The title of a thread; empty where there is none."""

    def last_seen(self) -> Sequence[LastSeen]:
        """The people who are or were connected."""


class EventTexts:
    """Makes the values for the people of one wedding. ``members``: those that were removed included."""

    def __init__(self, rows: WeddingRows, members: Mapping[str, KnownMember], reader: NamesReader) -> None:
        self._rows = rows
        self._members = members
        self._reader = reader
        self._names: dict[str, str] = {}
        self._seen: dict[str, str] | None = None

    def params(self, event: RoutedEvent, known: KnownEvent) -> dict[str, str]:
        """Values by name: `actor` and `role`, the `title` of the record, `fields` that changed with `before` and
        `after`, and of some records `text`, `kind`, `severity`, `amount`, `currency`, `on`, `due`, `status`, `place`,
        `vendor` and `reason`. Empty ones are left out."""
        row = known.row if isinstance(known.row, dict) else {}
        found = {"actor": self._name_of(event.actor), "role": event.actor_role, "title": _title(row)}
        found |= {"title_sentence": _text(row["_sentence"])} if "_sentence" in row else {}
        found |= {name: _text(row[key]) for key, name in _PLAIN.items() if key in row}
        found |= _changes(event, known)
        found |= self._of_root(event, row)
        return _bounded({name: value[:LONGEST] for name, value in found.items() if value})

    def _name_of(self, user: str) -> str:
        """The name of a person: as a member, else as their guest or vendor is, else as they were when they were
        connected. People who read what somebody has done see that name in their documents as well."""
        if user not in self._names:
            self._names[user] = self._recorded_name(self._members.get(user)) or self._seen_name(user)
        return self._names[user]

    def _recorded_name(self, member: KnownMember | None) -> str:
        if member is None or member.name:
            return "" if member is None else member.name
        guest = self._rows.record("guests", "guests", member.guest or None)
        vendor = self._rows.record("wedding", "vendors", member.vendor or None)
        return ("" if guest is None else short_name(guest)) or ("" if vendor is None else _title(vendor))

    def _seen_name(self, user: str) -> str:
        if not user or user == SERVER.user:
            return ""
        if self._seen is None:
            self._seen = {row.user: row.name for row in self._reader.last_seen() if row.name}
        return self._seen.get(user, "")

    def _of_root(self, event: RoutedEvent, row: Mapping[str, Any]) -> dict[str, str]:
        """The names of the records that this one refers to. Each is one that the readers of the record know."""
        if event.document.startswith(THREAD):
            return {"title": self._reader.title_of(event.document.removeprefix(THREAD))}
        make = _BY_ROOT.get((event.document.partition(".")[0], event.root))
        return {} if make is None else make(self._rows, event, row)


def _changes(event: RoutedEvent, known: KnownEvent) -> dict[str, str]:
    before, after = _values(known.before), _values(known.after)
    changed = [key for key in event.fields if key in before or key in after][:_MOST_FIELDS]
    if not changed or event.before is None:
        return {}
    first = changed[0] if len(changed) == 1 else next((key for key in _FIRST if key in changed), None)
    if first is None:
        texts = (
            "; ".join(f"{key}: {_text(values[key])}" for key in changed if key in values) for values in (before, after)
        )
        return dict(zip(("before", "after"), texts, strict=True)) | {"fields": ", ".join(changed)}
    unit = _UNITS.get(first, "")
    pairs = {"before": before, "after": after}.items()
    return {"fields": ", ".join(changed)} | {
        f"{name}{unit}": _text(values[first]) for name, values in pairs if first in values
    }


def _values(values: Any) -> Mapping[str, Any]:
    return values if isinstance(values, dict) else {}


def _title(row: Mapping[str, Any]) -> str:
    for key in _TITLES:
        if isinstance(row.get(key), str):
            return str(row[key])
    names = (row.get("firstName"), row.get("lastName"))
    return " ".join(each for each in names if isinstance(each, str))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _bounded(values: dict[str, str]) -> dict[str, str]:
    """The values in PARAMS_BYTES: each has an equal part, and what the shorter ones leave."""
    sizes = {name: _size(name) + _size(value) + 4 for name, value in values.items()}  # 4: ": " and ", "
    left = PARAMS_BYTES
    if sum(sizes.values()) <= left:
        return values
    cut = dict(values)
    for number, name in enumerate(sorted(sizes, key=sizes.__getitem__)):
        most = left // (len(sizes) - number)
        if sizes[name] > most:
            cut[name] = _cut(values[name], most - _size(name) - 4)
        left -= min(sizes[name], most)
    return cut


def _cut(value: str, most: int) -> str:
    """As much of a text as has so many bytes as JSON."""
    used = 2
    for place, character in enumerate(value):
        used += _size(character) - 2
        if used > most:
            return value[:place]
    return value


def _size(text: str) -> int:
    return len(json.dumps(text, ensure_ascii=False).encode(errors="replace"))


# -- by root


def _item(rows: WeddingRows, event: RoutedEvent, row: Mapping[str, Any]) -> dict[str, str]:
    place = rows.record("wedding", "places", str(row.get("place", "")))
    return {} if place is None else {"place": _title(place)}


def _payment(rows: WeddingRows, event: RoutedEvent, row: Mapping[str, Any]) -> dict[str, str]:
    """The vendor, and the item for those who may know its name."""
    paid = event.after if isinstance(event.after, dict) else {}
    item = rows.record("budget", "items", str(paid.get("item", ""))) or {}
    vendor = rows.record("wedding", "vendors", str(item.get("vendor", ""))) or {}
    return {"title": _title(item) if "item" in row else _title(vendor), "vendor": _title(vendor)}


def _approval(rows: WeddingRows, event: RoutedEvent, row: Mapping[str, Any]) -> dict[str, str]:
    item = rows.record("budget", "items", str(row.get("item", ""))) or {}
    amounts = {f"{name}_minor": _text(row[key]) for name, key in (("before", "from"), ("after", "to")) if key in row}
    return {"title": _title(item), **amounts}


def _seat(rows: WeddingRows, event: RoutedEvent, row: Mapping[str, Any]) -> dict[str, str]:
    guest = rows.record("guests", "guests", event.record)
    found = {"title": "" if guest is None else short_name(guest)}
    for name, seat in (("before", event.before), ("after", event.after)):
        table = rows.record("seating", "tables", str(seat.get("table", ""))) if isinstance(seat, dict) else None
        if table is not None:
            found[name] = _title(table)
    return found


def _care(rows: WeddingRows, event: RoutedEvent, row: Mapping[str, Any]) -> dict[str, str]:
    guest = rows.record("guests", "guests", event.record)
    return {} if guest is None else {"title": short_name(guest)}


def _grant(rows: WeddingRows, event: RoutedEvent, row: Mapping[str, Any]) -> dict[str, str]:
    grant = event.body.get("grant")
    given = grant if isinstance(grant, dict) else {}
    return {"title": str(given.get("what", "")), "reason": str(given.get("reason", ""))}


_BY_ROOT: Final[Mapping[tuple[str, str], Callable[[WeddingRows, RoutedEvent, Mapping[str, Any]], dict[str, str]]]] = {
    ("timeline", "items"): _item,
    ("budget", "payments"): _payment,
    ("budget", "approvals"): _approval,
    ("seating", "assignments"): _seat,
    ("care", "care"): _care,
    ("wedding", "grants"): _grant,
}
