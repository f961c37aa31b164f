"""Clients that write at every node of a cluster, and the checks of their replicas and of the store."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from pycrdt import Array, Doc, Map, Text

from crdt_server.protocol.update import decode_state_vector
from storage import DocumentKey, Storage
from tests.support.yclient import YClient

NOTES, GUESTS = "notes.a", "guests"
TWIN_EVERY = 10  # writes of a guest list: two of its clients then enter the same person
CONVERGE_SECONDS = 90.0
POLL_SECONDS = 0.2  # it compares all contents


class Roamer(YClient):
    """A client that goes to the next node with every connection."""

    def __init__(self, ports: Sequence[int], key: DocumentKey, name: str, seed: int, first: int = 0) -> None:
        self._addresses = itertools.cycle(
            f"ws://127.0.0.1:{port}/ws/{key.wedding}/{key.document}?user={name}"
            for port in (*ports[first:], *ports[:first])
        )
        self.key = key
        super().__init__("", name, seed)

    @property
    def url(self) -> str:  # type: ignore[override]
        """Of the next connection."""
        return next(self._addresses)

    @url.setter
    def url(self, value: str) -> None:
        """Fixed by the nodes."""


class Hosts(Roamer):
    """A client of a guest list. Every tenth write enters a guest that another client enters as well."""

    async def write(self) -> str:
        number, self.written = self.written, self.written + 1
        guests = self.doc.get("guests", type=Map)
        own = f"g_{self.name}_{number // TWIN_EVERY}"
        with self.doc.transaction():
            if number % TWIN_EVERY == 0:
                email = f"twin{number}@example.org"
                guests[own] = Map({"firstName": self.name, "email": email, "note": Text("")})
            elif number % 2 and own in guests:
                note = guests[own]["note"]
                note.insert(self._random.randint(0, len(note)), f"{number} ")
            else:
                guests[self._random.choice(list(guests.keys()))]["meal"] = self._random.choice(("fish", "beef"))
        await self.flush()
        return own


class Room(NamedTuple):
    """A document and its clients."""

    key: DocumentKey
    clients: list[Roamer]


class Crowd:
    """All clients, by room: in each wedding two of a note and two of a guest list, or more."""

    def __init__(self, ports: Sequence[int], *, weddings: int, clients: int, seed: int, pace_seconds: float) -> None:
        rooms = itertools.product((NOTES, NOTES, GUESTS, GUESTS), range(weddings))
        by_key: dict[DocumentKey, list[Roamer]] = defaultdict(list)
        for number, (document, wedding) in zip(range(clients), itertools.cycle(rooms), strict=False):
            key = DocumentKey(f"w{wedding}", document)
            kind = Hosts if document == GUESTS else Roamer
            first = (len(by_key[key]) + wedding) % len(ports)
            by_key[key].append(kind(ports, key, f"c{number}", seed, first))
        self.rooms = [Room(key, members) for key, members in by_key.items()]
        self.clients = [client for room in self.rooms for client in room.clients]
        self.audits = 0
        self._random = random.Random(seed)
        self._pace_seconds = pace_seconds
        self._writers: list[asyncio.Task[None]] = []

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Crowd]:
        await asyncio.gather(*(client.__aenter__() for client in self.clients))
        try:
            yield self
        finally:
            await asyncio.gather(*(client.__aexit__(None, None, None) for client in self.clients))

    # -- writing

    def start_writing(self) -> None:
        self._writers = [asyncio.create_task(self._keep_writing(client)) for client in self.clients]

    async def _keep_writing(self, client: Roamer) -> None:
        while True:
            await asyncio.sleep(self._pace_seconds * self._random.uniform(0.2, 1.8))  # the pace of the load, not a wait
            await client.write()

    async def stop_writing(self) -> None:
        for writer in self._writers:
            writer.cancel()
        for outcome in await asyncio.gather(*self._writers, return_exceptions=True):
            if not isinstance(outcome, asyncio.CancelledError):
                raise AssertionError("a writer ended by itself") from outcome
        self._writers = []

    async def all_saved(self, seconds: float = CONVERGE_SECONDS) -> None:
        """Wait until every client has the echo of all its edits."""
        await asyncio.gather(*(client.until(lambda c=client: c.saved, seconds) for client in self.clients))  # type: ignore[misc]

    @property
    def written(self) -> int:
        return sum(client.written for client in self.clients)

    @property
    def closes(self) -> Counter[int]:
        return Counter(code for client in self.clients for code in client.closes)

    @property
    def refused(self) -> list[str]:
        """Clients that were refused for good, although all are honest."""
        return [
            f"{client.name} of {client.key} was refused with {code}"
            for client in self.clients
            for code in client.closes
            if 4400 <= code < 4500
        ]

    @property
    def conflicts(self) -> int:
        """About people who are on a list twice."""
        return sum(len(twins(room)) for room in self.rooms if room.key.document == GUESTS)

    # -- checks

    async def audit(self, room: Room, storage: Storage) -> list[str]:
        """Updates that a client has received and the store lacks. Raises StorageError."""
        received = [decode_state_vector(client.received.get_state()) for client in room.clients]
        clocks = decode_state_vector((await _stored(room.key, storage)).get_state())
        self.audits += 1
        return [
            f"{room.key}: {client.name} had {author} up to {clock}, the store up to {clocks.get(author, 0)}"
            for client, vector in zip(room.clients, received, strict=True)
            for author, clock in vector.items()
            if clock > clocks.get(author, 0)
        ]

    async def converged(self, storage: Storage, seconds: float = CONVERGE_SECONDS) -> list[str]:
        """Wait until all replicas are complete, and return the faults. To be called when no client writes any more."""
        try:
            await self.all_saved(seconds)
            async with asyncio.timeout(seconds):
                while not all(map(_settled, self.rooms)):  # noqa: ASYNC110 - no event reports it
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            found = [f"{each.name} of {each.key} has unsaved edits" for each in self.clients if not each.saved]
            found += [f"the replicas of {room.key} differ" for room in self.rooms if not _equal(room)]
            return found + [f"conflicts of {room.key} are missing" for room in self.rooms if _lacks_conflicts(room)]
        return [fault for room in self.rooms for fault in await _compare(room, storage)]


def _equal(room: Room) -> bool:
    held = [contents(doc, room.key.document) for client in room.clients for doc in (client.doc, client.received)]
    return all(each == held[0] for each in held)


def _settled(room: Room) -> bool:
    return _equal(room) and not _lacks_conflicts(room)


def _lacks_conflicts(room: Room) -> bool:
    """Whether a guest was entered by two clients, and no conflict was recorded, nor counted as not listed."""
    if room.key.document != GUESTS:
        return False
    emails = Counter(each.get("email") for each in contents(room.clients[0].doc, GUESTS)["guests"].values())
    del emails[None]
    return len(twins(room)) + _unlisted(room) < sum(count - 1 for count in emails.values())


def twins(room: Room) -> list[str]:
    """The conflicts about people who are on the list twice, as far as they are listed."""
    return [conflict_of(record) for record in _about_twins(room) if record["_subject"]]


def _unlisted(room: Room) -> int:
    """How many of them are only counted: a slow machine takes longer, and more are entered meanwhile."""
    counts = (each for each in _about_twins(room) if not each["_subject"] and each["_state"] == "open")
    return sum(int(each["_summary"].partition(" ")[0]) for each in counts)


def _about_twins(room: Room) -> list[dict[str, Any]]:
    review = contents(room.clients[0].doc, GUESTS)["review"]
    return [record for record in review.values() if record["_kind"] == "G1"]


async def _compare(room: Room, storage: Storage) -> list[str]:
    """The store against what the clients hold, deletions included; and conflicts that are there twice."""
    stored = await _stored(room.key, storage)
    clocks, content = stored.get_state(), contents(stored, room.key.document)
    for client in room.clients:
        stored.apply_update(client.received.get_update())
    faults = []
    if decode_state_vector(stored.get_state()) != decode_state_vector(clocks):
        faults.append(f"{room.key}: insertions that a client had received are missing")
    if contents(stored, room.key.document) != content:
        faults.append(f"{room.key}: deletions that a client had received are missing")
    if content != contents(room.clients[0].doc, room.key.document):
        faults.append(f"{room.key}: the store differs from the replicas")
    return faults + [f"{room.key}: conflict {each} is there twice" for each in _twice(room, content)]


def _twice(room: Room, content: Any) -> list[str]:
    if room.key.document != GUESTS:
        return []
    seen = Counter(conflict_of(record) for record in content["review"].values())
    return [conflict for conflict, count in seen.items() if count > 1]


def conflict_of(record: dict[str, Any]) -> str:
    """What a record of a conflict is about: two people who are one are so once, a field is fought over many times."""
    when = None if record["_kind"] == "G1" else record["_at"]
    return json.dumps([record["_kind"], record["_subject"], when], sort_keys=True)


async def _stored(key: DocumentKey, storage: Storage) -> Doc[Any]:
    stored: Doc[Any] = Doc()
    for row in (await storage.load(key)).updates:
        stored.apply_update(row.update)
    return stored


def contents(doc: Doc[Any], document: str) -> Any:
    """Everything that is in a document."""
    if document == GUESTS:
        return {root: json.loads(str(doc.get(root, type=Map))) for root in ("meta", "guests", "review")}
    return json.loads(str(doc.get("edits", type=Array)))
