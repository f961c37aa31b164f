"""A document that comes back from the store, and is asked something before anybody edits it."""

from __future__ import annotations

from crdt_server.judge.dry_run import ForkPool
from crdt_server.judge.schema_document import SchemaDocument
from crdt_server.judge.wedding import WeddingJudge
from crdt_server.pipe import Status
from crdt_server.records import MirrorRow
from documents.registry import kind_of
from tests.judge.bench import Bench


def test_what_was_stored_is_known_when_the_first_edit_comes() -> None:
    bench = Bench(names=("guests",))
    ann = bench.join("ann", "couple", 5)
    ann.add("guests", "guests", "g_1", {"firstName": "Ann", "meal": "fish"})
    bench.sync(ann)

    kind = kind_of("guests")
    assert kind is not None
    state = WeddingJudge("w", [MirrorRow(*row, *image) for row, image in bench.mirror.items()])
    state.set_time(bench.now)
    again = SchemaDocument(kind, "guests", bench.owners["guests"], ForkPool())
    again.load(bench.updates["guests"])
    assert again.diff(b"\0")
    assert again.take_outgoing() == []

    before = ann.doc("guests").get_state()
    ann.set("guests", "guests", "g_1", "meal", "beef")
    update = ann.doc("guests").get_update(before)
    (verdict,) = state.receive(again, [(update, None)], [(ann.actor, before)], lambda _: None)
    assert verdict.status is Status.OK
    assert again.items.newest("guests", "g_1", "meal") == (5, again.clocks[5] - 1)
    assert again.items.newest("guests", "g_1", "firstName") is not None
    assert again.rows.roots["guests"]["g_1"]["meal"] == "beef"
    assert again.rows.roots["review"] == {}
