"""The page in a real browser, for people who were invited: see session.mjs and talk.mjs."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import insert

from crdt_server.access.identity import Identity
from crdt_server.sample import plant
from crdt_server.services.members import MemberService
from crdt_server.services.messaging.contacts import id_of
from storage.messaging_tables import confirmations
from tests.access.people import WEDDING
from tests.browser.player import Play, player, scenarios, settings_with_secret
from tests.support.gate import LocalServer, local_server

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

ADA = Identity("u_ada", "couple")
DAY_SECONDS = 86_400
CODE = "123456"
SCENARIOS = [(script, scenario) for script in ("planner/session", "planner/talk") for scenario in scenarios(script)]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalServer]:
    """A server with a secret for tokens, a sample wedding, and calls that invite and remove members."""
    async with local_server(settings_with_secret(tmp_path_factory.mktemp("server")), None) as running:
        members: MemberService = running.app.state.members

        async def invite(role: str, name: str = "") -> str:
            user = f"u_{name.lower() or role}"
            person = Identity(user, role, side="a" if role == "family" else "", name=name)
            return (await members.invite(WEDDING, ADA, person, DAY_SECONDS)).code

        async def remove(role: str) -> None:
            await members.remove(WEDDING, ADA, f"u_{role}")

        async def code(user: str, channel: str, address: str) -> str:
            """As if one had been sent: there is no sender."""
            contact, at = id_of(channel, address), datetime.now(UTC)
            digest = sha256(json.dumps([WEDDING, user, contact, CODE]).encode()).hexdigest()
            row = {"wedding": WEDDING, "user": user, "contact": contact, "code": digest, "tries": 0, "at": at}
            await running.hub.storage._executor.write(lambda connection: connection.execute(insert(confirmations), row))
            return CODE

        running.app.add_api_route("/test/invite/{role}", invite)
        running.app.add_api_route("/test/invite/{role}/{name}", invite)
        running.app.add_api_route("/test/remove/{role}", remove)
        running.app.add_api_route("/test/code/{user}/{channel}/{address}", code)
        await plant(running.hub.storage, WEDDING, guests=200)
        yield running


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def play(chromium: str, server: LocalServer, artefacts: Path) -> AsyncIterator[Play]:
    async with player(server.url, chromium, artefacts) as playing:
        yield playing


@pytest.mark.parametrize(("script", "scenario"), SCENARIOS)
async def test_planner(play: Play, script: str, scenario: str) -> None:
    wrong = await play(script, scenario)
    assert wrong is None, wrong
