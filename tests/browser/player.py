"""Scenarios beside a server that runs in the test's own event loop."""

from __future__ import annotations

import asyncio
import json
import re
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from crdt_server import Settings
from tests.support.databases import sqlite_database

HERE = Path(__file__).parent
SCENARIO_SECONDS = 240  # then something hangs

Play = Callable[[str, str], Awaitable[str | None]]


def scenarios(script: str) -> list[str]:
    """The names of the scenarios in a script."""
    return re.findall(r"^  async '?([a-z-]+)'? \(\) \{$", (HERE / f"{script}.mjs").read_text(), re.MULTILINE)


@asynccontextmanager
async def player(url: str, chromium: str, artefacts: Path) -> AsyncIterator[Play]:
    """A function that plays a scenario, by the names of its script and its own, and returns what went wrong."""
    command = ["node", HERE / "runner.mjs", url, chromium, artefacts]
    runner = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
    stdin, stdout = runner.stdin, runner.stdout
    assert stdin is not None
    assert stdout is not None

    async def play(script: str, scenario: str) -> str | None:
        stdin.write(f"{script} {scenario}\n".encode())
        async with asyncio.timeout(SCENARIO_SECONDS):
            answer = await stdout.readline()
        wrong: str | None = json.loads(answer) if answer else "the runner has ended"
        return wrong

    try:
        yield play
    finally:
        stdin.close()
        await runner.wait()


def settings_with_secret(directory: Path) -> Settings:
    """Those of a server that signs tokens, with its store in a directory."""
    secret = directory / "jwt.secret"
    secret.write_text("a secret of thirty-two bytes, or more")
    return Settings(
        port=0,
        document_hosts=1,
        database_url=sqlite_database(directory),
        jwt_secret_file=str(secret),
    )
