"""The server's stamps of messages, written in the step in which they are recorded: the number under which each arrived,
and of one that is redacted that its text is gone.

A message that was written offline is numbered when it comes. The numbers of a thread rise with every message and are
never used again: they follow from the stamps in its document, which nobody but the server writes, so a restart or
another node counts on. Several messages of one update are numbered in the order of their ids, which sort by time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from crdt_server.judge.ledger import Writers
from documents.changes import Changes, RowsByRoot
from documents.invariants import UNKNOWN, Field, Op, Writer

THREAD: Final = "thread"
_MESSAGES, _REDACTIONS, _STAMPS = "messages", "redactions", "stamps"
_KEPT: Final = ("from", "at", "kind", "inReplyTo")
"""Members of a redacted message that stay."""


class Arrivals:
    """The newest number of each thread that is open."""

    def __init__(self) -> None:
        self._newest: dict[str, int] = {}

    def forget(self, document: str) -> None:
        """A document is closed."""
        self._newest.pop(document, None)

    def ops(self, document: str, rows: RowsByRoot, changes: Changes, at: str) -> tuple[list[Op], list[Op]]:
        """Operations after changes of a thread, which ``rows`` have already: the stamps of new messages, and those
        that empty the messages that are redacted."""
        named = {record for root, record in changes.added if root in (_MESSAGES, _REDACTIONS)}
        if not named:
            return [], []
        if document not in self._newest:
            self._newest[document] = max(map(_number, rows[_STAMPS].values()), default=0)
            named |= rows[_MESSAGES].keys()  # also those from before the server did this
        return self._stamps(document, rows, named, at), _emptied(document, rows, named)

    def _stamps(self, document: str, rows: RowsByRoot, named: Iterable[str], at: str) -> list[Op]:
        stamped, messages = rows[_STAMPS], rows[_MESSAGES]
        ops = []
        for message in sorted(each for each in named if each in messages and each not in stamped):
            self._newest[document] += 1
            stamp = {"sequence": self._newest[document], "at": at}
            ops.append(Op("set", document, _STAMPS, message, None, stamp))
        return ops


def _emptied(document: str, rows: RowsByRoot, named: Iterable[str]) -> list[Op]:
    """Also of messages that came after their redaction."""
    messages, redactions = rows[_MESSAGES], rows[_REDACTIONS]
    found = {each: messages.get(each) for each in sorted(named) if each in redactions}
    return [
        Op("set", document, _MESSAGES, message, None, without_text(row))
        for message, row in found.items()
        if isinstance(row, dict) and row != without_text(row)
    ]


def without_text(message: Mapping[str, Any]) -> dict[str, Any]:
    """A message as it is after its redaction."""
    return {name: message[name] for name in _KEPT if name in message} | {"body": ""}


def forgetting(changes: Changes) -> Changes:
    """Changes without what was there before: no writer and no event keeps it."""
    return changes._replace(fields=[each._replace(before=each.after) for each in changes.fields])


def without_before(writers: Writers, ops: Sequence[Op]) -> dict[Field, Writer]:
    """The writers of fields, without what those held before."""
    fields = [Field(*op[1:5]) for op in ops]
    found = {field: writers.get(field) for field in fields}
    return {field: writer._replace(before=UNKNOWN) for field, writer in found.items() if writer.user}


def _number(stamp: object) -> int:
    number = stamp.get("sequence") if isinstance(stamp, dict) else None
    return number if isinstance(number, int) else 0
