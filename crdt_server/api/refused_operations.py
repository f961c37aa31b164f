"""Why operations were refused, as the problem documents say it: the field, what it takes, and what came."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from crdt_server.api.problems import MOST_GOT
from crdt_server.operations import Operation, Problem
from documents.fields import Reason
from documents.kind import Root
from documents.registry import kind_of

_OF_VALUES: Final = frozenset(("type", "length", "range", "format", "choice", "member", "id"))
"""Codes of problems with one value: see `documents.fields.REASONS`."""

Parts = Sequence[tuple[str, Sequence[Operation]]]


class _Place(NamedTuple):
    root: str
    record: str
    key: str | None


class RefusedCommand:
    """The operations of a command some of which were refused, read once for all problems. ``parts``: in order, by the
    document that they are for."""

    def __init__(self, parts: Parts) -> None:
        self._operations: dict[str, list[Operation]] = {}
        self._values: dict[tuple[str, _Place], Any] = {}  # document and place -> the last value for it
        for document, operations in parts:
            self._operations.setdefault(document, []).extend(operations)
            for operation in operations:
                self._add_values(document, operation)

    def described(self, problem: Problem) -> Problem:
        """A problem with `field`, `expected` and `got`, as far as they are known."""
        found = problem.copy()
        found["expected"] = problem["message"]
        place = self._place(problem)
        if place is None:
            return found
        found["field"] = "/".join(filter(None, place))
        found["expected"] = _expected(problem, place) or problem["message"]
        got = self._values.get((problem["document"], place))
        text = None if got is None else json.dumps(got)
        if text is not None and len(text) <= MOST_GOT:
            found["got"] = text
        return found

    def _add_values(self, document: str, operation: Operation) -> None:
        value = operation.get("value")
        if value is None:
            return
        place = _Place(operation["root"], operation.get("record") or "", operation.get("key"))
        self._values[document, place] = value
        if operation["op"] == "insert" and isinstance(value, dict):
            for key, each in value.items():
                self._values[document, place._replace(key=key)] = each

    def _place(self, problem: Problem) -> _Place | None:
        if "root" in problem:
            return _Place(problem["root"], problem.get("record", ""), problem.get("key"))
        index, operations = problem.get("index"), self._operations.get(problem["document"], ())
        if index is None or index >= len(operations):
            return None
        operation = operations[index]
        root, record, key = operation["root"], operation.get("record") or "", operation.get("key")
        if operation["op"] == "insert":
            key = _wrong_key(problem, root, record, operation)
        return _Place(root, record, key)


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
