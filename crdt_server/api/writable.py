"""The parts of a document that a person may write, as its schema and the rules on fields have them.

For clients that disable what would be undone. The rules hold where they differ: a part that is named here may be
writable in some records only, those that are the person's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeAlias

from crdt_server.access.identity import Identity
from documents.categories import POSITIONS, category_of
from documents.field_rules import OWN, FieldRule
from documents.kind import Kind, Root

Extent: TypeAlias = Literal["all", "own", "none"]


class Writable(NamedTuple):
    """How much of a document is writable. ``parts``, with ``own``: `root`, `root.key` or `root.family:`."""

    extent: Extent
    parts: tuple[str, ...] = ()


EVERYTHING = Writable("all")
NOTHING = Writable("none")


def writable_in(identity: Identity, kind: Kind, *, may_write: bool) -> Writable:
    """The writable parts of a whole document of a kind. ``may_write``: the decision on the document."""
    if kind.free or not identity.rights:
        return EVERYTHING if may_write else NOTHING
    if _letter(identity, kind, None, None) == "W":
        return EVERYTHING
    parts = tuple(part for root in kind.roots.values() for part in _parts(identity, kind, root))
    return Writable("own", parts) if parts else NOTHING


def writable_in_derived(kind: Kind) -> Writable:
    """The parts of a derived document that its readers may write, as declared."""
    parts = tuple(part for root in kind.roots.values() for part in _declared(root))
    return Writable("own", parts) if parts else NOTHING


def _declared(root: Root) -> Iterator[str]:
    keys = (*root.keys, *(f"{family}:" for family in root.families))
    yield from (f"{root.name}.{key}" for key in keys if root.clients_may_write(key))
    if not keys and root.clients_may_write(None):
        yield root.name


def _letter(identity: Identity, kind: Kind, root: str | None, key: str | None) -> str:
    return identity.rights[POSITIONS[category_of(kind.name, root, key)]]


def _parts(identity: Identity, kind: Kind, root: Root) -> Iterator[str]:
    if root.clients_may_write(None) and _letter(identity, kind, root.name, None) == "W":
        yield root.name
        return
    for key in (*root.keys, *(f"{family}:" for family in root.families)):
        name = key.removesuffix(":")
        if root.clients_may_write(key) and (
            _letter(identity, kind, root.name, name) == "W"
            or any(_covers(rule, identity, kind, root.name, name) for rule in OWN)
        ):
            yield f"{root.name}.{key}"
    if not root.keys and any(_covers(rule, identity, kind, root.name, None) for rule in OWN):
        yield root.name


def _covers(rule: FieldRule, identity: Identity, kind: Kind, root: str, key: str | None) -> bool:
    if identity.role not in rule.roles or not rule.covers(kind.name, root, key):
        return False
    return rule.any_letter or _letter(identity, kind, root, key) == "O"
