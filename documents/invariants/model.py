"""The input of the invariants and their findings: plain data.

Rows are as in `documents.rows`: `{document: {root: {record id: {key: value}}}}`, or `{record id: value}` for roots of
values. They may hold whatever a client wrote: everything here checks the type of a value before it uses it.
"""

from __future__ import annotations

import enum
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeAlias

from documents.fields import Reason, same
from documents.invariants.catalogue import INVARIANTS
from documents.kind import WHOLE
from documents.sentences import Sentence, to_text
from documents.shared import USER

Row: TypeAlias = Any
Roots: TypeAlias = dict[str, dict[str, Row]]

_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
MAX_OPTIONS: Final = 12
MAX_PARTIES: Final = 20
SERVER: Final = "server"
"""The user as whom the server writes."""
CHOOSER: Final = "*"
"""In an operation of an option, at the end of a key: the user who chooses it; as a value: the instant of the choice."""


class Unknown(enum.Enum):
    """Stands for a value that was not recorded."""

    UNKNOWN = "unknown"


UNKNOWN: Final = Unknown.UNKNOWN


class Field(NamedTuple):
    """One key of one record (None: the row as a whole, where it is one value)."""

    document: str
    root: str
    record: str
    key: str | None = None


class FieldChange(NamedTuple):
    """One key of one record that changed: `documents.changes.Change` with the name of the document."""

    document: str
    root: str
    record: str
    key: str | None
    before: Any
    after: Any

    @property
    def field(self) -> Field:
        return Field(*self[:4])


class Writer(NamedTuple):
    """The last writer of a field."""

    user: str
    role: str
    rank: int
    seq: int
    """Order of arrival at the server, within the wedding."""
    at: str = ""
    """When it arrived, RFC 3339 in UTC; empty where unknown."""
    before: Any = UNKNOWN
    """The value before this write: None for none, `UNKNOWN` where it was not recorded."""


NOBODY: Final = Writer("", "", 0, 0)
"""Where the writer is not known. Comes after everybody in every order."""


class Op(NamedTuple):
    """One write of a resolution. Ops of one resolution are one transaction."""

    kind: str
    """`set` a key (or, with the key None, the whole value); `delete` a key or row; `insert` a record with the keys of
    `value`, unless there is one."""
    document: str
    root: str
    record: str
    key: str | None = None
    value: Any = None


Ops: TypeAlias = tuple[Op, ...]


class Subject(NamedTuple):
    """The subject of a finding: there is at most one finding per subject."""

    invariant: str
    ids: tuple[str, ...] = ()

    @property
    def settle_seconds(self) -> int:
        """How long to wait, and find again, before the automatic operations."""
        return INVARIANTS[self.invariant].settle_seconds


@dataclass(frozen=True, slots=True)
class Party:
    """A field that takes part in a conflict, with its value and its last writer."""

    field: Field
    value: Any
    writer: Writer = NOBODY
    before: Any = UNKNOWN
    """The value before the conflict, as its record may have it: see `attribution`."""
    said: Sentence | None = None
    """The edit as a sentence, as its record may have it."""


@dataclass(frozen=True, slots=True)
class Option:
    """One way to resolve a conflict, for a person to choose."""

    id: int
    said: Sentence
    ops: Ops
    roles: tuple[str, ...] = ()
    """Roles of those who may choose it; none: everybody may who may write there."""

    @property
    def text(self) -> str:
        """The effect of choosing it, in English."""
        return to_text(self.said)


