"""A person of a hub in the same process who writes messages and takes them back."""

from __future__ import annotations

from collections.abc import Callable

from pycrdt import Map

from tests.rooms.person import Person
from tests.support.codec import encode_update

AT = "2026-06-20T13:30:00Z"


class Writer(Person):
    """Writes messages."""

    def put(self, root: str, record: str, value: object) -> None:
        before = self.replica.doc.get_state()
        self.replica.doc.get(root, type=Map)[record] = value
        self.send(encode_update(self.replica.doc.get_update(before)))

    def say(self, message: str, body: str) -> None:
        author = self.identity.user
        self.put("messages", message, {"from": author, "at": AT, "kind": "text", "body": body})

    def redact(self, message: str) -> None:
        self.put("redactions", message, {"at": AT, "by": self.identity.user})

    async def arrived(self, message: str, root: str = "stamps") -> None:
        await self.until(lambda: message in self.replica.doc.get(root, type=Map))

    async def emptied(self, message: str) -> None:
        await self.until(lambda: self.body(message) == "")

    def body(self, message: str) -> object:
        return self.replica.doc.get("messages", type=Map)[message]["body"]

    async def until(self, condition: Callable[[], bool]) -> None:
        def look() -> bool:
            self.read()
            assert self.socket.closed is None, self.denied
            return condition()

        await self.socket.until(look)
