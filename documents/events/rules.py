"""Types of events: which changes of which root are of which type, and how urgent each type is. Data, declared once.

`README.md` of `documents` has the same as a table; a test compares the two.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final, TypeAlias

from documents.kind import Kind, Root, Shape
from documents.registry import KINDS

if TYPE_CHECKING:  # those who only read events need no pycrdt
    from documents.changes import Change


class On(enum.Enum):
    """The kind of change that a rule fits."""

    ADDED = "added"
    REMOVED = "removed"
    SET = "set"
    CLEARED = "cleared"
    CHANGED = "changed"
    """Set, cleared, or another value than before."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Which changes of a root are of a type."""

    type: str
    keys: tuple[str, ...] = ()
    """Names of keys, and prefixes of families with their colon; none: any."""
    on: On = On.CHANGED
    values: tuple[str, ...] = ()
    """The new value of the key, also in a record that is added; none: any."""
    along: tuple[str, ...] = ()
    """Keys that belong to the same event where they change with it."""

    def fits_row(self, on: On, changed: Changed) -> bool:
        """Whether a record that is added or removed with these keys is of the type."""
        return self.on is on and (not self.keys or any(self._fits(key, change) for key, change in changed.items()))

    def takes(self, changed: Changed) -> list[str | None]:
        """The keys of a record that changed which are of the type."""
        if self.on is On.ADDED or self.on is On.REMOVED:
            return []
        taken = [key for key, change in changed.items() if self._fits(key, change)]
        return taken + [key for key in self.along if key in changed and key not in taken] if taken else []

    def fits_key(self, change: Change) -> bool:
        """Whether one key that changed in a record is of the type."""
        return self.on is not On.ADDED and self.on is not On.REMOVED and self._fits(change.key, change)

    def names(self, key: str | None) -> bool:
        """Whether it is about this key."""
        return not self.keys or (key is not None and (key in self.keys or key[: key.find(":") + 1] in self.keys))

    def _fits(self, key: str | None, change: Change) -> bool:
        if not self.names(key):
            return False
        if (self.on is On.SET and change.after is None) or (self.on is On.CLEARED and change.after is not None):
            return False
        return not self.values or change.after in self.values


Changed: TypeAlias = "dict[str | None, Change]"
Rules: TypeAlias = tuple[Rule, ...]

IMPORT: Final = "import"
"""The cause of events about what was there before there were events: nobody is informed of them."""

TEXT_EDITED: Final = "doc.text_edited"
OVER_LIMIT: Final = "budget.over_limit"
"""Besides `conflict.opened` where the conflict is about the limit of the budget (`B1`)."""


def _rows(added: str, changed: str, removed: str, *rules: Rule) -> Rules:
    return (Rule(added, on=On.ADDED), Rule(removed, on=On.REMOVED), *rules, Rule(changed))


def _records(subject: str, *rules: Rule, added: str = "added") -> Rules:
    """Rules of records that are deleted softly."""
    return _rows(
        f"{subject}.{added}",
        f"{subject}.changed",
        f"{subject}.removed",
        Rule(f"{subject}.removed", ("deleted",), On.SET),
        Rule(f"{subject}.restored", ("deleted",), On.CLEARED),
        *rules,
    )


def _all(type: str) -> Rules:
    """Rules of a root of which every change has the same type."""
    return _rows(type, type, type)


_META: Final = (Rule("doc.changed"),)

_OUTCOME: Final = ("_outcome", "_by", "_closedAt")
_REVIEW: Final = (
    Rule("conflict.auto", ("_state",), On.ADDED, ("auto",)),
    Rule("conflict.resolved", ("_state",), On.ADDED, ("resolved", "expired")),
    Rule("conflict.opened", on=On.ADDED),
    Rule("conflict.removed", on=On.REMOVED),
    Rule("conflict.resolved", ("_state",), On.SET, ("resolved", "expired"), along=_OUTCOME),
    Rule("conflict.auto", ("_state",), On.SET, ("auto",), along=_OUTCOME),
    Rule("conflict.reopened", ("_state",), On.SET, ("open",), along=_OUTCOME),
    Rule("conflict.choice", ("choice", "say")),
    Rule("conflict.changed"),
)

_STAGES: Final = ("shortlisted", "quoted", "booked", "confirmed", "cancelled")

