"""Documents over HTTP: the rows as JSON, the whole state, and offline sync in one round trip."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from crdt_server.access.request_limits import RequestLimits
from crdt_server.access.threads import THREAD
from crdt_server.api.requests import Authorized, document_key, read_body, reading
from crdt_server.errors import ProtocolError
from crdt_server.hub.commands import read_digest, read_rows
from crdt_server.hub.http_sync import sync
from crdt_server.hub.hub import Hub
from crdt_server.protocol.lib0 import read_var_bytes, write_var_bytes
from crdt_server.protocol.update import EMPTY_STATE_VECTOR, EMPTY_UPDATE

BINARY: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/octet-stream": {}}, "description": "lib0 / Yjs bytes"}
}

MAX_QUERY_BYTES = 60_000  # a longer URL is refused before it comes here, and not as a problem document
BASE64URL = {"pattern": "^[A-Za-z0-9_-]*={0,2}$"}  # described only: what it is not has a code of its own
router = APIRouter(prefix="/api/weddings/{wedding}/documents/{document}", tags=["documents"])


class Digest(BaseModel):
    """Equal for two holders of a document with the same content."""

    state_vector: str = Field(description="The Yjs state vector, base64url without padding")
    sha256: str = Field(description="SHA-256 of the rows as canonical JSON, in hexadecimal")


@router.get("", response_class=Response, responses={200: {"content": {"application/json": {}}}})
async def get_rows(request: Request, caller: Authorized, wedding: str, document: str) -> Response:
    """The rows: root, id of the record, key. Sorted, without blanks, integral numbers as integers."""
    key = document_key(wedding, document)
    rows = await read_rows(request.app.state.hub, key, caller.authenticated, caller.address)
    return Response(rows, media_type="application/json")


@router.get("/digest")
async def get_digest(request: Request, caller: Authorized, wedding: str, document: str) -> Digest:
    """State vector and digest of the rows."""
    key = document_key(wedding, document)
    state_vector, sha256 = await read_digest(request.app.state.hub, key, caller.authenticated, caller.address)
    return Digest(state_vector=base64.urlsafe_b64encode(state_vector).decode().rstrip("="), sha256=sha256)


@router.get("/state", responses=BINARY, response_class=Response)
async def get_state(
    request: Request,
    caller: Authorized,
    wedding: str,
    document: str,
    state_vector: Annotated[str | None, Query(max_length=MAX_QUERY_BYTES, json_schema_extra=BASE64URL)] = None,
) -> Response:
    """One Yjs v1 update: everything, or what the given state vector (base64url) lacks."""
    address = document_key(wedding, document)
    hub: Hub = request.app.state.hub
    known = EMPTY_STATE_VECTOR
    if state_vector is not None:
        try:
            known = base64.b64decode(state_vector + "=" * (-len(state_vector) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as error:
            raise ProtocolError("state_vector", "state_vector is not base64url") from error
    _, update = await sync(hub, address, caller.authenticated, caller.address, known, None)
    return Response(update, media_type="application/octet-stream")


@router.post("/sync", responses=BINARY, response_class=Response)
async def post_sync(request: Request, caller: Authorized, wedding: str, document: str) -> Response:
    """Offline sync. Body and answer: lib0 varUint8Array(state vector), varUint8Array(update)."""
    address = document_key(wedding, document)
    hub: Hub = request.app.state.hub
    body = await read_body(request, hub.settings.max_frame_bytes)
    state_vector, pos = read_var_bytes(body, 0)
    update, pos = read_var_bytes(body, pos)
    if pos != len(body):
        raise ProtocolError("trailing", "bytes after the update")
    if update != EMPTY_UPDATE and document.startswith(THREAD):
        limits: RequestLimits = request.app.state.request_limits
        limits.check_messages(caller.identity, caller.address, 1, hub.time())
    with reading(request, caller):  # not before: a body that comes slowly reads nothing
        known, missing = await sync(hub, address, caller.authenticated, caller.address, state_vector, update)
    return Response(write_var_bytes(known) + write_var_bytes(missing), media_type="application/octet-stream")
