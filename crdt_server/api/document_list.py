"""The documents of a wedding that the caller may open."""

from __future__ import annotations

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from crdt_server.api.join import After, OpenDocument, families_of, open_documents
from crdt_server.api.requests import Authorized, wedding_name
from crdt_server.api.rights import by_content

router = APIRouter(prefix="/api/weddings/{wedding}/documents", tags=["documents"])


class OpenDocuments(BaseModel):
    """Documents, and the families of which the caller may open any."""

    documents: list[OpenDocument]
    families: list[OpenDocument] = Field(description="Families of documents of which the caller may open any, also new")
    next: str | None = Field(None, description="What `after` is for more documents of families; null: there are none")


@router.get("")
@by_content
async def get_documents(request: Request, caller: Authorized, wedding: str, after: After = "") -> OpenDocuments:
    """The documents that the caller may open, as in the answer to `join`. Those of families (`thread.*`) are listed
    where they exist, 500 in an answer; with `after`, the next ones only."""
    storage = request.app.state.hub.storage
    listed, following = await open_documents(storage, caller, wedding_name(wedding), after)
    return OpenDocuments(documents=listed, families=families_of(caller, wedding), next=following)
