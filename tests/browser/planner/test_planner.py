"""The planner at `/planner` in a real browser against a real server: a script for each point of what it has to do."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SCRIPTS = [
    "begin",
    "overview",
    "seating",
    "timeline",
    "conflicts",
    "budget",
    "guests",
    "diets",
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
