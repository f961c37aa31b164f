"""Weddings that break as much as they can with few bytes, by family of invariants: rows and their writers.

``n``: how often the pattern is repeated. Each record takes a client some 50 bytes or more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from documents.invariants import Writer
from tests.documents.invariants.planning import empty

Content = tuple[dict[str, Any], dict[Any, Writer]]
STAMP: Final = {"at": "2026-05-01T00:00:00Z", "by": "mallory"}
LATER = "2026-05-01T10:00:00Z"


def guest_of(documents: dict[str, Any], n: int, **keys: Any) -> None:
    for i in range(n):
        documents["guests"]["guests"][f"g_{i}"] = {"firstName": f"First {i}", **keys}


def written(documents: dict[str, Any], *, user: str = "mallory", role: str = "planner", rank: int = 80) -> Content:
    """Everything written by one person, each field at another time."""
    values = {"assignments", "payments", "voids", "messages"}
    writers = {}
    for document, roots in documents.items():
        for root, rows in roots.items():
            for record, row in rows.items():
                for key in row if type(row) is dict and root not in values else [None]:
                    seq = len(writers) + 1
                    writers[document, root, record, key] = Writer(user, role, rank, seq, LATER)
    return documents, writers


def overlaps(n: int) -> Content:
    documents = empty()
    for i in range(n):
        wanted = {f"vendor:v_{j}": True for j in range(20)} | {f"person:g_{j}": True for j in range(20)}
        documents["timeline"]["items"][f"i_{i}"] = {"start": 600, "duration": 60, "place": f"p_{i}", **wanted}
    return written(documents)


def disjoint_overlaps(n: int) -> Content:
    documents = empty()
    for i in range(n):
        start = i // 2 * 3
        row = {"start": start, "duration": 2, "place": f"p_{i}", "person:bride": True, "vendor:v_lens": True}
        documents["timeline"]["items"][f"i_{i}"] = row
    return written(documents)


def after_one(n: int) -> Content:
    documents = empty()
    items = documents["timeline"]["items"]
    items["i_first"] = {"start": 600, "duration": 60}
    for i in range(n):
        items[f"i_{i}"] = {"start": 500, "duration": 5, "after:i_first": 1}
    return written(documents)


def beyond_the_end(n: int) -> Content:
    documents = empty()
    documents["wedding"]["meta"][""] |= {"hardEnd": 600, "phase": "live"}
    for i in range(n):
        documents["timeline"]["items"][f"i_{i}"] = {"start": 600, "duration": 60}
    return written(documents)


def without_vendor(n: int) -> Content:
    documents = empty()
    for i in range(n):
        documents["timeline"]["items"][f"i_{i}"] = {"vendor:v_gone": True, "place": "p_gone"}
    return written(documents)


def small_places(n: int) -> Content:
    documents = empty()
    documents["wedding"]["places"]["p_small"] = {"capacity": 0}
    for i in range(n):
        documents["wedding"]["events"][f"e_{i}"] = {"place": "p_small", "capacity": 0}
        documents["wedding"]["places"][f"p_{i}"] = {"capacity": i + 10}
        documents["guests"]["guests"][f"g_{i}"] = {f"rsvp:e_{i}": "yes"}
    return written(documents)


def costs(n: int) -> Content:
    documents = empty()
    budget = documents["budget"]
    budget["meta"][""] = {"limit": 1, "mustApproveOver": 1}
    for i in range(n):
        budget["categories"][f"c_{i}"] = {"allocated": 1}
        budget["items"][f"b_{i}"] = {"category": f"c_{i}", "quoted": 100}
    return written(documents)


def one_category(n: int) -> Content:
    documents = empty()
    budget = documents["budget"]
    budget["categories"]["c_1"] = {"allocated": 1}
    for i in range(n):
        budget["items"][f"b_{i}"] = {"category": "c_1", "quoted": 100, "currency": "EUR", "rate": f"1.{i}"}
    return written(documents)


def payments(n: int) -> Content:
    documents = empty()
    budget = documents["budget"]
    budget["items"]["b_1"] = {"quoted": 1}
    for i in range(n):
        budget["payments"][f"pay_{i}"] = {"item": "b_1", "amount": 5, "on": "2026-01-01", "kind": "deposit"}
    documents, writers = written(documents)
    for i in range(0, n, 2):
        writers["budget", "payments", f"pay_{i}", None] = Writer("chloe", "couple", 100, i + 1, LATER)
    return documents, writers


def approvals(n: int) -> Content:
    documents = empty()
    budget = documents["budget"]
    budget["meta"][""] = {"mustApproveOver": 1}
    budget["items"]["b_1"] = {"quoted": 100}
    for i in range(n):
        budget["approvals"][f"a_{i}"] = {"item": "b_1", "to": 100 + i, "_state": "pending", "approvedBy:u_x": LATER}
    return written(documents, user="chloe", role="couple", rank=100)


def alike(n: int) -> Content:
    documents = empty()
    guest_of(documents, n, email="a@example.org", phone="123456", household="h_one")
    return written(documents)


def twins(n: int) -> Content:
    documents = empty()
    for i in range(n):
        documents["guests"]["guests"][f"g_{i}"] = {"email": f"{i // 2}@example.org"}
    return written(documents)


def all_come(n: int) -> Content:
    documents = empty()
    documents["wedding"]["events"]["e_reception"]["capacity"] = 1
    documents["wedding"]["meta"][""]["rsvpBy"] = "2026-01-01"
    guest_of(documents, n, **{"rsvp:e_reception": "yes", "rsvp:e_ceremony": "yes"})
    return written(documents, role="guest", rank=10)


def company(n: int) -> Content:
    documents = empty()
    guest_of(documents, n, plusOneOf="g_0", household="h_gone")
    return written(documents)


def hosts(n: int) -> Content:
    documents = empty()
    for i in range(n):
        documents["guests"]["guests"][f"g_{i}"] = {"plusOneOf": f"g_{i // 2 * 2}"}
    return written(documents)


def one_table(n: int) -> Content:
    documents = empty()
    guest_of(documents, n, household="h_one")
    documents["seating"]["tables"]["t_1"] = {"capacity": 1, "position": {"x": 1, "y": 1}}
    for i in range(n):
        documents["seating"]["assignments"][f"g_{i}"] = {"table": "t_1", "seat": 0}
    return written(documents)


def table_gone(n: int) -> Content:
    documents = empty()
    guest_of(documents, n)
    for i in range(n):
        documents["seating"]["assignments"][f"g_{i}"] = {"table": "t_gone", "seat": i}
    return written(documents)


def many_tables(n: int) -> Content:
    documents = empty()
    guest_of(documents, 2 * n)
    for i in range(n):
        documents["seating"]["tables"][f"t_{i}"] = {"capacity": 1, "position": {"x": i, "y": 1}}
        documents["seating"]["assignments"][f"g_{i}"] = {"table": f"t_{i}", "seat": 0}
        documents["seating"]["assignments"][f"g_{n + i}"] = {"table": f"t_{i}", "seat": 0}
    return written(documents)


def rules(n: int) -> Content:
    documents = empty()
    guest_of(documents, 60)
    for i in range(60):
        documents["seating"]["tables"][f"t_{i}"] = {"capacity": 9, "position": {"x": i, "y": 1}}
        documents["seating"]["assignments"][f"g_{i}"] = {"table": f"t_{i // 2}", "seat": None}
    people = {f"guest:g_{i}": True for i in range(60)}
    for i in range(n):
        documents["seating"]["rules"][f"r_{i}"] = {"kind": ("apart", "together")[i % 2], "hard": True, **people}
    return written(documents)


def household(n: int) -> Content:
    documents = empty()
    guest_of(documents, n, household="h_one")
    for i in range(n):
        documents["seating"]["tables"][f"t_{i}"] = {"capacity": 2 * n}
        documents["seating"]["assignments"][f"g_{i}"] = {"table": f"t_{i}", "seat": None}
    return written(documents)


def unseated(n: int) -> Content:
    """The server has freed all seats of a table that is back."""
    documents, writers = table_gone(n)
    documents["seating"]["tables"]["t_gone"] = {"capacity": 2 * n}
    for i in range(n):
        seat = documents["seating"]["assignments"].pop(f"g_{i}")
        where = ("seating", "assignments", f"g_{i}", None)
        writers[where] = Writer("server", "server", 0, 10 * n + i, LATER, seat)
    writers["seating", "tables", "t_gone", "deleted"] = Writer("mallory", "planner", 80, 20 * n, LATER)
    return documents, writers


def needs(n: int) -> Content:
    documents = empty()
    guest_of(documents, n, meal="beef")
    for i in range(n):
        documents["care"]["care"][f"g_{i}"] = {
            "diet:vegan": True, **{f"allergy:{'a' * 30}{j}": "severe" for j in range(5)}
        }  # fmt: skip
    return written(documents)


def trades(n: int) -> Content:
    documents = empty()
    for i in range(n):
        documents["wedding"]["vendors"][f"v_{i}"] = {"category": "venue", "stage": "booked", "name": "x" * 30}
    return written(documents)


def members(n: int) -> Content:
    documents = empty()
    documents["wedding"]["members"] = {f"u_{i}": {"role": "guest"} for i in range(n)}
    return written(documents)


def messages(n: int) -> Content:
    documents = empty()
    rows = {f"m_{i}": {"from": "chloe", "body": "x"} for i in range(n)}
    documents["thread.one"] = {"messages": rows}
    return written(documents)


CONTENTS: Final[dict[str, Callable[[int], Content]]] = {
    each.__name__: each
    for each in (
        overlaps, disjoint_overlaps, after_one, beyond_the_end, without_vendor, small_places, costs, one_category,
        payments, approvals, alike, twins, all_come, company, hosts, one_table, table_gone, many_tables, rules,
        household, unseated, needs, trades, members, messages,
    )
}  # fmt: skip
