"""The sample wedding in the store: for `crdt-server sample`, and as `demo` of an empty `serve --dev`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from crdt_server.hosts.wedding.facts import Writers
from documents import kind_of
from documents.sample import Sample, sample_wedding
from documents.sample.build import build_pieces
from storage import Append, DocumentKey, Facts, RowImage, Storage, open_storage

DEMO: Final = "demo"
"""The wedding that `serve --dev` makes where there is none."""
WRONG: Final = frozenset({"B2", "B5", "C1", "G1", "S1", "S5", "T1", "T4"})
"""Invariants that the sample breaks, each once, so that there is something to decide."""

_WRITER = 0x5EED  # Yjs client id


class WeddingExists(Exception):
    """The wedding has documents already: a sample would be mixed into them."""


async def plant(storage: Storage, wedding: str, *, guests: int = 250, seed: int = 1) -> int:
    """Store a sample wedding as if a client had sent it, all or nothing. Returns the number of documents.

    `guests` is from 200 to 5,000. Raises WeddingExists, ValueError for other numbers of guests, and StorageError.
    """
    async for key in storage.keys(wedding):
        raise WeddingExists(f"{key} is there already: a sample needs a wedding without documents")
    sample = sample_wedding(guests=guests, seed=seed, only=WRONG)
    batch = []
    for name, rows in sample.documents.items():
        kind = kind_of(name)
        assert kind is not None
        pieces = build_pieces(rows, kind, _WRITER)
        batch += [Append(DocumentKey(wedding, name), seq, piece) for seq, piece in enumerate(pieces, 1)]
    await storage.append(batch, list(_facts(wedding, sample)))
    return len(sample.documents)


def _facts(wedding: str, sample: Sample) -> Iterator[Facts]:
    """All rows, and who wrote them: what a finding says may be about documents that nobody has changed yet."""
    writers = Writers()
    for (document, root, record, key), writer in sample.writers.items():
        writers.put((document, root, record), key, writer)
    for document, roots in sample.documents.items():
        rows = [
            RowImage(root, record, json.dumps(row, ensure_ascii=False), writers.pack((document, root, record)))
            for root, records in roots.items()
            for record, row in records.items()
        ]
        yield Facts(DocumentKey(wedding, document), rows)


async def plant_demo(url: str) -> None:
    """Make the wedding `demo` in the database at `url` if it holds no document at all. Raises StorageError."""
    storage = await open_storage(url, migrate=True)
    try:
        async for _ in storage.keys():
            return
        await plant(storage, DEMO)
    finally:
        await storage.close()
