"""The page in a real browser against a real server: a script for each point of what it has to do."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parents[1]
OTHER_ORDER = "-bob-first"  # of what happens in two orders, the second
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
    "phone",
    "notes",
    "disagree",
]
SCENARIOS = [
    pytest.param(
        script,
        scenario,
        id=f"{script.removeprefix('planner/')}-{scenario}",
        marks=[pytest.mark.repeat] if scenario.endswith(OTHER_ORDER) else [],
    )
    for script in ("example", *(f"planner/{each}" for each in SCRIPTS))
    for scenario in re.findall(r"^  async '?([a-z-]+)'? \(\) \{$", (HERE / f"{script}.mjs").read_text(), re.MULTILINE)
]


@pytest.mark.browser
@pytest.mark.parametrize(("script", "scenario"), SCENARIOS)
def test_planner(play: Callable[[str, str], str | None], script: str, scenario: str) -> None:
    wrong = play(script, scenario)
    assert wrong is None, wrong
