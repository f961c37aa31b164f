"""Kinds of documents: roots, records and keys, declared once.

A record is a frozen dataclass made with `@record`; each attribute carries its field type and meaning. The same
declaration is the schema that edits are checked against, the typed reader and the published table of fields.

Names: Python attributes are snake_case, keys in the document camelCase, by one rule (`camel_case`). Keys of the server
begin with `_` in the document only. Attributes that would be Python keywords end in `_` (`from_` is `from`).

The limit of whole documents (`MAX_DOCUMENT_BYTES`) is stated here and kept where bytes come in. Updates that are made
here have at most `MAX_UPDATE_BYTES`.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeVar, dataclass_transform

from documents.fields import (
    MAX_EXTENSION_BYTES,
    AnyJson,
    FieldType,
    Id,
    JsonObject,
    Note,
    Reason,
    shape_of,
)

MAX_RECORD_KEYS: Final = 64
MAX_DOCUMENT_BYTES: Final = 5 * 1024 * 1024
MAX_UPDATE_BYTES: Final = 256 * 1024
WHOLE: Final = ""
"""The record id of a root that is one record or one text."""

_NO_KEYS: Final[Mapping[str, Any]] = MappingProxyType({})

_EXTENSION = re.compile(r"x:[a-z0-9][a-z0-9-]{0,38}\.[A-Za-z0-9_-]{1,64}", re.ASCII).fullmatch
_EXTENSION_VALUE = AnyJson(MAX_EXTENSION_BYTES)

T = TypeVar("T")


def _no_keys() -> Mapping[str, Any]:
    return _NO_KEYS


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a record, or one family of keys ``prefix:suffix``."""

    attribute: str
    """Its name in Python."""
    name: str
    """Its name in the document; of a family the prefix with its colon."""
    type: FieldType
    about: str
    suffix: FieldType | None = None
    """The type of the part after the prefix, in a family."""
    server: bool = False
    """Whether only the server writes it."""


def camel_case(attribute: str) -> str:
    """`must_approve_over` -> `mustApproveOver`."""
    first, *others = attribute.rstrip("_").split("_")
    return first + "".join(word.capitalize() for word in others)


def key(type: FieldType, about: str, *, default: Any = None, server: bool = False) -> Any:
    """An attribute of a record that is one key. `default` is what readers give where the key is absent."""
    return field(default=default, metadata={"type": type, "about": about, "server": server})


def needed(type: FieldType, about: str) -> Any:
    """A member of a JSON value that must be there."""
    return field(metadata={"type": type, "about": about, "server": False})


def family(prefix: str, suffix: FieldType, type: FieldType, about: str, *, server: bool = False) -> Any:
    """An attribute of a record that is a family of keys ``prefix:suffix``; readers give suffix -> value."""
    return field(
        default_factory=_no_keys,
        metadata={"type": type, "about": about, "server": server, "prefix": prefix, "suffix": suffix},
    )


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(key, needed, family, field))
def record(cls: type[T]) -> type[T]:
    """Make a class of annotated keys a record."""
    return dataclass(frozen=True, kw_only=True)(cls)


@record
class Extensible:
    extensions: Mapping[str, Any] = field(default_factory=_no_keys)
    """Keys ``x:<vendor>.<name>``, which programs may use for their own data."""


def value_of(cls: type[Any]) -> JsonObject:
    """The field type of a record class as one atomic JSON object."""
    members, optional, attributes = {}, set(), {}
    for each in keys_of(cls):
        members[each.name] = each.type
        attributes[each.name] = each.attribute
    for item in fields(cls):
        if item.default is not MISSING and item.metadata:
            optional.add(camel_case(item.name))

    def make(value: Mapping[str, Any]) -> Any:
        return cls(**{attributes[name]: member for name, member in value.items()})

    return JsonObject(members, frozenset(optional), make)


def keys_of(cls: type[Any]) -> Iterator[Key]:
    """The keys of a record class, in the order of their declaration."""
    for item in fields(cls):
        if not item.metadata:
            continue
        about, kind, server = item.metadata["about"], item.metadata["type"], item.metadata["server"]
        if "prefix" in item.metadata:
            name = item.metadata["prefix"] + ":"
            yield Key(item.name, name, kind, about, item.metadata["suffix"], server)
        else:
            yield Key(item.name, ("_" if server else "") + camel_case(item.name), kind, about, None, server)


