"""Edits of all kinds by chance, on what somebody sees; and whether any value that was written got lost in silence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import count
from random import Random
from typing import Any, NamedTuple

from documents.fields import same
from documents.invariants import Field
from tests.judge.bench import Bench, Replica

STAMP = {"at": "2026-04-01T10:00:00Z", "by": "somebody"}
GUESTS = ("guests", "guests")
ITEMS = ("timeline", "items")
NEW = "new"
FEW, BUSY = 4, 0.8


class Written(NamedTuple):
    """One write of one field; None: it was deleted."""

    number: int
    field: Field
    value: Any


class Hand:
    """What one person does at random on their replica. Numbers of writes and steps come from one clock for all."""

    def __init__(self, replica: Replica, random: Random, clock: count[int]) -> None:
        self.replica = replica
        self.written: list[Written] = []
        self.learned: dict[int, int] = {}
        """Number of a write of somebody else -> when it came here."""
        self._random = random
        self._clock = clock
        self._made = 0

    def edit(self) -> None:
        """One edit, if what is wanted is there."""
        self._random.choice(EDITS)(self)

    def learn(self, written: Iterable[Written]) -> None:
        """Others' writes have come."""
        now = next(self._clock)
        for each in written:
            self.learned.setdefault(each.number, now)

    def saw(self, write: Written, earlier: Written) -> bool:
        """Whether one of the own writes was made by somebody who had seen another."""
        return self.learned.get(earlier.number, write.number) < write.number

    # -- what edits are made of

    def _id(self, prefix: str) -> str:
        self._made += 1
        return f"{prefix}_{NEW}{self.replica.client_id:04}{self._made:04}"

    def _any(self, name: str, root: str) -> str | None:
        """Mostly one of the few that everybody is busy with, or a new one."""
        ids = sorted(self.replica.root(name, root).keys())
        if ids and self._random.random() < BUSY:
            ids = ids[:FEW] + [id for id in ids if NEW in id]
        return self._random.choice(ids) if ids else None

    def _pick(self, values: str) -> str:
        return self._random.choice(values.split())

    def _set(self, name: str, root: str, record: str | None, key: str | None, value: Any) -> None:
        if record is not None:
            self.replica.set(name, root, record, key, value)
            self._note(name, root, record, key, value)

    def _clear(self, name: str, root: str, key_prefix: str) -> None:
        record = self._any(name, root)
        if record is not None:
            keys = [key for key in sorted(self.replica.root(name, root)[record].keys()) if key.startswith(key_prefix)]
            if keys:
                key = self._random.choice(keys)
                self.replica.delete(name, root, record, key)
                self._note(name, root, record, key, None)

    def _note(self, name: str, root: str, record: str, key: str | None, value: Any) -> None:
        self.written.append(Written(next(self._clock), Field(name, root, record, key), value))

    # -- edits

    def guest_field(self) -> None:
        self._set(*GUESTS, self._any(*GUESTS), self._pick("firstName lastName meal"), self._pick("fish beef soup"))

    def answer(self) -> None:
        event = self._pick("e_reception e_ceremony")
        self._set(*GUESTS, self._any(*GUESTS), f"rsvp:{event}", self._pick("yes no maybe"))

    def household(self) -> None:
        self._set(*GUESTS, self._any(*GUESTS), "household", self._any("guests", "households"))

    def tag(self) -> None:
        self._set(*GUESTS, self._any(*GUESTS), f"tag:{self._pick('choir kids school')}", True)

    def untag(self) -> None:
        self._clear(*GUESTS, "tag:")

    def host(self) -> None:
        self._set(*GUESTS, self._any(*GUESTS), "plusOneOf", self._any(*GUESTS))

    def new_guest(self) -> None:
        row = {
            "firstName": self._pick("Mei Ann Bob"),
            "lastName": "Smith",
            "email": f"{self._pick('a b c')}@example.org",
        }
        household = self._any("guests", "households")
        self.replica.add(*GUESTS, self._id("g"), row if household is None else row | {"household": household})

    def delete_guest(self) -> None:
        self._set(*GUESTS, self._any(*GUESTS), "deleted", STAMP)

    def restore_guest(self) -> None:
        self._clear(*GUESTS, "deleted")

    def delete_household(self) -> None:
        self._set("guests", "households", self._any("guests", "households"), "deleted", STAMP)

    def remark(self) -> None:
        guest = self._any(*GUESTS)
        if guest is not None and "note" in self.replica.root(*GUESTS)[guest]:
            text = self.replica.text(*GUESTS, guest, "note")
            text.insert(0, f"{self._pick('Brings Knows Likes')} 🎻 ")

    def need(self) -> None:
        who = self._any("care", "care")
        key = self._pick("diet:vegan diet:halal allergy:nuts allergy:milk access")
        value = True if key.startswith("diet") else "severe" if key.startswith("allergy") else self._pick("Stick Ramp")
        self._set("care", "care", who, key, value)

    def seat(self) -> None:
        guest, table = self._any(*GUESTS), self._any("seating", "tables")
        seat = self._random.choice([None, *range(10)])
        if table is not None:
            self._set("seating", "assignments", guest, None, {"table": table, "seat": seat})

    def unseat(self) -> None:
        guest = self._any("seating", "assignments")
        if guest is not None:
            self.replica.delete("seating", "assignments", guest)
            self._note("seating", "assignments", guest, None, None)

    def table(self) -> None:
        key, value = self._random.choice([("capacity", 4), ("capacity", 12), ("locked", STAMP), ("deleted", STAMP)])
        self._set("seating", "tables", self._any("seating", "tables"), key, value)

    def unlock(self) -> None:
        self._clear("seating", "tables", "locked")

    def rule(self) -> None:
        kind, one, other = self._pick("apart together"), self._any(*GUESTS), self._any(*GUESTS)
        row = {"kind": kind, "hard": True, f"guest:{one}": True, f"guest:{other}": True}
        self.replica.add("seating", "rules", self._id("r"), row)

    def time(self) -> None:
        key, value = self._random.choice(
            [("start", 5 * self._random.randrange(288)), ("duration", 45), ("duration", 90)]
        )
        self._set(*ITEMS, self._any(*ITEMS), key, value)

    def staff(self) -> None:
        self._set(*ITEMS, self._any(*ITEMS), f"vendor:{self._any('wedding', 'vendors')}", True)

    def unstaff(self) -> None:
        self._clear(*ITEMS, "vendor:")

    def person(self) -> None:
        self._set(*ITEMS, self._any(*ITEMS), f"person:{self._pick('bride groom')}", True)

    def place(self) -> None:
        self._set(*ITEMS, self._any(*ITEMS), "place", self._any("wedding", "places"))

    def after(self) -> None:
        one, other = self._any(*ITEMS), self._any(*ITEMS)
        if one != other:
            self._set(*ITEMS, one, f"after:{other}", 5)

    def order(self) -> None:
        self._set(*ITEMS, self._any(*ITEMS), "order", self._pick("a0 a1V Zz b00"))

    def status(self) -> None:
        self._set(*ITEMS, self._any(*ITEMS), "status", self._pick("planned done skipped"))

    def amount(self) -> None:
        key = self._pick("estimated quoted actual")
        self._set("budget", "items", self._any("budget", "items"), key, 1000 * self._random.randrange(300))

    def pay(self) -> None:
        item = self._any("budget", "items")
        if item is not None:
            value = {"item": item, "amount": 100, "on": f"2026-01-{self._random.randrange(1, 5):02}", "kind": "deposit"}
            self._set("budget", "payments", self._id("pay"), None, value)

    def void(self) -> None:
        self._set("budget", "voids", self._any("budget", "payments"), None, STAMP)

    def limit(self) -> None:
        key = self._pick("limit mustApproveOver")
        self._set("budget", "meta", "", key, 1000 * self._random.randrange(100, 9000))

    def allocate(self) -> None:
        category = self._any("budget", "categories")
        self._set("budget", "categories", category, "allocated", 1000 * self._random.randrange(900))

    def stage(self) -> None:
        vendor = self._any("wedding", "vendors")
        self._set("wedding", "vendors", vendor, "stage", self._pick("quoted booked confirmed cancelled"))

    def meta(self) -> None:
        key, value = self._random.choice(
            [("title", "Ours"), ("title", "Yours"), ("date", "2026-07-01"), ("capacity", 180), ("hardEnd", 1400),
             ("cascade", "flex"), ("cascade", "off"), ("rsvpBy", "2027-05-29")]
        )  # fmt: skip
        self._set("wedding", "meta", "", key, value)

    def task(self) -> None:
        self._set("wedding", "tasks", self._any("wedding", "tasks"), "done", STAMP)

    def spoil(self) -> None:
        """A value that is taken back."""
        record = self._any(*GUESTS)
        if record is not None:
            key = self._pick("meal household deleted unknown")
            self.replica.set(*GUESTS, record, key, self._random.choice([5, "", [1]]))
            self._note(*GUESTS, record, key, None)

    def vanish(self) -> None:
        """A record is removed, which is taken back."""
        name, root = self._random.choice([GUESTS, ITEMS, ("seating", "tables")])
        record = self._any(name, root)
        if record is not None:
            keys = list(self.replica.root(name, root)[record].keys())
            self.replica.delete(name, root, record)
            for key in keys:
                self._note(name, root, record, key, None)

    def choose(self) -> None:
        """Decide one of the conflicts that are open."""
        name = self._pick("timeline budget guests seating")
        open_ones = [id for id, row in sorted(self.replica.rows(name)["review"].items()) if row["_state"] != "resolved"]
        if open_ones:
            id = self._random.choice(open_ones)
            options = self.replica.root(name, "review")[id]["_options"]
            if options:
                self.replica.set(name, "review", id, "choice", self._random.randrange(len(options)))


