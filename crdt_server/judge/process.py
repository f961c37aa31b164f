"""The program of a document host: a plain synchronous loop, a batch in, verdicts out.

Started as ``python -m crdt_server.judge.process PIPE_FD MARK_FD MEMORY_BYTES MAX_DOCUMENT_BYTES`` with an empty
environment. It owns no socket but the pipe, no database and no key. It does not try to outlive anything odd: a panic
of the library, an exhausted memory or a broken frame end the process, and the serving process starts another.
"""

from __future__ import annotations

import gc
import os
import resource
import signal
import socket
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

from pycrdt import Doc

from crdt_server.errors import ProtocolError
from crdt_server.judge.applied import Judgement
from crdt_server.judge.clock_ranges import encode_clocks
from crdt_server.judge.commands import command
from crdt_server.judge.document import Document, cpu_limit_seconds
from crdt_server.judge.dry_run import ForkPool
from crdt_server.judge.merging import merge_checked
from crdt_server.judge.schema_document import SchemaDocument
from crdt_server.judge.wedding import WeddingJudge
from crdt_server.memory import trim_heap
from crdt_server.pipe import (
    LENGTH,
    NO_OVERLAP,
    NO_SETTING,
    PIECE_BYTES,
    UNREADABLE,
    Job,
    ProgressMark,
    RequestKind,
    Status,
    encode,
    pack,
    unpack,
)
from crdt_server.protocol.update import Update, decode_update
from crdt_server.protocol.update_split import split_update
from documents.events import Actor
from documents.readers import canonical_json, digest
from documents.registry import kind_of
from documents.rows import read

EXIT_PANIC = 70  # pycrdt raised a PanicException: what it left behind must not be read
EXIT_MEMORY = 71
WARM_BUDGET_BYTES = 64 * 1024
CHECKED_PIECE_BYTES = 16 * 1024  # one takes 20 ms at most
TRIM_BYTES = 1 << 20
NAP_SECONDS = 0.005  # in a batch that can only wait for copies
# CPU time for stored bytes, which may have been merged into something that takes for ever.
LOAD_CPU_SECONDS = 0.5
LOAD_BYTES_PER_CPU_SECOND = 2 << 20


