"""Operations over HTTP: programs without Yjs write rows, all of a command or nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal, cast

from fastapi import APIRouter, Header, Request, Response
from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from crdt_server.access.access import Action
from crdt_server.access.request_limits import RequestLimits
from crdt_server.access.threads import THREAD
from crdt_server.api.refused_operations import RefusedCommand
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
from crdt_server.hub.commands import IdempotentCommands, OperationsRefusedError, Part, carry_out, names_of
from crdt_server.hub.hub import Hub
from crdt_server.operations import Operation as PlainOperation

MAX_BODY_BYTES = 256 * 1024
MAX_OPERATIONS = 1000
MAX_PARTS = 50

router = APIRouter(prefix="/api/weddings/{wedding}", tags=["operations"])

Name = Annotated[str, Field(max_length=255)]
Count = Annotated[int, Field(ge=0, le=1 << 31)]
IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=200,
        pattern=r"^[\x20-\x7e]+$",
        description="For 7 days the same command under the same key of the same person is not carried out again, but "
        "answered as before.",
    ),
]


class _Operation(StrictBody):
    root: Name = Field(description="Root of the document, as `guests`")
    record: Name = Field("", description="Id of the record; left out where the root itself is one record or text")


class SetOperation(_Operation):
    """Set a key of a record or, without a key, a row that is one value."""

    op: Literal["set"]
    key: Name | None = None
    value: JsonValue


class InsertOperation(_Operation):
    """Add a record with these keys."""

    op: Literal["insert"]
    value: dict[str, JsonValue]


class DeleteOperation(_Operation):
    """Delete a key or, without a key, a row."""

    op: Literal["delete"]
    key: Name | None = None


class MoveOperation(_Operation):
    """Put a record right behind another one; null: before all."""

    op: Literal["move"]
    after: Name | None


class TextOperation(_Operation):
    """Replace a text, or a part of it: at ``index``, ``delete`` code points go and ``insert`` comes."""

    op: Literal["text"]
    key: Name | None = None
    value: str | None = None
    index: Count = 0
    delete: Count = 0
    insert: str = ""


Operation = Annotated[
    SetOperation | InsertOperation | DeleteOperation | MoveOperation | TextOperation, Field(discriminator="op")
]
Operations = Annotated[list[Operation], Field(min_length=1, max_length=MAX_OPERATIONS)]


class DocumentCommand(BaseModel):
    """Operations on one document."""

    model_config = ConfigDict(extra="forbid")

    operations: Operations


class DocumentPart(DocumentCommand):
    """Operations on one document of several."""

    document: Name


class WeddingCommand(BaseModel):
    """Operations on several documents; 1,000 in all."""

    model_config = ConfigDict(extra="forbid")

    parts: Annotated[list[DocumentPart], Field(min_length=1, max_length=MAX_PARTS)]

    @model_validator(mode="after")
    def _bounded(self) -> WeddingCommand:
        if sum(len(part.operations) for part in self.parts) > MAX_OPERATIONS:
            raise ValueError(f"at most {MAX_OPERATIONS} operations")
        return self


ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/json": {"example": {"operations": 1}}}, "description": "All of it is stored"},
    422: {"description": "`operations_refused` with the `problems`, nothing was done; or `idempotency_key_reused`"},
}


@router.post(
    "/documents/{document}/ops",
    responses=ANSWERS,
    response_class=Response,
    openapi_extra=describe_body(DocumentCommand),
)
async def post_document_ops(
    request: Request, caller: Authorized, wedding: str, document: str, idempotency_key: IdempotencyKey = None
) -> Response:
    """Carry out operations on one document, all or none.

    Those on a derived document are written in the documents that it shows.
    """
    key = document_key(wedding, document)
    body = await read_json(request, DocumentCommand, MAX_BODY_BYTES)
    return await answer_command(request, caller, key.wedding, [(document, _plain(body))], idempotency_key)


@router.post("/ops", responses=ANSWERS, response_class=Response, openapi_extra=describe_body(WeddingCommand))
@by_content
async def post_wedding_ops(
    request: Request, caller: Authorized, wedding: str, idempotency_key: IdempotencyKey = None
) -> Response:
    """Carry out operations on several documents, all or none."""
    body = await read_json(request, WeddingCommand, MAX_BODY_BYTES)
    parts = [(part.document, _plain(part)) for part in body.parts]
    return await answer_command(request, caller, wedding_name(wedding), parts, idempotency_key)


def _plain(command: DocumentCommand) -> list[PlainOperation]:
    return [cast("PlainOperation", operation.model_dump(exclude_unset=True)) for operation in command.operations]


def _check_limits(request: Request, caller: Caller, parts: Sequence[Part]) -> None:
    """Messages to people have a limit of their own, which all writes of conversations count against, as they do over a
    socket: of a reaction and of a redaction people are informed, too. So many emergencies pass it and that of requests;
    others count as messages: everybody is called."""
    limits: RequestLimits = request.app.state.request_limits
    now = request.app.state.hub.time()
    operations = [(document, operation) for document, part in parts for operation in part]
    emergencies = [each for each in operations if _is_of_emergency(*each)]
    passes = len(emergencies) == len(operations)
    if passes and limits.pass_emergency(caller.identity, caller.address, _records(emergencies), now):
        return
    if request.state.spent is not None:
        raise request.state.spent
    messages = [each for each in operations if each[0].startswith(THREAD) or _is_of_emergency(*each)]
    limits.check_messages(caller.identity, caller.address, _records(messages), now)
    documents = {document for document, _ in parts}
    limits.charge(caller.identity, caller.address, len(documents) - 1, now)  # each has to be open


def _records(operations: Iterable[tuple[str, PlainOperation]]) -> int:
    """The number of records that some operations are about: of each, people are informed."""
    return len({(document, operation.get("record", "")) for document, operation in operations})


def _is_of_emergency(document: str, operation: PlainOperation) -> bool:
    """Whether an operation reports an emergency, or changes it."""
    if document == "timeline" or "@" in document:  # every derived document shows them
        return operation["root"] == "emergencies"
    if not document.startswith(THREAD) or operation["root"] != "messages":
        return False
    value = operation.get("value")
    return isinstance(value, dict) and value.get("kind") == "emergency"


async def answer_command(
    request: Request, caller: Caller, wedding: str, parts: Sequence[Part], key: str | None
) -> Response:
    """Carry out operations of the caller within its limits, once under a ``key``."""
    hub: Hub = request.app.state.hub
    answers: IdempotentCommands = request.app.state.answers
    sender, address = caller.authenticated, caller.address
    for document, _ in parts:
        caller.require(Action.WRITE, wedding, document)
    _check_limits(request, caller, parts)
    try:
        if key is None:
            body = await carry_out(hub, wedding, sender, address, parts)
            return Response(body, media_type="application/json")
        names = names_of(caller.identity, key, parts)
        body, replayed = await answers.once(
            wedding, names, lambda: carry_out(hub, wedding, sender, address, parts, names), former_key=key
        )
    except OperationsRefusedError as error:
        command = RefusedCommand(parts)
        error.problems = [command.described(problem) for problem in error.problems]
        raise
    headers = {"Idempotency-Replayed": "true"} if replayed else None
    return Response(body, headers=headers, media_type="application/json")
