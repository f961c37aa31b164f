"""Conflicts over HTTP: the records in `review` of all documents of a wedding, and the choice of an option."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from crdt_server.access.access import Action
from crdt_server.access.identity import NAME_LENGTH, is_name
from crdt_server.api.presence import visible_names
from crdt_server.api.problems import StateError
from crdt_server.api.requests import Authorized, Caller, describe_body, read_json, wedding_name
from crdt_server.api.rights import by_content
from crdt_server.errors import NotFoundError
from crdt_server.hub.commands import OperationsRefusedError, carry_out, open_documents
from crdt_server.hub.hub import Hub
from crdt_server.operations import Operation, Problem
from documents.invariants.review import in_language, sentences_of
from documents.sentences import language_of, users_without_name
from storage import Storage, StoredRow

MAX_BODY_BYTES = 8 * 1024
PAGE_CHARACTERS = 250_000

router = APIRouter(prefix="/api/weddings/{wedding}/conflicts", tags=["conflicts"])

Conflict = dict[str, Any]


Language = Annotated[
    str,
    Query(max_length=35, pattern=r"^[A-Za-z0-9-]*$", description="A BCP 47 tag. There are texts in `en` and `de`"),
]


class Conflicts(BaseModel):
    """Records as in the root `review`, each with the `document` that has it and its `id`."""

    conflicts: list[Conflict]
    next: str | None = Field(None, description="What `after` is for the next page; null: there is none")


class Choice(BaseModel):
    """The decision of a person."""

    model_config = ConfigDict(extra="forbid")

    choice: Annotated[int, Field(ge=0, le=99, strict=True, description="The `id` of one of the `_options`")]
    say: Annotated[str | None, Field(max_length=500, description="A remark on it")] = None


@router.get("")
@by_content
async def get_conflicts(
    request: Request,
    caller: Authorized,
    wedding: str,
    state: Annotated[
        Literal["open", "auto", "resolved"] | None,
        Query(description="Those that wait for a person, that the server resolved, or that are over; else all"),
    ] = None,
    after: Annotated[
        str,
        Query(
            max_length=2 * NAME_LENGTH + 1,
            pattern=r"^[\x20-\x7e]*$",
            description="The `next` of the page before: document, slash, id",
        ),
    ] = "",
    language: Language = "en",
) -> Conflicts:
    """Conflicts between edits, in the order of documents and ids. A page ends behind 250,000 characters or 2,000 of
    them. `_summary` and the `text` of options and parties are in the language, with the names of people who are or were
    there."""
    storage: Storage = request.app.state.hub.storage
    document, _, record = after.partition("/")
    found, following = await _readable_page(storage, caller, wedding_name(wedding), (document, record))
    shown = [each for each in found if state in (None, each.get("_state"))]
    return Conflicts(conflicts=await _in_language(request, caller, wedding, shown, language), next=following)


async def _in_language(
    request: Request, caller: Caller, wedding: str, found: list[Conflict], language: str
) -> list[Conflict]:
    is_nameless = any(any(users_without_name(list(sentences_of(each)))) for each in found)
    names = await visible_names(request, caller, wedding) if is_nameless else {}
    return [in_language(each, language_of(language), names) for each in found]


async def _readable_page(
    storage: Storage, caller: Caller, wedding: str, after: tuple[str, str]
) -> tuple[list[Conflict], str | None]:
    """The next conflicts in documents that the caller may read, and the `next` of that page. It names one of them: what
    is in other documents, and that they are there, is not shown."""
    while True:
        page, last = await storage.page_of_root(wedding, "review", after=after, characters=PAGE_CHARACTERS)
        names = {document for document, _ in page}
        readable = {name for name in names if caller.may(Action.READ, wedding, name)}
        found = [_conflict(each) for each in page if each[0] in readable]
        if found or last is None:
            return found, None if last is None else f"{found[-1]['document']}/{found[-1]['id']}"
        after = last[0], last[2]


@router.post("/{conflict}/resolve", openapi_extra=describe_body(Choice))
@by_content
async def post_resolve(request: Request, caller: Authorized, wedding: str, conflict: str) -> Conflict:
    """Choose one of the options; what the server resolved by itself can be undone so for 24 hours."""
    hub: Hub = request.app.state.hub
    chosen = await read_json(request, Choice, MAX_BODY_BYTES)
    record = await _find(hub.storage, wedding_name(wedding), conflict)
    if not caller.may(Action.READ, wedding, record["document"]):
        raise _no_such_conflict()
    if record.get("_state") not in ("open", "auto"):
        raise StateError("already_resolved", "the conflict is resolved")
    document, address = record["document"], caller.address
    concerned = sorted({document, *_concerned(record, chosen.choice)})
    for each in concerned:
        caller.require(Action.WRITE, wedding, each)
    await open_documents(hub, wedding, concerned, address)
    values = {"choice": chosen.choice} if chosen.say is None else {"say": chosen.say, "choice": chosen.choice}
    operations = [Operation(op="set", root="review", record=conflict, key=k, value=v) for k, v in values.items()]
    await carry_out(hub, wedding, caller.authenticated, address, [(document, operations)])
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
    found = await storage.records_of_root(wedding, "review", conflict) if is_name(conflict) else []
    if not found:
        raise _no_such_conflict()
    return _conflict(found[0])


def _no_such_conflict() -> NotFoundError:
    return NotFoundError("not_found", "no such conflict")


def _conflict(stored: tuple[str, StoredRow]) -> Conflict:
    document, row = stored
    return {"document": document, "id": row.record, **json.loads(row.fields or "{}")}
