"""Push messages: what a browser decrypts, what a push service verifies, and a service shaped like FCM."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from urllib.parse import parse_qs

import http_ece
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from crdt_server.services.messaging.channels.addresses import GuardedNetwork
from crdt_server.services.messaging.channels.http import HttpClient
from crdt_server.services.messaging.channels.push import (
    AppSender,
    AppService,
    PushSender,
    UnusableSubscription,
    VapidKey,
    encrypted,
)
from crdt_server.services.messaging.model import Channel, Delivery, NotSent, Priority, Sent
from crdt_server.services.messaging.push_hosts import parse_push_hosts
from crdt_server.services.messaging.texts import render
from crdt_server.settings import Settings
from tests.support.clients import local_client
from tests.support.deliveries import AT, delivery, notice
from tests.support.sinks import Answer, HttpSink, answer, hang_up, http_sink

BROWSER = ec.generate_private_key(ec.SECP256R1())
AUTH = bytes(range(16))
KEY = VapidKey(ec.generate_private_key(ec.SECP256R1()), "mailto:wedding@example.org")
MOST_BYTES = 4096


def base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def subscription(private: ec.EllipticCurvePrivateKey = BROWSER) -> str:
    point = private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return json.dumps({"p256dh": base64url(point), "auth": base64url(AUTH)})


@pytest.fixture
async def sink() -> AsyncIterator[HttpSink]:
    async with http_sink() as opened:
        opened.answers = [answer(201, b"", Location="https://push.example/m/1")]
        yield opened


@pytest.fixture
async def sender() -> AsyncIterator[PushSender]:
    opened = PushSender(KEY, None, local_client(), render, lambda: AT)
    yield opened
    await opened.close()


def to(address: str, secret: str = "", *, priority: int = Priority.NOTIFY, **params: str) -> Delivery:
    told = notice("message.sent", priority=priority, **(params or {"actor": "Zoë", "title": "Day", "text": "Hi 🌳"}))
    return delivery(Channel.PUSH, address, told, secret=secret or subscription())


async def test_the_browser_decrypts_it_and_the_service_verifies_who_sent_it(sink: HttpSink, sender: PushSender) -> None:
    assert await sender.send(to(sink.url, priority=Priority.EMERGENCY)) == Sent("https://push.example/m/1")
    (received,) = sink.received
    plain = http_ece.decrypt(received.body, private_key=BROWSER, auth_secret=AUTH, version="aes128gcm")
    assert json.loads(plain) == {
        "id": "d_1",
        "title": "Zoë: Day",
        "body": "Hi 🌳",
        "wedding": "w",
        "type": "message.sent",
        "priority": 0,
    }
    scheme, token, key = received.headers["authorization"].replace(",", "").split(" ")
    claims = jwt.decode(
        token.removeprefix("t="),
        KEY.private.public_key(),
        algorithms=["ES256"],
        audience=sink.url.removesuffix("/hook"),
        options={"verify_exp": False},
    )
    assert (scheme, key) == ("vapid", f"k={KEY.public}")
    assert claims["sub"] == "mailto:wedding@example.org"
    assert 0 < claims["exp"] - AT.timestamp() <= 24 * 3600
    assert (received.headers["content-encoding"], received.headers["urgency"]) == ("aes128gcm", "high")
    assert received.headers["ttl"] == "86400"
    assert "Zoë".encode() not in received.body


@pytest.mark.parametrize("text", ["x" * 4_000, "🌳" * 4_000, '"\\\u0001' * 1_000, "שלום " * 800])
async def test_no_message_is_larger_than_a_service_takes(sink: HttpSink, sender: PushSender, text: str) -> None:
    assert isinstance(await sender.send(to(sink.url, actor=text, title=text, text=text)), Sent)
    assert len(sink.received[0].body) <= MOST_BYTES


def test_the_example_of_the_standard() -> None:
    """RFC 8291, section 5."""
    server, browser = (
        ec.derive_private_key(int.from_bytes(base64.urlsafe_b64decode(each + "=")), ec.SECP256R1())
        for each in ("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw", "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94")
    )
    keys = json.loads(subscription(browser)) | {"auth": "BTBZMqHH6r4Tts7J_aSIgg"}
    salt = base64.urlsafe_b64decode("DGv6ra1nlYgDCS1FRnbzlw==")
    body = encrypted(json.dumps(keys), b"When I grow up, I want to be a watermelon", server, salt)
    assert base64url(body) == (
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A"
        "_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )


@pytest.mark.parametrize(
    "secret",
    [
        *("{", "[]", "null", "{}", '{"p256dh": 1, "auth": 2}', '{"p256dh": "AAAA", "auth": "AAAA"}', "[" * 10_000),
        json.dumps({"p256dh": base64url(b"\x04" + bytes(64)), "auth": base64url(AUTH)}),  # no point of the curve
        json.dumps({"p256dh": json.loads(subscription())["p256dh"], "auth": "ü"}),
    ],
)
async def test_keys_that_are_none_disable_the_address(sink: HttpSink, sender: PushSender, secret: str) -> None:
    with pytest.raises(UnusableSubscription):
        encrypted(secret, b"x")
    refused = await sender.send(to(sink.url, secret))
    assert isinstance(refused, NotSent)
    assert (refused.permanent, refused.gone, sink.received) == (True, True, [])


@pytest.mark.parametrize(
    ("answers", "permanent", "gone", "seconds"),
    [
        (answer(404), True, True, None),
        (answer(410), True, True, None),
        (answer(413), True, False, None),
        (answer(400), True, False, None),
        (answer(403), False, False, None),
        (answer(429, b"", Retry_After="30"), False, False, 30.0),
        (answer(500), False, False, None),
        (answer(301, b"", Location="http://127.0.0.1/"), False, False, None),
        (hang_up, False, False, None),
    ],
)
async def test_other_answers(
    sink: HttpSink, sender: PushSender, answers: Answer, permanent: bool, gone: bool, seconds: float | None
) -> None:
    sink.answers = [answers]
    refused = await sender.send(to(sink.url))
    assert isinstance(refused, NotSent)
    assert (refused.permanent, refused.gone, refused.retry_after) == (permanent, gone, seconds)


async def test_a_push_service_in_the_network_of_the_server_is_refused(sink: HttpSink) -> None:
    client = HttpClient(GuardedNetwork(allow_private=False), seconds=5.0)
    sender = PushSender(KEY, None, client, render, lambda: AT)
    assert await sender.send(to(sink.url)) == NotSent("the host is not one of the internet")
    assert sink.received == []
    await sender.close()


async def test_hosts_that_are_no_push_services_are_refused(sink: HttpSink) -> None:
    known = parse_push_hosts(Settings().push_hosts)
    for address, allowed in (
        ("https://web.push.apple.com/x", True),
        ("https://WNS2-am3p.notify.windows.com/w/?token=x", True),
        ("https://fcm.googleapis.com:443/fcm/send/x", True),
        ("https://push.apple.com.evil.example/x", False),
        ("https://evilpush.apple.com/x", False),
        ("https://fcm.googleapis.com@evil.example/x", False),
        ("https:///x", False),
    ):
        assert known.allow(address) is allowed, address
    sender = PushSender(KEY, None, local_client(), render, lambda: AT, hosts=known)
    refused = await sender.send(to(sink.url))
    assert isinstance(refused, NotSent)
    assert (refused.permanent, refused.gone) == (True, False)
    assert sink.received == []
    await sender.close()


async def test_without_its_key_or_service_nothing_is_sent(sink: HttpSink) -> None:
    sender = PushSender(None, None, local_client(), render, lambda: AT)
    for address in (sink.url, "app-token"):
        refused = await sender.send(to(address))
        assert isinstance(refused, NotSent)
        assert (refused.permanent, refused.gone) == (True, False)
    await sender.close()


# -- apps

RSA_KEY = rsa.generate_private_key(65537, 2048)
PEM = RSA_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
TOKEN = answer(200, b'{"access_token": "ya29.x", "expires_in": 3600}')


@pytest.fixture
async def tokens() -> AsyncIterator[HttpSink]:
    async with http_sink() as opened:
        opened.answers = [TOKEN]
        yield opened


@pytest.fixture
async def apps(sink: HttpSink, tokens: HttpSink) -> AsyncIterator[PushSender]:
    service = AppService(sink.url, "svc@example.org", PEM, tokens.url)
    opened = PushSender(None, AppSender(service, local_client(), lambda: AT), local_client(), render, lambda: AT)
    sink.answers = [answer(200, b'{"name": "projects/p/messages/1"}')]
    yield opened
    await opened.close()


async def test_an_app_gets_it_with_a_token_that_is_fetched_once(
    sink: HttpSink, tokens: HttpSink, apps: PushSender
) -> None:
    for _ in range(3):
        assert await apps.send(to("app:token_1")) == Sent("")
    assert (len(tokens.received), len(sink.received)) == (1, 3)
    form = parse_qs(tokens.received[0].body.decode())
    claims = jwt.decode(
        form["assertion"][0],
        RSA_KEY.public_key(),
        algorithms=["RS256"],
        audience=tokens.url,
        options={"verify_exp": False, "verify_iat": False},
    )
    assert claims["iss"] == "svc@example.org"
    assert sink.received[0].headers["authorization"] == "Bearer ya29.x"
    message = json.loads(sink.received[0].body)["message"]
    assert message.pop("token") == "app:token_1"
    assert message["notification"] == {"title": "Zoë: Day", "body": "Hi 🌳"}
    assert message["data"]["id"] == "d_1"


async def test_a_token_that_is_refused_is_fetched_again(sink: HttpSink, tokens: HttpSink, apps: PushSender) -> None:
    sink.answers = [answer(401), answer(200)]
    refused = await apps.send(to("app"))
    assert isinstance(refused, NotSent)
    assert not refused.permanent
    assert isinstance(await apps.send(to("app")), Sent)
    assert len(tokens.received) == 2


@pytest.mark.parametrize(
    "answers", [answer(500), answer(200, b"{"), answer(200, b'{"access_token": "a\\nb", "expires_in": 1}'), hang_up]
)
async def test_without_a_token_it_is_tried_again_later(
    sink: HttpSink, tokens: HttpSink, apps: PushSender, answers: Answer
) -> None:
    tokens.answers = [answers]
    refused = await apps.send(to("app"))
    assert isinstance(refused, NotSent)
    assert (refused.permanent, sink.received) == (False, [])


@pytest.mark.parametrize(
    ("answers", "permanent", "gone"),
    [
        (answer(404, b'{"error": {"details": [{"errorCode": "UNREGISTERED"}]}}'), True, True),
        (answer(404, b'{"error": {"status": "NOT_FOUND"}}'), False, False),
        (answer(400, b"{}"), True, False),
        (answer(503, b"", Retry_After="9"), False, False),
    ],
)
async def test_other_answers_about_apps(
    sink: HttpSink, apps: PushSender, answers: Answer, permanent: bool, gone: bool
) -> None:
    sink.answers = [answers]
    refused = await apps.send(to("app"))
    assert isinstance(refused, NotSent)
    assert (refused.permanent, refused.gone) == (permanent, gone)


@pytest.mark.parametrize("token", ["", "a b", "a\r\nb", "ü", "a" * 1_001])
async def test_what_is_no_token_of_an_app_is_refused(sink: HttpSink, apps: PushSender, token: str) -> None:
    refused = await apps.send(to(token))
    assert isinstance(refused, NotSent)
    assert (refused.permanent, refused.gone, sink.received) == (True, True, [])


def test_no_key_is_in_a_representation() -> None:
    assert "PRIVATE" not in repr(AppService("https://x", "a", PEM, "https://y"))
    assert "private" not in repr(KEY)
