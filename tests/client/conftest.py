"""The client package in Node against a real server: a script of cases runs once, and each of its cases is a test."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.signed import guarded_server
from tests.support.backend import make_server
from tests.support.server import ServerProcess
from tests.support.tokens import SECRET

HERE = Path(__file__).parent
SECONDS = 120
BUILD = """
import { build } from 'esbuild'
const [, , root, outdir] = process.argv
await build({
  entryPoints: ['index.ts', 'react.ts'].map((name) => `${root}/clients/javascript/src/${name}`),
  outdir, bundle: true, format: 'esm', packages: 'external', outExtension: { '.js': '.mjs' }, sourcemap: 'inline'
})
"""

Results = dict[str, str]
"""Case -> the error with which it ended, '' for none."""


def cases(script: str) -> list[str]:
    """The names of the cases of a script, in order."""
    return re.findall(r"^test\('([^']+)'", (HERE / script).read_text(), re.MULTILINE)


@pytest.fixture(scope="session")
def client_package(root: Path, artefacts: Path) -> Path:
    """The package as one file, with its dependencies beside it."""
    directory = artefacts / f"client-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
    command = ["node", "--input-type=module", "-", str(root), str(directory)]
    subprocess.run(command, input=BUILD, cwd=root, text=True, check=True, timeout=60)
    return directory / "index.mjs"


@pytest.fixture(scope="session")
def run_cases(client_package: Path, root: Path) -> Callable[..., Results]:
    """Runs a script against a server; the results of its cases."""

    def run(script: str | Path, url: str, **env: str) -> Results:
        given = {"CLIENT": client_package.as_uri(), "URL": url, "SECRET": SECRET.decode(), **env}
        done = subprocess.run(
            ["node", "--enable-source-maps", str(HERE / script)],
            cwd=root,
            env={**os.environ, **given},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        results: Results = {each["case"]: each["error"] for each in lines}
        if done.returncode != 0:
            results[""] = done.stderr + done.stdout
        return results

    return run


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of one server for all modules: each case has a wedding of its own."""
    server = make_server(tmp_path_factory.mktemp("server"))
    server.start()
    yield server.url
    server.close()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A running server that admits by tokens."""
    running: Any = guarded_server(tmp_path_factory.mktemp("server"))
    running.start()
    try:
        yield running
    finally:
        running.close()
