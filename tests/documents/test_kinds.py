"""The declarations: names, families, who writes what, and typed reading."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any

import pytest

from documents import FAMILIES, KINDS, NAMES, is_document_name, kind_of
from documents.fields import Note, Reason, Reference, Unreadable
from documents.kind import MAX_RECORD_KEYS, WHOLE, Kind, Root, Shape, camel_case, keys_of
from documents.readers import canonical_json, digest, read_records

ROOTS = [(kind, root) for kind in KINDS for root in kind.roots.values()]
WITH_RECORDS = [(kind, root) for kind, root in ROOTS if root.record is not None]
EXAMPLES = {"wedding", "timeline", "budget", "guests", "care", "seating", "seating.e_1", "thread.t_1", "notes.ideas"}


def of(name: str) -> Kind:
    kind = kind_of(name)
    assert kind is not None
    return kind


def ids(value: object) -> str:
    return value.name if isinstance(value, Kind | Root) else str(value)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_documents_have_a_kind(name: str) -> None:
    assert is_document_name(name)
    assert of(name).name == name.partition(".")[0]


@pytest.mark.parametrize(
    "name",
    ["", ".", "thread", "notes", "seating.", "wedding.x", "guests.1", "notes.a.b", "notes.-", "review", "Wedding"],
)
def test_other_names_have_none(name: str) -> None:
    assert kind_of(name) is None
    assert not is_document_name(name)


def test_one_list_of_kinds() -> None:
    assert {kind.name for kind in KINDS} == NAMES | FAMILIES
    assert len({kind.name for kind in KINDS}) == len(KINDS)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.free], ids=ids)
def test_every_kind_with_a_schema_has_meta_and_review(kind: Kind) -> None:
    assert kind.roots["meta"].shape is Shape.RECORD
    assert "_version" in kind.roots["meta"].keys
    assert kind.roots["review"].server
    assert {name for name in kind.roots["review"].keys if not name.startswith("_")} == {"choice", "say"}


def test_names_follow_one_rule() -> None:
    assert camel_case("must_approve_over") == "mustApproveOver"
    assert camel_case("from_") == "from"
    for _, root in WITH_RECORDS:
        for key in root.keys.values():
            assert key.name == "_" * key.server + camel_case(key.attribute)


@pytest.mark.parametrize(("kind", "root"), WITH_RECORDS, ids=ids)
def test_keys_are_unambiguous(kind: Kind, root: Root) -> None:
    declared = list(keys_of(root.record)) if root.record else []
    assert len({key.name for key in declared}) == len(declared)
    assert "x" not in root.families
    assert all(re.fullmatch(r"_?[a-z][A-Za-z0-9]*", name) for name in [*root.keys, *root.families])
    assert all(key.about.endswith((".", "…")) for key in declared)


@pytest.mark.parametrize(("kind", "root"), WITH_RECORDS, ids=ids)
def test_defaults_are_values_the_schema_takes(kind: Kind, root: Root) -> None:
    assert root.record is not None
    defaults = {item.name: item.default for item in fields(root.record)}
    for key in root.keys.values():
        default = defaults[key.attribute]
        assert default in (None, ()) or key.type.check(default) == default


def test_references_point_to_roots_that_are_there() -> None:
    for _, root in ROOTS:
        kinds = [root.ids, *(key.type for key in root.keys.values())]
        for reference in (kind for kind in kinds if isinstance(kind, Reference)):
            target = next(kind for kind in KINDS if kind.name == reference.document)
            assert target.roots[reference.root].shape in (Shape.RECORDS, Shape.VALUES)


def test_texts_are_notes_and_the_board() -> None:
    assert {name for _, root in ROOTS for name in root.text_keys} == {"note"}
    assert [root.name for _, root in ROOTS if isinstance(root.type, Note)] == ["board"]


def test_families_check_what_follows_the_prefix() -> None:
    items = of("timeline").roots["items"]
    assert items.check("i_1", "after:i_2", 10.0) == 10
    assert items.check("i_1", "vendor:v_1", True) is True
    for name, value, code in [
        ("after:", 10, "id"),
        ("after:i 2", 10, "id"),
        ("after:i_2", -1, "range"),
        ("vendor:v_1", False, "type"),
        ("vendor", True, "unknown_key"),
        ("wendor:v_1", True, "unknown_key"),
    ]:
        reason = items.check("i_1", name, value)
        assert isinstance(reason, Reason)
        assert reason.code == code


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("x:acme.id", {"any": ["thing"]}, None),
        ("x:acme.id", "x" * 1022, None),
        ("x:acme.id", "x" * 1023, "length"),
        ("x:acme", 1, "unknown_key"),
        ("x:.id", 1, "unknown_key"),
        ("x:Acme.id", 1, "unknown_key"),
        ("x:acme.id", Unreadable("map"), "type"),
    ],
)
def test_extensions(name: str, value: Any, code: str | None) -> None:
    for root in (of("guests").roots["guests"], of("budget").roots["meta"]):
        checked = root.check("g_1", name, value)
        assert (checked.code if isinstance(checked, Reason) else None) == code


def test_what_only_the_server_writes() -> None:
    wedding, approvals = of("wedding"), of("budget").roots["approvals"]
    assert wedding.roots["review"].clients_may_write("choice")
    assert not wedding.roots["review"].clients_may_write("_state")
    assert not wedding.roots["review"].clients_may_write(None)
    assert not wedding.roots["members"].clients_may_write("role")
    assert not of("thread.1").roots["stamps"].clients_may_write(None)
    assert approvals.clients_may_write("approvedBy:u_1")
    assert approvals.clients_may_write(None)
    assert not approvals.clients_may_write("_state")
    assert not approvals.clients_may_write("_whatever")


def test_ids() -> None:
    assert of("guests").roots["guests"].check_id("g_7zk3v0q9xw") is None
    assert of("guests").roots["guests"].check_id("__proto__") is not None
    assert of("guests").roots["meta"].check_id(WHOLE) is None
    assert of("thread.1").roots["reactions"].check_id("01JY|🌳|u_1") is None
    assert of("thread.1").roots["reactions"].check_id("01JY|u_1") is not None


def test_violations_name_what_is_wrong() -> None:
    rows: dict[str, dict[str, Any]] = {
        "guests": {
            "g_1": {"firstName": "Chloé", "kind": "cat"},
            "g_2": Unreadable("array"),
            "g 3": {},
            "g_4": {f"tag:{i}": True for i in range(MAX_RECORD_KEYS + 1)},
            "g_5": {"": 1, "note": Unreadable("string"), "shoe": 42},
        },
        "evil": {"a": {}},
    }
    found = [(each.root, each.record, each.key, each.reason.code) for each in of("guests").violations(rows)]
    assert found == [
        ("guests", "g_1", "kind", "choice"),
        ("guests", "g_2", None, "type"),
        ("guests", "g 3", None, "id"),
        ("guests", "g_4", None, "too_many_keys"),
        ("guests", "g_5", "", "unknown_key"),
        ("guests", "g_5", "note", "type"),
        ("guests", "g_5", "shoe", "unknown_key"),
        ("evil", "", None, "unknown_root"),
    ]


def test_typed_reading() -> None:
    rows = {
        "meta": {WHOLE: {"_version": 1, "mustApproveOver": 200_000}},
        "payments": {
            "p_1": {"item": "b_1", "amount": 100, "on": "2026-01-15", "kind": "deposit"},
            "p_2": {"item": "b_1"},
        },
        "approvals": {
            "a_1": {"from": 1, "_state": "pending", "approvedBy:u_1": "2026-01-15T10:00:00Z", "x:acme.n": 1},
            "a_2": {"from": "one", "deleted": {"at": "2026-01-15T10:00:00Z", "by": "u_2"}},
            "a_3": Unreadable("text"),
        },
    }
    read = read_records(of("budget"), rows)
    assert read["meta"][WHOLE].must_approve_over == 200_000
    assert list(read["payments"]) == ["p_1"]
    assert (read["payments"]["p_1"].amount, read["payments"]["p_1"].currency) == (100, None)
    assert list(read["approvals"]) == ["a_1", "a_2"]
    first, second = read["approvals"].values()
    assert (first.from_, first.state, first.approved_by) == (1, "pending", {"u_1": "2026-01-15T10:00:00Z"})
    assert (first.rejected_by, first.extensions) == ({}, {"x:acme.n": 1})
    assert (second.from_, second.deleted.by) == (None, "u_2")


def test_canonical_json_is_the_same_for_equal_rows() -> None:
    one = {"b": {"2": {"z": 1, "a": "é"}, "1": {}}, "a": {}}
    other = {"b": {"1": {}, "2": {"a": "é", "z": 1}}}
    assert canonical_json(one) == canonical_json(other) == '{"b":{"1":{},"2":{"a":"é","z":1}}}'
    assert digest(one) == digest(other) != digest({"b": {"2": {"a": "é", "z": True}, "1": {}}})
    assert canonical_json({"a": {"x": Unreadable("map")}}) == '{"a":{"x":{"unreadable":"map"}}}'
