"""pycrdt-websocket with its SQLite store behind uvicorn: ``python pycrdt_websocket.py PORT DATABASE``.

Rooms are loaded from the store before clients are served, as the library's own documentation does it.
"""

import contextlib
import sys

import anyio
import uvicorn
from pycrdt.store import SQLiteYStore, YDocNotFound
from pycrdt.websocket import ASGIServer, WebsocketServer, YRoom
from pycrdt.websocket.websocket_server import exception_logger


class Store(SQLiteYStore):
    db_path = sys.argv[2]


class StoredRooms(WebsocketServer):
    def __init__(self) -> None:
        super().__init__(exception_handler=exception_logger)
        self.loading = anyio.Lock()

    async def get_room(self, name: str) -> YRoom:
        async with self.loading:
            room = self.rooms.get(name)
            if room is None:
                room = self.rooms[name] = await self.load(name)
        return room

    async def load(self, name: str) -> YRoom:
        store = Store(path=name)
        room = YRoom(ready=False, ystore=store, exception_handler=exception_logger)
        await self.start_room(room)
        await store.started.wait()
        with contextlib.suppress(YDocNotFound):  # a new document
            await store.apply_updates(room.ydoc)
        room.ready = True
        return room


async def main() -> None:
    rooms = StoredRooms()
    config = uvicorn.Config(ASGIServer(rooms), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
    async with rooms:
        await uvicorn.Server(config).serve()


if __name__ == "__main__":
    anyio.run(main)