EDITS: list[Callable[[Hand], None]] = [
    value
    for name, value in vars(Hand).items()
    if callable(value) and not name.startswith("_") and name not in ("edit", "learn", "saw")
]


def lost_in_silence(bench: Bench, hands: Iterable[Hand]) -> list[Written]:
    """Values that are not there, that nobody overwrote who had seen them, and that no record of a conflict names."""
    by_field: dict[Field, list[tuple[Hand, Written]]] = {}
    for hand in hands:
        for write in hand.written:
            by_field.setdefault(write.field, []).append((hand, write))
    told = _told(bench.events)
    return [
        write
        for field, writes in by_field.items()
        for hand, write in writes
        if write.value is not None
        and not _stands(field, bench.value(*field), write.value)
        and not any(_knew(hand, write, other, later) for other, later in writes)
        and not any(_stands(field, value, write.value) for value in told.get(field, ()))
    ]


def _stands(field: Field, value: Any, written: Any) -> bool:
    """Whether a value is that of a write; of two who deleted one record, or locked one table, either stamp will do."""
    return same(value, written) or (field.key is not None and written == STAMP and value is not None)


def _knew(hand: Hand, write: Written, other: Hand, later: Written) -> bool:
    return later.number > write.number if other is hand else other.saw(later, write)


def _told(events: Iterable[Mapping[str, Any]]) -> dict[Field, list[Any]]:
    """Field -> values that a record named, or that were replaced for a reason that a record has."""
    told: dict[Field, list[Any]] = {}
    subjects: dict[tuple[str, str], list[Field]] = {}
    for event in events:
        name, root, record, after = event["document"], event["root"], event["record"], event["after"]
        if root == "review":
            if after and "_subject" in after:
                fields = [
                    Field(each["document"], each["root"], each["record"], each.get("key")) for each in after["_subject"]
                ]
                subjects[name, record] = fields
            for party in (after or {}).get("_parties", ()):
                for field in subjects[name, record]:
                    told.setdefault(field, []).append(party.get("value"))
        elif event.get("cause"):
            before = event["before"]
            for key in event["fields"] or (None,):
                value = before if key is None else (before or {}).get(key)
                told.setdefault(Field(name, root, record, key), []).append(value)
    return told
