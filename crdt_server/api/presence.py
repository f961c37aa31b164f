"""Who is there, over HTTP: the people of a wedding with the documents they are in, and when they were last there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from crdt_server.access.access import Action
from crdt_server.api.requests import Authorized, Caller, wedding_name
from crdt_server.api.rights import by_content
from crdt_server.hub.hub import Hub
from crdt_server.hub.last_seen import PersonPresence, PresenceStatus, current_rows, people_of
from crdt_server.rooms.awareness_fields import sees_restricted, without_restricted
from documents.categories import AccessCategory
from storage import Storage

router = APIRouter(prefix="/api/weddings/{wedding}/presence", tags=["presence"])


class DocumentPresence(BaseModel):
    """A document that somebody is in."""

    document: str
    fields: dict[str, Any] = Field(description="Of the presence there, as far as the caller may see them")


class Person(BaseModel):
    """Somebody who is or was there."""

    user: str
    name: str
    role: str
    status: PresenceStatus
    last_seen: datetime = Field(description="Now, for people with a socket; else when the last one ended")
    changed_at: datetime = Field(description="When the person's presence became another one")
    documents: list[DocumentPresence]


class People(BaseModel):
    """The people of a wedding that the caller may see, by user."""

    people: list[Person]


@router.get("")
@by_content
async def get_presence(request: Request, caller: Authorized, wedding: str) -> People:
    """The people who are or were there. `away`: connected, without a change of the presence for 5 minutes, or 2 in the
    phase `live`. `offline`: without a socket for 30 s.

    Of documents only those that the caller may read; of people all for those who may read the members, else those in
    such a document, and the caller. At another node than the caller's, `fields` may be a minute old.
    """
    hub: Hub = request.app.state.hub
    storage: Storage = hub.storage
    name = wedding_name(wedding)
    stored = await storage.last_seen(name)
    live = await _is_live(storage, name)
    rows = current_rows(stored, hub.people.rows(name), hub.people.node)
    return People(people=list(_visible(caller, name, people_of(rows, hub.people.moment(), live=live))))


async def _is_live(storage: Storage, wedding: str) -> bool:
    rows = await storage.records_of_root(wedding, "meta", "")
    return any(
        document == "wedding" and json.loads(row.fields or "{}").get("phase") == "live" for document, row in rows
    )


def _visible(caller: Caller, wedding: str, people: list[PersonPresence]) -> Iterator[Person]:
    readable: dict[str, bool] = {}
    sees_all_people = caller.may(Action.READ, wedding, AccessCategory.MEMBERS)
    sees_all_fields = sees_restricted(caller.identity)
    for person in people:
        for document in person.documents.keys() - readable.keys():
            readable[document] = caller.may(Action.READ, wedding, document)
        shown = {document: fields for document, fields in person.documents.items() if readable[document]}
        if not (shown or sees_all_people or person.user == caller.identity.user):
            continue
        if person.status is PresenceStatus.OFFLINE:
            shown = {}
        yield Person(
            user=person.user,
            name=person.name,
            role=person.role,
            status=person.status,
            last_seen=person.last_seen,
            changed_at=person.changed_at,
            documents=[
                DocumentPresence(document=document, fields=fields if sees_all_fields else without_restricted(fields))
                for document, fields in sorted(shown.items())
            ],
        )
