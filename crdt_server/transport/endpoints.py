"""The endpoint of a new connection: its path names the protocol."""

from __future__ import annotations

import re

from crdt_server.transport.endpoint import Endpoint, EndpointConnection, YWebSocketEndpoint
from crdt_server.transport.gate import ConnectionRequest, Gate
from crdt_server.transport.hocuspocus import HocuspocusEndpoint

HOCUSPOCUS_PATH = re.compile(r"(?:.*/)?hocuspocus")


def open_endpoint(gate: Gate, connection: EndpointConnection, request: ConnectionRequest) -> Endpoint:
    """The endpoint of a connection after its handshake."""
    if HOCUSPOCUS_PATH.fullmatch(request.path):
        return HocuspocusEndpoint(gate, connection, request)
    return YWebSocketEndpoint(gate, connection, request)
