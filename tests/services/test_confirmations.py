"""Addresses of people: nothing but a code goes to one before it is confirmed. Real store, real SMTP."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.headerregistry import Address

import pytest
from sqlalchemy import insert, select

from crdt_server.access.identity import Identity
from crdt_server.errors import NotFoundError, RateLimitError
from crdt_server.metrics import Metrics
from crdt_server.services.entries import MembershipError
from crdt_server.services.messaging.channels.mail import MailSender, MailServer
from crdt_server.services.messaging.contact_service import (
    CODE_SECONDS,
    CODE_TRIES,
    CODES_OF_PERSON,
    CODES_TO_ADDRESS,
    CODES_TO_ONE,
    COUNTED_SECONDS,
    ContactService,
)
from crdt_server.services.messaging.delivery import DeliveryWorker
from crdt_server.services.messaging.model import Channel
from crdt_server.services.messaging.senders import ChannelSenders
from crdt_server.services.messaging.texts import render
from crdt_server.services.messaging.unsubscribe import UnsubscribeLinks
from storage import DerivedRecords, DocumentKey, NewMessage, Storage, StoredContact, StoredRow, open_storage
from storage.messaging_tables import outbox, preferences
from storage.outbox import key_of
from storage.tables import members
from tests.support.sinks import MailSink, mail_sink

NOON = datetime(2026, 6, 20, 12, 0, tzinfo=UTC)
STRANGER = "stranger@example.org"
TYPED = "Visit evil example now"
EVE = Identity("eve", "guest", guest="g_1", name=TYPED)


class Post:
    """A server that sends mail, with a clock."""

    def __init__(self, storage: Storage, sink: MailSink) -> None:
        self.storage = storage
        self.sink = sink
        self.now = NOON
        self.woken = 0
        server = MailServer("127.0.0.1", sink.port, "smtp", "", "", Address("Wedding", addr_spec="w@example.org"))
        sender = MailSender(
            server, lambda delivery: render(delivery, "https://wedding.test"), lambda: self.now, seconds=30.0
        )
        self.worker = DeliveryWorker(
            *(storage, ChannelSenders({Channel.MAIL: sender}, Metrics()), lambda: self.now),
            lease="n_1",
            lease_seconds=60.0,
            unsubscribe=UnsubscribeLinks([b"s" * 32], "https://wedding.test").of_message,
        )
        self.service = ContactService(storage, lambda: self.now, self.worker.channels_configured, self._wake)

    def _wake(self) -> None:
        self.woken += 1

    async def put(self, address: str, who: Identity = EVE, channel: str = "mail", wedding: str = "w") -> StoredContact:
        return await self.service.put(wedding, who, channel, address, "")

    async def deliver(self) -> None:
        while await self.worker.cycle():
            await self.worker.idle()

    async def message(self, user: str = "eve") -> None:
        """Something is to be sent to all addresses of a person, by mail."""
        event = len(self.sink.mail) + 1_000
        key = key_of("w", event, user, "mail")
        params = json.dumps({"title": TYPED, "actor": TYPED})
        new = NewMessage(key, "w", user, "mail", event, "task.done", 0, "wedding", "k_1", params, self.now)
        await self.storage.enqueue([new])
        await self.deliver()

    def code(self) -> str:
        """The one of the newest mail."""
        (code,) = re.findall(r"\b\d{6}\b", str(self.sink.mail[-1]["Subject"]))
        return str(code)

    async def states(self) -> list[tuple[str, str]]:
        query = select(outbox.c.state, outbox.c.error).order_by(outbox.c.id)
        return await self.storage._executor.read(lambda connection: [tuple(row) for row in connection.execute(query)])


@pytest.fixture
async def post(database_url: str) -> AsyncIterator[Post]:
    storage = await open_storage(database_url, migrate=True)
    async with mail_sink() as sink:
        post = Post(storage, sink)
        yield post
        await post.worker.stop()
    await storage.close()


async def test_a_stranger_gets_a_code_without_a_word_that_was_typed_and_nothing_else(post: Post) -> None:
    meta = StoredRow("meta", "", json.dumps({"title": TYPED, "locale": "en"}), "{}")
    await post.storage.append([], [DerivedRecords(DocumentKey("w", "wedding"), rows=[meta])])
    person = {"wedding": "w", "user": "eve", "role": "guest", "vendor": "", "guest": "g", "side": "", "name": TYPED}
    off = {"wedding": "w", "user": "eve", "at": NOON, "body": '{"types": {"others": {"mail": "off"}}}'}

    def store(connection: object) -> None:
        connection.execute(insert(members), person | {"added_by": "x", "at": NOON})  # type: ignore[attr-defined]
        connection.execute(insert(preferences), off)  # type: ignore[attr-defined]

    await post.storage._executor.write(store)
    added = await post.put(STRANGER)
    assert added.confirmed_at is None
    assert post.woken == 1
    await post.message()
    (mail,) = post.sink.mail
    assert post.sink.recipients == [STRANGER]
    assert TYPED not in mail.as_string()
    for part in ("plain", "html"):
        text = mail.get_body((part,)).get_content()  # type: ignore[union-attr]
        assert post.code() in text
        assert TYPED not in text
        assert "wedding.test" not in text
    assert mail["List-Unsubscribe"] is None
    assert await post.states() == [("sent", ""), ("dropped", "no address")]
    confirmed = await post.service.confirm("w", EVE, added.id, post.code())
    assert confirmed.confirmed_at == NOON
    await post.message()
    assert len(post.sink.mail) == 2
    assert TYPED in str(post.sink.mail[-1]["Subject"])


async def test_nothing_is_routed_to_what_is_not_confirmed(post: Post) -> None:
    added = await post.put(STRANGER)

    async def channels() -> set[tuple[str, str]]:
        return await post.storage.plan_routing("w", lambda reader: reader.channels(["eve"]))

    assert await channels() == set()
    await post.deliver()
    await post.service.confirm("w", EVE, added.id, post.code())
    assert await channels() == {("eve", "mail")}


async def test_codes_are_those_of_one_person_and_one_address(post: Post) -> None:
    added, other = await post.put(STRANGER), await post.put("own@example.org")
    await post.deliver()
    codes = {
        to: re.findall(r"\d{6}", str(mail["Subject"]))[0]
        for to, mail in zip(post.sink.recipients, post.sink.mail, strict=True)
    }
    for who, id_, error in (
        (EVE._replace(user="bob"), added.id, NotFoundError),
        (EVE, "none", NotFoundError),
        (EVE, added.id, MembershipError),
    ):
        with pytest.raises(error):
            await post.service.confirm("w", who, id_, codes["own@example.org"])
    bob = await post.put(STRANGER, EVE._replace(user="bob"))
    assert bob.id == added.id
    with pytest.raises(MembershipError):
        await post.service.confirm("w", EVE._replace(user="bob"), bob.id, codes[STRANGER])
    with pytest.raises(NotFoundError):
        await post.service.confirm("w2", EVE, added.id, codes[STRANGER])
    assert (await post.service.confirm("w", EVE, other.id, codes["own@example.org"])).confirmed_at == NOON
    assert (await post.service.of("w", EVE))[0].confirmed_at is None


async def test_a_code_is_tried_five_times_within_half_an_hour(post: Post) -> None:
    added = await post.put(STRANGER)
    await post.deliver()
    right = post.code()
    wrong = f"{(int(right) + 1) % 1_000_000:06d}"
    for _ in range(CODE_TRIES):
        with pytest.raises(MembershipError, match="not the code"):
            await post.service.confirm("w", EVE, added.id, wrong)
    with pytest.raises(MembershipError, match="no code any more"):
        await post.service.confirm("w", EVE, added.id, right)
    await post.put(STRANGER)
    await post.deliver()
    if post.code() != right:
        with pytest.raises(MembershipError, match="not the code"):
            await post.service.confirm("w", EVE, added.id, right)
    post.now += timedelta(seconds=CODE_SECONDS + 1)
    with pytest.raises(MembershipError, match="no code any more"):
        await post.service.confirm("w", EVE, added.id, post.code())
    assert len(post.sink.mail) == 2


async def test_codes_to_one_address_are_bounded_whoever_enters_it(post: Post) -> None:
    for number in range(CODES_TO_ADDRESS):
        who = EVE._replace(user=f"u_{number}")
        await post.put(STRANGER, who, wedding=f"w_{number}")
        await post.service.delete(f"w_{number}", who, (await post.service.of(f"w_{number}", who))[0].id)
    with pytest.raises(RateLimitError) as refused:
        await post.put(STRANGER)
    assert (refused.value.code, refused.value.retry_after_seconds) == ("too_many_codes", COUNTED_SECONDS)
    assert await post.service.of("w", EVE) == []
    await post.put("other@example.org")
    post.now += timedelta(seconds=COUNTED_SECONDS + 1)
    await post.put(STRANGER)


async def test_nobody_uses_up_the_codes_of_another(post: Post) -> None:
    for wedding in [f"w_{number}" for number in range(CODES_TO_ONE)]:
        await post.put(STRANGER, wedding=wedding)
    with pytest.raises(RateLimitError):
        await post.put(STRANGER)
    added = await post.put(STRANGER, EVE._replace(user="bob"))
    await post.deliver()
    assert (await post.service.confirm("w", EVE._replace(user="bob"), added.id, post.code())).confirmed_at == NOON


async def test_codes_of_one_person_are_bounded(post: Post) -> None:
    async def sent(number: int) -> None:
        added = await post.put(f"victim{number}@example.org")
        await post.service.delete("w", EVE, added.id)

    for number in range(CODES_OF_PERSON):
        await sent(number)
    with pytest.raises(RateLimitError):
        await sent(99)
    await post.put("victim99@example.org", EVE._replace(user="bob"))


async def test_what_is_in_use_stays_so_and_what_is_gone_is_confirmed_anew(post: Post) -> None:
    added = await post.put(STRANGER)
    await post.deliver()
    await post.service.confirm("w", EVE, added.id, post.code())
    again = await post.put(STRANGER)
    assert again.confirmed_at == NOON
    await post.deliver()
    assert len(post.sink.mail) == 1
    await post.message()
    message = await post.storage.message(2)
    assert message is not None
    await post.storage.disable_address(message, added.id, "no such mailbox", NOON)
    assert (await post.put(STRANGER)).confirmed_at is None
    assert (await post.put("https://push.test/1", channel="push")).confirmed_at == NOON
    assert (await post.put("+64211234567", channel="sms")).confirmed_at is None
    await post.deliver()
    assert len(post.sink.mail) == 3, "no code by SMS: there is no sender"
    assert ("waiting", "") not in await post.states()


async def test_a_code_that_could_not_be_sent_in_time_is_not_sent(post: Post) -> None:
    await post.put(STRANGER)
    post.now += timedelta(seconds=CODE_SECONDS + 1)
    await post.deliver()
    assert post.sink.mail == []
    assert await post.states() == [("dropped", "the code is not valid any more")]
