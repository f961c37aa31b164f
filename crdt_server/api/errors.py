"""The meaning of error codes over HTTP: the `link` of a problem document leads here."""

from __future__ import annotations

from fastapi import APIRouter, Request
from pydantic import BaseModel

from crdt_server.api.error_codes import CODES
from crdt_server.api.requests import begin_public
from crdt_server.api.rights import public
from crdt_server.errors import NotFoundError

router = APIRouter(prefix="/api/errors", tags=["errors"])


class ErrorCode(BaseModel):
    """A code of problem documents."""

    code: str
    meaning: str
    remedy: str


@router.get("/{code}")
@public
async def get_error(request: Request, code: str) -> ErrorCode:
    """The meaning of a code of a problem document, and the remedy."""
    begin_public(request)
    explained = CODES.get(code)
    if explained is None:
        raise NotFoundError("not_found", "there is no such code")
    return ErrorCode(code=code, **explained._asdict())
