"""The declarations of derived documents: names, readers, and keys that are those of their sources."""

from __future__ import annotations

import pytest

from documents import is_document_name, kind_of
from documents.derived import DECLARATIONS, Declaration, Projection, find
from documents.fields import Note, String

PROJECTIONS = [(each, projection) for each in DECLARATIONS for projection in each.projections.values()]


def ids(value: object) -> str:
    return value.name if isinstance(value, Declaration) else value.root.name if isinstance(value, Projection) else ""


@pytest.mark.parametrize(
    ("name", "own"),
    [("timeline@public", ""), ("timeline@v.v_lens", "v_lens"), ("guests@self.g_1", "g_1"), ("guests@side.a", "a")],
)
def test_names_of_derived_documents(name: str, own: str) -> None:
    found = find(name)
    assert found is not None
    assert is_document_name(name)
    assert (found.name, found.own, found.source) == (name, own, name.partition("@")[0])
    assert kind_of(name) is found.kind
    assert found.kind.derived


@pytest.mark.parametrize(
    "name",
    ["timeline@", "timeline@v", "timeline@v.", "timeline@v.a.b", "timeline@v._a", "timeline@public.a", "@public", "@",
     "guests@side.c", "guests@side", "guests@self.", "budget@public", "thread.a@public", "timeline@public@public"],
)  # fmt: skip
def test_other_names_are_none(name: str) -> None:
    assert find(name) is None
    assert not is_document_name(name)


def test_readers() -> None:
    readers = {
        "timeline@v.v_lens": ("photographer", "v_lens", "", ""),
        "guests@self.g_1": ("guest", "", "g_1", ""),
        "guests@side.a": ("family", "", "", "a"),
        "care@cater": ("caterer", "v_cook", "", ""),
    }
    for name in readers:
        for other, who in readers.items():
            found = find(name)
            assert found is not None
            assert found.admits(*who) == (name == other), (name, who)
    lens, chloe = find("timeline@v.v_lens"), find("guests@self.g_1")
    assert lens is not None
    assert chloe is not None
    assert not lens.admits("photographer", "v_other")
    assert not lens.admits("couple", "v_lens")
    assert not chloe.admits("guest", "", "g_2")
    phones = find("guests@phones")
    assert phones is not None
    assert not any(phones.admits(role) for role in ("couple", "planner", "coordinator", "guest"))


@pytest.mark.parametrize(("declaration", "projection"), PROJECTIONS, ids=ids)
def test_keys_are_those_of_the_source(declaration: Declaration, projection: Projection) -> None:
    kind = kind_of(projection.document)
    assert kind is not None
    source = kind.roots[projection.source]
    for name, key in projection.root.keys.items():
        theirs = source.keys.get(name)
        assert not isinstance(key.type, Note)
        if theirs is not None and projection.root.name == source.name:
            assert key.type is theirs.type or (type(theirs.type) is Note and type(key.type) is String)
    assert projection.root.clients_may_write("x:acme.note") is False
    if projection.refuses is None:
        assert not any(map(projection.root.clients_may_write, [None, *projection.root.keys]))


def test_every_declaration_tells_of_emergencies() -> None:
    assert all("emergencies" in each.projections for each in DECLARATIONS)
