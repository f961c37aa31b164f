"""Documents over HTTP: the whole state, and offline sync in one round trip."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from crdt_server.access.identity import DevAccess
from crdt_server.api.problems import PayloadTooLargeError
from crdt_server.errors import NotFoundError, ProtocolError
from crdt_server.protocol.lib0 import read_var_bytes, write_var_bytes
from crdt_server.protocol.update import EMPTY_STATE_VECTOR
from crdt_server.rooms.hub import Hub
from crdt_server.rooms.offline import sync
from crdt_server.transport.entrance import document_address

BINARY: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/octet-stream": {}}, "description": "lib0 / Yjs bytes"}
}

router = APIRouter(prefix="/api/weddings/{wedding}/documents/{document}", tags=["documents"])
_access = DevAccess()


def _address(wedding: str, document: str) -> tuple[str, str]:
    address = document_address(wedding, document)
    if address is None:
        raise NotFoundError("not_found", "no such wedding or document")
    return address


def _peer(request: Request) -> str:
    return request.client.host if request.client else "unknown"


@router.get("/state", responses=BINARY, response_class=Response)
async def get_state(
    request: Request, wedding: str, document: str, state_vector: Annotated[str | None, Query(max_length=65536)] = None
) -> Response:
    """One Yjs v1 update: everything, or what the given state vector (base64url) lacks."""
    address = _address(wedding, document)
    hub: Hub = request.app.state.hub
    known = EMPTY_STATE_VECTOR
    if state_vector is not None:
        try:
            known = base64.b64decode(state_vector + "=" * (-len(state_vector) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as error:
            raise ProtocolError("state_vector", "state_vector is not base64url") from error
    user = _access.identify(request.query_params).user
    _, update = await sync(hub, *address, _peer(request), user, known, None)
    return Response(update, media_type="application/octet-stream")


@router.post("/sync", responses=BINARY, response_class=Response)
async def post_sync(request: Request, wedding: str, document: str) -> Response:
    """Offline sync. Body and answer: lib0 varUint8Array(state vector), varUint8Array(update)."""
    address = _address(wedding, document)
    hub: Hub = request.app.state.hub
    body = await _read(request, hub.settings.max_frame_bytes)
    state_vector, pos = read_var_bytes(body, 0)
    update, pos = read_var_bytes(body, pos)
    if pos != len(body):
        raise ProtocolError("trailing", "bytes after the update")
    user = _access.identify(request.query_params).user
    known, missing = await sync(hub, *address, _peer(request), user, state_vector, update)
    return Response(write_var_bytes(known) + write_var_bytes(missing), media_type="application/octet-stream")


async def _read(request: Request, limit: int) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > limit:
            raise PayloadTooLargeError("body_too_large", f"the body is larger than {limit} bytes")
    return bytes(body)
