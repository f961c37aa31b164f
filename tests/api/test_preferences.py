"""Preferences and addresses over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

from crdt_server.services.messaging.contact_service import MOST_CONTACTS
from crdt_server.services.messaging.preferences import GROUPS

AROHA, CHLOE = {"user": "u_aroha", "role": "couple"}, {"user": "u_chloe", "role": "guest", "guest": "g_1"}
DEFAULTS = {"language": "", "timezone": "", "quiet_hours": None, "digest_hour": 8, "types": {}}
CHOSEN = {
    "language": "de-AT",
    "timezone": "Australia/Lord_Howe",
    "quiet_hours": {"start": "22:30", "end": "07:05"},
    "digest_hour": 18,
    "types": {"guests": {"in-app": "on", "mail": "digest", "sms": "off"}, "digest": {"push": "off"}},
}
ENDPOINT = "https://fcm.googleapis.com/fcm/send/abc"
KEYS = {"p256dh": "B" * 87, "auth": "a" * 22}


@pytest.fixture
def wedding() -> str:
    return f"/w_{uuid4().hex}"


async def test_everybody_has_preferences_of_their_own(client: httpx.AsyncClient, wedding: str) -> None:
    path = f"{wedding}/preferences"
    found = (await client.get(path, params=CHLOE)).json()
    assert (found["preferences"], found["language"], found["digest_at"]) == (DEFAULTS, "en", None)
    assert list(found["modes"]) == list(GROUPS)
    assert found["modes"]["guests"]["mail"] == ["on", "off", "digest"]
    assert found["modes"]["guests"]["in-app"] == found["modes"]["digest"]["mail"] == ["on", "off"]
    put = await client.put(path, params=CHLOE, json=CHOSEN)
    assert (put.status_code, put.json()["preferences"]) == (200, CHOSEN)
    assert (await client.get(path, params=CHLOE)).json() == put.json()
    assert (put.json()["language"], put.json()["timezone"]) == ("de-AT", "Australia/Lord_Howe")
    assert (await client.get(path, params=AROHA)).json()["preferences"] == DEFAULTS
    assert (await client.get(f"/w_{uuid4().hex}/preferences", params=CHLOE)).json()["preferences"] == DEFAULTS
    assert (await client.put(path, params=CHLOE, json={})).json()["preferences"] == DEFAULTS


WRONG: list[Any] = [
    *([], None, {"more": 1}, {"user": "u_aroha"}, {"digest_hour": "8"}, {"digest_hour": 24}, {"digest_hour": True}),
    *({"language": language} for language in ("german!", "de_AT", "a", 7, "en\n")),
    *({"timezone": zone} for zone in ("Berlin", "europe/berlin", "../UTC", "Europe/Berlin\u0000", None)),
    *(
        {"quiet_hours": {"start": start, "end": "07:00"}}
        for start in ("7:00", "24:00", "07:00", "07:60", "22:00:00", "22:00\n", 22, None)
    ),
    {"quiet_hours": {"start": "22:00"}},
    {"types": {"guest": {"mail": "on"}}},
    {"types": {"guests": {"webhook": "off"}}},
    {"types": {"guests": {"in-app": "digest"}}},
    {"types": {"digest": {"mail": "digest"}}},
    {"types": {"guests": {"mail": "never"}}},
    {"types": {"guests": "off"}},
    {"language": "x" * 9_000},
]


async def test_what_is_none(client: httpx.AsyncClient, wedding: str) -> None:
    for wrong in WRONG:
        answer = await client.put(f"{wedding}/preferences", params=CHLOE, json=wrong)
        assert answer.status_code in (400, 413), wrong
    assert (await client.get(f"{wedding}/preferences", params=CHLOE)).json()["preferences"] == DEFAULTS


async def test_addresses_are_ones_own(client: httpx.AsyncClient, wedding: str, is_problem: Callable[..., None]) -> None:
    path = f"{wedding}/contacts"
    bodies = [
        {"channel": "mail", "address": "chloe+wedding@example.co.nz"},
        {"channel": "push", "address": ENDPOINT, "keys": KEYS},
        {"channel": "push", "address": "cXYZ:APA91b" + "x" * 130},
        {"channel": "sms", "address": "+64211234567"},
    ]
    put = [await client.put(path, params=CHLOE, json=body) for body in bodies]
    assert [answer.status_code for answer in put] == [200] * 4, [answer.text for answer in put]
    listed = await client.get(path, params=CHLOE)
    assert listed.json()["contacts"] == [answer.json() for answer in put]
    assert "secret" not in listed.text
    assert KEYS["auth"] not in listed.text
    assert (await client.get(path, params=AROHA)).json() == {"contacts": []}
    again = await client.put(path, params=CHLOE, json=bodies[0])
    assert again.json()["id"] == put[0].json()["id"]
    in_use = {answer.json()["channel"]: answer.json()["confirmed_at"] is not None for answer in put}
    assert in_use == {"mail": False, "push": True, "sms": False}
    one = f"{path}/{again.json()['id']}"
    is_problem(await client.post(f"{one}/confirmation", params=CHLOE, json={"code": "123456"}), 409, "code_expired")
    is_problem(await client.post(f"{one}/confirmation", params=AROHA, json={"code": "123456"}), 404, "not_found")
    is_problem(await client.post(f"{one}/confirmation", params=CHLOE, json={"code": "12345x"}), 400, "invalid_request")
    is_problem(await client.delete(one, params=AROHA), 404, "not_found")
    assert (await client.delete(one, params=CHLOE)).status_code == 204
    is_problem(await client.delete(one, params=CHLOE), 404, "not_found")
    assert len((await client.get(path, params=CHLOE)).json()["contacts"]) == 3


NO_ADDRESSES = [
    *(
        ("mail", address)
        for address in (
            *("", "chloe", "chloe@", "@b.nz", "a@b", "a b@c.nz", "a@b.nz, c@d.nz", "Chloé <a@b.nz>"),
            *("a@b.nz\r\nBcc: c@d.nz", "a@b.nz\n", "a@127.0.0.1", "a@[127.0.0.1]", "x" * 65 + "@b.nz"),
            *("a@" + "b" * 64 + ".nz", "a@" + "b." * 126 + "nz", "a@b..nz"),
        )
    ),
    *(("sms", number) for number in ("", "021 123 4567", "0211234567", "+0211234567", "+64211234567\n", "+641")),
    *(
        ("push", url)
        for url in (
            *("http://fcm.googleapis.com/x", "https://a:b@fcm.googleapis.com/x", "https://", "https:///x"),
            *("file:///etc/passwd", "https://push.test/x", "https://evilpush.apple.com/x"),
            *("https://fcm.googleapis.com/\r\nX: y", "https://fcm.googleapis.com:99999/"),
            *("short", "https://fcm.googleapis.com/" + "x" * 2000),
            "https://fcm.googleapis.com.evil.example/x",
        )
    ),
    *((channel, "a@b.nz") for channel in ("in-app", "webhook", "fax", "")),
]


async def test_nothing_is_sent_to_what_is_no_address(client: httpx.AsyncClient, wedding: str) -> None:
    for channel, address in NO_ADDRESSES:
        keys = {"keys": KEYS} if address.startswith("https:") else {}
        body = {"channel": channel, "address": address, **keys}
        answer = await client.put(f"{wedding}/contacts", params=CHLOE, json=body)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request"), body
    assert (await client.get(f"{wedding}/contacts", params=CHLOE)).json() == {"contacts": []}


async def test_keys_belong_to_the_endpoint_of_a_push_service(client: httpx.AsyncClient, wedding: str) -> None:
    for body in (
        {"channel": "push", "address": ENDPOINT},
        {"channel": "mail", "address": "a@b.nz", "keys": KEYS},
        {"channel": "push", "address": ENDPOINT, "keys": {**KEYS, "auth": "a\r\nb" * 8}},
        {"channel": "push", "address": ENDPOINT, "keys": {"auth": "a" * 22}},
    ):
        assert (await client.put(f"{wedding}/contacts", params=CHLOE, json=body)).status_code == 400


async def test_addresses_are_bounded(client: httpx.AsyncClient, wedding: str, is_problem: Callable[..., None]) -> None:
    for number in range(MOST_CONTACTS + 1):
        body = {"channel": "mail", "address": f"chloe{number}@example.org"}
        answer = await client.put(f"{wedding}/contacts", params=CHLOE, json=body)
    is_problem(answer, 409, "too_many_contacts")
    assert len((await client.get(f"{wedding}/contacts", params=CHLOE)).json()["contacts"]) == MOST_CONTACTS
