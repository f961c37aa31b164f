"""Closes sockets whose proof of an identity has expired, and requests a newer one where the wire can. One sweep over
all sockets, in slices: a timer for each would cost a socket more memory than the rest of its session."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from crdt_server.errors import CLOSE_CODES
from crdt_server.hub.hub import Hub
from crdt_server.rooms.session import Origin
from crdt_server.transport.document_connection import request_renewal

SWEEP_SECONDS = 2.0
SLICE = 1_000  # sockets, about 0.1 ms


async def close_expired(hub: Hub, now: Callable[[], float]) -> None:
    """Close with 4401 what has expired, for ever. ``now`` is the time of day, in seconds since 1970."""
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        await sweep(hub, now)


async def sweep(hub: Hub, now: Callable[[], float]) -> None:
    """Close with 4401 the sockets that have expired."""
    checked = 0
    for room in list(hub.rooms.values()):
        for session in list(room.members):
            checked += 1
            if checked % SLICE == 0:
                await asyncio.sleep(0)
            proof = session.authenticated if session.origin is Origin.SOCKET else None
            if proof is None or proof.expires_at is None:
                continue
            if proof.expires_at > now():
                request_renewal(session, proof.expires_at, now())
            else:
                session.authenticated = None  # it is closed once, and takes a while to leave
                room.members.close(session, CLOSE_CODES["unauthenticated"], "the token has expired")
