"""The record `meta` of a wedding: its title, phase, language and time zone."""

from __future__ import annotations

import json
from typing import Any

from storage import Storage


async def wedding_meta(storage: Storage, wedding: str) -> dict[str, Any]:
    """The fields of the record; none where the wedding has none. Raises StorageError."""
    for document, row in await storage.records_of_root(wedding, "meta", ""):
        if document == "wedding":  # other documents have a root of this name too
            found: dict[str, Any] = json.loads(row.fields or "{}")
            return found
    return {}
