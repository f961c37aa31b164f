"""Whether a wedding has reached what it may store; one object for all rooms of the wedding."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class WeddingQuota:
    """``full``: nothing may grow any more; ``documents_full``: no document may be added."""

    full: bool = False
    documents_full: bool = False

    def refuses_growth(self, *, stored: bool) -> bool:
        """Whether a document may not grow. ``stored``: something of it is in the store already."""
        return self.full or (self.documents_full and not stored)
