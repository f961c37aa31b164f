"""Three people edit a whole wedding at random, mostly offline, and come back in any order."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from itertools import count
from random import Random
from typing import Any

import pytest

from crdt_server.judge.review_limits import is_summary
from documents.invariants import Finding
from documents.sample import sample_wedding
from tests.judge.bench import NAMES, Bench
from tests.judge.crowd import Hand, Written, lost_in_silence
from tests.support.effort import repeated

ROUNDS, EDITS = 3, 25
RESTARTED = 3
PEOPLE = (("chloe", "couple"), ("maria", "planner"), ("aunt", "family"))


@cache
def wedding() -> Bench:
    sample = sample_wedding(guests=250, seed=5, violations=0)
    now = datetime.fromisoformat(sample.now).timestamp()
    bench = Bench({name: sample.documents[name] for name in NAMES}, sample.writers, now=now)
    assert bench.reviews() == []
    assert bench.findings() == []
    return bench


def run(seed: int, *, together: bool = False) -> None:
    """``together``: everybody comes back at once, and their updates of a document in one batch."""
    random, clock = Random(seed), count()
    bench = Bench(like=wedding(), now=wedding().now)
    ids = random.sample(range(10, 1000), len(PEOPLE))
    hands = [Hand(bench.join(*person, id), random, clock) for person, id in zip(PEOPLE, ids, strict=True)]
    arrived: list[Written] = []
    for _ in range(ROUNDS):
        for hand in hands:
            bench.part(hand.replica)
            for _ in range(random.randrange(EDITS) + 1):
                hand.edit()
        if together:
            bench.sync_together(hand.replica for hand in random.sample(hands, len(hands)))
            arrived += [write for hand in hands for write in hand.written]
        for hand in random.sample(hands, len(hands)):
            bench.wait(random.choice((0.1, 1, 100)))
            bench.sync(hand.replica)
            arrived += hand.written
            hand.learn(arrived)
            if random.random() < 0.3:
                bench.part(hand.replica)
                hand.edit()
        for hand in hands:
            bench.sync(hand.replica)
            arrived += hand.written
        for hand in hands:
            hand.learn(arrived)
        bench.settle()
    bench.check()
    records = bench.reviews()
    silent = Counter(finding.invariant for finding in bench.findings() if not named(finding, records))
    assert silent == {kind: number for kind, number in counted(records).items() if kind in silent}
    assert lost_in_silence(bench, hands) == []
    if seed % RESTARTED == 0:
        bench.check_restart()


def named(finding: Finding, records: list[dict[str, Any]]) -> bool:
    """Whether people were asked, or decided, or the rule is content with it as it is."""
    return any(
        record["_fingerprint"] == finding.fingerprint
        and (record["_state"] in ("open", "resolved") or (record["_state"] == "auto" and not finding.automatic))
        for record in records
    )


def counted(records: list[dict[str, Any]]) -> dict[str, int]:
    """Invariant -> number of findings beyond those that are listed one by one, which say what they are about."""
    summaries = [record for record in records if is_summary(record)]
    assert [record for record in records if not record["_subject"]] == summaries
    return {record["_kind"]: int(record["_summary"].partition(" ")[0]) for record in summaries}


@pytest.mark.parametrize("seed", [0, 1, 2, *repeated(3, 4, 5)])
def test_everybody_ends_with_the_same_and_nothing_is_lost(seed: int) -> None:
    run(seed)


@pytest.mark.parametrize("seed", [6, 7, *repeated(8, 9)])
def test_so_they_do_where_they_come_in_one_batch(seed: int) -> None:
    run(seed, together=True)


def seeds() -> Iterator[int]:
    first = int(os.environ.get("FIRST_SEED", "1000"))
    return iter(range(first, first + int(os.environ.get("RUNS", "1000"))))


@pytest.mark.soak
def test_a_thousand_crowds() -> None:
    for seed in seeds():
        try:
            run(seed, together=seed % 2 == 1)
        except Exception as error:
            raise AssertionError(f"seed {seed}") from error
