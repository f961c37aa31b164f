"""Which changes a kind allows, and for which reason others do not."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from crdt_server.judge.rules import Outcome, examine
from documents.events import Actor
from documents.fields import REASONS, Unreadable
from documents.invariants import apply
from documents.kind import MAX_RECORD_KEYS
from documents.registry import kind_of
from documents.rows import Changes, RowsByRoot, compare
from documents.threads import MOST_OF_MESSAGE, MOST_OF_PERSON

ANYBODY = Actor("ada", "couple")
STAMP = {"at": "2026-05-01T10:00:00Z", "by": "ada"}
PAYMENT = {"item": "b_1", "amount": 100, "on": "2026-01-01", "kind": "deposit"}
MANY = {f"tag:{number}": True for number in range(MAX_RECORD_KEYS)}

Rows = dict[str, dict[str, Any]]


def judged(name: str, before: Rows, after: Rows, actor: Actor = ANYBODY) -> tuple[Outcome, RowsByRoot]:
    """What is said of what turns rows into others, and the rows once that is undone."""
    kind = kind_of(name)
    assert kind is not None
    rows: RowsByRoot = {root: dict(after.get(root, {})) for root in kind.roots}
    changes = Changes([], [], [])
    for root in kind.roots.values():
        old = before.get(root.name, {})
        for record in sorted(rows[root.name].keys() | old.keys()):
            compare(root, record, old.get(record), rows[root.name].get(record), changes)
    outcome = examine(kind, name, rows, changes, actor)
    undone: Any = {name: {root: {id: _copy(row) for id, row in each.items()} for root, each in rows.items()}}
    for op in outcome.ops:
        if op.kind == "set" and op.key is None:
            undone[name][op.root].pop(op.record, None)
        apply(undone, [op])
    return outcome, undone[name]


def _copy(row: Any) -> Any:
    return dict(row) if type(row) is dict else row


WRONG: dict[str, tuple[str, str, str, Any, Any, str | None, str]] = {
    # document, root, record, before, after, key, code
    "another type": ("guests", "guests", "g_1", {"meal": "a"}, {"meal": 5}, "meal", "type"),
    "a shared type for a value": ("guests", "guests", "g_1", {}, {"meal": Unreadable("map")}, "meal", "type"),
    "a value for a text": ("guests", "guests", "g_1", {"note": "a"}, {"note": Unreadable("string")}, "note", "type"),
    "too long": ("guests", "guests", "g_1", {}, {"firstName": "x" * 121}, "firstName", "length"),
    "a number out of bounds": ("guests", "guests", "g_1", {}, {"plusOnesAllowed": 21}, "plusOnesAllowed", "range"),
    "another form": ("guests", "guests", "g_1", {}, {"meal": "5 %"}, "meal", "format"),
    "none of a list": ("guests", "guests", "g_1", {"side": "a"}, {"side": "c"}, "side", "choice"),
    "a member too few": ("guests", "guests", "g_1", {}, {"deleted": {"at": STAMP["at"]}}, "deleted", "member"),
    "no id of a household": ("guests", "guests", "g_1", {}, {"household": "_h"}, "household", "id"),
    "no id of an event": ("guests", "guests", "g_1", {}, {"rsvp:_e": "yes"}, "rsvp:_e", "id"),
    "an unknown key": ("guests", "guests", "g_1", {}, {"colour": "red"}, "colour", "unknown_key"),
    "a key of the server": ("guests", "guests", "g_1", {}, {"_x": 1}, "_x", "server_only"),
    "a known key of the server": ("timeline", "items", "i_1", {}, {"_unstaffed": True}, "_unstaffed", "server_only"),
    "a key of the server that is taken away": (
        "timeline", "items", "i_1", {"_unstaffed": True}, {}, "_unstaffed", "server_only",
    ),
    "a text that is taken away": ("guests", "guests", "g_1", {"note": "a"}, {}, "note", "not_removable"),
    "a record that is taken away": ("guests", "guests", "g_1", {"note": "a"}, None, None, "not_removable"),
    "a value for a record": ("guests", "guests", "g_1", {"note": "a"}, Unreadable("string"), None, "type"),
    "a new value for a record": ("guests", "guests", "g_1", None, Unreadable("string"), None, "type"),
    "an id that is none": ("guests", "guests", "a b", None, {"meal": "fish"}, None, "id"),
    "a key too many": ("guests", "guests", "g_1", MANY, MANY | {"meal": "fish"}, "meal", "too_many_keys"),
    "a payment that changes": ("budget", "payments", "p_1", PAYMENT, PAYMENT | {"amount": 1}, None, "final"),
    "a payment that goes": ("budget", "payments", "p_1", PAYMENT, None, None, "final"),
    "a payment that is none": ("budget", "payments", "p_1", None, {"item": "b_1"}, None, "member"),
    "a member who comes": ("wedding", "members", "u_1", None, {"role": "couple"}, None, "server_only"),
    "a member who goes": ("wedding", "members", "u_1", {"role": "couple"}, None, None, "server_only"),
    "a member who rises": ("wedding", "members", "u_1", {"role": "guest"}, {"role": "couple"}, "role", "server_only"),
    "a conflict that comes": ("guests", "review", "c_1", None, {"choice": 1}, None, "server_only"),
    "a conflict that changes": ("guests", "review", "c_1", {"_state": "open"}, {}, "_state", "server_only"),
    "a choice that is none": ("guests", "review", "c_1", {"_state": "open"}, {"_state": "open", "choice": "a"},
                              "choice", "type"),
    "a stamp": ("thread.day", "stamps", "m_1", None, {"sequence": 1, "at": STAMP["at"]}, None, "server_only"),
    "a stamp that changes": ("thread.day", "stamps", "m_1", {"sequence": 1, "at": STAMP["at"]},
                             {"sequence": 2, "at": STAMP["at"]}, None, "server_only"),
    "a board that is too long": ("wedding", "board", "", "a", "x" * 20_001, None, "length"),
    "a wrong value in a single record": ("wedding", "meta", "", {"date": "2026-06-20"}, {"date": "soon"}, "date",
                                         "format"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG.keys())
def test_wrong(case: tuple[str, str, str, Any, Any, str | None, str]) -> None:
    name, root, record, before, after, key, code = case
    old, new = ({} if row is None else {root: {record: row}} for row in (before, after))
    outcome, undone = judged(name, old, new)
    assert [(each.root, each.record, each.key, each.reason.code) for each in outcome.reverted] == [
        (root, record, key, code)
    ]
    assert outcome.legal == Changes([], [], [])
    assert undone[root].get(record) == before


def test_every_reason_there_is() -> None:
    codes = {case[-1] for case in WRONG.values()}
    assert codes == (REASONS | {"server_only", "final", "not_removable"}) - {"unknown_root"}


RIGHT: dict[str, tuple[str, str, str, Any, Any]] = {
    "a record that comes": ("guests", "guests", "g_1", None, {"meal": "fish", "note": ""}),
    "an empty record that comes": ("guests", "guests", "g_1", None, {}),
    "a record that is emptied": ("guests", "guests", "g_1", {"meal": "fish"}, {}),
    "a key that goes": ("guests", "guests", "g_1", {"meal": "fish", "note": ""}, {"note": ""}),
    "data of others": ("guests", "guests", "g_1", {}, {"x:acme.id": [1, {"a": None}]}),
    "a seat that goes": ("seating", "assignments", "g_1", {"table": "t_1", "seat": None}, None),
    "a payment": ("budget", "payments", "p_1", None, PAYMENT),
    "a void that goes": ("budget", "voids", "p_1", STAMP, None),
    "a choice": ("guests", "review", "c_1", {"_state": "open"}, {"_state": "open", "choice": 1, "say": "Yes."}),
    "as many keys as may be": ("guests", "guests", "g_1", {}, MANY),
    "the board": ("wedding", "board", "", None, "Hello"),
    "what was wrong before and goes": ("guests", "guests", "g_1", {"meal": Unreadable("null")}, {}),
}


@pytest.mark.parametrize("case", RIGHT.values(), ids=RIGHT.keys())
def test_right(case: tuple[str, str, str, Any, Any]) -> None:
    name, root, record, before, after = case
    old, new = ({} if row is None else {root: {record: row}} for row in (before, after))
    outcome, _ = judged(name, old, new)
    assert outcome.reverted == []
    assert outcome.ops == []


def test_what_is_right_beside_what_is_wrong_stands() -> None:
    before = {"guests": {"g_1": {"meal": "soup"}, "g_2": {"meal": "soup"}}}
    after = {"guests": {"g_1": {"meal": 5, "side": "a"}, "g_3": {"meal": "fish"}, "g 4": {"meal": "fish"}}}
    outcome, undone = judged("guests", before, after)
    assert undone["guests"] == {
        "g_1": {"meal": "soup", "side": "a"}, "g_2": {"meal": "soup"}, "g_3": {"meal": "fish"}
    }  # fmt: skip
    assert [change[:3] for change in outcome.legal.fields] == [("guests", "g_1", "side"), ("guests", "g_3", "meal")]
    assert outcome.legal.added == [("guests", "g_3")]
    assert outcome.legal.removed == []


def reactions(number: int, user: str, message: str = "m1") -> Rows:
    return {"reactions": {f"{message}|{each}|{user}": True for each in range(number)}}


def together(*several: Rows) -> Rows:
    return {"reactions": {record: True for each in several for record in each["reactions"]}}


def test_the_reactions_of_one_person_to_a_message_are_bounded() -> None:
    before, after = reactions(18, "ada"), together(reactions(22, "ada"), reactions(30, "ada", "m2"))
    outcome, undone = judged("thread.t", before, after)
    assert {each.reason.code for each in outcome.reverted} == {"too_many_reactions"}
    by_message = Counter(each.record.partition("|")[0] for each in outcome.reverted)
    assert by_message == {"m1": 2, "m2": 10}
    kept = Counter(record.partition("|")[0] for record in undone["reactions"])
    assert kept == {"m1": MOST_OF_PERSON, "m2": MOST_OF_PERSON}
    again, _ = judged("thread.t", undone, together(reactions(19, "ada"), {"reactions": {"m1|new|ada": True}}))
    assert not again.reverted  # one was taken back for another


def test_the_reactions_of_all_to_a_message_are_bounded() -> None:
    users = range(MOST_OF_MESSAGE // MOST_OF_PERSON)
    full = together(*(reactions(MOST_OF_PERSON, f"user-{user}") for user in users))
    assert len(full["reactions"]) == MOST_OF_MESSAGE
    outcome, undone = judged("thread.t", full, together(full, reactions(1, "ada"), reactions(1, "ada", "m2")))
    assert [(each.record, each.reason.code) for each in outcome.reverted] == [("m1|0|ada", "too_many_reactions")]
    assert undone == together(full, reactions(1, "ada", "m2")) | {root: {} for root in undone if root != "reactions"}
