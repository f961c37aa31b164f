"""Rights that change, from sign-in to the closed socket: a server with tokens and members."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from pycrdt import Map
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from crdt_server import Settings
from crdt_server.access.identity import Identity
from crdt_server.services.members import MemberService
from storage import Storage
from tests.support.codec import encode_update
from tests.support.gate import SECONDS, LocalServer, local_server, until
from tests.support.rights import put_member
from tests.support.tokens import SECRET
from tests.support.wire import Replica

WEDDING = "/api/weddings/w"
OPERATOR = Identity("operator", "couple")
REMOVED = (4403, "not a member of this wedding any more")


class Tokens(NamedTuple):
    """The tokens of one device."""

    user: str
    device: str
    access: str
    refresh: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.access}"}


@pytest.fixture
async def server(tmp_path: Path, database_url: str) -> AsyncIterator[LocalServer]:
    (tmp_path / "secret").write_bytes(SECRET)
    settings = Settings(
        port=0,
        database_url=database_url,
        document_hosts=1,
        jwt_secret_file=f"{tmp_path}/secret",
    )
    async with local_server(settings) as running:
        yield running


@pytest.fixture
async def client(server: LocalServer) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=60) as open_client:
        yield open_client


@pytest.fixture
def members(server: LocalServer) -> MemberService:
    return server.app.state.members  # type: ignore[no-any-return]


async def sign_in(client: httpx.AsyncClient, members: MemberService, user: str, role: str, **more: str) -> Tokens:
    invited = await members.invite("w", OPERATOR, Identity(user, role, **more), 3600)
    answer = await client.post("/api/sessions", json={"code": invited.code, "device": "phone"})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return Tokens(user, found["device"], found["access_token"], found["refresh_token"])


async def enter(server: LocalServer, tokens: Tokens, document: str) -> ClientConnection:
    url = f"{server.ws_url}/w/{document}?token={tokens.access}"
    return await connect(url, compression=None, proxy=None)


async def closed(websocket: ClientConnection) -> tuple[int, str]:
    """The close code and reason, once it is closed."""
    async with asyncio.timeout(SECONDS):
        try:
            while True:
                await websocket.recv()
        except ConnectionClosed:
            return websocket.close_code or 0, websocket.close_reason or ""


async def test_a_removed_member_is_closed_everywhere_and_stays_out(
    server: LocalServer, client: httpx.AsyncClient, members: MemberService
) -> None:
    aroha = await sign_in(client, members, "u_aroha", "couple")
    mia = await sign_in(client, members, "u_mia", "planner")
    sockets = [await enter(server, mia, document) for document in ("timeline", "budget")]
    stays = await enter(server, aroha, "timeline")
    for websocket in (*sockets, stays):
        await websocket.recv()
    answer = await client.delete(f"{WEDDING}/members/u_mia", headers=aroha.headers)
    assert answer.status_code == 204, answer.text
    assert [await closed(websocket) for websocket in sockets] == [REMOVED] * 2
    assert (await closed(await enter(server, mia, "timeline")))[0] == 4403
    assert (await client.get(f"{WEDDING}/members", headers=mia.headers)).status_code == 403
    assert (await client.post("/api/sessions/refresh", json={"refresh_token": mia.refresh})).status_code == 401
    await stays.ping()
    await stays.close()


async def test_a_stream_that_begins_while_its_reader_is_removed_ends(
    server: LocalServer, client: httpx.AsyncClient, members: MemberService, monkeypatch: pytest.MonkeyPatch
) -> None:
    aroha = await sign_in(client, members, "u_aroha", "couple")
    mia = await sign_in(client, members, "u_mia", "planner")
    stays = await enter(server, aroha, "timeline")
    await stays.recv()
    storage, rights = server.hub.storage, server.hub.rights
    head = storage.event_head

    async def after_the_removal(wedding: str) -> int:
        await members.remove("w", OPERATOR, "u_mia")
        await until(lambda: rights.cache.held("w") is not None)  # those who are connected have been decided about
        return await head(wedding)

    monkeypatch.setattr(storage, "event_head", after_the_removal)
    async with asyncio.timeout(SECONDS), client.stream("GET", f"{WEDDING}/events/stream", headers=mia.headers) as sent:
        assert sent.status_code == 200
        assert "data:" not in "".join([each async for each in sent.aiter_text()])  # it ends
    await stays.close()


async def test_another_role_is_that_of_the_open_sockets(
    server: LocalServer, client: httpx.AsyncClient, members: MemberService
) -> None:
    mia = await sign_in(client, members, "u_mia", "planner")
    budget, timeline = await enter(server, mia, "budget"), await enter(server, mia, "seating")
    for websocket in (budget, timeline):
        await websocket.recv()
    await members.change("w", OPERATOR, "u_mia", {"role": "coordinator"})
    assert (await closed(budget))[0] == 4403
    (session,) = [each for room in server.hub.rooms.values() for each in room.members]
    assert session.identity.role == "coordinator"
    await timeline.close()


async def test_a_policy_that_the_couple_has_changed_makes_a_socket_read_only(
    server: LocalServer, client: httpx.AsyncClient, members: MemberService
) -> None:
    mia = await sign_in(client, members, "u_mia", "planner")
    websocket = await enter(server, mia, "budget")
    await websocket.recv()
    await members.override("w", OPERATOR, "planner", "budget", "R")
    (session,) = [each for room in server.hub.rooms.values() for each in room.members]
    await until(lambda: session.reads_only)
    replica = Replica(7)
    replica.doc.get("items", type=Map)["b_1"] = Map({"name": "Band"})
    await websocket.send(encode_update(replica.doc.get_update()))
    async with asyncio.timeout(SECONDS):
        while not bytes(await websocket.recv()).startswith(b"\2\1"):
            pass
    answer = await client.get(f"{WEDDING}/documents/budget", headers=mia.headers)
    assert answer.status_code == 200
    assert answer.json().get("items", {}) == {}
    await websocket.close()


async def test_a_revoked_device_is_closed_and_the_other_stays(
    server: LocalServer, client: httpx.AsyncClient, members: MemberService
) -> None:
    aroha = await sign_in(client, members, "u_aroha", "couple")
    stolen = await sign_in(client, members, "u_aroha", "couple")
    gone, stays = await enter(server, stolen, "timeline"), await enter(server, aroha, "timeline")
    for websocket in (gone, stays):
        await websocket.recv()
    answer = await client.delete(f"{WEDDING}/devices/{stolen.device}", headers=aroha.headers)
    assert answer.status_code == 204, answer.text
    assert await closed(gone) == (4403, "this device was revoked")
    assert (await client.get(f"{WEDDING}/members", headers=stolen.headers)).status_code == 401
    await stays.ping()
    await stays.close()


async def test_a_grant_opens_a_document_until_it_ends(
    server: LocalServer, client: httpx.AsyncClient, members: MemberService
) -> None:
    aroha = await sign_in(client, members, "u_aroha", "couple")
    kit = await sign_in(client, members, "u_kit", "coordinator")
    assert (await closed(await enter(server, kit, "guests")))[0] == 4403
    await server.hub.audit.flush()
    log = (await client.get(f"{WEDDING}/audit", headers=aroha.headers)).json()["entries"]
    assert (log[-1]["actor"], log[-1]["action"]) == ("u_kit", "socket.refused")
    body = {"what": "guests", "reason": "the bus is late", "seconds": 60}
    answer = await client.post(f"{WEDDING}/grants", json=body, headers=kit.headers)
    assert answer.status_code == 201, answer.text
    path = f"{WEDDING}/grants/{answer.json()['id']}"
    assert (await client.post(f"{path}/give", headers=aroha.headers)).status_code == 200
    assert (await client.get(f"{WEDDING}/documents/guests", headers=kit.headers)).status_code == 200
    websocket = await enter(server, kit, "guests")
    await websocket.recv()
    assert (await client.delete(path, headers=aroha.headers)).status_code == 204
    assert (await closed(websocket))[0] == 4403
    assert (await client.get(f"{WEDDING}/documents/guests", headers=kit.headers)).status_code == 403


async def test_a_grant_shows_phones_to_one_coordinator_and_no_other(
    server: LocalServer, client: httpx.AsyncClient, members: MemberService
) -> None:
    aroha = await sign_in(client, members, "u_aroha", "couple")
    kit, zoe = [await sign_in(client, members, user, "coordinator") for user in ("u_kit", "u_zoe")]
    value = {"firstName": "Ann", "phone": "+64 21 555 0100"}
    operations = [{"op": "insert", "root": "guests", "record": "g_1", "value": value}]
    ops = f"{WEDDING}/documents/guests/ops"
    answer = await client.post(ops, json={"operations": operations}, headers=aroha.headers)
    assert answer.status_code == 200, answer.text
    body = {"what": "guests@phones", "reason": "the bus is late", "seconds": 60}
    asked = (await client.post(f"{WEDDING}/grants", json=body, headers=kit.headers)).json()["id"]
    phones = f"{WEDDING}/documents/guests@phones"
    assert (await client.get(phones, headers=kit.headers)).status_code == 403
    assert (await client.post(f"{WEDDING}/grants/{asked}/give", headers=aroha.headers)).status_code == 200
    assert (await client.get(phones, headers=kit.headers)).json()["guests"]["g_1"]["phone"] == "+64 21 555 0100"
    assert (await client.get(phones, headers=zoe.headers)).status_code == 403
    assert (await closed(await enter(server, zoe, "guests@phones")))[0] == 4403
    for coordinator in (kit, zoe):  # one document with the same bytes for both
        shown = (await client.get(f"{WEDDING}/documents/guests@coord", headers=coordinator.headers)).json()["guests"]
        assert shown == {"g_1": {"firstName": "Ann"}}
    websocket = await enter(server, kit, "guests@phones")
    await websocket.recv()
    assert (await client.delete(f"{WEDDING}/grants/{asked}", headers=aroha.headers)).status_code == 204
    assert (await closed(websocket))[0] == 4403


async def test_a_stream_of_events_ends_with_the_right_to_it(client: httpx.AsyncClient, members: MemberService) -> None:
    mia = await sign_in(client, members, "u_mia", "planner")
    async with client.stream("GET", f"{WEDDING}/events/stream", headers=mia.headers) as stream:
        lines = stream.aiter_lines()
        assert (await anext(lines)).startswith("retry")
        await members.remove("w", OPERATOR, "u_mia")
        async with asyncio.timeout(SECONDS):
            assert [line async for line in lines if line.startswith("data")] == []


async def test_a_change_by_another_program_reaches_the_socket(
    server: LocalServer, client: httpx.AsyncClient, members: MemberService
) -> None:
    mia = await sign_in(client, members, "u_mia", "planner")
    websocket = await enter(server, mia, "timeline")
    await websocket.recv()
    storage: Storage = server.hub.storage
    await put_member(storage, "u_mia", "planner", removed=True)
    assert await closed(websocket) == REMOVED


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("invitations", b'{"role": "planner", "user": "u_mia"}'),
        ("documents/budget/sync", b"\1\0\2\0\0"),
        ("ops", b'{"parts": [{"document": "wedding", "operations": [{"op": "set", "root": "board", "value": "x"}]}]}'),
    ],
)
@pytest.mark.parametrize("role", ["", "coordinator"])
async def test_a_body_that_comes_after_the_loss_of_the_right_is_not_carried_out(
    client: httpx.AsyncClient, members: MemberService, path: str, body: bytes, role: str
) -> None:
    mia = await sign_in(client, members, "u_mia", "planner")

    async def slow() -> AsyncIterator[bytes]:
        yield body[:3]
        assert (await client.get(f"{WEDDING}/members", headers=mia.headers)).status_code == 200
        if role:
            await members.change("w", OPERATOR, "u_mia", {"role": role})
        else:
            await members.remove("w", OPERATOR, "u_mia")
        yield body[3:]

    answer = await client.post(f"{WEDDING}/{path}", headers=mia.headers, content=slow())
    assert answer.status_code == 403, answer.text
    assert await members.invitations("w", OPERATOR) == []


async def test_who_tries_codes_leaves_half_of_the_requests_of_an_address_to_others(
    tmp_path: Path, database_url: str
) -> None:
    (tmp_path / "secret").write_bytes(SECRET)
    settings = Settings(
        port=0,
        database_url=database_url,
        document_hosts=1,
        jwt_secret_file=f"{tmp_path}/secret",
        requests_per_address=40,
    )
    async with (
        local_server(settings) as server,
        httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=60) as client,
    ):
        tried = [(await client.post("/api/sessions", json={"code": f"bad {n}"})).status_code for n in range(40)]
        assert (tried[:10], set(tried[10:])) == ([401] * 10, {429})
        members: MemberService = server.app.state.members
        opened = await asyncio.gather(*(sign_in(client, members, f"u_{n}", "planner") for n in range(15)))
        assert len({tokens.access for tokens in opened}) == 15


async def test_a_command_that_waits_for_a_host_is_judged_in_the_new_role(
    server: LocalServer, client: httpx.AsyncClient, members: MemberService
) -> None:
    aroha = await sign_in(client, members, "u_aroha", "couple")
    mia = await sign_in(client, members, "u_mia", "planner")
    path = f"{WEDDING}/documents/timeline/ops"

    def operate(tokens: Tokens, **operation: Any) -> asyncio.Task[httpx.Response]:
        body = {"operations": [{"root": "items", "record": "i_1", **operation}]}
        return asyncio.ensure_future(client.post(path, json=body, headers=tokens.headers))

    answer = await operate(aroha, op="insert", value={"title": "Vows"})
    assert answer.status_code == 200, answer.text
    websocket = await enter(server, mia, "timeline")
    await websocket.recv()
    room = server.hub.rooms["w", "timeline"]
    (socket,) = room.members
    dispatcher = server.hub.hosts.dispatchers[0]
    pid = dispatcher.supervisor.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        first = operate(aroha, op="set", key="start", value=900)
        await until(lambda: dispatcher.busy(room) and not room.inbox)
        second = operate(mia, op="set", key="deleted", value={"at": "2026-06-20T12:00:00Z", "by": "u_mia"})
        await until(lambda: "u_mia" in {each.user for each in room.inbox.senders})
        await members.change("w", OPERATOR, "u_mia", {"role": "coordinator"})
        await until(lambda: socket.identity.role == "coordinator")
    finally:
        os.kill(pid, signal.SIGCONT)
    assert (await first).status_code == 200
    assert ((await second).status_code, (await second).json()["code"]) == (422, "operations_refused")
    await websocket.close()


async def test_beside_dev_mode_rights_are_revoked_too(tmp_path: Path, database_url: str) -> None:
    (tmp_path / "secret").write_bytes(SECRET)
    settings = Settings(
        dev=True,
        port=0,
        database_url=database_url,
        document_hosts=1,
        jwt_secret_file=f"{tmp_path}/secret",
    )
    async with (
        local_server(settings) as server,
        httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=60) as client,
    ):
        members: MemberService = server.app.state.members
        mia = await sign_in(client, members, "u_mia", "planner")
        anybody = await connect(f"{server.ws_url}/w/budget?user=u_mia", compression=None, proxy=None)
        websocket = await enter(server, mia, "budget")
        for each in (anybody, websocket):
            await each.recv()
        await members.override("w", OPERATOR, "planner", "budget", "R")
        await until(lambda: any(each.reads_only for room in server.hub.rooms.values() for each in room.members))
        await members.override("w", OPERATOR, "planner", "budget", "N")
        assert (await closed(websocket))[0] == 4403
        assert (await client.get(f"{WEDDING}/documents/budget", headers=mia.headers)).status_code == 403
        websocket = await enter(server, mia, "timeline")
        await websocket.recv()
        await members.remove("w", OPERATOR, "u_mia")
        assert await closed(websocket) == REMOVED
        await anybody.ping()
        await anybody.close()


async def test_a_download_ends_with_the_right_to_it(
    server: LocalServer, client: httpx.AsyncClient, members: MemberService
) -> None:
    """Of a file of 2 MB a member who is removed after the first part gets no other."""
    mia = await sign_in(client, members, "u_mia", "planner")
    path = f"{WEDDING}/documents/thread.a/attachments"
    made = await client.post(f"{path}?filename=a.txt", content=b"a" * 2_000_000, headers=mia.headers)
    assert made.status_code == 201, made.text
    attachments = server.app.state.attachments
    read = attachments.read

    rights, given = server.hub.rights, []

    async def removed_meanwhile(*arguments: object) -> AsyncGenerator[bytes, None]:
        async for part in read(*arguments):
            if len(given) == 1:
                await members.remove("w", OPERATOR, "u_mia")
                await until(lambda: not rights._checking and not any(each.admitted for each in rights.streams.of("w")))
            given.append(len(part))
            yield part

    attachments.read = removed_meanwhile
    with pytest.raises(httpx.RemoteProtocolError):
        await client.get(f"{path}/{made.json()['id']}", headers=mia.headers)
    assert len(given) == 2  # of eight
    assert server.app.state.downloads.held == 0
    assert not server.hub.rights.streams.weddings
