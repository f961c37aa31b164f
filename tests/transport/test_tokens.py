"""Tokens on real sockets and over HTTP, with both implementations of WebSockets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial

import httpx
import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect

from crdt_server import Settings
from crdt_server.transport import expiry, gate
from crdt_server.transport.gate import ConnectionRequest, Refused
from tests.support.codec import encode_update
from tests.support.databases import sqlite_database
from tests.support.gate import SECONDS, LocalServer, ended, local_server, until, update_from
from tests.support.tokens import SECRET, claims, entry, forged, key_set, signed, token
from tests.support.wire import Replica

pytestmark = pytest.mark.asyncio(loop_scope="module")

FORGED = forged({"alg": "HS256"}, claims(), b"x" * 32)
WITHOUT = "no token: send one as query parameter token, or as Authorization: Bearer"
STATE = "/api/weddings/w/documents/notes.a/state"


@pytest.fixture(scope="module", params=["fast", "asgi"])
def settings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    directory = tmp_path_factory.mktemp("server")
    (directory / "secret").write_bytes(SECRET)
    return Settings(
        port=0,
        websocket_lane=request.param,
        database_url=sqlite_database(directory),
        document_hosts=1,
        jwt_secret_file=f"{directory}/secret",
        max_strikes=0,
    )


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def server(settings: Settings) -> AsyncIterator[LocalServer]:
    async with local_server(settings) as running:
        yield running


@asynccontextmanager
async def visit(
    server: LocalServer,
    query: str = "",
    wedding: str = "w",
    headers: Mapping[str, str] | None = None,
    **options: object,
) -> AsyncIterator[ClientConnection]:
    url = f"{server.ws_url}/{wedding}/notes.a{query}"
    async with connect(url, compression=None, proxy=None, additional_headers=headers or {}, **options) as websocket:  # type: ignore[arg-type]
        yield websocket


@asynccontextmanager
async def http(server: LocalServer, address: str = "127.0.0.1") -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.AsyncHTTPTransport(local_address=address)
    async with httpx.AsyncClient(base_url=server.url, transport=transport, timeout=60) as client:
        yield client


async def test_a_token_lets_its_person_in(server: LocalServer) -> None:
    ada, bob = token(name="Ada"), token(sub="bob", role="planner", vendor="v_1")
    async with visit(server, f"?token={ada}") as one, visit(server, headers={"Authorization": f"Bearer {bob}"}) as two:
        edit = Replica(1).type("x")
        await one.send(encode_update(edit))
        assert await update_from(one) == await update_from(two) == edit
        (room,) = server.hub.rooms.values()
        found = {(each.user, each.identity.role, each.identity.vendor, each.identity.name) for each in room.members}
        assert found == {("ada", "couple", "", "Ada"), ("bob", "planner", "v_1", "")}
    async with visit(server, f"?token={token(role='guest', guest='g_1')}") as websocket:
        assert (await ended(websocket))[0] == 4404, "the policy decides what a role may open"


@pytest.mark.parametrize(
    ("query", "wedding", "code", "reason"),
    [
        ("", "w", 4401, WITHOUT),
        ("?user=ada&role=couple", "w", 4401, WITHOUT),
        ("?token=nonsense", "w", 4401, "this is no token"),
        (f"?token={FORGED}", "w", 4401, "the signature of the token is not valid"),
        (f"?token={token(exp=1)}", "w", 4401, "the token has expired"),
        (token, "other", 4403, "the token is for another wedding"),
        (partial(token, wedding=None, role=None), "w", 4403, "not a member of this wedding"),
    ],
    ids=["none", "a name alone", "nonsense", "forged", "expired", "another wedding", "no member"],
)
async def test_who_is_not_let_in(
    server: LocalServer, query: str | Callable[[], str], wedding: str, code: int, reason: str
) -> None:
    if not isinstance(query, str):  # a token that is valid now, however long the tests before took
        query = f"?token={query()}"
    async with visit(server, query, wedding) as websocket:
        assert await ended(websocket) == (code, reason)
    async with http(server) as client:
        answer = await client.get(STATE.replace("/w/", f"/{wedding}/") + query)
        assert (answer.status_code, answer.json()["detail"]) == (code - 4000, reason)
        assert answer.headers.get("WWW-Authenticate") == ("Bearer" if code == 4401 else None)


async def test_a_request_with_a_token(server: LocalServer) -> None:
    async with http(server) as client:
        assert (await client.get(f"{STATE}?token={token()}")).status_code == 200
        assert (await client.get(STATE, headers={"Authorization": f"Bearer {token()}"})).status_code == 200


async def test_a_crowd_with_one_token_costs_one_signature(server: LocalServer) -> None:
    verifier = server.app.state.access._verify.__self__
    text, before = token(sub="crowd"), verifier.verified
    async with http(server) as client:
        for _ in range(20):
            assert (await client.get(f"{STATE}?token={text}")).status_code == 200
    async with visit(server, f"?token={text}") as websocket:
        await websocket.recv()
    assert verifier.verified == before + 1


async def test_a_socket_ends_when_its_token_expires(server: LocalServer) -> None:
    soon = int(time.time()) + 60
    async with visit(server, f"?token={token(exp=soon)}") as short, visit(server, f"?token={token()}") as long:
        await short.recv()
        await long.recv()
        await expiry.sweep(server.hub, lambda: soon - 0.1)
        edit = Replica(7).type("y")
        await short.send(encode_update(edit))
        assert await update_from(long) == edit
        await expiry.sweep(server.hub, lambda: float(soon))
        await expiry.sweep(server.hub, lambda: soon + 1.0)
        late = Replica(8).type("late")
        await short.send(encode_update(late))
        assert await ended(short) == (4401, "the token has expired")
        edit = Replica(9).type("z")
        await long.send(encode_update(edit))
        assert await update_from(long) == edit, "nothing of the other one any more"
    assert server.hub.metrics.counters.closed[4401] == 1


async def test_the_sweep_goes_on_by_itself(settings: Settings, database_url: str) -> None:
    """Sockets and event streams, within five seconds of the expiry."""
    own = settings.model_copy(update={"database_url": database_url})
    async with local_server(own) as server, http(server) as client:
        soon = int(time.time()) + 2
        stream = client.stream("GET", f"/api/weddings/w/events/stream?token={token(exp=soon)}")
        async with visit(server, f"?token={token(exp=soon)}") as websocket, stream as answer:
            assert answer.status_code == 200
            assert (await ended(websocket))[0] == 4401
            async with asyncio.timeout(SECONDS):
                lines = [line async for line in answer.aiter_lines()]
            assert lines[0].startswith("retry:")
            assert soon <= time.time()


async def test_forged_tokens_shut_out_no_neighbours(settings: Settings, database_url: str) -> None:
    strict = settings.model_copy(update={"database_url": database_url, "max_strikes": 3})
    good = f"?token={token()}"
    async with local_server(strict) as server, http(server) as client:
        for _ in range(10):  # an honest client may have these
            async with visit(server, f"?token={token(exp=1)}") as websocket:
                assert (await ended(websocket))[0] == 4401
            assert (await client.get(f"{STATE}?token={token(exp=1)}")).status_code == 401
        async with visit(server, f"?token={FORGED}") as websocket:
            assert (await ended(websocket))[0] == 4401
        for _ in range(2):
            assert (await client.get(f"{STATE}?token={FORGED}")).status_code == 401
        async with visit(server, f"?token={FORGED}") as websocket:
            assert (await ended(websocket))[0] == 4529
        answer = await client.get(f"{STATE}?token={FORGED}")
        assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
        assert (await client.get(STATE + good)).status_code == 200
        async with visit(server, good) as websocket:
            await websocket.recv()
        await until(lambda: server.gate.admission.held == 0)


@pytest.mark.parametrize("path", ["/ws/w/timeline", "/ws/w/timeline?token=" + FORGED, "/ws/w/no such document"])
async def test_handshakes_without_a_proof_leave_those_of_neighbours(
    settings: Settings, database_url: str, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(gate, "DEFERRED_SECONDS", 0)
    few = settings.model_copy(update={"database_url": database_url, "handshakes_per_second": 8, "max_strikes": 0})
    async with local_server(few) as server:
        server.gate._now = lambda: 0.0
        request = ConnectionRequest("127.0.0.1", *path.partition("?")[::2], {})
        for _ in range(50):
            assert server.gate.may_shake_hands("127.0.0.1")
            assert isinstance(server.gate.decide(request), Refused)
        async with visit(server, f"?token={token()}") as websocket:
            await websocket.recv()


async def test_a_key_that_a_provider_has_not_published_yet(settings: Settings, database_url: str) -> None:
    requests = []

    async def publish(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await reader.readuntil(b"\r\n\r\n"))
        content = key_set(entry("EdDSA", "k1"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(content), content))
        writer.close()

    provider = await asyncio.start_server(publish, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{provider.sockets[0].getsockname()[1]}/"
    own = settings.model_copy(update={"database_url": database_url, "jwks_url": url, "jwt_secret_file": ""})
    async with provider, local_server(own) as server, http(server) as client:
        good, unknown = (f"?token={signed(claims(), 'EdDSA', headers={'kid': kid})}" for kid in ("k1", "k2"))
        async with visit(server, good) as websocket:
            await websocket.recv()
        async with visit(server, unknown) as websocket:
            assert await ended(websocket) == (4503, "the key of the token is not known at present, try later")
        answer = await client.get(STATE + unknown)
        assert (answer.status_code, answer.json()["code"]) == (503, "admission")
        assert (await client.get(STATE + good)).status_code == 200
        assert len(requests) == 1
