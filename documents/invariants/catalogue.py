"""The invariants, declared once: title, severity, and the strategies that resolve a violation.

`README.md` beside this file has the same list as a table; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

HIERARCHY: Final = "wedding_hierarchy"
"""The write of the higher rank stays; of equal ranks the later arrival."""
PRIORITY: Final = "priority_based"
"""Fixed before flexible, confirmed before tentative, locked before open; then rank, earlier arrival, id."""
LAST: Final = "last_writer_wins"
"""The write that arrived later at the server stays, independent of clocks and client ids."""
MERGE: Final = "merge_changes"
"""The merged state stays, or both are united."""
MANUAL: Final = "manual_review"
"""Nothing changes before a person decides."""

STRATEGIES: Final = (HIERARCHY, PRIORITY, LAST, MERGE, MANUAL)

RANKS: Final[Mapping[str, int]] = {
    "couple": 100,
    "planner": 80,
    "coordinator": 80,
    "venue": 60,
    "caterer": 60,
    "photographer": 60,
    "vendor": 60,
    "family": 40,
    "wedding_party": 30,
    "guest": 10,
}
COORDINATOR_RANK_LIVE: Final = 90

SETTLE_SECONDS: Final = 3
"""How long a finding waits, so that a swap is not repaired between its two writes. Offline work does not wait."""


def rank_of(role: str, *, live: bool = False) -> int:
    """The rank of a role; 0 for roles there are none of. `live`: while the wedding takes place."""
    return COORDINATOR_RANK_LIVE if live and role == "coordinator" else RANKS.get(role, 0)


@dataclass(frozen=True, slots=True)
class Invariant:
    """One thing that has to hold."""

    id: str
    title: str
    severity: str
    """info, warning, error or critical. `README.md` names those that are worse on or near the day."""
    strategies: tuple[str, ...]
    """The default first, then the others a wedding may choose."""
    settle_seconds: int = 0
    undone_by: tuple[str, ...] | None = ()
    """Roles of those who may put back what a rule changed, where that is an option; none: all who may write there;
    None: nobody may."""

    @property
    def default(self) -> str:
        """The strategy where the wedding has chosen none."""
        return self.strategies[0]


INVARIANTS: Final[Mapping[str, Invariant]] = {
    each.id: each
    for each in (
        Invariant("T1", "A vendor is at one place at a time", "error", (PRIORITY, MANUAL), SETTLE_SECONDS),
        Invariant("T2", "A person is in one item at a time", "error", (MANUAL, PRIORITY), SETTLE_SECONDS),
        Invariant("T3", "A place is used once at a time and large enough", "warning", (MANUAL, PRIORITY),
                  SETTLE_SECONDS),
        Invariant("T4", "An item starts after what has to be over first", "warning", (PRIORITY, MANUAL),
                  SETTLE_SECONDS),
        Invariant("T5", "Nothing but breakdown after the hard end; fixed items stay while live", "warning", (MANUAL,)),
        Invariant("T6", "Vendors and places of items exist", "warning", (MANUAL, MERGE), SETTLE_SECONDS,
                  undone_by=None),
        Invariant("X1", "No write is lost in silence", "warning", (HIERARCHY, LAST, PRIORITY, MANUAL)),
        Invariant("X2", "No edit of a deleted record is lost in silence", "warning", (HIERARCHY, MERGE, MANUAL)),
        Invariant("B1", "Everything together costs no more than the limit", "error", (MANUAL,)),
        Invariant("B2", "A category costs no more than set aside, all set aside no more than the limit", "warning",
                  (MANUAL,)),
        Invariant("B3", "No more is paid than agreed, nor refunded than paid", "error", (MANUAL,)),
        Invariant("B4", "No payment is entered twice", "warning", (MANUAL, PRIORITY)),
        Invariant("B5", "The couple has approved large amounts", "error", (MANUAL, HIERARCHY),
                  undone_by=("couple",)),
        Invariant("G1", "Nobody is on the list twice", "warning", (MANUAL, MERGE)),
        Invariant("G2", "No more guests come than there is room", "error", (MANUAL,)),
        Invariant("G3", "Guests bring no more than they may", "warning", (MANUAL, HIERARCHY)),
        Invariant("G4", "Guests answer in time", "info", (MERGE, HIERARCHY), undone_by=("couple", "planner")),
        Invariant("G5", "The household and the host of a guest exist", "warning", (MERGE, MANUAL), SETTLE_SECONDS),
        Invariant("S1", "A seat has one guest", "error", (PRIORITY, HIERARCHY, LAST, MANUAL), SETTLE_SECONDS),
        Invariant("S2", "A table has no more guests than seats", "error", (MANUAL, PRIORITY), SETTLE_SECONDS),
        Invariant("S3", "Seats and tables of guests exist", "warning", (PRIORITY,), SETTLE_SECONDS),
        Invariant("S4", "Only guests who come sit", "warning", (PRIORITY, MANUAL), SETTLE_SECONDS),
        Invariant("S5", "Who must be apart sits apart", "warning", (MANUAL, PRIORITY), SETTLE_SECONDS),
        Invariant("S6", "Who belongs together sits together", "info", (MANUAL,), SETTLE_SECONDS),
        Invariant("S7", "A locked table stays as it is", "warning", (HIERARCHY, MANUAL), undone_by=("couple",)),
        Invariant("C1", "The caterer knows of severe allergies, and meals fit diets", "warning", (MANUAL,)),
        Invariant("W1", "A couple remains, and only it sets date, time zone and currency", "critical", (HIERARCHY,),
                  undone_by=("couple",)),
        Invariant("W2", "A vendor works at one wedding at a time", "error", (MANUAL, PRIORITY)),
        Invariant("W3", "Some trades are booked once", "warning", (MANUAL, HIERARCHY)),
        Invariant("M1", "Messages are from who wrote them, and stay as they were", "critical", (HIERARCHY,),
                  undone_by=None),
    )
}  # fmt: skip
"""In the order of the documents they are about."""
