"""Which hosts the server connects to on behalf of a user: those with public addresses only.

A user who may enter a URL could otherwise make the server send requests into the network in which it stands: to its
database, to a router, to the service at 169.254.169.254 that gives the keys of a cloud machine. A name is resolved
once, all its addresses are checked, and the connection goes to one of those: an answer that changes between the check
and the connection changes nothing. TLS still verifies the name.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, TypeAlias

import httpcore

from crdt_server.services.messaging.ip_addresses import is_address, is_public

Resolver: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host name, IPv4 and IPv6. Raises OSError."""

RESOLVER_THREADS: Final = 96
"""More than there are messages under way to hosts that users name (`messaging.lanes`): a lookup goes on behind the
time limit of its message, for as long as a name server is silent. A thread is made when it is needed."""
MOST_ADDRESSES: Final = 4
"""Addresses of a name that are tried, one after the other."""

_SocketOption: TypeAlias = tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]


class PrivateAddressError(httpcore.ConnectError):
    """The host has an address that is not public."""


class UnknownHostError(httpcore.ConnectError):
    """The name of the host has no address."""


class SystemResolver:
    """The resolver of the system, in threads of its own: a name server that does not answer holds up nothing else."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(RESOLVER_THREADS, thread_name_prefix="resolver")
        self._running: dict[str, asyncio.Future[list[str]]] = {}

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """The addresses of a host. Raises OSError. A name is looked up once at a time, for all who wait for it."""
        name = host.lower()
        running = self._running.get(name)
        if running is None:
            find = partial(_addresses, host, port)
            running = self._running[name] = asyncio.get_running_loop().run_in_executor(self._threads, find)
            running.add_done_callback(partial(self._found, name))
        return await asyncio.shield(running)

    def _found(self, name: str, ended: asyncio.Future[list[str]]) -> None:
        self._running.pop(name, None)
        if not ended.cancelled():
            ended.exception()  # retrieved: whoever waited may have left


def _addresses(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class GuardedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to the addresses that were checked. With `allow_private` to any. It raises PrivateAddressError and
    httpcore's ConnectError."""

    def __init__(
        self,
        *,
        allow_private: bool,
        resolver: Resolver | None = None,
        network: httpcore.AsyncNetworkBackend | None = None,
    ) -> None:
        self._allow_private = allow_private
        self._resolver = resolver or SystemResolver()
        self._network = network or httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature of httpcore
        local_address: str | None = None,
        socket_options: Iterable[_SocketOption] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection to one of the addresses of a host."""
        addresses = await self._checked(host, port)
        for address in addresses[:-1]:
            try:
                return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._network.connect_tcp(addresses[-1], port, timeout, local_address, socket_options)

    async def sleep(self, seconds: float) -> None:
        """As the port asks for it."""
        await asyncio.sleep(seconds)

    async def _checked(self, host: str, port: int) -> Sequence[str]:
        try:
            addresses = [host] if is_address(host) else list(await self._resolver(host, port))
        except (OSError, UnicodeError) as error:
            raise UnknownHostError("the name of the host is not known") from error
        if not addresses:
            raise UnknownHostError("the name of the host is not known")
        # One private address among others is as bad: which one is taken would be a matter of luck.
        if not self._allow_private and not all(map(is_public, addresses)):
            raise PrivateAddressError("the host is not one of the internet")
        return addresses[:MOST_ADDRESSES]
