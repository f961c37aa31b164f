"""The commands of a host: they are tried in slices, and those of many operations are written in slices, too.

While a command is being written its wedding stands still: the host takes no other request of it, and gives away
nothing that was written before the last step. A host that ends before leaves nothing behind, since it has told nobody.
One command of a host is written at a time, so that a wedding waits for its own operations only; the dispatcher sends
it with every batch until it is done (`HostRequest.begun`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from crdt_server.judge.applied import actor_of
from crdt_server.judge.commands import (
    DRAFT_CPU_SECONDS,
    WRITTEN_AT_ONCE,
    Drafts,
    answered,
    command,
    document_of,
    resolve,
    write_limit_seconds,
)
from crdt_server.judge.slices import Slices
from crdt_server.judge.wedding import WeddingJudge
from crdt_server.pipe import BegunCommand, CommandBody, HostRequest, Response, RoomRequests, decode_command
from documents.events import Actor
from documents.invariants import Op

FEWEST_AT_ONCE, MOST_AT_ONCE = 1, 64
"""Operations of a step, as many as take `STEP_SECONDS`."""
STEP_SECONDS = 0.002


class HostCommands:
    """See the head of the file. ``clock``: the CPU time of this process in seconds."""

    def __init__(self, slices: Slices, clock: Callable[[], float]) -> None:
        self._slices = slices
        self._clock = clock
        self._drafts = Drafts(slices, clock)
        self._writes: _Writes | None = None
        self._came = False  # in this batch, the command that is being written

    def respond(self, judge: WeddingJudge, request: HostRequest, begin: Callable[[float], None]) -> Response | None:
        """Carry out a command. None: it has to come again. ``begin(seconds)``: from now on it has a limit."""
        size, writes = len(request.payload), self._writes
        limit_writes = partial(begin, write_limit_seconds(size))
        if request.begun:
            assert writes is not None
            self._came = True
            limit_writes()
            if not writes.run(self._slices):
                return None
            self._writes = None
            return answered(judge, writes.body, writes.ops)
        body, actor = decode_command(request.payload), actor_of(request)
        if self._came and sum(len(part.operations) for part in body.parts) > WRITTEN_AT_ONCE:
            return None
        begin(2 * DRAFT_CPU_SECONDS)
        later = partial(self._begin, judge, actor, body) if writes is None else None
        on_written = judge.on_resolve
        return command(
            judge, actor, body, size, drafts=self._drafts, on_write=limit_writes, on_written=on_written, later=later
        )

    def end_batch(self, now: float) -> None:
        """All requests of a batch were answered."""
        self._came = False
        self._drafts.expire(now)

    @property
    def writes(self) -> bool:
        """Whether a command is being written."""
        return self._writes is not None

    def begun_in(self, rooms: Sequence[RoomRequests]) -> BegunCommand | None:
        """The place in a batch of the command that is being written. It has to come again also where the batch does
        not reach it."""
        if self._writes is None:
            return None
        for room, each in enumerate(rooms):
            for number, request in enumerate(each.requests):
                if request.begun:
                    return BegunCommand(room, number)
        return None

    def stops(self, judge: WeddingJudge | None) -> bool:
        """Whether a wedding stands still."""
        return judge is not None and self._writes is not None and self._writes.judge is judge

    def hides(self, judge: WeddingJudge | None) -> bool:
        """Whether what was written in a wedding is not to be given away yet."""
        return self.stops(judge) and self._writes is not None and self._writes.began

    def forgotten(self, held: Callable[[WeddingJudge], bool]) -> None:
        """Documents were forgotten. ``held``: whether a wedding is still there."""
        writes = self._writes
        if writes is None:
            return
        if not held(writes.judge):
            self._writes = None
        elif not writes.is_whole:
            raise RuntimeError("a document was forgotten in the middle of a command")  # ends this host, and all of it

    def _begin(self, judge: WeddingJudge, actor: Actor, body: CommandBody, ops: Sequence[Op]) -> None:
        """Write from the next batch on: this one may have changed the wedding already, and gives that away."""
        self._writes = _Writes(judge, actor, body, ops, self._clock)


class _Writes:
    """The operations of one command, as they are written; then the rules have one turn, and what they leave is shown in
    derived documents."""

    def __init__(
        self, judge: WeddingJudge, actor: Actor, body: CommandBody, ops: Sequence[Op], clock: Callable[[], float]
    ) -> None:
        self.judge = judge
        self.body = body
        self.ops = ops
        self.began = False
        self._actor = actor
        self._clock = clock
        # Also those that it leaves as they are.
        names = {part.document for part in body.parts} | {op.document for op in ops}
        self._documents = {name: document_of(judge, name) for name in names}
        write, show = partial(self._run, self._write()), partial(self._run, judge.derived.refreshed())
        self._turns = iter((write, self._resolve, show))
        self._turn: Callable[[Slices], bool] | None = next(self._turns)

    @property
    def is_whole(self) -> bool:
        """Whether its documents are still there."""
        there = {**self.judge.derived.documents, **self.judge.open}
        return all(there.get(name) is document for name, document in self._documents.items())

    def run(self, slices: Slices) -> bool:
        """Do the next slice. Returns whether nothing is left: what follows has a batch to itself."""
        self.began = True
        if self._turn is None:
            return True
        if self._turn(slices):
            self._turn = next(self._turns, None)
        return False

    def _run(self, steps: Iterator[None], slices: Slices) -> bool:
        slices.begin(self)
        try:
            while not slices.used_up():
                if next(steps, self) is self:
                    return True
            return False
        finally:
            slices.end()

    def _resolve(self, slices: Slices) -> bool:
        self.judge.on_resolve()
        resolve(self.judge, self.ops)
        return True

    def _write(self) -> Iterator[None]:
        at_once = FEWEST_AT_ONCE
        step: list[Op] = []
        for of_record in _by_record(self.ops):
            for op in of_record:
                step.append(op)
                if len(step) == MOST_AT_ONCE or (len(step) >= at_once and op is of_record[-1]):
                    at_once = self._write_step(step)
                    step = []
                    yield
        self.judge.write(step, self._actor)

    def _write_step(self, ops: Sequence[Op]) -> int:
        """Write some operations. Returns how many the next step may have."""
        began = self._clock()
        self.judge.write(ops, self._actor)
        seconds = (self._clock() - began) or STEP_SECONDS
        affordable = min(2 * len(ops), int(len(ops) * STEP_SECONDS / seconds))
        return max(FEWEST_AT_ONCE, min(MOST_AT_ONCE, affordable))


def _by_record(ops: Sequence[Op]) -> list[list[Op]]:
    """The operations of each record: written in one step they are one event."""
    by_record: dict[tuple[str, str, str], list[Op]] = {}
    for op in ops:
        by_record.setdefault((op.document, op.root, op.record), []).append(op)
    return list(by_record.values())