class Shape(enum.Enum):
    RECORDS = "records"
    """`Y.Map` of id -> `Y.Map` with flat keys."""
    VALUES = "values"
    """`Y.Map` of id -> one atomic JSON value."""
    RECORD = "record"
    """`Y.Map` that is one record itself."""
    TEXT = "text"
    """`Y.Text`."""


class Violation(NamedTuple):
    """One thing in the rows of a document that its kind does not allow."""

    root: str
    record: str
    key: str | None
    """None where the record as a whole is wrong."""
    reason: Reason


class Root:
    """One root type of a document. Made with `records`, `values`, `single` or `text`."""

    def __init__(
        self,
        name: str,
        shape: Shape,
        about: str,
        *,
        record: type[Any] | None = None,
        type: FieldType | None = None,
        ids: FieldType | None = None,
        server: bool = False,
        client_keys: frozenset[str] = frozenset(),
        final: bool = False,
        removable: bool = False,
        withdrawals: str | None = None,
    ) -> None:
        self.name, self.shape, self.about = name, shape, about
        self.record = record
        """The class of its records; None where each row is one value or the text."""
        self.type = type
        """The type of each value or of the text; None where there are records."""
        self.ids = ids or Id()
        self.server = server
        """Whether only the server adds, changes and removes records."""
        self.client_keys = client_keys
        """Keys that clients may write although the root is the server's."""
        self.final = final
        """Whether what was written once stays as it is."""
        self.removable = removable
        """Whether clients take rows away for good; elsewhere they set `deleted`, and the server removes."""
        self.withdrawals = withdrawals
        """The root in which rows of this one are withdrawn, by their ids; None: there is no such root."""
        declared = tuple(keys_of(record)) if record is not None else ()
        self.keys: Mapping[str, Key] = {each.name: each for each in declared if each.suffix is None}
        self.families: Mapping[str, Key] = {each.name[:-1]: each for each in declared if each.suffix is not None}
        self.extensible = record is not None and issubclass(record, Extensible)
        self._checks: Mapping[str, Callable[[object], Any]] = {name: k.type.check for name, k in self.keys.items()}
        self.text_keys = frozenset(name for name, k in self.keys.items() if k.type.text)
        """Keys that hold a `Y.Text`."""

    def __repr__(self) -> str:
        return f"Root({self.name!r}, {self.shape})"

    def key(self, name: str) -> Key | None:
        """The declaration that a key of a record falls under; None for unknown keys and extensions."""
        found = self.keys.get(name)
        if found is None and ":" in name:
            return self.families.get(name.partition(":")[0])
        return found

    def clients_may_write(self, name: str | None) -> bool:
        """Whether a key (None: the record as a whole) is the clients' at all; who of them is a matter of access."""
        if self.server:
            return name in self.client_keys
        if name is None:
            return True
        found = self.key(name)
        return not name.startswith("_") and not (found is not None and found.server)

    def check_id(self, record_id: str) -> Reason | None:
        """Why this cannot be the id of a record here, or None."""
        if self.shape is Shape.RECORD or self.shape is Shape.TEXT:
            return None if record_id == WHOLE else Reason("id", "the root is one record")
        reason = self.ids.check(record_id)
        return reason if type(reason) is Reason else None

    def check(self, record_id: str, name: str | None, value: object) -> Any:
        """The normalised value of one key of one record (None: of the record that is one value), or a `Reason`.

        The id is not checked here, nor the number of keys: both can be wrong only when a record or key is added.
        """
        if name is None:
            if self.type is not None:
                return self.type.check(value)
            return Reason("type", f"a record (Y.Map) expected, not {shape_of(value)}")
        check = self._checks.get(name)
        if check is not None:
            return check(value)
        return self._check_family(name, value)

    def _check_family(self, name: str, value: object) -> Any:
        prefix, colon, suffix = name.partition(":")
        found = self.families.get(prefix) if colon else None
        if found is not None and found.suffix is not None:
            wrong = found.suffix.check(suffix)
            if type(wrong) is Reason:
                return Reason(wrong.code, f"after {prefix}: {wrong.message}")
            return found.type.check(value)
        if self.extensible and prefix == "x" and _EXTENSION(name):
            return _EXTENSION_VALUE.check(value)
        return Reason("unknown_key", f"{self.name} have no key {name[:80]!r}")

    def check_row(self, record_id: str, row: object) -> Iterator[Violation]:
        """Everything wrong with one whole row."""
        wrong_id = self.check_id(record_id)
        if wrong_id is not None:
            yield Violation(self.name, record_id, None, wrong_id)
        items: Collection[tuple[str | None, Any]] = ((None, row),)
        if self.record is not None and type(row) is dict:
            items = row.items()
        if len(items) > MAX_RECORD_KEYS:
            reason = Reason("too_many_keys", f"{len(items)} keys, at most {MAX_RECORD_KEYS} are allowed")
            yield Violation(self.name, record_id, None, reason)
        for name, value in items:
            checked = self.check(record_id, name, value)
            if type(checked) is Reason:
                yield Violation(self.name, record_id, name, checked)

    def read(self, row: Any) -> Any:
        """A row as Python sees it: the dataclass of the record or value, or the plain value.

        Values that do not pass their check are left out, and None stands for a row that is wrong as a whole.
        """
        if self.type is not None:
            checked = self.type.check(row)
            return None if type(checked) is Reason else self.type.read(checked)
        return self._read_record(row) if type(row) is dict else None

    def _read_record(self, row: Mapping[str, Any]) -> Any:
        attributes: dict[str, Any] = {}
        for name, value in row.items():
            checked = self.check(WHOLE, name, value)
            if type(checked) is Reason:
                continue
            found = self.key(name)
            if found is None:
                attributes.setdefault("extensions", {})[name] = checked
            elif found.suffix is None:
                attributes[found.attribute] = found.type.read(checked)
            else:
                attributes.setdefault(found.attribute, {})[name[len(found.name) :]] = found.type.read(checked)
        assert self.record is not None
        return self.record(**attributes)


