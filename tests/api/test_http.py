"""The HTTP side of a real server: documents, offline sync, probes."""

from __future__ import annotations

import asyncio
import base64
import json
import sqlite3
from collections.abc import AsyncIterator, Iterator, MutableMapping
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import make_url
from starlette.requests import ClientDisconnect, Request
from structlog.testing import capture_logs
from websockets.asyncio.client import connect

from crdt_server.access.limits import Allowance
from crdt_server.api.problems import on_disconnect
from crdt_server.app import create_app
from crdt_server.hub.hub import LOGGED_REFUSALS, SECONDS_PER_LOGGED_REFUSAL
from crdt_server.protocol.lib0 import read_var_bytes, write_var_bytes
from crdt_server.protocol.messages import SyncUpdate
from crdt_server.protocol.update import EMPTY_STATE_VECTOR, EMPTY_UPDATE
from crdt_server.settings import Settings
from storage import Append, DocumentKey, open_storage
from tests.support.codec import decode_messages, encode_update
from tests.support.databases import about_sqlite, run_sql
from tests.support.server import ServerProcess
from tests.support.wire import KILLER, KILLER_GROUND, Replica

BODY_BYTES = 1 << 20
DOCUMENT_BYTES = 600_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    settings = {"MAX_FRAME_BYTES": BODY_BYTES, "MAX_DOCUMENT_BYTES": DOCUMENT_BYTES, "DOCUMENT_HOSTS": 1}
    settings["MAX_STRIKES"] = 0  # many of these bodies are malformed
    env = {f"CRDT_SERVER_{name}": str(value) for name, value in settings.items()}
    running = ServerProcess(tmp_path_factory.mktemp("server"), env=env)
    running.start()
    try:
        yield running
    finally:
        running.close()


@pytest.fixture
async def client(server: ServerProcess) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=60) as open_client:
        yield open_client


# Of our own wedding: the server has made another.
DAMAGE = (
    """UPDATE updates SET "update" = :damaged WHERE document_id IN (SELECT id FROM documents WHERE wedding = 'w')"""
)
STORED = """SELECT "update" FROM updates JOIN documents ON documents.id = document_id WHERE wedding = 'w'"""


def path(document: str, what: str = "sync", wedding: str = "w") -> str:
    return f"/api/weddings/{wedding}/documents/{document}/{what}"


def body(state_vector: bytes, update: bytes) -> bytes:
    return write_var_bytes(state_vector) + write_var_bytes(update)


