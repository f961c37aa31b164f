"""The documents that a host holds."""

from __future__ import annotations

import gc
import itertools
import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from crdt_server.judge.held_documents import LAST_TRIM_BYTES, HeldDocuments
from crdt_server.judge.schema_document import SchemaDocument
from crdt_server.judge.slices import SLICE_SECONDS, Slices, Unlimited
from crdt_server.memory import usage_of
from crdt_server.pipe import LoadStep, SchemaContext
from documents import kind_of
from documents.derived import DECLARATIONS
from documents.sample import sample_wedding
from documents.sample.build import build
from tests.support.wire import Typist

MAX_BYTES = 1 << 20
NOTE = LoadStep([Typist(2).text(b"x" * 1000)])
SAMPLE = sample_wedding()
GUEST_LIST = kind_of("guests")
assert GUEST_LIST is not None
GUESTS = LoadStep([build(SAMPLE.documents["guests"], GUEST_LIST, 5)], context=SchemaContext("w", "guests", [], rows=[]))


def load(held: HeldDocuments, room: int, step: LoadStep) -> None:
    assert held.load(room, step, lambda _: None) is None
    document = held.documents[room]
    if isinstance(document, SchemaDocument):
        while not held.judges[room].build_doc(document):
            held.slices.begin_batch()


def resident_bytes() -> int:
    usage = usage_of(os.getpid())
    assert usage is not None
    return usage.resident_bytes


@contextmanager
def without_collections() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.mark.parametrize("step", [NOTE, GUESTS], ids=["note", "guests"])
def test_a_document_that_is_forgotten_takes_no_memory(step: LoadStep) -> None:
    held = HeldDocuments(MAX_BYTES, Unlimited())
    load(held, 1, step)
    document = weakref.ref(held.documents[1])
    with without_collections():
        held.forget([1])
        assert held.take_apart()
        held.slices.begin_batch()
        assert document() is None


def test_a_wedding_that_is_forgotten_leaves_nothing_to_collect() -> None:
    """A collection takes as long as all documents of the host together, and everybody waits for it."""
    held = HeldDocuments(MAX_BYTES, Unlimited())
    shared = [each for each in DECLARATIONS if not each.own]
    shown = [each.name if each.choices is None else f"{each.name}.{min(each.choices)}" for each in shared]
    for room, name in enumerate(
        (*SAMPLE.documents, *shown, f"guests@self.{min(SAMPLE.documents['guests']['guests'])}")
    ):
        kind = None if "@" in name else kind_of(name)
        stored = [] if kind is None else [build(SAMPLE.documents[name], kind, 5)]
        load(held, room, LoadStep(stored, context=SchemaContext("w", name, [], rows=None if room else [])))
        held.judges[room].run_scheduled()
        held.judges[room].take_records(held.documents[room])  # type: ignore[arg-type]
    judge = weakref.ref(held.judges[0])
    with without_collections():
        held.forget(list(held.documents))
        assert held.take_apart()
        held.slices.begin_batch()
        assert judge() is None
        assert gc.collect() < 100


def test_the_last_document_gives_back_what_edits_had_taken() -> None:
    held = HeldDocuments(MAX_BYTES, Slices(others_wait=lambda: False))
    load(held, 1, LoadStep([Typist(2).text(b"x" * (LAST_TRIM_BYTES + 1))]))
    load(held, 2, NOTE)
    taken = [bytes(1000) for _ in range(20_000)]
    kept = taken[::100]  # else the end of the heap is given back at once
    held.forget([1])
    taken.clear()
    before = resident_bytes()
    assert held.take_apart()
    assert resident_bytes() > before - (5 << 20), "it takes too long to do that for one of several"
    held.forget([2])
    assert held.take_apart()
    assert resident_bytes() < before - (10 << 20)
    del kept


def test_what_is_forgotten_is_taken_apart_in_slices() -> None:
    """While somebody waits for the next batch."""
    waits = True
    seconds = itertools.count(step=SLICE_SECONDS)
    held = HeldDocuments(MAX_BYTES, Slices(clock=seconds.__next__, others_wait=lambda: waits))
    load(held, 1, GUESTS)
    held.forget([1])
    assert [held.take_apart() for _ in range(3)] == [False] * 3
    waits = False
    assert held.take_apart()
