"""The admission of sockets that carry several documents, and of the documents on them.

A socket without an open document counts as pending, and is closed after `--admission-seconds`. Each document is decided
about, and counts, as a socket with the document in its URL.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.datastructures import Headers

from crdt_server.access.access import Credentials
from crdt_server.names import document_address
from crdt_server.transport.gate import (
    FULL,
    NOT_FOUND,
    OTHER_ORIGIN,
    OVERLOADED,
    TOO_MANY_HANDSHAKES,
    Awaited,
    ConnectionRequest,
    Gate,
    Outcome,
    Refused,
)

_AUTHORIZATION = "authorization"


class DocumentGate:
    """Decides about one socket and its documents. ``idle`` is called when it was without an open document for too
    long."""

    def __init__(self, gate: Gate, request: ConnectionRequest, idle: Callable[[], None]) -> None:
        self.address = request.address
        self._gate = gate
        self._request = request
        self._query = request.parameters
        self._idle = idle
        self._held = False  # it counts as pending
        self._timer: asyncio.TimerHandle | None = None

    def decide_socket(self) -> Refused | None:
        """The decision about the socket: None where it may stay, for a while without a document."""
        if not self._gate.origins.admit(self._request.headers):
            return self._gate.refuse_stranger(self.address, OTHER_ORIGIN)
        return OVERLOADED if self._gate.hub.overloaded else self.hold()

    def decide(self, names: tuple[str, str], token: str) -> Outcome | Awaited:
        """The decision about a document. ``names``: of its wedding and of itself, as the client has them."""
        if not self._gate.may_shake_hands(self.address):
            return TOO_MANY_HANDSHAKES
        found = document_address(*names)
        if found is None:
            return self._gate.refuse_stranger(self.address, NOT_FOUND)
        return self._gate.decide_named(self.address, *found, self._credentials(token))

    def _credentials(self, token: str) -> Credentials:
        """Those of the handshake, but for a token in the message."""
        headers = self._request.headers
        if not token:
            return Credentials(self._query, headers)
        others = {name.lower(): value for name, value in headers.items() if name.lower() != _AUTHORIZATION}
        return Credentials(self._query | {"token": token}, Headers(others))

    def hold(self) -> Refused | None:
        """The socket has no open document: it counts as pending, unless too many do."""
        if not self._held:
            if not self._gate.pending.take(self.address):
                return FULL
            self._held = True
            seconds = self._gate.hub.settings.admission_seconds
            self._timer = asyncio.get_running_loop().call_later(seconds, self._idle)
        return None

    def release(self) -> None:
        """The socket has an open document, or is gone."""
        if self._held:
            self._held = False
            self._gate.pending.release(self.address)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
