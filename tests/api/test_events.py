"""Events over HTTP: pages without holes, and streams that go on where they were interrupted."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from crdt_server.access.access import DevAccess
from crdt_server.access.identity import Authenticated, Identity
from crdt_server.api import events
from crdt_server.api.event_filter import EventFilter
from crdt_server.hub.event_notifier import EventNotifier
from crdt_server.hub.held_streams import HeldStream
from documents.events import fold
from storage import open_storage
from tests.support.backend import Server
from tests.support.server import ServerProcess

Check = Callable[..., None]
Event = dict[str, Any]


async def add(client: httpx.AsyncClient, wedding: str, *records: str) -> None:
    """One event for each record."""
    operations = [{"op": "insert", "root": "guests", "record": each, "value": {"firstName": each}} for each in records]
    answer = await client.post(f"/{wedding}/documents/guests/ops", json={"operations": operations})
    assert answer.status_code == 200, answer.text


class Stream:
    """A reader of server-sent events, as browsers are."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()
        self.last_id = ""

    async def message(self) -> dict[str, str]:
        """The next block of fields, comments left out; empty at the end of the stream."""
        fields: dict[str, str] = {}
        async for line in self._lines:
            if not line and fields:
                self.last_id = fields.get("id", self.last_id)
                return fields
            name, _, value = line.partition(": ")
            if name:
                fields[name] = value
        return {}

    async def events(self, count: int) -> list[Event]:
        messages = [await self.message() for _ in range(count)]
        events = [json.loads(each["data"]) for each in messages]
        assert [each["event"] for each in messages] == [each["type"] for each in events]
        assert [int(each["id"]) for each in messages] == [each["seq"] for each in events]
        return events


@asynccontextmanager
async def streaming(client: httpx.AsyncClient, wedding: str, **more: Any) -> AsyncIterator[Stream]:
    async with client.stream("GET", f"/{wedding}/events/stream", **more) as response:
        assert response.status_code == 200, await response.aread()
        assert response.headers["content-type"].startswith("text/event-stream")
        stream = Stream(response)
        assert "data" not in await stream.message()  # where it begins
        yield stream


def numbers(events: list[Event]) -> list[int]:
    return [event["seq"] for event in events]


class TestPages:
    async def test_pages_have_no_holes(self, client: httpx.AsyncClient) -> None:
        await add(client, "pages", *(f"g_{n}" for n in range(7)))
        seen: list[Event] = []
        while True:
            answer = (await client.get("/pages/events", params={"after": len(seen), "limit": 3})).json()
            assert answer["head"] == 7
            if not answer["events"]:
                break
            seen += answer["events"]
        assert numbers(seen) == list(range(1, 8))
        assert [event["id"] for event in seen] == [f"pages:{n}" for n in range(1, 8)]
        assert {event["wedding"] for event in seen} == {"pages"}

    async def test_all_events_of_a_document_are_its_rows(self, client: httpx.AsyncClient) -> None:
        await client.get("/demo/documents/guests")
        await client.get("/demo/documents/seating")
        guests = (await client.get("/demo/documents/guests")).json()
        guest = next(iter(guests["guests"]))
        operations = [
            {"op": "set", "root": "guests", "record": guest, "key": "meal", "value": "something else"},
            {"op": "delete", "root": "guests", "record": guest, "key": "firstName"},
        ]
        await client.post("/demo/documents/guests/ops", json={"operations": operations})
        seen: list[Event] = []
        while page := (await client.get("/demo/events", params={"after": len(seen), "limit": 500})).json()["events"]:
            seen += page
        folded = fold(seen)
        for name in ("guests", "seating"):
            rows = (await client.get(f"/demo/documents/{name}")).json()
            assert {root: records for root, records in folded[name].items() if records} == rows

    async def test_a_wedding_without_events(self, client: httpx.AsyncClient) -> None:
        assert (await client.get("/silent/events")).json() == {"events": [], "head": 0, "next": 0}

    async def test_events_that_are_not_kept_any_more(
        self, client: httpx.AsyncClient, server: Server, is_problem: Check
    ) -> None:
        await add(client, "old", *(f"g_{n}" for n in range(5)))
        storage = await open_storage(server.database_url)
        try:
            assert await storage.expire_events("old", excess_bytes=1)
        finally:
            await storage.close()
        for query, headers in (("", {}), ("/stream?after=0", {}), ("/stream", {"Last-Event-ID": "0"})):
            answer = await client.get(f"/old/events{query}", headers=headers)
            is_problem(answer, 410, "events_expired")
            assert answer.json()["after"] == 1
        assert numbers((await client.get("/old/events?after=1")).json()["events"]) == [2, 3, 4, 5]
        async with streaming(client, "old", params={"after": 1}) as stream:
            assert numbers(await stream.events(4)) == [2, 3, 4, 5]

    @pytest.mark.parametrize("query", ["after=-1", "after=x", f"after={1 << 63}", "limit=0", "limit=501"])
    async def test_what_cannot_be_asked(self, client: httpx.AsyncClient, is_problem: Check, query: str) -> None:
        is_problem(await client.get(f"/w/events?{query}"), 400, "invalid_request")
        is_problem(await client.get("/-/events"), 404, "not_found")
        is_problem(await client.get("/-/events/stream"), 404, "not_found")


