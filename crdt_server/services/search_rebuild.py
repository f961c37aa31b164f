"""Makes the index of search anew from the rows, beside a serving process: see `search`."""

from __future__ import annotations

import json
from typing import Final

from crdt_server.services.search import INDEXER, MESSAGES, SEARCHED, texts_in
from storage import SearchRecord, Storage, StoredRow

RECORDS_AT_ONCE: Final = 100
CHARACTERS_AT_ONCE: Final = 64 * 1024
"""Of texts, in one transaction."""


async def rebuild(storage: Storage, wedding: str) -> int:
    """Index all texts of a wedding, and forget those of records that are not there any more; returns how many records
    have texts. Messages are the newest, in the order of their moments."""
    records = await _records_with_texts(storage, wedding)
    page: list[SearchRecord] = []
    characters = 0
    for _, record, length in sorted(records):
        page.append(record)
        characters += length
        if len(page) == RECORDS_AT_ONCE or characters >= CHARACTERS_AT_ONCE:
            await storage.refresh_search(wedding, INDEXER, page)
            page, characters = [], 0
    await storage.refresh_search(wedding, INDEXER, page)
    await _forget_others(storage, wedding, {record for _, record, _ in records})
    return len(records)


async def _records_with_texts(storage: Storage, wedding: str) -> list[tuple[str, SearchRecord, int]]:
    """Moment, name and length of each."""
    found = []
    async for page in storage.pages_of_wedding(wedding):
        for document, row in page:
            if row.fields is not None and (document.partition(".")[0], row.root) in SEARCHED:
                record = SearchRecord(document, row.root, row.record)
                length = sum(map(len, texts_in(record, row.fields).values()))
                if length:
                    found.append((_moment(row), record, length))
    return found


def _moment(row: StoredRow) -> str:
    return str(json.loads(row.fields or "{}").get("at", "")) if row.root == MESSAGES else ""


async def _forget_others(storage: Storage, wedding: str, known: set[SearchRecord]) -> None:
    """Take those out of the index that had no text a while ago."""
    after = SearchRecord("", "", "")
    while page := await storage.searched_records(wedding, after, RECORDS_AT_ONCE):
        after = page[-1]
        await storage.refresh_search(wedding, INDEXER, [record for record in page if record not in known])
