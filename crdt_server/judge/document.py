"""One document inside a host: its raw bytes, what they cover, and (once edited) the pycrdt Doc.

Rules of this file:
- The raw updates of the clients are the truth: they are what is stored, sent and compared. The Doc proves that an
  update can be survived; it is built only when the first edit comes and is thrown away after any doubt.
- An update that could take long is rehearsed in a forked copy of this process first (`rehearsal`): what kills the copy
  is refused, and until the copy has ended the answer is LATER.
- Where pycrdt does not survive what is stored, a document is held as bytes only: everybody can still read and edit it,
  and updates are taken on the word of the decoder.
- Nothing reaches pycrdt that `protocol.update` has not decoded, and nothing that would leave a hole (a Doc that
  integrates over a hole diverges from Yjs for ever).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pycrdt import Doc, get_update

from crdt_server.errors import ProtocolError
from crdt_server.judge.clock_ranges import ClockRanges, encode_clocks
from crdt_server.judge.dry_run import DryRun, ForkPool
from crdt_server.judge.merging import covers_all, merge
from crdt_server.pipe import DIFF_STEP_BYTES, DRY_RUN_BYTES, PIECE_BYTES, ProgressMark, Status
from crdt_server.protocol.lib0 import read_var_uint
from crdt_server.protocol.structs import in_order, new_structs
from crdt_server.protocol.update import (
    EMPTY_STATE_VECTOR,
    EMPTY_UPDATE,
    Update,
    decode_state_vector,
    decode_structs,
    decode_update,
    missing,
)

JOINED_BYTES = 2 * 1024  # parts of an answer are merged up to this size: a message costs less than merging again
LOOSE_PIECES = 16
DIFFS_KEPT = 4
QUESTIONS = 4  # that one document works on at a time
STALE_BATCHES = 100
FEW_STRUCTS = 32  # need no rehearsal
FEW_DELETIONS = 256
# CPU time for one update. Yjs' order of concurrent insertions is quadratic in the worst case: 27 KB can take more than
# a second, in every browser of the room too.
UPDATE_CPU_SECONDS = 0.05
UPDATE_BYTES_PER_CPU_SECOND = 8 << 20


def cpu_limit_seconds(size_bytes: int) -> float:
    """What an update of this size may take."""
    return UPDATE_CPU_SECONDS + size_bytes / UPDATE_BYTES_PER_CPU_SECOND


def has_few_structs(data: bytes) -> bool:
    """Whether an update holds so little that applying it is soon done, however many bytes that is: pasted text is one
    struct."""
    try:
        sections, pos = read_var_uint(data, 0)
        return sections == 0 or (sections == 1 and read_var_uint(data, pos)[0] <= FEW_STRUCTS)
    except (IndexError, ProtocolError):
        return False


class Document:
    """The document of one room. Not thread-safe; any method may kill the process (that is what hosts are for)."""

    def __init__(self, max_bytes: int, *, bytes_only: bool = False, copies: ForkPool | None = None) -> None:
        self.max_bytes = max_bytes
        self.bytes_only = bytes_only
        self.pieces: list[bytes] = []
        self.size = 0
        self.clocks: dict[int, int] = {}
        self.deleted = ClockRanges()
        self._types: set[tuple[int, int]] = set()
        self._collected = ClockRanges()
        self._diffs: dict[bytes, list[bytes]] = {}  # answers that still hold, for all who ask the same
        self._questions: dict[bytes, _Question] = {}
        self.doc: Doc[Any] | None = None
        self._warmed = 0  # how many pieces the Doc has seen; all of them once it is warm
        self._loose = 0  # newest pieces not yet considered for merging
        self._accepted: list[bytes] = []  # not yet among the pieces
        self._accepted_bytes = 0
        self._outgoing: list[bytes] = []  # among the pieces, not yet taken
        self._rehearsal = DryRun(copies or ForkPool())

    @property
    def warm(self) -> bool:
        return self.bytes_only or (self.doc is not None and self._warmed == len(self.pieces))

    def load(self, updates: Sequence[bytes]) -> None:
        """Take stored updates as they are. Raises ProtocolError when they do not decode or leave a hole."""
        for update in updates:
            decoded = decode_update(update, max_bytes=len(update))
            if missing(decoded, self.clocks):
                raise ProtocolError("stored_gap", "the stored updates have a gap")
            self._account(decoded)
        for update in merge(updates):
            self._hold(update)
        self._consolidate()

    def warm_up(self, budget: int) -> None:
        """Feed the Doc with stored pieces, at least one, until it is warm or ``budget`` bytes are used."""
        if self.doc is None:
            self.doc = self._new_doc()
            self._warmed = 0
        while self._warmed < len(self.pieces):
            piece = self.pieces[self._warmed]
            self.doc.apply_update(piece)
            self._warmed += 1
            budget -= len(piece)
            if budget <= 0:
                break

    def _new_doc(self) -> Doc[Any]:
        return Doc()

    def cool_down(self) -> None:
        """Throw the Doc away unread; the raw pieces stay."""
        self.doc = None
        self._warmed = 0

    def close(self) -> None:
        """The document is not open any more: end what it has under way."""
        self._rehearsal.stop()

    def apply(
        self, updates: Sequence[tuple[bytes, Update | None]], mark: Callable[[int], None], *, waiting: bool = False
    ) -> list[tuple[int, Status]]:
        """Judge and apply updates in order; return those that were not simply accepted.

        Behind an update that has to come again (``waiting``: one before these has) nothing long is begun, and what
        seems to leave a hole may only have overtaken it: both come again with it.

        ``mark(index)`` is called before each risky step, ``mark(LOADING)`` before stored bytes are read again,
        ``mark(MERGING)`` after the last update.
        """
        judged = self.judge_each(updates, mark, waiting=waiting)
        return [(index, status) for index, status in judged if status is not Status.OK]

    def judge_each(
        self, updates: Sequence[tuple[bytes, Update | None]], mark: Callable[[int], None], *, waiting: bool = False
    ) -> Iterator[tuple[int, Status]]:
        """`apply`, update by update: the index and status of each, before the next one is judged."""
        for index, (data, checked) in enumerate(updates):
            status = self._judge(index, data, checked, mark, waiting)
            if status is Status.GAP and waiting:
                status = Status.LATER
            waiting = waiting or status is Status.LATER
            yield index, status
        mark(ProgressMark.MERGING)
        self.flush()

    def needs_doc(self, updates: Sequence[tuple[bytes, Update | None]]) -> bool:
        """Whether `apply` would build the Doc: it is not built yet, and there is news for it."""
        return not self.warm and any(isinstance(self._precheck(*each), Update) for each in updates)

    def flush(self) -> None:
        """Let what was accepted stand among the pieces."""
        if not self._accepted:
            return
        merged, self._accepted, self._accepted_bytes = merge(self._accepted), [], 0
        for update in merged:
            self._hold(update)
        self._warmed = len(self.pieces)
        self._consolidate()
        self._outgoing += merged

    def take_outgoing(self) -> list[bytes]:
        """The updates to store and send since the last call: one, nearly always, or none."""
        self.flush()
        outgoing, self._outgoing = self._outgoing, []
        return merge(outgoing)

    def _judge(
        self, index: int, data: bytes, checked: Update | None, mark: Callable[[int], None], waiting: bool
    ) -> Status:
        long = len(data) > DRY_RUN_BYTES and not self.bytes_only
        few = long and has_few_structs(data)
        if long and not few and (waiting or self._rehearsal.busy):
            return Status.LATER
        update = self._precheck(data, checked)
        if not isinstance(update, Update):
            return update
        if not self.warm:
            mark(ProgressMark.LOADING)
            self.warm_up(sys.maxsize)
        mark(index)
        if any(first < self.clocks.get(client, 0) for client, first, _ in update.ranges):
            trimmed = self._without_taken_ids(update)
            if trimmed is None:
                return Status.VIOLATION
            update = trimmed
        if self._lacks_a_home(update) or self._forbids(index, update):
            return Status.VIOLATION
        if not self.bytes_only:
            assert self.doc is not None
            if long and not (few and len(update.deletes) <= FEW_DELETIONS):
                if waiting or self._rehearsal.busy:
                    return Status.LATER
                survived = self._rehearsal.ask(update.data, self.doc.apply_update, cpu_limit_seconds(len(data)))
                if not survived:
                    return Status.LATER if survived is None else Status.DEADLY
            self.doc.apply_update(update.data)
        self._take(index, update)
        return Status.OK

    def _precheck(self, data: bytes, checked: Update | None) -> Update | Status:
        """The update, or why it needs no Doc to be refused."""
        try:
            update = self._decode(data) if checked is None else checked
        except ProtocolError:
            return Status.MALFORMED
        if missing(update, self.clocks):
            return Status.GAP
        if not self._is_news(update):
            return Status.KNOWN
        if self.size + self._accepted_bytes + len(data) > self.max_bytes:
            return Status.TOO_LARGE
        return update

    def cpu_limit_seconds(self, size_bytes: int) -> float:
        """What `apply` may take for an update of this size: a rehearsed one may take a little more than before."""
        return 2 * cpu_limit_seconds(size_bytes)

    def _forbids(self, index: int, update: Update) -> bool:
        """Whether it is refused for its structs: new ones of several clients that wait for one another, which a Doc
        would keep pending for ever; where there is a schema, also what that forbids as a whole."""
        known = self.clocks.get
        if not any(clock > known(client, 0) for client, clock in update.requires.items()):
            return False  # it builds on nothing that is new
        fresh = new_structs(decode_structs(update.data).structs, self.clocks)
        return len(in_order(fresh)) < len(fresh)

    def _take(self, index: int, update: Update) -> None:
        """It is accepted, and the Doc has it."""
        self._account(update)
        self._accept(update.data)

    def _accept(self, data: bytes) -> None:
        self._accepted.append(data)
        self._accepted_bytes += len(data)

    def _without_taken_ids(self, update: Update) -> Update | None:
        """The part whose ids are new. Of ids that are taken the first content stands: two contents under one id,
        wherever they come from, would be merged in one order by the store and in another by each client, which would
        never agree again. None where the rest cannot be told apart (the cut lies inside a surrogate pair).
        """
        known = {client: self.clocks.get(client, 0) for client, _, _ in update.ranges}
        try:
            data = get_update(update.data, encode_clocks(known))
            trimmed = self._decode(data)
        except ProtocolError:
            return None
        left = [(client, max(first, known[client]), next_) for client, first, next_ in update.ranges]
        return trimmed if covers_all(trimmed, [span for span in left if span[1] < span[2]], update.deletes) else None

    def _is_news(self, update: Update) -> bool:
        clocks = self.clocks
        for client, _, next_ in update.ranges:
            if next_ > clocks.get(client, 0):
                return True
        covers = self.deleted.covers
        return any(not covers(client, first, next_) for client, first, next_ in update.deletes)

    def _lacks_a_home(self, update: Update) -> bool:
        """Whether an item has a parent that holds nothing, such as a text's characters.

        pycrdt takes it while that parent is deleted, and never again once both come in one merged update: the document
        could not be read any more. A parent that came without its content may have been anything.
        """
        types, covers = self._types, self._collected.covers
        orphans = [p for p in update.parents if p not in types and not covers(p[0], p[1], p[1] + 1)]
        if not orphans:
            return False
        coming = ClockRanges(update.collected)
        new = frozenset(update.types)
        return any(p not in new and not coming.covers(p[0], p[1], p[1] + 1) for p in orphans)

    def _decode(self, data: bytes) -> Update:
        return decode_update(data, max_bytes=len(data))

    def _account(self, update: Update) -> None:
        self._account_structs(update)
        self._account_deletes(update)

    def _account_structs(self, update: Update) -> None:
        clocks = self.clocks
        for client, _, next_ in update.ranges:
            if next_ > clocks.get(client, 0):
                clocks[client] = next_
        for client, first, next_ in update.collected:
            self._collected.add(client, first, next_)
        self._types.update(update.types)

    def _account_deletes(self, update: Update) -> None:
        for client, first, next_ in update.deletes:
            self.deleted.add(client, first, next_)

    def _hold(self, update: bytes) -> None:
        self.pieces.append(update)
        self.size += len(update)
        self._diffs.clear()
        for question in self._questions.values():
            question.later.append(update)
        self._loose += 1

    def _consolidate(self) -> None:
        """Merge the newest pieces once there are many, so that their number stays small and no merge is long.

        A piece joins the run only while it is no larger than all that follow it: rewriting a large piece for every
        few small ones would be quadratic.
        """
        if self._loose < LOOSE_PIECES:
            return
        pieces, was_warm = self.pieces, self.warm
        begin = len(pieces) - self._loose
        total = sum(map(len, pieces[begin:]))
        while begin and len(pieces[begin - 1]) <= total and total + len(pieces[begin - 1]) <= PIECE_BYTES:
            begin -= 1
            total += len(pieces[begin])
        self._loose = 0
        if total > PIECE_BYTES:
            return
        pieces[begin:] = merge(pieces[begin:])
        self.size = sum(map(len, pieces))
        self._warmed = len(pieces) if was_warm else 0

    def diff(self, state_vector: bytes, batch: int | None = None) -> list[bytes] | None:
        """What a client with this state vector lacks: updates to apply in order, at least one.

        With the number of a ``batch``, no more than one step towards it; None until it is finished. What is accepted
        meanwhile is part of the answer. Raises ProtocolError when the state vector does not decode.
        """
        known = self._diffs.get(state_vector)
        if known is not None:
            return known
        question = self._questions.get(state_vector)
        if question is None:
            if self.has_no_overlap(state_vector):
                return self.diff(EMPTY_STATE_VECTOR, batch)
            if batch is not None and not self._may_begin(batch):
                return None
            question = self._questions[state_vector] = _Question(state_vector, list(self.pieces))
        done = question.proceed(batch, sys.maxsize if batch is None else DIFF_STEP_BYTES)
        if not done:
            return None
        del self._questions[state_vector]
        answer = question.answer()
        if len(self._diffs) < DIFFS_KEPT and not question.later:
            self._diffs[state_vector] = answer
        return answer

    def has_no_overlap(self, state_vector: bytes) -> bool:
        """Whether it has something, but of nobody here. Raises ProtocolError when it does not decode."""
        if state_vector == EMPTY_STATE_VECTOR or state_vector in self._diffs or state_vector in self._questions:
            return False
        clocks = decode_state_vector(state_vector)
        return not any(map(self.clocks.get, filter(clocks.get, clocks)))

    def _may_begin(self, batch: int) -> bool:
        if len(self._questions) < QUESTIONS:
            return True
        for state_vector, question in list(self._questions.items()):
            if batch - question.batch > STALE_BATCHES:  # who asked has gone
                del self._questions[state_vector]
        return len(self._questions) < QUESTIONS


class _Question:
    """A difference on its way: which pieces have been compared, and what came of it."""

    def __init__(self, state_vector: bytes, pieces: list[bytes]) -> None:
        self.batch = -1
        self.later: list[bytes] = []  # accepted since it was asked
        self._state_vector = state_vector
        self._pieces = pieces
        self._parts: list[bytes] = pieces if state_vector == EMPTY_STATE_VECTOR else []
        self._next = len(pieces) if state_vector == EMPTY_STATE_VECTOR else 0

    def proceed(self, batch: int | None, budget: int) -> bool:
        """Compare pieces of ``budget`` bytes, once in a batch. True when all are compared."""
        if batch is not None and batch == self.batch:
            return False
        self.batch = -1 if batch is None else batch
        while self._next < len(self._pieces) and budget > 0:
            piece = self._pieces[self._next]
            budget -= len(piece)
            self._next += 1
            part = get_update(piece, self._state_vector)
            if part != EMPTY_UPDATE:
                self._parts.append(part)
        return self._next == len(self._pieces)

    def answer(self) -> list[bytes]:
        joined: list[bytes] = []
        run: list[bytes] = []
        run_size = 0
        for part in [*self._parts, *self.later]:
            if run and run_size + len(part) > JOINED_BYTES:
                joined += merge(run)
                run, run_size = [], 0
            run.append(part)
            run_size += len(part)
        return joined + (merge(run) or [EMPTY_UPDATE])
