"""Stock providers of Hocuspocus, of its majors 3 and 4, beside stock y-websocket clients in the same rooms, with real
tokens, on both lanes."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from crdt_server import Settings
from crdt_server.transport import expiry
from tests.interop.clients import NodeRunner
from tests.support.gate import LocalServer, local_server, until
from tests.support.tokens import SECRET, token

pytestmark = pytest.mark.asyncio(loop_scope="module")

SAVED = "provider.synced && !provider.hasUnsyncedChanges"
READS = "wedding:read timeline:read"


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=["fast", "asgi"])
async def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[LocalServer]:
    directory = tmp_path_factory.mktemp("server")
    (directory / "secret").write_bytes(SECRET)
    settings = Settings(
        port=0,
        websocket_lane=request.param,
        database_url=f"sqlite:///{directory}/store.db",
        document_hosts=1,
        jwt_secret_file=f"{directory}/secret",
        max_strikes=0,
        handshakes_per_second=0,
    )
    async with local_server(settings) as running:
        yield running


@pytest.fixture(scope="module")
def node_process() -> Iterator[NodeRunner]:
    runner = NodeRunner()
    yield runner
    runner.close()


@pytest_asyncio.fixture(loop_scope="module")
async def node(node_process: NodeRunner) -> AsyncIterator[NodeRunner]:
    yield node_process
    await asyncio.to_thread(node_process.call, "closeAll")


class Client:
    """A stock client; code sees ``doc``, ``provider``, ``awareness``, ``client``, ``args`` and ``Y``."""

    def __init__(self, node: NodeRunner, server: LocalServer, name: str) -> None:
        self._node, self._server, self.name = node, server, name

    async def call(self, command: str, **arguments: Any) -> Any:
        return await asyncio.to_thread(self._node.call, command, client=self.name, seconds=60.0, **arguments)

    async def run(self, code: str, **args: Any) -> Any:
        return await self.call("run", code=code, args=args)

    async def value(self, expression: str) -> Any:
        return await self.run(f"return {expression}")

    async def wait(self, expression: str, **args: Any) -> Any:
        return await self.call("wait", expression=expression, args=args)

    async def open(self, document: str, **options: Any) -> Client:
        """A client of Hocuspocus."""
        url = self._server.url.replace("http", "ws") + "/hocuspocus"
        options = {"token": token(sub=self.name)} | options
        await self.call("openHocuspocus", url=url, name=f"w/{document}", **options)
        return self

    async def open_y_websocket(self, document: str, **claims: Any) -> Client:
        params = {"token": token(sub=self.name, **claims)}
        await self.call("open", url=f"{self._server.ws_url}/w", room=document, params=params)
        await self.wait("provider.synced")
        return self


@pytest.mark.parametrize("major", [3, 4])
async def test_both_families_edit_in_one_room(node: NodeRunner, server: LocalServer, major: int) -> None:
    document = f"notes.both-{major}"
    ann = await Client(node, server, "ann").open(document, major=major)
    await ann.wait(SAVED)
    bob = await Client(node, server, "bob").open_y_websocket(document)
    await ann.run("doc.getText('t').insert(0, 'Peonies')")
    await bob.wait("doc.getText('t').toString() === 'Peonies'")
    await bob.run("doc.getText('t').insert(7, ' and roses'); awareness.setLocalStateField('cursor', 7)")
    await ann.wait("doc.getText('t').toString() === 'Peonies and roses'")
    await ann.wait("[...awareness.getStates().values()].some(state => state.cursor === 7 && state.user.id === 'bob')")
    await ann.run("awareness.setLocalStateField('section', 'menu')")
    await bob.wait(
        "[...awareness.getStates().values()].some(state => state.section === 'menu' && state.user.id === 'ann')"
    )
    await ann.wait(SAVED)
    assert (await ann.value("client.scopes"), await ann.value("client.counts")) == (["read-write"], [1, 0, 1, 0])
    # Offline, both write; the one that comes back has everything stored.
    await ann.run("provider.disconnect()")
    await bob.wait("awareness.getStates().size === 1")
    await ann.run("doc.getText('t').insert(0, 'White ')")
    await bob.run("doc.getText('t').insert(0, 'Also: ')")
    await ann.run("provider.connect()")
    await ann.wait(SAVED)
    for client in (ann, bob):
        await client.wait(
            "['Also: White ', 'White Also: '].some(s => doc.getText('t').toString() === s + 'Peonies and roses')"
        )
    assert await ann.value("doc.getText('t').toString()") == await bob.value("doc.getText('t').toString()")


async def test_tiptap_editors_of_both_families_edit_one_note(node: NodeRunner, server: LocalServer) -> None:
    ann = await Client(node, server, "ann").open("notes.tiptap")
    await ann.wait(SAVED)
    bob = await Client(node, server, "bob").open_y_websocket("notes.tiptap")
    for client in (ann, bob):
        await client.call("openEditor")
    await ann.run("client.editor.commands.insertContent('Dear all')")
    await bob.wait("client.editor.getText().trim() === 'Dear all'")
    await bob.run("provider.disconnect()")
    await ann.run("client.editor.commands.insertContentAt(1, 'Good morning. ')")
    await bob.run("client.editor.commands.insertContentAt(client.editor.state.doc.content.size - 1, ' and friends')")
    await bob.run("provider.connect()")
    for client in (ann, bob):
        await client.wait("client.editor.getText().trim() === 'Good morning. Dear all and friends'")
    await ann.wait(SAVED)


async def test_a_receipt_comes_after_the_commit(node: NodeRunner, server: LocalServer) -> None:
    ann = await Client(node, server, "ann").open("notes.receipt")
    await ann.wait(SAVED)
    storage = server.hub.storage
    append, gate = storage.append, asyncio.Event()
    tried = asyncio.Event()

    async def held(*arguments: Any, **more: Any) -> Any:
        tried.set()
        await gate.wait()
        return await append(*arguments, **more)

    storage.append = held
    try:
        await ann.run("doc.getText('t').insert(0, 'x')")
        async with asyncio.timeout(60):
            await tried.wait()
        assert await ann.value("provider.unsyncedChanges") == 1
    finally:
        storage.append = append
        gate.set()
    await ann.wait(SAVED)


async def test_many_documents_on_one_socket_and_one_that_is_expelled(node: NodeRunner, server: LocalServer) -> None:
    await Client(node, server, "reader").open_y_websocket("notes.one")
    clients = [
        await Client(node, server, f"c{number}").open(f"notes.{name}", socket="shared", token=token(sub="ann"))
        for number, name in enumerate(("one", "two", "three"))
    ]
    for client in clients:
        await client.wait(SAVED)
    one, two, three = clients
    same = await Client(node, server, "same").open("notes.one", socket="shared", token=token(sub="ann"), session=True)
    await same.wait(SAVED)
    await one.run("doc.getText('t').insert(0, 'seen by both sessions')")
    await same.wait("doc.getText('t').length > 0")
    room = server.hub.rooms["w", "notes.two"]
    (session,) = room.members
    room.members.close(session, 4403, "not a member any more")
    await two.wait("client.closes.length === 1")
    assert await two.value("client.closes") == [[1000, "4403: not a member any more"]]
    await three.run("doc.getText('t').insert(0, 'still here')")
    await three.wait(SAVED)
    assert await three.value("client.closes") == []
    await two.run("provider.destroy()")
    again = await Client(node, server, "again").open("notes.two", socket="shared", token=token(sub="ann"))
    await again.wait(SAVED)
    assert len({id(each.connection._documents) for key in ("one", "two", "three")  # type: ignore[attr-defined]
                for each in server.hub.rooms["w", f"notes.{key}"].members if each.user == "ann"}) == 1  # fmt: skip


async def test_a_room_that_fails_comes_again_on_the_same_socket(node: NodeRunner, server: LocalServer) -> None:
    ann = await Client(node, server, "ann").open("notes.fails", socket="shared")
    other = await Client(node, server, "other").open("notes.goes-on", socket="shared", token=token(sub="ann"))
    await ann.wait(SAVED)
    await other.wait(SAVED)
    bob = await Client(node, server, "bob").open_y_websocket("notes.fails")
    await ann.run("doc.getText('t').insert(0, 'before ')")
    await ann.wait(SAVED)
    server.hub.fail(server.hub.rooms["w", "notes.fails"])
    await ann.wait("client.closes.length === 1")
    await ann.run("doc.getText('t').insert(0, 'meanwhile ')")
    await ann.wait(SAVED)
    await bob.wait("doc.getText('t').toString() === 'meanwhile before '")
    await bob.run("doc.getText('t').insert(0, 'after ')")
    await ann.wait("doc.getText('t').toString() === 'after meanwhile before '")
    assert (await ann.value("client.closes.length"), await other.value("client.closes.length")) == (1, 0)
    assert await ann.value("client.scopes.length") == 2


TITLE = "doc.getMap('items').get('t_1')?.get('title')"


@pytest.mark.parametrize("major", [3, 4])
async def test_a_reader_is_shown_its_scope_and_has_its_edits_undone(
    node: NodeRunner, server: LocalServer, major: int
) -> None:
    ann = await Client(node, server, "ann").open_y_websocket("timeline")
    await ann.run("doc.getMap('items').set('t_1', new Y.Map([['title', 'Dinner'], ['start', 900], ['duration', 30]]))")
    reader = await Client(node, server, "rea").open("timeline", major=major, token=token(sub="rea", scope=READS))
    await reader.wait(f"provider.synced && {TITLE} === 'Dinner' && provider.unsyncedChanges === 0")
    assert await reader.value("client.scopes") == ["readonly"]
    await reader.run("doc.getMap('items').get('t_1').set('title', 'secret')")
    await reader.wait(f"client.stateless.length === 1 && {TITLE} === 'Dinner'")
    assert await reader.value("provider.unsyncedChanges") == 1, "what is not stored is never reported as stored"
    await reader.run("client.token = args.token; await provider.sendToken()", token=token(sub="rea"))
    await reader.wait("client.scopes.length === 2")
    await reader.run("provider.forceSync(); doc.getMap('items').get('t_1').set('title', 'Supper')")
    await ann.wait(f"{TITLE} === 'Supper'")
    await reader.wait(SAVED)
    assert await reader.value("client.scopes") == ["readonly", "read-write"]


async def test_what_a_reader_types_into_a_note_is_undone(node: NodeRunner, server: LocalServer) -> None:
    reader = await Client(node, server, "rea").open("notes.read")
    await reader.wait(SAVED)
    (session,) = server.hub.rooms["w", "notes.read"].members
    session.reads_only = True
    await reader.run("doc.getText('t').insert(0, 'secret ')")
    await reader.wait("client.stateless.length === 1 && doc.getText('t').length === 0")
    assert (await reader.value("client.stateless"))[0]["reverted"] == []
    assert await reader.value("provider.unsyncedChanges") == 1
    session.reads_only = False
    await reader.run("provider.forceSync()")
    await reader.wait(SAVED)


async def test_notices_of_undone_writes_are_stateless_messages(node: NodeRunner, server: LocalServer) -> None:
    ann = await Client(node, server, "ann").open("timeline")
    await ann.wait(SAVED)
    await ann.run("doc.getMap('items').set('t_1', new Y.Map([['title', 'Dinner'], ['start', 900], ['duration', 30]]))")
    await ann.wait(SAVED)
    await ann.run("doc.getMap('items').get('t_1').set('start', 'late')")
    await ann.wait("client.stateless.length === 1 && doc.getMap('items').get('t_1').get('start') === 900")
    (notice,) = await ann.value("client.stateless")
    assert notice["reverted"], notice
    await ann.wait(SAVED)
    await ann.run("provider.sendStateless(JSON.stringify({ subscribe: 'inbox' })); provider.sendStateless('what?')")
    await ann.wait("client.stateless.some(each => each.error?.code === 'unknown_request')")
    server.hub.publish_inbox("w", ["ann"])
    await ann.wait("client.stateless.some(each => each.inbox === 'changed')")


async def test_tokens_are_renewed_in_band_and_expire(node: NodeRunner, server: LocalServer) -> None:
    soon = int(time.time()) + 300
    ann = await Client(node, server, "ann").open("notes.renewed", token=token(sub="ann", exp=soon))
    await ann.wait(SAVED)
    await ann.run("client.token = args.token", token=token(sub="ann", exp=soon + 400))
    await expiry.sweep(server.hub, lambda: soon - 40.0)
    room = server.hub.rooms["w", "notes.renewed"]
    (session,) = room.members
    await expiry.sweep(server.hub, lambda: soon - 10.0)
    await until(lambda: session.authenticated is not None and session.authenticated.expires_at == soon + 400)
    await expiry.sweep(server.hub, lambda: soon + 10.0)
    await ann.run("doc.getText('t').insert(0, 'x')")
    await ann.wait(SAVED)
    assert await ann.value("client.closes") == []
    # Nobody has renewed it: the last document takes its socket along, and the provider comes again with what it has.
    await ann.run("client.token = args.token", token=token(sub="ann", exp=soon + 900))
    await expiry.sweep(server.hub, lambda: soon + 401.0)
    await ann.wait("client.closes.length > 0")
    assert (await ann.value("client.closes"))[0] == [1000, "4401: the token has expired"]
    await ann.wait(f"client.scopes.length === 2 && {SAVED}")


@pytest.mark.parametrize("major", [3, 4])
async def test_a_token_that_is_refused_and_a_better_one(node: NodeRunner, server: LocalServer, major: int) -> None:
    name = f"notes.refused-{major}"
    ann = await Client(node, server, "ann").open(name, major=major, token="nonsense", socket="shared")  # noqa: S106
    other = await Client(node, server, "other").open("notes.fine", major=major, socket="shared")
    await ann.wait("client.failed.length === 1")
    await other.wait(SAVED)
    assert await ann.value("client.failed") == ["4401: this is no token"]
    await ann.run("client.token = args.token; await provider.sendToken(); provider.startSync()", token=token(sub="ann"))
    await ann.wait(SAVED)
    await ann.run("doc.getText('t').insert(0, 'in')")
    await ann.wait(SAVED)


async def test_a_malformed_message_ends_its_document_alone(node: NodeRunner, server: LocalServer) -> None:
    ann = await Client(node, server, "ann").open("notes.bad", socket="shared")
    other = await Client(node, server, "other").open("notes.good", socket="shared", token=token(sub="ann"))
    await ann.wait(SAVED)
    await other.wait(SAVED)
    await ann.run("client.socket.webSocket.send(Buffer.from('\\x0bw/notes.bad\\x00\\x02\\x05ab', 'latin1'))")
    await ann.wait("client.closes.length === 1")
    assert (await ann.value("client.closes"))[0][1].startswith("4400:")
    await other.run("doc.getText('t').insert(0, 'good')")
    await other.wait(SAVED)
    assert await other.value("client.closes") == []
    async with httpx.AsyncClient(trust_env=False, params={"token": token()}) as client:
        state = await client.get(f"{server.url}/api/weddings/w/documents/notes.good/state")
    assert b"good" in state.content
    assert json.dumps(server.hub.metrics.counters.closed.get(4400, 0)) != "0"
