"""The description of all calls in OpenAPI, as far as it does not follow from the endpoints: short ids of operations,
the answers that every call may give, and the schemas of what is encoded by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from documents.events.rules import TYPES

Schema: TypeAlias = dict[str, Any]
"""A part of a description."""

_STRING: Final = {"type": "string"}
_INTEGER: Final = {"type": "integer"}

PROBLEM: Final[Schema] = {
    "type": "object",
    "description": "Why a call was refused (RFC 9457)",
    "required": ["type", "title", "status", "code", "detail", "message"],
    "properties": {
        **dict.fromkeys(("type", "title", "detail"), _STRING),
        "status": _INTEGER,
        "code": {**_STRING, "description": "Stable; GET /api/errors/{code} explains it"},
        "message": {**_STRING, "description": "The same as `detail`"},
        "link": {**_STRING, "description": "Where the code is explained"},
        "field": {**_STRING, "description": "The parameter, the member of the body, or root/record/key of a row"},
        "expected": {**_STRING, "description": "What it takes"},
        "got": {**_STRING, "description": "What came, as JSON, where that is short"},
        "problems": {"type": "array", "items": {"type": "object"}, "description": "All that is wrong, the first above"},
        "after": {**_INTEGER, "description": "Of `events_expired`: the number behind which all events are kept"},
    },
}
ROWS: Final[Schema] = {
    "type": "object",
    "description": "Root -> id of the record -> the keys of the record, or its one value. The id is empty where the "
    "root is one record or one text. The fields of each kind are in documents/README.md",
    "additionalProperties": {"type": "object", "additionalProperties": True},
}
_ACTOR: Final[Schema] = {
    "type": "object",
    "required": ["user", "role"],
    "properties": {"user": _STRING, "role": _STRING},
}
EVENT: Final[Schema] = {
    "type": "object",
    "required": ["seq", "id", "wedding", "type", "at"],
    "properties": {
        "seq": {**_INTEGER, "minimum": 1},
        "id": {**_STRING, "description": "The wedding and the number"},
        "wedding": _STRING,
        "type": {**_STRING, "examples": sorted(TYPES)[:5]},
        "priority": {**_INTEGER, "minimum": 0, "maximum": 4},
        "at": {**_STRING, "format": "date-time"},
        "actor": _ACTOR,
        "document": _STRING,
        "root": _STRING,
        "record": _STRING,
        "fields": {"type": "array", "items": _STRING},
        "before": {"description": "The changed keys as they were, or the one value; null: there was nothing"},
        "after": {"description": "The changed keys as they are, or the one value; null: there is nothing"},
        "cause": {**_STRING, "description": "The conflict or command from which it follows"},
        "edits": {"type": "array", "items": {"type": "object"}, "description": "The differences of a long text"},
        "others": {"type": "array", "items": _ACTOR},
    },
}
EVENTS: Final[Schema] = {
    "type": "object",
    "required": ["events", "head", "next"],
    "properties": {
        "events": {"type": "array", "items": {"$ref": "#/components/schemas/Event"}},
        "head": _INTEGER,
        "next": _INTEGER,
    },
}
COMMAND_DONE: Final[Schema] = {"type": "object", "required": ["operations"], "properties": {"operations": _INTEGER}}

_TOKEN: Final[Schema] = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "JWT",
    "description": "See docs/tokens.md; also as the parameter `token` of the query. With `--dev` no call needs one",
}

_SCHEMAS: Final = {"Problem": PROBLEM, "Rows": ROWS, "Event": EVENT, "Events": EVENTS, "CommandDone": COMMAND_DONE}
_WEDDING: Final = "/api/weddings/{wedding}"
_ANSWERS: Final = {
    ("get", f"{_WEDDING}/documents/{{document}}"): "Rows",
    ("get", f"{_WEDDING}/events"): "Events",
    ("post", f"{_WEDDING}/ops"): "CommandDone",
    ("post", f"{_WEDDING}/documents/{{document}}/ops"): "CommandDone",
}
"""Method and path -> schema of the answer of a call that encodes it by hand."""

_REFUSALS: Final = {
    "400": "The request is malformed",
    "401": "No token, or none that is valid",
    "403": "No right to this",
    "404": "No such thing",
    "429": "Too much in too short a time; `Retry-After` says for how long",
    "503": "Not now; `Retry-After` says for how long",
}
"""The refusals of every call; the others are the `default`."""

_REFUSALS_OF_PROBES: Final = {"503": "Not ready: `code` has the reason"}


def describe(description: Schema) -> None:
    """Complete a description in place."""
    components = description.setdefault("components", {})
    components["securitySchemes"] = {"token": _TOKEN}
    description["security"] = [{"token": []}]
    schemas = components.setdefault("schemas", {})
    schemas |= _SCHEMAS
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for path, calls in description["paths"].items():
        for method, call in calls.items():
            call["operationId"] = _short(method, path)
            if not path.startswith("/api"):
                call["security"] = []
            refusals = _REFUSALS if path.startswith("/api") else _REFUSALS_OF_PROBES
            _describe_answers(call, _ANSWERS.get((method, path)), refusals)


def _describe_answers(call: Schema, schema: str | None, refusals: Mapping[str, str]) -> None:
    answers = call["responses"]
    if answers.get("422", {}).get("description") == "Validation Error":  # it is 400 here
        del answers["422"]
    if schema is not None:
        answers["200"].setdefault("content", {}).setdefault("application/json", {})["schema"] = _reference(schema)
    problem = {"application/problem+json": {"schema": _reference("Problem")}}
    for status, text in {**refusals, "default": "Another refusal"}.items():
        answers.setdefault(status, {"description": text})
    for status, answer in answers.items():
        if not status.startswith("2"):
            answer.setdefault("content", problem)


def _reference(schema: str) -> Schema:
    return {"$ref": f"#/components/schemas/{schema}"}


def _short(method: str, path: str) -> str:
    """`get …/inbox/unread` -> `getInboxUnread`, `get …/threads/{thread}` -> `getThread`."""
    words: list[str] = []
    for part in path.removeprefix(_WEDDING).removeprefix("/api").strip("/").split("/"):
        word = part.strip("{}")
        if part != word and words and words[-1] == word + "s":
            words.pop()
        words.append(word)
    return method + "".join(each.capitalize() for word in words for each in word.replace("-", "_").split("_"))
