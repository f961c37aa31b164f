"""Field types in the two languages that clients are generated for: TypeScript, and JSON Schema (draft 2020-12).

One entry for each subclass of `FieldType`; a class without an entry uses that of the class it is made from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from documents.fields import (
    MAX_INTEGER,
    AnyJson,
    Bool,
    Code,
    Date,
    DecimalString,
    Enum,
    FieldType,
    Flag,
    Id,
    Instant,
    Integer,
    Json,
    JsonObject,
    ListOf,
    Minutes,
    Money,
    Note,
    Nullable,
    OrderKey,
    Pattern,
    Reference,
    String,
)

_DAY: Final = r"^\d{4}-\d\d-\d\d$"
_INSTANT: Final = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$"

Spec = dict[str, Json]
"""A field type as JSON: its sort in `type`, and its limits. The TypeScript client reads it at run time."""


def limits(field: FieldType) -> Spec:
    """The sort of a field, and its limits."""
    return next(made for cls, made in _LIMITS.items() if isinstance(field, cls))(field)


def json_schema(field: FieldType) -> Spec:
    """The JSON Schema of what a field holds in the rows, where a text is a string."""
    return next(made for cls, made in _SCHEMAS.items() if isinstance(field, cls))(field)


def typescript(field: FieldType, names: Mapping[int, str] | None = None) -> str:
    """The TypeScript type of what a field holds in a row. ``names``: of declared objects, by the `id` of their type."""
    names = names or {}
    if id(field) in names:
        return names[id(field)]
    match field:
        case Enum():
            return " | ".join(f"'{each}'" for each in field.values)
        case Nullable():
            return f"{typescript(field.inner, names)} | null"
        case ListOf():
            return f"readonly ({typescript(field.inner, names)})[]"
        case JsonObject():
            return "{ " + "; ".join(members(field, names)) + " }"
        case Flag():
            return "true"
        case Bool():
            return "boolean"
        case Integer():
            return "number"
        case AnyJson():
            return "Json"
    return "string"


def members(field: JsonObject, names: Mapping[int, str]) -> list[str]:
    """The members of an object, as TypeScript declares them."""
    return [
        f"readonly {name}{'?' if name in field.optional else ''}: {typescript(kind, names)}"
        for name, kind in field.members.items()
    ]


def _integer(field: Any, **more: Json) -> Spec:
    low = {} if field.low == -MAX_INTEGER else {"low": field.low}
    high = {} if field.high == MAX_INTEGER else {"high": field.high}
    return {"type": "integer", **({"unit": field.unit} if field.unit else {}), **low, **high, **more}


def _object(field: Any) -> Spec:
    optional: list[Json] = sorted(field.optional)
    return {
        "type": "object",
        "members": {name: limits(kind) for name, kind in field.members.items()},
        **({"optional": optional} if optional else {}),
    }


_LIMITS: Final[Mapping[type[FieldType], Callable[[Any], Spec]]] = {
    Note: lambda field: {"type": "text", "maxLength": field.max_length},
    String: lambda field: {"type": "string", "maxLength": field.max_length},
    Bool: lambda field: {"type": "boolean"},
    Flag: lambda field: {"type": "flag"},
    Money: lambda field: _integer(field, type="money"),
    Minutes: lambda field: _integer(field, type="minutes"),
    Integer: _integer,
    Reference: lambda field: {"type": "id", "to": f"{field.document}.{field.root}"},
    Id: lambda field: {"type": "id"},
    Code: lambda field: {"type": "code"},
    DecimalString: lambda field: {"type": "decimal", "about": field.words},
    Pattern: lambda field: {"type": "pattern", "about": field.words},
    Enum: lambda field: {"type": "enum", "values": list(field.values)},
    Date: lambda field: {"type": "date"},
    Instant: lambda field: {"type": "instant"},
    OrderKey: lambda field: {"type": "order", "maxLength": field.max_length},
    Nullable: lambda field: {**limits(field.inner), "nullable": True},
    ListOf: lambda field: {"type": "list", "items": limits(field.inner), "maxItems": field.max_items},
    AnyJson: lambda field: {"type": "json", "maxBytes": field.max_bytes},
    JsonObject: _object,
}


def _bounded(field: Any) -> Spec:
    return {"type": "integer", "minimum": field.low, "maximum": field.high}


def _object_schema(field: Any) -> Spec:
    required: list[Json] = [name for name in field.members if name not in field.optional]
    return {
        "type": "object",
        "properties": {name: json_schema(kind) for name, kind in field.members.items()},
        "required": required,
        "additionalProperties": False,
    }


_SCHEMAS: Final[Mapping[type[FieldType], Callable[[Any], Spec]]] = {
    String: lambda field: {"type": "string", "maxLength": field.max_length},
    Bool: lambda field: {"type": "boolean"},
    Flag: lambda field: {"const": True},
    Integer: _bounded,
    Pattern: lambda field: {"type": "string", "pattern": f"^(?:{field.pattern})$", "description": field.words},
    Enum: lambda field: {"enum": list(field.values)},
    Date: lambda field: {"type": "string", "format": "date", "pattern": _DAY},
    Instant: lambda field: {"type": "string", "format": "date-time", "pattern": _INSTANT},
    OrderKey: lambda field: {"type": "string", "maxLength": field.max_length, "pattern": "^[A-Za-z][0-9A-Za-z]*$"},
    Nullable: lambda field: {"anyOf": [json_schema(field.inner), {"type": "null"}]},
    ListOf: lambda field: {"type": "array", "items": json_schema(field.inner), "maxItems": field.max_items},
    AnyJson: lambda field: {"description": field.describe()},
    JsonObject: _object_schema,
}
