"""CPU of a document host for the checks of a wedding: prints one JSON array per case.

    python benchmarks/host_cost.py '{"guests": 250, "edits": 300, "batch": 16, "offline_edits": 200, "repeats": 5}'

A process of its own, so that it measures the tree on PYTHONPATH: this one, or that of the commit to compare with, whose
`WeddingHost` makes one edit at a time.
"""

import json
import statistics
import sys
from collections.abc import Callable, Iterator
from typing import Any

from pycrdt import TransactionEvent

from benchmarks import wedding_host
from benchmarks.wedding_host import ACTOR, EDITS, WeddingHost, calibration

Cost = tuple[str, dict[str, float]]


class EarlierWeddingHost(WeddingHost):
    """The `WeddingHost` of 035a493 with several edits in one batch."""

    def edit(self, kind: str, count: int = 1) -> float:
        name, change = EDITS[kind]
        doc = self._replica(name)
        sent: list[list[Any]] = []

        def keep(event: TransactionEvent) -> None:
            sent.append([wedding_host.Op.UPDATE, event.update, None, ACTOR, None])  # type: ignore[attr-defined]

        subscription = doc.observe(keep)
        for _ in range(count):
            with doc.transaction():
                change(doc, self._chance)
        doc.unobserve(subscription)
        entry = [self._rooms[name], None, True, False, sent, None]
        _, merged, faults, _, _, _, _, notices = self._ask(entry)  # type: ignore[attr-defined]
        if faults or notices or not merged:
            raise RuntimeError(f"an edit of {name} was not simply accepted: {faults or notices}")
        return self.seconds


def measure(guests: int, edits: int, batch: int, offline_edits: int, repeats: int) -> Iterator[Cost]:
    """Each kind of edit alone and in batches, and all documents; times per edit."""
    host = (EarlierWeddingHost if hasattr(wedding_host, "Op") else WeddingHost)(guests)
    yield "calibration: one small update decoded", _microseconds([calibration() for _ in range(edits)])
    for kind in EDITS:
        yield f"edit alone: {kind}", _microseconds([host.edit(kind) for _ in range(edits)])
    for kind in EDITS:
        costs = [host.edit(kind, batch) / batch for _ in range(max(edits // batch, repeats))]
        yield f"edit in a batch of {batch}: {kind}", _microseconds(costs)
    yield f"{offline_edits} offline edits", {"host_ms": _median_ms(repeats, lambda: host.merge(offline_edits))}
    yield "every document loaded", {"host_ms": _median_ms(repeats, host.load)}
    if not isinstance(host, EarlierWeddingHost):
        yield from _with_derived(host, edits)


def _with_derived(host: WeddingHost, edits: int) -> Iterator[Cost]:
    """An edit of one guest, while derived documents are open: those of other guests, then lists that show it."""
    opened, without = 0, 0.0
    for count in (0, 10, 100):
        for guest in host.guests()[opened:count]:
            host.open_derived(f"guests@self.{guest}")
        opened = count
        cost = _microseconds([host.edit(wedding_host.ONE_GUEST) for _ in range(edits)])
        without = without or cost["host_us"]
        yield f"edit with {count} derived documents open that do not show it", cost | _each(cost, without, count)
    without = _microseconds([host.edit(wedding_host.ONE_GUEST) for _ in range(edits)])["host_us"]
    for count, name in enumerate(wedding_host.LISTS, 1):
        host.open_derived(name)
        cost = _microseconds([host.edit(wedding_host.ONE_GUEST) for _ in range(edits)])
        yield f"the same with {count} lists of guests besides", cost | _each(cost, without, count)


def _each(cost: dict[str, float], without_us: float, count: int) -> dict[str, float]:
    """The share of each of ``count`` documents, where an edit took ``without_us`` without them."""
    return {"each_us": round((cost["host_us"] - without_us) / count, 1)} if count else {}


def _microseconds(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(1_000_000 * each for each in seconds)
    return {
        "host_us": round(statistics.median(ordered), 1),
        "host_best_us": round(ordered[len(ordered) // 20], 1),
        "host_p95_us": round(ordered[len(ordered) * 95 // 100], 1),
    }


def _median_ms(repeats: int, take: Callable[[], float]) -> float:
    return round(1000 * statistics.median(take() for _ in range(repeats)), 1)


if __name__ == "__main__":
    for cost in measure(**json.loads(sys.argv[1])):
        print(json.dumps(cost), flush=True)
