"""The kinds as TypeScript: an interface for each record and value, the types of events, and all types, limits and lists
of words as one constant, for programs that check what people type before it is sent.

A row in TypeScript has the names of the document. Two things differ: a key of the server has no `_` in front, and a
family of keys `rsvp:<event>` is one mapping, under the name that it has in Python.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Final

from documents import budget, seating, shared, threads, wedding
from documents.events.rules import TYPES
from documents.field_schemas import Spec, limits, members, typescript
from documents.fields import FieldType, Json, JsonObject
from documents.kind import Key, Kind, Root, Shape, camel_case
from documents.registry import KINDS

_HEAD: Final = """\
// Generated from documents/ by `crdt-server schema --typescript`. Do not edit.

/** Any JSON. */
export type Json = boolean | number | string | null | readonly Json[] | { readonly [key: string]: Json }

/** A family of keys: `rsvp:e_1` of a document is `rsvp.e_1` here. */
export type Family<V> = { readonly [member: string]: V }

/** Keys of your own: any JSON up to 1 KB. */
export interface Extensible {
  readonly [key: `x:${string}.${string}`]: Json | undefined
}

/** The type of a field, and its limits. */
export interface FieldSpec {
  readonly type: 'string' | 'text' | 'boolean' | 'flag' | 'integer' | 'money' | 'minutes' | 'id' | 'code' | 'decimal' |
    'pattern' | 'enum' | 'date' | 'instant' | 'order' | 'list' | 'json' | 'object'
  /** Its key in the document, of a family its prefix, where that is another name. */
  readonly key?: string
  /** Of a family: what its members are. */
  readonly family?: FieldSpec
  /** Only the server writes it. */
  readonly server?: true
  /** What it counts as where it is absent. */
  readonly absent?: Json
  /** In Unicode code points. */
  readonly maxLength?: number
  readonly low?: number
  readonly high?: number
  readonly unit?: string
  readonly about?: string
  /** Document and root of which it is an id. */
  readonly to?: string
  readonly values?: readonly string[]
  readonly nullable?: true
  readonly items?: FieldSpec
  readonly maxItems?: number
  readonly maxBytes?: number
  readonly members?: { readonly [name: string]: FieldSpec }
  readonly optional?: readonly string[]
}

export interface RootSpec {
  readonly shape: 'records' | 'values' | 'record' | 'text'
  readonly fields?: { readonly [name: string]: FieldSpec }
  readonly value?: FieldSpec
  readonly server?: true
  /** What is written stays as it is. */
  readonly final?: true
  /** Clients take rows away for good. */
  readonly removable?: true
  /** The root in which rows of this one are withdrawn. */
  readonly withdrawals?: string
}