@dataclass(frozen=True, slots=True)
class Finding:
    """An invariant that does not hold."""

    subject: Subject
    severity: str
    said: Sentence
    strategy: str
    parties: tuple[Party, ...] = ()
    options: tuple[Option, ...] = ()
    automatic: Ops | None = None
    """The operations of the strategy, possibly none; None: a person decides. Find again right before carrying it
    out: like the options it follows from all the rows, and not every change of those touches its subject."""
    stays: bool = False
    """Whether a person has to decide although there are automatic operations."""
    facts: tuple[str, ...] = ()
    """Values it follows from besides its parties."""
    more: int = 0
    """How many others are concerned that are not listed."""
    undo: int | None = None
    """Id of the option that takes back what the strategy has decided."""

    @property
    def invariant(self) -> str:
        return self.subject.invariant

    @property
    def summary(self) -> str:
        """The violation in a sentence, in English."""
        return to_text(self.said)

    @property
    def manual(self) -> bool:
        """Whether a person has to decide."""
        return self.automatic is None or self.stays

    @property
    def fingerprint(self) -> str:
        """Equal while the facts are: a finding that somebody chose to leave as it is opens again with other facts."""
        base = fingerprint(self.subject, self.parties, self.facts)
        return f"{base}+{self.more}" if self.more else base


def fingerprint(subject: Subject, parties: Iterable[Party], facts: Iterable[str] = ()) -> str:
    """`Finding.fingerprint`, without the number of those that are not listed."""
    values = [subject, [(party.field, party.value) for party in parties], *facts]
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=repr).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Context:
    """The input of the invariants besides rows and writers."""

    now: str = ""
    """The instant of this evaluation, RFC 3339 in UTC; empty: nothing depends on it."""
    live: bool = False
    """Whether the wedding takes place right now. So it does while the phase in its `meta` is `live`."""
    strategies: Mapping[str, str] = field(default_factory=dict)
    """Invariant -> strategy, where the wedding has chosen one. One that the invariant does not allow does not count."""
    reception: str = ""
    """Event that the document `seating` is about; empty: `e_reception` if there is one."""
    single_trades: frozenset[str] = frozenset({"venue", "caterer", "photographer", "officiant", "planner", "cake"})
    """Categories of vendors of which a wedding needs one."""
    planned: Mapping[str, int] = field(default_factory=dict)
    """Timeline item -> its start when the wedding went live (T5)."""
    locked: Mapping[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    """(document, table) -> guest -> assignment, as it was when the table was locked (S7)."""

    def at(self, now: str) -> Context:
        """The same at another time."""
        return Context(now, self.live, self.strategies, self.reception, self.single_trades, self.planned, self.locked)


class Wedding:
    """The documents of one wedding, their writers and their context. The rows are the caller's, and change under it."""

    def __init__(
        self,
        documents: dict[str, Roots],
        writers: Mapping[Any, Writer] = _NOTHING,
        context: Context | None = None,
    ) -> None:
        self.documents = documents
        self.writers = writers
        """(document, root, record, key) -> its last writer; also of keys that were deleted."""
        self.context = context or Context()

    def rows(self, document: str, root: str) -> Mapping[str, Row]:
        """The rows of a root; none where there is no such document or root."""
        return self.documents.get(document, _NOTHING).get(root, _NOTHING)

    def record(self, document: str, root: str, record: str | None) -> dict[str, Any] | None:
        """A record that is there and not deleted."""
        row = self.documents.get(document, _NOTHING).get(root, _NOTHING).get(record)  # type: ignore[arg-type]
        return row if type(row) is dict and "deleted" not in row else None

    def exists(self, document: str, root: str, record: str) -> bool:
        """Whether a record is there and not deleted. Documents that are not at hand are taken to hold every record."""
        return document not in self.documents or self.record(document, root, record) is not None

    def meta(self, document: str) -> Mapping[str, Any]:
        """The record `meta` of a document."""
        row = self.rows(document, "meta").get(WHOLE)
        return row if type(row) is dict else _NOTHING

    def value(self, field: Field) -> Any:
        """The value of a field; None where there is none."""
        row = self.rows(field.document, field.root).get(field.record)
        if field.key is None:
            return row
        return row.get(field.key) if type(row) is dict else None

    def writer(self, document: str, root: str, record: str, key: str | None = None) -> Writer:
        """The last writer of a field, `NOBODY` where that is not recorded."""
        return self.writers.get((document, root, record, key), NOBODY)

    def party(self, document: str, root: str, record: str, key: str | None = None) -> Party:
        """A field with its value and its last writer."""
        where = Field(document, root, record, key)
        return Party(where, self.value(where), self.writers.get(where, NOBODY))

    def strategy(self, invariant: str) -> str:
        """The strategy of this wedding for an invariant."""
        declared = INVARIANTS[invariant]
        chosen = self.context.strategies.get(invariant)
        return chosen if chosen in declared.strategies else declared.default

    @property
    def live(self) -> bool:
        if self.context.live:
            return True
        row = self.documents.get("wedding", _NOTHING).get("meta", _NOTHING).get(WHOLE)
        return type(row) is dict and row.get("phase") == "live"


def whole(row: Mapping[str, Any], key: str) -> int | None:
    """An integer of a row, None where there is none."""
    value = row.get(key)
    return value if type(value) is int else None


def string(row: Mapping[str, Any], key: str) -> str:
    """A string of a row, empty where there is none."""
    value = row.get(key)
    return value if type(value) is str else ""


def suffixes(row: Mapping[str, Any], prefix: str) -> list[str]:
    """The rest of the keys of a row that begin with `prefix`, sorted."""
    return sorted([key[len(prefix) :] for key in row if key.startswith(prefix)])


def document_kind(document: str) -> str:
    """`seating.e_1` -> `seating`."""
    return document.partition(".")[0]


def short_id(prefix: str, *parts: object) -> str:
    """An id that follows from what it is for, so that the same resolution makes the same record again."""
    return prefix + "_" + hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:20]


