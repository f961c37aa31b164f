"""The published tables of fields, of derived documents, of events and of the rules of roles, made from the
declarations."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import fields

from documents.derived import DECLARATIONS, Declaration
from documents.events.rules import BY_SEVERITY, OVER_LIMIT, RULES, TYPES, URGENT_WHILE_LIVE, On, Rule, priority_of
from documents.field_rules import EVERYBODY, OWN, RESERVED, STAMPED, FieldRule
from documents.kind import Key, Kind, Root, Shape
from documents.registry import KINDS

_SHAPES = {
    Shape.RECORDS: "`Y.Map` of id → record (`Y.Map`)",
    Shape.VALUES: "`Y.Map` of id → one JSON value",
    Shape.RECORD: "`Y.Map`, one record",
    Shape.TEXT: "`Y.Text`",
}


def field_tables() -> str:
    """Markdown: for each kind its roots, for each root its keys, with types, units and meaning."""
    return "\n".join(line for kind in KINDS if not kind.free for line in _kind(kind))


def _kind(kind: Kind) -> Iterator[str]:
    names = [f"`{kind.name}`"] * kind.one + [f"`{kind.name}.{{id}}`"] * kind.many
    yield f"### Fields of {', '.join(names)}"
    yield ""
    yield f"{kind.about} Schema version {kind.version}."
    for root in kind.roots.values():
        if root.name == "review" and kind is not KINDS[0]:
            yield ""
            yield "**`review`**: as in `wedding`."
            continue
        yield ""
        yield from _root(root)
    yield ""


def _root(root: Root) -> Iterator[str]:
    owner = " Only the server writes it." if root.server and not root.client_keys else ""
    owner += " What is written stays as it is." if root.final else ""
    owner += " Clients may delete rows." if root.removable else ""
    yield f"**`{root.name}`** · {_SHAPES[root.shape]}. {root.about}{owner}"
    if root.type is not None:
        yield ""
        yield f"Value: {root.type.describe()}"
        return
    yield ""
    yield "| key | in Python | type | meaning |"
    yield "|---|---|---|---|"
    for key in [*root.keys.values(), *root.families.values()]:
        yield _key(root, key)


def _key(root: Root, key: Key) -> str:
    name = key.name if key.suffix is None else f"{key.name}<{key.suffix.describe()}>"
    kind = key.type.describe().replace("|", "\\|")
    default = _default(root, key)
    return f"| `{name}` | `{key.attribute}` | {kind} | {key.about}{default} |"


def _default(root: Root, key: Key) -> str:
    assert root.record is not None
    (default,) = (item.default for item in fields(root.record) if item.name == key.attribute)
    return f" Absent: `{json.dumps(default)}`." if isinstance(default, str | bool) else ""


def event_table() -> str:
    """Markdown: the types of events, how urgent each is, and which changes are of it."""
    where: dict[str, dict[str, dict[str, None]]] = {type: {} for type in sorted(TYPES)}
    for (kind, root), rules in RULES.items():
        place = "`review`" if root == "review" else f"`{kind}.{root}`"
        for rule in rules:
            where[rule.type].setdefault(place, {})[_when(rule, rules)] = None
    where[OVER_LIMIT]["`review`"] = {"added with `_kind` B1, besides `conflict.opened`": None}
    rows = [f"| `{type}` | {_priority(type)} | {_places(places)} |" for type, places in where.items()]
    return "\n".join(["| type | priority | when |", "|---|---|---|", *rows, ""])


def _when(rule: Rule, rules: tuple[Rule, ...]) -> str:
    keys = ", ".join(f"`{key}<…>`" if key.endswith(":") else f"`{key}`" for key in rule.keys)
    values = " / ".join(rule.values)
    if rule.on is On.ADDED and keys:
        return f"added with {keys} {values}"
    if not keys:
        rivals = [each for each in rules if each is not rule and rule.on in (each.on, On.CHANGED)]
        return f"otherwise {rule.on.value}" if rivals else rule.on.value
    along = f" (with {', '.join(f'`{key}`' for key in rule.along)})" if rule.along else ""
    return f"{keys} {rule.on.value}" + (f" to {values}" if values else "") + along


def _places(places: dict[str, dict[str, None]]) -> str:
    """Roots in which the same changes are of a type are named together."""
    together: dict[str, list[str]] = {}
    for place, changes in places.items():
        together.setdefault("; ".join(changes), []).append(place)
    return ". ".join(f"{', '.join(names)}: {changes}" for changes, names in together.items())


def _priority(type: str) -> str:
    usual = str(priority_of(type))
    if type == "conflict.opened":
        return ", ".join(f"{severity} {priority}" for severity, priority in BY_SEVERITY.items())
    return f"{usual}, live {priority_of(type, live=True)}" if type.partition(".")[0] in URGENT_WHILE_LIVE else usual


def rules_table() -> str:
    """Markdown: the fields that few roles write, and those that are written by roles which write nothing else there."""
    head = ["| fields | right | roles | which |", "|---|---|---|---|"]
    reserved = [f"| {_fields(rule)} | all | {_roles(rule)} | {rule.text} |" for rule in RESERVED]
    stamps = f"| each stamp (`{{at, by}}`), and each `by` | all, own | everybody | {STAMPED} |"
    own = [f"| {_fields(rule)} | own | {_roles(rule)} | {rule.text} |" for rule in OWN]
    return "\n".join([*head, stamps, *reserved, *own, ""])


def _fields(rule: FieldRule) -> str:
    place = f"`{rule.kind}.{rule.root}`" if rule.root else "each record"
    keys = ", ".join(f"`{key}`" for key in sorted(rule.keys or ()))
    return f"{place}: {keys}" if keys else place


def _roles(rule: FieldRule) -> str:
    return "everybody" if rule.roles == EVERYBODY else ", ".join(sorted(rule.roles))


def derived_table() -> str:
    """Markdown: the derived documents, for whom each is, what it shows, and what of it may be written."""
    rows = [
        f"| `{each.name}{'.{' + each.own + '}' if each.own else ''}` | {_readers(each)} | {each.kind.about} "
        f"| {_shown(each)} | {_written(each)} |"
        for each in DECLARATIONS
    ]
    return "\n".join(["| document | for | what | roots and keys | writable |", "|---|---|---|---|---|", *rows, ""])


def _readers(declaration: Declaration) -> str:
    return ", ".join(sorted(declaration.roles)) or "those with a grant"


def _shown(declaration: Declaration) -> str:
    roots = [each.root for each in declaration.projections.values() if each.root.name != "emergencies"]
    return "; ".join(f"`{root.name}`: {_names(root, [*root.keys, *root.families])}" for root in roots)


def _written(declaration: Declaration) -> str:
    found = []
    for name, each in declaration.projections.items():
        root = each.root
        keys = [key for key in (*root.keys, *root.families) if root.clients_may_write(_key_of(root, key))]
        if each.refuses is not None and name != "emergencies":
            added = ", and records may be added" if root.clients_may_write(None) else ""
            found.append(f"`{name}`: {_names(root, keys)}{added}")
    return "; ".join(found) or "—"


def _names(root: Root, keys: Sequence[str]) -> str:
    if root.type is not None:
        return "the value"
    return ", ".join(f"`{_key_of(root, key)}`" for key in keys)


def _key_of(root: Root, key: str) -> str:
    return f"{key}:" if key in root.families else key
