"""Inboxes over HTTP: everybody reads their own. In pages, and as a stream (server-sent events).

Items were made of what people could know when something happened. Of what somebody may not know of any more, they keep
that there was something, without the texts.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, TypeAlias

import structlog
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import Field, model_validator

from crdt_server.access.access import Action, require_allowed
from crdt_server.access.event_rights import may_read_all_events
from crdt_server.access.policy import OVERRIDERS
from crdt_server.access.scopes import in_scope, scope_decision
from crdt_server.access.threads import THREAD
from crdt_server.api.requests import Authorized, Caller, StrictBody, describe_body, read_json, wedding_name
from crdt_server.api.rights import by_content, requires
from crdt_server.api.streams import COMMENT_SECONDS, RETRY_MILLISECONDS, StreamResponse, opening, seconds_until
from crdt_server.hub.event_notifier import EventNotifier
from crdt_server.hub.held_streams import HeldStream
from crdt_server.hub.hub import Hub
from crdt_server.services.entries import moment
from crdt_server.services.members import MemberService
from crdt_server.services.messaging.overrides import RoutingOverrides
from crdt_server.services.messaging.still_known import KnownNow
from documents.categories import AccessCategory, category_of
from documents.registry import kind_of
from storage import Storage, StorageError, StoredItem
from storage.inbox import MARKED_AT_ONCE, MOST_COUNTED
from storage.outbox import NO_PARAMS

log = structlog.get_logger(__name__)

MOST_ITEMS = 200
STREAM_PAGE = 50
MOST_IDS = 500
MOST_SLICES = 20
"""Transactions in which one call marks items as read."""

MAX_BODY_BYTES = 16 * 1024
MOST = (1 << 63) - 1
AFTER = Query(ge=0, le=MOST, description="The newest item that the client has")

router = APIRouter(prefix="/api/weddings/{wedding}", tags=["inbox"])

Row: TypeAlias = dict[str, Any]
"""A part of an answer."""

ItemId = Annotated[int, Field(ge=1, le=MOST)]


class ReadItems(StrictBody):
    """The items that the caller has read: some of them, or all up to one."""

    ids: Annotated[list[ItemId], Field(max_length=MOST_IDS)] | None = None
    up_to: ItemId | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> ReadItems:
        if (self.ids is None) is (self.up_to is None):
            raise ValueError("either ids or up_to")
        return self


class ChangedRule(StrictBody):
    """The fields of a rule to change. Names and conditions are those of `routing.toml`."""

    audience: Annotated[list[str], Field(max_length=30)] | None = None
    send: Annotated[list[str | Row], Field(max_length=10)] | None = None


def _storage(request: Request) -> Storage:
    storage: Storage = request.app.state.hub.storage
    return storage


def _routing(request: Request) -> RoutingOverrides:
    service: RoutingOverrides = request.app.state.routing
    return service


Store = Annotated[Storage, Depends(_storage)]
Routing = Annotated[RoutingOverrides, Depends(_routing)]


def _known_now(request: Request) -> KnownNow:
    known: KnownNow = request.app.state.known_now
    return known


Known = Annotated[KnownNow, Depends(_known_now)]


@router.get("/inbox")
@by_content
async def get_inbox(
    storage: Store,
    known: Known,
    caller: Authorized,
    wedding: str,
    *,
    after: Annotated[int | None, AFTER] = None,
    before: Annotated[int | None, Query(ge=1, le=MOST, description="The oldest item that the client has")] = None,
    limit: Annotated[int, Query(ge=1, le=MOST_ITEMS)] = 50,
) -> Row:
    """The caller's items behind the id `after`, the oldest first; without it the newest first, before the id `before`.
    `next` is what `after`, or `before`, is for the next page; null: there is none.

    An item is about `count` events of one type about one record, `event` the newest of them; it replaces an unread one
    about the same. `params` are the texts that a message about it is made of: plain text, typed by people; none where
    the caller may not know of the event any more.
    """
    user, name = _person(caller, Action.READ), wedding_name(wedding)
    if after is not None:
        items = await storage.inbox(name, user, after=after, limit=limit)
    else:
        items = await storage.newest_inbox(name, user, before=before or MOST, limit=limit)
    shown = [_row(item) for item in await _shown(caller, name, items, known)]
    return {"items": shown, "next": items[-1].id if items else None}


@router.get("/inbox/unread")
@by_content
async def get_unread(storage: Store, caller: Authorized, wedding: str) -> Row:
    """How many of the caller's items are unread: `unread` is 1000, and `more` true, where there are more."""
    return _unread(await storage.unread(wedding_name(wedding), _person(caller, Action.READ)))


