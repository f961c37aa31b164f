"""A wedding of any size in which everything holds, for measuring."""

from __future__ import annotations

from typing import Any

from documents.invariants import Index, Wedding, Writer
from tests.documents.invariants.planning import empty


def large(guests: int = 250) -> dict[str, Any]:
    """Guests in households of two at tables of ten, 70 items with vendors and persons, 90 items of budget, 120
    payments."""
    documents = empty()
    _people(documents, guests)
    _seats(documents, guests)
    _timeline(documents, 70)
    _budget(documents, 90, 120)
    return documents


def _people(documents: dict[str, Any], guests: int) -> None:
    for i in range(guests):
        documents["guests"]["households"][f"h_{i // 2}"] = {"name": f"Family {i // 2}"}
        documents["guests"]["guests"][f"g_{i}"] = {
            "firstName": f"First {i}", "lastName": f"Last {i}", "household": f"h_{i // 2}", "side": "a",
            "email": f"guest{i}@example.org", "phone": f"+44 7700 {900000 + i}", "rsvp:e_ceremony": "yes",
            "rsvp:e_reception": "yes", "meal": "fish", "order": f"a{i}", "note": "",
        }  # fmt: skip
        if i % 4 == 0:
            documents["care"]["care"][f"g_{i}"] = {
                "diet:pescatarian": True, "allergy:nut": "severe", "acknowledgedBy:carl": "2026-05-01T00:00:00Z"
            }  # fmt: skip
    for place in documents["wedding"]["places"].values():
        place["capacity"] = guests


def _seats(documents: dict[str, Any], guests: int) -> None:
    seating = documents["seating"]
    for i in range(guests):
        table = f"t_{i // 10}"
        seating["tables"][table] = {"label": str(i // 10), "capacity": 10, "position": {"x": i * 10, "y": i % 7}}
        seating["assignments"][f"g_{i}"] = {"table": table, "seat": i % 10}
    for i in range(25):
        one, other = i * 7 % guests, (i * 7 + 50) % guests
        seating["rules"][f"r_{i}"] = {"kind": "apart", "hard": True, f"guest:g_{one}": True, f"guest:g_{other}": True}


def _timeline(documents: dict[str, Any], count: int) -> None:
    vendors = documents["wedding"]["vendors"]
    vendors |= {f"v_{i}": {"name": f"Vendor {i}", "category": f"trade{i}", "stage": "booked"} for i in range(14)}
    for i in range(count):
        item = {
            "title": f"Item {i}", "start": 480 + i * 12, "duration": 10, "rigidity": "flex", "place": "p_oak",
            "vendor:v_lens": True, f"vendor:v_{i % 14}": True, "person:bride": True, "order": f"a{i}", "note": "",
        }  # fmt: skip
        documents["timeline"]["items"][f"i_{i}"] = item | ({f"after:i_{i - 1}": 0} if i else {})


def _budget(documents: dict[str, Any], items: int, payments: int) -> None:
    budget = documents["budget"]
    budget["meta"][""] = {"limit": items * 50_000, "mustApproveOver": 100_000}
    for i in range(10):
        budget["categories"][f"c_{i}"] = {"name": f"Category {i}", "allocated": items * 5_000}
    for i in range(items):
        budget["items"][f"b_{i}"] = {"name": f"Item {i}", "category": f"c_{i % 10}", "estimated": 40_000}
    for i in range(payments):
        budget["payments"][f"pay_{i}"] = {
            "item": f"b_{i % items}", "amount": 10_000, "on": f"2026-0{1 + i // items}-01", "kind": "deposit"
        }  # fmt: skip


def index_of(documents: dict[str, Any]) -> Index:
    """An index, everything written by one of the couple."""
    writer = Writer("chloe", "couple", 100, 1)
    writers = {
        (document, root, record, key): writer
        for document, roots in documents.items()
        for root, rows in roots.items()
        for record, row in rows.items()
        for key in (row if root not in ("assignments", "payments") else [None])
    }
    return Index(Wedding(documents, writers))


__all__ = ["index_of", "large"]
