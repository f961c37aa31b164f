"""The benchmarks: their tables are complete, and the load generator speaks both wires of this server. No figure is
measured here."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks import goals
from benchmarks.config import FULL, QUICK, SERVERS
from benchmarks.loadgen import Clients, compile_generator
from benchmarks.persons import Query
from benchmarks.run import QUESTIONS
from benchmarks.servers import KINDS
from tests.support.effort import timed

README = (Path(goals.__file__).parent / "README.md").read_text()
ROOMS, MEMBERS, RATE, SECONDS, DRAIN_SECONDS = 2, 3, 60, 0.5, 60


def first_cells(heading: str) -> list[str]:
    """The names that a table of the README begins its lines with."""
    section = re.split(rf"^## {heading}$", README, flags=re.MULTILINE)[1].split("\n## ")[0]
    return re.findall(r"^\| `([a-z-]+)` \|", section, re.MULTILINE)


def test_the_readme_has_every_question_and_every_peer() -> None:
    assert sorted(first_cells("Questions")) == sorted(QUESTIONS)
    assert {*first_cells("Peers"), "ours"} == set(SERVERS) == set(KINDS)


def test_goals_are_about_figures_that_are_measured() -> None:
    for goal in goals.GOALS:
        question = QUESTIONS[goal.question]
        assert {goal.server, goal.times or goal.server} <= set(question.servers), goal
    for scale in (FULL, QUICK):
        assert set(scale.rounds_of) <= set(QUESTIONS)


@dataclass
class Target:
    """A server that runs, as the generator sees it."""

    ports: list[int]
    name: str = "ours"
    protocol: str = "y-websocket"
    query: Query | None = None
    spent_seconds: float = 0.0

    def cpu_seconds(self) -> float:
        return 0.0

    def cpu_parts(self) -> dict[str, float]:
        return {}


@timed
@pytest.mark.repeat
@pytest.mark.skipif(shutil.which("cc") is None, reason="the load generator is in C")
def test_the_generator_speaks_both_wires(server_url: str) -> None:
    compile_generator()
    target = Target([int(server_url.rpartition(":")[2])])
    for protocol in ("y-websocket", "hocuspocus"):
        with Clients(target, ROOMS, MEMBERS, prefix=f"t{protocol[0]}", protocol=protocol) as clients:
            clients.connect_all(60)
            answer = clients.run("rate", RATE, SECONDS, DRAIN_SECONDS)
        assert answer["expected"] == RATE * SECONDS * (MEMBERS - 1), answer
        assert answer["delivered"] == answer["expected"], answer
        wrong = {key: answer[key] for key in ("lost", "duplicates", "undecodable", "refused", "closed") if answer[key]}
        assert wrong == {}, answer
