"""The planner at `/planner` in a real browser against a real server: a script for each point of what it has to do."""

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from crdt_server.web import STATIC

HERE = Path(__file__).parent
BUDGET_BYTES = 250 * 1024
SCRIPTS = [
    "begin",
    "overview",
    "seating",
    "timeline",
    "conflicts",
    "budget",
    "guests",
    "messages",
    "offline",
    "arrivals",
    "settings",
    "access",
]
SCENARIOS = [
    pytest.param(f"planner/{script}", scenario, id=f"{script}-{scenario}")
    for script in SCRIPTS
    for scenario in re.findall(r"^  async '?([a-z-]+)'? \(\) \{$", (HERE / f"{script}.mjs").read_text(), re.MULTILINE)
]


@pytest.mark.browser
@pytest.mark.parametrize(("script", "scenario"), SCENARIOS)
def test_planner(play: Callable[[str, str], str | None], script: str, scenario: str) -> None:
    wrong = play(script, scenario)
    assert wrong is None, wrong


@pytest.mark.browser
def test_all_files_of_the_page_fit_the_budget() -> None:
    page = (STATIC / "planner.html").read_text()
    style = next(STATIC.glob("planner-style-*.css"))
    named = re.findall(r"static/([\w.-]+)", page) + re.findall(r"url\(\"?\./([\w.-]+)\"?\)", style.read_text())
    assert len(named) == 4, named  # a script, a stylesheet, an icon, a typeface
    sizes = {name: len(gzip.compress((STATIC / name).read_bytes(), 9)) for name in named}
    assert sum(sizes.values()) <= BUDGET_BYTES, sizes
