"""The program of a document host: a plain synchronous loop, a batch in, verdicts out.

Started as ``python -m crdt_server.judge.process PIPE_FD MARK_FD MEMORY_BYTES MAX_DOCUMENT_BYTES`` with an empty
environment. It owns no socket but the pipe, no database and no key. It does not try to outlive anything odd: a panic
of the library, an exhausted memory or a broken frame end the process, and the serving process starts another.
"""

from __future__ import annotations

import gc
import os
import resource
import socket
import sys
import time
from collections.abc import Sequence
from functools import partial
from time import thread_time

from crdt_server.judge.applied import actor_of
from crdt_server.judge.cpu_limit import HostProgress
from crdt_server.judge.document import Document, cpu_limit_seconds
from crdt_server.judge.held_documents import HeldDocuments
from crdt_server.judge.host_commands import HostCommands
from crdt_server.judge.jobs import decode_summary, perform
from crdt_server.judge.making import warm_up
from crdt_server.judge.reads import OF_BYTES, OF_ROWS, Reader
from crdt_server.judge.requested import loads, only_waits, sharing
from crdt_server.judge.schema_document import SchemaDocument
from crdt_server.judge.slices import Slices
from crdt_server.judge.state_vectors import StateVectors
from crdt_server.judge.wedding import WeddingJudge
from crdt_server.pipe import (
    LENGTH,
    OWN,
    PIECE_BYTES,
    Batch,
    BatchResponse,
    BegunCommand,
    Done,
    Fault,
    ForgetRooms,
    Forgotten,
    HostRequest,
    IndexedNotice,
    IndexedResponse,
    Job,
    JobResult,
    LoadPostponed,
    RequestKind,
    RoomOutcome,
    RoomRequests,
    RoomResult,
    SlowUpdates,
    Status,
    WeddingState,
    decode_batch,
    decode_other_bookings,
    frame,
)
from crdt_server.progress_mark import ProgressMark
from crdt_server.records import BatchRecords, ClientOwner

EXIT_PANIC = 70  # pycrdt raised a PanicException: its memory must not be read any more
EXIT_MEMORY = 71
UNLIMITED_MERGE_BYTES = 16 * 1024  # of updates of one room in a batch
SLOW_RUN_SECONDS = 0.001  # updates in a row that take longer are charged to their own senders
NAP_SECONDS = 0.005  # in a batch that can only wait for copies, or for documents that have to be open


