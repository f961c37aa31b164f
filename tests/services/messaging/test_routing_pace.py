"""How long the router rests."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from crdt_server.metrics import Metrics
from crdt_server.services.messaging import routing_pace
from crdt_server.services.messaging.routing_pace import (
    BACKLOG_FACTOR,
    FREE_STORING,
    LONGEST_REST,
    REST_FACTOR,
    SHORTEST_REST,
    STORING_FACTOR,
    RoutingPace,
)

README = Path(routing_pace.__file__).with_name("README.md")


def rests(*batches: tuple[float, float], backlog: bool = False) -> list[float]:
    """The rest behind each of some batches: CPU seconds of decisions, seconds of transactions."""
    pace, found = RoutingPace(), []
    for decided, stored in batches:
        pace.decided(decided)
        pace.stored(stored)
        found.append(pace.rest(backlog=backlog))
    return found


def test_single_events_wait_for_the_shortest_rest() -> None:
    assert rests(*[(0.002, FREE_STORING)] * 3) == [SHORTEST_REST] * 3


def test_a_transaction_that_waited_for_the_disk_makes_nothing_else_late() -> None:
    assert rests((0.002, 0.01), (0.002, 0.5), (0.002, 0.01)) == [SHORTEST_REST] * 3


@pytest.mark.parametrize(("backlog", "factor"), [(True, BACKLOG_FACTOR), (False, REST_FACTOR)])
def test_rests_are_a_multiple_of_the_work(backlog: bool, factor: float) -> None:
    _, rest = rests((0.03, 0.08), (0.03, 0.06), backlog=backlog)
    assert rest == pytest.approx(0.03 * factor + (0.06 - FREE_STORING) * STORING_FACTOR)
    assert rests((60.0, 0.0), backlog=backlog) == [LONGEST_REST]


@pytest.mark.parametrize(("backlog", "factor"), [(True, BACKLOG_FACTOR), (False, REST_FACTOR)])
def test_a_batch_rests_between_its_decisions(backlog: bool, factor: float) -> None:
    pace = RoutingPace()
    pace.rest(backlog=backlog)
    assert pace.rest_between(0.001) == pytest.approx(0.001 * factor)
    assert pace.rest_between(60.0) == LONGEST_REST
    assert pace.rest(backlog=backlog) == SHORTEST_REST, "rested for already"


def test_a_page_of_a_few_events_rests_between_them() -> None:
    slept: list[float] = []
    pace = RoutingPace()
    pace.rest(backlog=False)
    begun = time.thread_time()
    with pace.deciding(slept.append) as between:
        while time.thread_time() < begun + 0.004:
            between()
    assert len(slept) >= 3
    assert 0.002 * REST_FACTOR <= sum(slept) < 2 * (time.thread_time() - begun) * REST_FACTOR


def test_rests_within_a_page_end_after_the_longest_rest() -> None:
    slept: list[float] = []
    pace = RoutingPace()
    with pace.deciding(slept.append) as between:
        until = time.thread_time() + 0.3
        while time.thread_time() < until:
            between()
    assert LONGEST_REST <= sum(slept) < 2 * LONGEST_REST


def test_alerts_name_metrics_that_there_are() -> None:
    exposed = Metrics().render().decode()
    named = re.findall(r"crdt_[a-z_]+", " ".join(re.findall(r"`[^`]*(?:>|\[)[^`]*`", README.read_text())))
    assert named
    assert [name for name in named if not re.search(rf"^(# TYPE )?{name}[ {{]", exposed, re.MULTILINE)] == []
