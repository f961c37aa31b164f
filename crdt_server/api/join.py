"""The first call of a client: the permissions of its person, the documents they may open, and where."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from crdt_server.access.access import Action
from crdt_server.access.identity import NAME_LENGTH, Identity
from crdt_server.api.requests import Authorized, Caller, wedding_name
from crdt_server.api.rights import by_content
from crdt_server.api.writable import Extent, Writable, writable_in, writable_in_derived
from crdt_server.services.wedding_meta import wedding_meta
from documents.categories import AccessCategory
from documents.derived import documents_for
from documents.field_rules import written_as
from documents.registry import FAMILIES, NAMES, kind_of
from storage import DocumentKey, Storage

MOST_LISTED = 500
"""Documents of families in one answer."""

router = APIRouter(prefix="/api/weddings/{wedding}/join", tags=["join"])


class JoinedPerson(BaseModel):
    """The caller, in the role that this wedding gives."""

    user: str
    id: str = Field(description="The user as documents have it, in `by` and `from`")
    name: str
    role: str
    vendor: str
    guest: str
    side: str


class OpenDocument(BaseModel):
    """A document that the caller may open."""

    name: str = Field(description="In `families`: with `*` in place of any name")
    write: Extent = Field(description="Everything, what is the caller's own, or nothing")
    writable: list[str] = Field(description="With `own`, the parts: `root`, `root.key`, or `root.family:`")


class Joined(BaseModel):
    """The rights of the caller, and what a client needs to open documents."""

    wedding: str
    person: JoinedPerson
    title: str | None = Field(description="Of the wedding")
    phase: str | None = Field(description="planning, locked, live or closed")
    permissions: dict[str, list[str]] = Field(
        description="By category: `read`, `read_part` (of a derived document), `comment`, `write`, `write_own`, "
        "`administer`"
    )
    documents: list[OpenDocument]
    families: list[OpenDocument] = Field(description="Families of documents of which the caller may open any, also new")
    next: str | None = Field(None, description="What `after` is for more documents of families; null: there are none")
    now: float = Field(description="The clock of the server, in seconds since 1970: moments are written by it")
    expires_at: float | None = Field(None, description="When the token expires, in seconds since 1970; null: never")
    websocket: str = Field(
        description="Prefix of the WebSocket URLs of documents, relative to the URL of this call: "
        "`/ws/demo` is `wss://HOST/ws/demo/timeline`"
    )


After = Annotated[
    str,
    Query(max_length=NAME_LENGTH, pattern=r"^[\x20-\x7e]*$", description="The `next` of the answer before"),
]


@router.post("")
@by_content
async def post_join(request: Request, caller: Authorized, wedding: str, after: After = "") -> Joined:
    """The caller's rights, and the documents that the caller may open. Those of families (`thread.*`) are listed where
    they exist, 500 in an answer; with `after`, the next ones only."""
    storage: Storage = request.app.state.hub.storage
    listed, following = await open_documents(storage, caller, wedding_name(wedding), after)
    identity = caller.identity
    meta = await meta_of(storage, caller, wedding)
    return Joined(
        wedding=wedding,
        person=_person(identity),
        title=meta.get("title"),
        phase=meta.get("phase"),
        permissions={category.value: _permissions(caller, wedding, category) for category in AccessCategory},
        documents=listed,
        families=families_of(caller, wedding),
        next=following,
        now=time.time(),
        expires_at=caller.authenticated.expires_at,
        websocket=f"{request.scope.get('root_path', '')}/ws/{wedding}",
    )


async def open_documents(
    storage: Storage, caller: Caller, wedding: str, after: str
) -> tuple[list[OpenDocument], str | None]:
    """The documents that the caller may open, and the `next` of that page. With ``after`` those of families only."""
    listed, following = await _of_families(storage, caller, wedding, after)
    return (listed if after else [*_known(caller, wedding), *listed]), following


def _person(identity: Identity) -> JoinedPerson:
    fields = {name: getattr(identity, name) for name in JoinedPerson.model_fields if name != "id"}
    return JoinedPerson(id=written_as(identity.user), **fields)


def _permissions(caller: Caller, wedding: str, category: AccessCategory) -> list[str]:
    return [action.value for action in Action if caller.may(action, wedding, category)]


def _known(caller: Caller, wedding: str) -> list[OpenDocument]:
    """The documents that every wedding has, and those that are derived for people like the caller."""
    identity = caller.identity
    whole = [_document(caller, wedding, name) for name in sorted(NAMES) if caller.may(Action.READ, wedding, name)]
    derived = [
        _described(each.name, writable_in_derived(each.kind))
        for each in documents_for(identity.role, identity.vendor, identity.guest, identity.side)
        if caller.may(Action.READ, wedding, each.name)
    ]
    return [*whole, *derived]


def families_of(caller: Caller, wedding: str) -> list[OpenDocument]:
    """The families of which the caller may open any document, also a new one."""
    names = ((f"{family}.*", f"{family}.new") for family in sorted(FAMILIES))
    return [
        _document(caller, wedding, new).model_copy(update={"name": name})
        for name, new in names
        if caller.may(Action.READ, wedding, new)
    ]


async def _of_families(
    storage: Storage, caller: Caller, wedding: str, after: str
) -> tuple[list[OpenDocument], str | None]:
    """The next documents of families that exist, and the `next` behind them. It names one of them: that there are
    others, which the caller may not read, is not shown."""
    found: list[OpenDocument] = []
    async for key in storage.keys(wedding, DocumentKey(wedding, after)):
        name = key.document
        if "." not in name or "@" in name or not caller.may(Action.READ, wedding, name):
            continue
        if len(found) == MOST_LISTED:
            return found, found[-1].name
        found.append(_document(caller, wedding, name))
    return found, None


def _document(caller: Caller, wedding: str, name: str) -> OpenDocument:
    kind = kind_of(name)
    assert kind is not None, name
    may_write = caller.may(Action.WRITE, wedding, name)
    return _described(name, writable_in(caller.identity, kind, may_write=may_write))


def _described(name: str, writable: Writable) -> OpenDocument:
    return OpenDocument(name=name, write=writable.extent, writable=list(writable.parts))


async def meta_of(storage: Storage, caller: Caller, wedding: str) -> dict[str, Any]:
    """Title and phase of a wedding: everybody reads them who reads anything of the wedding's settings."""
    if not caller.may(Action.READ_PART, wedding, AccessCategory.WEDDING):
        return {}
    return await wedding_meta(storage, wedding)