_DECLARED: Final[Mapping[tuple[str, str], Rules]] = {
    ("wedding", "meta"): (Rule("wedding.phase", ("phase",)), Rule("wedding.changed")),
    ("wedding", "events"): _records("event"),
    ("wedding", "places"): _records("place"),
    ("wedding", "vendors"): _records(
        "vendor",
        *(Rule(f"vendor.{stage}", ("stage",), On.SET, (stage,)) for stage in _STAGES),
        Rule("vendor.day_status", ("dayStatus",)),
    ),
    ("wedding", "tasks"): _records(
        "task", Rule("task.done", ("done",), On.SET), Rule("task.reopened", ("done",), On.CLEARED)
    ),
    ("wedding", "members"): _rows("member.added", "member.changed", "member.removed", Rule("member.role", ("role",))),
    ("timeline", "meta"): _META,
    ("timeline", "items"): _records(
        "timeline.item",
        Rule("timeline.item.moved", ("start", "duration", "place", "order")),
        Rule("timeline.status", ("status", "actualStart", "actualEnd")),
    ),
    ("timeline", "emergencies"): _records(
        "emergency",
        Rule("emergency.acked", ("acknowledgedBy:",), On.SET),
        Rule("emergency.closed", ("closed",), On.SET),
        Rule("emergency.reopened", ("closed",), On.CLEARED),
        added="raised",
    ),
    ("budget", "meta"): (Rule("budget.limit", ("limit",)), Rule("budget.changed")),
    ("budget", "categories"): _records("budget.category"),
    ("budget", "items"): _records("budget.item"),
    ("budget", "payments"): _rows("payment.recorded", "payment.changed", "payment.removed"),
    ("budget", "voids"): _rows("payment.voided", "payment.voided", "payment.unvoided"),
    ("budget", "contributions"): _rows("contribution.added", "contribution.changed", "contribution.removed"),
    ("budget", "approvals"): _records(
        "approval",
        Rule("approval.decided", ("_state",), On.SET, ("approved", "rejected")),
        Rule("approval.decided", ("approvedBy:", "rejectedBy:"), On.SET),
        added="requested",
    ),
    ("guests", "meta"): _META,
    ("guests", "households"): _records("household"),
    ("guests", "guests"): _records(
        "guest",
        Rule("guest.rsvp", ("rsvp:",)),
        Rule("guest.checked_in", ("checkedIn",), On.SET),
        Rule("guest.check_in_undone", ("checkedIn",), On.CLEARED),
    ),
    ("care", "meta"): _META,
    ("care", "care"): _records("care", Rule("care.acknowledged", ("acknowledgedBy:",), On.SET)),
    ("seating", "meta"): _META,
    ("seating", "tables"): _all("seating.table"),
    ("seating", "assignments"): _rows("seating.assigned", "seating.assigned", "seating.unassigned"),
    ("seating", "rules"): _all("seating.rule"),
    ("seating", "fixtures"): _all("seating.fixture"),
    ("thread", "meta"): _META,
    ("thread", "messages"): _rows("message.sent", "message.changed", "message.removed"),
    ("thread", "redactions"): _rows("message.redacted", "message.redacted", "message.unredacted"),
    ("thread", "reactions"): _rows("message.reacted", "message.reacted", "message.unreacted"),
    ("thread", "stamps"): _all("message.stamped"),
}


def _rules_of(kind: Kind, root: Root) -> Rules:
    """The rules of a root, those that follow from its shape and its texts included."""
    if root.shape is Shape.TEXT:
        return (Rule(TEXT_EDITED),)
    declared = _REVIEW if root.name == "review" else _DECLARED[kind.name, root.name]
    texts = (Rule(TEXT_EDITED, tuple(sorted(root.text_keys))),) if root.text_keys else ()
    return texts + declared


RULES: Final[Mapping[tuple[str, str], Rules]] = {
    (kind.name, root.name): _rules_of(kind, root) for kind in KINDS for root in kind.roots.values()
}
"""Kind and root -> rules; the first that fits counts."""


@lru_cache(maxsize=4096)
def rules_about(kind: str, root: str, key: str | None) -> Rules:
    """Those of a root that may fit when only this key of a row changes."""
    rules = RULES[kind, root]
    return tuple(rule for rule in rules if rule.on not in (On.ADDED, On.REMOVED) and rule.names(key))


TYPES: Final = frozenset({rule.type for rules in RULES.values() for rule in rules} | {OVER_LIMIT})
"""All types of events there are of documents."""

# By the longest beginning that is here.
_PRIORITIES: Final[Mapping[str, int]] = {
    "approval": 2,
    "budget": 2,
    "care": 2,
    "conflict": 3,
    "conflict.opened": 2,
    "conflict.reopened": 2,
    "contribution": 2,
    "doc": 4,
    "emergency": 0,
    "emergency.acked": 2,
    "event": 2,
    "guest": 3,
    "guest.checked_in": 2,
    "guest.rsvp": 2,
    "household": 3,
    "member": 2,
    "message": 3,
    "message.reacted": 4,
    "message.stamped": 4,
    "message.unreacted": 4,
    "payment": 2,
    "place": 3,
    "seating": 3,
    "task": 3,
    "timeline": 2,
    "vendor": 2,
    "wedding": 2,
}

URGENT_WHILE_LIVE: Final = ("timeline", "vendor")
"""First words of the types that have priority 1 while the wedding takes place."""

BY_SEVERITY: Final[Mapping[str, int]] = {"critical": 1, "error": 2, "warning": 3, "info": 3}
"""Priority of `conflict.opened`, by the severity of the conflict."""


@cache
def priority_of(type: str, *, live: bool = False) -> int:
    """The priority of a type of events, of `conflict.opened` without regard to its severity. KeyError: no such type."""
    if live and type.partition(".")[0] in URGENT_WHILE_LIVE:
        return 1
    name = type
    while name and name not in _PRIORITIES:
        name = name.rpartition(".")[0]
    return _PRIORITIES[name]
