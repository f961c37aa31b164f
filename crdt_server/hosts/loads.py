"""Documents on their way into a host, step by step, and the rows of their weddings with the first of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

from crdt_server.hosts.batch import SLICE_BYTES, BatchEntry, LoadPlan
from crdt_server.rooms.room import Phase, Room

FURTHER_STEPS = 15  # in a batch of one document alone: some 70 ms, which end as soon as others wait


class Loads:
    """See the head of the file. A document whose wedding is incomplete waits until it has all its rows."""

    def __init__(self) -> None:
        self._plans: dict[Room, LoadPlan] = {}
        self._steps: dict[Room, Iterator[BatchEntry]] = {}  # of those that have begun
        self._bringing: dict[str, Room] = {}  # wedding -> document that brings its rows
        self._complete: set[str] = set()  # weddings whose rows the host was sent

    def __contains__(self, room: Room) -> bool:
        return room in self._plans

    def __iter__(self) -> Iterator[Room]:
        return iter(self._plans)

    def add(self, room: Room, plan: LoadPlan) -> None:
        """Bring a document into the host."""
        self._plans[room] = plan

    def cancel(self, room: Room) -> bool:
        """No step of it is to come. Returns whether one was."""
        self._steps.pop(room, None)
        if self._bringing.get(room.wedding) is room:
            del self._bringing[room.wedding]
        return self._plans.pop(room, None) is not None

    def forget_wedding(self, wedding: str) -> None:
        """The host holds no document of it any more."""
        self._complete.discard(wedding)

    def clear(self) -> None:
        """The host is gone, with all it was sent."""
        self._plans.clear()
        self._steps.clear()
        self._bringing.clear()
        self._complete.clear()

    def put_back(self, steps: Sequence[BatchEntry]) -> None:
        """Steps that the host has postponed, which were the latest of their rooms."""
        for step in reversed(steps):
            room = step.room
            if room.phase is Phase.DEAD:
                continue
            self._plans.setdefault(room, LoadPlan([]))
            self._steps[room] = chain((step,), self._steps.get(room, ()))
            if step.load is not None and step.load.rows:
                self._bringing[room.wedding] = room
                self._complete.discard(room.wedding)

    def take(self, *, alone: bool) -> Iterator[BatchEntry]:
        """Steps for the next batch, one of each document, until they are large enough. ``alone``: nobody waits for
        another document, so that the only one that is loaded has further steps, which its host may postpone."""
        further = FURTHER_STEPS if alone and len(self._plans) == 1 else 0
        budget = SLICE_BYTES
        for room in list(self._plans):
            if budget <= 0:
                return
            if self._bringing.get(room.wedding, room) is not room and room.hosted.has_schema:
                continue
            step = self._next(room)
            assert step.load is not None
            budget -= step.load_cost
            step.load.further = False
            if room in self._plans:
                self._plans[room] = self._plans.pop(room)  # behind the others: a small one does not wait for a large
            yield step
            while further and room in self._plans:
                further -= 1
                step = self._next(room)
                assert step.load is not None
                step.load.further = True
                yield step

    def _next(self, room: Room) -> BatchEntry:
        steps = self._steps.get(room)
        if steps is None:
            plan = self._plans[room]
            if room.wedding in self._complete:
                plan.rows = None  # another document has brought them meanwhile
            steps = self._steps[room] = plan.steps(room)
        step = next(steps)
        load = step.load
        assert load is not None
        if load.more_rows:
            self._bringing[room.wedding] = room
        elif room.hosted.has_schema:
            self._complete.add(room.wedding)
            if self._bringing.get(room.wedding) is room:
                del self._bringing[room.wedding]
        if load.last:
            del self._steps[room], self._plans[room]
        return step
