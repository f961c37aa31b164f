"""Errors as RFC 9457 problem documents with a stable ``code``."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

import structlog
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route

from crdt_server.access.identity import Identity
from crdt_server.access.limits import Allowance
from crdt_server.api.error_codes import CODES
from crdt_server.errors import (
    AdmissionError,
    CrdtServerError,
    ForbiddenError,
    InvalidField,
    InvalidRequestError,
    NotFoundError,
    ProtocolError,
    RateLimitError,
    UnauthenticatedError,
    ViolationError,
)
from crdt_server.files.media_types import RefusedFileError
from crdt_server.files.store import FileStoreError, FileStoreFullError
from crdt_server.hosts.jobs import JobFailed
from crdt_server.hub.audit_log import PATHS
from crdt_server.hub.commands import KeyReusedError, NoSchemaError, OperationsRefusedError
from crdt_server.hub.event_notifier import EventsExpiredError
from crdt_server.hub.hub import Hub
from crdt_server.hub.request_session import GapError
from crdt_server.services.attachments import FileQuotaError, UnacceptableFileError
from crdt_server.services.entries import MembershipError
from crdt_server.services.messaging.outbox_service import NotRetried
from crdt_server.services.search import SearchTooBroadError
from storage import StorageError

log = structlog.get_logger(__name__)


class PayloadTooLargeError(CrdtServerError):
    """A body above the limit."""


class BodyTimeoutError(CrdtServerError):
    """A body that does not come in time."""


class StateError(CrdtServerError):
    """Not possible in the present state."""


STATUS: dict[type[CrdtServerError], int] = {
    ProtocolError: 400,
    UnacceptableFileError: 400,
    UnauthenticatedError: 401,
    ForbiddenError: 403,
    NotFoundError: 404,
    BodyTimeoutError: 408,
    FileQuotaError: 409,
    GapError: 409,
    MembershipError: 409,
    NoSchemaError: 409,
    NotRetried: 409,
    StateError: 409,
    ViolationError: 409,
    EventsExpiredError: 410,
    PayloadTooLargeError: 413,
    RefusedFileError: 415,
    KeyReusedError: 422,
    OperationsRefusedError: 422,
    SearchTooBroadError: 422,
    RateLimitError: 429,
    AdmissionError: 503,
    CrdtServerError: 503,
    FileStoreError: 503,
    FileStoreFullError: 507,
}

MOST_PROBLEMS = 20
"""Faults of a request that an answer names."""

PROBLEMS_SAID = 3
"""Of these, those that its sentence names, too."""

MOST_GOT = 100
"""Characters of the longest value that is sent back."""

_BLAMELESS = frozenset(("invalid_request", "over_quota", "too_large", "client_id_taken"))
_HEADERS = {401: {"WWW-Authenticate": "Bearer"}, 429: {"Retry-After": "1"}, 503: {"Retry-After": "1"}}


def problem(status: int, code: str, message: str, **more: Any) -> Response:
    """One problem document. `detail` and `message` are the same: the one is the name of RFC 9457, the other that of
    everything else that the server sends."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": code.replace("_", " "),
        "status": status,
        "code": code,
        "detail": message,
        "message": message,
    }
    body |= more
    return Response(json.dumps(body), status, _HEADERS.get(status), "application/problem+json")


async def on_disconnect(request: Request, error: Exception) -> Response:
    """The exception handler for a client that left before its body was complete; nobody reads the response."""
    hub: Hub = request.app.state.hub
    logged: Allowance = request.app.state.logged_aborts
    _, address = getattr(request.state, "sender", (None, ""))
    if logged.take(address, hub.time()):
        log.info("request_aborted", method=request.method, path=request.url.path[:200])
    return Response(status_code=400)


async def on_server_error(request: Request, error: Exception) -> Response:
    """The exception handler for errors of this program."""
    if isinstance(error, (JobFailed, StorageError)):
        what = "the answer could not be put together" if isinstance(error, JobFailed) else "the database cannot be used"
        return problem(503, "try_again", f"{what}: try later", **_link(request, "try_again"))
    assert isinstance(error, CrdtServerError)
    status = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    more: dict[str, Any] = {"problems": error.problems} if isinstance(error, OperationsRefusedError) else {}
    if isinstance(error, EventsExpiredError):
        more["after"] = error.after
    if isinstance(error, InvalidRequestError):
        more |= _described(error.fault)
    if more.get("problems"):
        more |= {name: more["problems"][0][name] for name in InvalidField._fields if name in more["problems"][0]}
    _count_refusal(request, error)
    response = problem(status, error.code, str(error), **more, **_link(request, error.code))
    if isinstance(error, RateLimitError):
        request.app.state.hub.metrics.refused_requests.labels(error.code).inc()
        response.headers["Retry-After"] = f"{error.retry_after_seconds:.0f}"
    return response


