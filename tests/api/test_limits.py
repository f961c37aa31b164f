"""Limits of HTTP as of sockets: requests and reads of a person, and nothing else waits for them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.asyncio.client import connect

from crdt_server import Settings
from crdt_server.access.access import DevAccess
from crdt_server.access.identity import Identity
from crdt_server.api import conflicts
from crdt_server.errors import RateLimitError
from crdt_server.protocol.lib0 import write_var_bytes
from tests.support.databases import sqlite_database
from tests.support.gate import SECONDS, LocalServer, ended, local_server, until
from tests.support.wire import message_update

REQUESTS, READS = 20, 2
PAIRS = 3  # of guests with one e-mail address
ADA, BOB = {"user": "ada"}, {"user": "bob"}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[LocalServer]:
    settings = Settings(
        port=0,
        database_url=sqlite_database(tmp_path),
        document_hosts=1,
        requests_per_second=REQUESTS,
        requests_per_address=2 * REQUESTS,
        max_reads_per_person=READS,
        max_strikes=3,
    )
    async with local_server(settings, DevAccess()) as running:
        yield running


@pytest.fixture
async def client(server: LocalServer) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        base_url=f"{server.url}/api/weddings/w", trust_env=False, timeout=SECONDS
    ) as open_client:
        yield open_client


async def metrics(client: httpx.AsyncClient) -> str:
    return (await client.get(client.base_url.join("/metrics"))).text


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def test_requests_of_one_person_have_a_rate(client: httpx.AsyncClient) -> None:
    answers = [await client.get("/events", params=ADA) for _ in range(5 * REQUESTS)]
    refused = [answer for answer in answers if answer.status_code != 200]
    assert {code_of(answer) for answer in refused} == {(429, "too_many_requests")}
    assert {answer.headers["Retry-After"] for answer in refused} == {"1"}
    assert f'crdt_refused_requests_total{{code="too_many_requests"}} {len(refused)}.0' in await metrics(client)
    assert (await client.get("/events", params=BOB)).status_code == 200


async def test_a_large_body_counts_as_many(server: LocalServer, client: httpx.AsyncClient) -> None:
    await client.post("/documents/notes.a/sync", params=ADA, content=bytes(1 << 20))
    limits = server.app.state.request_limits
    with pytest.raises(RateLimitError, match="too many requests"):
        limits.check_person(Identity("ada", "couple"), "127.0.0.1", server.hub.time())


async def test_reads_of_one_person_at_a_time(server: LocalServer, client: httpx.AsyncClient) -> None:
    host = server.hub.hosts.dispatchers[0].supervisor.pid
    os.kill(host, signal.SIGSTOP)
    try:
        reads = [asyncio.create_task(client.get("/documents/guests", params=ADA)) for _ in range(READS)]
        await until(lambda: sum(len(room.members) for room in server.hub.rooms.values()) == READS)
        refused = await client.get("/events", params=ADA)
        assert code_of(refused) == (429, "too_many_reads")
        assert (await client.get("/events", params=BOB)).status_code == 200
        assert (await client.get(f"{server.url}/healthz")).status_code == 200
    finally:
        os.kill(host, signal.SIGCONT)
    assert [(await read).status_code for read in reads] == [200] * READS
    assert (await client.get("/events", params=ADA)).status_code == 200


async def test_a_body_that_comes_slowly_is_no_read(server: LocalServer, client: httpx.AsyncClient) -> None:
    """32 of one address, and nobody behind it could read anything for two minutes."""
    address = urlsplit(server.url)
    writers = []
    for _ in range(READS):
        _, writer = await asyncio.open_connection(address.hostname, address.port)
        head = (
            "POST /api/weddings/w/documents/notes.a/sync?user=ada HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\n\r\n"
        )
        writer.write(head.encode() + b"slow")
        writers.append(writer)
    await until(lambda: server.gate.unfinished.held == READS * len(b"slow"))
    assert (await client.get("/events", params=ADA)).status_code == 200
    for writer in writers:
        writer.close()


async def test_strikes_of_a_person_shut_out_neither_neighbours_nor_the_address(
    server: LocalServer, client: httpx.AsyncClient
) -> None:
    for _ in range(3):
        server.hub.strikes.add(Identity("ada", "couple"), "127.0.0.1", server.hub.time())
    url = f"{server.ws_url}/w/notes.a"
    async with connect(f"{url}?user=ada", proxy=None) as ada, connect(f"{url}?user=bob", proxy=None) as bob:
        assert await ended(ada) == (4529, "too many refused updates or malformed messages")
        assert isinstance(await bob.recv(), bytes)
    refused = await client.get("/events", params=ADA)
    assert code_of(refused) == (429, "rate_limited")
    assert refused.headers["Retry-After"] == "60"
    assert (await client.get("/events", params=BOB)).status_code == 200


async def test_malformed_updates_are_strikes_over_http_too(client: httpx.AsyncClient) -> None:
    for _ in range(3):
        answer = await client.post("/documents/notes.a/sync", params=ADA, content=b"\x01\x00\x05\x01\x01\x01\x01\x01")
        assert code_of(answer) == (400, "malformed_update")
    assert code_of(await client.get("/events", params=ADA)) == (429, "rate_limited")
    assert (await client.get("/events", params=BOB)).status_code == 200


async def test_mistakes_in_json_are_none(client: httpx.AsyncClient) -> None:
    for _ in range(5):
        assert (await client.post("/ops", params=ADA, content=b"{")).status_code == 400
    assert (await client.get("/events", params=ADA)).status_code == 200


async def pages(client: httpx.AsyncClient) -> list[Any]:
    """All conflicts, one a page."""
    found, after = [], ""
    while after is not None:
        page = (await client.get("/conflicts", params={**ADA, "after": after})).json()
        assert len(page["conflicts"]) <= 1
        found += page["conflicts"]
        after = page["next"]
    return found


async def test_conflicts_come_in_pages(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    operations = [
        {"op": "insert", "root": "guests", "record": record, "value": {"firstName": "Ann", "email": f"{twins}@x.test"}}
        for twins in "abc"
        for record in (f"g_{twins}1", f"g_{twins}2")
    ]
    answer = await client.post("/documents/guests/ops", params=ADA, json={"operations": operations})
    assert answer.status_code == 200, answer.text
    async with asyncio.timeout(SECONDS):
        while True:  # they are found in slices: more of them between the pages
            monkeypatch.undo()
            whole = (await client.get("/conflicts", params=ADA)).json()
            assert whole["next"] is None
            monkeypatch.setattr(conflicts, "PAGE_CHARACTERS", 1)
            found = await pages(client)
            if found == whole["conflicts"] and len(found) >= PAIRS:
                break
    assert (await client.get("/conflicts", params={**ADA, "after": "guests\x00/"})).status_code == 400


async def test_a_page_of_conflicts_takes_little_of_the_loop(client: httpx.AsyncClient, server: LocalServer) -> None:
    """A page of 1 MB took 47 ms or more in one piece: it is decoded, put in a language, and encoded."""
    record = json.dumps({"_state": "open", "_summary": "x" * 2_000})
    rows = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 200) "
    rows += "INSERT INTO rows SELECT 'w', 'guests', 'review', 'c_' || x, ?, '{}' FROM n"
    executor = server.hub.storage._executor
    await executor.write(lambda connection: connection.exec_driver_sql(rows, (record,)))
    await executor.write(
        lambda connection: connection.exec_driver_sql("INSERT INTO documents (wedding, name) VALUES ('w', 'guests')")
    )
    answer = await client.get("/conflicts", params=ADA)
    assert 200_000 < len(answer.content) < 300_000
    rest = await client.get("/conflicts", params={**ADA, "after": answer.json()["next"]})
    assert len(answer.json()["conflicts"]) + len(rest.json()["conflicts"]) == 200


async def test_a_command_counts_once_for_each_document(client: httpx.AsyncClient) -> None:
    """One request opened 50 documents."""
    names = [f"notes.{number}" for number in range(REQUESTS)]
    insert = {"op": "text", "root": "text", "value": "x"}
    parts = [{"document": name, "operations": [insert]} for name in names]
    await client.post("/ops", params=ADA, json={"parts": parts})
    assert code_of(await client.get("/events", params=ADA)) == (429, "too_many_requests")
    assert (await client.get("/events", params=BOB)).status_code == 200


GUEST, VENDOR = {"user": "gus", "role": "guest"}, {"user": "vic", "role": "vendor"}


def messages(count: int, user: str, first: int = 0, kind: str = "text") -> dict[str, Any]:
    """A command that sends messages."""
    value = {"from": user, "at": "2026-11-22T10:00:00Z", "kind": kind, "body": "hello"}
    records = (f"01JY3Z8Q7M4T2V6W8X9Y{number:06d}" for number in range(first, first + count))
    return {"operations": [{"op": "set", "root": "messages", "record": record, "value": value} for record in records]}


async def send(client: httpx.AsyncClient, person: dict[str, str], *form: Any) -> httpx.Response:
    return await client.post("/documents/thread.a/ops", params=person, json=messages(1, person["user"], *form))


async def test_a_guest_sends_five_messages_a_minute(client: httpx.AsyncClient) -> None:
    assert [(await send(client, GUEST, number)).status_code for number in range(5)] == [200] * 5
    refused = await send(client, GUEST, 5)
    assert code_of(refused) == (429, "too_many_messages")
    assert 10 <= int(refused.headers["Retry-After"]) <= 12
    assert 'crdt_refused_requests_total{code="too_many_messages"} 1.0' in await metrics(client)
    assert (await send(client, GUEST, 6, "emergency")).status_code == 429  # a guest reports none
    assert (await send(client, VENDOR, 7)).status_code == 200
    assert (await client.get("/documents/guests", params=GUEST)).status_code == 200


async def test_reactions_and_redactions_are_messages(client: httpx.AsyncClient) -> None:
    assert (await send(client, GUEST)).status_code == 200
    message = messages(1, "gus")["operations"][0]["record"]
    for number in range(4):
        reaction = {"op": "set", "root": "reactions", "record": f"{message}|{number}|gus", "value": True}
        answer = await client.post("/documents/thread.a/ops", params=GUEST, json={"operations": [reaction]})
        assert answer.status_code == 200, answer.text
    taken_back = {"op": "delete", "root": "reactions", "record": f"{message}|0|gus"}
    redaction = {
        "op": "set",
        "root": "redactions",
        "record": message,
        "value": {"at": "2026-11-22T10:00:00Z", "by": "gus"},
    }
    for operation in (taken_back, redaction):
        refused = await client.post("/documents/thread.a/ops", params=GUEST, json={"operations": [operation]})
        assert code_of(refused) == (429, "too_many_messages")


async def test_a_command_counts_with_its_messages(client: httpx.AsyncClient) -> None:
    answer = await client.post("/documents/thread.a/ops", params=GUEST, json=messages(6, "gus"))
    assert answer.status_code == 200, answer.text
    assert code_of(await send(client, GUEST, 6)) == (429, "too_many_messages")


async def test_an_offline_sync_of_a_thread_counts_as_a_message(client: httpx.AsyncClient) -> None:
    url = "/documents/thread.a/sync"
    bodies = [write_var_bytes(b"\x00") + write_var_bytes(message_update(number, "gus")) for number in range(6)]
    answers = [await client.post(url, params=GUEST, content=body) for body in bodies]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert answers[-1].json()["code"] == "too_many_messages"
    nothing = write_var_bytes(b"\x00") + write_var_bytes(b"\x00\x00")
    assert (await client.post(url, params=GUEST, content=nothing)).status_code == 200


async def test_a_thread_counts_as_a_message(client: httpx.AsyncClient) -> None:
    """Its title was pushed to the couple, as often as somebody made one."""
    body = {"title": "BUY NOW"}
    answers = [await client.post("/threads", params=GUEST, json=body) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [201] * 5 + [429]
    assert answers[-1].json()["code"] == "too_many_messages"
    path = f"/threads/{answers[0].json()['id']}/participants/aroha"
    assert code_of(await client.put(path, params=GUEST)) == (429, "too_many_messages")
    changed = client.patch(path.partition("/participants")[0], params=GUEST, json=body)
    assert code_of(await changed) == (429, "too_many_messages")
    assert code_of(await send(client, GUEST)) == (429, "too_many_messages")


async def test_an_emergency_passes_the_limits(server: LocalServer, client: httpx.AsyncClient) -> None:
    server.hub.time = lambda: 0.0  # type: ignore[method-assign]
    while (await send(client, VENDOR)).status_code == 200:
        pass
    emergency = {"op": "insert", "root": "emergencies", "record": "x_1", "value": {"kind": "power", "text": "dark"}}
    command = {"operations": [emergency]}
    while (await client.get("/documents/timeline", params=VENDOR)).status_code == 200:
        pass
    url = "/documents/timeline/ops"
    mixed = {"operations": [emergency, {"op": "delete", "root": "items", "record": "i_1"}]}
    assert code_of(await client.post(url, params=VENDOR, json=mixed)) == (429, "too_many_requests")
    answer = await client.post(url, params=VENDOR, json=command)
    assert answer.status_code == 200, answer.text
    assert (await send(client, VENDOR, 8, "emergency")).status_code == 200
    codes = [(await client.post(url, params=VENDOR, json=command)).status_code for _ in range(20)]
    assert codes.count(429) >= 12, "ten an hour"
    while (await client.get("/documents/timeline", params=GUEST)).status_code == 200:
        pass
    assert code_of(await client.post(url, params=GUEST, json=command)) == (429, "too_many_requests")


async def test_each_emergency_of_a_command_counts(server: LocalServer, client: httpx.AsyncClient) -> None:
    """A command of a thousand passed as one, and behind the tenth command they were limited as edits are."""
    server.hub.time = lambda: 0.0  # type: ignore[method-assign]
    answers = []
    for first, count in ((0, 10), (10, 20), (30, 1)):
        operations = [
            {"op": "insert", "root": "emergencies", "record": f"x_{number}", "value": {"kind": "power", "text": "dark"}}
            for number in range(first, first + count)
        ]
        answers.append(await client.post("/documents/timeline/ops", params=VENDOR, json={"operations": operations}))
    assert [each.status_code for each in answers] == [200, 200, 429], "ten of the hour, and twenty of the minute"
    assert code_of(answers[-1]) == (429, "too_many_messages")
    assert code_of(await send(client, VENDOR)) == (429, "too_many_messages")
