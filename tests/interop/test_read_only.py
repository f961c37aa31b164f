"""Stock clients of people who read a document and may not write it: what they write is undone at their side."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from crdt_server import Settings
from crdt_server.access.access import Action, Decision, Denied, DevAccess, Target
from crdt_server.access.identity import Identity
from tests.interop.clients import NodeRunner
from tests.support.databases import sqlite_database
from tests.support.effort import and_repeated
from tests.support.gate import LocalServer, local_server

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Readers(DevAccess):
    """A guest reads everything and writes nothing."""

    def may(self, identity: Identity, action: Action, wedding: str, target: Target) -> Decision:
        return Denied("forbidden", "read only") if (identity.role, action) == ("guest", Action.WRITE) else None


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=and_repeated("fast", "asgi"))
async def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[LocalServer]:
    settings = Settings(
        port=0,
        websocket_lane=request.param,
        database_url=sqlite_database(tmp_path_factory.mktemp("server")),
        document_hosts=1,
    )
    async with local_server(settings, Readers()) as running:
        yield running


@pytest.fixture(scope="module")
def node() -> Iterator[NodeRunner]:
    runner = NodeRunner()
    yield runner
    runner.close()


class Visitor:
    """A stock client of the server in the loop of the test."""

    def __init__(self, node: NodeRunner, name: str) -> None:
        self._node, self._name = node, name

    async def call(self, command: str, **arguments: Any) -> Any:
        return await asyncio.to_thread(self._node.call, command, client=self._name, **arguments)

    async def run(self, code: str, **args: Any) -> Any:
        return await self.call("run", code=code, args=args)

    async def wait(self, expression: str, **args: Any) -> Any:
        return await self.call("wait", expression=expression, args=args)


async def visitor(node: NodeRunner, server: LocalServer, document: str, role: str) -> Visitor:
    found = Visitor(node, f"{server.ws_url} {document} {role}")
    params = {"user": f"{role} of {document}", "role": role}  # what is undone counts for the person
    await found.call("open", url=f"{server.ws_url}/w", room=document, params=params)
    await found.wait("provider.synced && client.asked")  # else the answer would be denied once more
    return found


FRAMES = """
  client.frames = []
  provider.ws.addEventListener('message', each => client.frames.push(Buffer.from(each.data)))
"""
UPDATES = "client.frames.filter(frame => frame[0] === 0 && frame[1] === 2).length"


async def test_what_a_reader_types_into_a_note_is_undone_at_their_side_alone(
    node: NodeRunner, server: LocalServer
) -> None:
    ann = await visitor(node, server, "notes.read", "couple")
    await ann.run(FRAMES)
    await ann.run("doc.getText('text').insert(0, 'Dear all')")
    bob = await visitor(node, server, "notes.read", "guest")
    await bob.wait("doc.getText('text').toString() === 'Dear all'")
    await bob.run("doc.getText('text').insert(5, 'secret ')")
    await bob.wait("client.denied.length === 1")
    assert await bob.run("return doc.getText('text').toString()") == "Dear all"
    assert json.loads(await bob.run("return client.denied[0]"))["reverted"] == []
    await bob.run("doc.getText('text').insert(0, 'once more ')")
    await bob.wait("client.denied.length === 2")
    await ann.wait(f"{UPDATES} >= 1")
    assert await ann.run(f"return {UPDATES}") == 1  # the echo of the first edit
    await ann.run("doc.getText('text').insert(8, ', welcome')")
    await bob.wait("doc.getText('text').toString() === 'Dear all, welcome'")
    await bob.run("provider.disconnect()")
    await bob.wait("provider.ws === null")
    await bob.run("provider.connect()")
    await bob.wait("provider.synced && client.denied.length === 3")
    assert await bob.run("return doc.getText('text').toString()") == "Dear all, welcome"
    async with httpx.AsyncClient(trust_env=False) as client:
        state = await client.get(f"{server.url}/api/weddings/w/documents/notes.read/state")
    assert b"Dear" in state.content
    assert b"secret" not in state.content
    assert b"once more" not in state.content


PLAN = """
  const record = new Y.Map([['title', 'Dinner'], ['start', 900], ['duration', 30]])
  doc.transact(() => {
    doc.getMap('items').set('t_1', record)
    record.set('note', new Y.Text('At the lake'))
    doc.getMap('items').set('t_2', new Y.Map([['title', 'Cake'], ['start', 990]]))
  })
"""
MESS = {
    "a value overwritten": "doc.getMap('items').get('t_1').set('title', 'secret')",
    "a value deleted": "doc.getMap('items').get('t_1').delete('duration')",
    "a record added": "doc.getMap('items').set('t_3', new Y.Map([['title', 'secret'], ['start', 1000]]))",
    "a record removed": "doc.getMap('items').delete('t_2')",
    "a text inserted": "doc.getMap('items').get('t_1').get('note').insert(0, 'secret ')",
    "a text deleted": "doc.getMap('items').get('t_1').get('note').delete(0, 3)",
    "the same value": "doc.getMap('items').get('t_1').set('title', 'Dinner')",
    "twice at once": "const t = doc.getMap('items').get('t_1')\ndoc.transact(() => { "
    "t.set('title', 'secret'); t.set('title', 'Dinner') })",
}
ITEMS = """JSON.stringify(
  Object.entries(doc.getMap('items').toJSON()).sort().map(([id, row]) => [id, Object.entries(row).sort()])
)"""


async def test_what_a_reader_changes_in_a_plan_is_undone_for_all(node: NodeRunner, server: LocalServer) -> None:
    ann = await visitor(node, server, "timeline", "couple")
    await ann.run(PLAN)
    bob = await visitor(node, server, "timeline", "guest")
    await bob.wait("doc.getMap('items').size === 2")
    before = await ann.run(f"return {ITEMS}")
    await ann.run(FRAMES)
    for name, mess in MESS.items():
        if name == "a text deleted":
            await bob.run("provider.disconnect()")  # undone as well when it comes with a sync step 2
            await bob.wait("provider.ws === null")
        await bob.run(mess)
        await bob.run("provider.connect()")
        await bob.wait(f"provider.synced && {ITEMS} === args.before", before=before)
    assert await ann.run(f"return {ITEMS}") == before
    assert not await ann.run("return client.frames.some(frame => frame.includes('secret'))")
    assert len(await bob.run("return client.denied")) >= len(MESS) - 2  # two change nothing
    await ann.run("doc.getMap('items').get('t_1').set('title', 'Supper')")
    await bob.wait("doc.getMap('items').get('t_1').get('title') === 'Supper'")


async def test_a_reader_who_goes_on_writing_stays(node: NodeRunner, server: LocalServer) -> None:
    bob = await visitor(node, server, "notes.flood", "guest")
    await bob.run("for (let n = 0; n < 21; n++) doc.getText('text').insert(0, 'x')")
    await bob.wait("client.denied.length === 21")
    await bob.wait("doc.getText('text').length === 0")
    assert await bob.run("return client.closes.length") == 0


async def test_a_reader_does_not_write_over_http(server: LocalServer) -> None:
    base = f"{server.url}/api/weddings/w/documents"
    async with httpx.AsyncClient(trust_env=False, params={"role": "guest"}) as client:
        assert (await client.get(f"{base}/notes.read/state")).status_code == 200
        assert (await client.post(f"{base}/notes.read/sync", content=b"\1\0\2\0\0")).status_code == 403
        operations = [{"op": "set", "root": "guests", "record": "g_1", "key": "meal", "value": "fish"}]
        assert (await client.post(f"{base}/guests/ops", json={"operations": operations})).status_code == 403
