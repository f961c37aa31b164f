"""The Node side of the interop tests, as Python sees it: a runner process with stock Yjs clients in it."""

from __future__ import annotations

import json
import subprocess
import threading
from pathlib import Path
from typing import Any

from tests.support.backend import Server

RUNNER = Path(__file__).with_name("runner.mjs")
SECONDS = 60.0
WEDDING = "interop"


class NodeRunner:
    """One long-lived Node process; `call` sends a command and returns its result."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            ["node", str(RUNNER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def call(self, command: str, *, seconds: float = SECONDS, **arguments: Any) -> Any:
        """Raise AssertionError with Node's stack where the command fails; it has ``seconds`` of its own to wait."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        watchdog = threading.Timer(seconds + 30, self._process.kill)
        watchdog.start()
        try:
            self._process.stdin.write(json.dumps({"command": command, "seconds": seconds, **arguments}) + "\n")
            line = self._process.stdout.readline()
        finally:
            watchdog.cancel()
        assert line, f"the runner ended during {command}"
        answer = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(SECONDS)
        self._process.stdout.close()


class Room:
    """One document of the server under test, and the stock clients in it."""

    def __init__(self, node: NodeRunner, server: Server, document: str) -> None:
        self.node = node
        self.server = server
        self.document = document
        self.names: list[str] = []

    @property
    def url(self) -> str:
        """What a stock provider takes as its server URL."""
        return f"{self.server.ws_url}/{WEDDING}"

    @property
    def address(self) -> str:
        return f"{self.url}/{self.document}"

    @property
    def api(self) -> str:
        return f"{self.server.url}/api/weddings/{WEDDING}/documents/{self.document}"

    def join(self, name: str, *, client_id: int | None = None) -> Client:
        """A new client that has synced with the server."""
        client = Client(self, name)
        self.node.call("open", client=name, url=self.url, room=self.document, clientID=client_id)
        self.names.append(name)
        client.wait("provider.synced")
        return client

    def settle(self, *, seconds: float = SECONDS) -> dict[str, Any]:
        """Wait until every client and the store hold the same; what they hold."""
        held: dict[str, Any] = self.node.call(
            "settle", clients=self.names, stateUrl=f"{self.api}/state", seconds=seconds
        )
        return held

    def http_sync(self, client: Client) -> dict[str, Any]:
        """POST the whole document of ``client`` to the server and let it have the answer."""
        answer: dict[str, Any] = self.node.call("httpSync", client=client.name, syncUrl=f"{self.api}/sync")
        return answer


class Client:
    """A stock y-websocket client. Code sees ``doc``, ``provider``, ``awareness``, ``client``, ``args`` and ``Y``."""

    def __init__(self, room: Room, name: str) -> None:
        self.room = room
        self.name = name

    def run(self, code: str, **arguments: Any) -> Any:
        """Run statements; their ``return`` is the result."""
        return self.room.node.call("run", client=self.name, code=code, args=arguments)

    def wait(self, expression: str, *, seconds: float = SECONDS, **arguments: Any) -> Any:
        """Wait until ``expression`` is true; its value."""
        return self.room.node.call("wait", client=self.name, expression=expression, args=arguments, seconds=seconds)

    def disconnect(self) -> None:
        self.run("provider.disconnect()")
        self.wait("!provider.wsconnected && provider.ws === null")

    def connect(self) -> None:
        self.run("provider.connect()")
        self.wait("provider.synced")

    def close(self) -> None:
        self.room.node.call("close", client=self.name)
        self.room.names.remove(self.name)
