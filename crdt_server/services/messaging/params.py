"""The values from which a text about an event is made, as one recipient may know them. All of it may have been typed by
people: plain text, never markup."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from crdt_server.access.identity import Identity
from crdt_server.services.messaging.event_facts import RoutedEvent
from crdt_server.services.messaging.knowledge import KnownEvent

LONGEST: Final = 4_000
"""Characters of one value."""

_MOST_FIELDS: Final = 8
_TITLES: Final = ("title", "name", "label", "_summary")
_CLOCK_TIMES: Final = frozenset({"start", "hardEnd"})
_PLAIN: Final = {
    "severity": "severity", "_severity": "severity", "kind": "kind", "_kind": "kind", "amount": "amount",
    "currency": "currency", "on": "on", "due": "due", "text": "text", "body": "text", "status": "status",
    "dayStatus": "status",
}  # fmt: skip
"""Keys of records whose values are given by themselves."""


def params_of(event: RoutedEvent, known: KnownEvent, people: Mapping[str, Identity]) -> dict[str, str]:
    """Names and texts: `actor` and `role`, the `title` of the record, `fields` that changed with the texts `before` and
    `after`, and of some records `text`, `kind`, `severity`, `amount`, `currency`, `on`, `due`, `status`. Empty ones are
    left out."""
    person = people.get(event.actor)
    row = known.row if isinstance(known.row, dict) else {}
    found = {"actor": "" if person is None else person.name, "role": event.actor_role, "title": _title(row)}
    found |= {name: _text(key, row[key]) for key, name in _PLAIN.items() if key in row}
    before, after = _values(known.before), _values(known.after)
    changed = [key for key in event.fields if key in before or key in after][:_MOST_FIELDS]
    if changed and event.before is not None:
        found |= {"fields": ", ".join(changed), "before": _texts(changed, before), "after": _texts(changed, after)}
    if event.root == "grants":
        found |= _grant(event)
    return {name: value[:LONGEST] for name, value in found.items() if value}


def _values(values: Any) -> Mapping[str, Any]:
    return values if isinstance(values, dict) else {}


def _title(row: Mapping[str, Any]) -> str:
    for key in _TITLES:
        if isinstance(row.get(key), str):
            return str(row[key])
    names = (row.get("firstName"), row.get("lastName"))
    return " ".join(each for each in names if isinstance(each, str))


def _texts(keys: list[str], values: Mapping[str, Any]) -> str:
    if len(keys) == 1:
        return _text(keys[0], values[keys[0]]) if keys[0] in values else ""
    return "; ".join(f"{key}: {_text(key, values[key])}" for key in keys if key in values)


def _text(key: str, value: Any) -> str:
    if key in _CLOCK_TIMES and type(value) is int:
        days, minutes = divmod(value, 24 * 60)
        return f"{minutes // 60:02}:{minutes % 60:02}" + (f" ({days:+} d)" if days else "")
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def _grant(event: RoutedEvent) -> dict[str, str]:
    grant = event.body.get("grant")
    given = grant if isinstance(grant, dict) else {}
    return {"title": str(given.get("what", "")), "text": str(given.get("reason", ""))}