class DocumentHost:
    """All documents of one host, and the judgement of one batch at a time."""

    def __init__(self, mark: ProgressMark, max_document_bytes: int, slices: Slices | None = None) -> None:
        self._mark = mark
        self._progress = HostProgress(mark)
        self._slices = slices or Slices(others_wait=mark.is_waiting)
        self.held = HeldDocuments(max_document_bytes, self._slices)
        self.documents = self.held.documents
        self._touched: dict[WeddingJudge, None] = {}  # by this batch
        self._begun: BegunCommand | None = None  # see BatchResponse
        self._batch, self._now = 0, 0.0
        self._worked = self._built = False  # whether a request of this batch was worked on, and a document built
        self._vectors = StateVectors()
        self._reader = Reader(self._slices)
        self._commands = HostCommands(self._slices, time.process_time)
        self._postponed: set[int] = set()  # rooms whose load goes on after this batch

    def handle(self, batch: Batch) -> BatchResponse:
        self._batch += 1
        self._now = batch.now
        self._postponed.clear()
        self._begun = self._commands.begun_in(batch.rooms)
        self._slices.begin_batch(sharing=sharing(batch.rooms))
        self._worked = self._built = False
        # Jobs first: a wedding that is loaded again must not find documents that are to be forgotten.
        jobs = []
        for index, job in enumerate(batch.jobs):
            self._mark.set(len(batch.rooms) + index, 0)
            jobs.append(self._job(job))
        if self._commands.writes and self._begun is None:
            raise RuntimeError("a command was left in the middle")  # its wedding would stand still for ever
        results = [self._measured(index, each) for index, each in enumerate(batch.rooms)]
        if self._built or any(map(loads, batch.rooms)):
            gc.freeze()  # else what was loaded is looked through again and again: 0.1 s for a large document
        for judge in self._touched:
            if not self._commands.hides(judge):
                judge.derived.refresh()
        self._progress.idle()
        # Last, so that a reader has all that the server sends as the updates of this batch: it is kept for others, too.
        now = self._batch, self._now
        for index, (each, result) in enumerate(zip(batch.rooms, results, strict=True)):
            if type(result) is RoomResult and each.requests:
                mark = partial(self._progress.request, index)
                began = thread_time()
                self._reader.answer(self.documents[each.room], each.requests, result, now, mark)
                result.cpu_seconds += thread_time() - began
        self._reader.expire(self._now)
        self._commands.end_batch(self._now)
        self._progress.idle()
        for result in results:
            if type(result) is RoomResult:
                self._add_outcome(result)
        others, weddings = self._of_weddings({each.room for each in batch.rooms})
        self.held.take_apart()
        if not jobs and not self._slices.used and all(map(only_waits, batch.rooms, results)):
            self.held.copies.nap(NAP_SECONDS)  # a request that comes again at once would only keep the CPU from them
        return BatchResponse(results, jobs, others, weddings, self._begun)

    def _measured(self, index: int, batch: RoomRequests) -> RoomOutcome:
        began = thread_time()
        result = self._judge_room(index, batch)
        if type(result) is RoomResult and batch.load is None:
            result.cpu_seconds = thread_time() - began
        return result

    def _judge_room(self, index: int, batch: RoomRequests) -> RoomOutcome:
        room, load = batch.room, batch.load
        if load is not None:
            if load.further and self._postpones(room):
                self._postponed.add(room)
                return LoadPostponed(room)
            refused = self.held.load(room, load, partial(self._progress.reading, index))
            if refused is not None:
                return refused
            if not load.last:
                return RoomResult.empty(room, self.documents[room].pieces.size, built=False)
        document = self.documents[room]
        document.over_quota, document.compared_bytes = batch.over_quota, 0
        document.owners.claim(batch.claims)
        judge = self.held.judges.get(room)
        if judge is not None:
            self._touched[judge] = None
            judge.set_time(self._now)
            judge.on_resolve = partial(self._progress.resolving, index)
            if document.reads_doc and not self._commands.stops(judge):
                self._build(index, room)
        result, requests = RoomResult.empty(room), batch.requests
        i, count = 0, len(requests)
        # updates in a row are applied as one run; any other request is answered as of its place
        while i < count:
            # A step of the dispatcher's own is short, and comes last: it would never be reached on a busy host.
            if self._worked and requests[i].kind not in OWN and self._slices.batch_is_long():
                result.faults += [Fault(n, Status.LATER) for n in range(i, count)]
                break
            if self._commands.stops(judge) and not requests[i].begun:
                result.faults += () if requests[i].kind in OWN else (Fault(i, Status.LATER),)
                i += 1
                continue
            self._worked = True
            start, end = i, min(count, i + document.run.updates)
            while i < end and requests[i].kind is RequestKind.UPDATE:
                i += 1
            if start < i:
                began = thread_time()
                self._apply(index, start, room, requests[start:i], result)
                seconds = thread_time() - began
                document.run.measured(i - start, seconds)
                if seconds > SLOW_RUN_SECONDS:
                    result.slow.append(SlowUpdates(start, i, seconds))
                continue
            if requests[i].kind not in OF_BYTES:
                self._respond(index, i, room, requests[i], result)
            i += 1
        result.built = document.is_built
        return result

    def _postpones(self, room: int) -> bool:
        """Whether a further load step comes too late: others wait, or one before it was not taken."""
        return room in self._postponed or room not in self.documents or self._mark.is_waiting()

    def _apply(self, index: int, start: int, room: int, requests: Sequence[HostRequest], result: RoomResult) -> None:
        """Judge and apply updates that stand one after another in a batch, from the request ``start`` on."""
        document = self.documents[room]
        updates = [
            (each.payload, None if each.summary is None else decode_summary(each.payload, each.summary))
            for each in requests
        ]
        before_step = partial(self._before_step, index, start, updates, document)
        waiting = any(fault.status is Status.LATER for fault in result.faults)
        if not isinstance(document, SchemaDocument):
            known = [each.actor.user for each in requests if each.actor is not None]
            users = known if len(known) == len(requests) else ()
            found = document.apply(updates, before_step, users=users, waiting=waiting)
            result.faults += [Fault(start + n, status) for n, status in found]
            return
        signed = [(actor_of(each), self._vectors.of(room, each)) for each in requests]
        for each in self.held.judges[room].receive(document, updates, signed, before_step, waiting=waiting):
            if each.status is not Status.OK:
                result.faults.append(Fault(start + each.number, each.status))
            if each.notice is not None:
                result.notices.append(IndexedNotice(start + each.number, each.notice))

    def _respond(self, index: int, i: int, room: int, request: HostRequest, result: RoomResult) -> None:
        document, kind = self.documents[room], request.kind
        self._progress.request(index, i)
        if request.begun:
            self._command(index, i, room, request, result)
        elif kind is RequestKind.BUILD_DOC or (kind in OF_ROWS and isinstance(document, SchemaDocument)):
            self._build(index, room)
            self._progress.request(index, i)
        elif kind in OF_ROWS:
            pass  # refused at the end of the batch
        elif not isinstance(document, SchemaDocument):
            result.faults.append(Fault(i, Status.VIOLATION))
        elif kind is RequestKind.RESUME:
            self.held.judges[room].resolve()
        elif not self._build(index, room) or (kind is RequestKind.COMMAND and self.held.judges[room].resolver.urgent):
            result.faults.append(Fault(i, Status.LATER))
        elif kind is RequestKind.COMMAND:
            self._command(index, i, room, request, result)
        else:
            self._progress.request(index, i)
            self._respond_from_rows(self.held.judges[room], request)
            self._progress.request(index, i)
            result.responses.append(IndexedResponse(i, Done()))

    def _command(self, index: int, i: int, room: int, request: HostRequest, result: RoomResult) -> None:
        judge = self.held.judges[room]
        self._progress.request(index, i)
        response = self._commands.respond(judge, request, partial(self._progress.update, index, i))
        self._progress.request(index, i)
        if response is not None:
            result.responses.append(IndexedResponse(i, response))
        else:
            result.faults.append(Fault(i, Status.LATER))
        if request.begun or self._commands.stops(judge):
            self._begun = BegunCommand(index, i) if response is None else None

    def _build(self, index: int, room: int) -> bool:
        """The next slice of building a document. Returns whether it is built."""
        document = self.documents[room]
        if document.is_built:
            return True
        self._built = True
        self._progress.reading(index, PIECE_BYTES)
        if isinstance(document, SchemaDocument):
            return self.held.judges[room].build_doc(document)
        self._slices.begin(document)
        try:
            return document.build(self._slices)
        finally:
            self._slices.end()

    @staticmethod
    def _respond_from_rows(judge: WeddingJudge, request: HostRequest) -> None:
        """Do what needs the document open."""
        if request.kind is RequestKind.SET_BOOKINGS:
            found = decode_other_bookings(request.payload)
            judge.replace_bookings(found.organization, found.bookings)
        else:
            judge.on_resolve()
            judge.run_scheduled()

    def _add_outcome(self, result: RoomResult) -> None:
        """Complete a result with the outcome of the whole batch for its document."""
        document = self.documents.get(result.room)
        if document is None:
            return  # a later load step of it was refused
        if self._commands.hides(self.held.judges.get(result.room)):
            result.size = document.pieces.size
            return
        result.updates = document.take_outgoing()
        result.size = document.pieces.size
        if isinstance(document, SchemaDocument):
            result.derived = self.held.judges[result.room].take_records(document)
        elif owners := document.owners.take():
            result.derived = BatchRecords([], [], [ClientOwner(*each) for each in owners], [], [])

    def _of_weddings(self, named: set[int]) -> tuple[list[RoomResult], list[WeddingState]]:
        """Results of documents that the server has written to besides, and what the weddings wait for."""
        others: list[RoomResult] = []
        weddings: list[WeddingState] = []
        for state in self._touched:
            if self._commands.hides(state):
                continue
            rooms = self.held.rooms.get(state, {})
            for document in state.documents_with_news():
                room = rooms[document.name]
                if room not in named:
                    others.append(RoomResult.empty(room))
                    self._add_outcome(others[-1])
            needed, state.resolver.needed = sorted(state.resolver.needed), set()
            due, unfinished = state.next_due(), state.resolver.has_work
            if rooms and (needed or due is not None or unfinished):
                weddings.append(WeddingState(next(iter(rooms.values())), due, needed, unfinished))
        self._touched.clear()
        return others, weddings

    def _before_step(
        self, room: int, base: int, run: Sequence[tuple[bytes, object]], document: Document, n: int
    ) -> None:
        """Mark the next step. One that takes too long ends this process by SIGPROF."""
        if n == ProgressMark.LOADING:
            self._progress.reading(room, document.pieces.size)
        elif n == ProgressMark.MERGING:
            self._progress.merging(room, limited=sum(len(data) for data, _ in run) <= UNLIMITED_MERGE_BYTES)
        else:
            self._progress.update(room, base + n, cpu_limit_seconds(document, len(run[n][0])))

    def _job(self, job: Job) -> JobResult:
        if not isinstance(job, ForgetRooms):
            return perform(job)
        self.held.forget(job.rooms)
        self._commands.forgotten(self.held.rooms.__contains__)
        return Forgotten()


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
        pipe.sendall(frame(host.handle(decode_batch(body))))


def main(argv: list[str]) -> None:
    pipe_fd, mark_fd, memory_bytes, max_document_bytes = map(int, argv)
    if memory_bytes:
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    pipe = socket.socket(fileno=pipe_fd)
    host = DocumentHost(ProgressMark(mark_fd), max_document_bytes)
    warm_up()
    gc.freeze()
    gc.set_threshold(10_000, 5, 100)
    try:
        serve(pipe, host)
    except MemoryError:
        os._exit(EXIT_MEMORY)
    except BaseException as error:  # noqa: BLE001 - a PanicException is not an Exception, and nothing after it can be trusted
        os.write(2, f"host: {type(error).__name__}: {str(error)[:200]}\n".encode())
        os._exit(EXIT_PANIC)


if __name__ == "__main__":
    main(sys.argv[1:])
