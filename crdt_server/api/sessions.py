"""Sessions over HTTP: tokens for a code, and new ones for a refresh token. These calls need no token."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import Field

from crdt_server.access.access import Denied
from crdt_server.access.request_limits import RequestLimits
from crdt_server.api.requests import StrictBody, begin_public, describe_body, read_json
from crdt_server.api.rights import public
from crdt_server.errors import RateLimitError, UnauthenticatedError
from crdt_server.services.sessions import ACCESS_SECONDS, OpenedSession, SessionService

MAX_BODY_BYTES = 4 * 1024

router = APIRouter(prefix="/api/sessions", tags=["sessions"])


class SessionCode(StrictBody):
    """The code of an invitation."""

    code: Annotated[str, Field(max_length=1000)]
    device: Annotated[str, Field(max_length=255, description="What people call the device")] = ""


class RefreshToken(StrictBody):
    """A refresh token."""

    refresh_token: Annotated[str, Field(max_length=1000)]


@router.post("", status_code=201, openapi_extra=describe_body(SessionCode))
@public
async def post_session(request: Request) -> dict[str, Any]:
    """Tokens for the code of an invitation, which is used up then. 403 `too_many_devices`."""
    address = begin_public(request)
    body = await read_json(request, SessionCode, MAX_BODY_BYTES)
    service: SessionService = request.app.state.sessions
    return _as_json(await _counted(request, address, service.open(body.code, body.device, address)))


@router.post("/refresh", openapi_extra=describe_body(RefreshToken))
@public
async def post_refresh(request: Request) -> dict[str, Any]:
    """New tokens for a refresh token, which is used up then. One that is used twice revokes its device."""
    address = begin_public(request)
    body = await read_json(request, RefreshToken, MAX_BODY_BYTES)
    service: SessionService = request.app.state.sessions
    return _as_json(await _counted(request, address, service.refresh(body.refresh_token, address)))


async def _counted(request: Request, address: str, opening: Awaitable[OpenedSession]) -> OpenedSession:
    """A session, or the refusal of what is not valid: it counts as a request of the one unknown person of the address,
    as a forged token does, so that its neighbours have the rest. Raises RateLimitError."""
    try:
        return await opening
    except (UnauthenticatedError, RateLimitError) as error:
        limits: RequestLimits = request.app.state.request_limits
        limits.count_denial(Denied(error.code, str(error)), address, request.app.state.hub.time())
        raise


def _as_json(opened: OpenedSession) -> dict[str, Any]:
    member = opened.member
    person = {name: getattr(member, name) for name in ("user", "role", "vendor", "guest", "side", "name")}
    return {
        "access_token": opened.access_token,
        "token_type": "Bearer",
        "expires_in": ACCESS_SECONDS,
        "refresh_token": opened.refresh_token,
        "wedding": opened.wedding,
        "device": opened.device,
        "member": person,
    }
