"""W1 and W3: who decides about the wedding, and trades that are booked once. W2 is in `bookings`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import nsmallest
from typing import Any, Final

from documents.invariants.catalogue import HIERARCHY
from documents.invariants.model import NOBODY, SERVER, UNKNOWN, Finding, Op, Subject, Wedding, string
from documents.invariants.part import Part, Route, Touched, by_hierarchy, discard, named
from documents.sentences import field_label, listed, sentence, word_of

COUPLE_KEYS: Final = ("date", "timeZone", "currency")
"""Keys that only the couple edits."""

BOOKED: Final = ("booked", "confirmed")

MAX_MEMBERS: Final = 1000
"""Of more members only the first by id are looked at for those who were of the couple."""
MAX_COMPARED: Final = 32
"""Of more vendors of one trade only the first by id are named."""


class Vendors(Part):
    """Booked vendors by category."""

    invariants = ("W1", "W3")

    def __init__(self, wedding: Wedding) -> None:
        super().__init__(wedding)
        self._category_of: dict[str, str] = {}
        self._booked: dict[str, set[str]] = {}

    def routes(self) -> Iterable[Route]:
        return (
            Route("wedding", "vendors", self._vendor, frozenset({"category", "stage", "deleted"})),
            Route("wedding", "members", self._member, frozenset({"role"})),
            Route("wedding", "meta", self._meta, frozenset(COUPLE_KEYS)),
        )

    def find(self, subject: Subject) -> Finding | None:
        if subject.invariant == "W3":
            return self._once(subject)
        return self._couple(subject) if subject.ids == ("members",) else self._by_the_couple(subject)

    def broken(self, subject: Subject) -> bool:
        return self._is_twice(*subject.ids) if subject.invariant == "W3" else super().broken(subject)

    def candidates(self) -> Iterator[Subject]:
        yield Subject("W1", ("members",))
        for key in COUPLE_KEYS:
            yield Subject("W1", (key,))
        for category in self._booked:
            yield Subject("W3", (category,))

    # Following changes

    def _vendor(self, _: str, vendor: str, touched: Touched) -> None:
        before = self._category_of.pop(vendor, None)
        if before is not None:
            discard(self._booked, before, vendor)
            touched.add(Subject("W3", (before,)))
        row = self.wedding.record("wedding", "vendors", vendor)
        after = string(row, "category") if row is not None and row.get("stage") in BOOKED else ""
        if after:
            self._category_of[vendor] = after
            self._booked.setdefault(after, set()).add(vendor)
            touched.add(Subject("W3", (after,)))

    def _member(self, _: str, __: str, touched: Touched) -> None:
        touched.add(Subject("W1", ("members",)))

    def _meta(self, _: str, __: str, touched: Touched) -> None:
        touched.update(Subject("W1", (key,)) for key in COUPLE_KEYS)

    # W1

    def _couple(self, subject: Subject) -> Finding | None:
        members = self.wedding.rows("wedding", "members")
        # Without any members, the participants are not entered yet.
        if not members or any(type(row) is dict and row.get("role") == "couple" for row in members.values()):
            return None
        listed = nsmallest(MAX_MEMBERS, members)
        parties = [self.wedding.party("wedding", "members", user, "role") for user in listed]
        former = [party for party in parties if party.writer.before == "couple"]
        ops = [Op("set", *party.field[:3], "role", "couple") for party in former]
        return self.found(
            subject,
            sentence("W1"),
            parties=former or parties,
            options=[(sentence("W1.again"), ops)] if ops else [],
            automatic=ops or None,
        )

    def _by_the_couple(self, subject: Subject) -> Finding | None:
        (key,) = subject.ids
        party = self.wedding.party("wedding", "meta", "", key)
        writer = party.writer
        if writer is NOBODY or writer.role == "couple" or writer.user == SERVER:
            return None
        before: Any = writer.before
        if before is UNKNOWN or before == party.value:
            return None
        kind = "delete" if before is None else "set"
        ops = [Op(kind, "wedding", "meta", "", key, before)]
        return self.found(subject, sentence("W1.only", field=field_label(key)), parties=[party], automatic=ops)

    # W3

    def _is_twice(self, category: str) -> bool:
        return len(self._booked.get(category, ())) > 1 and category in self.wedding.context.single_trades

    def _once(self, subject: Subject) -> Finding | None:
        (category,) = subject.ids
        if not self._is_twice(category):
            return None
        booked = self._booked[category]

        def key(vendor: str) -> tuple[int, int, str]:
            return by_hierarchy(self.wedding.writer("wedding", "vendors", vendor, "stage"), vendor)

        ranked = sorted(nsmallest(MAX_COMPARED, booked), key=key)
        names = {vendor: named(self.wedding, "wedding", "vendors", vendor) for vendor in ranked}
        return self.found(
            subject,
            sentence("W3", trade=word_of(category), count=len(booked), vendors=listed(names.values())),
            parties=[self.wedding.party("wedding", "vendors", vendor, "stage") for vendor in ranked],
            options=[(sentence("W3.keep", vendor=names[vendor]), _only(vendor, ranked)) for vendor in ranked],
            automatic=_only(ranked[0], ranked) if self.wedding.strategy("W3") == HIERARCHY else None,
        )


def _only(vendor: str, vendors: list[str]) -> list[Op]:
    return [Op("set", "wedding", "vendors", other, "stage", "quoted") for other in vendors if other != vendor]