@router.post("/inbox/read", openapi_extra=describe_body(ReadItems))
@by_content
async def post_read(request: Request, storage: Store, caller: Authorized, wedding: str) -> Row:
    """Mark items of the caller as read: `{"ids": […]}`, or `{"up_to": ID}` for all up to one, 20,000 in a call.

    Answers with what is `unread` then. Messages about these items that were to go out later, or in a digest, do not.
    """
    body = await read_json(request, ReadItems, MAX_BODY_BYTES)
    name, user, at = wedding_name(wedding), _person(caller, Action.WRITE), datetime.now(UTC)
    which = body.up_to if body.up_to is not None else body.ids or []
    hub: Hub = request.app.state.hub
    for _ in range(MOST_SLICES):
        marked = await storage.mark_read(name, user, which, at)
        hub.metrics.counters.inbox_read += len(marked)
        if len(marked) < MARKED_AT_ONCE:
            break
    hub.publish_inbox(name, (user,))
    return _unread(await storage.unread(name, user))


@router.get("/inbox/stream", response_class=Response, responses={200: {"content": {"text/event-stream": {}}}})
@by_content
async def get_inbox_stream(
    request: Request,
    known: Known,
    caller: Authorized,
    wedding: str,
    after: Annotated[int | None, AFTER] = None,
    last_event_id: Annotated[int | None, Header(ge=0, le=MOST)] = None,
) -> Response:
    """The caller's items as they come: `id` is that of the item, `event` its type, `data` the item as in the pages. An
    `unread` without an `id` has the number of unread items: one has been read, perhaps on another device.

    Goes on behind `Last-Event-ID`, else behind `after`, else begins with what comes next.
    """
    hub: Hub = request.app.state.hub
    user = _person(caller, Action.READ)
    with opening(request, caller) as ended_of:
        name, start = wedding_name(wedding), last_event_id if last_event_id is not None else after
        if start is None:
            start = await hub.storage.inbox_head(name, user)
        held = hub.rights.hold(name, caller.authenticated)
        return StreamResponse(_stream(hub.storage, hub.events, caller, held, start, known), ended_of(held), caller)


async def _stream(
    storage: Storage, feed: EventNotifier, caller: Caller, held: HeldStream, after: int, known: KnownNow
) -> AsyncGenerator[str, None]:
    """The notifier only wakes this; the items come from the store, in pages, for as long as the reader has the right to
    the wedding and the proof of the identity is valid."""
    wedding, user, woken = held.wedding, caller.identity.user, False
    with feed.listen(wedding, user) as listener:
        yield f"retry: {RETRY_MILLISECONDS}\nid: {after}\n\n"
        while held.admitted and not feed.closed and (left := seconds_until(held.authenticated.expires_at)) > 0:
            try:
                page = await storage.inbox(wedding, user, after=after, limit=STREAM_PAGE)
                shown = await _shown(caller, wedding, page, known)
                count = None if page or not woken else await storage.unread(wedding, user)
            except StorageError as error:
                log.warning("inbox_stream_ended", wedding=wedding, error=str(error))
                return
            if page and held.admitted:
                after = page[-1].id
                yield "".join(map(_message, shown)) + f"id: {after}\n\n"
                woken = False  # its items were what it was woken for
                continue
            if count is not None and held.admitted:
                yield f"event: unread\ndata: {json.dumps(_unread(count))}\n\n"
            woken = await listener.wait(min(left, COMMENT_SECONDS))
            if not woken and left > COMMENT_SECONDS:
                yield ": nothing new\n\n"


