"""The invariants of a wedding's documents: what merged edits may break, and how that is resolved.

Pure functions over plain rows. `Index` follows changes and finds; `lost_write` and `edit_of_deleted` judge concurrent
writes; `clash` and `clashes` compare the bookings of several weddings; `cascade` pushes later items of a timeline.
"""

from documents.invariants.attribution import attributed
from documents.invariants.bookings import TRAVEL_MINUTES, Booking, bookings, clash, clashes, is_booked
from documents.invariants.cascade import Cascade, Slot, cascade
from documents.invariants.catalogue import INVARIANTS, RANKS, STRATEGIES, Invariant, rank_of
from documents.invariants.guards import judged_alone
from documents.invariants.index import Index
from documents.invariants.model import (
    NOBODY,
    UNKNOWN,
    Context,
    Field,
    FieldChange,
    Finding,
    Op,
    Option,
    Party,
    Subject,
    Wedding,
    Writer,
    apply,
)
from documents.invariants.review import chosen, in_language, operations, review_id, review_row
from documents.invariants.seats import assignments_by_table
from documents.invariants.undoing import with_way_back
from documents.invariants.writes import Written, edit_of_deleted, lost_write

__all__ = [
    "INVARIANTS",
    "NOBODY",
    "RANKS",
    "STRATEGIES",
    "TRAVEL_MINUTES",
    "UNKNOWN",
    "Booking",
    "Cascade",
    "Context",
    "Field",
    "FieldChange",
    "Finding",
    "Index",
    "Invariant",
    "Op",
    "Option",
    "Party",
    "Slot",
    "Subject",
    "Wedding",
    "Writer",
    "Written",
    "apply",
    "assignments_by_table",
    "attributed",
    "bookings",
    "cascade",
    "chosen",
    "clash",
    "clashes",
    "edit_of_deleted",
    "in_language",
    "is_booked",
    "judged_alone",
    "lost_write",
    "operations",
    "rank_of",
    "review_id",
    "review_row",
    "with_way_back",
]
