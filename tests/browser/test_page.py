"""The page in a real browser against a real server. The scenarios are in page.mjs."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("page.mjs")
SCENARIOS = re.findall(r"^  async '?([a-z-]+)'? \(\) \{$", SCRIPT.read_text(), re.MULTILINE)


@pytest.mark.browser
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_page(
    scenario: str, chromium: str, server_url: str, artefacts: Path, run_node: Callable[..., str]
) -> None:
    run_node(SCRIPT, scenario, server_url, chromium, artefacts)
