"""Conflicts over HTTP: the records in `review` of all documents of a wedding, and the choice of an option."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from crdt_server.access.access import Action
from crdt_server.api.problems import StateError
from crdt_server.api.requests import Authorized, describe_body, read_json, wedding_name
from crdt_server.errors import NotFoundError
from crdt_server.hub.commands import OperationsRefusedError, carry_out, open_documents
from crdt_server.hub.hub import Hub
from crdt_server.operations import Operation, Problem
from storage import Storage

MAX_BODY_BYTES = 8 * 1024

router = APIRouter(prefix="/api/weddings/{wedding}/conflicts", tags=["conflicts"])

Conflict = dict[str, Any]


class Conflicts(BaseModel):
    """Records as in the root `review`, each with the `document` that has it and its `id`."""

    conflicts: list[Conflict]


class Choice(BaseModel):
    """The decision of a person."""

    model_config = ConfigDict(extra="forbid")

    choice: Annotated[int, Field(ge=0, le=99, strict=True, description="The `id` of one of the `_options`")]
    say: Annotated[str | None, Field(max_length=500, description="A remark on it")] = None


@router.get("")
async def get_conflicts(
    request: Request,
    caller: Authorized,
    wedding: str,
    state: Annotated[
        Literal["open", "auto", "resolved"] | None,
        Query(description="Those that wait for a person, that the server resolved, or that are over; else all"),
    ] = None,
) -> Conflicts:
    """Conflicts between edits, in the order of documents and ids."""
    storage: Storage = request.app.state.hub.storage
    found = [each for each in await _read(storage, wedding_name(wedding)) if state in (None, each.get("_state"))]
    readable = {
        document
        for document in {each["document"] for each in found}
        if caller.access.may(caller.identity, Action.READ, wedding, document) is None
    }
    return Conflicts(conflicts=[each for each in found if each["document"] in readable])


@router.post("/{conflict}/resolve", openapi_extra=describe_body(Choice))
async def post_resolve(request: Request, caller: Authorized, wedding: str, conflict: str) -> Conflict:
    """Choose one of the options; what the server resolved by itself can be undone so for 24 hours."""
    hub: Hub = request.app.state.hub
    chosen = await read_json(request, Choice, MAX_BODY_BYTES)
    record = await _find(hub.storage, wedding_name(wedding), conflict)
    if record.get("_state") not in ("open", "auto"):
        raise StateError("already_resolved", "the conflict is resolved")
    document, address = record["document"], caller.address
    concerned = sorted({document, *_concerned(record, chosen.choice)})
    for each in concerned:
        caller.require(Action.WRITE, wedding, each)
    await open_documents(hub, wedding, concerned, address)
    values = {"choice": chosen.choice} if chosen.say is None else {"say": chosen.say, "choice": chosen.choice}
    operations = [Operation(op="set", root="review", record=conflict, key=k, value=v) for k, v in values.items()]
    await carry_out(hub, wedding, caller.identity, address, [(document, operations)])
    record = await _find(hub.storage, wedding, conflict)
    if record.get("choice") != chosen.choice:
        raise StateError("not_resolved", "it was too late for this choice")
    return record


def _concerned(record: Conflict, choice: int) -> set[str]:
    """The documents that an option writes to. Raises OperationsRefusedError where there is no such option."""
    for option in record.get("_options", ()):
        if option["id"] == choice:
            return {operation["document"] for operation in option.get("operations", ())}
    message = f"there is no option {choice}"
    problem = Problem(document=record["document"], code="no_such_option", message=message)
    raise OperationsRefusedError([problem | {"root": "review", "record": record["id"], "key": "choice"}])


async def _find(storage: Storage, wedding: str, conflict: str) -> Conflict:
    for record in await _read(storage, wedding):
        if record["id"] == conflict:
            return record
    raise NotFoundError("not_found", "no such conflict")


async def _read(storage: Storage, wedding: str) -> list[Conflict]:
    return [
        {"document": document, "id": row.record, **json.loads(row.fields)}
        for document, row in await storage.wedding_rows(wedding)
        if row.root == "review" and row.fields is not None
    ]
