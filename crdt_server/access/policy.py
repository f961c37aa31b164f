"""Ten roles, nine categories: the table of `policy.toml`, and the decisions that follow from it.

`Policy.may` is the one decision about a category; everything else here asks it. Overrides are cells that the couple of
a wedding has set: role and category -> rights.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Protocol

from crdt_server.access.access import Action, Decision, Denied, Target
from crdt_server.access.identity import Identity
from crdt_server.access.scopes import in_scope, outside_scope
from documents.categories import AccessCategory, category_of
from documents.registry import FAMILIES, KINDS, NAMES, kind_of

FILE: Final = "policy.toml"
Overrides = Mapping[tuple[str, str], str]
"""Role and category -> rights, as `P+O`."""
NO_OVERRIDES: Final[Overrides] = MappingProxyType({})

OVERRIDERS: Final = ("couple",)
"""Roles that may override cells of their wedding. Their own cells cannot be overridden: nobody could undo that."""

_RIGHTS: Final = "NRPOWA"
# Any of these rights allows the action. A role that reads anything may comment on it.
_ALLOWED_BY: Final[Mapping[Action, str]] = MappingProxyType(
    {
        Action.READ: "RWA",
        Action.READ_PART: "RPOWA",
        Action.COMMENT: "RPOWA",
        Action.WRITE: "WA",
        Action.WRITE_OWN: "OWA",
        Action.ADMINISTER: "A",
    }
)


NO_RIGHTS: Final = "-" * len(AccessCategory)
"""`Identity.rights` of a person who may write nothing."""


class PolicyError(ValueError):
    """A policy, or an override of one, that cannot be understood or may not be set."""


class Cell(NamedTuple):
    """The rights of one role in one category."""

    rights: str
    """As in the file: `W`, `P+O`."""
    note: str = ""
    """A remark for people, on what the letters do not express."""
    fields: tuple[str, ...] = ()
    """All that the role may write, as `root`, `root.key` or `root.key:*`; none: what the letters allow."""
    not_over: tuple[str, ...] = ()
    """Roles whose members A does not reach."""
    line: int = 0
    """In the file."""
    overridden: bool = False

    def allows(self, action: Action) -> bool:
        """Whether one of the rights allows the action."""
        return any(right in _ALLOWED_BY[action] for right in self.rights.split("+"))


class RoomRights(NamedTuple):
    """The right to a room: of somebody who only reads there, all edits are undone."""

    identity: Identity
    reads_only: bool = False


class DocumentRule(NamedTuple):
    """The category of a document, and what reading it whole takes there."""

    category: AccessCategory
    read: Action = Action.READ


class Explanation(NamedTuple):
    """A decision with its reason."""

    allowed: bool
    line: str
    """The line of the policy that decides, as `policy.toml:57: roles.vendor.budget = N`."""
    why: str


class Policy:
    """See the head of the file. Made by `parse_policy`."""

    def __init__(
        self,
        cells: Mapping[tuple[str, AccessCategory], Cell],
        titles: Mapping[AccessCategory, str],
        reading: Mapping[str, Action],
    ) -> None:
        self._cells = dict(cells)
        self._reading = reading
        self.titles = titles
        """AccessCategory -> its name in the table."""
        self.roles = tuple(dict.fromkeys(role for role, _ in cells))
        """In the order of the file."""
        self._letters = {role: "".join(_letter(cells[role, each]) for each in AccessCategory) for role in self.roles}

    def cell(self, role: str, category: AccessCategory, overrides: Overrides = NO_OVERRIDES) -> Cell:
        """The rights that count. Raises KeyError for a role that is not in the policy."""
        cell = self._cells[role, category]
        rights = overrides.get((role, category.value)) if overrides else None
        if rights is None or role in OVERRIDERS:
            return cell
        return Cell(rights, not_over=cell.not_over, line=cell.line, overridden=True)

    def may(
        self,
        identity: Identity,
        category: AccessCategory,
        action: Action,
        overrides: Overrides = NO_OVERRIDES,
        over: str = "",
    ) -> Decision:
        """The decision about an action in a category. ``over``: the role of the member whom it is about."""
        if identity.role not in self.roles:
            return Denied("forbidden", "this role has no rights here")
        if not in_scope(identity.scope, category, action):
            return outside_scope(category)
        cell = self.cell(identity.role, category, overrides)
        if not cell.allows(action):
            return Denied("forbidden", f"the role {identity.role} may not do this ({category.value})")
        if over in cell.not_over:
            return Denied("forbidden", f"the role {identity.role} may not do this to the role {over}")
        return None

    def document_rule(self, document: str) -> DocumentRule | None:
        """The rule of a document, not of a derived one; None where there can be none of this name."""
        kind = None if "@" in document else kind_of(document)
        if kind is None:
            return None
        return DocumentRule(category_of(kind.name), self._reading.get(kind.name, Action.READ))

    def document_rules(self) -> Iterator[tuple[str, DocumentRule]]:
        """The rule of each document, and of each family of documents as `thread.*`."""
        for name in (*sorted(NAMES), *sorted(f"{family}.*" for family in FAMILIES)):
            rule = self.document_rule(name.replace("*", "x"))
            assert rule is not None
            yield name, rule

    def rights_to_write(self, role: str, overrides: Overrides = NO_OVERRIDES) -> str:
        """The value of `Identity.rights` for a role."""
        if not overrides:
            return self._letters[role]  # sockets come by the thousand
        return "".join(_letter(self.cell(role, category, overrides)) for category in AccessCategory)

    def roles_that_may(self, category: AccessCategory, action: Action) -> list[str]:
        """The roles whose cells allow an action, without overrides."""
        return [role for role in self.roles if self._cells[role, category].allows(action)]

    def explain(
        self, identity: Identity, category: AccessCategory, action: Action, overrides: Overrides = NO_OVERRIDES
    ) -> Explanation:
        """The decision of `may`, with the line that decides."""
        denied = self.may(identity, category, action, overrides)
        role = identity.role
        if role not in self.roles:
            return Explanation(False, f"{FILE}: [roles]", f"there is no role {role!r}, but {', '.join(self.roles)}")
        cell = self.cell(role, category, overrides)
        line = f"{FILE}:{cell.line}: roles.{role}.{category.value} = {self._cells[role, category].rights}"
        if cell.overridden:
            line = f"override of the wedding: {role}.{category.value} = {cell.rights} (in place of {line})"
        rights = " and ".join(_MEANINGS[right] for right in cell.rights.split("+"))
        limits = [cell.note] if cell.note else []
        limits += [f"only {', '.join(cell.fields)}"] if cell.fields and action in _WRITES else []
        why = f"{role} has {rights} in {self.titles[category]}" + (f" ({'; '.join(limits)})" if limits else "")
        return Explanation(denied is None, line, why)

    def check_override(self, role: str, category: str, rights: str) -> None:
        """Raise PolicyError where a couple may not set these rights for its wedding."""
        if role not in self.roles:
            raise PolicyError(f"there is no role {role!r}")
        if role in OVERRIDERS:
            raise PolicyError(f"the rights of the role {role} cannot be overridden")
        if category not in {each.value for each in AccessCategory}:
            raise PolicyError(f"there is no category {category!r}")
        _check_rights(rights, f"{role}.{category}")
        if "A" in rights and not self._cells[role, AccessCategory(category)].allows(Action.ADMINISTER):
            raise PolicyError(f"the role {role} cannot be given A in {category}")

    def table(self) -> Iterator[list[str]]:
        """Role, then its rights in each category with their remarks, for documentation."""
        for role in self.roles:
            cells = (self._cells[role, category] for category in AccessCategory)
            yield [role, *(f"{cell.rights} ({cell.note})" if cell.note else cell.rights for cell in cells)]


def is_removed(member_role: str, token_role: str) -> bool:
    """Whether the removal of a member in a role keeps out a person whose token has a role; "": it has none.

    Planners remove members, but nobody of the couple: they could make one a member in another role first.
    """
    return token_role not in OVERRIDERS or member_role in OVERRIDERS


def _letter(cell: Cell) -> str:
    if cell.fields:
        return "O"
    return "W" if cell.allows(Action.WRITE) else "O" if cell.allows(Action.WRITE_OWN) else "-"


_WRITES = (Action.WRITE, Action.WRITE_OWN)
_MEANINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "N": "no right",
        "R": "the right to read",
        "P": "the right to read a part, in a derived document",
        "O": "the right to write own items, in a derived document",
        "W": "the right to write",
        "A": "the right to administer",
    }
)


@cache
def default_policy() -> Policy:
    """The policy that ships with the package."""
    return parse_policy(files("crdt_server.access").joinpath(FILE).read_text("utf-8"))


def policy_of(access: object) -> Policy:
    """The policy by which an access object decides; the default one of those that have none."""
    found = getattr(access, "policy", None)
    return found if isinstance(found, Policy) else default_policy()


def parse_policy(text: str) -> Policy:
    """The policy in the form of `policy.toml`. Raises PolicyError with the place of the fault."""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PolicyError(f"the policy is not TOML: {error}") from error
    known = {"categories", "kinds", "roles"}
    if set(content) != known:
        wrong = sorted(set(content) ^ known)
        raise PolicyError(f"a policy has the tables {', '.join(sorted(known))}: see {', '.join(wrong)}")
    _require_all(content["categories"], "categories")
    titles = {category: str(content["categories"][category.value]) for category in AccessCategory}
    for kind, right in content["kinds"].items():
        if kind not in {each.name for each in KINDS} or right != "W":
            raise PolicyError(f'kinds.{kind}: the name of a kind, with "W", not {right!r}')
    lines = _lines_of(text)
    cells: dict[tuple[str, AccessCategory], Cell] = {}
    for role, row in content["roles"].items():
        _require_all(row, f"roles.{role}")
        for category in AccessCategory:
            cell = _cell(row[category.value], f"roles.{role}.{category.value}")
            cells[role, category] = cell._replace(line=lines.get((f"roles.{role}", category.value), 0))
    for role in (*OVERRIDERS, *(each for cell in cells.values() for each in cell.not_over)):
        if role not in content["roles"]:
            raise PolicyError(f"there is no role {role!r}")
    return Policy(cells, titles, dict.fromkeys(content["kinds"], Action.WRITE))


def _require_all(row: Any, where: str) -> None:
    names = {category.value for category in AccessCategory}
    if not isinstance(row, dict) or set(row) != names:
        wrong = sorted(set(row) ^ names) if isinstance(row, dict) else [repr(row)]
        raise PolicyError(f"{where} has each category once: see {', '.join(wrong)}")


def _cell(value: Any, where: str) -> Cell:
    if isinstance(value, str):
        rights, _, note = value.partition(" ")
        if note and not (note.startswith("(") and note.endswith(")")):
            raise PolicyError(f"{where}: rights, then a remark in brackets, not {value!r}")
        cell = Cell(rights, note[1:-1])
    elif isinstance(value, dict) and "rights" in value and set(value) <= {"rights", "note", "fields", "not_over"}:
        lists = [value.get(name, []) for name in ("fields", "not_over")]
        if not all(isinstance(each, list) and all(isinstance(name, str) for name in each) for each in lists):
            raise PolicyError(f"{where}: fields and not_over are lists of names")
        fields, not_over = map(tuple, lists)
        cell = Cell(value["rights"], str(value.get("note", "")), fields, not_over)
    else:
        raise PolicyError(f"{where}: rights, or a table with rights, note, fields, not_over; not {value!r}")
    _check_rights(cell.rights, where)
    return cell


def _check_rights(rights: Any, where: str) -> None:
    letters = rights.split("+") if isinstance(rights, str) else []
    if not letters or any(len(each) != 1 or each not in _RIGHTS for each in letters):
        raise PolicyError(f"{where}: rights are letters of {_RIGHTS} with + between them, not {rights!r}")
    if len(set(letters)) < len(letters) or ("N" in letters and len(letters) > 1):
        raise PolicyError(f"{where}: {rights!r} contradicts itself")


def _lines_of(text: str) -> dict[tuple[str, str], int]:
    """Table and key -> line, for messages only."""
    table, found = "", {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if line.startswith("["):
            table = line.strip("[]")
        elif "=" in line and not line.startswith("#"):
            found[table, line.partition("=")[0].strip()] = number
    return found


class Decides(Protocol):
    """The part of `Access` that decides."""

    def may(self, identity: Identity, action: Action, wedding: str, target: Target) -> Decision:
        """See `Access.may`."""


def room_rights(access: Decides, identity: Identity, wedding: str, document: str) -> RoomRights | Denied:
    """The right to the room of a document, or its denial."""
    denied = access.may(identity, Action.READ, wedding, document)
    if denied is not None:
        return denied
    if access.may(identity, Action.WRITE, wedding, document) is None:
        return RoomRights(identity)
    return RoomRights(identity._replace(rights=identity.rights or NO_RIGHTS), reads_only=True)
