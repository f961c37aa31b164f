"""A Chromium for the browser tests: the one installed, else Debian's by apt, else the word that they did not run; and
scenarios played in it."""

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
SCENARIO_SECONDS = 240  # then something hangs
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
HOW_TO = "Install Chromium (Debian: apt-get install chromium) and Node, then: make test PYTEST_ARGS='-m browser'"
DID_NOT_RUN: pytest.StashKey[str] = pytest.StashKey()


def find_chromium() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def install_chromium() -> str:
    """Install Debian's package where permission allows. Return what went wrong, or an empty string."""
    apt = shutil.which("apt-get")
    if apt is None:
        return "there is no apt-get here"
    if os.geteuid() == 0:
        become: list[str] = []
    elif shutil.which("sudo") and subprocess.run(["sudo", "-n", "true"], capture_output=True).returncode == 0:
        become = ["sudo", "-n"]
    else:
        return "apt-get needs root, and sudo asks for a password"
    for arguments in (["update"], ["install", "--yes", "--no-install-recommends", "chromium"]):
        command = [*become, "env", "DEBIAN_FRONTEND=noninteractive", apt, "--quiet", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            return f"apt-get {arguments[0]} failed: {done.stderr.strip()[-300:]}"
    return ""


def refuse(config: pytest.Config, reason: str) -> None:
    config.stash[DID_NOT_RUN] = reason
    pytest.skip(f"the browser tests did not run: {reason}. {HOW_TO}")


@pytest.fixture(scope="session")
def chromium(pytestconfig: pytest.Config) -> str:
    """The path of a Chromium."""
    if shutil.which("node") is None or not (ROOT / "node_modules" / "playwright-core").is_dir():
        refuse(pytestconfig, "Node or its packages are missing (npm ci)")
    wrong = "" if find_chromium() else install_chromium()
    path = find_chromium()
    if path is None:
        refuse(pytestconfig, f"no Chromium: {wrong or 'not on PATH after its installation'}")
    assert path is not None
    return path


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


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    reason = config.stash.get(DID_NOT_RUN, None)
    if reason is not None:
        terminalreporter.section("BROWSER TESTS DID NOT RUN", red=True, bold=True)
        terminalreporter.line(f"{reason}\n{HOW_TO}")
