"""The budget for the speed of the planner: the size of its bundle always; frames and the first edit are printed by
`make test PYTEST_ARGS='-m soak'`, as the machine decides them."""

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from crdt_server.web import STATIC
from tests.browser.player import scenarios

BUDGET_BYTES = 250 * 1024
SCRIPT = "planner/speed"


def test_all_files_of_the_page_fit_the_budget() -> None:
    page = (STATIC / "index.html").read_text()
    style = next(STATIC.glob("style-*.css"))
    named = re.findall(r"static/([\w.-]+)", page) + re.findall(r"url\(\"?\./([\w.-]+)\"?\)", style.read_text())
    assert len(named) == 4, named  # a script, a stylesheet, an icon, a typeface
    sizes = {name: len(gzip.compress((STATIC / name).read_bytes(), 9)) for name in named}
    assert sum(sizes.values()) <= BUDGET_BYTES, sizes


@pytest.mark.browser
@pytest.mark.soak
@pytest.mark.parametrize("scenario", scenarios(SCRIPT))
def test_speed(
    play: Callable[[str, str], str | None], artefacts: Path, capsys: pytest.CaptureFixture[str], scenario: str
) -> None:
    wrong = play(SCRIPT, scenario)
    assert wrong is None, wrong
    figures = json.loads((artefacts / f"speed-{scenario}.json").read_text())
    with capsys.disabled():
        print(f"\n{scenario}: {json.dumps(figures)}")
