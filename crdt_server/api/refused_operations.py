"""Why operations were refused, as the problem documents say it: the field, what it takes, and what came."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from crdt_server.operations import Operation, Problem
from documents.fields import Reason
from documents.kind import Root
from documents.registry import kind_of

MOST_GOT: Final = 100
"""Characters of the longest value that is sent back."""

_OF_VALUES: Final = frozenset(("type", "length", "range", "format", "choice", "member", "id"))
"""Codes of problems with one value: see `documents.fields.REASONS`."""

Parts = Sequence[tuple[str, Sequence[Operation]]]


class _Place(NamedTuple):
    root: str
    record: str
    key: str | None


def described(problem: Problem, parts: Parts) -> Problem:
    """A problem with `field`, `expected` and `got`, as far as they are known."""
    found = problem.copy()
    found["expected"] = problem["message"]
    place = _place(problem, parts)
    if place is None:
        return found
    found["field"] = "/".join(filter(None, place))
    found["expected"] = _expected(problem, place) or problem["message"]
    got = next(_values(problem["document"], place, parts), None)
    text = None if got is None else json.dumps(got)
    if text is not None and len(text) <= MOST_GOT:
        found["got"] = text
    return found


def _place(problem: Problem, parts: Parts) -> _Place | None:
    if "root" in problem:
        return _Place(problem["root"], problem.get("record", ""), problem.get("key"))
    index = problem.get("index")
    operations = [each for document, part in parts if document == problem["document"] for each in part]
    if index is None or index >= len(operations):
        return None
    operation = operations[index]
    root, record, key = operation["root"], operation.get("record") or "", operation.get("key")
    return _Place(root, record, _wrong_key(problem, root, record, operation) if operation["op"] == "insert" else key)


def _wrong_key(problem: Problem, root: str, record: str, operation: Operation) -> str | None:
    """The first key of a new record that is refused for the reason of the problem."""
    declared, value = _root(problem["document"], root), operation.get("value")
    if declared is None or not isinstance(value, dict):
        return None
    for key, each in value.items():
        checked = declared.check(record, key, each)
        if isinstance(checked, Reason) and checked.code == problem["code"]:
            return str(key)
    return None


def _root(document: str, root: str) -> Root | None:
    kind = kind_of(document)
    return None if kind is None else kind.root(root)


def _expected(problem: Problem, place: _Place) -> str | None:
    root = _root(problem["document"], place.root)
    if root is None or problem["code"] not in _OF_VALUES:
        return None
    declared = root.key(place.key) if place.key else None
    type_ = declared.type if declared is not None else None if place.key else root.type
    return None if type_ is None else type_.describe()


def _values(document: str, place: _Place, parts: Parts) -> Iterator[Any]:
    """The values that a command has for a place, the last first."""
    for name, operations in reversed(parts):
        for operation in reversed(operations):
            if (name, operation["root"], operation.get("record") or "") != (document, place.root, place.record):
                continue
            value = operation.get("value")
            if operation.get("key") == place.key and value is not None:
                yield value
            elif operation["op"] == "insert" and isinstance(value, dict) and place.key in value:
                yield value[place.key]
