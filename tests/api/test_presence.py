"""Who is there, over HTTP: as each role may see it, and after the sockets are gone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from crdt_server import Settings, create_app
from crdt_server.access.access import Access
from crdt_server.access.identity import Identity
from crdt_server.hub.connected_people import ConnectedPeople
from crdt_server.hub.hub import Hub
from crdt_server.rooms.room import Room
from crdt_server.rooms.session import Session
from tests.access.people import WEDDING, people
from tests.access.roles import ROLES
from tests.support.codec import receive
from tests.support.gate import until
from tests.support.sockets import HandSocket
from tests.support.wire import presence

BARN = "behind-the-barn"


class Door:
    """A running application, sockets to it, and a clock that the test moves."""

    def __init__(self, app: FastAPI) -> None:
        self.hub: Hub = app.state.hub
        self.late = 0.0
        tracked: ConnectedPeople = self.hub.people
        clock, moment = tracked.clock, tracked.moment
        tracked.clock = lambda: clock() + self.late
        tracked.moment = lambda: moment() + timedelta(seconds=self.late)
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url=f"http://test/api/weddings/{WEDDING}"
        )

    async def enter(self, role: str, document: str, **state: Any) -> tuple[Room, Session]:
        """A socket of the person in a role, with this presence."""
        identity = Identity(f"u_{role}", role, rights="-" * 9, name=role.title())
        socket = HandSocket()
        room, session = self.hub.enter(WEDDING, document, socket, identity)
        if state:
            receive(room, session, presence(hash(role) & 0xFFFFFFFF, 1, state, ensure_ascii=True), self.hub)
            await until(lambda: session.awareness_text != "")
        return room, session

    async def people(self, role: str) -> dict[str, dict[str, Any]]:
        """What the person in a role is answered, by user."""
        answer = await self.client.get("/presence", params={"token": f"t_{role}"})
        assert answer.status_code == 200, answer.text
        assert role in ("couple", "planner", "coordinator") or BARN not in answer.text
        return {person["user"]: person for person in answer.json()["people"]}


@pytest.fixture(params=[people()[0]])
def access(request: pytest.FixtureRequest) -> Access | None:
    found: Access | None = request.param
    return found


@pytest.fixture
async def door(database_url: str, access: Access | None) -> AsyncIterator[Door]:
    settings = Settings(
        dev=access is None, document_hosts=1, database_url=database_url, requests_per_second=0, requests_per_address=0
    )
    app = create_app(settings, access)
    async with app.router.lifespan_context(app):
        opened = Door(app)
        async with opened.client:
            yield opened


async def test_every_role_sees_what_it_may(door: Door) -> None:
    await door.enter("vendor", "notes.a", zone=BARN, section="menu", user={"color": "#fa0", "zone": BARN})
    await door.enter("family", "seating", zone=BARN, cursor={"row": "\ud83d"})
    await door.enter("guest", "budget")
    seen = {role: await door.people(role) for role in ROLES}
    assert seen["couple"].keys() == seen["planner"].keys() == {"u_vendor", "u_family", "u_guest"}
    vendor = seen["couple"]["u_vendor"]
    assert (vendor["name"], vendor["role"], vendor["status"]) == ("Vendor", "vendor", "active")
    assert vendor["documents"] == [{"document": "notes.a", "fields": {"zone": BARN, "section": "menu"}}]
    shown = {
        role: {(user, each["document"]) for user, person in found.items() for each in person["documents"]}
        for role, found in seen.items()
    }
    everything = {("u_vendor", "notes.a"), ("u_family", "seating"), ("u_guest", "budget")}
    assert shown["couple"] == everything
    assert shown["coordinator"] == everything - {("u_guest", "budget")}
    assert shown["family"] == {("u_family", "seating")}
    assert seen["family"]["u_family"]["documents"][0]["fields"] == {"cursor": {"row": "\ud83d"}}
    for role in ("venue", "caterer", "photographer", "wedding_party"):
        assert seen[role] == {}, "neither the members nor one of the documents are theirs to read"
    for role in ("vendor", "guest"):
        assert seen[role].keys() == {f"u_{role}"}, "oneself"
        assert seen[role][f"u_{role}"]["documents"] == []


async def test_last_seen_outlives_the_sockets_and_the_process(door: Door) -> None:
    place = await door.enter("family", "seating", section="tables")
    door.hub.leave(*place)
    left_at = door.hub.people.moment()
    door.late += 29
    person = (await door.people("planner"))["u_family"]
    assert (person["status"], person["documents"]) == ("active", [{"document": "seating", "fields": {}}])
    door.late += 2
    for _ in range(2):
        person = (await door.people("planner"))["u_family"]
        assert (person["status"], person["documents"]) == ("offline", [])
        assert datetime.fromisoformat(person["last_seen"]) <= left_at
        await door.hub.people.flush()
        assert await door.hub.people.rows(WEDDING) == []
    assert (await door.people("couple")).keys() == {"u_family"}
    assert await door.people("guest") == {}, "of a document that it may not read"


async def test_away_comes_sooner_on_the_day(door: Door) -> None:
    await door.enter("family", "seating", section="tables")
    door.late += 130
    assert (await door.people("couple"))["u_family"]["status"] == "active"
    operation = {"op": "set", "root": "meta", "key": "phase", "value": "live"}
    answer = await door.client.post(
        "/documents/wedding/ops", params={"token": "t_couple"}, json={"operations": [operation]}
    )
    assert answer.status_code == 200, answer.text
    assert (await door.people("couple"))["u_family"]["status"] == "away"


@pytest.mark.parametrize("access", [None], indirect=True)
async def test_with_dev_everybody_sees_everything(door: Door) -> None:
    await door.enter("guest", "budget", zone=BARN)
    answer = await door.client.get("/presence", params={"role": "guest"})
    (person,) = answer.json()["people"]
    assert person["documents"] == [{"document": "budget", "fields": {"zone": BARN}}]
