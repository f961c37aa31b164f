"""Rules of roles on fields: what may be written in documents of which a role writes a part, and what is reserved.

The letter of the actor for the category (`Actor.rights`) decides which list applies. With ``W`` everything may be
written but what `RESERVED` names for other roles. With ``O`` nothing may be but what `OWN` names. With ``-`` nothing.

A row is the actor's own by what stood in it before the update: nobody makes a row their own to write in it. A row that
is added is judged by what it becomes. No letter allows a stamp in the name of another: see `is_forged`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from documents.budget import is_given_by
from documents.categories import POSITIONS, category_of
from documents.events import Actor
from documents.fields import FieldType, Reason
from documents.invariants.model import user_id
from documents.kind import Root
from documents.shared import RETRACTION, STAMP, USER

COUPLE: Final = frozenset({"couple"})
ORGANIZERS: Final = frozenset({"couple", "planner"})
TEAM: Final = frozenset({"couple", "planner", "coordinator"})
VENDORS: Final = frozenset({"venue", "caterer", "photographer", "vendor"})
EVERYBODY: Final = TEAM | VENDORS | {"family", "wedding_party", "guest"}

AUTHOR: Final = "from"
"""The author of a message; in the row of a redaction, that of the message, where there is one."""

Row = Mapping[str, Any]
Owns = Callable[[Actor, str, Row, str | None], bool]
"""(actor, record, row, key): whether this is the actor's own. The row of a root of values is its value."""


class FieldRule(NamedTuple):
    """A rule on some fields of one root of a kind. ``root`` empty: of each root."""

    kind: str
    root: str
    keys: frozenset[str] | None
    """Keys, and prefixes of families without the colon; None: each key, and the row as a whole."""
    roles: frozenset[str]
    """The roles that may write there."""
    owns: Owns | None = None
    """And only what is theirs; None: anything."""
    text: str = ""
    """The rule in words."""
    adds: bool = False
    """Of `OWN`: whether they add rows, too."""
    only_added: bool = False
    """Of `OWN`: whether it counts for no rows but those that are added."""
    any_letter: bool = False
    """Of `OWN`: whether it also counts for those who have no right in the category."""

    def covers(self, kind: str, root: str, key: str | None) -> bool:
        """Whether the rule is about a field."""
        if self.kind not in ("", kind) or self.root not in ("", root):
            return False
        return self.keys is None or (key is not None and (key in self.keys or key.partition(":")[0] in self.keys))

    def permits(self, actor: Actor, record: str, row: Row, key: str | None) -> bool:
        """Whether an actor may write a field that it is about."""
        return actor.role in self.roles and (self.owns is None or self.owns(actor, record, row, key))


def written_as(user: str) -> str:
    """The id as which documents name a user."""
    return user_id(user)


def _keys(*names: str) -> frozenset[str]:
    return frozenset(names)


def _suffix_is_user(actor: Actor, _record: str, _row: Row, key: str | None) -> bool:
    return key is not None and key.partition(":")[2] == written_as(actor.user)


def _by_user(member: str) -> Owns:
    return lambda actor, _record, row, _key: row.get(member) == written_as(actor.user)


def _is_sender(actor: Actor, _record: str, row: Row, _key: str | None) -> bool:
    return row.get("from") == written_as(actor.user) and row.get("kind") != "system"


def _works_on(actor: Actor, _record: str, row: Row, key: str | None) -> bool:
    if not actor.vendor or row.get(f"vendor:{actor.vendor}") is not True:
        return False
    prefix, colon, suffix = (key or "").partition(":")
    return not colon or prefix != "vendorNote" or suffix == actor.vendor


def _is_vendor(actor: Actor, record: str, _row: Row, _key: str | None) -> bool:
    return bool(actor.vendor) and record == actor.vendor


def _is_guest(actor: Actor, record: str, _row: Row, _key: str | None) -> bool:
    return bool(actor.guest) and record == actor.guest


def _is_plus_one(actor: Actor, _record: str, row: Row, _key: str | None) -> bool:
    return bool(actor.guest) and row.get("plusOneOf") == actor.guest


def _gives(actor: Actor, _record: str, row: Row, _key: str | None) -> bool:
    return is_given_by(row, actor.guest)


