"""Events that are routed by what people prefer, and the digests that follow from them."""

from __future__ import annotations

import json
from datetime import time, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select

from crdt_server.counters import Counters
from crdt_server.services.messaging.digest import Digests
from crdt_server.services.messaging.local_time import QuietHours
from crdt_server.services.messaging.planning import Planner
from crdt_server.services.messaging.preference_service import PreferenceService
from crdt_server.services.messaging.preferences import Mode, Preferences
from crdt_server.services.messaging.preferred_timings import preferred_timings
from crdt_server.services.messaging.router import EventRouter
from crdt_server.services.messaging.rules import default_rules
from crdt_server.services.messaging.still_known import StillKnown
from storage.messaging_tables import outbox, participants
from tests.services.messaging.conftest import PEOPLE, World
from tests.support.databases import run_sql

MESSAGE = {"from": "aroha", "at": "2026-06-01T12:00:00Z", "kind": "text", "body": "Peonies?"}

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def route(world: World) -> None:
    planner = Planner(default_rules(), world.access, timings_of=preferred_timings)
    await EventRouter(world.storage, planner, world.hub.rights.cache, world.clock, Counters()).route_all()


async def prefer(world: World, user: str, preferences: Preferences) -> None:
    await PreferenceService(world.storage, world.clock).replace(world.wedding, PEOPLE[user], preferences)


async def make_digests(world: World) -> int:
    planner = Planner(default_rules(), world.access)
    known = StillKnown(world.storage, planner, world.hub.rights.cache).events
    return await Digests(world.storage, world.clock, lambda _: None, known).make_due()


async def records(world: World, user: str) -> list[list[str]]:
    """The records that the digests of a person are about."""
    return [
        [each["record"] for each in json.loads(params)["notices"]]
        for *_, params in await messages(world, user, "digest")
    ]


async def messages(world: World, user: str, type_: str) -> list[tuple[Any, ...]]:
    query = select(outbox.c.channel, outbox.c.state, outbox.c.next_at, outbox.c.params)
    query = query.where(outbox.c.wedding == world.wedding, outbox.c.user == user, outbox.c.type == type_)
    return await run_sql(world.url, query.order_by(outbox.c.id))


async def states(world: World, user: str, type_: str) -> list[tuple[str, str]]:
    return [(channel, state) for channel, state, *_ in await messages(world, user, type_)]


async def test_preferences_decide_about_routed_events(world: World) -> None:
    await world.begin(f"w_{uuid4().hex}")
    await world.edit("guests", "guests", "g_gus", {"firstName": "Gus"})
    await world.settle()
    await prefer(world, "ben", Preferences(modes={("guests", "mail"): Mode.OFF}))
    await prefer(world, "pia", Preferences(modes={("guests", "mail"): Mode.ON, ("guests", "in-app"): Mode.OFF}))
    await world.edit("guests", "guests", "g_gus", {"rsvp:e_1": "yes"}, by="cora")
    await route(world)
    found = {user: await states(world, user, "guest.rsvp") for user in ("aroha", "ben", "pia")}
    assert found == {"aroha": [("mail", "held")], "ben": [], "pia": [("mail", "waiting")]}
    assert (await world.channels("guest.rsvp"))["ben"] == "in-app"
    assert (await world.channels("guest.rsvp"))["pia"] == "mail"


async def test_what_is_held_comes_as_one_digest_at_the_hour_of_the_wedding(world: World) -> None:
    await world.begin(f"w_{uuid4().hex}")
    for guest in ("g_gus", "g_mia"):
        await world.edit("guests", "guests", guest, {"firstName": guest})
    await world.settle()
    for guest in ("g_gus", "g_mia"):
        await world.edit("guests", "guests", guest, {"rsvp:e_1": "yes"}, by="cora")
        await route(world)
    (held, _) = await messages(world, "aroha", "guest.rsvp")
    due = held[2]
    assert (due + timedelta(hours=12)).hour == 8, "in Auckland"
    world.clock.now = due - timedelta(seconds=1)
    assert await make_digests(world) == 0
    world.clock.now = due
    assert await make_digests(world) >= 2, "those of both of the couple"
    assert await states(world, "aroha", "digest") == [("mail", "waiting")]
    assert await records(world, "aroha") == [["g_gus", "g_mia"]]
    assert await states(world, "aroha", "guest.rsvp") == [("mail", "dropped")] * 2


async def test_quiet_hours_delay_all_but_emergencies(world: World) -> None:
    await world.begin(f"w_{uuid4().hex}")
    await world.settle()
    midnight = world.clock.now  # in Auckland
    await prefer(world, "pia", Preferences(quiet_hours=QuietHours(time(22), time(7))))
    await world.edit("budget", "meta", "", {"limit": 100})
    await world.edit("budget", "items", "i_1", {"name": "Peonies", "actual": 20_000})
    await world.edit("timeline", "emergencies", "e_1", {"kind": "power", "text": "dark", "severity": "error"})
    await route(world)
    assert await states(world, "pia", "emergency.raised") == [("push", "waiting"), ("sms", "waiting")]
    ((channel, _, at, _),) = await messages(world, "pia", "budget.over_limit")
    assert (channel, at) == ("push", midnight + timedelta(hours=7))


async def test_a_digest_has_nothing_that_its_recipient_may_not_know_of_any_more(world: World) -> None:
    await world.begin(f"w_{uuid4().hex}")
    await world.edit("guests", "guests", "g_gus", {"firstName": "Gus"})
    for user in ("pia", "flo", "gus", "wim"):
        await world.put("participants", thread="t_1", user=user, added_by="aroha", at=world.clock.now, muted=False)
        await prefer(world, user, Preferences(modes={("messages", "mail"): Mode.DIGEST}))
    await world.settle()
    await world.edit("guests", "guests", "g_gus", {"rsvp:e_1": "yes"}, by="cora")
    for number in (1, 2):
        await world.edit("thread.t_1", "messages", f"01JY3Z8Q7M4T2V6W8X9Y00000{number}", MESSAGE)
    await route(world)
    assert await states(world, "pia", "guest.rsvp") == [("mail", "held")]
    for user in ("pia", "flo", "gus", "wim"):
        assert ("mail", "held") in await states(world, user, "message.sent")
    await world.put_member(PEOPLE["pia"]._replace(role="wedding_party"))
    await world.put_member(PEOPLE["wim"], removed=True)
    left = participants.update().where(participants.c.wedding == world.wedding, participants.c.user == "flo")
    await run_sql(world.url, left.values(removed_at=world.clock.now))
    redaction = {"at": "2026-06-01T12:00:00Z", "by": "aroha"}
    await world.edit("thread.t_1", "redactions", "01JY3Z8Q7M4T2V6W8X9Y000001", redaction)
    world.clock.now += timedelta(days=2)
    await make_digests(world)
    kept = ["01JY3Z8Q7M4T2V6W8X9Y000002"]
    assert {user: await records(world, user) for user in ("pia", "flo", "gus", "wim")} == {
        "pia": [kept], "flo": [], "gus": [kept], "wim": [],
    }  # fmt: skip
    assert await run_sql(world.url, select(outbox.c.id).where(outbox.c.state == "held")) == []
