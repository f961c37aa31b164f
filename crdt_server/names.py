"""Names of weddings and documents as they stand in URLs."""

from __future__ import annotations

import re

from documents import is_document_name

WEDDING = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.~-]{0,63}", re.ASCII)
WEDDING_SAID = "names have at most 64 letters of A to Z, digits and . _ ~ -, and begin with a letter or digit"


def document_address(wedding: str, document: str) -> tuple[str, str] | None:
    """Names of a wedding and of one of its documents, or None where no document can have these names."""
    if WEDDING.fullmatch(wedding) and is_document_name(document):
        return wedding, document
    return None