class DocumentHost:
    """All documents of one host, and the judgement of one batch at a time."""

    def __init__(self, mark: ProgressMark, max_document_bytes: int) -> None:
        self.mark = mark
        self.max_document_bytes = max_document_bytes
        self.documents: dict[int, Document] = {}
        self._weddings: dict[str, WeddingJudge] = {}
        self._judges: dict[int, WeddingJudge] = {}  # by room
        self._rooms: dict[WeddingJudge, dict[str, int]] = {}  # by name of the document
        self._touched: dict[WeddingJudge, None] = {}  # by this batch
        self._batch = 0
        self._now = 0.0
        self._copies = ForkPool()

    def handle(self, request: list[Any]) -> list[Any]:
        now, entries, jobs = request
        self._batch += 1
        self._now = now
        # First what ends: a wedding that comes back from the store must not find what was forgotten.
        job_results = []
        for index, (kind, payload) in enumerate(jobs):
            self.mark.set(len(entries) + index, 0)
            job_results.append(self._job(Job(kind), payload))
        results = [self._entry(index, *entry) for index, entry in enumerate(entries)]
        self.mark.set(*ProgressMark.IDLE)
        for result in results:
            self._add_outcome(result)
        others, weddings = self._of_weddings({entry[0] for entry in entries})
        if not jobs and all(map(_only_waits, entries, results)):
            self._copies.wait(NAP_SECONDS)  # who asks again at once would only keep us from them
        return [results, job_results, others, weddings]

    def _entry(
        self,
        index: int,
        room: int,
        load: list[bytes] | None,
        last: bool,
        bytes_only: bool,
        ops: list[Any],
        setting: list[Any] | None,
    ) -> list[Any]:
        if load is not None:
            try:
                if room not in self.documents and not self._open(room, bytes_only, setting):
                    return [room, [], [], [], NO_SETTING, False]
                document = self.documents[room]
                self._before_reading(index, sum(map(len, load)))
                document.load(load)
            except ProtocolError as error:
                self._forget(room)
                return [room, [], [], [], UNREADABLE, str(error)]
            finally:
                _limit_cpu(0)
            if not last:
                return [room, [], [], [], document.pieces.size, False]
        document = self.documents[room]
        if isinstance(document, SchemaDocument):
            self._touch(self._judges[room])
        faults: list[tuple[int, Status]] = []
        answers: list[tuple[int, Any]] = []
        notices: list[tuple[int, bytes]] = []
        i, count = 0, len(ops)
        # updates in a row are applied as one run; a question sees exactly what stands before it
        while i < count:
            kind = ops[i][0]
            if kind == RequestKind.UPDATE:
                start = i
                while i < count and ops[i][0] == RequestKind.UPDATE:
                    i += 1
                waiting = any(status is Status.LATER for _, status in faults)
                verdicts = self._apply(index, start, room, ops[start:i], waiting)
                faults += [(start + each.number, each.status) for each in verdicts if each.status is not Status.OK]
                notices += [(start + each.number, each.notice) for each in verdicts if each.notice is not None]
                continue
            self.mark.set(index, i)
            self._answer(index, i, room, ops[i], (faults, answers))
            i += 1
        return [room, [], faults, answers, document.pieces.size, document.is_built, None, notices]

    def _apply(self, entry: int, start: int, room: int, ops: Sequence[Any], waiting: bool) -> list[Judgement]:
        """Judge and apply updates that stand one after another in an entry, from the op ``start`` on."""
        document = self.documents[room]
        updates = [(op[1], None if op[2] is None else _summary_in(op[1], op[2])) for op in ops]
        before_step = partial(self._before_step, entry, start, updates, document)
        if isinstance(document, SchemaDocument):
            signed = [(Actor(*op[3]), op[4]) for op in ops]
            return self._judges[room].receive(document, updates, signed, before_step, waiting=waiting)
        return [Judgement(n, status) for n, status in document.apply(updates, before_step, waiting=waiting)]

    def _answer(
        self,
        index: int,
        i: int,
        room: int,
        op: list[Any],
        found: tuple[list[tuple[int, Status]], list[tuple[int, Any]]],
    ) -> None:
        document, (faults, answers) = self.documents[room], found
        kind = op[0]
        if kind == RequestKind.DIFF:
            try:
                answer = NO_OVERLAP if document.diffs.has_no_overlap(op[1]) else document.diff(op[1], self._batch)
            except ProtocolError:
                faults.append((i, Status.MALFORMED))
            else:
                if answer is None:
                    faults.append((i, Status.LATER))
                else:
                    same = (n for n, earlier in answers if earlier is answer and answer != NO_OVERLAP)
                    answers.append((i, next(same, answer)))
        elif kind == RequestKind.HELLO:
            answers.append((i, encode_clocks(document.clocks)))
        elif kind == RequestKind.WARM:
            self._before_reading(index, PIECE_BYTES + WARM_BUDGET_BYTES)
            if isinstance(document, SchemaDocument):
                self._judges[room].warm_up(document, WARM_BUDGET_BYTES)
            else:
                document.build(WARM_BUDGET_BYTES)
            _limit_cpu(0)
        elif isinstance(document, SchemaDocument):
            self._before_reading(index, document.pieces.size)
            self._judges[room].warm_up(document)
            _limit_cpu(0)
            self.mark.set(index, i)
            answers.append((i, self._ask_rows(RequestKind(kind), room, document, op)))
        else:
            faults.append((i, Status.VIOLATION))

    def _ask_rows(self, kind: RequestKind, room: int, document: SchemaDocument, op: list[Any]) -> Any:
        judge = self._judges[room]
        if kind is RequestKind.READ:
            return canonical_json(document.rows.roots).encode()
        if kind is RequestKind.DIGEST:
            return [encode_clocks(document.clocks), digest(document.rows.roots)]
        if kind is RequestKind.COMMAND:
            return command(judge, Actor(*op[3]), unpack(op[1]), len(op[1]))
        if kind is RequestKind.BOOKINGS:
            judge.replace_bookings(*unpack(op[1]))
        else:
            judge.run_scheduled()
        return True

    # -- documents with a schema

    def _open(self, room: int, bytes_only: bool, setting: list[Any] | None) -> bool:
        """Begin a document. False where the rest of its wedding is not known."""
        if setting is None:
            self.documents[room] = Document(self.max_document_bytes, bytes_only=bytes_only, copies=self._copies)
            return True
        wedding, name, owners, rows, *bookings = setting
        if bytes_only:
            raise ProtocolError("bytes_only", "a document with a schema cannot be held without its Doc")
        state = self._weddings.get(wedding)
        if state is None:
            if rows is None:
                return False
            state = self._weddings[wedding] = WeddingJudge(wedding, rows, *bookings)
        kind = kind_of(name)
        assert kind is not None
        self.documents[room] = SchemaDocument(kind, name, dict(owners), self._copies)
        self._judges[room] = state
        self._rooms.setdefault(state, {})[name] = room
        return True

    def _touch(self, state: WeddingJudge) -> None:
        self._touched[state] = None
        state.set_time(self._now)

    def _add_outcome(self, result: list[Any]) -> None:
        """What came of the whole batch for the document of one result."""
        document = self.documents.get(result[0])
        if document is None or result[4] < 0:
            result[5:] = [result[5], None, []]
            return
        result[1] = document.take_outgoing()
        result[4] = document.pieces.size
        if len(result) < 8:
            result += [None, []]
        if isinstance(document, SchemaDocument) and document.is_built:
            result[6] = self._judges[result[0]].take_records(document)

    def _of_weddings(self, named: set[int]) -> tuple[list[Any], list[Any]]:
        """Results of documents that the server has written to besides, and what the weddings wait for."""
        others: list[Any] = []
        weddings: list[Any] = []
        for state in self._touched:
            rooms = self._rooms.get(state, {})
            for document in state.documents_with_news():
                room = rooms[document.name]
                if room not in named:
                    others.append([room, [], [], [], 0, True, None, []])
                    self._add_outcome(others[-1])
            wanted, state.resolver.wanted = sorted(state.resolver.wanted), set()
            due = state.next_due()
            if rooms and (wanted or due is not None):
                weddings.append([next(iter(rooms.values())), due, wanted])
        self._touched.clear()
        return others, weddings

    def _forget(self, room: int) -> int:
        """Drop a document; returns its size."""
        document = self.documents.pop(room, None)
        if document is None:
            return 0
        document.close()
        if isinstance(document, SchemaDocument):
            judge = self._judges.pop(room)
            judge.detach(document)
            rooms = self._rooms[judge]
            if rooms.get(document.name) == room:
                del rooms[document.name]
            if not rooms:
                del self._rooms[judge], self._weddings[judge.name]
        return document.pieces.size

    def _before_step(self, entry: int, base: int, run: Sequence[tuple[bytes, Any]], document: Document, n: int) -> None:
        """Mark what comes next. What takes too long ends this process by SIGPROF."""
        if n == ProgressMark.LOADING:
            self._before_reading(entry, document.pieces.size)
        elif n == ProgressMark.MERGING:
            _limit_cpu(0)
            self.mark.set(entry, n)
        else:
            self.mark.set(entry, base + n)
            _limit_cpu(cpu_limit_seconds(document, len(run[n][0])))

    def _before_reading(self, entry: int, size: int) -> None:
        self.mark.set(entry, ProgressMark.LOADING)
        _limit_cpu(LOAD_CPU_SECONDS + size / LOAD_BYTES_PER_CPU_SECOND)

    def _job(self, kind: Job, payload: Any) -> list[Any]:
        if kind is Job.FORGET:
            freed = sum(map(self._forget, payload))
            if freed > TRIM_BYTES:
                gc.collect()
                trim_heap()
            return [None]
        try:
            if kind is Job.ROWS:
                return [_rows(*payload)]
            if kind is Job.CHECK:
                return [_check(payload)]
            return [merge_checked(payload)]
        except ProtocolError as error:
            return [None, str(error)]


