"""The planner in a real browser, for people who were invited: see session.mjs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from crdt_server.access.identity import Identity
from crdt_server.sample import plant
from crdt_server.services.members import MemberService
from tests.access.people import WEDDING
from tests.browser.player import Play, player, scenarios, settings_with_secret
from tests.support.gate import LocalServer, local_server

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

ADA = Identity("u_ada", "couple")
DAY_SECONDS = 86_400
SCRIPT = "planner/session"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalServer]:
    """A server with a secret for tokens, a sample wedding, and calls that invite and remove members."""
    async with local_server(settings_with_secret(tmp_path_factory.mktemp("server")), None) as running:
        members: MemberService = running.app.state.members

        async def invite(role: str) -> str:
            person = Identity(f"u_{role}", role, side="a" if role == "family" else "")
            return (await members.invite(WEDDING, ADA, person, DAY_SECONDS)).code

        async def remove(role: str) -> None:
            await members.remove(WEDDING, ADA, f"u_{role}")

        running.app.add_api_route("/test/invite/{role}", invite)
        running.app.add_api_route("/test/remove/{role}", remove)
        await plant(running.hub.storage, WEDDING, guests=200)
        yield running


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def play(chromium: str, server: LocalServer, artefacts: Path) -> AsyncIterator[Play]:
    async with player(SCRIPT, server.url, chromium, artefacts) as playing:
        yield playing


@pytest.mark.parametrize("scenario", scenarios(SCRIPT))
async def test_planner(play: Play, scenario: str) -> None:
    wrong = await play(scenario)
    assert wrong is None, wrong