def _is_own_side(actor: Actor, _record: str, row: Row, _key: str | None) -> bool:
    return actor.side in ("a", "b") and row.get("side") == actor.side


def _withdraws(actor: Actor, _record: str, row: Row, _key: str | None) -> bool:
    user = written_as(actor.user)
    return row.get("by") == user and (row.get(AUTHOR, user) == user or actor.role in TEAM)


def _is_own_reaction(actor: Actor, record: str, _row: Row, _key: str | None) -> bool:
    return record.rpartition("|")[2] == written_as(actor.user)


RESERVED: Final[tuple[FieldRule, ...]] = (
    FieldRule("", "", _keys("deleted"), ORGANIZERS, text="only the couple and planners delete and restore records"),
    FieldRule("wedding", "meta", _keys("date", "timeZone", "currency"), COUPLE,
              text="only the couple sets the date, time zone and currency"),
    FieldRule("budget", "meta", _keys("limit", "mustApproveOver"), COUPLE,
              text="only the couple sets limits of the budget"),
    FieldRule("budget", "payments", None, ORGANIZERS, text="only the couple and planners record payments"),
    FieldRule("budget", "voids", None, ORGANIZERS, text="only the couple and planners void payments"),
    FieldRule("budget", "approvals", _keys("approvedBy", "rejectedBy"), EVERYBODY, _suffix_is_user,
              text="nobody votes for somebody else"),
    FieldRule("seating", "tables", _keys("locked"), TEAM,
              text="only the couple, planners and coordinators lock tables"),
    FieldRule("seating", "rules", _keys("hard"), TEAM,
              text="only the couple, planners and coordinators make a rule hard"),
    FieldRule("timeline", "emergencies", _keys("acknowledgedBy"), EVERYBODY, _suffix_is_user,
              text="nobody acknowledges for somebody else"),
    FieldRule("care", "care", _keys("acknowledgedBy"), EVERYBODY, _suffix_is_user,
              text="nobody acknowledges for somebody else"),
    FieldRule("thread", "messages", None, EVERYBODY, _is_sender,
              text="nobody writes messages of somebody else, or of the system"),
    FieldRule("thread", "redactions", None, EVERYBODY, _withdraws,
              text="its author takes a message back, or the couple, a planner or a coordinator"),
    FieldRule("thread", "reactions", None, EVERYBODY, _is_own_reaction, text="nobody reacts for somebody else"),
)  # fmt: skip
"""Of those who write everything in a category, these only write the fields. The first that is about a field counts."""

OWN: Final[tuple[FieldRule, ...]] = (
    FieldRule("timeline", "items", _keys("status", "actualStart", "actualEnd", "vendorNote"), VENDORS, _works_on,
              text="of items with their `vendor:`; of the notes their own"),
    FieldRule("timeline", "emergencies", _keys("acknowledgedBy"), EVERYBODY, _suffix_is_user,
              text="their own, also without a right in the category", any_letter=True),
    FieldRule("timeline", "emergencies", _keys("kind", "text", "severity", "at", "by"), VENDORS, _by_user("by"),
              text="those that they raise", adds=True),
    FieldRule("wedding", "vendors", _keys("dayStatus"), VENDORS, _is_vendor, text="their own"),
    FieldRule("guests", "guests", _keys("checkedIn", "rsvp"), frozenset({"coordinator"}), text="of each guest"),
    FieldRule("guests", "guests", _keys("rsvp", "meal"), frozenset({"guest"}), _is_guest, text="their own"),
    FieldRule("guests", "guests", _keys("firstName", "lastName", "kind", "rsvp", "meal"), frozenset({"guest"}),
              _is_plus_one, text="of those they bring (`plusOneOf`), of whom they add as many as `plusOnesAllowed`",
              adds=True),
    FieldRule("guests", "guests", _keys("plusOneOf", "household", "side"), frozenset({"guest"}), _is_plus_one,
              text="of those they bring, when they add them", adds=True, only_added=True),
    FieldRule("guests", "guests", None, frozenset({"family"}), _is_own_side, text="of their `side`", adds=True),
    FieldRule("guests", "households", None, frozenset({"family"}), _is_own_side, text="of their `side`", adds=True),
    FieldRule("care", "care", _keys("diet", "allergy", "access"), frozenset({"guest"}), _is_guest,
              text="their own", adds=True),
    FieldRule("care", "care", _keys("acknowledgedBy"), frozenset({"caterer"}), _suffix_is_user, text="their own"),
    FieldRule("budget", "contributions", None, frozenset({"family"}), _gives,
              text="with the guest who they are as `guest`", adds=True),
    FieldRule("thread", "messages", None, EVERYBODY, _is_sender, text="their own", adds=True),
    FieldRule("thread", "redactions", None, EVERYBODY, _withdraws, text="of their own messages", adds=True),
    FieldRule("thread", "reactions", None, EVERYBODY, _is_own_reaction, text="their own", adds=True),
)  # fmt: skip
"""Those who write their own things in a category write these fields."""

