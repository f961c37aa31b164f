"""Messages of threads over HTTP, for clients without Yjs: read in pages, and written as edits of the caller."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeAlias, cast

from fastapi import APIRouter, Depends, Query, Request
from pydantic import Field

from crdt_server.access.threads import document_of
from crdt_server.api.commands import answer_command
from crdt_server.api.requests import Authorized, StrictBody, describe_body, document_key, read_json, wedding_name
from crdt_server.api.rights import by_content
from crdt_server.errors import ProtocolError
from crdt_server.hub.hub import Hub
from crdt_server.operations import Operation as PlainOperation
from crdt_server.services.entries import moment
from crdt_server.services.messages import FoundMessage, MessageService
from documents.field_rules import written_as

MAX_BODY_BYTES = 64 * 1024
MOST_MESSAGES = 100

router = APIRouter(prefix="/api/weddings/{wedding}/threads/{thread}", tags=["threads"])

MessageId = Annotated[str, Field(pattern=r"^[A-Za-z0-9-][A-Za-z0-9_-]{0,63}$")]
Sequence = Annotated[int, Query(ge=0, le=(1 << 31) - 1)]
Row: TypeAlias = dict[str, Any]
"""A message, or a page of them, as JSON."""

_ULID_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class MessageFields(StrictBody):
    """A message of the caller. A client that sends it again under its id, a ULID, sends it once."""

    id: Annotated[str, Field(pattern=r"^([0-7][0-9A-HJKMNP-TV-Z]{25})?$", description="A ULID, made by the client")] = (
        ""
    )
    body: Annotated[str, Field(min_length=1, max_length=4000)]
    kind: Literal["text", "emergency"] = "text"
    at: Annotated[str, Field(max_length=40, description="When it was written; left out: when the id was made")] = ""
    inReplyTo: MessageId | None = None
    attachments: Annotated[list[dict[str, Any]], Field(max_length=20)] = Field([])
    context: dict[str, str] | None = None


class ReadUpTo(StrictBody):
    """The newest message that was read."""

    message: MessageId


def _messages(request: Request) -> MessageService:
    service: MessageService = request.app.state.messages
    return service


Messages = Annotated[MessageService, Depends(_messages)]


def _row(found: FoundMessage) -> Row:
    pairs = [each.partition("|") for each in found.reactions]
    row = {"id": found.id, "sequence": found.sequence, **found.content, "redacted": found.redacted}
    return row | {"reactions": [{"emoji": emoji, "user": user} for emoji, _, user in pairs]}


@router.get("/messages")
@by_content
async def get_messages(
    messages: Messages,
    caller: Authorized,
    wedding: str,
    thread: str,
    *,
    after: Sequence | None = None,
    before: Sequence | None = None,
    limit: Annotated[int, Query(ge=1, le=MOST_MESSAGES)] = 50,
) -> Row:
    """Messages by their numbers: with `after` those behind it, the oldest first; without it the newest first, those
    before `before`. Pages are bounded in bytes, too. `next` is what `after`, or `before`, is for the next page; null:
    there is none."""
    document_key(wedding, document_of(thread))
    name, identity = wedding_name(wedding), caller.identity
    page = await messages.page(name, identity, thread, after=after, before=before, limit=limit)
    return {"messages": [_row(each) for each in page], "next": page[-1].sequence if page else None}


@router.post("/messages", status_code=201, openapi_extra=describe_body(MessageFields))
@by_content
async def post_message(request: Request, messages: Messages, caller: Authorized, wedding: str, thread: str) -> Row:
    """Write a message, which is stored when it is answered. 422 `operations_refused` where the document does not allow
    it; 429 beyond the messages of a minute."""
    body = await read_json(request, MessageFields, MAX_BODY_BYTES)
    document, identity = document_of(thread), caller.identity
    document_key(wedding, document)
    id_ = body.id or _ulid(datetime.now(UTC))
    value: Row = {"from": written_as(identity.user), "at": body.at or _written_at(id_), "kind": body.kind}
    value |= body.model_dump(include={"body", "inReplyTo", "attachments", "context"}, exclude_defaults=True)
    operation = cast("PlainOperation", {"op": "set", "root": "messages", "record": id_, "value": value})
    name = wedding_name(wedding)
    await messages.require_thread(name, identity, thread)
    await answer_command(request, caller, name, [(document, [operation])], f"message {thread} {id_}")
    return _row(await messages.find(name, identity, thread, id_))


@router.put("/read", openapi_extra=describe_body(ReadUpTo))
@by_content
async def put_read(request: Request, messages: Messages, caller: Authorized, wedding: str, thread: str) -> Row:
    """The caller has read the thread up to a message: `read` is the number of the newest of all devices, `unread` how
    many messages of others are behind it."""
    body = await read_json(request, ReadUpTo, MAX_BODY_BYTES)
    document_key(wedding, document_of(thread))
    name, identity = wedding_name(wedding), caller.identity
    reading = await messages.read(name, identity, thread, body.message)
    hub: Hub = request.app.state.hub
    hub.publish_inbox(name, (identity.user,))
    return {"read": reading.sequence, "unread": reading.unread}


def _ulid(at: datetime) -> str:
    number = int(at.timestamp() * 1000) << 80 | secrets.randbits(80)
    return "".join(_ULID_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))


def _written_at(ulid: str) -> str:
    """The moment at which a ULID was made: the same each time that the message is sent. Raises ProtocolError."""
    number = 0
    for letter in ulid[:10]:
        number = number << 5 | _ULID_ALPHABET.index(letter)
    try:
        return moment(datetime.fromtimestamp(number / 1000, UTC))
    except (OverflowError, ValueError) as error:
        raise ProtocolError("invalid_request", "the id was made in the far future") from error