def stamp(wedding: Wedding) -> dict[str, str]:
    """`{at, by}` of the server."""
    return {"at": wedding.context.now or "1970-01-01T00:00:00Z", "by": SERVER}


_MADE_ID: Final = re.compile(r"u_[0-9a-f]{20}")


def user_id(user: str) -> str:
    """A user as fields of that type hold one. Those whose name does not fit get an id that follows from it. So do those
    whose name is like such an id: else somebody could take the name that is the id of another."""
    return short_id("u", user) if type(USER.check(user)) is Reason or _MADE_ID.fullmatch(user) else user


def apply(documents: dict[str, Roots], ops: Iterable[Op]) -> list[FieldChange]:
    """Carry out operations on plain rows. Returns what changed; doing it again changes nothing."""
    changes = []
    for op in ops:
        rows = documents.setdefault(op.document, {}).setdefault(op.root, {})
        for key, before, after in _apply(rows, op):
            if not same(before, after):
                changes.append(FieldChange(op.document, op.root, op.record, key, before, after))
    return changes


def _apply(rows: dict[str, Row], op: Op) -> list[tuple[str | None, Any, Any]]:
    row = rows.get(op.record)
    if op.kind == "insert":
        if row is not None:
            return []
        rows[op.record] = dict(op.value)
        return [(key, None, value) for key, value in op.value.items()]
    if op.key is None:
        if op.kind == "set":
            rows[op.record] = op.value
            return [(None, row, op.value)]
        rows.pop(op.record, None)
        if type(row) is dict and op.root not in _VALUES:
            return [(key, value, None) for key, value in row.items()]
        return [(None, row, None)]
    if row is None and op.record == WHOLE and op.kind == "set":
        row = rows[WHOLE] = {}  # the root itself is the record
    if type(row) is not dict:
        return []
    before = row.get(op.key)
    if op.kind == "set":
        row[op.key] = op.value
        return [(op.key, before, op.value)]
    row.pop(op.key, None)
    return [(op.key, before, None)]


_VALUES: Final = frozenset(
    {"assignments", "payments", "voids", "contributions", "messages", "redactions", "reactions", "stamps"}
)
