"""Derived documents ``name@audience``: what they show of the rows of a wedding, and what their readers may write.

- A derived document is a function of rows: of each of its records, a `Projection` gives the row as its audience may see
  it. It holds plain values only; texts are strings.
- It is declared once: from where, which rows, which fields, what is writable, for whom. The declaration is the schema
  that edits in it are checked against.
- A record has the id of its source record, so that a write is carried over to the same field of the source.
- A change of the source concerns the record of its id, and others where there is a `Dependency`: nothing is searched.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields, make_dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeAlias

from documents.changes import Change, Row
from documents.fields import MAX_NOTE, FieldType, Reason, String
from documents.kind import Key, Kind, Root, Shape

if TYPE_CHECKING:  # events are about the kinds, of which these are some
    from documents.events import Actor

NOT_WRITABLE: Final = Reason("read_only", "your role may read this, and not write it")


class Source(Protocol):
    """The rows of a wedding: `documents.invariants.Wedding`."""

    @property
    def live(self) -> bool:
        """Whether the wedding takes place right now."""

    def rows(self, document: str, root: str) -> Mapping[str, Row]:
        """The rows of a root; none where there is no such document."""

    def record(self, document: str, root: str, record: str | None) -> dict[str, Any] | None:
        """A record that is there and not deleted."""

    def meta(self, document: str) -> Mapping[str, Any]:
        """The record `meta` of a document."""


@dataclass(frozen=True, slots=True)
class View:
    """The input that the rows of one derived document follow from."""

    source: Source
    own: str = ""
    """The last part of the document's name: a vendor, a guest, a side."""
    users: Collection[str] = ()
    """Ids of the users who have written in the document."""
    found: dict[str, set[str]] = field(default_factory=dict)
    """Ids of records that were searched for once, kept up to date by the targets of a dependency: see `remembered`."""


def remembered(view: View, name: str, search: Callable[[], Iterable[str]]) -> set[str]:
    """Ids under a name in `View.found`, searched for the first time."""
    if name not in view.found:
        view.found[name] = set(search())
    return view.found[name]


Targets: TypeAlias = Callable[[View, Change], Iterable[str]]
"""The records of a projection that a change of a source may concern. A record that comes or goes without any key
changes with the key None."""


class Dependency(NamedTuple):
    """Changes that concern records of other ids than that of the changed record."""

    document: str
    root: str
    targets: Targets