def _only_waits(entry: list[Any], result: list[Any]) -> bool:
    """Whether all that was asked of a room is updates in a dry run."""
    _, load, _, _, ops, _ = entry
    faults = result[2]
    return (
        load is None
        and len(faults) == len(ops)
        and all(op[0] == RequestKind.UPDATE for op in ops)
        and all(status is Status.LATER for _, status in faults)
    )


def _limit_cpu(seconds: float) -> None:
    """End this process when it has used that much CPU time from now; 0 lifts the limit."""
    signal.setitimer(signal.ITIMER_PROF, seconds)


def _rows(document: str, updates: list[bytes]) -> bytes:
    kind = kind_of(document)
    assert kind is not None
    doc: Doc[Any] = Doc()
    for update in updates:
        decode_update(update, max_bytes=len(update))
        doc.apply_update(update)
    return canonical_json(read(kind, doc)).encode()


def _check(update: bytes) -> list[tuple[bytes | None, bytes]]:
    """The pieces of a well-formed update (None for it as it is) with their summaries. Raises ProtocolError."""
    pieces = split_update(update, CHECKED_PIECE_BYTES)
    if len(pieces) == 1:
        return [(None, _summary_out(decode_update(update, max_bytes=len(update))))]
    return [(piece, _summary_out(decode_update(piece, max_bytes=len(piece)))) for piece in pieces]


