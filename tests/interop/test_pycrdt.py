"""pycrdt's provider with the HTTPX WebSocket of pycrdt-websocket, beside a stock client in Node."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from httpx_ws import AsyncWebSocketSession, aconnect_ws
from pycrdt import Doc, Map, Provider, Text
from pycrdt.websocket.websocket import HttpxWebsocket

from tests.interop.clients import SECONDS, Room


@asynccontextmanager
async def channel(room: Room) -> AsyncIterator[HttpxWebsocket]:
    """The room as a pycrdt provider wants it."""
    websocket: AsyncWebSocketSession
    async with aconnect_ws(room.address) as websocket:
        yield HttpxWebsocket(websocket, room.document)


async def until(doc: Doc[Any], condition: Callable[[], bool]) -> None:
    """Wait for a change of ``doc`` that makes ``condition`` true."""
    changed = asyncio.Event()
    subscription = doc.observe(lambda _: changed.set())
    try:
        async with asyncio.timeout(SECONDS):
            while not condition():
                changed.clear()
                await changed.wait()
    finally:
        doc.unobserve(subscription)


async def test_provider_edits_with_a_stock_client(room: Room) -> None:
    ann = await asyncio.to_thread(room.join, "ann")
    await asyncio.to_thread(ann.run, "doc.getText('text').insert(0, 'Chloé 💐')")
    doc: Doc[Any] = Doc()
    text = doc.get("text", type=Text)
    async with (
        channel(room) as websocket,
        Provider(doc, websocket) as provider,
    ):
        async with asyncio.timeout(SECONDS):
            await provider.synced.wait()
        await until(doc, lambda: str(text) == "Chloé 💐")
        text += " and Łukasz"
        doc.get("map", type=Map)["seats"] = 2
        await asyncio.to_thread(ann.wait, "doc.getMap('map').get('seats') === 2")
        held = await asyncio.to_thread(room.settle)
        assert held["text"] == [{"insert": "Chloé 💐 and Łukasz"}]
        await asyncio.to_thread(ann.run, "doc.getText('text').delete(0, 6)")
        await until(doc, lambda: str(text) == "💐 and Łukasz")


async def test_two_providers_type_at_once(room: Room) -> None:
    docs: list[Doc[Any]] = [Doc(), Doc()]
    texts = [doc.get("text", type=Text) for doc in docs]
    async with (
        channel(room) as first,
        channel(room) as second,
        Provider(docs[0], first),
        Provider(docs[1], second),
    ):
        for i in range(100):
            texts[i % 2].insert(0, str(i % 10))
            await asyncio.sleep(0)
        await until(docs[0], lambda: len(str(texts[0])) == 100)
        await until(docs[1], lambda: len(str(texts[1])) == 100)
        assert str(texts[0]) == str(texts[1])
    ann = await asyncio.to_thread(room.join, "ann")
    assert await asyncio.to_thread(ann.run, "return doc.getText('text').toString()") == str(texts[0])
    await asyncio.to_thread(room.settle)
