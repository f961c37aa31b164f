"""Channels without a sender: nothing is written for them."""

from __future__ import annotations

import pytest

from crdt_server.counters import Counters
from crdt_server.services.messaging.model import Channel
from crdt_server.services.messaging.planning import Planner
from crdt_server.services.messaging.router import EventRouter
from crdt_server.services.messaging.rules import default_rules
from tests.services.messaging.conftest import AT, World

pytestmark = pytest.mark.asyncio(loop_scope="module")

EMERGENCY = {"kind": "power", "text": "dark", "severity": "error"}
CASES: list[tuple[frozenset[Channel], str, bool]] = [
    (frozenset(Channel), "in-app push sms", True),
    (frozenset({Channel.MAIL, Channel.SMS}), "in-app sms", False),
    (frozenset(), "in-app", False),
]


@pytest.mark.parametrize(("channels", "reached", "hooked"), CASES)
async def test_nothing_is_written_for_channels_without_a_sender(
    world: World, channels: frozenset[Channel], reached: str, hooked: bool
) -> None:
    await world.begin(f"w_{len(channels)}")
    await world.put("webhooks", id="wh_1", url="https://x", types="[]", secrets="[]", by="ben", at=AT, reason="")
    await world.settle()
    await world.edit("timeline", "emergencies", "e_1", EMERGENCY)
    planner = Planner(default_rules(), world.access, channels=channels)
    await EventRouter(world.storage, planner, world.hub.rights.cache, world.clock, Counters()).route_all()
    informed = await world.channels("emergency.raised")
    assert informed["ben"] == reached
    assert ("wh_1" in informed) is hooked
