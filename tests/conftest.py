"""What every test may use: the root of the tree, a place for what tests leave behind, and a server process."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LISTENING = "listening on "
STOP_SECONDS = 15


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the source tree."""
    return ROOT


@pytest.fixture(scope="session")
def artefacts() -> Path:
    """A directory, ignored by git, for screenshots and logs a person may want to see after a run."""
    path = ROOT / "build" / "tests"
    path.mkdir(parents=True, exist_ok=True)
    return path


@pytest.fixture(scope="module")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server process with an empty store, one for the tests of a module."""
    directory = tmp_path_factory.mktemp("server")
    flags = ["--dev", "--host", "127.0.0.1", "--port", "0", "--database-url", f"sqlite:///{directory}/wedding.db"]
    log = directory / "log"
    with log.open("wb") as stderr:
        server = subprocess.Popen(
            [sys.executable, "-m", "crdt_server", "serve", *flags],
            cwd=ROOT,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    assert server.stdout is not None
    try:
        lines = (line for line in server.stdout if LISTENING in line)
        line = next(lines, None)
        assert line is not None, f"the server ended before it listened:\n{log.read_text()[-3000:]}"
        yield line.split(LISTENING)[1].split()[0].strip('",}')
    finally:
        server.send_signal(signal.SIGTERM)
        server.stdout.close()
        try:
            server.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
            raise


@pytest.fixture(scope="session")
def run_node() -> Callable[..., str]:
    """A function that runs a Node script from the root and returns its output; a failing script fails the test."""

    def run(*arguments: str | Path, timeout_seconds: float = 60) -> str:
        command = ["node", *map(str, arguments)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout_seconds, check=False)
        assert done.returncode == 0, f"{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    return run
