"""SMS to a service shaped like Twilio's."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from urllib.parse import parse_qs

import pytest

from crdt_server.services.messaging.channels.sms import SmsSender, SmsService
from crdt_server.services.messaging.model import Channel, Delivery, NotSent, Sent
from crdt_server.services.messaging.sms_text import parts_of
from crdt_server.services.messaging.texts import render
from tests.support.clients import local_client
from tests.support.deliveries import AT, delivery, notice
from tests.support.sinks import Answer, HttpSink, answer, break_off, break_off_in_body, hang_up, http_sink, huge, silent

NUMBER = "+4915123456789"


@pytest.fixture
async def sink() -> AsyncIterator[HttpSink]:
    async with http_sink() as opened:
        opened.answers = [answer(201, b'{"sid": "SM123", "status": "queued"}')]
        yield opened


def sender_to(sink: HttpSink, *, seconds: float = 5.0, sender: str = "+15550100") -> SmsSender:
    service = SmsService(sink.url, "AC1", "hunter2", sender)
    return SmsSender(service, local_client(seconds), render, lambda: AT)


def to(number: str = NUMBER, **params: str) -> Delivery:
    return delivery(Channel.SMS, number, notice("emergency.raised", **(params or {"title": "Storm"})))


async def test_a_message_is_a_form_in_the_name_of_the_account(sink: HttpSink) -> None:
    sender = sender_to(sink)
    assert await sender.send(to(title="Storm & hail", text="Come in!")) == Sent("SM123")
    (received,) = sink.received
    form = parse_qs(received.body.decode(), strict_parsing=True)
    body = "Chloé & Aroha: EMERGENCY: Storm & hail: Come in!"
    assert form == {"To": [NUMBER], "From": ["+15550100"], "Body": [body]}
    account = base64.b64decode(received.headers["authorization"].removeprefix("Basic "))
    assert account == b"AC1:hunter2"
    assert received.headers["idempotency-key"] == "d_1"
    await sender.close()


async def test_a_messaging_service_is_named_as_one(sink: HttpSink) -> None:
    sender = sender_to(sink, sender="MG42")
    await sender.send(to())
    assert b"MessagingServiceSid=MG42" in sink.received[0].body
    await sender.close()


@pytest.mark.parametrize("text", ["x" * 4_000, "🌳" * 4_000, "שלום " * 800, "a&To=+1900\r\n" * 300])
async def test_a_long_message_has_three_parts_at_most(sink: HttpSink, text: str) -> None:
    sender = sender_to(sink)
    assert isinstance(await sender.send(to(title="Storm", text=text)), Sent)
    form = parse_qs(sink.received[0].body.decode(), strict_parsing=True)
    assert parts_of(form["Body"][0]) == 3
    assert form["To"] == [NUMBER]
    assert set(form) == {"To", "From", "Body"}
    await sender.close()


@pytest.mark.parametrize("number", ["", "0151234", "+0151234567", "+49151x", "+49 151 234", NUMBER + "\r\nx", "+٣" * 9])
async def test_what_is_no_number_is_refused(sink: HttpSink, number: str) -> None:
    sender = sender_to(sink)
    refused = await sender.send(to(number))
    assert isinstance(refused, NotSent)
    assert refused.permanent
    assert sink.received == []
    await sender.close()


@pytest.mark.parametrize(
    ("answers", "permanent", "gone", "seconds"),
    [
        (answer(400, b'{"code": 21211, "message": "The number +4915123456789 is invalid"}'), True, True, None),
        (answer(400, b'{"code": 21610}'), True, True, None),
        (answer(400, b'{"code": 21602}'), True, False, None),
        (answer(400, b"<html>"), True, False, None),
        (answer(400, b"[" * 10_000), True, False, None),
        (answer(400, b'{"code": "21211"}'), True, False, None),
        (answer(401, b'{"code": 20003}'), False, False, None),
        (answer(429, b"", Retry_After="17"), False, False, 17.0),
        (answer(500), False, False, None),
        (answer(503, b"", Retry_After="60"), False, False, 60.0),
        (answer(302, b"", Location="http://127.0.0.1:1/"), False, False, None),
        (hang_up, False, False, None),
        (break_off, False, False, None),
    ],
)
async def test_other_answers(
    sink: HttpSink, answers: Answer, permanent: bool, gone: bool, seconds: float | None
) -> None:
    sink.answers = [answers]
    sender = sender_to(sink)
    refused = await sender.send(to())
    assert isinstance(refused, NotSent)
    assert (refused.permanent, refused.gone, refused.retry_after) == (permanent, gone, seconds)
    for secret in (NUMBER, "hunter2", "AC1", "127.0.0.1"):
        assert secret not in refused.reason
    assert len(sink.received) == 1
    await sender.close()


async def test_what_was_taken_over_is_not_sent_again_for_a_broken_answer(sink: HttpSink) -> None:
    sender = sender_to(sink)
    for broken in (break_off_in_body, huge, answer(201, b'{"sid": "x y"}'), answer(200, b"null")):
        sink.answers = [broken]
        assert await sender.send(to()) == Sent("")
    await sender.close()


async def test_a_service_that_does_not_answer(sink: HttpSink) -> None:
    sink.answers = [silent]
    sender = sender_to(sink, seconds=0.2)
    assert await sender.send(to()) == NotSent("no answer within 0.2 s")
    await sender.close()


def test_no_password_is_in_a_representation() -> None:
    assert "hunter2" not in repr(SmsService("https://x", "AC1", "hunter2", "+1"))