export interface KindSpec {
  readonly version: number
  readonly roots: { readonly [name: string]: RootSpec }
}
"""

_OBJECTS: Final[tuple[tuple[str, FieldType | None], ...]] = (
    ("Stamp", shared.STAMP),
    ("Retraction", shared.RETRACTION),
    ("Address", shared.ADDRESS),
    ("Payment", budget.KIND.roots["payments"].type),
    ("Contribution", budget.KIND.roots["contributions"].type),
    ("Seat", seating.KIND.roots["assignments"].type),
    ("Message", threads.KIND.roots["messages"].type),
    ("Arrival", threads.KIND.roots["stamps"].type),
    ("Location", wedding.KIND.roots["places"].keys["location"].type),
    ("Contact", wedding.KIND.roots["vendors"].keys["contact"].type),
    ("Window", wedding.KIND.roots["vendors"].keys["bookedWindow"].type),
    ("Position", seating.KIND.roots["tables"].keys["position"].type),
    ("Size", seating.KIND.roots["tables"].keys["size"].type),
)
_EVENT_TYPES: Final = "/** The types of events of documents. */\nexport type EventType ="

_REVIEW: Final[Spec] = {"constant": "REVIEW"}
"""Stands for a root that all kinds have."""

_NAMES: Final[Mapping[int, str]] = {id(field): name for name, field in _OBJECTS}


def typescript_source() -> str:
    """The whole file."""
    parts = [_HEAD, *(_object(name, field) for name, field in _OBJECTS if isinstance(field, JsonObject))]
    declared = set[str]()
    for root in (root for kind in KINDS for root in kind.roots.values()):
        if root.record is not None and root.record.__name__ not in declared:
            declared.add(root.record.__name__)
            parts.append(_interface(root))
    parts.append("\n".join([_EVENT_TYPES, *(f"  | '{each}'" for each in sorted(TYPES)), ""]))
    kinds: Json = {kind.name: _kind(kind) for kind in KINDS if not kind.free}
    parts.append(f"const REVIEW = {_literal(_root(shared.review()))} as const\n")
    satisfies = "as const satisfies { readonly [kind: string]: KindSpec }"
    parts.append(f"export const SCHEMA = {_literal(kinds)} {satisfies}\n")
    return "\n".join(parts)


def _object(name: str, field: JsonObject) -> str:
    return "\n".join([f"export interface {name} {{", *(f"  {each}" for each in members(field, _NAMES)), "}\n"])


def _interface(root: Root) -> str:
    assert root.record is not None
    extends = " extends Extensible" if root.extensible else ""
    about = (root.record.__doc__ or "").strip()
    lines = [f"/** {about} */", f"export interface {root.record.__name__}{extends} {{"]
    for key in (*root.keys.values(), *root.families.values()):
        lines += _member(root, key)
    return "\n".join([*lines, "}\n"])


def _member(root: Root, key: Key) -> Iterator[str]:
    held = typescript(key.type, _NAMES)
    absent = _absent(root, key)
    counts = "" if absent is None else f" Absent: `{json.dumps(absent)}`."
    if key.suffix is not None:
        yield f"  /** {key.about} By {key.suffix.describe()}. Each: {key.type.describe()}. */"
        yield f"  readonly {row_name(key)}?: Family<{held}>"
    else:
        yield f"  /** {key.about}{counts} {_sentence(key.type)} */"
        yield f"  readonly {row_name(key)}?: {held}"


def _sentence(field: FieldType) -> str:
    words = field.describe()
    return words[0].upper() + words[1:] + "."


def row_name(key: Key) -> str:
    """The name of a key in rows of TypeScript."""
    return camel_case(key.attribute)


def _absent(root: Root, key: Key) -> Json:
    assert root.record is not None
    (default,) = (item.default for item in fields(root.record) if item.name == key.attribute)
    return default if isinstance(default, str | bool) else None


def _kind(kind: Kind) -> Spec:
    roots: Spec = {root.name: _REVIEW if root.name == "review" else _root(root) for root in kind.roots.values()}
    return {"version": kind.version, "roots": roots}


def _root(root: Root) -> Spec:
    spec: Spec = {"shape": root.shape.value}
    if root.type is not None and root.shape is not Shape.TEXT:
        spec["value"] = limits(root.type)
    if root.record is not None:
        keys = (*root.keys.values(), *root.families.values())
        spec["fields"] = {row_name(key): _field(root, key) for key in keys}
    flags = {"server": root.server, "final": root.final, "removable": root.removable}
    spec |= {name: True for name, flag in flags.items() if flag}
    return spec if root.withdrawals is None else {**spec, "withdrawals": root.withdrawals}


def _field(root: Root, key: Key) -> Spec:
    spec = limits(key.type)
    prefix = key.name.rstrip(":")
    if prefix != row_name(key):
        spec["key"] = prefix
    if key.suffix is not None:
        spec["family"] = limits(key.suffix)
    absent = _absent(root, key)
    if absent is not None:
        spec["absent"] = absent
    if (root.server and key.name not in root.client_keys) or key.server:
        spec["server"] = True
    return spec


def _literal(value: Json, depth: int = 0) -> str:
    """A value as a literal of TypeScript: on one line where it fits, as people write it elsewhere."""
    flat = _flat(value)
    if value is _REVIEW or not isinstance(value, dict) or (depth > 0 and len(flat) + 2 * depth < 110):
        return flat
    inner = "  " * (depth + 1)
    rows = [f"{inner}{_name(name)}: {_literal(each, depth + 1)}" for name, each in value.items()]
    return "{\n" + ",\n".join(rows) + "\n" + "  " * depth + "}"


def _flat(value: Json) -> str:
    if value is _REVIEW:
        return "REVIEW"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_name(name)}: {_flat(each)}" for name, each in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_flat(each) for each in value) + "]"
    if isinstance(value, str) and "'" not in value and "\\" not in value:
        return f"'{value}'"
    return json.dumps(value, ensure_ascii=False)


def _name(name: str) -> str:
    return name if name.isidentifier() else f"'{name}'"
