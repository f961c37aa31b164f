"""The page in a real browser against a real server, one of each for all scenarios: see page.mjs and its neighbours."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent
OTHER_ORDER = "-bob-first"  # of what happens in two orders, the second
SCENARIOS = [
    pytest.param(
        script,
        scenario,
        id=f"{script}-{scenario}",
        marks=[pytest.mark.repeat] if scenario.endswith(OTHER_ORDER) else [],
    )
    for script in ("page", "planner", "conflicts", "example")
    for scenario in re.findall(r"^  async '?([a-z-]+)'? \(\) \{$", (HERE / f"{script}.mjs").read_text(), re.MULTILINE)
]


@pytest.mark.browser
@pytest.mark.parametrize(("script", "scenario"), SCENARIOS)
def test_page(play: Callable[[str, str], str | None], script: str, scenario: str) -> None:
    wrong = play(script, scenario)
    assert wrong is None, wrong
