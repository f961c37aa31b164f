"""The weddings that the caller may open: the one call of the API that is about no wedding in particular."""

from __future__ import annotations

from collections.abc import AsyncIterator

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from crdt_server.access.access import Access, Action, Denied, KnowsReach, Reach, denial
from crdt_server.access.identity import Authenticated, Identity
from crdt_server.access.request_limits import RequestLimits
from crdt_server.api.join import After, meta_of
from crdt_server.api.parameters import ReadParameters, refuse_unknown
from crdt_server.api.requests import Caller, client_address, credentials_of, identified, in_time, reading
from crdt_server.api.rights import of_caller
from crdt_server.errors import NotFoundError
from crdt_server.names import WEDDING
from storage import Storage

MOST_EXAMINED = 50
"""Weddings of one answer: the rights in each are read from the store, where they are not in memory."""

router = APIRouter(prefix="/api/weddings", tags=["weddings"])


class ListedWedding(BaseModel):
    """A wedding that the caller may open."""

    wedding: str
    role: str = Field(description="The role of the caller in it")
    title: str | None = Field(description="Of the wedding, where the caller may read that")


class ListedWeddings(BaseModel):
    """Weddings by their names."""

    weddings: list[ListedWedding]
    next: str | None = Field(None, description="What `after` is for more of them; null: there are none")


@router.get("")
@of_caller
async def get_weddings(request: Request, after: After = "") -> ListedWeddings:
    """The weddings that the caller may open: that of the token, or where it names none, those of which the user is a
    member; with `--dev`, without a token, all. At most 50 in an answer."""
    access: Access = request.app.state.access
    address = client_address(request)
    limits: RequestLimits = request.app.state.request_limits
    limits.check_address(address, request.app.state.hub.time())
    query = ReadParameters(request.query_params)
    reach = await _reach(request, query)
    if isinstance(reach, Denied):
        limits.count_denial(reach, address, request.app.state.hub.time())
        raise denial(reach)
    person = Identity(reach.user, reach.role)
    limits.check_person(person, address, request.app.state.hub.time())
    request.state.sender = person, address
    refuse_unknown(request, query.read)
    with reading(request, Caller(Authenticated(person), address, access)):
        return await _listed(request, reach, after)


async def _reach(request: Request, query: ReadParameters) -> Reach | Denied:
    access = request.app.state.access
    if not isinstance(access, KnowsReach):
        raise NotFoundError("not_found", "this server lists no weddings")
    found: Reach | Denied = await in_time(request, access.reach(credentials_of(request, query)))
    return found


async def _listed(request: Request, reach: Reach, after: str) -> ListedWeddings:
    storage: Storage = request.app.state.hub.storage
    found: list[ListedWedding] = []
    examined: list[str] = []
    async for wedding in _candidates(storage, reach, after):
        if len(examined) == MOST_EXAMINED:
            return ListedWeddings(weddings=found, next=examined[-1])
        examined.append(wedding)
        open_to = await _open_to_caller(request, wedding)
        if open_to is not None:
            meta = await meta_of(storage, open_to, wedding)
            found.append(ListedWedding(wedding=wedding, role=open_to.identity.role, title=meta.get("title")))
    return ListedWeddings(weddings=found, next=None)


async def _candidates(storage: Storage, reach: Reach, after: str) -> AsyncIterator[str]:
    """The weddings behind `after` that may be open to somebody, in order, up to one more than is examined."""
    if reach.wedding:
        if reach.wedding > after and WEDDING.fullmatch(reach.wedding):
            yield reach.wedding
    elif reach.is_everywhere:
        async for wedding in storage.weddings(after):
            yield wedding
    else:
        for wedding in await storage.weddings_of(reach.user, after, MOST_EXAMINED + 1):
            yield wedding


async def _open_to_caller(request: Request, wedding: str) -> Caller | None:
    """The caller as the person that the wedding knows; None where the wedding is not open to this person."""
    authenticated = await identified(request, wedding, request.query_params)
    if isinstance(authenticated, Denied):
        return None
    caller = Caller(authenticated, client_address(request), request.app.state.access)
    return caller if caller.may(Action.READ, wedding, None) else None