STAMPED: Final = "whoever writes a stamp, or a key `by`, has their own user id in its `by`"
"""The rule of `is_forged`."""

_BY: Final = "by"
_STAMPS: Final = (STAMP, RETRACTION)
_NOT_YOURS = Reason("not_allowed", "your role does not write this")


def forbidden(
    actor: Actor, kind: str, root: str, record: str, key: str | None, row: Row, *, added: bool = False
) -> Reason | None:
    """Why an actor may not write a field; None: no rule is against it.

    ``key`` None: the row as a whole, which is a value or is added or removed; ``row``: as it was before the update, of
    one that is added (``added``) as it becomes.
    """
    if not actor.rights:
        return None
    letter = actor.rights[_position(kind, root, key)]
    if letter == "W":
        reserved = _reserved(kind, root, key)
        if reserved is None or reserved.permits(actor, record, row, key):
            return None
        return Reason("not_allowed", reserved.text)
    for rule in _own(kind, root, key):
        counts = (letter == "O" or rule.any_letter) and (rule.adds if added else not rule.only_added)
        if counts and rule.permits(actor, record, row, key):
            return None
    return _NOT_YOURS


def is_stamp(root: Root, key: str | None) -> bool:
    """Whether the values of a key, or of a root, are stamps: who did something, and when."""
    declared = _type(root, key)
    return any(declared is each for each in _STAMPS)


def is_forged(actor: Actor, root: Root, key: str | None, value: object) -> bool:
    """Whether a value that an actor writes names another person as the one who did it. The server's own writes, and
    those of actors for whom no rules apply, are not to be asked about."""
    if type(value) is dict:
        return is_stamp(root, key) and value.get(_BY) != written_as(actor.user)
    return key == _BY and type(value) is str and _type(root, key) is USER and value != written_as(actor.user)


def _type(root: Root, key: str | None) -> FieldType | None:
    if key is None:
        return root.type
    declared = root.keys.get(key)
    return None if declared is None else declared.type


def may_always(actor: Actor, kind: str, root: str, key: str | None) -> bool:
    """Whether an actor who is held to rules may write a field whatever its row holds: then nobody has to make the row.
    False: `forbidden` decides."""
    return actor.rights[_position(kind, root, key)] == "W" and _reserved(kind, root, key) is None


def may_add(actor: Actor, kind: str, root: str, record: str, row: Row) -> bool:
    """Whether no rule is against it that an actor adds a record. ``row``: the record."""
    letter = actor.rights[_position(kind, root, None)] if actor.rights else "W"
    if letter != "O":
        return letter == "W"
    rules = (rule for rule in OWN if rule.adds and (rule.kind, rule.root) == (kind, root))
    return any(rule.permits(actor, record, row, None) for rule in rules)


@lru_cache(maxsize=4096)
def _reserved(kind: str, root: str, key: str | None) -> FieldRule | None:
    return next((rule for rule in RESERVED if rule.covers(kind, root, key)), None)


@lru_cache(maxsize=4096)
def _own(kind: str, root: str, key: str | None) -> tuple[FieldRule, ...]:
    return tuple(rule for rule in OWN if rule.covers(kind, root, key))


@lru_cache(maxsize=4096)
def _position(kind: str, root: str, key: str | None) -> int:
    return POSITIONS[category_of(kind, root, key)]
