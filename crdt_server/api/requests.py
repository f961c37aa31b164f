"""The parts of a request that every route reads in one way: the caller and its rights, names, the body."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, NamedTuple, TypeVar

from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import from_json

from crdt_server.access.access import Access, Action, Credentials, Denied, Target, checked, denial, require
from crdt_server.access.addresses import FORWARDED_FOR, TrustedProxies
from crdt_server.access.identity import UNIDENTIFIED, Authenticated, Identity, person_at
from crdt_server.access.limits import SharedBudget
from crdt_server.access.request_limits import SPENT, RequestLimits
from crdt_server.api.parameters import ReadParameters, refuse_unknown
from crdt_server.api.problems import BodyTimeoutError, PayloadTooLargeError
from crdt_server.api.rights import required_by
from crdt_server.errors import AdmissionError, ForbiddenError, NotFoundError, ProtocolError, RateLimitError
from crdt_server.names import WEDDING, WEDDING_SAID, document_address
from storage import DocumentKey, begin_call

Model = TypeVar("Model", bound=BaseModel)
Decided = TypeVar("Decided")


class Caller(NamedTuple):
    """The person behind a request, with the right to what the method does to the document or wedding of the path."""

    authenticated: Authenticated
    address: str
    access: Access

    @property
    def identity(self) -> Identity:
        """The person."""
        return self.authenticated.identity

    def may(self, action: Action, wedding: str, target: Target) -> bool:
        """Whether the person has a right to something beside the path."""
        return self.access.may(self.identity, action, wedding, target) is None

    def require(self, action: Action, wedding: str, target: Target) -> None:
        """Raise where a right to something beside the path is missing."""
        require(self.access, self.identity, action, wedding, target)


async def authorize(request: Request) -> Caller:
    """The dependency of every route below `/api` that is not public: see `crdt_server.api.rights`.

    Raises UnauthenticatedError, ForbiddenError, NotFoundError, RateLimitError, and AdmissionError where no decision
    comes in time.
    """
    access: Access = request.app.state.access
    limits: RequestLimits = request.app.state.request_limits
    address = client_address(request)
    limits.check_address(address, request.app.state.hub.time())
    begin_call(address)  # until the person is known
    wedding, document = request.path_params["wedding"], request.path_params.get("document")
    if document is None:
        wedding_name(wedding)
    else:
        document_key(wedding, document)
    read = ReadParameters(request.query_params)
    authenticated = await identified(request, wedding, read)
    if isinstance(authenticated, Denied):
        limits.count_denial(authenticated, address, request.app.state.hub.time())
        raise denial(authenticated)
    identity = authenticated.identity
    request.state.spent = None
    try:
        limits.check_person(identity, address, request.app.state.hub.time())
    except RateLimitError as error:
        if not _may_be_emergency(request, error, identity, address):
            raise
        request.state.spent = error
    request.state.sender = identity, address
    begin_call(person_at(identity, address))
    caller = Caller(authenticated, address, access)
    _require_rights(request, caller)
    refuse_unknown(request, read.read)
    request.state.caller = caller
    return caller


async def identified(request: Request, wedding: str, query: Mapping[str, str]) -> Authenticated | Denied:
    """The person behind a request, in a wedding. Raises AdmissionError where no decision comes in time."""
    access: Access = request.app.state.access
    return checked(await in_time(request, access.identify(credentials_of(request, query), wedding)))


def credentials_of(request: Request, query: Mapping[str, str]) -> Credentials:
    """The credentials of a request. ``query``: its parameters."""
    return Credentials(query, request.headers)


async def in_time(request: Request, decision: Decided | Awaitable[Decided]) -> Decided:
    """A decision of `Access` that may have to wait. Raises AdmissionError where it does not come in time."""
    if not inspect.isawaitable(decision):
        return decision
    try:
        async with asyncio.timeout(request.app.state.hub.settings.admission_seconds):
            return await decision
    except TimeoutError as error:
        raise AdmissionError("admission", "no decision on access in time, try later") from error


def _require_rights(request: Request, caller: Caller) -> None:
    wedding, document = request.path_params["wedding"], request.path_params.get("document")
    for action, target in required_by(request.scope["endpoint"], request.method, document):
        caller.require(action, wedding, target)


async def check_again(request: Request) -> None:
    """Decide once more when the body is there: it may have taken minutes, and rights may have changed meanwhile."""
    caller: Caller | None = getattr(request.state, "caller", None)
    if caller is None:  # a public call
        return
    authenticated = await identified(request, request.path_params["wedding"], request.query_params)
    if isinstance(authenticated, Denied):
        raise denial(authenticated)
    if authenticated.identity != caller.identity:
        raise ForbiddenError("forbidden", "your rights have changed meanwhile: send it again")
    _require_rights(request, caller)


def _may_be_emergency(request: Request, error: RateLimitError, identity: Identity, address: str) -> bool:
    """Whether a request that is over the limit is read all the same: `api.commands` decides then."""
    if error.code != SPENT or request.method != "POST" or not request.url.path.endswith(("/ops", "/messages")):
        return False
    limits: RequestLimits = request.app.state.request_limits
    return limits.may_be_emergency(identity, address, request.app.state.hub.time())


def begin_public(request: Request) -> str:
    """Count a request of somebody who has no token. Returns the address.

    Raises RateLimitError, and InvalidRequestError for a parameter that the call does not take.
    """
    limits: RequestLimits = request.app.state.request_limits
    address = client_address(request)
    limits.check_address(address, request.app.state.hub.time())
    request.state.sender = UNIDENTIFIED, address
    begin_call(address)
    refuse_unknown(request)
    return address


def client_address(request: Request) -> str:
    """The address of the client, see `TrustedProxies`."""
    proxies: TrustedProxies = request.app.state.proxies
    peer = request.client.host if request.client else None
    return proxies.client_address(peer, request.headers.getlist(FORWARDED_FOR))


Authorized = Annotated[Caller, Depends(authorize)]


async def count_read(request: Request, caller: Authorized) -> AsyncIterator[None]:
    """The dependency of every route below `/api`: a GET is a read. Event streams and downloads, which may take long and
    cost little, have limits of their own. Raises RateLimitError."""
    if request.method != "GET" or request.scope["route"].path.endswith(("/stream", "/{attachment}")):
        yield
        return
    with reading(request, caller):
        yield


@contextmanager
def reading(request: Request, caller: Caller) -> Iterator[None]:
    """A read goes on: a person has only so many at a time, and so has an address. Raises RateLimitError."""
    limits: RequestLimits = request.app.state.request_limits
    limits.begin_read(caller.identity, caller.address)
    try:
        yield
    finally:
        limits.end_read(caller.identity, caller.address)


def document_key(wedding: str, document: str) -> DocumentKey:
    """A document by its names in a URL. Raises NotFoundError."""
    address = document_address(wedding, document)
    if address is None:
        raise NotFoundError("not_found", "no such wedding or document")
    return DocumentKey(*address)


def wedding_name(wedding: str) -> str:
    """A wedding by its name in a URL. Raises NotFoundError."""
    if not WEDDING.fullmatch(wedding):
        raise NotFoundError("not_found", f"no such wedding: {WEDDING_SAID}")
    return wedding


async def read_body(request: Request, limit: int) -> bytes:
    """The body.

    Raises PayloadTooLargeError where it has more than ``limit`` bytes, BodyTimeoutError where it does not come in time,
    AdmissionError where too much of this person, of its address or of all is under way, and as `authorize` where its
    sender has lost the right since.
    """
    unfinished: SharedBudget = request.app.state.unfinished
    limits: RequestLimits = request.app.state.request_limits
    identity, address = request.state.sender
    person = person_at(identity, address)
    body = bytearray()
    try:
        async with asyncio.timeout(request.app.state.hub.settings.message_seconds):
            async for part in request.stream():
                if len(body) + len(part) > limit:
                    raise PayloadTooLargeError("body_too_large", f"the body is larger than {limit} bytes")
                if not unfinished.take(address, len(part), person):
                    raise AdmissionError("admission", "too many bytes are under way, try later")
                body += part
    except TimeoutError as error:
        raise BodyTimeoutError("body_timeout", "the body did not come in time") from error
    finally:
        unfinished.release(address, len(body), person)
        limits.charge_body(identity, address, len(body), request.app.state.hub.time())
    await check_again(request)
    return bytes(body)


class StrictBody(BaseModel):
    """A body, or a part of one, that takes no other members and converts no types."""

    model_config = ConfigDict(extra="forbid", strict=True)


async def read_json(request: Request, model: type[Model], limit: int) -> Model:
    """The body as a model: strictly JSON, so no NaN and no half of a surrogate pair.

    Raises PayloadTooLargeError, ProtocolError and RequestValidationError.
    """
    body = await read_body(request, limit)
    try:
        return model.model_validate(from_json(body, allow_inf_nan=False))
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from error
    except ValueError as error:
        raise ProtocolError("invalid_request", "the body is no JSON") from error


def describe_body(model: type[BaseModel]) -> dict[str, Any]:
    """The description of a body that `read_json` reads: one schema without references."""
    schema = model.model_json_schema()
    definitions = schema.pop("$defs", {})

    def inline(part: Any) -> Any:
        if isinstance(part, list):
            return [inline(each) for each in part]
        if not isinstance(part, dict):
            return part
        if "$ref" in part:
            return inline(definitions[part["$ref"].rpartition("/")[2]])
        return {name: inline(each) for name, each in part.items() if name != "discriminator"}

    return {"requestBody": {"required": True, "content": {"application/json": {"schema": inline(schema)}}}}
