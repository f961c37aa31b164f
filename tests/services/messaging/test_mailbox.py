"""From events to a mailbox (real store, real SMTP): digests, links, and what may not be known any more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.headerregistry import Address
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
from sqlalchemy import delete, select

from crdt_server.counters import Counters
from crdt_server.metrics import Metrics
from crdt_server.services.messaging.channels.mail import MailSender, MailServer
from crdt_server.services.messaging.delivery import DeliveryWorker
from crdt_server.services.messaging.digest import Digests
from crdt_server.services.messaging.model import Channel
from crdt_server.services.messaging.planning import Planner
from crdt_server.services.messaging.preference_service import PreferenceService
from crdt_server.services.messaging.preferred_timings import preferred_timings
from crdt_server.services.messaging.router import EventRouter
from crdt_server.services.messaging.rules import default_rules
from crdt_server.services.messaging.senders import ChannelSenders
from crdt_server.services.messaging.still_known import StillKnown
from crdt_server.services.messaging.texts import render
from crdt_server.services.messaging.unsubscribe import UnsubscribeLinks
from storage.messaging_tables import contacts, outbox, participants
from tests.services.messaging.conftest import World
from tests.support.databases import run_sql
from tests.support.sinks import MailSink, mail_sink

pytestmark = pytest.mark.asyncio(loop_scope="module")

MESSAGE = {"from": "aroha", "at": "2026-06-01T12:00:00Z", "kind": "text", "body": "Peonies?"}
LINKS = UnsubscribeLinks([b"s" * 32], "https://wedding.test")


class Node:
    """What a node runs, one step after the other."""

    def __init__(self, world: World, sink: MailSink) -> None:
        self.world = world
        planner = Planner(default_rules(), world.access, timings_of=preferred_timings)
        rights = world.hub.rights.cache
        server = MailServer("127.0.0.1", sink.port, "smtp", "", "", Address("Wedding", addr_spec="w@example.org"))
        senders = ChannelSenders({Channel.MAIL: MailSender(server, render, world.clock, seconds=5.0)}, Metrics())
        self.router = EventRouter(world.storage, planner, rights, world.clock, Counters())
        known = StillKnown(world.storage, planner, rights).events
        self.digests = Digests(world.storage, world.clock, lambda _: None, known)
        self.worker = DeliveryWorker(
            *(world.storage, senders, world.clock),
            lease="n_1",
            lease_seconds=30,
            unsubscribe=LINKS.of_message,
            known=known,
        )

    async def run(self) -> None:
        """Route, make digests, and send, until there is nothing left to do."""
        await self.router.route_all()
        await self.digests.make_due()
        while await self.worker.cycle():
            await self.worker.idle()


async def rows(world: World) -> list[Any]:
    query = select(outbox.c.state, outbox.c.type).where(outbox.c.wedding == world.wedding).order_by(outbox.c.id)
    return await run_sql(world.url, query)


async def one_mailbox(world: World, user: str) -> None:
    """Nobody but one person has an address, and that is of mail."""
    theirs = (contacts.c.user == user) & (contacts.c.channel == "mail")
    await run_sql(world.url, delete(contacts).where(contacts.c.wedding == world.wedding, ~theirs))
    await run_sql(world.url, contacts.update().where(theirs).values(address=f"{user}@example.org"))


async def test_a_digest_ends_with_one_click(world: World) -> None:
    await world.begin(f"w_{uuid4().hex}")
    guests = ("g_gus", "g_mia", "g_tom")
    for guest in guests:
        await world.edit("guests", "guests", guest, {"firstName": guest})
    await world.settle()
    await one_mailbox(world, "aroha")
    async with mail_sink() as sink:
        node = Node(world, sink)
        for guest in guests[:2]:
            await world.edit("guests", "guests", guest, {"rsvp:e_1": "yes"}, by="cora")
        await node.run()
        assert sink.mail == []
        world.clock.now += timedelta(days=1)
        await node.run()
        (mail,) = sink.mail
        assert sink.recipients == ["aroha@example.org"]
        text = mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]
        assert [guest in text for guest in guests] == [True, True, False]
        assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        (token,) = parse_qs(urlsplit(mail["List-Unsubscribe"].strip("<>")).query)["token"]
        target = LINKS.read(token)
        assert target is not None
        await PreferenceService(world.storage, world.clock).unsubscribe(target)
        await world.edit("guests", "guests", guests[2], {"rsvp:e_1": "yes"}, by="cora")
        world.clock.now += timedelta(days=1)
        await node.run()
        world.clock.now += timedelta(days=1)
        await node.run()
        assert len(sink.mail) == 1
    assert await rows(world) == [("dropped", "guest.rsvp")] * 2 + [("sent", "digest")]
    await node.worker.stop()


@pytest.mark.parametrize("leaves", [False, True], ids=["stays", "leaves"])
async def test_who_leaves_a_thread_is_sent_no_message_of_it_that_waits(world: World, leaves: bool) -> None:
    await world.begin(f"w_{uuid4().hex}")
    await world.settle()
    world.clock.now = datetime.now(UTC)  # that of the events
    await one_mailbox(world, "gus")
    await world.put("participants", thread="t_1", user="gus", added_by="aroha", at=world.clock.now, muted=False)
    await world.edit("thread.t_1", "messages", "01JY3Z8Q7M4T2V6W8X9Y000001", MESSAGE)
    async with mail_sink() as sink:
        node = Node(world, sink)
        await node.run()
        assert sink.mail == []
        if leaves:
            gone = participants.update().where(participants.c.wedding == world.wedding)
            await run_sql(world.url, gone.values(removed_at=world.clock.now))
        world.clock.now += timedelta(minutes=16)
        await node.run()
        assert len(sink.mail) == (0 if leaves else 1)
    assert await rows(world) == [("dropped" if leaves else "sent", "message.sent")]
    await node.worker.stop()
