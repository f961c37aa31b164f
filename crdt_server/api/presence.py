"""Presence over HTTP: the people of a wedding with the documents they are in, and when they were last there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from crdt_server.access.access import Action
from crdt_server.api.requests import Authorized, Caller, wedding_name
from crdt_server.api.rights import by_content
from crdt_server.hub.hub import Hub
from crdt_server.hub.last_seen import PersonPresence, PresenceStatus, current_rows, people_of
from crdt_server.rooms.awareness_fields import sees_restricted, without_restricted
from crdt_server.services.wedding_meta import wedding_meta
from documents.categories import AccessCategory
from storage import Storage

Fields: TypeAlias = Mapping[str, dict[str, Any]]
PEOPLE_PER_TURN = 50  # of the loop: 5 ms where each is in as many documents as a row holds

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


@router.get("", response_model=People)
@by_content
async def get_presence(request: Request, caller: Authorized, wedding: str) -> Response:
    """The people who are or were there. `away`: connected, without a change of the presence for 5 minutes, or 2 in the
    phase `live`. `offline`: without a socket for 30 s.

    Of documents only those that the caller may read; of people all for those who may read the members, else those in
    such a document, and the caller. At another node than the caller's, `fields` may be a minute old.
    """
    hub: Hub = request.app.state.hub
    storage: Storage = hub.storage
    name = wedding_name(wedding)
    stored = await storage.last_seen(name)
    live = (await wedding_meta(storage, name)).get("phase") == "live"
    rows = current_rows(stored, await hub.people.rows(name), hub.people.node)
    view = _View(caller, name)
    shown = []
    for count, person in enumerate(people_of(rows, hub.people.moment(), live=live), 1):
        documents = view.documents_of(person)
        if documents is not None:
            shown.append(_encode(person, documents))
        if count % PEOPLE_PER_TURN == 0:
            await asyncio.sleep(0)
    return Response(f'{{"people":[{",".join(shown)}]}}', media_type="application/json")


async def visible_names(request: Request, caller: Caller, wedding: str) -> dict[str, str]:
    """User -> name, of the people who are or were there and whom the caller may see."""
    hub: Hub = request.app.state.hub
    rows = current_rows(await hub.storage.last_seen(wedding), await hub.people.rows(wedding), hub.people.node)
    view = _View(caller, wedding)
    people = people_of(rows, hub.people.moment(), live=False)
    return {each.user: each.name for each in people if each.name and view.documents_of(each) is not None}


class _View:
    """The part of the people that a caller may see."""

    def __init__(self, caller: Caller, wedding: str) -> None:
        self._caller = caller
        self._wedding = wedding
        self._sees_all_people = caller.may(Action.READ, wedding, AccessCategory.MEMBERS)
        self._sees_all_fields = sees_restricted(caller.identity)
        self._readable: dict[str, bool] = {}

    def documents_of(self, person: PersonPresence) -> Fields | None:
        """The documents of a person with their fields; None where the person is not to be seen."""
        shown = {name: fields for name, fields in person.documents.items() if self._may_read(name)}
        if not (shown or self._sees_all_people or person.user == self._caller.identity.user):
            return None
        if person.status is PresenceStatus.OFFLINE:
            return {}
        return shown if self._sees_all_fields else {name: without_restricted(shown[name]) for name in shown}

    def _may_read(self, document: str) -> bool:
        if document not in self._readable:
            self._readable[document] = self._caller.may(Action.READ, self._wedding, document)
        return self._readable[document]


def _encode(person: PersonPresence, documents: Fields) -> str:
    # Not by the models above: fields may have half of a surrogate pair, which they do not encode.
    return json.dumps(
        {
            "user": person.user,
            "name": person.name,
            "role": person.role,
            "status": person.status.value,
            "last_seen": _text_of(person.last_seen),
            "changed_at": _text_of(person.changed_at),
            "documents": [{"document": name, "fields": fields} for name, fields in sorted(documents.items())],
        }
    )


def _text_of(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
