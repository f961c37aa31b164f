"""Operations of programs on the rows of documents, and the problems that refuse them.

JSON objects with known keys: the digest of a command, which is stored, and the answers over HTTP follow from them.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict

OperationKind: TypeAlias = Literal["set", "insert", "delete", "move", "text"]


class OperationValues(TypedDict, total=False):
    """The members of an operation that depend on its kind, see `crdt_server.judge.commands`."""

    key: str | None
    value: Any
    """Any JSON: the kind of the document decides what it accepts."""
    after: str | None
    index: int
    delete: int
    insert: str


class Operation(OperationValues):
    """One operation on one row of a document."""

    op: OperationKind
    root: str
    record: NotRequired[str]


class Problem(TypedDict):
    """A reason why a command was refused, and its place where that is known."""

    document: str
    code: str
    message: str
    index: NotRequired[int]
    """Of the operation."""
    root: NotRequired[str]
    record: NotRequired[str]
    key: NotRequired[str | None]
    field: NotRequired[str]
    """The place in words: root, record and key with slashes."""
    expected: NotRequired[str]
    got: NotRequired[str]
    """JSON of the value in the command, where that is short."""
