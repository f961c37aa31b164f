"""All rows of a wedding in a store."""

from __future__ import annotations

from storage import Storage, StoredRow


async def wedding_rows(storage: Storage, wedding: str) -> list[tuple[str, StoredRow]]:
    """The rows of all documents of a wedding with the document's name; ordered."""
    return [row async for page in storage.pages_of_wedding(wedding) for row in page]
