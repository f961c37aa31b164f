"""Streams of server-sent events: each counts for its reader, and ends with the right by which it was opened."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager

from fastapi import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from crdt_server.access.identity import person_at
from crdt_server.access.limits import SharedBudget
from crdt_server.api.requests import Caller
from crdt_server.errors import AdmissionError
from crdt_server.hub.held_streams import HeldStream
from crdt_server.hub.hub import Hub
from storage import begin_call

COMMENT_SECONDS = 15.0
RETRY_MILLISECONDS = 1000


class StreamResponse(StreamingResponse):
    """Server-sent events for a person. ``ended`` is called at the end, whichever side ended it."""

    def __init__(self, events: AsyncGenerator[str, None], ended: Callable[[], None], caller: Caller) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(events, headers=headers, media_type="text/event-stream")
        self._events = events
        self._ended = ended
        self._person = person_at(caller.identity, caller.address)

    async def stream_response(self, send: Send) -> None:
        begin_call(self._person)  # the framework may have made another task for this
        await super().stream_response(send)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._ended()
            await self._events.aclose()


@contextmanager
def opening(request: Request, caller: Caller) -> Iterator[Callable[[HeldStream], Callable[[], None]]]:
    """A stream is about to be opened. Gives the function that makes ``ended`` for its response; what is raised in the
    context opens none. Raises AdmissionError where there are too many."""
    hub: Hub = request.app.state.hub
    streams: SharedBudget = request.app.state.streams
    address, person = caller.address, person_at(caller.identity, caller.address)
    if hub.events.closed or not streams.take(address, 1, person):
        raise AdmissionError("streams", "too many streams are open")

    def ended_of(held: HeldStream) -> Callable[[], None]:
        def ended() -> None:
            streams.release(address, 1, person)
            hub.rights.streams.release(held)

        return ended

    try:
        yield ended_of
    except BaseException:
        streams.release(address, 1, person)
        raise


def seconds_until(expires_at: float | None) -> float:
    """How long a proof of identity is valid, by the time of day."""
    return math.inf if expires_at is None else expires_at - time.time()