def parts(answer: httpx.Response) -> tuple[bytes, bytes]:
    """State vector and update of a sync answer."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/octet-stream"
    state_vector, pos = read_var_bytes(answer.content, 0)
    update, pos = read_var_bytes(answer.content, pos)
    assert pos == len(answer.content)
    return state_vector, update


def is_problem(answer: httpx.Response, status: int, code: str | None = None) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["code"]
    assert problem["title"]
    if code is not None:
        assert problem["code"] == code


def text_of(*updates: bytes) -> str:
    reader = Replica(99)
    for update in updates:
        reader.receive(update)
    assert not reader.pending
    return str(reader)


class TestSync:
    async def test_one_round_trip_brings_both_sides_together(self, client: httpx.AsyncClient) -> None:
        one, two = Replica(1), Replica(2)
        one.type("hello")
        parts(await client.post(path("notes.both"), content=body(one.state_vector, one.all())))
        two.type("world")
        known, lacking = parts(await client.post(path("notes.both"), content=body(two.state_vector, two.all())))
        two.receive(lacking)
        assert str(two) in ("helloworld", "worldhello")
        assert two.lacks(known) == EMPTY_UPDATE
        one.receive((await client.get(path("notes.both", "state"))).content)
        assert str(one) == str(two)

    async def test_what_came_by_http_is_heard_on_sockets(
        self, client: httpx.AsyncClient, server: ServerProcess
    ) -> None:
        edit = Replica(1).type("by post")
        async with connect(f"{server.ws_url}/w/notes.heard", compression=None, proxy=None) as websocket:
            await websocket.recv()
            parts(await client.post(path("notes.heard"), content=body(EMPTY_STATE_VECTOR, edit)))
            frame = await websocket.recv()
            assert isinstance(frame, bytes)
            assert decode_messages(frame) == [SyncUpdate(edit)]

    async def test_what_is_known_may_be_sent_again(self, client: httpx.AsyncClient) -> None:
        one = Replica(1)
        one.type("once")
        for _ in range(3):
            known, lacking = parts(await client.post(path("notes.again"), content=body(one.state_vector, one.all())))
            assert (known, lacking) == (one.state_vector, EMPTY_UPDATE)

    async def test_nothing_to_send(self, client: httpx.AsyncClient) -> None:
        known, lacking = parts(await client.post(path("notes.none"), content=body(EMPTY_STATE_VECTOR, EMPTY_UPDATE)))
        assert (known, lacking) == (EMPTY_STATE_VECTOR, EMPTY_UPDATE)

    async def test_a_large_update_is_vetted_and_stored(self, client: httpx.AsyncClient) -> None:
        one = Replica(1)
        one.type("x" * 300_000)
        parts(await client.post(path("notes.large"), content=body(EMPTY_STATE_VECTOR, one.all())))
        assert text_of((await client.get(path("notes.large", "state"))).content) == "x" * 300_000

    async def test_a_gap(self, client: httpx.AsyncClient) -> None:
        one = Replica(1)
        one.type("never sent")
        later = one.type("later")
        is_problem(await client.post(path("notes.gap"), content=body(EMPTY_STATE_VECTOR, later)), 409, "gap")
        assert (await client.get(path("notes.gap", "state"))).content == EMPTY_UPDATE

    @pytest.mark.parametrize(
        "content",
        [
            *(b"", b"\x00", b"\x01", b"\x05\x00", b"\xff" * 20, body(EMPTY_STATE_VECTOR, EMPTY_UPDATE) + b"\x00"),
            *(body(b"\x01", EMPTY_UPDATE), body(EMPTY_STATE_VECTOR, b"\x01\x02"), body(b"", b"")),
            body(bytes.fromhex("8080808002"), EMPTY_UPDATE),
            body(EMPTY_STATE_VECTOR, bytes.fromhex("80808040")),
            body(EMPTY_STATE_VECTOR, b"\x01" * 50_000),
        ],
    )
    async def test_malformed_bodies(self, client: httpx.AsyncClient, content: bytes) -> None:
        is_problem(await client.post(path("notes.malformed"), content=content), 400)

    async def test_a_body_that_is_too_large(self, client: httpx.AsyncClient) -> None:
        is_problem(await client.post(path("notes.body"), content=b"\x00" * (BODY_BYTES + 1)), 413, "body_too_large")

    async def test_a_document_that_would_be_too_large(self, client: httpx.AsyncClient) -> None:
        one = Replica(1)
        content = body(EMPTY_STATE_VECTOR, one.type("x" * (DOCUMENT_BYTES + 1)))
        is_problem(await client.post(path("notes.full"), content=content), 409, "too_large")

    async def test_an_update_that_kills_its_host(self, server: ServerProcess, client: httpx.AsyncClient) -> None:
        key = DocumentKey("w", "notes.killer")
        storage = await open_storage(server.database_url)
        await storage.append([Append(key, seq, update) for seq, update in enumerate(KILLER_GROUND, 1)])
        await storage.close()
        is_problem(await client.post(path("notes.killer"), content=body(EMPTY_STATE_VECTOR, KILLER)), 409, "violation")
        assert text_of((await client.get(path("notes.killer", "state"))).content) == "a"


class TestState:
    async def test_all_and_what_is_lacking(self, client: httpx.AsyncClient) -> None:
        one = Replica(1)
        first = one.type("first ")
        known = base64.urlsafe_b64encode(one.state_vector).decode()
        one.type("second")
        parts(await client.post(path("notes.state"), content=body(EMPTY_STATE_VECTOR, one.all())))
        whole = await client.get(path("notes.state", "state"))
        assert text_of(whole.content) == "first second"
        assert whole.headers["content-type"] == "application/octet-stream"
        for spelling in (known, known.rstrip("=")):
            rest = await client.get(path("notes.state", "state"), params={"state_vector": spelling})
            assert text_of(first, rest.content) == "first second"
            assert len(rest.content) < len(whole.content)

    async def test_an_unknown_document_is_empty_and_is_not_made(
        self, client: httpx.AsyncClient, server: ServerProcess
    ) -> None:
        assert (await client.get(path("notes.unknown", "state"))).content == EMPTY_UPDATE
        assert not await run_sql(server.database_url, "SELECT * FROM documents WHERE name = 'notes.unknown'")

    @pytest.mark.parametrize("state_vector", ["!", "AAA=A", "é", "_____", "AQ", "gICAgAI"])
    async def test_malformed_state_vectors(self, client: httpx.AsyncClient, state_vector: str) -> None:
        is_problem(await client.get(path("notes.a", "state"), params={"state_vector": state_vector}), 400)

    async def test_an_endless_state_vector(self, database_url: str) -> None:
        """uvicorn refuses such a request by itself; another server may not."""
        said: list[MutableMapping[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: MutableMapping[str, Any]) -> None:
            said.append(message)

        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "GET",
            "headers": [],
            "path": path("notes.a", "state"),
        }
        query = b"state_vector=" + b"A" * 65_537
        app = create_app(Settings.load(dev=True, document_hosts=1, database_url=database_url))
        async with app.router.lifespan_context(app):
            await app({**scope, "headers": [], "query_string": query}, receive, send)
        start, end = said
        assert start["status"] == 400
        assert json.loads(end["body"])["code"] == "invalid_request"

    @pytest.mark.parametrize(("wedding", "document"), [("w", "nothing"), ("w", "notes"), ("-", "notes.a"), ("w", "é")])
    async def test_documents_that_cannot_exist(self, client: httpx.AsyncClient, wedding: str, document: str) -> None:
        is_problem(await client.get(path(document, "state", wedding)), 404, "not_found")
        is_problem(await client.post(path(document, "sync", wedding), content=b""), 404, "not_found")

    async def test_wrong_paths_and_methods(self, client: httpx.AsyncClient) -> None:
        is_problem(await client.get("/api/nothing"), 404, "not_found")
        is_problem(await client.delete(path("notes.a", "state")), 405, "method_not_allowed")


class TestProbes:
    async def test_alive_and_ready(self, client: httpx.AsyncClient) -> None:
        assert (await client.get("/healthz")).json() == {"status": "ok"}
        assert (await client.get("/readyz")).json() == {"status": "ready"}

    @about_sqlite
    @pytest.mark.slow
    async def test_not_ready_while_the_database_is_locked(
        self, client: httpx.AsyncClient, server: ServerProcess
    ) -> None:
        path = make_url(server.database_url).database
        assert path is not None
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            answer = await client.get("/readyz")
            assert answer.elapsed.total_seconds() < 4
            is_problem(answer, 503, "database_slow")
            assert answer.headers["retry-after"]
            assert (await client.get("/healthz")).status_code == 200
            other.execute("ROLLBACK")
        for _ in range(100):
            answer = await client.get("/readyz")
            if answer.status_code == 200:
                break
        assert answer.status_code == 200

    async def test_metrics_can_be_parsed_and_say_what_happened(
        self, client: httpx.AsyncClient, server: ServerProcess
    ) -> None:
        async with connect(f"{server.ws_url}/w/notes.metrics", compression=None, proxy=None) as websocket:
            await websocket.send(encode_update(Replica(1).type("x")))
            await websocket.recv()
            await websocket.recv()
            answer = await client.get("/metrics")
        families = {family.name: family for family in text_string_to_metric_families(answer.text)}
        values = {name: family.samples[0].value for name, family in families.items() if family.samples}
        assert values["crdt_sockets"] == 1
        assert values["crdt_updates"] > 0
        assert values["crdt_rooms"] > 0
        assert values["crdt_loop_lag_seconds"] >= 0
        expected = {"commit_seconds", "host_batch_requests", "fan_out_bytes", "slow_consumers", "protocol_errors"}
        expected |= {"room_evictions", "loaded_bytes", "commit_rows", "quarantined", "host_restarts", "gaps"}
        assert {f"crdt_{name}" for name in expected} <= set(families)
        assert all(family.documentation for family in families.values())

    async def test_the_description_of_the_api_is_served(self, client: httpx.AsyncClient) -> None:
        paths = (await client.get("/api/openapi.json")).json()["paths"]
        stem = "/api/weddings/{wedding}/documents/{document}"
        assert {f"{stem}/state", f"{stem}/sync", "/healthz", "/readyz", "/metrics"} <= set(paths)


async def test_a_document_that_cannot_be_read(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, env={"CRDT_SERVER_DOCUMENT_HOSTS": "1"})
    server.start()
    try:
        async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=60) as client:
            edit = Replica(1).type("x")
            parts(await client.post(path("notes.a"), content=body(EMPTY_STATE_VECTOR, edit)))
            assert server.terminate() == 0
            await run_sql(server.database_url, DAMAGE, damaged=b"damaged")
            server.start()
            is_problem(await client.get(path("notes.a", "state")), 503, "try_again")
            is_problem(await client.post(path("notes.a"), content=body(EMPTY_STATE_VECTOR, edit)), 503, "try_again")
            assert (await client.get(path("notes.b", "state"))).status_code == 200
        assert await run_sql(server.database_url, STORED) == [(b"damaged",)]
    finally:
        server.close()


async def test_calls_that_are_aborted_are_logged_a_few_times() -> None:
    now = 0.0
    logged = Allowance(LOGGED_REFUSALS, SECONDS_PER_LOGGED_REFUSAL)
    state = SimpleNamespace(hub=SimpleNamespace(time=lambda: now), logged_aborts=logged)
    scope = {"type": "http", "method": "POST", "path": "/", "headers": [], "app": SimpleNamespace(state=state)}
    for address, minutes in (("192.0.2.1", 0), ("192.0.2.2", 0), ("192.0.2.1", 10)):
        now = minutes * 60.0
        with capture_logs() as lines:
            for _ in range(3 * LOGGED_REFUSALS):
                await on_disconnect(Request(scope | {"state": {"sender": (None, address)}}), ClientDisconnect())
        assert [line["event"] for line in lines] == ["request_aborted"] * LOGGED_REFUSALS


async def test_a_call_that_is_aborted_leaves_one_line_in_the_log(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path)
    server.start()
    try:
        address = urlsplit(server.url)
        for _ in range(3):
            _, writer = await asyncio.open_connection(address.hostname, address.port)
            head = f"POST {path('notes.a')} HTTP/1.1\r\nHost: test\r\nContent-Length: 1000\r\n\r\n"
            writer.write(head.encode() + b"only these")
            await writer.drain()
            writer.close()
            await writer.wait_closed()
        async with httpx.AsyncClient(base_url=server.url, trust_env=False) as client, asyncio.timeout(60):
            while server.log.count("request_aborted") < 3:
                await client.get("/healthz")
        assert server.terminate() == 0
        lines = [json.loads(line) for line in server.log.splitlines()]
        aborted = [line for line in lines if line["level"] != "warning"]
        assert [line["event"] for line in aborted] == ["request_aborted"] * 3
        assert {line["level"] for line in aborted} == {"info"}
    finally:
        server.close()
