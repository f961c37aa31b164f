"""The sample wedding in a document host inside this process, and what a stock client of each document would send.

A request goes through `DocumentHost.handle` as it does in the host's own process: unpacked before, packed after. Times
are of the wall clock, since the kernel may count CPU time in ticks of milliseconds; a median does not see the
interruptions.
"""

import gc
import os
import random
import tempfile
import time
from collections.abc import Callable, Mapping
from typing import Any

from pycrdt import Doc, Map, TransactionEvent, merge_updates

from crdt_server.access.identity import Identity
from crdt_server.judge.process import DocumentHost
from crdt_server.pipe import (
    LENGTH,
    Batch,
    BatchResponse,
    Fault,
    HostRequest,
    LoadStep,
    RequestKind,
    RoomRequests,
    RoomResult,
    SchemaContext,
    Status,
    decode_batch,
    decode_response,
    frame,
)
from crdt_server.progress_mark import ProgressMark
from crdt_server.protocol.update import decode_update
from crdt_server.records import ClientOwner, MirrorRow
from documents.registry import kind_of
from documents.sample import sample_wedding
from documents.sample.build import build

ACTOR = Identity("user", "couple")
WRITER = 5_000  # Yjs client id of what is stored
CLIENT = 7_000_000_000
START = 1_790_000_000.0
EDIT_SECONDS = 0.01  # between two edits
LIMIT_BYTES = 64 << 20
DRY_RUN_SECONDS = 0.005  # between two tries, while a copy of the host applies a large update first

Change = Callable[[Doc[Any], random.Random], None]


def _guest(doc: Doc[Any], chance: random.Random) -> Map[Any]:
    guests = doc.get("guests", type=Map)
    found: Map[Any] = guests[chance.choice(sorted(guests.keys()))]
    return found


def _record(doc: Doc[Any], root: str, chance: random.Random) -> Map[Any]:
    records = doc.get(root, type=Map)
    found: Map[Any] = records[chance.choice(sorted(records.keys()))]
    return found


def _rsvp(doc: Doc[Any], chance: random.Random) -> None:
    _guest(doc, chance)["rsvp:e_reception"] = chance.choice(["yes", "no", "maybe"])


def _phone(doc: Doc[Any], chance: random.Random) -> None:
    _guest(doc, chance)["phone"] = f"+44 7700 {chance.randrange(10**6, 10**7)}"


def _start(doc: Doc[Any], chance: random.Random) -> None:
    item = _record(doc, "items", chance)
    item["start"] = item["start"] + chance.choice([-1, 1])


def _quoted(doc: Doc[Any], chance: random.Random) -> None:
    item = _record(doc, "items", chance)
    item["quoted"] = item.get("quoted", 10_000) + chance.choice([-100, 100])


def _note(doc: Doc[Any], chance: random.Random) -> None:
    note = _guest(doc, chance)["note"]
    note.insert(len(str(note).encode()), "a")


def _seat(doc: Doc[Any], chance: random.Random) -> None:
    assignments = doc.get("assignments", type=Map)
    tables = sorted(doc.get("tables", type=Map).keys())
    assignments[chance.choice(sorted(assignments.keys()))] = {"table": chance.choice(tables), "seat": None}


EDITS: Mapping[str, tuple[str, Change]] = {
    "rsvp": ("guests", _rsvp),
    "phone": ("guests", _phone),
    "character of a note": ("guests", _note),
    "start of an item": ("timeline", _start),
    "quoted amount": ("budget", _quoted),
    "seat": ("seating", _seat),
}
"""Kind of edit -> document and what changes."""


def _meal_of_the_last(doc: Doc[Any], chance: random.Random) -> None:
    guests = doc.get("guests", type=Map)
    guests[max(guests.keys())]["meal"] = f"m{chance.randrange(10**6)}"


ONE_GUEST = "meal of one guest"
_CHANGES = {**EDITS, ONE_GUEST: ("guests", _meal_of_the_last)}
LISTS = ("guests@side.a", "guests@side.b", "guests@service", "care@cater", "seating@service")
"""Derived documents that show all guests."""


def change_many(doc: Doc[Any], count: int, chance: random.Random) -> None:
    """That many edits of the document `guests`, each a transaction of its own."""
    for _ in range(count):
        chance.choice([_rsvp, _phone, _note])(doc, chance)


