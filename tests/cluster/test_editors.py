"""Tiptap over Hocuspocus' protocol and y-prosemirror over y-websocket in one note, on three nodes behind a balancer.

Both type all the time, lose the network, and have their tokens expire, and the node that owns the wedding is killed.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pycrdt import Doc, XmlFragment

from storage import DocumentKey, Storage, open_storage
from tests.interop.clients import NodeRunner
from tests.support.cluster import ClusterProcess
from tests.support.effort import timed
from tests.support.tokens import SECRET, token

NOTE = DocumentKey("w", "notes.shared")
TOKEN_SECONDS = 4.0  # a sweep, every 2 s, requests the next one before
PAUSE_MS = 40  # between two words
WORDS = 8  # of each, in each phase
WORD = re.compile(r"(?:ann|bob)\d+")
PAGE = "client.view.state.doc.textBetween(0, client.view.state.doc.content.size, '\\n')"
SAVED = "provider.synced && !provider.hasUnsyncedChanges"
RENEWED = (
    "[...awareness.getStates().values()].some(({ user }) => user?.id === 'ann' && Number(user.name) >= args.number)"
)


class Editor:
    """Somebody in the runner. Code sees ``doc``, ``provider``, ``awareness``, ``client``, ``args`` and ``Y``."""

    def __init__(self, node: NodeRunner, name: str) -> None:
        self.node, self.name = node, name
        claims = {"sub": name, "wedding": NOTE.wedding, "role": "couple"}
        self.signing = {"secret": SECRET.decode(), "claims": claims, "seconds": TOKEN_SECONDS}

    async def call(self, command: str, **arguments: Any) -> Any:
        return await asyncio.to_thread(self.node.call, command, client=self.name, **arguments)

    async def run(self, code: str) -> Any:
        return await self.call("run", code=code, args={})

    async def wait(self, expression: str, **args: Any) -> Any:
        return await self.call("wait", expression=expression, args=args)

    async def types_more(self) -> None:
        count = await self.run("return client.words.length")
        await self.wait("client.words.length >= args.count", count=count + WORDS)

    async def is_connected_again(self) -> None:
        """Back from a life without network: a word is stored that was typed after it."""
        await self.run("provider.connect()")
        count = await self.run("return client.words.length")
        await self.wait("client.confirmed > args.count", count=count)

    async def words(self) -> list[str]:
        words: list[str] = await self.run("return client.words.map(({ word }) => word)")
        return words

    async def confirmed(self) -> list[str]:
        """The words that the server has confirmed."""
        words: list[str] = await self.run("return client.words.slice(0, client.confirmed).map(({ word }) => word)")
        return words


@asynccontextmanager
async def three_nodes(directory: Path) -> AsyncIterator[tuple[ClusterProcess, Storage, NodeRunner]]:
    """With tokens; a store to read from, and a process for the editors."""
    (directory / "secret").write_bytes(SECRET)
    limits = {"CRDT_SERVER_HANDSHAKES_PER_SECOND": "0", "CRDT_SERVER_JWT_SECRET_FILE": str(directory / "secret")}
    cluster, node = ClusterProcess(directory, dev=False, env=limits), NodeRunner()
    try:
        await asyncio.gather(asyncio.to_thread(cluster.start), asyncio.to_thread(node.call, "loadEditors"))
        storage = await open_storage(cluster.database_url)
        try:
            yield cluster, storage, node
        finally:
            await storage.close()
    finally:
        node.close()
        cluster.close()


async def open_editors(cluster: ClusterProcess, node: NodeRunner) -> tuple[Editor, Editor]:
    """Ann with Tiptap at the first node, which owns the wedding from then on; Bob with y-prosemirror at the second."""
    ann, bob = Editor(node, "ann"), Editor(node, "bob")
    address = cluster.url.replace("http", "ws")
    await ann.call(
        "openHocuspocus", url=f"{address}/hocuspocus", name=f"{NOTE.wedding}/{NOTE.document}", signing=ann.signing
    )
    await ann.wait(SAVED)
    await bob.call("open", url=f"{address}/ws/{NOTE.wedding}", room=NOTE.document, signing=bob.signing)
    await bob.wait("provider.synced")
    await ann.call("openEditor")
    await bob.call("openProseMirror")
    for editor in (ann, bob):
        await editor.call("startTyping", pauseMs=PAUSE_MS)
    return ann, bob


async def stored_words(storage: Storage) -> list[str]:
    doc: Doc[Any] = Doc()
    for row in (await storage.load(NOTE)).updates:
        doc.apply_update(row.update)
    return WORD.findall(str(doc.get("default", type=XmlFragment)))


@timed
async def test_editors_of_both_families_lose_nothing(tmp_path: Path) -> None:
    async with three_nodes(tmp_path) as (cluster, storage, node):
        ann, bob = await open_editors(cluster, node)
        # Bob without network.
        await bob.run("provider.disconnect()")
        await bob.types_more()
        await bob.is_connected_again()
        for editor in (ann, bob):
            await editor.wait("client.confirmed > args.count", count=WORDS)
        # The node of Ann is killed. Both go offline, so that neither can bring back what the store has lost.
        cluster.nodes[0].kill9()
        for editor in (ann, bob):
            await editor.run("provider.disconnect()")
        stored = await stored_words(storage)
        for editor in (ann, bob):
            assert set(await editor.confirmed()) <= set(stored)
        # Both type without network, Bob until his token has expired.
        await ann.types_more()
        await ann.run("client.renewals.length = 0")
        await ann.is_connected_again()
        await bob.wait("Date.now() / 1000 > client.signed.expiresAt")
        await bob.is_connected_again()
        await bob.wait("client.closes.includes(4401)")
        # The token of Ann is renewed while she types: Bob is shown the name in the new one.
        await ann.wait("client.renewals.length > 0")
        await bob.wait(RENEWED, number=await ann.run("return client.renewals[0]"))
        # Nothing is lost.
        for editor in (ann, bob):
            await editor.call("stopTyping")
        await ann.wait(SAVED)
        state = f"{cluster.url}/api/weddings/{NOTE.wedding}/documents/{NOTE.document}/state?token={token()}"
        await asyncio.to_thread(node.call, "settle", clients=["ann", "bob"], stateUrl=state)
        pages = [await editor.run(f"return {PAGE}") for editor in (ann, bob)]
        assert pages[0] == pages[1]
        typed = sorted(await ann.words() + await bob.words())
        assert sorted(WORD.findall(pages[0])) == sorted(await stored_words(storage)) == typed
