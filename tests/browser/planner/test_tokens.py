"""The page in a real browser, against a real server that wants tokens: see tokens.mjs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from crdt_server import Settings
from crdt_server.access.access import Credentials, Denied
from crdt_server.access.policy_access import PolicyAccess
from crdt_server.errors import CLOSE_CODES
from crdt_server.sample import plant
from documents.derived import find
from documents.sample import sample_wedding
from tests.access.people import NO_TOKEN, WEDDING, TokenClaims, people
from tests.access.roles import ROLES
from tests.browser.player import Play, player, scenarios
from tests.support.databases import sqlite_database
from tests.support.gate import LocalServer, local_server

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

SCRIPT = "planner/tokens"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalServer]:
    """A server with a sample wedding, of which the vendor brings the flowers."""
    expired: set[str] = set()
    sample = sample_wedding(guests=200, seed=1).documents
    (flowers,) = [each for each in sample["timeline"]["items"].values() if each.get("title") == "Table flowers"]
    (vendor,) = [key.removeprefix("vendor:") for key in flowers if key.startswith("vendor:")]
    guest = next(iter(sample["guests"]["guests"]))

    def verify(credentials: Credentials, wedding: str) -> TokenClaims | Denied:
        header = credentials.headers.get("authorization", "").removeprefix("Bearer ")
        token = header or credentials.query.get("token", "")
        if token == "" or token in expired:
            return NO_TOKEN
        role = token[2:-2]
        if role not in ROLES:
            return NO_TOKEN
        return TokenClaims(f"u_{role}", role, vendor=vendor, guest=guest, side="a")

    access = PolicyAccess(verify, people()[1], find_derived=find)
    store = sqlite_database(tmp_path_factory.mktemp("server"))
    settings = Settings(port=0, document_hosts=1, database_url=store)
    async with local_server(settings, access) as running:

        async def expire(role: str) -> None:
            expired.add(f"x.{role}.x")
            for room in list(running.hub.rooms.values()):
                for session in [each for each in room.members if each.identity.role == role]:
                    room.members.close(session, CLOSE_CODES["unauthenticated"], "the token has expired")

        running.app.add_api_route("/test/expire/{role}", expire)
        await plant(running.hub.storage, WEDDING, guests=200)
        yield running


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def play(chromium: str, server: LocalServer, artefacts: Path) -> AsyncIterator[Play]:
    async with player(server.url, chromium, artefacts) as playing:
        yield playing


@pytest.mark.parametrize("scenario", scenarios(SCRIPT))
async def test_planner(play: Play, scenario: str) -> None:
    wrong = await play(SCRIPT, scenario)
    assert wrong is None, wrong
