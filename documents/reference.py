"""The published table of fields, made from the declarations."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields

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
