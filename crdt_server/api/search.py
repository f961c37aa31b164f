"""Search over HTTP."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from crdt_server.access.access import Action
from crdt_server.access.identity import person_at
from crdt_server.api.requests import Authorized, wedding_name
from crdt_server.api.rights import by_content
from crdt_server.services.search import Found, SearchService

LONGEST_QUERY = 200
NEWEST = (1 << 63) - 1

router = APIRouter(prefix="/api/weddings/{wedding}/search", tags=["search"])


class SearchPage(BaseModel):
    """A page of results, the newest first."""

    hits: list[dict[str, Any]] = Field(
        description="Of each, `document`, `root`, `record` and `key` of a text, an `excerpt` of it, the position "
        "`start` of the excerpt in the text, and `highlights`: first position and the one behind the last, in the "
        "excerpt. Positions count code points. Of a message also `from` and `at`"
    )
    next: int | None = Field(description="What `after` is for the next page; null: there is none")


@router.get("")
@by_content
async def get_search(
    request: Request,
    caller: Authorized,
    wedding: str,
    q: Annotated[str, Query(max_length=LONGEST_QUERY, description='Words, "words in a row", the begin* of a word')],
    after: Annotated[int, Query(ge=1, le=NEWEST, description="`next` of the page before")] = NEWEST,
) -> SearchPage:
    """Messages, notes of records and the page `board` that have all words, in documents that the caller may read now.
    Case and accents do not matter. Free documents `notes.…` are not searched. A page has up to 50 texts. 422
    `search_too_broad` where too many words fit."""
    name = wedding_name(wedding)
    service: SearchService = request.app.state.search
    person = person_at(caller.identity, caller.address)
    page = await service.find(name, q, lambda document: caller.may(Action.READ, name, document), after, person)
    return SearchPage(hits=[_as_json(each) for each in page.found], next=page.next)


def _as_json(found: Found) -> dict[str, Any]:
    message = found.message or {}
    shown = {name: getattr(found, name) for name in ("document", "root", "record", "key", "excerpt", "start")}
    return {**shown, "highlights": found.highlights, **message}
