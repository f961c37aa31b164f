"""Connections of HTTP, and WebSockets before their handshake: a bound on those of one address, and on all.

Each costs an open file before it has sent a byte. Those of a trusted proxy are bounded in all only: everybody behind it
has its address.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from crdt_server.access.limits import SharedBudget
from crdt_server.open_files import most_http_connections
from crdt_server.settings import Settings
from crdt_server.transport.gate import Gate

ADDRESS_SHARE = 0.5
"""Of all connections, that one address may have: with few files it else had all of them."""


class CountedConnection:
    """One of them. `release` it at its end, or when it has become a WebSocket; twice does no harm."""

    __slots__ = ("_address", "_budgets")

    def __init__(self, budgets: tuple[SharedBudget, ...], address: str) -> None:
        self._budgets = budgets
        self._address = address

    def release(self) -> None:
        """Its place is free again."""
        budgets, self._budgets = self._budgets, ()
        for budget in budgets:
            budget.release(self._address)


class HttpConnections:
    """Those of a server with this ``gate``, which is a function: there is none before the application starts."""

    def __init__(self, gate: Callable[[], Gate], settings: Settings) -> None:
        self._gate = gate
        most = most_http_connections()
        self._all = SharedBudget(most, 0)
        sockets, pending = settings.max_connections_per_address, settings.max_pending_per_address
        of_address = min(sockets + pending, int(ADDRESS_SHARE * most)) if sockets and pending else 0
        self._of_addresses = SharedBudget(0, of_address)

    def admit(self, transport: asyncio.Transport) -> CountedConnection | None:
        """Count a new connection; where there are too many, end it and return None."""
        gate = self._gate()
        peer = (transport.get_extra_info("peername") or (None,))[0]
        address = gate.proxies.client_address(peer, ())  # of IPv6 the network, which is no address of a proxy
        is_proxy = peer is not None and gate.proxies.trusts(peer)
        budgets = (self._all,) if is_proxy else (self._all, self._of_addresses)
        taken = tuple(budget for budget in budgets if budget.take(address))
        counted = CountedConnection(taken, address)
        if len(taken) == len(budgets):
            return counted
        counted.release()
        gate.hub.metrics.refused.labels("http_connections").inc()
        transport.abort()
        return None
