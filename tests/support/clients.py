"""The HTTP client of channels, on a network that the test makes up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import httpcore

from crdt_server.services.messaging.channels.addresses import GuardedNetwork
from crdt_server.services.messaging.channels.http import HttpClient

PUBLIC = "93.184.216.34"


class Names:
    """A resolver: each name has its answers, one for each lookup; the last stays."""

    def __init__(self, **answers: list[list[str]]) -> None:
        self._answers = answers
        self.lookups: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.lookups.append(host)
        found = self._answers.get(host.partition(".")[0])
        if found is None:
            raise OSError("no such name")
        return found.pop(0) if len(found) > 1 else found[0]


class Rerouted(httpcore.AsyncNetworkBackend):
    """Leads to one port of this machine, whatever the address. `connected` has the addresses."""

    def __init__(self, port: int) -> None:
        self._network = httpcore.AnyIOBackend()
        self._port = port
        self.connected: list[str] = []
        self.dead: set[str] = set()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature of httpcore
        local_address: str | None = None,
        socket_options: Iterable[httpcore._backends.base.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        self.connected.append(host)
        if host in self.dead:
            raise httpcore.ConnectError
        return await self._network.connect_tcp("127.0.0.1", self._port, timeout)


def local_client(seconds: float = 5.0) -> HttpClient:
    """For sinks on this machine."""
    return HttpClient(GuardedNetwork(allow_private=True), seconds=seconds)
