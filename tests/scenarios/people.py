"""People with stock Yjs clients in Node, as Python tells their story."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from documents import kind_of

CLIENTS = Path(__file__).with_name("client.mjs")
SECONDS = 60.0

Rows = dict[str, dict[str, Any]]


class Node:
    """A process with clients in it. `call` may be used by many at once."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._ids = itertools.count()
        self._waiting: dict[int, asyncio.Future[Any]] = {}

    async def call(self, command: str, *, seconds: float = SECONDS, **arguments: Any) -> Any:
        """The result of a command, which may take ``seconds``. Raises AssertionError with what Node says."""
        assert self._process.stdin is not None
        number = next(self._ids)
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        line = json.dumps({"id": number, "command": command, "seconds": seconds, **arguments})
        self._process.stdin.write(line.encode() + b"\n")
        async with asyncio.timeout(seconds + 15):
            answer = await future
        assert "error" not in answer, answer["error"]
        return answer["result"]

    async def listen(self) -> None:
        """Hand answers to those who wait, until the process ends."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            answer = json.loads(line)
            future = self._waiting.pop(answer["id"])
            if not future.done():  # who asked may have been cancelled
                future.set_result(answer)
        for future in self._waiting.values():
            future.set_exception(AssertionError("the Node process ended"))


@asynccontextmanager
async def node() -> AsyncIterator[Node]:
    """A Node process, ended with the block."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec("node", str(CLIENTS), stdin=pipe, stdout=pipe, limit=1 << 26)
    there = Node(process)
    listening = asyncio.create_task(there.listen())
    try:
        yield there
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()
        await listening


class Who(NamedTuple):
    """A user and their role."""

    user: str
    role: str


class Client:
    """Somebody in one document. Code sees what the head of `client.mjs` says."""

    def __init__(self, node: Node, name: str, who: Who, document: str) -> None:
        self.node = node
        self.name = name
        self.who = who
        self.document = document

    @classmethod
    async def join(cls, node: Node, name: str, who: Who, url: str, document: str, client_id: int | None) -> Client:
        """A new client that has synced with the server. ``url`` ends with the wedding."""
        kind = kind_of(document)
        assert kind is not None
        roots = {root: declared.shape.value for root, declared in kind.roots.items()}
        client = cls(node, name, who, document)
        params = {"user": who.user, "role": who.role}
        await node.call("join", client=name, url=url, room=document, params=params, clientID=client_id, roots=roots)
        return client

    async def run(self, code: str, **args: Any) -> Any:
        """Run statements; their ``return`` is the result."""
        return await self.node.call("run", client=self.name, code=code, args=args)

    async def wait(self, expression: str, *, seconds: float = SECONDS, **args: Any) -> Any:
        """Wait until an expression is true; its value."""
        return await self.node.call("wait", client=self.name, expression=expression, args=args, seconds=seconds)

    async def disconnect(self) -> None:
        await self.run("provider.disconnect()")
        await self.wait("!provider.wsconnected && provider.ws === null")

    async def connect(self) -> None:
        await self.run("provider.connect()")
        await self.wait("provider.synced")

    async def leave(self) -> None:
        await self.node.call("leave", client=self.name)

    async def rows(self) -> Rows:
        rows: Rows = await self.node.call("rows", client=self.name)
        return rows


async def equal(clients: list[Client], *, seconds: float = SECONDS) -> Rows:
    """Wait until clients of one document hold the same; what they hold."""
    rows: Rows = await clients[0].node.call("equal", clients=[each.name for each in clients], seconds=seconds)
    return rows
