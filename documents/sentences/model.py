"""A sentence and its values, as plain JSON.

A value is a text that somebody typed, a whole number, or an object with a member that says its kind:

| value | is |
|---|---|
| `{"money": 125050, "currency": "GBP"}` | an amount in minor units |
| `{"time": 930}` | a time, in minutes from 00:00 of the wedding date |
| `{"length": 90}` | a number of minutes |
| `{"day": "2026-06-20"}`, `{"moment": "2026-06-20T12:00:00Z", "zone": "Europe/Vienna"}` | a day, a moment |
| `{"span": ["2026-06-20T12:00:00Z", "2026-06-20T20:00:00Z"], "zone": …}` | from one moment to another |
| `{"user": "u_ann", "role": "planner", "name": "Ann"}` | somebody; `name` where it is known |
| `{"word": "photographer"}` | a word of the schema, of which there is one in each language |
| `{"field": "start", "of": …}` | the label of a field; `of` a value, what a key of a family is about |
| `{"unnamed": "items"}` | a record of this root without a name |
| `{"all": […], "more": 3, "joint": "and"}` | several values, and the number of those that are left out |
| `{"say": "T.risk", "values": {…}}` | a sentence, as a part of another |
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from math import ceil
from typing import Any, Final, NamedTuple, TypeAlias

Value: TypeAlias = "str | int | Mapping[str, Any]"
"""See the head of the file."""

MAX_DEPTH: Final = 8
"""Objects and lists inside one another. In what the server makes itself there are six."""

MAX_TEXT: Final = 200
"""Characters of one value that somebody typed."""


class Sentence(NamedTuple):
    """A sentence of the catalogue with its values."""

    id: str
    values: Mapping[str, Value] = {}


def sentence(id: str, /, **values: Value) -> Sentence:
    """A sentence of the catalogue with its values."""
    return Sentence(id, values)


def as_json(said: Sentence) -> dict[str, Any]:
    """A sentence as plain JSON: `{"id": …, "values": …}`."""
    return {"id": said.id, "values": dict(said.values)} if said.values else {"id": said.id}


def of_json(value: object) -> Sentence | None:
    """The sentence that `as_json` has made; None for anything else."""
    if not isinstance(value, Mapping) or not isinstance(value.get("id"), str):
        return None
    values = value.get("values", {})
    return Sentence(value["id"], values) if isinstance(values, Mapping) else None


def users_without_name(value: object, depth: int = 0) -> Iterator[str]:
    """The users in a sentence as JSON, or in a value, whose names it does not have."""
    if depth > MAX_DEPTH:
        return
    if isinstance(value, Mapping):
        if isinstance(value.get("user"), str) and "name" not in value:
            yield value["user"]
        inner: Iterable[object] = value.values()
    else:
        inner = value if isinstance(value, list) else ()
    for each in inner:
        if isinstance(each, Mapping | list):
            yield from users_without_name(each, depth + 1)


def money(amount: int | Fraction, currency: str) -> Value:
    """An amount in minor units of a currency. Fractions of a minor unit are rounded up."""
    return {"money": ceil(amount), "currency": currency}


def time(minutes: int) -> Value:
    """A time of day, in minutes from 00:00 on the wedding date."""
    return {"time": minutes}


def length(minutes: int) -> Value:
    """How long something takes, in minutes."""
    return {"length": minutes}


def day(date: str) -> Value:
    """A day, given as `2026-06-20`."""
    return {"day": date}


def moment(at: str, zone: str) -> Value:
    """A moment (RFC 3339) in a time zone."""
    return {"moment": at, "zone": zone}


def span(start: str, end: str, zone: str) -> Value:
    """The time from one moment to another (RFC 3339), in a time zone."""
    return {"span": [start, end], "zone": zone}


def user(id: str, role: str, name: str) -> Value:
    """Somebody. ``name`` and ``role`` empty: not known."""
    known = {"role": role, "name": name[:MAX_TEXT]}
    return {"user": id, **{member: value for member, value in known.items() if value}}


def word_of(code: str) -> Value:
    """A word of the schema, such as `photographer` or `yes`."""
    return {"word": code}


def field_label(key: str, of: Value | None = None) -> Value:
    """The label of a key, or of the family of one; ``of``: what a key of a family is about."""
    return {"field": key} if of is None else {"field": key, "of": of}


def unnamed(root: str) -> Value:
    """A record of a root, which has no name."""
    return {"unnamed": root}


def listed(values: Iterable[Value], more: int = 0, joint: str = "") -> Value:
    """Several values. ``more``: others that are not named. ``joint``: `and`, `;` or nothing for a comma."""
    found: dict[str, Any] = {"all": list(values)}
    found |= {"more": more} if more else {}
    return found | ({"joint": joint} if joint else {})


def part(said: Sentence) -> Value:
    """A sentence as a part of another."""
    return {"say": said.id, "values": dict(said.values)}
