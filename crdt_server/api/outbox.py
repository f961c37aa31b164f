"""The outbox of a wedding and counts of its messages over HTTP, without their texts. For the couple and planners.

A message about a thread is shown to those who may open it: whom a conversation reaches, and when, is of those in it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field

from crdt_server.access.access import Action, require_allowed
from crdt_server.access.threads import THREAD
from crdt_server.api.requests import Authorized, Caller, wedding_name
from crdt_server.api.rights import requires
from crdt_server.errors import NotFoundError
from crdt_server.services.members import MemberService
from crdt_server.services.messaging.model import Channel
from crdt_server.services.messaging.outbox_service import LARGEST_NUMBER, PAGE, OutboxService
from documents.categories import AccessCategory
from storage import StoredMessage
from storage.outbox import DIGEST, MessageState

OF_THREADS = ("message", "thread")
"""First words of the types of events of threads."""

router = APIRouter(prefix="/api/weddings/{wedding}", tags=["messaging"])


class OutboxMessage(BaseModel):
    """A message that has to leave the server. `recipient`: a user; of a webhook, its id."""

    id: int
    key: str = Field(description="The id under which it is sent, in all attempts")
    recipient: str
    channel: str
    event: int = Field(description="The number of the first; 0 of a digest")
    type: str
    priority: int
    state: str
    attempts: int
    at: datetime
    next_at: datetime
    error: str = Field(description="Why the last attempt failed")
    done_at: datetime | None


class OutboxPage(BaseModel):
    """Messages in the order of their numbers."""

    messages: list[OutboxMessage]
    next: int | None = Field(description="What `after` is for the next page; null: there is none")


class Retried(BaseModel):
    """How many messages are sent once more."""

    retried: int


class MessagingStats(BaseModel):
    """Channel -> what became of its messages, as far as they are kept."""

    channels: dict[str, dict[str, int]]


async def _outbox(request: Request, caller: Authorized, wedding: str) -> OutboxService:
    members: MemberService = request.app.state.members
    require_allowed((await members.rights_in(wedding_name(wedding))).may_manage(caller.identity))
    service: OutboxService = request.app.state.outbox
    return service


Outbox = Annotated[OutboxService, Depends(_outbox)]


@router.get("/outbox")
@requires(AccessCategory.MEMBERS, Action.ADMINISTER)
async def get_outbox(
    outbox: Outbox,
    caller: Authorized,
    wedding: str,
    *,
    state: Annotated[MessageState, Query(description="In which messages are")] = "dead",
    channel: Annotated[Channel | None, Query(description="Without it, all")] = None,
    after: Annotated[int, Query(ge=0, le=LARGEST_NUMBER, description="`next` of the page before")] = 0,
    limit: Annotated[int, Query(ge=1, le=PAGE)] = PAGE,
) -> OutboxPage:
    """The next messages in a state behind the number `after`, without those about threads that the caller may not
    open."""
    name = None if channel is None else channel.value
    page = await outbox.page(wedding_name(wedding), state, name, after=after, limit=limit)
    shown = [_shown(each) for each in page if _is_open(caller, wedding, each)]
    return OutboxPage(messages=shown, next=page[-1].id if len(page) == limit else None)


@router.post("/outbox/retry")
@requires(AccessCategory.MEMBERS, Action.ADMINISTER)
async def post_outbox_retry(
    outbox: Outbox,
    wedding: str,
    channel: Annotated[Channel | None, Query(description="Without it, all")] = None,
) -> Retried:
    """Send all dead messages now, as if for the first time."""
    retried = await outbox.retry_dead(wedding_name(wedding), None if channel is None else channel.value)
    return Retried(retried=retried)


@router.get("/outbox/{message}")
@requires(AccessCategory.MEMBERS, Action.ADMINISTER)
async def get_outbox_message(outbox: Outbox, caller: Authorized, wedding: str, message: int) -> OutboxMessage:
    """A message by its number."""
    return _shown(await _find(outbox, caller, wedding, message))


@router.post("/outbox/{message}/retry")
@requires(AccessCategory.MEMBERS, Action.ADMINISTER)
async def post_outbox_message_retry(outbox: Outbox, caller: Authorized, wedding: str, message: int) -> OutboxMessage:
    """Send a message now that is dead or waits for a further attempt. 409 `not_retried` in other states."""
    await _find(outbox, caller, wedding, message)
    return _shown(await outbox.retry(wedding_name(wedding), message))


@router.get("/messaging/stats")
@requires(AccessCategory.MEMBERS, Action.ADMINISTER)
async def get_messaging_stats(outbox: Outbox, wedding: str) -> MessagingStats:
    """The states of the messages of the wedding, by channel. Those that were sent are counted for a week, dead ones
    for a month; of the inbox, all items and those that were read."""
    return MessagingStats(channels=await outbox.stats(wedding_name(wedding)))


async def _find(outbox: OutboxService, caller: Caller, wedding: str, id_: int) -> StoredMessage:
    """A message that the caller may find. Raises NotFoundError."""
    found = await outbox.message(wedding_name(wedding), id_)
    if not _is_open(caller, wedding, found):
        raise NotFoundError("not_found", "no such message")
    return found


def _is_open(caller: Caller, wedding: str, message: StoredMessage) -> bool:
    """Whether the caller may open the thread that a message is about, if it is about one. Nobody may where that is not
    known: messages that are only counted are of several."""
    if not message.document:
        return message.type.partition(".")[0] not in OF_THREADS
    return not message.document.startswith(THREAD) or caller.may(Action.READ, wedding, message.document)


def _shown(message: StoredMessage) -> OutboxMessage:
    """Without the newest event of a digest: it may be one of a thread that the caller may not open."""
    fields = {name: getattr(message, name) for name in OutboxMessage.model_fields if name != "recipient"}
    if message.type == DIGEST:
        fields["event"] = 0
    return OutboxMessage(recipient=message.user, **fields)
