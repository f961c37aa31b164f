"""The record `meta` of a wedding among those of its other documents."""

from crdt_server.services.wedding_meta import wedding_meta
from storage import Append, DerivedRecords, DocumentKey, StoredRow, open_storage

GUESTS, WEDDING = DocumentKey("w", "guests"), DocumentKey("w", "wedding")


async def test_only_the_document_of_the_wedding_has_it(database_url: str) -> None:
    storage = await open_storage(database_url, migrate=True)
    try:
        rows = [DerivedRecords(GUESTS, [StoredRow("meta", "", '{"phase":"closed"}', "{}")])]
        await storage.append([Append(GUESTS, 1, b"x")], rows)
        assert await wedding_meta(storage, "w") == {}
        rows = [DerivedRecords(WEDDING, [StoredRow("meta", "", '{"phase":"live"}', "{}")])]
        await storage.append([Append(WEDDING, 1, b"x")], rows)
        assert await wedding_meta(storage, "w") == {"phase": "live"}
    finally:
        await storage.close()