def _summary_out(update: Update) -> bytes:
    # Packed: the serving process only carries it, and unpacking a summary of 300,000 clients would stall it for 0.7 s.
    _, ranges, skips, requires, *others = update
    return encode([ranges, skips, list(requires.items()), *others])


def _summary_in(data: bytes, extra: bytes) -> Update:
    ranges, skips, requires, *others = unpack(extra)
    deletes, types, collected, parents, *_ = (tuple(map(tuple, found)) for found in others)
    runs = tuple(map(tuple, ranges)), tuple(map(tuple, skips))
    return Update(data, *runs, dict(requires), deletes, types, collected, parents)


def _read_exactly(pipe: socket.socket, size: int) -> bytearray | None:
    data = bytearray(size)
    view = memoryview(data)
    while view:
        n = pipe.recv_into(view)
        if n == 0:
            return None
        view = view[n:]
    return data


def serve(pipe: socket.socket, host: DocumentHost) -> None:
    """Answer batches until the other end closes the pipe."""
    while True:
        head = _read_exactly(pipe, LENGTH.size)
        if head is None:
            return
        body = _read_exactly(pipe, LENGTH.unpack(head)[0])
        if body is None:
            return
        pipe.sendall(pack(host.handle(unpack(body))))


def main(argv: list[str]) -> None:
    pipe_fd, mark_fd, memory_bytes, max_document_bytes = map(int, argv)
    if memory_bytes:
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    pipe = socket.socket(fileno=pipe_fd)
    host = DocumentHost(ProgressMark(mark_fd), max_document_bytes)
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    try:
        serve(pipe, host)
    except MemoryError:
        os._exit(EXIT_MEMORY)
    except BaseException as error:  # noqa: BLE001 - a PanicException is not an Exception, and nothing after it can be trusted
        os.write(2, f"host: {type(error).__name__}: {str(error)[:200]}\n".encode())
        os._exit(EXIT_PANIC)


if __name__ == "__main__":
    main(sys.argv[1:])
