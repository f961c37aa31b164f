"""The page in a real browser against a real server, one of each for all scenarios: see page.mjs and its neighbours."""

import json
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SCENARIO_SECONDS = 240  # then something hangs
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


@pytest.fixture(scope="module")
def play(chromium: str, server_url: str, artefacts: Path) -> Iterator[Callable[[str, str], str | None]]:
    """Plays a scenario of a script. Returns what went wrong."""
    command = ["node", HERE / "runner.mjs", server_url, chromium, artefacts]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as runner:
        assert runner.stdin is not None
        assert runner.stdout is not None
        stdin, stdout = runner.stdin, runner.stdout

        def run(script: str, scenario: str) -> str | None:
            if runner.poll() is not None:
                return "the runner has ended"
            timer = threading.Timer(SCENARIO_SECONDS, runner.kill)
            timer.start()
            try:
                stdin.write(f"{script} {scenario}\n")
                stdin.flush()
                answer = stdout.readline()
            finally:
                timer.cancel()
            wrong: str | None = json.loads(answer) if answer else "the runner has ended"
            return wrong

        yield run


@pytest.mark.browser
@pytest.mark.parametrize(("script", "scenario"), SCENARIOS)
def test_page(play: Callable[[str, str], str | None], script: str, scenario: str) -> None:
    wrong = play(script, scenario)
    assert wrong is None, wrong
