"""Inboxes over HTTP: own items only, in pages and as a stream; what is read; and the rules of a wedding."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from crdt_server import Settings
from storage import RoutedPage
from tests.api.test_events import Stream
from tests.contract.test_routing import AT, item
from tests.support.databases import sqlite_database
from tests.support.gate import local_server
from tests.support.tokens import SECRET, token

AROHA = {"user": "aroha", "role": "couple"}
BEN = {"user": "ben", "role": "couple"}
PIA = {"user": "pia", "role": "planner"}
GUS = {"user": "gus", "role": "guest", "guest": "g_gus"}

Row = dict[str, Any]


@pytest.fixture
async def wedding(client: httpx.AsyncClient) -> str:
    """A wedding with four members."""
    name = f"/w_{uuid4().hex}"
    for member in (AROHA, BEN, PIA, GUS):
        assert (await client.post(f"{name}/members", params=AROHA, json=member)).status_code == 201
    return name


@asynccontextmanager
async def streaming(
    client: httpx.AsyncClient, wedding: str, person: dict[str, str], **more: Any
) -> AsyncIterator[Stream]:
    async with client.stream("GET", f"{wedding}/inbox/stream", params=person, **more) as response:
        assert response.status_code == 200, await response.aread()
        stream = Stream(response)
        assert "data" not in await stream.message()  # where it begins
        yield stream


async def next_item(stream: Stream) -> Row:
    while "data" not in (message := await stream.message()) or message["event"] == "unread":
        assert message, "the stream has ended"
    found: Row = json.loads(message["data"])
    assert (int(message["id"]), message["event"]) == (found["id"], found["type"])
    return found


async def book(client: httpx.AsyncClient, wedding: str, *vendors: str, by: dict[str, str] = AROHA) -> None:
    """One event `vendor.booked` for each."""
    for stage in ("quoted", "booked"):
        parts: list[Row] = []
        for vendor in vendors:
            value = {"name": vendor, "stage": stage}
            add = {"op": "insert", "root": "vendors", "record": vendor, "value": value}
            change = {"op": "set", "root": "vendors", "record": vendor, "key": "stage", "value": stage}
            parts.append(add if stage == "quoted" else change)
        answer = await client.post(f"{wedding}/documents/wedding/ops", params=by, json={"operations": parts})
        assert answer.status_code == 200, answer.text


async def inbox(client: httpx.AsyncClient, wedding: str, person: dict[str, str], **query: int) -> Row:
    answer = await client.get(f"{wedding}/inbox", params={**person, **query})
    assert answer.status_code == 200, answer.text
    found: Row = answer.json()
    return found


async def test_an_event_is_on_the_stream_and_in_the_inbox_of_those_it_concerns(
    client: httpx.AsyncClient, wedding: str
) -> None:
    async with streaming(client, wedding, BEN) as ben, streaming(client, wedding, PIA) as pia:
        await book(client, wedding, "v_1")
        found = [await next_item(each) for each in (ben, pia)]
    for each in found:
        assert (each["type"], each["record"], each["count"]) == ("vendor.booked", "v_1", 1)
        assert each["params"] == {
            "role": "couple", "title": "v_1", "fields": "stage", "before": "quoted", "after": "booked",
        }  # fmt: skip
    assert (await inbox(client, wedding, BEN))["items"] == [found[0]]
    for person in (AROHA, GUS):
        assert (await inbox(client, wedding, person))["items"] == []


async def test_pages_lead_through_all_items_and_streams_go_on(client: httpx.AsyncClient, wedding: str) -> None:
    names = [f"v_{number}" for number in range(5)]
    async with streaming(client, wedding, BEN) as stream:
        await book(client, wedding, *names)
        live = [await next_item(stream) for _ in names]
    page = await inbox(client, wedding, BEN, after=0, limit=3)
    assert [each["record"] for each in page["items"]] == names[:3]
    page = await inbox(client, wedding, BEN, after=page["next"], limit=3)
    assert [each["record"] for each in page["items"]] == names[3:]
    assert await inbox(client, wedding, BEN, after=page["next"]) == {"items": [], "next": None}
    newest = await inbox(client, wedding, BEN, limit=2)
    assert [each["record"] for each in newest["items"]] == ["v_4", "v_3"]
    assert [each["record"] for each in (await inbox(client, wedding, BEN, before=newest["next"]))["items"]] == [
        "v_2", "v_1", "v_0",
    ]  # fmt: skip
    last = {"Last-Event-ID": str(live[2]["id"])}
    async with streaming(client, wedding, BEN, headers=last) as stream:
        assert [(await next_item(stream))["record"] for _ in range(2)] == names[3:]


async def test_items_are_read_and_other_devices_are_informed(client: httpx.AsyncClient, wedding: str) -> None:
    async with streaming(client, wedding, BEN) as stream:
        await book(client, wedding, "v_1", "v_2", "v_3")
        ids = [(await next_item(stream))["id"] for _ in range(3)]
        assert (await client.get(f"{wedding}/inbox/unread", params=BEN)).json() == {"unread": 3, "more": False}
        answer = await client.post(f"{wedding}/inbox/read", params=BEN, json={"ids": ids[1:2]})
        assert (answer.status_code, answer.json()) == (200, {"unread": 2, "more": False})
        while (message := await stream.message()).get("event") != "unread":
            assert message
        assert json.loads(message["data"]) == {"unread": 2, "more": False}
    assert [each["read_at"] is None for each in (await inbox(client, wedding, BEN, after=0))["items"]] == [1, 0, 1]
    answer = await client.post(f"{wedding}/inbox/read", params=PIA, json={"ids": ids})
    assert answer.json() == {"unread": 3, "more": False}
    assert (await client.get(f"{wedding}/inbox/unread", params=BEN)).json()["unread"] == 2
    answer = await client.post(f"{wedding}/inbox/read", params=BEN, json={"up_to": ids[-1]})
    assert answer.json() == {"unread": 0, "more": False}


async def test_what_was_read_is_counted(
    client: httpx.AsyncClient, node_client: httpx.AsyncClient, wedding: str
) -> None:
    async with streaming(client, wedding, BEN) as stream:
        await book(client, wedding, "v_1", "v_2")
        newest = [(await next_item(stream))["id"] for _ in range(2)][-1]
    before = await counted(node_client)
    for _ in range(2):
        await node_client.post(f"{wedding}/inbox/read", params=BEN, json={"up_to": newest})
    assert await counted(node_client) == before + 2
    channels = (await client.get(f"{wedding}/messaging/stats", params=PIA)).json()["channels"]
    assert channels["in-app"]["read"] == 2
    assert channels["in-app"]["sent"] >= 2


async def counted(client: httpx.AsyncClient) -> float:
    """How many items were read, as the metrics of a node say."""
    text = (await client.get(client.base_url.join("/metrics"))).text
    return next(float(line.split()[1]) for line in text.splitlines() if line.startswith("crdt_inbox_read_total "))


async def test_whoever_has_another_role_reads_no_texts_about_documents_that_are_closed_now(
    client: httpx.AsyncClient, wedding: str
) -> None:
    """A planner who had become a guest went on to read whom the couple had booked."""
    flo = {"user": "flo", "role": "vendor", "vendor": "v_1"}
    assert (await client.post(f"{wedding}/members", params=AROHA, json=flo)).status_code == 201
    arch = {"title": "Arch", "start": 900, "duration": 30, "vendor:v_1": True, "visibility": "team"}
    operations = [
        {"op": "insert", "root": "items", "record": "t_1", "value": arch},
        {"op": "set", "root": "items", "record": "t_1", "key": "start", "value": 945},
    ]
    async with streaming(client, wedding, PIA) as pia, streaming(client, wedding, flo) as vendor:
        await book(client, wedding, "v_1")
        booked = await next_item(pia)
        for each in operations:
            path = f"{wedding}/documents/timeline/ops"
            answer = await client.post(path, params=AROHA, json={"operations": [each]})
            assert answer.status_code == 200, answer.text
        while (moved := await next_item(vendor))["document"] != "timeline":
            pass
    assert (booked["params"]["title"], moved["params"]["title"]) == ("v_1", "Arch")
    assert all(each["at"].endswith("Z") for each in (booked, moved))
    demoted = {"role": "guest", "guest": "g_pia"}
    assert (await client.patch(f"{wedding}/members/pia", params=AROHA, json=demoted)).status_code == 200
    as_guest = {"user": "pia", "enforce": "1", **demoted}
    items = (await inbox(client, wedding, as_guest, after=0))["items"]
    assert [each["params"] for each in items if each["id"] == booked["id"]] == [{}]
    assert "v_1" not in json.dumps([each["params"] for each in items])
    async with streaming(client, wedding, as_guest, headers={"Last-Event-ID": "0"}) as stream:
        assert (await next_item(stream))["params"] == {}
    assert (await inbox(client, wedding, flo | {"enforce": "1"}))["items"][0]["params"]["title"] == "Arch"


async def test_what_cannot_be(client: httpx.AsyncClient, wedding: str, is_problem: Callable[..., None]) -> None:
    for body in ({}, {"ids": [1], "up_to": 1}, {"ids": ["1"]}, {"ids": [0]}, {"ids": [1] * 501}, {"all": True}):
        is_problem(await client.post(f"{wedding}/inbox/read", params=BEN, json=body), 400, "invalid_request")
    for body in ({}, {"send": ["pigeon"]}, {"events": []}, {"audience": "couple"}):
        is_problem(await client.put(f"{wedding}/routing/vendor", params=AROHA, json=body), 400, "invalid_request")
    changed = {"audience": ["couple"]}
    is_problem(await client.put(f"{wedding}/routing/none", params=AROHA, json=changed), 404, "not_found")
    is_problem(await client.put(f"{wedding}/routing/emergency", params=AROHA, json=changed), 400, "invalid_request")


async def test_the_couple_changes_rules_for_its_wedding(
    client: httpx.AsyncClient, wedding: str, is_problem: Callable[..., None]
) -> None:
    changed = {"audience": ["planner"], "send": ["in-app", {"channel": "push", "live": True}]}
    for person in (PIA, GUS):
        is_problem(await client.put(f"{wedding}/routing/vendor", params=person, json=changed), 403, "forbidden")
        is_problem(await client.delete(f"{wedding}/routing/vendor", params=person), 403, "forbidden")
    answer = await client.put(f"{wedding}/routing/vendor", params=AROHA, json=changed)
    assert (answer.status_code, answer.json()["overridden"]) == (200, True)
    rules = {each["name"]: each for each in (await client.get(f"{wedding}/routing", params=PIA)).json()["rules"]}
    assert {name: rules["vendor"][name] for name in changed} == changed
    assert [name for name, each in rules.items() if each["overridden"]] == ["vendor"]
    async with streaming(client, wedding, PIA) as stream:
        await book(client, wedding, "v_1")
        assert (await next_item(stream))["record"] == "v_1"
    assert (await inbox(client, wedding, BEN))["items"] == []
    assert (await client.delete(f"{wedding}/routing/vendor", params=AROHA)).status_code == 204
    async with streaming(client, wedding, BEN) as stream:
        await book(client, wedding, "v_2")
        assert (await next_item(stream))["record"] == "v_2"
    entries = (await client.get(f"{wedding}/audit", params=AROHA)).json()["entries"]
    assert [each["action"] for each in entries if each["action"].startswith("routing")] == ["routing.changed"] * 2


async def test_a_scope_leaves_out_what_items_are_about(tmp_path: Path) -> None:
    secret = tmp_path / "jwt.secret"
    secret.write_bytes(SECRET)
    settings = Settings(port=0, database_url=sqlite_database(tmp_path), document_hosts=1, jwt_secret_file=str(secret))
    async with local_server(settings) as server:
        await server.hub.storage.store_routed([RoutedPage("w", 0, 0, 1, AT, (), [item(1, "u_1")])])
        async with httpx.AsyncClient(base_url=f"{server.url}/api/weddings/w", trust_env=False) as client:
            for scope, status, shown in (
                (None, 200, 1),
                ("messages:write guests:read", 200, 1),
                ("messages:read", 200, 0),
                ("guests:read", 403, 0),
            ):
                claims: Row = {"sub": "u_1", "role": "couple", "wedding": "w", "exp": int(time.time()) + 60}
                claims |= {} if scope is None else {"scope": scope}
                headers = {"Authorization": f"Bearer {token(**claims)}"}
                answer = await client.get("/inbox", headers=headers)
                assert (answer.status_code, len(answer.json().get("items", ()))) == (status, shown), scope
                answer = await client.post("/inbox/read", headers=headers, json={"ids": [99]})
                assert answer.status_code == (403 if scope in ("messages:read", "guests:read") else 200), scope
