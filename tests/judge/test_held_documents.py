"""The documents that a host holds."""

from __future__ import annotations

import gc
import weakref

import pytest

from crdt_server.judge.held_documents import HeldDocuments
from crdt_server.judge.slices import Unlimited
from crdt_server.pipe import LoadStep, SchemaContext
from tests.support.wire import Typist

MAX_BYTES = 1 << 20
NOTE = LoadStep([Typist(2).text(b"x" * 1000)])
GUESTS = LoadStep([], context=SchemaContext("w", "guests", [], rows=[]))


@pytest.mark.parametrize("step", [NOTE, GUESTS], ids=["note", "guests"])
def test_a_document_that_is_forgotten_takes_no_memory(step: LoadStep) -> None:
    held = HeldDocuments(MAX_BYTES, Unlimited())
    assert held.load(1, step, lambda _: None) is None
    document = weakref.ref(held.documents[1])
    held.forget([1])
    gc.collect()
    assert document() is None