class WeddingHost:
    """See the head of the file. ``seconds`` is what the last request took."""

    def __init__(self, guests: int) -> None:
        self.seconds = 0.0
        self._chance = random.Random(1)
        sample = sample_wedding(guests=guests, violations=0)
        self._stored = {
            name: [build(rows, kind=_kind(name), client_id=WRITER + index)]
            for index, (name, rows) in enumerate(sample.documents.items())
        }
        self._rooms = {name: index for index, name in enumerate(self._stored, 1)}
        self._names = {room: name for name, room in self._rooms.items()}
        self._owners: dict[str, dict[int, str]] = {name: {} for name in self._stored}
        self._mirror: dict[tuple[str, str, str], list[Any]] = {}
        self._requests = 0
        self._host = _new_host()
        self._replicas: dict[str, Doc[Any]] = {}
        self.load()  # as it was planted; from now on the store has the rows as well
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)  # as a host does

    def load(self) -> float:
        """Every document, compacted, into a new host and made ready for an edit; the seconds it took."""
        self._host = _new_host()
        seconds = 0.0
        for name, room in self._rooms.items():
            updates = self._stored[name] = [merge_updates(*self._stored[name])]
            owners = [ClientOwner(*owner) for owner in self._owners[name].items()]
            rows = [MirrorRow(*where, *values) for where, values in self._mirror.items()] if not seconds else None
            step = LoadStep(updates, context=SchemaContext("bench", name, owners, rows))
            ready = HostRequest(RequestKind.RUN_SCHEDULED, b"", actor=ACTOR)
            result = self._request(RoomRequests(room, [ready], step))
            seconds += self.seconds
            while result.faults:  # a slice of it is done
                result = self._request(RoomRequests(room, [ready]))
                seconds += self.seconds
        return seconds

    def edit(self, kind: str, count: int = 1) -> float:
        """That many edits by a stock client in one batch, each a transaction and an update of its own; the seconds they
        took. Raises RuntimeError when one was not simply accepted."""
        name, change = _CHANGES[kind]
        doc = self._replica(name)
        sent: list[bytes] = []

        def keep(event: TransactionEvent) -> None:
            sent.append(event.update)

        subscription = doc.observe(keep)
        for _ in range(count):
            with doc.transaction():
                change(doc, self._chance)
        doc.unobserve(subscription)
        return self._send(name, sent, None)

    def open_derived(self, name: str) -> None:
        """Open a derived document of which nothing is stored."""
        room = self._rooms[name] = len(self._rooms) + 1
        self._names[room], self._stored[name], self._owners[name] = name, [], {}
        step = LoadStep([], context=SchemaContext("bench", name, []))
        ready = HostRequest(RequestKind.RUN_SCHEDULED, b"", actor=ACTOR)
        result = self._request(RoomRequests(room, [ready], step))
        while result.faults:
            result = self._request(RoomRequests(room, [ready]))

    def guests(self) -> list[str]:
        """The ids of the guests, in order; the last one is that of `ONE_GUEST`."""
        return sorted(self._replica("guests").get("guests", type=Map).keys())

    def merge(self, count: int) -> float:
        """What a client did in `count` edits of the guests while it was away; the seconds it took."""
        name = "guests"
        away: Doc[Any] = Doc(client_id=CLIENT + 1_000 + self._requests)
        away.apply_update(self._replica(name).get_update())
        knows = away.get_state()
        change_many(away, count, self._chance)
        update = away.get_update(knows)
        self._replica(name).apply_update(update)
        return self._send(name, [update], knows)

    def _send(self, name: str, updates: list[bytes], state_vector: bytes | None) -> float:
        requests = [HostRequest(RequestKind.UPDATE, update, None, ACTOR, state_vector) for update in updates]
        seconds = 0.0
        while True:
            result = self._request(RoomRequests(self._rooms[name], requests))
            seconds += self.seconds
            if result.faults != [Fault(0, Status.LATER)]:
                break
            time.sleep(DRY_RUN_SECONDS)
        if result.faults or result.notices or not result.updates:
            raise RuntimeError(f"an edit of {name} was not simply accepted: {result.faults or result.notices}")
        return seconds

    def _replica(self, name: str) -> Doc[Any]:
        doc = self._replicas.get(name)
        if doc is None:
            doc = self._replicas[name] = Doc(client_id=CLIENT + self._rooms[name])
            for update in self._stored[name]:
                doc.apply_update(update)
        return doc

    def _request(self, room: RoomRequests) -> RoomResult:
        """One batch, and those that finish what it has left to the next slices; its result. What came of it is stored,
        and reaches the replicas."""
        self._requests += 1
        response, self.seconds = self._run(room)
        result = response.results[0]
        assert isinstance(result, RoomResult)
        while any(wedding.unfinished for wedding in response.weddings):
            response, seconds = self._run(RoomRequests(room.room, [HostRequest(RequestKind.RESUME, b"", actor=ACTOR)]))
            self.seconds += seconds
        return result

    def _run(self, room: RoomRequests) -> tuple[BatchResponse, float]:
        body = frame(Batch(START + self._requests * EDIT_SECONDS, [room]))[LENGTH.size :]
        begun = time.perf_counter()
        answer = frame(self._host.handle(decode_batch(body)))
        seconds = time.perf_counter() - begun
        response = decode_response(answer[LENGTH.size :])
        for each in (*response.results, *response.others):
            assert isinstance(each, RoomResult)
            self._keep(self._names[each.room], each)
        return response, seconds

    def _keep(self, name: str, result: RoomResult) -> None:
        self._stored[name] += result.updates
        for update in result.updates if name in self._replicas else ():
            self._replicas[name].apply_update(update)
        if result.derived is not None:
            self._owners[name].update(result.derived.owners)
            for root, record, *values in result.derived.rows:
                self._mirror[name, root, record] = values


def calibration() -> float:
    """Seconds for a piece of work that is always the same: tells how fast this machine is just now."""
    update = build({"guests": {"g": {"phone": "+44 7700 900123"}}}, kind=_kind("guests"), client_id=WRITER)
    begun = time.perf_counter()
    for _ in range(100):
        decode_update(update, max_bytes=len(update))
    return (time.perf_counter() - begun) / 100


def _kind(name: str) -> Any:
    kind = kind_of(name)
    assert kind is not None
    return kind


def _new_host() -> DocumentHost:
    fd, path = tempfile.mkstemp()
    os.unlink(path)
    os.ftruncate(fd, ProgressMark.SIZE)
    return DocumentHost(ProgressMark(fd), LIMIT_BYTES)
