"""The sample wedding in the store: for `crdt-server sample`, and as `demo` of an empty `serve --dev`."""

from __future__ import annotations

from typing import Final

from documents import kind_of
from documents.sample import sample_wedding
from documents.sample.build import build_pieces
from storage import Append, DocumentKey, Storage, open_storage

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
    documents = sample_wedding(guests=guests, seed=seed, only=WRONG).documents
    batch = []
    for name, rows in documents.items():
        kind = kind_of(name)
        assert kind is not None
        pieces = build_pieces(rows, kind, _WRITER)
        batch += [Append(DocumentKey(wedding, name), seq, piece) for seq, piece in enumerate(pieces, 1)]
    await storage.append(batch)
    return len(documents)


async def plant_demo(url: str) -> None:
    """Make the wedding `demo` in the database at `url` if it holds no document at all. Raises StorageError."""
    storage = await open_storage(url, migrate=True)
    try:
        async for _ in storage.keys():
            return
        await plant(storage, DEMO)
    finally:
        await storage.close()
