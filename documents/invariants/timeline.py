"""T1-T6: the running order of the day.

- Skipped and deleted items are not there. Items that are done or going on have no order to keep any more (T4).
- Items overlap where one begins before the other is over; one of no length overlaps nothing.
- An item without a place is at no other place (T1).
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator
from typing import Any, Final

from documents.invariants.busy import BusyTimes, Pair, TimelineEntry
from documents.invariants.cascade import MAX_ITEMS, Cascade, Node, Plan, Slot
from documents.invariants.catalogue import MERGE, PRIORITY
from documents.invariants.model import Finding, Op, Party, Subject, Wedding, fingerprint, string, suffixes, whole
from documents.invariants.part import KeyRoute, Part, Route, Touched, discard, guest_name, named
from documents.invariants.review import review_id
from documents.invariants.venues import Venues
from documents.sentences import Sentence, Value, length, listed, part, sentence, time, word_of

ITEMS: Final = ("timeline", "items")
MAX_MOVED_ALONE: Final = 8
"""Of a larger cluster nothing is moved by itself: each of its items would push all that were moved before."""
_RIGIDITY: Final = {"fixed": 0, "flex": 1, "buffer": 2}


class Timeline(Part):
    """Items sorted by start for each vendor, person and place; edges of the order both ways; uses of references."""

    invariants = ("T1", "T2", "T3", "T4", "T5", "T6")

    def __init__(self, wedding: Wedding) -> None:
        super().__init__(wedding)
        self._items: dict[str, TimelineEntry] = {}
        this = weakref.ref(self)  # else each would keep the other in memory until a collection
        self._busy = BusyTimes(lambda pair: (timeline := this()) is not None and timeline._is_left(pair))
        self._decided: set[str] = set()
        """The records in `review` about what is decided."""
        # Sets of subjects, so that those of many items are touched at once: one by one it takes ten times as long.
        self._successors: dict[str, set[Subject]] = {}
        self._used: dict[tuple[str, str], set[Subject]] = {}
        self._times: set[Subject] = set()
        self._venues = Venues(wedding)
        self._exclusive: set[str] = set()
        self._timed: dict[str, None] = {}
        """Those with a start, which a cascade can push."""
        self._nodes: dict[str, Node] = {}
        self._changed: set[str] = set()
        """Items whose nodes have to be read again before a cascade."""
        self._plan: Plan | None = None
        """The input of a cascade; None before the first."""

    def routes(self) -> Iterable[Route | KeyRoute]:
        item = frozenset(
            {"minDuration", "rigidity", "kind", "place", "keyMoment", "vendor", "person", "after",
             "status", "deleted", "_unstaffed"}
        )  # fmt: skip
        return (
            Route("timeline", "items", self._item, item),
            Route("wedding", "vendors", self._vendor, frozenset({"stage", "deleted"})),
            Route("wedding", "places", self._place, frozenset({"capacity", "exclusive", "deleted"})),
            Route("wedding", "events", self._event, frozenset({"place", "deleted"})),
            Route("wedding", "meta", self._meta, frozenset({"hardEnd", "phase"})),
            Route("guests", "guests", self._guest, frozenset({"deleted"})),
            Route("timeline", "review", self._review, frozenset({"_state", "_outcome", "_fingerprint"})),
            KeyRoute(*ITEMS, self._time, frozenset({"start", "duration"})),
            KeyRoute("guests", "guests", self._answer_to, frozenset({"rsvp"})),
        )

    def find(self, subject: Subject) -> Finding | None:
        return _FIND[subject.invariant](self, subject)

    def broken(self, subject: Subject) -> bool:
        check = _BROKEN.get(subject.invariant)
        return super().broken(subject) if check is None else check(self, subject)

    def candidates(self) -> Iterator[Subject]:
        yield from map(_pair, self._busy.pairs())
        for item, entry in self._items.items():
            yield from self._own(item, entry)
        yield from self._venues.subjects()

    # Following changes

    def _item(self, _: str, item: str, touched: Touched) -> None:
        before, after = self._items.get(item), self._read_item(item)
        self._changed.add(item)
        if before is not None:
            self._remove(item, before, touched)
        if after is not None:
            self._insert(item, after, touched)
        touched |= self._successors.get(item, set())
        touched.update(_alone(item))

    def _time(self, document: str, item: str, _: str, touched: Touched) -> None:
        before, row = self._items.get(item), self.wedding.record(*ITEMS, item)
        if before is None or row is None or row.get("status") == "skipped":
            self._item(document, item, touched)
            return
        start, end, timed = _span(row)
        after = TimelineEntry(start, end, timed, before.vendors, before.persons, before.place, before.after)
        self._changed.add(item)
        touched.update(map(_pair, self._busy.remove(item, before)))
        self._set(item, after)
        touched.update(map(_pair, self._busy.add(item, after)))
        touched.update(Subject("T4", (item, each)) for each in after.after)
        touched |= self._successors.get(item, set())
        touched.update((Subject("T5", (item, "end")), Subject("T5", (item, "moved"))))

    def _read_item(self, item: str) -> TimelineEntry | None:
        row = self.wedding.record(*ITEMS, item)
        if row is None or row.get("status") == "skipped":
            return None
        place = row.get("place")
        return TimelineEntry(
            *_span(row),
            tuple(suffixes(row, "vendor:")),
            tuple(suffixes(row, "person:")),
            place if type(place) is str else None,
            tuple(suffixes(row, "after:")),
        )

    def _insert(self, item: str, entry: TimelineEntry, touched: Touched) -> None:
        self._set(item, entry)
        touched.update(map(_pair, self._busy.add(item, entry)))
        for before in entry.after:
            edge = Subject("T4", (item, before))
            touched.add(edge)
            self._successors.setdefault(before, set()).add(edge)
        for use in _uses(entry):
            self._used.setdefault(use, set()).add(Subject("T6", (item,)))

    def _set(self, item: str, entry: TimelineEntry) -> None:
        self._items[item] = entry
        self._times.update(_alone(item)[:2])
        if entry.timed:
            self._timed[item] = None
        else:
            self._timed.pop(item, None)

    def _remove(self, item: str, entry: TimelineEntry, touched: Touched) -> None:
        del self._items[item]
        self._times.difference_update(_alone(item)[:2])
        self._timed.pop(item, None)
        touched.update(map(_pair, self._busy.remove(item, entry)))
        for before in entry.after:
            edge = Subject("T4", (item, before))
            touched.add(edge)
            discard(self._successors, before, edge)
        for use in _uses(entry):
            discard(self._used, use, Subject("T6", (item,)))

    def _own(self, item: str, entry: TimelineEntry) -> Iterator[Subject]:
        yield from _alone(item)
        for before in entry.after:
            yield Subject("T4", (item, before))

    def _vendor(self, _: str, vendor: str, touched: Touched) -> None:
        touched |= self._used.get(("vendors", vendor), set())

    def _place(self, _: str, place: str, touched: Touched) -> None:
        row = self.wedding.record("wedding", "places", place)
        exclusive = row is not None and row.get("exclusive") is True
        users = self._used.get(("places", place), set())
        if exclusive != (place in self._exclusive):
            self._exclusive ^= {place}
            self._changed.update(each.ids[0] for each in users)
            touched.update(map(_pair, self._busy.pairs_of(("T3", place))))
        touched |= users
        self._venues.refresh_place(place, touched)

    def _event(self, _: str, event: str, touched: Touched) -> None:
        self._venues.refresh_event(event, touched)

    def _meta(self, _: str, __: str, touched: Touched) -> None:
        touched |= self._times

    def _guest(self, _: str, guest: str, touched: Touched) -> None:
        self._venues.refresh_guest(guest, touched)

    def _answer_to(self, _: str, guest: str, key: str, touched: Touched) -> None:
        self._venues.refresh_answer(guest, key[5:], touched)

    def _review(self, _: str, record: str, touched: Touched) -> None:
        row = self.wedding.rows("timeline", "review").get(record)
        is_decided = type(row) is dict and row.get("_state") == "resolved" and row.get("_outcome") != "moot"
        if is_decided or record in self._decided:
            (self._decided.add if is_decided else self._decided.discard)(record)
            items = {each["record"] for each in row.get("_subject", ())} if type(row) is dict else set()
            for item in items & self._items.keys():
                for claim, _slot in self._items[item].slots(item):
                    touched.update(map(_pair, self._busy.refresh(claim)))

    # T1-T3

    def _is_left(self, pair: Pair) -> bool:
        """Whether somebody has decided about a pair, and the facts are still the same."""
        if not self._decided:  # nearly always
            return False
        subject = _pair(pair)
        row = self.wedding.rows("timeline", "review").get(review_id(subject))
        if type(row) is not dict or review_id(subject) not in self._decided:
            return False
        if any(self.wedding.record(*ITEMS, item) is None for item in subject.ids[1:]):  # gone, and not followed yet
            return False
        decided = string(row, "_fingerprint").partition("+")[0]
        return decided == fingerprint(subject, self._parties(subject))

    def _one_place(self, subject: Subject) -> Finding | None:
        if not self._overlap(subject):
            return None
        vendor = subject.ids[0]
        return self._clash(subject, named(self.wedding, "wedding", "vendors", vendor), f"vendor:{vendor}")

    def _one_item(self, subject: Subject) -> Finding | None:
        if not self._overlap(subject):
            return None
        person = subject.ids[0]
        is_guest = person in self.wedding.rows("guests", "guests")
        name = guest_name(self.wedding, person) if is_guest else word_of(person)
        return self._clash(subject, name, f"person:{person}")

    def _used_twice(self, subject: Subject) -> bool:
        if len(subject.ids) == 2:
            return self._venues.is_too_small(subject)
        row = self.wedding.record("wedding", "places", subject.ids[0])
        return row is not None and row.get("exclusive") is True and self._overlap(subject)

    def _one_use(self, subject: Subject) -> Finding | None:
        if not self._used_twice(subject):
            return None
        if len(subject.ids) == 2:
            return self.found(subject, **self._venues.too_small(subject)._asdict())
        return self._clash(subject, named(self.wedding, "wedding", "places", subject.ids[0]), None)

    def _overlap(self, subject: Subject) -> bool:
        key, one, other = subject.ids
        return self._busy.is_conflict((subject.invariant, key), one, other)

    def _parties(self, subject: Subject) -> list[Party]:
        keys = ("start",) if subject.invariant == "T2" else ("place", "start")
        items = sorted(subject.ids[1:], key=self._precedence)
        return [self.wedding.party(*ITEMS, item, key) for item in items for key in keys]

    def _clash(self, subject: Subject, who: Value, flag: str | None) -> Finding:
        winner, loser = sorted(subject.ids[1:], key=self._precedence)
        others = self._busy.others((subject.invariant, subject.ids[0]), *subject.ids[1:])
        later = self._after(winner, loser)
        options: list[tuple[Sentence, Iterable[Op]]] = [
            self._shift_option(winner, loser, later),
            self._shift_option(loser, winner, self._after(loser, winner)),
        ]
        if flag is not None:
            options += [
                (sentence("T.not_needed", who=who, item=self._title(item)), [Op("delete", *ITEMS, item, flag)])
                for item in (winner, loser)
            ]
        values: dict[str, Value] = {"who": who, "one": self._title(winner), "other": self._title(loser)}
        values |= {"count": len(others)} if others else {}
        return self.found(
            subject,
            Sentence(subject.invariant + (".more" if others else ""), values),
            parties=self._parties(subject),
            options=options,
            automatic=self._by_itself(subject.invariant, loser, later) if len(others) < MAX_MOVED_ALONE else None,
            more=len(others),
        )

    def _precedence(self, item: str) -> tuple[int, bool, int, str]:
        """Fixed before flexible before buffers, key moments first, then the earlier start, then the id."""
        row = self.wedding.rows(*ITEMS)[item]
        rigidity = _RIGIDITY.get(string(row, "rigidity"), 1)
        return (rigidity, row.get("keyMoment") is not True, self._items[item].start, item)

    def _after(self, winner: str, loser: str) -> Cascade:
        entry = self._items[loser]
        return self._cascade({loser: Slot(self._items[winner].end, entry.end - entry.start)})

    def _by_itself(self, invariant: str, item: str, later: Cascade) -> tuple[Op, ...] | None:
        """Moving a flexible item by itself, where strategy and wedding allow that, and nothing is at risk."""
        row = self.wedding.rows(*ITEMS)[item]
        flexible = row.get("rigidity", "flex") == "flex" and row.get("status") not in ("live", "done")
        wanted = self.wedding.strategy(invariant) == PRIORITY and self.wedding.meta("wedding").get("cascade") == "flex"
        return later.ops() if flexible and wanted and later.clear else None

    def _shift_option(self, first: str, second: str, later: Cascade) -> tuple[Sentence, tuple[Op, ...]]:
        others = len(later.moves) - 1
        at_risk = listed([self._title(risk.item) for risk in later.at_risk[:3]])
        said = sentence(
            "T.shift",
            item=self._title(second),
            time=time(self._items[first].end),
            first=self._title(first),
            more=part(sentence("T.shift_more", count=others)) if others > 0 else "",
            risk=part(sentence("T.shift_risk", items=at_risk)) if later.at_risk else "",
        )
        return said, later.ops()

    # T4

    def _too_early(self, subject: Subject) -> bool:
        item, before = subject.ids
        first, second = self._items.get(before), self._items.get(item)
        row = self.wedding.record(*ITEMS, item)
        if first is None or second is None or row is None or row.get("status") in ("live", "done"):
            return False
        gap = whole(row, f"after:{before}")
        return gap is not None and first.timed and second.timed and second.start < first.end + gap

    def _in_order(self, subject: Subject) -> Finding | None:
        if not self._too_early(subject):
            return None
        item, before = subject.ids
        first, second = self._items[before], self._items[item]
        gap = self.wedding.rows(*ITEMS)[item][f"after:{before}"]
        later = self._cascade({before: Slot(first.start, first.end - first.start)})
        options: list[tuple[Sentence, Iterable[Op]]] = []
        if later.moves:
            options.append((sentence("T4.push", count=len(later.moves)), later.ops()))
        options.append(
            (sentence("T4.free", item=self._title(item), before=self._title(before)),
             [Op("delete", *ITEMS, item, f"after:{before}")])
        )  # fmt: skip
        return self.found(
            subject,
            sentence(
                "T4",
                item=self._title(item),
                start=time(second.start),
                earliest=time(first.end + gap),
                before=self._title(before),
            ),
            parties=[
                self.wedding.party(*ITEMS, before, "start"),
                self.wedding.party(*ITEMS, before, "duration"),
                self.wedding.party(*ITEMS, item, "start"),
            ],
            options=options,
            automatic=self._by_itself("T4", item, later),
        )

    def _cascade(self, moved: dict[str, Slot]) -> Cascade:
        if len(self._timed) > MAX_ITEMS:
            return Cascade((), (), tuple(sorted(moved)))
        if self._plan is None or self._changed:
            read = self._changed if len(self._changed) <= MAX_ITEMS else self._timed
            rows = self.wedding.rows(*ITEMS)
            nodes = ((item, Node.read(item, rows.get(item), self._exclusive)) for item in read)
            self._nodes.update((item, node) for item, node in nodes if node is not None)
            self._nodes = {item: self._nodes[item] for item in self._timed if item in self._nodes}
            self._plan = Plan(self._nodes)
            self._changed.clear()
        return self._plan.push(moved, hard_end=whole(self.wedding.meta("wedding"), "hardEnd"))

    # T5

    def _in_time(self, subject: Subject) -> Finding | None:
        item, what = subject.ids
        entry, row = self._items.get(item), self.wedding.record(*ITEMS, item)
        if entry is None or row is None or not entry.timed:
            return None
        if what == "moved":
            return self._stays(subject, item, row)
        hard_end = whole(self.wedding.meta("wedding"), "hardEnd")
        if hard_end is None or entry.end <= hard_end or row.get("kind") == "breakdown":
            return None
        return self.found(
            subject,
            sentence("T5", item=self._title(item), end=time(entry.end), limit=time(hard_end)),
            parties=[self.wedding.party(*ITEMS, item, key) for key in ("start", "duration")],
            options=list(self._end_options(item, entry, row, hard_end)),
            severity="critical" if self.wedding.live else "warning",
        )

    def _end_options(
        self, item: str, entry: TimelineEntry, row: dict[str, Any], hard_end: int
    ) -> Iterator[tuple[Sentence, list[Op]]]:
        duration, title = entry.end - entry.start, self._title(item)
        left, shortest = hard_end - entry.start, whole(row, "minDuration")
        if left >= max(1, duration if shortest is None else shortest):
            said = sentence("T5.shorten", item=title, length=length(left))
            yield said, [Op("set", *ITEMS, item, "duration", left)]
        yield (
            sentence("T5.begin", item=title, time=time(hard_end - duration)),
            [Op("set", *ITEMS, item, "start", hard_end - duration)],
        )
        yield sentence("T5.skip", item=title), [Op("set", *ITEMS, item, "status", "skipped")]
        said = sentence("T5.limit", time=time(entry.end))
        yield said, [Op("set", "wedding", "meta", "", "hardEnd", entry.end)]

    def _stays(self, subject: Subject, item: str, row: dict[str, Any]) -> Finding | None:
        planned, start = self.wedding.context.planned.get(item), whole(row, "start")
        if planned is None or start == planned or row.get("rigidity") != "fixed" or not self.wedding.live:
            return None
        return self.found(
            subject,
            sentence("T5.moved", item=self._title(item), before=time(planned), after=time(start or 0)),
            parties=[self.wedding.party(*ITEMS, item, "start")],
            options=[(sentence("T5.planned", time=time(planned)), [Op("set", *ITEMS, item, "start", planned)])],
            severity="critical",
        )

    # T6

    def _staffed(self, subject: Subject) -> Finding | None:
        (item,) = subject.ids
        entry, row = self._items.get(item), self.wedding.record(*ITEMS, item)
        if entry is None or row is None:
            return None
        missing = [vendor for vendor in entry.vendors if not _works(self.wedding, vendor)]
        nowhere = entry.place is not None and not self.wedding.exists("wedding", "places", entry.place)
        marked = "_unstaffed" in row
        if not missing and not nowhere:
            return self._unmark(subject, item) if marked else None
        marks = [Op("set", *ITEMS, item, "_unstaffed", True)] if missing and not marked else []
        marks += [Op("delete", *ITEMS, item, "_unstaffed")] if marked and not missing else []
        keys = [f"vendor:{vendor}" for vendor in missing] + (["place"] if nowhere else [])
        names = [named(self.wedding, "wedding", "vendors", vendor) for vendor in missing]
        gone = listed([*names, *([part(sentence("its_place"))] if nowhere else [])])
        decided = self.wedding.strategy("T6") == MERGE
        return self.found(
            subject,
            sentence("T6", item=self._title(item), gone=gone),
            parties=[self.wedding.party(*ITEMS, item, key) for key in keys],
            options=[
                (
                    sentence("T6.take", gone=gone, item=self._title(item)),
                    [Op("delete", *ITEMS, item, key) for key in keys],
                )
            ],
            automatic=marks if marks or decided else None,
            stays=bool(marks) and not decided,
        )

    def _unmark(self, subject: Subject, item: str) -> Finding:
        return self.found(
            subject,
            sentence("T6.staffed", item=self._title(item)),
            parties=[self.wedding.party(*ITEMS, item, "_unstaffed")],
            automatic=[Op("delete", *ITEMS, item, "_unstaffed")],
            severity="info",
        )

    def _title(self, item: str) -> Value:
        return named(self.wedding, *ITEMS, item, "title")


_FIND: Final = {
    "T1": Timeline._one_place,
    "T2": Timeline._one_item,
    "T3": Timeline._one_use,
    "T4": Timeline._in_order,
    "T5": Timeline._in_time,
    "T6": Timeline._staffed,
}

_BROKEN: Final = {
    "T1": Timeline._overlap,
    "T2": Timeline._overlap,
    "T3": Timeline._used_twice,
    "T4": Timeline._too_early,
}
"""Of those whose findings name the items that would have to move: the check alone, since a cascade is expensive."""


def _span(row: dict[str, Any]) -> tuple[int, int, bool]:
    """Start and end of an item, and whether they are known."""
    start = whole(row, "start")
    return (0, 0, False) if start is None else (start, start + (whole(row, "duration") or 0), True)


def _pair(pair: Pair) -> Subject:
    (invariant, key), one, other = pair
    return Subject(invariant, (key, one, other) if one < other else (key, other, one))


def _alone(item: str) -> tuple[Subject, ...]:
    return Subject("T5", (item, "end")), Subject("T5", (item, "moved")), Subject("T6", (item,))


def _uses(entry: TimelineEntry) -> Iterator[tuple[str, str]]:
    for vendor in entry.vendors:
        yield "vendors", vendor
    if entry.place is not None:
        yield "places", entry.place


def _works(wedding: Wedding, vendor: str) -> bool:
    if "wedding" not in wedding.documents:
        return True
    row = wedding.record("wedding", "vendors", vendor)
    return row is not None and row.get("stage") != "cancelled"