def _count_refusal(request: Request, error: CrdtServerError) -> None:
    """Count a refusal over HTTP as one on a socket."""
    sender: tuple[Identity, str] | None = getattr(request.state, "sender", None)
    wedding = request.path_params.get("wedding")
    if sender is not None and wedding is not None and isinstance(error, ForbiddenError):
        about = {"method": request.method, "call": request.scope["route"].path}
        document = request.path_params.get("document", "")
        request.app.state.hub.audit.record(wedding, sender[0].user, "request.refused", **about, document=document)
    if sender is not None and wedding is not None and isinstance(error, OperationsRefusedError):
        _record_forbidden(request.app.state.hub, wedding, sender[0], error)
    if sender is None or not isinstance(error, (ProtocolError, ViolationError)) or error.code in _BLAMELESS:
        return
    hub: Hub = request.app.state.hub
    hub.strikes.add(*sender, hub.time())


def _record_forbidden(hub: Hub, wedding: str, sender: Identity, error: OperationsRefusedError) -> None:
    """The audit log has what somebody tried to write without the right, as it has what is undone of an edit."""
    forbidden = [each for each in error.problems if each["code"] == "not_allowed"]
    places = ((each["document"], each.get("root"), each.get("record"), each.get("key")) for each in forbidden)
    paths = ["/".join(filter(None, place)) for place in places]
    if paths:
        more = max(0, len(paths) - PATHS)
        hub.audit.record(wedding, sender.user, "write.refused", role=sender.role, paths=paths[:PATHS], more=more)


async def on_invalid_request(request: Request, error: Exception) -> Response:
    """The exception handler for parameters that are missing or out of bounds."""
    assert isinstance(error, RequestValidationError)
    errors = error.errors()[:MOST_PROBLEMS]
    faults = [_fault(each) for each in errors]
    said = "; ".join(f"{each.field}: {each.expected}" for each in faults[:PROBLEMS_SAID])
    problems = [{"code": each["type"], **_described(fault)} for each, fault in zip(errors, faults, strict=True)]
    more = {"problems": problems, **_described(faults[0]), **_link(request, "invalid_request")}
    return problem(400, "invalid_request", f"not acceptable: {said}", **more)


def _fault(error: Any) -> InvalidField:
    """The fault that pydantic has found. Of a body as a whole, and of long values, nothing is sent back."""
    place = [str(each) for each in error["loc"]]
    inside = place[1:] if place[:1] in (["query"], ["header"], ["path"]) else place
    is_part = error["type"] not in ("missing", "extra_forbidden") and inside
    if error["type"] == "union_tag_invalid":  # its message repeats the tag, however long that is
        tag, tags = error["ctx"]["discriminator"].strip("'"), error["ctx"]["expected_tags"]
        return InvalidField(".".join([*inside, tag]), f"one of {tags}")
    got = None
    if is_part and isinstance(error.get("input"), str | int | float | bool | None):
        text = json.dumps(error["input"])
        got = text if len(text) <= MOST_GOT else None
    return InvalidField(".".join(inside) or "body", error["msg"].removeprefix("Value error, "), got)


def _link(request: Request, code: str) -> dict[str, str]:
    return {"link": f"{request.scope.get('root_path', '')}/api/errors/{code}"} if code in CODES else {}


def _described(fault: InvalidField) -> dict[str, str]:
    return {name: value for name, value in fault._asdict().items() if value is not None}


async def on_http_error(request: Request, error: Exception) -> Response:
    """The exception handler for the framework's errors."""
    assert isinstance(error, HTTPException)
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "http")
    answer = problem(error.status_code, code, error.detail, **_link(request, code))
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        answer.headers["Allow"] = ", ".join(sorted(_methods(request)))  # RFC 9110 15.5.6
    return answer


def _methods(request: Request) -> set[str]:
    """The methods of a path. The framework names those of its first route only."""
    routes = [*request.app.routes, *(each for router in request.app.state.routers for each in router.routes)]
    matching = (each for each in routes if isinstance(each, Route) and each.matches(request.scope)[0] is not Match.NONE)
    return {method for each in matching for method in each.methods or ()}
