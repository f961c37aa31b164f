"""`crdt-server member` beside a serving process, as real processes: what it changes reaches open sockets."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from click.testing import CliRunner
from websockets.asyncio.client import ClientConnection, connect

from crdt_server.cli import cli
from crdt_server.services.members import LISTED
from storage import migrate, open_storage
from tests.support.gate import ended
from tests.support.rights import put_member
from tests.support.server import ROOT, ServerProcess
from tests.support.tokens import SECRET, token


async def member(server: ServerProcess, *arguments: str) -> str:
    """Run the command; its output."""
    command = (sys.executable, "-m", "crdt_server", "member", *arguments, "--database-url", server.database_url)
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()


async def enter(server: ServerProcess, document: str) -> ClientConnection:
    """A socket of Ada, whose role the members decide about."""
    url = f"{server.ws_url}/w/{document}?token={token(role=None, wedding=None)}"
    return await connect(url, compression=None, proxy=None)


async def test_everybody_is_listed_however_many_pages_there_are(tmp_path: Path) -> None:
    url, users = f"sqlite:///{tmp_path / 'w.db'}", [f"u_{number:03}" for number in range(LISTED + 1)]
    await migrate(url)
    storage = await open_storage(url)
    try:
        await asyncio.gather(*(put_member(storage, user, "guest") for user in users))
    finally:
        await storage.close()
    listed = await asyncio.to_thread(CliRunner().invoke, cli, ["member", "list", "w", "--database-url", url])
    assert [line.split("\t")[0] for line in listed.output.splitlines()] == users


async def test_what_a_command_changes_reaches_open_sockets(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(SECRET)
    server = ServerProcess(tmp_path, dev=False, flags=("--jwt-secret-file", str(tmp_path / "secret")))
    await member(server, "add", "w", "ada", "planner")
    server.start()
    try:
        budget, timeline = await enter(server, "budget"), await enter(server, "timeline")
        for websocket in (budget, timeline):
            await websocket.recv()
        await member(server, "role", "w", "ada", "coordinator")
        assert (await ended(budget))[0] == 4403
        await timeline.ping()
        await member(server, "remove", "w", "ada")
        assert await ended(timeline) == (4403, "not a member of this wedding any more")
        assert (await ended(await enter(server, "timeline")))[0] == 4403
    finally:
        server.close()