def records(
    name: str,
    record: type[Any],
    about: str,
    *,
    ids: FieldType | None = None,
    server: bool = False,
    client_keys: frozenset[str] = frozenset(),
) -> Root:
    """A root `Y.Map` of id -> record."""
    return Root(name, Shape.RECORDS, about, record=record, ids=ids, server=server, client_keys=client_keys)


def single(name: str, record: type[Any], about: str) -> Root:
    """A root `Y.Map` that is one record."""
    return Root(name, Shape.RECORD, about, record=record)


def values(
    name: str,
    type: FieldType,
    about: str,
    *,
    ids: FieldType | None = None,
    server: bool = False,
    final: bool = False,
    removable: bool = False,
    withdrawals: str | None = None,
) -> Root:
    """A root `Y.Map` of id -> atomic value."""
    return Root(
        name, Shape.VALUES, about, type=type, ids=ids, server=server, final=final, removable=removable,
        withdrawals=withdrawals,
    )  # fmt: skip


def text(name: str, about: str) -> Root:
    """A root `Y.Text`."""
    return Root(name, Shape.TEXT, about, type=Note())


class Kind:
    """A kind of document."""

    def __init__(
        self,
        name: str,
        about: str,
        roots: tuple[Root, ...],
        *,
        version: int = 1,
        one: bool = True,
        many: bool = False,
        free: bool = False,
        derived: bool = False,
    ) -> None:
        self.name, self.about, self.version = name, about, version
        self.roots: Mapping[str, Root] = {root.name: root for root in roots}
        self.withdrawn_from: Mapping[str, str] = {root.withdrawals: root.name for root in roots if root.withdrawals}
        """Root of withdrawals -> the root whose rows they withdraw."""
        self.one = one
        """Whether every wedding has one document of this name."""
        self.many = many
        """Whether there may be documents ``name.slug``."""
        self.free = free
        """Whether anything may be written: no schema, no rows."""
        self.derived = derived
        """Whether its documents show rows of others: see `documents.derived`."""

    def __repr__(self) -> str:
        return f"Kind({self.name!r})"

    def root(self, name: str) -> Root | None:
        """The declaration of a root, or None where the kind has none of this name."""
        return self.roots.get(name)

    def violations(self, rows: Mapping[str, Mapping[str, Any]]) -> Iterator[Violation]:
        """Everything in the rows that the kind does not allow."""
        for name, row_by_id in rows.items():
            root = self.roots.get(name)
            if root is None:
                yield Violation(name, WHOLE, None, Reason("unknown_root", f"{self.name} has no root {name[:80]!r}"))
                continue
            for record_id, row in row_by_id.items():
                yield from root.check_row(record_id, row)


__all__ = [
    "MAX_DOCUMENT_BYTES",
    "MAX_RECORD_KEYS",
    "MAX_UPDATE_BYTES",
    "WHOLE",
    "Extensible",
    "Key",
    "Kind",
    "Root",
    "Shape",
    "Violation",
    "camel_case",
    "family",
    "key",
    "keys_of",
    "needed",
    "record",
    "records",
    "single",
    "text",
    "value_of",
    "values",
]
