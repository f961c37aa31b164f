"""The catalogue of sentences over HTTP: clients that read documents put `_sentence` into words themselves."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from crdt_server.api.requests import begin_public
from crdt_server.api.rights import public
from crdt_server.errors import NotFoundError
from documents.sentences import CATALOGUE

KEPT_SECONDS = 3600
"""How long clients keep a catalogue: it changes with the version of the server only."""

router = APIRouter(prefix="/api/sentences", tags=["sentences"])


class Catalogue(BaseModel):
    """The texts of one language."""

    language: str
    texts: dict[str, str] = Field(description="By id; names in braces are values of the sentence")


@router.get("/{language}")
@public
async def get_sentences(request: Request, response: Response, language: str) -> Catalogue:
    """All texts in a language (`en`, `de`), as `documents/sentences` describes them: `_sentence` of a conflict, and
    `sentence` of an option or party, have an id in it and values."""
    begin_public(request)
    texts = CATALOGUE.get(language)
    if texts is None:
        raise NotFoundError("not_found", f"there are texts in {', '.join(sorted(CATALOGUE))}")
    response.headers["Cache-Control"] = f"public, max-age={KEPT_SECONDS}"
    return Catalogue(language=language, texts=dict(texts))
