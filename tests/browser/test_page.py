"""The page in a real browser against a real server. The scenarios are in page.mjs and planner.mjs."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

SCENARIOS = [
    pytest.param(script, scenario, id=f"{script}-{scenario}")
    for script in ("page", "planner")
    for scenario in re.findall(
        r"^  async '?([a-z-]+)'? \(\) \{$",
        Path(__file__).with_name(f"{script}.mjs").read_text(),
        re.MULTILINE,
    )
]


@pytest.mark.browser
@pytest.mark.parametrize(("script", "scenario"), SCENARIOS)
def test_page(
    script: str, scenario: str, chromium: str, server_url: str, artefacts: Path, run_node: Callable[..., str]
) -> None:
    run_node(Path(__file__).with_name(f"{script}.mjs"), scenario, server_url, chromium, artefacts)
