"""What attackers write into documents that have a schema, as Yjs updates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from pycrdt import Doc, Map, Text

from tests.support.wire import Typist

RECORDS: dict[str, tuple[str, dict[str, Any]]] = {
    "guests": ("guests", {"firstName": "", "kind": "adult", "side": "a", "order": "a0"}),
    "timeline": ("items", {"title": "", "start": 5, "duration": 1, "order": "a0"}),
    "budget": ("items", {"name": "", "order": "a0"}),
    "seating": ("tables", {"label": "", "capacity": 10, "order": "a0"}),
    "wedding": ("tasks", {"title": "", "order": "a0"}),
}
"""By document: a root, and a record of it that breaks no rule. The first key is the one to edit."""


def update_of(build: Callable[[Doc[Any]], None], client: int | None = None) -> bytes:
    """One transaction in an empty document."""
    doc: Doc[Any] = Doc(client_id=client)
    with doc.transaction():
        build(doc)
    return doc.get_update()


def small_edit(room: str, random: Random) -> tuple[bytes, bytes]:
    """An honest edit of a document by a new client, and bytes that only it contains."""
    document = room.split("/")[1]
    mark = f"edit{random.randrange(1 << 48)}"
    if document not in RECORDS:
        return mark.encode(), Typist(random.randrange(1, 600_000_000)).text(mark.encode())
    root, fields = RECORDS[document]
    key = next(iter(fields))

    def build(doc: Doc[Any]) -> None:
        doc.get(root, type=Map)[f"r_{mark}"] = Map({**fields, key: mark})

    return mark.encode(), update_of(build)


def overlapping(items: int, vendors: int, persons: int, prefix: str = "i") -> bytes:
    """Items of a timeline at one time, all with the same vendors and persons."""

    def build(doc: Doc[Any]) -> None:
        root = doc.get("items", type=Map)
        for number in range(items):
            fields: dict[str, Any] = {"title": f"Item {number}", "start": 600, "duration": 60, "note": Text("")}
            fields |= {f"vendor:v_{n}": True for n in range(vendors)} | {f"person:p_{n}": True for n in range(persons)}
            root[f"{prefix}_{number}"] = Map(fields | {"order": f"a{number:04d}x"})

    return update_of(build)


def guest_id(number: int) -> str:
    """Of the guests that `guests` makes."""
    return f"g_{number:06d}"


def guests(count: int, chunk: int, fields: dict[str, Any] | None = None) -> Iterator[bytes]:
    """Updates that add so many guests, in order; each builds on the one before."""
    doc: Doc[Any] = Doc()
    root = doc.get("guests", type=Map)
    for begin in range(0, count, chunk):
        before = doc.get_state()
        with doc.transaction():
            for number in range(begin, min(begin + chunk, count)):
                own = {"firstName": f"Guest {number}", "lastName": "Smith", "order": f"a{number:06d}x"}
                root[guest_id(number)] = Map(own if fields is None else fields)
        yield doc.get_update(before)


def booking(organization: str, name: str, start: int) -> bytes:
    """A wedding that has booked a vendor of an organization for eight hours."""

    def build(doc: Doc[Any]) -> None:
        doc.get("meta", type=Map).update({"date": "2027-06-20", "timeZone": "Europe/London"})
        vendor = {"name": name, "category": "photographer", "stage": "booked", "organization": organization}
        window = {"start": start, "end": start + 480}
        doc.get("vendors", type=Map)["v_booked"] = Map({**vendor, "bookedWindow": window, "order": "a0"})

    return update_of(build)
