"""Pushing later items of the running order when one is late.

Successors of an item are those that come `after` it, and those that need a vendor, a person or an exclusive place of it
and begin when it was to be over. A buffer shrinks to its shortest first; a flexible item moves, and becomes shorter
where a fixed one follows; fixed items, and what is already going on, never move: they are at risk.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from documents.invariants.model import Op, whole

MAX_ITEMS: Final = 300
"""Of a longer running order nothing is pushed: everything would have to be compared with everything."""

MAX_STEPS: Final = 20_000
"""Where more pairs of items would have to be looked at (about 5 ms), nothing is pushed either: many items that all need
many vendors and people are as many comparisons as a far longer order."""


class Slot(NamedTuple):
    """When something is: minutes from 00:00 on the wedding date, and its length in minutes."""

    start: int
    duration: int

    @property
    def end(self) -> int:
        return self.start + self.duration


class Move(NamedTuple):
    """An item that would be at another time, or shorter."""

    item: str
    old: Slot
    new: Slot


class Risk(NamedTuple):
    """An item that cannot move and would not begin, or end, in time."""

    item: str
    minutes: int
    """By how much what comes before is too late, or by how much it goes beyond the hard end."""


@dataclass(frozen=True, slots=True)
class Cascade:
    """The consequences of a delay."""

    moves: tuple[Move, ...]
    """In the order in which the items depend on each other, those that were moved at the beginning first."""
    at_risk: tuple[Risk, ...] = ()
    circular: tuple[str, ...] = ()
    """Items that come after themselves, and so cannot be pushed."""

    @property
    def clear(self) -> bool:
        """Whether it can be carried out without asking."""
        return not self.at_risk and not self.circular

    def ops(self) -> tuple[Op, ...]:
        return tuple(
            Op("set", "timeline", "items", item, key, value)
            for item, old, new in self.moves
            for key, before, value in (("start", old.start, new.start), ("duration", old.duration, new.duration))
            if before != value
        )


def cascade(
    items: Mapping[str, Any],
    moved: Mapping[str, Slot],
    *,
    exclusive: Collection[str] = (),
    hard_end: int | None = None,
) -> Cascade:
    """The moves that follow when items of a timeline (the rows of the root) are moved to new slots.

    `exclusive`: places that only one item can use at a time. `hard_end`: when all but breakdown has to be over.
    """
    nodes = {item: node for item, row in items.items() if (node := Node.read(item, row, exclusive)) is not None}
    return Plan(nodes).push(moved, hard_end=hard_end)


@dataclass(frozen=True, slots=True)
class Node:
    """The part of an item that a cascade reads."""

    id: str
    slot: Slot
    shortest: int
    buffer: bool
    breakdown: bool
    over: bool
    movable: bool
    after: Mapping[str, int]
    """Item that has to be over -> minutes in between."""
    resources: frozenset[tuple[str, str]]
    """Vendors, people and exclusive places that it needs for itself."""

    @classmethod
    def read(cls, item: str, row: Any, exclusive: Collection[str]) -> Node | None:
        """The node of a row; None where it has no start, was skipped or deleted."""
        slot = _slot(row)
        if slot is None:
            return None
        resources, after = set(), {}
        for key, value in row.items():
            prefix, colon, suffix = key.partition(":")
            if colon:
                if prefix == "after" and type(value) is int:
                    after[suffix] = value
                elif prefix in ("vendor", "person"):
                    resources.add((prefix, suffix))
        place, rigidity, status = row.get("place"), row.get("rigidity"), row.get("status")
        if type(place) is str and place in exclusive:
            resources.add(("place", place))
        buffer, shortest = rigidity == "buffer", whole(row, "minDuration")
        if shortest is None:
            shortest = 0 if buffer else slot.duration
        return cls(
            item, slot, min(slot.duration, shortest), buffer, row.get("kind") == "breakdown", status == "done",
            rigidity != "fixed" and status not in ("live", "done"), after, frozenset(resources),
        )  # fmt: skip


class Plan:
    """A running order, prepared for any number of delays."""

    def __init__(self, nodes: Mapping[str, Node]) -> None:
        self._nodes = nodes
        self._followers: dict[str, list[str]] = {}
        self._users: dict[tuple[str, str], list[int]] = {}
        """Resource -> places in the order of those that need it."""
        self._order: list[str] = []
        self._place: dict[str, int] = {}
        self._known: dict[object, Cascade] = {}
        self._steps = 0
        """Of the push that is worked out."""
        self._too_long = len(nodes) > MAX_ITEMS
        if not self._too_long:
            self._sort()
        self._circular = nodes.keys() - self._place.keys()

    def push(self, moved: Mapping[str, Slot], *, hard_end: int | None = None) -> Cascade:
        """The moves that follow when items are moved to new slots."""
        question = (hard_end, *sorted(moved.items()))
        if question not in self._known:
            if len(self._known) > MAX_ITEMS:
                self._known.clear()
            self._known[question] = self._push(moved, hard_end)
        return self._known[question]

    def _push(self, moved: Mapping[str, Slot], hard_end: int | None) -> Cascade:
        roots = {item: slot for item, slot in moved.items() if item in self._nodes}
        self._steps = 0
        edges = {} if self._too_long else self._reach(roots)
        if self._too_long or self._steps > MAX_STEPS:
            return Cascade((), (), tuple(sorted(roots)))
        reached = sorted(edges, key=self._place.__getitem__)
        deadlines = self._deadlines(reached, edges, hard_end)
        slots, at_risk = self._shift(reached, edges, roots, deadlines, hard_end)
        moves = [Move(item, self._nodes[item].slot, slots[item]) for item in reached if item in slots]
        stuck = [
            each for each in self._circular if each in roots or not edges.keys().isdisjoint(self._nodes[each].after)
        ]
        return Cascade(tuple(moves), tuple(at_risk), tuple(sorted(stuck)))

    def _sort(self) -> None:
        """Items so that each comes after what it is `after`, otherwise by time. Those that go in circles stay out."""
        nodes = self._nodes
        waiting = {item: sum(each in nodes for each in node.after) for item, node in nodes.items()}
        for item, node in nodes.items():
            for before in node.after:
                self._followers.setdefault(before, []).append(item)
        ready = [(nodes[item].slot.start, item) for item, count in waiting.items() if not count]
        heapq.heapify(ready)
        while ready:
            _, item = heapq.heappop(ready)
            self._append(item)
            for follower in self._followers.get(item, ()):
                waiting[follower] -= 1
                if not waiting[follower]:
                    heapq.heappush(ready, (nodes[follower].slot.start, follower))

    def _append(self, item: str) -> None:
        place = self._place[item] = len(self._order)
        self._order.append(item)
        for resource in self._nodes[item].resources:
            self._users.setdefault(resource, []).append(place)

    def _reach(self, roots: Collection[str]) -> dict[str, dict[str, int]]:
        """Of every item that a delay can reach: item -> successors with the minutes to keep in between."""
        edges: dict[str, dict[str, int]] = {}
        waiting = [item for item in roots if item in self._place]
        while waiting and self._steps <= MAX_STEPS:
            item = waiting.pop()
            if item not in edges:
                edges[item] = self._successors(self._nodes[item])
                waiting.extend(edges[item])
        return edges

    def _successors(self, node: Node) -> dict[str, int]:
        found = dict.fromkeys((user for resource in node.resources for user in self._next(node, resource)), 0)
        self._steps += len(node.resources) + len(self._followers.get(node.id, ()))
        for follower in self._followers.get(node.id, ()):
            other = self._nodes[follower]
            if follower in self._place and not other.over:
                found[follower] = max(found.get(follower, 0), other.after[node.id])
        return found

    def _next(self, node: Node, resource: tuple[str, str]) -> Iterator[str]:
        """The next items that need the resource. Later ones are pushed by those."""
        users = self._users[resource]
        beyond = None
        for index in range(bisect_right(users, self._place[node.id]), len(users)):
            self._steps += 1
            if self._steps > MAX_STEPS:
                return
            other = self._nodes[self._order[users[index]]]
            if other.over or other.slot.start < node.slot.end:
                continue
            if beyond is not None and other.slot.start >= beyond:
                return
            yield other.id
            if other.movable:
                beyond = other.slot.end if beyond is None else min(beyond, other.slot.end)

    def _deadlines(
        self, reached: list[str], edges: Mapping[str, Mapping[str, int]], hard_end: int | None
    ) -> dict[str, int]:
        """By when items have to be over so that what cannot move begins in time, with all between at its shortest."""
        deadlines: dict[str, int] = {}
        for item in reversed(reached):
            found = [] if hard_end is None or self._nodes[item].breakdown else [hard_end]
            for target, gap in edges[item].items():
                other = self._nodes[target]
                if not other.movable:
                    found.append(other.slot.start - gap)
                elif target in deadlines:
                    found.append(deadlines[target] - other.shortest - gap)
            if found:
                deadlines[item] = min(found)
        return deadlines

    def _shift(
        self,
        reached: list[str],
        edges: Mapping[str, Mapping[str, int]],
        roots: Mapping[str, Slot],
        deadlines: Mapping[str, int],
        hard_end: int | None,
    ) -> tuple[dict[str, Slot], list[Risk]]:
        """The new slots of what has to move, in order, and what cannot move although it had to."""
        needs: dict[str, int] = {}
        slots: dict[str, Slot] = {}
        risks = []
        for item in reached:
            node = self._nodes[item]
            new = roots.get(item, node.slot)
            need = needs.get(item, new.start)
            if item not in roots and need > new.start:
                if node.movable:
                    new = _later(node, need, deadlines.get(item))
                else:
                    risks.append(Risk(item, need - new.start))
            if new != node.slot:
                slots[item] = new
            if item in roots or new != node.slot:
                for target, gap in edges[item].items():
                    needs[target] = max(needs.get(target, new.end + gap), new.end + gap)
            if hard_end is not None and not node.breakdown and new.end > max(hard_end, node.slot.end):
                risks.append(Risk(item, new.end - hard_end))
        return slots, risks


def _slot(row: Any) -> Slot | None:
    if type(row) is not dict or "deleted" in row or row.get("status") == "skipped":
        return None
    start = whole(row, "start")
    return None if start is None else Slot(start, whole(row, "duration") or 0)


def _later(node: Node, start: int, deadline: int | None) -> Slot:
    duration = node.slot.duration
    if node.buffer:
        duration = min(duration, max(node.shortest, node.slot.end - start))
    if deadline is not None and start + duration > deadline:
        duration = max(node.shortest, deadline - start)
    return Slot(start, duration)
