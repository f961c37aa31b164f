"""The audit log over HTTP."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from crdt_server.access.access import Action, require_allowed
from crdt_server.access.threads import THREAD
from crdt_server.api.requests import Authorized, Caller, wedding_name
from crdt_server.api.rights import requires
from crdt_server.services.members import MemberService
from documents.categories import AccessCategory
from storage import AuditEntry, Storage

PAGE_CHARACTERS = 1_000_000

router = APIRouter(prefix="/api/weddings/{wedding}/audit", tags=["audit"])


class AuditPage(BaseModel):
    """Entries in their order, each with its digest and that of the one before."""

    entries: list[dict[str, Any]]
    head: int = Field(description="The number of the newest entry")
    digest: str = Field(description="Its digest: kept elsewhere, it proves what the log was")


@router.get("")
@requires(AccessCategory.MEMBERS, Action.ADMINISTER)
async def get_audit(
    request: Request,
    caller: Authorized,
    wedding: str,
    after: Annotated[int, Query(ge=0, le=(1 << 63) - 1, description="The newest entry that the client has")] = 0,
) -> AuditPage:
    """The next entries behind number `after`: at most 500, and a page ends behind a million characters of them. The
    couple and planners may read them; one about a thread that the caller may not open has an empty `detail`."""
    members: MemberService = request.app.state.members
    require_allowed((await members.rights_in(wedding_name(wedding))).may_read_audit(caller.identity))
    storage: Storage = request.app.state.hub.storage
    head = await storage.audit_head(wedding_name(wedding))
    page = await storage.audit(wedding, after=after, characters=PAGE_CHARACTERS)
    return AuditPage(entries=[_as_json(caller, wedding, each) for each in page], head=head.seq, digest=head.digest)


def _as_json(caller: Caller, wedding: str, entry: AuditEntry) -> dict[str, Any]:
    """An entry. The participants of a thread are hidden from those who may not open it: they have no `detail`."""
    detail = json.loads(entry.detail)
    document = detail.get("document", "")
    if "thread" in detail:
        document = THREAD + detail["thread"].removeprefix(THREAD)
    if document.startswith(THREAD) and not caller.may(Action.READ, wedding, document):
        detail = {}
    return {**entry._asdict(), "detail": detail}
