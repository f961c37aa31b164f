"""Pushing later items of the running order when one is late.

Successors of an item are those that come `after` it, and those that need a vendor, a person or an exclusive place of it
and begin when it was to be over. A buffer shrinks to its shortest first; a flexible item moves, and becomes shorter
where a fixed one follows; fixed items, and what is already going on, never move: they are at risk.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from documents.invariants.model import Op, suffixes, whole

MAX_ITEMS: Final = 300
"""Of a longer running order nothing is pushed: everything would have to be compared with everything."""

_OVER: Final = ("done", "skipped")


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
    """What follows from a delay."""

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
    """What follows when items of a timeline (the rows of the root) are moved to new slots.

    `exclusive`: places that only one item can use at a time. `hard_end`: when all but breakdown has to be over.
    """
    nodes = {item: _Node(item, row, exclusive) for item, row in items.items() if _slot(row) is not None}
    roots = [item for item in moved if item in nodes]
    if len(nodes) > MAX_ITEMS:
        return Cascade((), (), tuple(sorted(roots)))
    order, circular = _order(nodes)
    for item in roots:
        nodes[item].new = moved[item]
    edges = _edges(nodes, order, roots)
    reached = [item for item in order if item in edges]
    _set_deadlines(nodes, reached, edges, hard_end)
    at_risk = _push(nodes, reached, edges, set(roots), hard_end)
    moves = [Move(item, nodes[item].old, nodes[item].new) for item in reached if nodes[item].new != nodes[item].old]
    stuck = {item for item in circular if item in roots or not edges.keys().isdisjoint(nodes[item].after)}
    return Cascade(tuple(moves), tuple(at_risk), tuple(sorted(stuck)))


class _Node:
    __slots__ = ("after", "breakdown", "buffer", "deadline", "id", "movable", "new", "old", "over", "resources",
                 "shortest")  # fmt: skip

    def __init__(self, id: str, row: Mapping[str, Any], exclusive: Collection[str]) -> None:
        self.id = id
        slot = _slot(row)
        assert slot is not None
        self.old = self.new = slot
        self.buffer = row.get("rigidity") == "buffer"
        status = row.get("status")
        self.over = status == "done"
        self.movable = row.get("rigidity") != "fixed" and status not in ("live", *_OVER)
        shortest = whole(row, "minDuration")
        self.shortest = min(slot.duration, shortest if shortest is not None else 0 if self.buffer else slot.duration)
        self.breakdown = row.get("kind") == "breakdown"
        self.after = {key[6:]: gap for key, gap in row.items() if key.startswith("after:") and type(gap) is int}
        self.resources = {("v", each) for each in suffixes(row, "vendor:")}
        self.resources |= {("p", each) for each in suffixes(row, "person:")}
        if row.get("place") in exclusive:
            self.resources.add(("@", row["place"]))
        self.deadline: int | None = None


def _slot(row: Any) -> Slot | None:
    if type(row) is not dict or "deleted" in row or row.get("status") == "skipped":
        return None
    start = whole(row, "start")
    return None if start is None else Slot(start, whole(row, "duration") or 0)


def _order(nodes: Mapping[str, _Node]) -> tuple[list[str], set[str]]:
    """Items so that each comes after what it is `after`, otherwise by time; and those for which that cannot be."""
    waiting = {item: sum(each in nodes for each in node.after) for item, node in nodes.items()}
    followers: dict[str, list[str]] = {}
    for item, node in nodes.items():
        for before in node.after:
            followers.setdefault(before, []).append(item)
    ready = [(nodes[item].old.start, item) for item, count in waiting.items() if not count]
    heapq.heapify(ready)
    order = []
    while ready:
        _, item = heapq.heappop(ready)
        order.append(item)
        for follower in followers.get(item, ()):
            waiting[follower] -= 1
            if not waiting[follower]:
                heapq.heappush(ready, (nodes[follower].old.start, follower))
    return order, nodes.keys() - set(order)


def _edges(nodes: Mapping[str, _Node], order: list[str], roots: list[str]) -> dict[str, dict[str, int]]:
    """Of every item that a delay can reach: item -> successors with the gap to keep."""
    place = {item: index for index, item in enumerate(order)}
    edges: dict[str, dict[str, int]] = {}
    waiting = [item for item in roots if item in place]
    while waiting:
        item = waiting.pop()
        if item not in edges:
            edges[item] = dict(_successors(nodes, nodes[item], order[place[item] + 1 :]))
            waiting.extend(edges[item])
    return edges


def _successors(nodes: Mapping[str, _Node], node: _Node, later: list[str]) -> Iterator[tuple[str, int]]:
    for item in later:
        other = nodes[item]
        gap = other.after.get(node.id)
        shares = node.old.end <= other.old.start and not node.resources.isdisjoint(other.resources)
        if (gap is not None or shares) and not other.over:
            yield item, gap or 0


def _set_deadlines(
    nodes: Mapping[str, _Node], reached: list[str], edges: Mapping[str, Mapping[str, int]], hard_end: int | None
) -> None:
    """By when each item has to be over so that what cannot move begins in time, with all between at its shortest."""
    for item in reversed(reached):
        node = nodes[item]
        deadlines = [] if hard_end is None or node.breakdown else [hard_end]
        for target, gap in edges[item].items():
            other = nodes[target]
            if not other.movable:
                deadlines.append(other.old.start - gap)
            elif other.deadline is not None:
                deadlines.append(other.deadline - other.shortest - gap)
        node.deadline = min(deadlines, default=None)


def _push(
    nodes: Mapping[str, _Node],
    reached: list[str],
    edges: Mapping[str, Mapping[str, int]],
    roots: set[str],
    hard_end: int | None,
) -> Iterator[Risk]:
    """Move what has to move, in order. Yields what cannot move although it had to."""
    needs: dict[str, int] = {}
    risks = []
    for item in reached:
        node = nodes[item]
        need = needs.get(item, node.new.start)
        if item not in roots and need > node.new.start:
            if node.movable:
                node.new = _later(node, need)
            else:
                risks.append(Risk(item, need - node.new.start))
        if item in roots or node.new != node.old:
            for target, gap in edges[item].items():
                needs[target] = max(needs.get(target, node.new.end + gap), node.new.end + gap)
        if hard_end is not None and not node.breakdown and node.new.end > max(hard_end, node.old.end):
            risks.append(Risk(item, node.new.end - hard_end))
    return iter(risks)


def _later(node: _Node, start: int) -> Slot:
    duration = node.old.duration
    if node.buffer:
        duration = max(node.shortest, node.old.end - start)
    if node.deadline is not None and start + duration > node.deadline:
        duration = max(node.shortest, node.deadline - start)
    return Slot(start, min(duration, node.old.duration))
