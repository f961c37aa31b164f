"""Stored structs between two places, from before they were refused: Yjs shows nothing of them, and yrs does."""

from __future__ import annotations

import json

import pytest

from crdt_server.judge.jobs import perform
from crdt_server.pipe import ReadRows, StoredRows
from crdt_server.protocol.structs import STRING, TYPE
from crdt_server.protocol.update import decode_structs
from documents.rows import read
from tests.judge import indexed
from tests.judge.bench import Bench, Replica
from tests.judge.indexed import BEFORE, FOLLOWS, ITEM, TEXT, count, identified, struct

ROWS = {"g_a": {"firstName": "Ann", "note": "secret"}}
COLLECTED = identified(8, 0)
CONTENT = {TEXT: b"\1x", ITEM: count("x")}


def stored(kind: int, *, first: bool = False, followed: bool = False) -> Bench:
    """A note, something collected, and between the two a struct of client 9. ``first``: the note is to its right;
    ``followed``: another one stands behind it."""
    bench = Bench({"guests": {"guests": ROWS}}, names=("guests",))
    structs = decode_structs(bench.updates["guests"][0]).structs
    letter = next(each for each in structs if each.content == STRING)
    entry = next(each for each in structs if each.content == TYPE and each.key == "note")
    neighbour = letter if kind == TEXT else entry
    places = [identified(neighbour.client, neighbour.clock), COLLECTED]
    written = [struct(b"".join(reversed(places) if first else places), kind | FOLLOWS | BEFORE, CONTENT[kind])]
    if followed:
        written.append(struct(identified(9, 0), kind | FOLLOWS, CONTENT[kind]))
    bench.updates["guests"] += [indexed.update(b"\0\1", client=8), indexed.update(*written, client=9)]
    return bench


@pytest.mark.parametrize("followed", [False, True])
@pytest.mark.parametrize(("kind", "first"), [(TEXT, False), (TEXT, True), (ITEM, False)])
def test_what_the_rules_did_not_see_is_in_no_row(kind: int, first: bool, followed: bool) -> None:
    bench = stored(kind, first=first, followed=followed)
    old = list(bench.updates["guests"])
    for _ in range(2):
        bench.reopen()
        document = bench.documents["guests"]
        assert document.doc is not None
        assert bench.rows("guests")["guests"] == read(document.kind, document.doc)["guests"] == ROWS
        assert bench.updates["guests"][:-1] == old, "it is deleted, once"
        rows = perform(ReadRows("guests", bench.updates["guests"]))
        assert isinstance(rows, StoredRows)
        assert json.loads(rows.rows)["guests"] == ROWS
    ann = Replica("ann", "couple", 7000)
    ann.doc("guests").apply_update(bench.updates["guests"][0])
    ann.text("guests", "guests", "g_a", "note").insert(0, "My ")
    bench.sync(ann)
    assert bench.value("guests", "guests", "g_a", "note") == "My secret"


def test_it_is_deleted_for_clients_that_show_it() -> None:
    bench = stored(TEXT)
    newcomer = Replica("ann", "couple", 7000)
    for update in bench.updates["guests"]:
        newcomer.doc("guests").apply_update(update)
    assert newcomer.rows("guests")["guests"]["g_a"]["note"] == "secretx"
    bench.reopen()
    newcomer.doc("guests").apply_update(bench.updates["guests"][-1])
    assert newcomer.rows("guests")["guests"] == ROWS
    bench.check()
