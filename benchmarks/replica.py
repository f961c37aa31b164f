"""A stock client's copy of one document, over a WebSocket."""

from collections.abc import Callable
from typing import Any

from pycrdt import Doc, TransactionEvent
from websockets.asyncio.client import ClientConnection, connect

from crdt_server.protocol.messages import SyncStep1, SyncStep2, SyncUpdate
from crdt_server.protocol.update import decode_state_vector
from crdt_server.protocol.ywebsocket import YWEBSOCKET


class Replica:
    """``doc`` may be edited while there is no connection: `join` brings it to the server."""

    def __init__(self, port: int, wedding: str, document: str) -> None:
        self.doc: Doc[Any] = Doc()
        self._url = f"ws://127.0.0.1:{port}/ws/{wedding}/{document}"
        self._echoed = False
        self._socket: ClientConnection

    async def join(self) -> None:
        """Connect; return when all that the server has is here."""
        self._socket = await connect(self._url, compression=None, max_size=None)
        await self._socket.send(YWEBSOCKET.encode(SyncStep1(self.doc.get_state())))
        while not await self._receive():
            pass

    async def leave(self) -> None:
        """Close the connection."""
        await self._socket.close()

    async def edit(self, change: Callable[[Doc[Any]], None]) -> None:
        """One transaction; return when the server has sent it back: then it is accepted and stored."""
        updates: list[bytes] = []

        def keep(event: TransactionEvent) -> None:
            updates.append(event.update)

        subscription = self.doc.observe(keep)
        with self.doc.transaction():
            change(self.doc)
        self.doc.unobserve(subscription)
        self._echoed = not updates
        for update in updates:
            await self._socket.send(YWEBSOCKET.encode(SyncUpdate(update)))
        while not self._echoed:
            await self._receive()

    async def wait_for(self, client: int, clock: int) -> None:
        """Return when this replica has the updates of a client up to a clock."""
        while decode_state_vector(self.doc.get_state()).get(client, 0) < clock:
            await self._receive()

    async def serve(self) -> None:
        """Receive and answer messages, until cancelled."""
        while True:
            await self._receive()

    @property
    def clock(self) -> int:
        """How much this replica has written."""
        return decode_state_vector(self.doc.get_state()).get(self.doc.client_id, 0)

    async def _receive(self) -> bool:
        """One frame; whether it was the answer to the sync step 1."""
        frame = await self._socket.recv()
        assert isinstance(frame, bytes)
        synced = False
        for message in YWEBSOCKET.decode(frame) if frame[0] == 0 else ():
            if isinstance(message, SyncStep1):
                await self._socket.send(YWEBSOCKET.encode(SyncStep2(self.doc.get_update(message.state_vector))))
            elif isinstance(message, SyncStep2 | SyncUpdate):
                self.doc.apply_update(message.update)
                synced = synced or isinstance(message, SyncStep2)
                self._echoed = self._echoed or isinstance(message, SyncUpdate)
        return synced
