"""What every test may use: the root of the tree, a place for what tests leave behind, and a server process; the order
of the tests; and which files took longest."""

import os
import subprocess
from collections.abc import Callable, Generator, Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

import tests.support.effort  # noqa: F401 - loads a profile of Hypothesis
from tests.support.backend import make_server
from tests.support.databases import new_database
from tests.support.hosts import forked_hosts
from tests.support.schedule import SLOWEST, Turns, in_order, slowest_files

ROOT = Path(__file__).parents[1]
TURNS = pytest.StashKey[Turns]()

# A server refuses new sockets while its loop is late, as it often is beside two other workers. Where that is the
# subject of a test, the test sets it.
os.environ.setdefault("CRDT_SERVER_MAX_LOOP_LAG_SECONDS", "3600")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items[:] = in_order(items, ROOT)


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        config.stash[TURNS] = Turns(ROOT / "build" / "turns")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    turns = item.config.stash.get(TURNS, None)
    with turns.turn(item) if turns else nullcontext():
        return (yield)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [
        each for found in terminalreporter.stats.values() for each in found if isinstance(each, pytest.TestReport)
    ]
    lines = slowest_files(reports)
    if len(lines) == SLOWEST:
        terminalreporter.section(f"slowest {SLOWEST} files")
        terminalreporter.write_line("\n".join(lines))


@pytest.fixture(scope="session", autouse=True)
def _forked_hosts() -> Iterator[None]:
    with forked_hosts():
        yield


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


@pytest.fixture
def database_url(tmp_path: Path) -> Iterator[str]:
    """The address of a database without rows."""
    with new_database(tmp_path) as url:
        yield url


@pytest.fixture(scope="module")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server process with an empty store, one for the tests of a module."""
    server = make_server(tmp_path_factory.mktemp("server"))
    server.start()
    yield server.url
    server.close()


@pytest.fixture(scope="session")
def run_node() -> Callable[..., str]:
    """A function that runs a Node script from the root and returns its output; a failing script fails the test."""

    def run(*arguments: str | Path, timeout_seconds: float = 60) -> str:
        command = ["node", *map(str, arguments)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout_seconds, check=False)
        assert done.returncode == 0, f"{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    return run