def _person(caller: Caller, action: Action) -> str:
    """The user whose inbox it is. Raises ForbiddenError for a token whose scope leaves messages out."""
    require_allowed(scope_decision(caller.identity.scope, AccessCategory.MESSAGES, action))
    return caller.identity.user


async def _shown(caller: Caller, wedding: str, items: Sequence[StoredItem], known: KnownNow) -> Sequence[StoredItem]:
    """The items that the caller may have, without the texts of those of which it may not know any more. Raises
    StorageError."""
    found = [item for item in items if _is_shown(caller, wedding, item)]
    documents = {item.document for item in found if not item.document.startswith(THREAD)}
    open_ = {each for each in documents if may_read_all_events(caller.access, caller.identity, wedding, each)}
    doubtful = {item.event for item in found if item.document in documents - open_}
    if not doubtful:
        return found
    unknown = doubtful.difference(await known(wedding, caller.identity.user, doubtful))
    return [item._replace(params=NO_PARAMS) if item.event in unknown else item for item in found]


def _is_shown(caller: Caller, wedding: str, item: StoredItem) -> bool:
    """Whether the scope of a token leaves open what an item is about; one about a thread is shown to those who may open
    it now."""
    scope, kind = caller.identity.scope, kind_of(item.document)
    if scope and (kind is None or not in_scope(scope, category_of(kind.name), Action.READ)):
        return False
    return not item.document.startswith(THREAD) or caller.may(Action.READ, wedding, item.document)


def _message(item: StoredItem) -> str:
    return f"id: {item.id}\nevent: {item.type}\ndata: {json.dumps(_row(item))}\n\n"


def _row(item: StoredItem) -> Row:
    shown = item._asdict()
    shown["count"] = shown.pop("events")
    return {
        **shown,
        "params": json.loads(item.params),
        "at": moment(item.at),
        "read_at": None if item.read_at is None else moment(item.read_at),
    }


def _unread(found: int) -> Row:
    return {"unread": min(found, MOST_COUNTED), "more": found > MOST_COUNTED}


@router.get("/routing")
@requires(AccessCategory.MEMBERS, Action.READ)
async def get_routing(routing: Routing, caller: Authorized, wedding: str) -> dict[str, list[Row]]:
    """The rules by which events of this wedding reach people, in their order: the first that fits a person counts."""
    return {"rules": [rule.as_json() for rule in await routing.rules(wedding_name(wedding), caller.identity)]}


@router.put("/routing/{rule}", openapi_extra=describe_body(ChangedRule))
@requires(AccessCategory.MEMBERS, Action.ADMINISTER, only=OVERRIDERS)
async def put_routing(request: Request, routing: Routing, caller: Authorized, wedding: str, rule: str) -> Row:
    """Change the audience of a rule, or the channels in which it sends, for this wedding. Only the couple may.

    Nobody is informed of what they may not know all the same, and the rules of emergencies cannot be changed.
    """
    members: MemberService = request.app.state.members
    require_allowed((await members.rights_in(wedding_name(wedding))).may_override(caller.identity))
    body = await read_json(request, ChangedRule, MAX_BODY_BYTES)
    changed = body.model_dump(exclude_none=True)
    return (await routing.change(wedding_name(wedding), caller.identity, rule, changed)).as_json()


@router.delete("/routing/{rule}", status_code=204, response_class=Response)
@requires(AccessCategory.MEMBERS, Action.ADMINISTER, only=OVERRIDERS)
async def delete_routing(routing: Routing, caller: Authorized, wedding: str, rule: str) -> Response:
    """Have a rule as for all weddings again. Only the couple may."""
    await routing.restore(wedding_name(wedding), caller.identity, rule)
    return Response(status_code=204)
