"""The sample wedding in the store: for `crdt-server sample`, and as `demo` of an empty `serve --dev`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from crdt_server.access.identity import Identity
from crdt_server.access.threads import document_of
from crdt_server.judge.ledger import Writers
from crdt_server.services.entries import audit_entry, described
from crdt_server.services.threads import thread_change
from documents import kind_of
from documents.changes import Changes, compare
from documents.events import Actor, events_of
from documents.events.rules import IMPORT
from documents.invariants.model import SERVER
from documents.sample import Sample, sample_wedding
from documents.sample.build import build_pieces
from storage import (
    Append,
    DerivedRecords,
    DocumentKey,
    MemberChange,
    NewEvent,
    Storage,
    StoredMember,
    StoredRow,
    StoredThread,
    open_storage,
)

DEMO: Final = "demo"
"""The wedding that `serve --dev` makes where there is none."""
WRONG: Final = frozenset({"B2", "B5", "C1", "G1", "S1", "S5", "T1", "T4"})
"""Invariants that the sample breaks, each once, so that there is something to decide."""

_WRITER = 0x5EED  # Yjs client id
_THREADS: Final = {"planning": ("Planning", "planning"), "day": ("The day", "vendor")}


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
    await _plant_members(storage, wedding, sample)
    for id_, (title, type_) in _THREADS.items():
        messages = sample.documents[document_of(id_)]["messages"].values()
        await _plant_thread(storage, wedding, id_, title, type_, messages)
    return len(sample.documents)


async def _plant_members(storage: Storage, wedding: str, sample: Sample) -> None:
    """Store everybody who can sign in as a member, added by the first of the couple."""
    at, by = datetime.fromisoformat(sample.now), sample.people[0].user
    for each in sample.people:
        vendor, guest, side = (value or "" for value in (each.vendor, each.guest, each.side))
        entry = audit_entry(at, by, "member.added", **described(Identity(each.user, each.role, vendor, guest, side)))
        change = MemberChange(StoredMember(each.user, each.role, vendor, guest, side, each.name, by, at), entry)
        await storage.change_member(wedding, each.user, lambda *_, change=change: change)


async def _plant_thread(
    storage: Storage, wedding: str, id_: str, title: str, type_: str, messages: Iterable[Mapping[str, Any]]
) -> None:
    """Store a thread in which the authors of its messages take part."""
    users = list(dict.fromkeys(message["from"] for message in messages))
    at = datetime.fromisoformat(min(message["at"] for message in messages))
    thread = StoredThread(id_, title, type_, "open", 3, "", users[0], at, at)
    change = thread_change(thread, Identity(users[0], SERVER), "thread.created", at, added=users)
    await storage.change_thread(wedding, id_, users[0], (), lambda _: change)


def _facts(wedding: str, sample: Sample) -> Iterator[DerivedRecords]:
    """All rows, their writers, and events of them: the history of a wedding begins with what it was made of."""
    writers = Writers()
    for (document, root, record, key), writer in sample.writers.items():
        writers.put((document, root, record), key, writer)
    for document, roots in sample.documents.items():
        rows = [
            StoredRow(root, record, json.dumps(row, ensure_ascii=False), writers.pack((document, root, record)))
            for root, records in roots.items()
            for record, row in records.items()
        ]
        yield DerivedRecords(DocumentKey(wedding, document), rows, _events(document, roots, sample.now))


def _events(document: str, roots: Mapping[str, Mapping[str, Any]], at: str) -> list[NewEvent]:
    kind = kind_of(document)
    assert kind is not None
    changes = Changes([], [], [])
    for root, records in roots.items():
        for record, row in records.items():
            compare(kind.roots[root], record, None, row, changes)
    events = events_of(kind, document, changes, Actor(SERVER, SERVER), at, cause=IMPORT)
    return [
        NewEvent(each.type, each.at, each.record, json.dumps(each.as_json(), ensure_ascii=False)) for each in events
    ]


async def plant_demo(url: str) -> None:
    """Make the wedding `demo` in the database at `url` if it holds no document at all. Raises StorageError."""
    storage = await open_storage(url, migrate=True)
    try:
        async for _ in storage.keys():
            return
        await plant(storage, DEMO)
    finally:
        await storage.close()
