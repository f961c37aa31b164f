"""Threads over HTTP: what they are about, and who takes part. `services.threads` decides and stores."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import Field

from crdt_server.access.identity import Identity
from crdt_server.access.request_limits import RequestLimits
from crdt_server.access.threads import document_of
from crdt_server.api.commands import IdempotencyKey
from crdt_server.api.requests import (
    Authorized,
    Caller,
    StrictBody,
    describe_body,
    document_key,
    read_json,
    wedding_name,
)
from crdt_server.api.rights import by_content
from crdt_server.hub.commands import AnsweredError, IdempotentCommands, names_of
from crdt_server.hub.hub import Hub
from crdt_server.services.threads import FoundThread, NewThread, ThreadService
from storage import AnswerTaken

MAX_BODY_BYTES = 32 * 1024
MOST_THREADS = 100

router = APIRouter(prefix="/api/weddings/{wedding}/threads", tags=["threads"])

Name = Annotated[str, Field(min_length=1, max_length=255)]
Title = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Type: TypeAlias = Literal["general", "vendor", "planning", "emergency", "family"]
Status: TypeAlias = Literal["open", "closed"]
Priority = Annotated[int, Field(ge=0, le=4, description="As of events: 0 is the most urgent")]

Row: TypeAlias = dict[str, Any]
"""A thread, or a page of them, as JSON."""


class ThreadContext(StrictBody):
    """The subject of a thread."""

    document: Annotated[str, Field(max_length=120)]
    root: Annotated[str, Field(max_length=40)] = ""
    record: Annotated[str, Field(max_length=200)] = ""


class NewThreadBody(StrictBody):
    """A thread to be made. Its maker takes part."""

    title: Title
    type: Type = "general"
    priority: Priority = 3
    participants: Annotated[list[Name], Field(max_length=200)] = Field([])
    context: ThreadContext | None = None


class ChangedThread(StrictBody):
    """The fields to change."""

    title: Title | None = None
    status: Status | None = None
    priority: Priority | None = None


class Muted(StrictBody):
    """Whether one is notified of new messages."""

    muted: bool


def _threads(request: Request) -> ThreadService:
    service: ThreadService = request.app.state.threads
    return service


Threads = Annotated[ThreadService, Depends(_threads)]


def _count_message(request: Request, caller: Caller) -> None:
    """A change of a thread is an event, of which people are informed, and an entry of the audit log: it counts as a
    message. Raises RateLimitError."""
    limits: RequestLimits = request.app.state.request_limits
    limits.check_messages(caller.identity, caller.address, 1, request.app.state.hub.time())


def _row(found: FoundThread, identity: Identity) -> Row:
    row = found.thread._asdict()
    row["by"] = row.pop("created_by")
    row["context"] = json.loads(found.thread.context) if found.thread.context else None
    row["document"] = document_of(found.thread.id)
    row["participants"] = [{"user": each.user, "added_by": each.added_by, "at": each.at} for each in found.participants]
    row["muted"] = any(each.muted for each in found.participants if each.user == identity.user)
    row["read"], row["unread"] = found.reading.sequence, found.reading.unread
    return row


@router.get("")
@by_content
async def get_threads(
    threads: Threads,
    caller: Authorized,
    wedding: str,
    *,
    type: Type | None = None,
    status: Status | None = None,
    after: Annotated[str, Query(max_length=320, description="`next` of the page before")] = "",
    limit: Annotated[int, Query(ge=1, le=MOST_THREADS)] = 50,
) -> Row:
    """The threads that the caller may open, the last active first. `unread`: messages of others behind `read`, the
    number up to which the caller has read, counted up to 1,000; `muted`: the caller is not notified. `next` is what
    `after` is for the next page; null: there is none."""
    name, identity = wedding_name(wedding), caller.identity
    page, following = await threads.page(name, identity, type or "", status or "", after, limit)
    return {"threads": [_row(each, identity) for each in page], "next": following}


@router.post("", status_code=201, openapi_extra=describe_body(NewThreadBody))
@by_content
async def post_thread(
    request: Request,
    response: Response,
    threads: Threads,
    caller: Authorized,
    wedding: str,
    idempotency_key: IdempotencyKey = None,
) -> Row:
    """Make a thread: its messages are in the document `thread.{id}`. Of type `family` it is for those alone who take
    part. Under an idempotency key it is made once: the answer to a repeated request is the thread as it is by then. It
    counts as a message (429). 409 `too_many`, `too_many_own_threads`, `not_a_member`; 422
    `idempotency_key_reused`."""
    body = await read_json(request, NewThreadBody, MAX_BODY_BYTES)
    if body.context is not None:
        document_key(wedding, body.context.document)
    _count_message(request, caller)
    context = {} if body.context is None else {name: text for name, text in body.context.model_dump().items() if text}
    new = NewThread(body.title, body.type, body.priority, body.participants, context)
    name, identity = wedding_name(wedding), caller.identity
    if idempotency_key is None:
        return _row(await threads.make(name, identity, new), identity)
    answers: IdempotentCommands = request.app.state.answers
    names = names_of(identity, idempotency_key, [("threads", [body.model_dump(mode="json")])])
    id_, replayed = await answers.once(name, names, lambda: _make_once(threads, name, identity, new, names))
    if replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return _row(await threads.made(name, identity, id_), identity)


async def _make_once(
    threads: ThreadService, wedding: str, identity: Identity, new: NewThread, names: Mapping[str, str]
) -> str:
    try:
        return (await threads.make(wedding, identity, new, names)).thread.id
    except AnswerTaken as error:  # at another node, just now
        raise AnsweredError("try_again", "a request of this key is being answered") from error


@router.get("/{thread}")
@by_content
async def get_thread(threads: Threads, caller: Authorized, wedding: str, thread: str) -> Row:
    """A thread with those who take part."""
    return _row(await threads.find(wedding_name(wedding), caller.identity, thread), caller.identity)


@router.patch("/{thread}", openapi_extra=describe_body(ChangedThread))
@by_content
async def patch_thread(request: Request, threads: Threads, caller: Authorized, wedding: str, thread: str) -> Row:
    """Change a thread: organizers, and the person who made it. It counts as a message (429)."""
    body = await read_json(request, ChangedThread, MAX_BODY_BYTES)
    _count_message(request, caller)
    name, identity = wedding_name(wedding), caller.identity
    return _row(await threads.change(name, identity, thread, body.title, body.status, body.priority), identity)


@router.put("/{thread}/participants/{user}")
@by_content
async def put_participant(
    request: Request, threads: Threads, caller: Authorized, wedding: str, thread: str, user: str
) -> Row:
    """Let a person take part: organizers add everybody, others organizers. It counts as a message (429).

    409 `too_many`, `not_a_member`."""
    _count_message(request, caller)
    return _row(await threads.add(wedding_name(wedding), caller.identity, thread, user), caller.identity)


@router.delete("/{thread}/participants/{user}", status_code=204, response_class=Response)
@by_content
async def delete_participant(
    request: Request, threads: Threads, caller: Authorized, wedding: str, thread: str, user: str
) -> Response:
    """Let a person take part no more; everybody may leave. Open sockets are closed where the role does not open the
    thread without."""
    await threads.remove(wedding_name(wedding), caller.identity, thread, user)
    hub: Hub = request.app.state.hub
    hub.publish_inbox(wedding_name(wedding), (user,))
    return Response(status_code=204)


@router.put("/{thread}/muted", status_code=204, response_class=Response, openapi_extra=describe_body(Muted))
@by_content
async def put_muted(request: Request, threads: Threads, caller: Authorized, wedding: str, thread: str) -> Response:
    """Whether one is notified of new messages in a thread that one takes part in."""
    body = await read_json(request, Muted, MAX_BODY_BYTES)
    await threads.mute(wedding_name(wedding), caller.identity, thread, muted=body.muted)
    return Response(status_code=204)
