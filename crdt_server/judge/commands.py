"""Commands: operations of a program on rows of one wedding, all of them or none.

An operation names a document, a root and a record: ``set`` a key (or, without a key, the whole value), ``insert`` a
record, ``delete`` a key or row, ``move`` a record behind another (null: to the front), ``text`` replaces a text or a
part of it (``index`` and ``delete`` count code points). They are tried on a copy first. Operations that the kind
of a document does not allow are answered with a list of problems, and nothing is done. A stamp without ``by`` is that
of the actor.

A command on a derived document is about no other. What its declaration and the rules of its sources allow the actor is
written there, as an edit of a reader of it would be (`derived_edits`).
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from crdt_server.judge.derived_document import ProjectedDocument
from crdt_server.judge.derived_edits import commanded
from crdt_server.judge.rules import Reverted, examine
from crdt_server.judge.schema_document import SchemaDocument
from crdt_server.judge.slices import Slices, Unlimited
from crdt_server.judge.wedding import WeddingJudge
from crdt_server.operations import Operation, Problem
from crdt_server.pipe import (
    ALREADY_ANSWERED,
    CommandBody,
    CommandDone,
    CommandLacks,
    CommandPart,
    CommandRefused,
    Response,
    encode,
)
from documents.changes import Changes, RowsByRoot, compare
from documents.events import Actor
from documents.field_rules import is_stamp
from documents.fields import Reason
from documents.invariants import Op, apply
from documents.invariants.model import user_id
from documents.kind import WHOLE, Root, Shape
from documents.ordering import NoPlaceError, OrderKeys, order_behind, order_of


class _Refused(Exception):
    """An operation that cannot be carried out: code and message."""


DRAFT_CPU_SECONDS = 0.5
"""For trying the operations of a command, in slices: 1,000 take 12 to 105 ms. Nothing is written yet."""
AT_ONCE_CPU_SECONDS = 0.2
"""For the same where that is one step, see `MOST_RESTARTS`."""
WRITE_CPU_SECONDS, WRITTEN_BYTES_PER_CPU_SECOND = 0.5, 512 * 1024  # 1,000 operations of 113 KB take 0.07 to 0.12 s
WRITTEN_AT_ONCE = 32
"""Operations that are one step: more are written in slices, in which their wedding waits for them."""
EXAMINED_AT_ONCE = 32
TOO_EXPENSIVE = "the operations up to this one take too long: send fewer at a time"

MOST_RESTARTS = 3
"""Of a draft whose documents have changed meanwhile: the next one is made at once."""
KEPT_SECONDS = 10.0

ANSWERED_KEPT = 500
"""Keys of the newest commands: one may arrive twice at a time, from different nodes. The store has the earlier ones."""


def write_limit_seconds(size_bytes: int) -> float:
    """CPU time for the writes of a command of this size that are made at once."""
    return WRITE_CPU_SECONDS + size_bytes / WRITTEN_BYTES_PER_CPU_SECOND


def command(
    judge: WeddingJudge,
    actor: Actor,
    body: CommandBody,
    size_bytes: int,
    *,
    drafts: Drafts | None = None,
    on_write: Callable[[], None] | None = None,
    on_written: Callable[[], None] | None = None,
    later: Callable[[Sequence[Op]], None] | None = None,
) -> Response | None:
    """Carry out a command. ``size_bytes``: by how much no document may outgrow its limit.

    ``drafts``: try the operations in their slices, and return None until that is done; ``on_write`` is called before
    they are written, ``on_written`` before invariants are looked at: their CPU time is not that of the command.
    ``later`` takes more than `WRITTEN_AT_ONCE` of them, to be written in slices.
    """
    parts = body.parts
    missing = _missing(judge, parts)
    if missing:
        judge.resolver.needed.update(missing)
        return CommandLacks(missing)
    name = body.key
    if name in judge.answered:
        message = "the command was carried out before"
        return CommandRefused([Problem(document=parts[0].document, code=ALREADY_ANSWERED, message=message)])
    draft = (drafts or Drafts(Unlimited())).tried(judge, actor, body)
    if draft is None:
        return None
    ops, problems = draft.carried()
    problems = problems or _too_large(judge, ops, size_bytes)
    if problems:
        return CommandRefused(problems)
    for name in {part.document for part in parts} & judge.derived.documents.keys():
        judge.derived.documents[name].add_writer(actor.user)
    if later is not None and len(ops) > WRITTEN_AT_ONCE:
        later(ops)
        return None
    if on_write is not None:
        on_write()
    judge.write(ops, actor)
    if on_written is not None:
        on_written()
    resolve(judge, ops)
    return answered(judge, body, ops)


def _missing(judge: WeddingJudge, parts: Sequence[CommandPart]) -> list[str]:
    """The documents of a command that are not open; of a derived one also those that it is written to."""
    names = {part.document for part in parts}
    missing = names - judge.open.keys() - judge.derived.documents.keys()
    for name in names & judge.derived.documents.keys():
        judge.derived.takes_edits(judge.derived.documents[name], missing)
    return sorted(missing)


def document_of(judge: WeddingJudge, name: str) -> SchemaDocument:
    """A document that is open, or a derived one."""
    return judge.open.get(name) or judge.derived.documents[name]


def resolve(judge: WeddingJudge, ops: Sequence[Op]) -> None:
    """Resolve what these operations, which are written, have broken or decided, as far as the slice goes."""
    for op in ops:
        if op.root == "review" and op.key == "choice":
            judge.resolver.decide(op.document, op.record)
    judge.resolve()


def answered(judge: WeddingJudge, body: CommandBody, ops: Sequence[Op]) -> CommandDone:
    """The answer to a command that is carried out: it is stored with what was changed."""
    answer, name = json.dumps({"operations": sum(len(part.operations) for part in body.parts)}), body.key
    written = ops[0].document if ops else body.parts[0].document
    if name and written in judge.open:  # a command that changes nothing of a derived document needs no memory
        judge.ledger.pending(written).answers.append((name, body.digest or "", answer))
        judge.answered[name] = None
        if len(judge.answered) > ANSWERED_KEPT:
            del judge.answered[next(iter(judge.answered))]
    return CommandDone(answer)


def _too_large(judge: WeddingJudge, ops: Sequence[Op], size_bytes: int) -> list[Problem]:
    frees = all(op.kind == "delete" or op.key == "deleted" for op in ops)
    documents = sorted({op.document for op in ops})
    refused = [name for name in documents if judge.open[name].over_quota and not frees]
    if refused:
        message = "the wedding has no room left"
        return [Problem(document=name, code="over_quota", message=message) for name in refused]
    full = [document for document in documents if not judge.open[document].takes(size_bytes, frees=frees)]
    return [Problem(document=name, code="too_large", message="the document is full") for name in full]


class Drafts:
    """The commands of a host whose operations are being tried, in slices: of each its draft, as long as it comes again.

    ``clock``: the CPU time of this process in seconds, of which one draft may take `DRAFT_CPU_SECONDS`.
    """

    def __init__(self, slices: Slices, clock: Callable[[], float] = float) -> None:
        self._slices = slices
        self._clock = clock
        self._drafts: dict[tuple[WeddingJudge, Actor, bytes], _Draft] = {}

    def tried(self, judge: WeddingJudge, actor: Actor, body: CommandBody) -> _Draft | None:
        """The draft of a command on the rows as they are. None: that takes further slices."""
        key = judge, actor, encode(body)
        draft = self._drafts.pop(key, None)
        restarts = 0
        if draft is None or not draft.is_current:
            restarts = 0 if draft is None else draft.restarts + 1
            draft = _Draft(judge, actor, body.parts, self._clock, restarts)
        if not draft.run(self._slices if draft.restarts < MOST_RESTARTS else Unlimited()):
            draft.requested = judge.now
            self._drafts[key] = draft
            return None
        return draft

    def expire(self, now: float) -> None:
        """Drop the drafts of commands that do not come again."""
        for key, draft in list(self._drafts.items()):
            if not draft.is_open or now - draft.requested > KEPT_SECONDS:
                del self._drafts[key]


class _Draft:
    """The operations tried on copies of the rows they touch, in steps. ``problems`` are complete after the last."""

    def __init__(
        self, judge: WeddingJudge, actor: Actor, parts: Sequence[CommandPart], clock: Callable[[], float], restarts: int
    ) -> None:
        self.restarts = restarts
        self.requested = 0.0  # when
        self._most_seconds = DRAFT_CPU_SECONDS if restarts < MOST_RESTARTS else AT_ONCE_CPU_SECONDS
        self.problems: list[Problem] = []
        self._judge = judge
        self._actor = actor
        self._clock = clock
        self._began, self._used = 0.0, 0.0  # CPU time
        documents = {part.document: document_of(judge, part.document) for part in parts}
        self._documents = {name: (document, document.revision) for name, document in documents.items()}
        self._steps = self._try(parts)
        self.ops: list[Op] = []
        self._rows: dict[str, RowsByRoot] = {}
        self._touched: dict[tuple[str, str, str], None] = {}
        self._order_keys: dict[tuple[str, str], OrderKeys] = {}  # by document and root, since their first move

    @property
    def is_open(self) -> bool:
        """Whether its documents are still open."""
        return all(document.is_open for document, _ in self._documents.values())

    @property
    def is_current(self) -> bool:
        """Whether its documents are as they were when it began."""
        open_ = {**self._judge.derived.documents, **self._judge.open}
        return all(open_.get(name) is each and each.revision == then for name, (each, then) in self._documents.items())

    def run(self, slices: Slices) -> bool:
        """Try further operations within a turn. Returns whether all are tried."""
        slices.begin(self)
        self._began = self._clock()
        try:
            return slices.run(self._steps)
        finally:
            self._used += self._clock() - self._began
            slices.end()

    def carried(self) -> tuple[list[Op], list[Problem]]:
        """The operations when all are tried, those on a derived document as they are in its sources; or the problems.
        At once: the sources may change before the next slice."""
        for name, (document, _) in self._documents.items() if not self.problems else ():
            if isinstance(document, ProjectedDocument):
                touched = [where[1:] for where in self._touched]
                ops, refused = commanded(document, self._actor, self._rows[name], touched)
                return ops, [_problem(name, each) for each in refused]
        return self.ops, self.problems

    def _try(self, parts: Sequence[CommandPart]) -> Iterator[None]:
        for part in parts:
            document = part.document
            for index, operation in enumerate(part.operations):
                if operation["op"] == "move":
                    yield from self._sort(document, operation)
                try:
                    self._add(document, operation)
                except _Refused as refusal:
                    code, message = refusal.args
                    self.problems.append({"document": document, "index": index, "code": code, "message": message})
                if self._used + self._clock() - self._began > self._most_seconds:
                    self.problems = [
                        {"document": document, "index": index, "code": "too_expensive", "message": TOO_EXPENSIVE}
                    ]
                    return
                yield
        if not self.problems:
            yield from self._examine()

    def _sort(self, document: str, operation: Operation) -> Iterator[None]:
        """Sort the order keys of a root for its first move: of 86,000 records that takes 40 ms."""
        root = document_of(self._judge, document).kind.root(operation["root"])
        if root is None or (document, root.name) in self._order_keys:
            return
        rows = self._rows.get(document, self._before(document))[root.name]
        self._order_keys[document, root.name] = yield from OrderKeys.in_steps(rows)

    def _examine(self) -> Iterator[None]:
        """Find the problems that the kinds of the documents find, and the rules of the actor's role."""
        for document, rows in self._rows.items():
            if document not in self._judge.open:
                continue  # see `carried`
            kind, before = self._judge.open[document].kind, self._judge.wedding.documents[document]
            touched = [where[1:] for where in self._touched if where[0] == document]
            for start in range(0, len(touched), EXAMINED_AT_ONCE):
                changes = Changes([], [], [])
                for root, record in touched[start : start + EXAMINED_AT_ONCE]:
                    yield
                    compare(kind.roots[root], record, before[root].get(record), rows[root].get(record), changes)
                for each in examine(kind, document, rows, changes, self._actor).reverted:
                    self.problems.append(_problem(document, each))

    def _add(self, document: str, operation: Operation) -> None:
        root = document_of(self._judge, document).kind.root(operation["root"])
        if root is None:
            raise _Refused("unknown_root", f"{document} has no root {operation['root']!r}")
        record = operation.get("record") or WHOLE
        rows = self._copy(document, root, record)
        op = self._translate(document, root, record, rows.get(record), operation)
        keys = self._order_keys.get((document, root.name))
        before = order_of(rows.get(record))
        apply({document: self._rows[document]}, [op])
        if keys is not None:
            keys.replace(before, order_of(rows.get(record)))
        self.ops.append(op)

    def _copy(self, document: str, root: Root, record: str) -> dict[str, Any]:
        before = self._before(document)
        roots = self._rows.setdefault(document, dict(before))
        where = (document, root.name, record)
        if where not in self._touched:
            if roots[root.name] is before[root.name]:
                roots[root.name] = dict(roots[root.name])
            self._touched[where] = None
            if record in roots[root.name]:
                roots[root.name][record] = copy.deepcopy(roots[root.name][record])
        return roots[root.name]

    def _before(self, document: str) -> RowsByRoot:
        """The rows of a document without the operations."""
        known = self._judge.wedding.documents.get(document)
        return document_of(self._judge, document).rows.roots if known is None else known

    def _translate(self, document: str, root: Root, record: str, row: Any, operation: Operation) -> Op:
        kind, key, value = operation["op"], operation.get("key"), operation.get("value")
        reason = root.check_id(record)
        if reason is not None:
            raise _Refused(reason.code, reason.message)
        if kind == "insert":
            return self._insert(document, root, record, row, operation["value"])
        if root.shape is Shape.RECORDS and type(row) is not dict:
            raise _Refused("missing", f"there is no record {record!r} in {root.name}")
        if kind == "move":
            if root.shape is not Shape.RECORDS:
                raise _Refused("move", f"{root.name} has no records to move")
            return Op("set", document, root.name, record, "order", self._order(document, root, operation.get("after")))
        if kind == "text":
            return Op(
                "set", document, root.name, record, key, _checked(root, record, key, _edited(root, row, operation))
            )
        if root.record is None and key is not None:
            raise _Refused("key", f"rows of {root.name} have no keys")
        if root.record is not None and key is None and (kind == "set" or root.shape is Shape.RECORD):
            raise _Refused("key", "a record is written key by key")
        if kind == "delete":
            return Op("delete", document, root.name, record, key)
        if value is None:
            raise _Refused("null", "to clear a key, delete it")
        return Op("set", document, root.name, record, key, self._value(root, record, key, value))

    def _value(self, root: Root, record: str, key: str | None, value: Any) -> Any:
        """The normalised value."""
        if type(value) is dict and "by" not in value and is_stamp(root, key):
            value = value | {"by": user_id(self._actor.user)}
        return _checked(root, record, key, value)

    def _insert(self, document: str, root: Root, record: str, row: Any, fields: Mapping[str, Any]) -> Op:
        if row is not None:
            raise _Refused("exists", f"there is a record {record!r} in {root.name}")
        if root.shape is not Shape.RECORDS:
            raise _Refused("insert", f"{root.name} has no records to insert: use set")
        texts = dict.fromkeys(sorted(root.text_keys), "")  # of two texts made later at once one would be lost
        values = {key: self._value(root, record, key, value) for key, value in fields.items()}
        return Op("insert", document, root.name, record, None, texts | values)

    def _order(self, document: str, root: Root, after: str | None) -> str:
        try:
            return order_behind(self._rows[document][root.name], after, self._order_keys[document, root.name])
        except NoPlaceError as error:
            raise _Refused("order", str(error)) from error


def _problem(document: str, refused: Reverted) -> Problem:
    problem = Problem(document=document, code=refused.reason.code, message=refused.reason.message)
    return problem | {"root": refused.root, "record": refused.record, "key": refused.key}


def _checked(root: Root, record: str, key: str | None, value: Any) -> Any:
    """The normalised value. Each is checked, also one that a later operation replaces: all of them are written."""
    checked = root.check(record, key, value)
    if type(checked) is Reason:
        raise _Refused(checked.code, checked.message)
    return checked


def _edited(root: Root, row: Any, operation: Operation) -> str:
    key = operation.get("key")
    old = row if root.shape is Shape.TEXT else row.get(key) if type(row) is dict else None
    if root.shape is not Shape.TEXT and key not in root.text_keys:
        raise _Refused("text", f"{key!r} is no text")
    if operation.get("value") is not None:
        return str(operation["value"])
    text, index, gone = old or "", operation.get("index") or 0, operation.get("delete") or 0
    if not 0 <= index <= index + gone <= len(text):
        raise _Refused("range", f"{index} to {index + gone} is outside the text of {len(text)} characters")
    return text[:index] + (operation.get("insert") or "") + text[index + gone :]
