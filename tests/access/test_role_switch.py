"""`--dev`, in which somebody can look as any role."""

from __future__ import annotations

import httpx
import pytest
from websockets.asyncio.client import connect

from crdt_server import Settings
from crdt_server.access.access import Action, Credentials
from crdt_server.access.role_switch import RoleSwitch
from tests.support.gate import ended, local_server


def test_without_the_switch_everybody_may_do_everything() -> None:
    access = RoleSwitch()
    for query in ({}, {"role": "guest"}, {"role": "guest", "enforce": "0"}):
        identity = access.identify(Credentials(query, {}), "w")
        assert identity.rights == ""
        assert access.may(identity, Action.WRITE, "w", "budget") is None


@pytest.mark.parametrize(
    ("role", "document", "reads", "writes"),
    [
        ("couple", "budget", True, True),
        ("coordinator", "care", True, False),
        ("guest", "budget", False, False),
        ("guest", None, True, True),
    ],
)
def test_with_the_switch_the_policy_decides(role: str, document: str | None, reads: bool, writes: bool) -> None:
    access = RoleSwitch()
    identity = access.identify(Credentials({"role": role, "enforce": "1"}, {}), "w")
    assert len(identity.rights) == 9
    assert (access.may(identity, Action.READ, "w", document) is None) == reads
    assert (access.may(identity, Action.WRITE, "w", document) is None) == writes


async def test_a_server_in_dev_mode_has_the_switch(database_url: str) -> None:
    settings = Settings(dev=True, port=0, document_hosts=1, database_url=database_url)
    async with local_server(settings, None) as server:
        async with httpx.AsyncClient(base_url=f"{server.url}/api/weddings/w", trust_env=False) as client:
            for enforce, status in (("", 200), ("&enforce=1", 403)):
                answer = await client.get(f"/documents/budget?role=guest{enforce}")
                assert answer.status_code == status
        url = f"{server.ws_url}/w/budget?role=guest"
        async with connect(url, compression=None, proxy=None) as websocket:
            assert await websocket.recv()
        async with connect(f"{url}&enforce=1", compression=None, proxy=None) as websocket:
            assert (await ended(websocket))[0] == 4403
