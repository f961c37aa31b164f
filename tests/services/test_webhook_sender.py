"""Webhooks: signatures that the reference library verifies, and receivers that behave badly."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from crdt_server.services.messaging.channels.configuration import senders
from crdt_server.services.messaging.channels.http import (
    ANSWER_BYTES,
    IDLE_CONNECTIONS,
    LONGEST_WAIT_SECONDS,
    client_tls,
    utc_now,
)
from crdt_server.services.messaging.channels.webhook import WebhookSender
from crdt_server.services.messaging.model import Channel, Delivery, NotSent, Sent
from crdt_server.services.messaging.webhook_secrets import new_secret
from crdt_server.settings import Settings
from tests.support.clients import local_client
from tests.support.deliveries import AT, delivery, notice
from tests.support.sinks import (
    Answer,
    HttpSink,
    answer,
    break_off,
    break_off_in_body,
    certificate,
    dripping,
    endless_head_slowly,
    hang_up,
    http_sink,
    huge,
    silent,
)

SECRETS = [new_secret(), new_secret()]


@pytest.fixture
async def sink() -> AsyncIterator[HttpSink]:
    async with http_sink() as opened:
        yield opened


@pytest.fixture
async def sender() -> AsyncIterator[WebhookSender]:
    opened = WebhookSender(local_client(), utc_now)
    yield opened
    await opened.close()


def to(url: str, secret: str | None = None, **params: str) -> Delivery:
    told = notice("guest.rsvp", title="Zoë 🌿", **params)
    given = json.dumps(SECRETS) if secret is None else secret
    return delivery(Channel.WEBHOOK, url, told, secret=given, id_="msg_1")


async def test_the_reference_library_verifies_with_each_of_the_secrets(sink: HttpSink, sender: WebhookSender) -> None:
    assert await sender.send(to(sink.url, text="</script>\u2028")) == Sent()
    (received,) = sink.received
    assert received.target == "/hook"
    for secret in SECRETS:
        body = Webhook(secret).verify(received.body, received.headers)
        assert body["type"] == "guest.rsvp"
        assert body["timestamp"] == "2026-06-20T12:30:00.000Z"
        assert body["data"]["params"] == {"title": "Zoë 🌿", "text": "</script>\u2028"}
        assert (body["data"]["event"], body["data"]["record"], body["data"]["priority"]) == (7, "i_1", 2)
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(received.body, received.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRETS[0]).verify(received.body + b" ", received.headers)
    assert received.headers["webhook-id"] == "msg_1"
    assert received.headers["content-type"] == "application/json"
    assert "cookie" not in received.headers


async def test_each_attempt_has_the_same_id_and_a_time_of_its_own(sink: HttpSink) -> None:
    moments = [AT, AT.replace(minute=31)]
    sender = WebhookSender(local_client(), lambda: moments.pop(0))
    for _ in range(2):
        await sender.send(to(sink.url))
    first, second = (received.headers for received in sink.received)
    assert first["webhook-id"] == second["webhook-id"]
    assert int(second["webhook-timestamp"]) - int(first["webhook-timestamp"]) == 60
    assert first["webhook-signature"] != second["webhook-signature"]
    await sender.close()


async def test_several_events_are_one_message(sink: HttpSink, sender: WebhookSender) -> None:
    told = (notice("task.done", title="a"), notice("guest.rsvp", title="b"))
    await sender.send(delivery(Channel.WEBHOOK, sink.url, *told, secret=json.dumps(SECRETS)))
    body = json.loads(sink.received[0].body)
    assert body["type"] == "digest"
    assert [each["type"] for each in body["data"]["events"]] == ["task.done", "guest.rsvp"]


@pytest.mark.parametrize(
    ("answers", "status", "permanent", "gone"),
    [
        (answer(500), "500", False, False),
        (answer(400), "400", False, False),
        (answer(410), "410", True, True),
        (answer(302, Location="http://127.0.0.1:1/"), "redirect (302)", False, False),
        (answer(308, Location="http://169.254.169.254/latest/meta-data"), "redirect (308)", False, False),
        (hang_up, "broke off", False, False),
        (break_off, "broke off", False, False),
    ],
)
async def test_other_sides_that_behave_badly(
    sink: HttpSink, sender: WebhookSender, answers: Answer, status: str, permanent: bool, gone: bool
) -> None:
    sink.answers = [answers]
    refused = await sender.send(to(sink.url))
    assert isinstance(refused, NotSent)
    assert status in refused.reason
    assert (refused.permanent, refused.gone) == (permanent, gone)
    assert len(sink.received) == 1
    assert sink.url not in refused.reason
    assert "127.0.0.1" not in refused.reason


async def test_of_a_large_answer_only_the_beginning_is_read(sink: HttpSink) -> None:
    sink.answers = [huge]
    client = local_client()
    taken = await client.post(sink.url, {}, b"")
    assert not isinstance(taken, NotSent)
    assert (taken.status, len(taken.body)) == (200, ANSWER_BYTES)
    async with asyncio.timeout(60):
        await sink.left.wait()
    await client.close()


@pytest.mark.parametrize("slow", [silent, endless_head_slowly, dripping])
async def test_a_slow_side_ends_with_the_time_for_an_attempt(sink: HttpSink, slow: Answer) -> None:
    """A side that sends without end ends by the size of its head, before the time."""
    sink.answers = [slow]
    sender = WebhookSender(local_client(seconds=0.3), utc_now)
    refused = await sender.send(to(sink.url))
    assert isinstance(refused, NotSent)
    assert not refused.permanent
    await sender.close()


async def test_a_side_that_takes_it_over_and_never_ends_its_answer_has_it(sink: HttpSink) -> None:
    sender = WebhookSender(local_client(seconds=0.3), utc_now)
    for taken in (break_off_in_body, _begin_and_wait):
        sink.answers = [taken]
        assert await sender.send(to(sink.url)) == Sent()
    await sender.close()


async def _begin_and_wait(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n")
    await silent(writer)


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        *(("120", 120.0), ("0", 0.0), ("9" * 30, LONGEST_WAIT_SECONDS), ("-5", None), ("soon", None), ("", None)),
        (format_datetime(AT.replace(minute=35), usegmt=True), 300.0),
        (format_datetime(AT.replace(minute=0), usegmt=True), 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_WAIT_SECONDS),
        ("٣", None),
    ],
)
async def test_waits_that_are_asked_for(sink: HttpSink, given: str, seconds: float | None) -> None:
    sender = WebhookSender(local_client(), lambda: AT)
    sink.answers = [answer(429, Retry_After=given)]
    refused = await sender.send(to(sink.url))
    assert isinstance(refused, NotSent)
    assert (refused.retry_after, refused.permanent) == (seconds, False)
    await sender.close()


@pytest.mark.parametrize("secret", ["", "[]", "{", '["whsec_???"]', '["whsec_AAAA"]', '["ü"]', "null", "[1]"])
async def test_without_a_secret_nothing_is_sent(sink: HttpSink, sender: WebhookSender, secret: str) -> None:
    refused = await sender.send(to(sink.url, secret))
    assert isinstance(refused, NotSent)
    assert refused.permanent
    assert sink.received == []


async def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path, sender: WebhookSender) -> None:
    server, _ = certificate(tmp_path)
    async with http_sink(server) as sink:
        refused = await sender.send(to(sink.url.replace("http:", "https:")))
        assert refused == NotSent("the host has no certificate that is valid for its name")
        assert sink.received == []
    assert client_tls().check_hostname


async def test_messages_to_one_host_have_one_connection(sink: HttpSink) -> None:
    """A handshake of TLS takes the loop 1.5 ms, the request on a connection that is there 0.6 ms."""
    sender = senders(Settings(webhooks_allow_private=True))[Channel.WEBHOOK]
    for _ in range(3):
        assert await sender.send(to(sink.url)) == Sent()
    assert [len(sink.received), sink.connections] == [3, 1]
    await sender.close()


async def test_so_many_connections_are_kept(sender: WebhookSender) -> None:
    async with AsyncExitStack() as opened:
        sinks = [await opened.enter_async_context(http_sink()) for _ in range(IDLE_CONNECTIONS + 2)]
        for each in (*sinks, *reversed(sinks)):
            assert await sender.send(to(each.url)) == Sent()
        assert [each.connections for each in sinks] == [2, 2, *[1] * IDLE_CONNECTIONS]


async def test_a_kept_connection_that_the_other_side_has_closed_costs_no_attempt(
    sink: HttpSink, sender: WebhookSender
) -> None:
    """Whether it is closed shows only when something is sent."""
    assert await sender.send(to(sink.url)) == Sent()
    sink.answers = [hang_up, answer(200)]
    assert await sender.send(to(sink.url)) == Sent()
    sink.answers = [hang_up]
    assert isinstance(await sender.send(to(sink.url)), NotSent)
    assert len(sink.received) == 5, "once more only behind one that was kept"


async def test_ids_that_no_header_can_have_are_not_sent(sink: HttpSink, sender: WebhookSender) -> None:
    for id_ in ("a\r\nX: 1", "ü", "\0"):
        refused = await sender.send(to(sink.url)._replace(id=id_))
        assert isinstance(refused, NotSent)
        assert refused.permanent
    assert sink.received == []


async def test_a_slow_side_holds_up_no_other(sink: HttpSink, sender: WebhookSender) -> None:
    async with http_sink() as slow:
        slow.answers = [silent]
        waiting = [asyncio.create_task(sender.send(to(slow.url))) for _ in range(20)]
        await slow.arrivals(20)
        assert await sender.send(to(sink.url)) == Sent()
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


def test_secrets_are_long_and_never_the_same() -> None:
    made = {new_secret() for _ in range(100)}
    assert len(made) == 100
    assert {len(base64.b64decode(secret.removeprefix("whsec_"))) for secret in made} == {32}
    assert datetime.now(UTC).tzinfo is not None
