"""The rows of the kinds as JSON Schema (draft 2020-12): what `GET …/documents/{document}` answers, and what operations
write. A record that is not shown whole, as in derived documents, has fewer keys and the same types."""

from __future__ import annotations

import re
from typing import Any, Final

from documents.field_schemas import Spec, json_schema
from documents.fields import MAX_EXTENSION_BYTES, AnyJson, FieldType, Pattern
from documents.kind import MAX_RECORD_KEYS, Key, Kind, Root, Shape
from documents.registry import KINDS

_EXTENSION: Final = r"^x:[a-z0-9][a-z0-9-]{0,38}\.[A-Za-z0-9_-]{1,64}$"


def json_schema_document() -> Spec:
    """One schema with all: `$defs` has each record, `properties` the kinds of documents by name."""
    named: dict[str, Any] = {}
    for root in (root for kind in KINDS for root in kind.roots.values()):
        if root.record is not None:
            named[root.record.__name__] = _record(root)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Rows of the documents of a wedding",
        "type": "object",
        "properties": {kind.name: _kind(kind) for kind in KINDS if not kind.free},
        "$defs": named,
    }


def _kind(kind: Kind) -> Spec:
    return {
        "description": kind.about,
        "type": "object",
        "properties": {root.name: _root(root) for root in kind.roots.values()},
        "additionalProperties": False,
    }


def _root(root: Root) -> Spec:
    row: Spec = json_schema(root.type) if root.type is not None else {"$ref": f"#/$defs/{_name(root)}"}
    if root.shape in (Shape.RECORD, Shape.TEXT):  # their one row has the id ""
        rows: Spec = {"properties": {"": row}, "additionalProperties": False}
    else:
        rows = {"propertyNames": json_schema(root.ids), "additionalProperties": row}
    return {"description": root.about, "type": "object", **rows, **({"readOnly": True} if root.server else {})}


def _name(root: Root) -> str:
    assert root.record is not None
    return root.record.__name__


def _record(root: Root) -> Spec:
    patterns: Spec = {f"^{re.escape(name)}:{_suffix(key)}$": _key(key) for name, key in root.families.items()}
    if root.extensible:
        patterns[_EXTENSION] = json_schema(AnyJson(MAX_EXTENSION_BYTES))
    return {
        "description": (root.record.__doc__ or "").strip(),
        "type": "object",
        "properties": {name: _key(key) for name, key in root.keys.items()},
        **({"patternProperties": patterns} if patterns else {}),
        "additionalProperties": False,
        "maxProperties": MAX_RECORD_KEYS,
    }


def _suffix(key: Key) -> str:
    suffix: FieldType | None = key.suffix
    return f"(?:{suffix.pattern})" if isinstance(suffix, Pattern) else ".{1,64}"


def _key(key: Key) -> Spec:
    server: Spec = {"readOnly": True} if key.server else {}
    return {"description": key.about, **json_schema(key.type), **server}
