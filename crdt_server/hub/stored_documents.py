"""Documents as a host is sent them from the store, with the rows and bookings of their wedding."""

from __future__ import annotations

from crdt_server.hosts.batch import LoadPlan
from crdt_server.hub.bookings import BLOCK_MINUTES, others_of
from crdt_server.pipe import SchemaContext
from crdt_server.records import BookingChange, ClientOwner, MirrorRow
from storage import DocumentKey, Storage, StoredDocument


async def plan_load(
    storage: Storage,
    key: DocumentKey,
    stored: StoredDocument,
    vouched: frozenset[str],
    *,
    has_schema: bool,
    with_rows: bool,
) -> LoadPlan:
    """The plan to load a document that was read. ``with_rows``: of its wedding; ``vouched``: see `others_of`.

    Raises StorageError.
    """
    users = await storage.owners(key) if stored.head_seq else {}  # client ids are stored with updates
    owners = [ClientOwner(*owner) for owner in users.items()]
    plan = LoadPlan([row.update for row in stored.updates])
    if not has_schema:
        plan.owners = owners
        return plan
    plan.context = context = SchemaContext(*key, owners)
    if with_rows:
        plan.rows = await _read_rows(storage, key.wedding)
        context.bookings = [BookingChange(*each) for each in await storage.bookings(key.wedding)]
    if context.bookings:
        context.others = list(others_of(await storage.overlapping(key.wedding, BLOCK_MINUTES), vouched))
    return plan


async def _read_rows(storage: Storage, wedding: str) -> list[MirrorRow]:
    return [MirrorRow(name, *row) async for page in storage.pages_of_wedding(wedding) for name, row in page]
