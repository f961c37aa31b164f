"""Events over HTTP: in pages, and as a stream (server-sent events) that goes on where it was interrupted."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Header, Query, Request, Response

from crdt_server.api.event_filter import EventFilter, types_of
from crdt_server.api.requests import Authorized, wedding_name
from crdt_server.api.rights import by_content
from crdt_server.api.streams import COMMENT_SECONDS, RETRY_MILLISECONDS, StreamResponse, opening, seconds_until
from crdt_server.hub.event_notifier import EventNotifier, EventsExpiredError
from crdt_server.hub.held_streams import HeldStream
from crdt_server.hub.hub import Hub
from storage import Storage, StorageError, StoredEvent

log = structlog.get_logger(__name__)

MOST_EVENTS = 500
STREAM_PAGE = 100

router = APIRouter(prefix="/api/weddings/{wedding}/events", tags=["events"])

MOST = (1 << 63) - 1
AFTER = Query(ge=0, le=MOST, description="The newest event that the client has")
Types = Annotated[
    str,
    Query(max_length=1000, description="Types of events, with commas; `timeline`: all that begin so. None: all types"),
]


@router.get("", response_class=Response, responses={200: {"content": {"application/json": {}}}})
@by_content
async def get_events(
    request: Request,
    caller: Authorized,
    wedding: str,
    after: Annotated[int, AFTER] = 0,
    limit: Annotated[int, Query(ge=1, le=MOST_EVENTS)] = 100,
    types: Types = "",
) -> Response:
    """The next events behind number `after`, `head`, the number of the newest there is, and `next`, what `after` is for
    the next page: of the events in between, those that the caller may not read, or did not request, are left out.

    410 `events_expired` where some of them are not kept any more: all are behind the `after` of the problem.
    """
    storage: Storage = request.app.state.hub.storage
    page = await storage.events(wedding_name(wedding), after=after, limit=limit)
    if page and page[0].seq > after + 1:
        raise EventsExpiredError(page[0].seq - 1)
    head = await storage.event_head(wedding)
    shown = EventFilter(caller.access, caller.identity, wedding, types_of(types)).readable(page)
    events = ",".join(_as_json(wedding, event) for event in shown)
    following = page[-1].seq if page else after
    return Response(f'{{"events":[{events}],"head":{head},"next":{following}}}', media_type="application/json")


@dataclass(frozen=True)
class StreamOptions:
    """The events of a stream, and how they come."""

    types: Types = ""
    unnamed: Annotated[bool, Query(description="Without `event`: an EventSource has all in `onmessage`")] = False


Chosen = Annotated[StreamOptions, Depends()]


@router.get("/stream", response_class=Response, responses={200: {"content": {"text/event-stream": {}}}})
@by_content
async def get_stream(
    request: Request,
    caller: Authorized,
    wedding: str,
    chosen: Chosen,
    after: Annotated[int | None, AFTER] = None,
    last_event_id: Annotated[int | None, Header(ge=0, le=MOST)] = None,
) -> Response:
    """Events as they are stored: `id` is the number, `event` the type, `data` the event as in the pages, which has its
    `type` too. With `unnamed` there is no `event`.

    Goes on behind `Last-Event-ID`, else behind `after`, else begins with what comes next; 410 as in the pages. In place
    of events that the caller may not read, or did not request, comes an `id` alone.
    """
    hub: Hub = request.app.state.hub
    with opening(request, caller) as ended_of:
        start = last_event_id if last_event_id is not None else after
        if start is None:
            start = await hub.storage.event_head(wedding_name(wedding))
        elif start < (floor := await hub.storage.event_floor(wedding_name(wedding))):
            raise EventsExpiredError(floor)
        event_filter = EventFilter(caller.access, caller.identity, wedding, types_of(chosen.types))
        held = hub.rights.hold(wedding_name(wedding), caller.authenticated)
        named = not chosen.unnamed
        events = _stream(hub.storage, hub.events, after=start, event_filter=event_filter, held=held, named=named)
        return StreamResponse(events, ended_of(held), caller)


async def _stream(
    storage: Storage,
    feed: EventNotifier,
    *,
    after: int,
    event_filter: EventFilter,
    held: HeldStream,
    named: bool = True,
) -> AsyncGenerator[str, None]:
    """The notifier only wakes this; the events come from the store, in pages, as fast as they are read, for as long as
    the reader has the right to them and the proof of the identity is valid."""
    wedding = held.wedding
    with feed.listen(wedding) as listener:
        # With an id, so that a client that is cut off before the first event does not miss it.
        yield f"retry: {RETRY_MILLISECONDS}\nid: {after}\n\n"
        while held.admitted and not feed.closed and (left := seconds_until(held.authenticated.expires_at)) > 0:
            try:
                page = await storage.events(wedding, after=after, limit=STREAM_PAGE)
            except StorageError as error:
                log.warning("event_stream_ended", wedding=wedding, error=str(error))
                return
            if page and page[0].seq > after + 1:
                return  # they were removed meanwhile: the client comes again, and is sent 410
            if page and held.admitted:
                after = page[-1].seq
                shown = event_filter.readable(page)
                yield _messages(wedding, shown, named=named)
                if not shown or shown[-1].seq < after:
                    yield f"id: {after}\n\n"
            elif not page and not await listener.wait(min(left, COMMENT_SECONDS)) and left > COMMENT_SECONDS:
                yield ": nothing new\n\n"


def _messages(wedding: str, page: Sequence[StoredEvent], *, named: bool) -> str:
    names = (f"event: {each.type}\n" if named else "" for each in page)
    return "".join(
        f"id: {each.seq}\n{name}data: {_as_json(wedding, each)}\n\n" for each, name in zip(page, names, strict=True)
    )


def _as_json(wedding: str, event: StoredEvent) -> str:
    """The stored body, a JSON object in one line, with the number of the event before it."""
    envelope = json.dumps({"seq": event.seq, "id": f"{wedding}:{event.seq}", "wedding": wedding})
    return f"{envelope[:-1]}, {event.body[1:]}"