def same_id(view: View, change: Change) -> Iterable[str]:
    """The record of the same id."""
    return (change.record,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """One root of a derived document."""

    root: Root
    document: str
    source: str
    """The root of ``document`` whose records the rows are of."""
    row: Callable[[View, str], Row | None]
    """The row that a record has here; None: it is not shown."""
    dependencies: tuple[Dependency, ...] = ()
    """Where else changes are followed, besides the record of the same id in the source."""
    records: Callable[[View], Iterable[str]] | None = None
    """All records that may be shown; None: those of the source."""
    follows_users: bool = False
    """Whether rows follow from `View.users`."""
    refuses: Callable[[View, Change, Actor], Reason | None] | None = None
    """Why somebody may not make a change that the schema allows; None: nothing of it is writable."""
    closed: Callable[[View, Change, str], Reason | None] | None = None
    """Why it is too late for a change, at an instant (RFC 3339 in UTC); None: it never is."""
    adds: Callable[[View, str, Actor, int], dict[str, Any] | Reason] | None = None
    """The record that is made in the source when somebody writes in one that is not there, before what they write, or
    why it may not be made; None: nobody may. The number: how many the same edit adds besides."""

    def all_records(self, view: View) -> Iterable[str]:
        """The records that may be shown."""
        return view.source.rows(self.document, self.source) if self.records is None else self.records(view)

    def all_dependencies(self) -> tuple[Dependency, ...]:
        """Every dependency, that of the source itself first."""
        if self.records is not None:
            return self.dependencies
        return (Dependency(self.document, self.source, same_id), *self.dependencies)


class DerivedRoot(Root):
    """A root of a derived document. ``writable``: keys that clients may write, and prefixes of families with their
    colon; ``growing``: they may add records."""

    def __init__(
        self,
        name: str,
        shape: Shape,
        about: str,
        *,
        record: type[Any] | None = None,
        type: FieldType | None = None,
        writable: Collection[str] = (),
        growing: bool = False,
    ) -> None:
        super().__init__(name, shape, about, record=record, type=type, server=not growing, removable=type is not None)
        self.writable = frozenset(writable)

    def clients_may_write(self, name: str | None) -> bool:
        if name is None:
            return not self.server
        return name in self.writable or name.partition(":")[0] + ":" in self.writable


def record_class(name: str, source: Root | None, shown: Collection[str], more: Iterable[Key] = ()) -> type[Any]:
    """The class of records that show some keys of others, and more. Texts are strings there."""
    declared = None if source is None else source.record
    defaults = {} if declared is None else {each.name: each.default for each in fields(declared)}
    known = () if source is None else (*source.keys.values(), *source.families.values())
    keys = [key for key in known if key.name in shown]
    assert len(keys) == len(shown), set(shown) - {key.name for key in keys}
    members: list[tuple[str, Any, Any]] = []
    for key in (*keys, *more):
        metadata = {
            "type": String(MAX_NOTE) if key.type.text else key.type,
            "about": key.about,
            "server": key.server,
            **({} if key.suffix is None else {"prefix": key.name[:-1], "suffix": key.suffix}),
        }
        default = defaults.get(key.attribute)
        if default is MISSING:
            members.append((key.attribute, Any, field(default_factory=dict, metadata=metadata)))
        else:
            members.append((key.attribute, Any, field(default=default, metadata=metadata)))
    return make_dataclass(name, members, frozen=True, kw_only=True)


def shown(
    source: Root,
    *keys: str,
    more: Iterable[Key] = (),
    writable: Collection[str] = (),
    growing: bool = False,
) -> DerivedRoot:
    """A root that shows some keys of the records of another (of families the prefix with its colon), and ``more``."""
    record = record_class(source.name.capitalize(), source, keys, more)
    return DerivedRoot(source.name, source.shape, source.about, record=record, writable=writable, growing=growing)


def made(name: str, about: str, *keys: Key) -> DerivedRoot:
    """A root of records with keys that no source has."""
    return DerivedRoot(name, Shape.RECORDS, about, record=record_class(name.capitalize(), None, (), keys))


def picked(root: Root, row: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a row that a root declares."""
    return {key: value for key, value in row.items() if root.key(key) is not None}


class Declaration:
    """A derived document, or a family of them ``name@audience.{own}``."""

    def __init__(
        self,
        name: str,
        about: str,
        projections: tuple[Projection, ...],
        *,
        roles: Collection[str],
        own: str = "",
        choices: Collection[str] | None = None,
    ) -> None:
        self.name = name
        self.own = own
        """The meaning of the last part of the name: ``vendor``, ``guest``, ``side``; empty: there is one document."""
        self.choices = choices
        """The values of the last part of the name; None: any id."""
        self.roles = frozenset(roles)
        """The roles of its readers; none: it is for those to whom a grant opens it."""
        self.projections: Mapping[str, Projection] = {each.root.name: each for each in projections}
        self.kind = Kind(name, about, tuple(each.root for each in projections), derived=True)

    @property
    def source(self) -> str:
        """The document that it shows first of all."""
        return self.name.partition("@")[0]


class DerivedDocument(NamedTuple):
    """One derived document."""

    name: str
    declaration: Declaration
    own: str

    @property
    def kind(self) -> Kind:
        """Its schema."""
        return self.declaration.kind

    @property
    def source(self) -> str:
        """The document that it shows first of all; it may show rows of others, too."""
        return self.declaration.source

    def admits(self, role: str, vendor: str = "", guest: str = "", side: str = "") -> bool:
        """Whether it is meant for somebody in this role, for this vendor, guest or side of the couple."""
        declared = self.declaration
        if role not in declared.roles:
            return False
        whose = {"vendor": vendor, "guest": guest, "side": side}
        return not declared.own or whose[declared.own] == self.own