class TestStreams:
    async def test_from_now_on(self, client: httpx.AsyncClient) -> None:
        await add(client, "now", "g_1", "g_2")
        async with streaming(client, "now") as stream:
            assert stream.last_id == "2"
            await add(client, "now", "g_3")
            await add(client, "now", "g_4")
            heard = await stream.events(2)
        assert heard == (await client.get("/now/events?after=2")).json()["events"]

    async def test_from_a_number_on_in_many_pages(self, client: httpx.AsyncClient) -> None:
        await add(client, "long", *(f"g_{n}" for n in range(250)))
        async with streaming(client, "long", params={"after": 10}) as stream:
            assert numbers(await stream.events(240)) == list(range(11, 251))
            await add(client, "long", "g_new")
            assert numbers(await stream.events(1)) == [251]
        header = {"Last-Event-ID": "249"}  # counts more than the address, which a browser keeps
        async with streaming(client, "long", params={"after": 10}, headers=header) as stream:
            assert numbers(await stream.events(2)) == [250, 251]

    async def test_one_hears_only_of_the_own_wedding(self, client: httpx.AsyncClient) -> None:
        async with streaming(client, "mine") as stream:
            await add(client, "theirs", "g_1")
            await add(client, "mine", "g_2")
            assert [event["record"] for event in await stream.events(1)] == ["g_2"]

    async def test_one_who_does_not_read_keeps_nobody_waiting(self, client: httpx.AsyncClient) -> None:
        async with streaming(client, "slow") as lazy, streaming(client, "slow") as quick:
            for start in range(0, 1000, 500):
                await add(client, "slow", *(f"g_{n}" for n in range(start, start + 500)))
            assert numbers(await quick.events(1000)) == list(range(1, 1001))
            assert numbers(await lazy.events(1000)) == list(range(1, 1001))

    @pytest.mark.parametrize("header", ["x", "-1", "1.5"])
    async def test_no_number_to_go_on_from(self, client: httpx.AsyncClient, is_problem: Check, header: str) -> None:
        answer = await client.get("/w/events/stream", headers={"Last-Event-ID": header})
        is_problem(answer, 400, "invalid_request")

    async def test_streams_of_one_address_are_bounded(self, node_client: httpx.AsyncClient, is_problem: Check) -> None:
        client = node_client
        async with AsyncExitStack() as stack:
            for user in ("ada", "ada", "bob", "eve"):
                if user == "bob":  # one person has half of them
                    is_problem(await client.get("/many/events/stream?user=ada"), 503, "streams")
                await stack.enter_async_context(streaming(client, "many", params={"user": user}))
            is_problem(await client.get("/many/events/stream?user=zoe"), 503, "streams")
        for _ in range(100):  # until the server has heard that they are closed
            async with client.stream("GET", "/many/events/stream") as response:
                if response.status_code == 200:
                    break
        assert response.status_code == 200


async def test_a_silent_stream_says_now_and_then_that_it_lives(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "COMMENT_SECONDS", 0.01)
    storage = await open_storage(database_url, migrate=True)
    notifier = EventNotifier()
    ada = Identity("ada", "couple")
    everything, held = EventFilter(DevAccess(), ada, "w"), HeldStream("w", Authenticated(ada))
    stream = events._stream(storage, notifier, after=7, event_filter=everything, held=held)
    assert [await anext(stream) for _ in range(3)] == ["retry: 1000\nid: 7\n\n", *[": nothing new\n\n"] * 2]
    notifier.close()
    assert [message async for message in stream] in ([], [": nothing new\n\n"])
    await storage.close()


async def test_a_stream_goes_on_after_a_restart(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, env={"CRDT_SERVER_DOCUMENT_HOSTS": "1"})
    server.start()
    try:
        url = f"{server.url}/api/weddings"
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as client:
            async with streaming(client, "w") as stream:
                await add(client, "w", "g_1")
                assert numbers(await stream.events(1)) == [1]
                await add(client, "w", "g_2", "g_3")
                assert server.terminate() == 0
                rest = []
                while message := await stream.message():  # it ends with the server, and properly
                    rest.append(int(message["id"]))
                assert rest == [2, 3][: len(rest)]
            assert "Traceback" not in server.log
            assert "timeout graceful shutdown" not in server.log
            server.start()
            async with streaming(client, "w", headers={"Last-Event-ID": stream.last_id}) as again:
                await add(client, "w", "g_4")
                assert numbers(await again.events(3 - len(rest))) == [2, 3, 4][len(rest) :]
    finally:
        server.close()
