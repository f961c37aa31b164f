"""Whether people may still know of events when messages about them go out, or their inbox is read, hours after they
were routed: a role may have changed meanwhile, somebody may not take part in a thread any more, a message may be
redacted."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Collection, Iterator
from typing import Protocol

from crdt_server.access.identity import Identity
from crdt_server.access.members import WeddingRights
from crdt_server.access.threads import THREAD
from crdt_server.services.messaging.event_facts import RoutedEvent, WeddingRows, decoded
from crdt_server.services.messaging.knowledge import Knowledge
from crdt_server.services.messaging.planning import Planner
from crdt_server.services.messaging.recipients import Recipients
from crdt_server.services.messaging.router import RightsOfWeddings
from crdt_server.services.messaging.rules import RoutingRules
from storage import RoutingReader, Storage
from storage.routing_reader import events_of


class KnownNow(Protocol):
    """`StillKnown.events`."""

    def __call__(self, wedding: str, user: str, events: Collection[int], /) -> Awaitable[Collection[int]]:
        """Those of some events that a person may know of now."""


async def all_known(wedding: str, user: str, events: Collection[int]) -> Collection[int]:
    """The `KnownNow` of a server without rights."""
    return events


class StillKnown:
    """Decides as the router does, by the rights and rows of now."""

    def __init__(self, storage: Storage, planner: Planner, rights: RightsOfWeddings) -> None:
        self._storage = storage
        self._planner = planner
        self._rights = rights

    async def events(self, wedding: str, user: str, events: Collection[int]) -> set[int]:
        """Those of some events that a person may know of now; one that is not kept any more is none of them. Raises
        StorageError."""
        found = self._rights.of(wedding)
        rights = await found if inspect.isawaitable(found) else found
        return await self._storage.plan_routing(
            wedding, lambda reader: set(_known(self._planner, reader, rights, user, events))
        )


def _known(
    planner: Planner, reader: RoutingReader, rights: WeddingRights, user: str, events: Collection[int]
) -> Iterator[int]:
    people = planner.people.of(reader.wedding, rights)
    if user not in people:
        return
    rows = WeddingRows(reader)
    to = Recipients(reader, rows, people, planner.access, reader.wedding, planner.mentioned)
    knowledge = Knowledge(planner.access, reader.wedding, rows)
    rules = planner.rules.overridden((each.rule, each.body) for each in reader.overrides())
    for stored in events_of(reader, events):
        if _may_know(knowledge, to, rules, people[user], decoded(stored)):
            yield stored.seq


def _may_know(knowledge: Knowledge, to: Recipients, rules: RoutingRules, person: Identity, event: RoutedEvent) -> bool:
    if event.document.startswith(THREAD) and event.record in to.rows.rows(event.document, "redactions"):
        return False
    participants = to.participants(event.document)
    if knowledge.of(person, event, participants=participants) is not None:
        return True
    telling = (rule for rule in rules.about(event.type) if rule.tells is not None)
    return any(person.user in to.named_by(rule.audience, event) for rule in telling)
