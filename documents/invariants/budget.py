"""B1-B5: what it costs. No amount is ever changed by itself.

- The committed amount of an item is what it costs, else what was offered, else what it may cost.
- Sums are exact: amounts in other currencies are fractions of the wedding's minor unit, never rounded before they are
  compared. An amount in another currency without a rate is in no sum.
- Whose writer is not known counts as another author (B4) and as nobody of the couple (B5).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator
from datetime import date
from itertools import pairwise
from math import ceil
from typing import Any, Final, NamedTuple

from documents.invariants.amounts import Amount, converted
from documents.invariants.approvals import APPROVED, COUPLE, PENDING, REJECTED, Approvals
from documents.invariants.approvals import WHERE as APPROVALS
from documents.invariants.catalogue import HIERARCHY, PRIORITY
from documents.invariants.model import (
    SERVER,
    UNKNOWN,
    Finding,
    Op,
    Ops,
    Party,
    Subject,
    Wedding,
    short_id,
    stamp,
    string,
    user_id,
    whole,
)
from documents.invariants.part import Choice, Part, Route, Touched, by_arrival, discard, named
from documents.invariants.wording import currency_of
from documents.sentences import Sentence, Value, day, money, sentence

MAX_SORTED: Final = 1000
"""Of more amounts, or payments of one item, the latest are not looked for: it would take too long."""
_FIELDS: Final = ("actual", "quoted", "estimated")

class BudgetEntry(NamedTuple):
    category: str
    field: str
    amount: int
    converted: Amount | None


class PaymentEntry(NamedTuple):
    item: str
    key: tuple[str, int, str, bool]
    """Item, amount, currency, and whether it is a refund: equal for two entries of one transfer."""
    day: int
    refund: bool


class Budget(Part):
    """Running sums of the whole, of each category and of the payments of each item; payments by likeness."""

    invariants = ("B1", "B2", "B3", "B4", "B5")

    def __init__(self, wedding: Wedding) -> None:
        super().__init__(wedding)
        self._base = self._currency()
        self._items: dict[str, BudgetEntry] = {}
        self._total: Amount = 0
        self._categories: dict[str, Amount] = {}
        self._allocated: dict[str, int] = {}
        self._set_aside = 0
        self._items_of: dict[str, dict[str, None]] = {}
        self._approved_items: set[Subject] = set()
        self._paid: dict[tuple[str, bool, str], int] = {}
        """Item, whether refunds, and currency -> sum."""
        self._payments: dict[str, PaymentEntry] = {}
        self._payments_of: dict[str, set[str]] = {}
        self._alike: dict[tuple[str, int, str, bool], list[tuple[int, str]]] = {}
        self._approvals = Approvals(wedding)

    def routes(self) -> Iterable[Route]:
        item = frozenset({*_FIELDS, "category", "currency", "rate", "deleted"})
        return (
            Route("budget", "items", self._item, item),
            Route("budget", "categories", self._category, frozenset({"allocated", "deleted"})),
            Route("budget", "payments", self._payment),
            Route("budget", "voids", self._payment),
            Route("budget", "approvals", self._approval, frozenset(
                {"item", "to", "approvedBy", "rejectedBy", "_state", "deleted"})),
            Route("budget", "meta", self._meta, frozenset({"limit", "mustApproveOver"})),
            Route("wedding", "meta", self._wedding_meta, frozenset({"currency"})),
            Route("wedding", "members", self._member, frozenset({"role"})),
        )  # fmt: skip

    def find(self, subject: Subject) -> Finding | None:
        return _FIND[subject.invariant](self, subject)

    def broken(self, subject: Subject) -> bool:
        # Of those whose findings name the latest amounts: the check alone.
        invariant, ids = subject
        if invariant == "B1" or (invariant == "B2" and not ids):
            limit = self._limit()
            return limit is not None and (self._total if invariant == "B1" else self._set_aside) > limit
        if invariant == "B2":
            allocated = self._allocated.get(ids[0])
            return allocated is not None and self._categories.get(ids[0], 0) > allocated
        if invariant != "B3":
            return super().broken(subject)
        entry, (paid, refunded) = self._items.get(ids[0]), self._sums(ids[0])
        return entry is not None and entry.converted is not None and not refunded <= paid <= refunded + entry.converted

    def candidates(self) -> Iterator[Subject]:
        yield Subject("B1")
        yield Subject("B2")
        for category in self._allocated:
            yield Subject("B2", (category,))
        for item in self._items:
            yield Subject("B3", (item,))
            yield Subject("B5", (item,))
        for item in self._approvals.items:
            yield Subject("B5", (item,))
        for alike in self._alike.values():
            yield from _twice(alike)

    def derived(self, subject: Subject) -> Ops:
        return self._approvals.outdated(*subject.ids) if subject.invariant == "B5" else ()

    # Following changes

    def _item(self, _: str, item: str, touched: Touched) -> None:
        before, approval = self._items.pop(item, None), Subject("B5", (item,))
        if before is not None:
            self._count(before, -1)
            del self._items_of[before.category][item]
            self._approved_items.discard(approval)
            touched.add(Subject("B2", (before.category,)))
        after = self._read_item(item)
        if after is not None:
            self._items[item] = after
            self._count(after, 1)
            self._items_of.setdefault(after.category, {})[item] = None
            self._approved_items.add(approval)
            touched.add(Subject("B2", (after.category,)))
        touched.update((Subject("B1"), Subject("B3", (item,)), approval))

    def _read_item(self, item: str) -> BudgetEntry | None:
        row = self.wedding.record("budget", "items", item)
        if row is None:
            return None
        for field in _FIELDS:
            amount = whole(row, field)
            if amount is not None:
                value = converted(amount, string(row, "currency"), string(row, "rate"), self._base)
                return BudgetEntry(string(row, "category"), field, amount, value)
        return None

    def _count(self, item: BudgetEntry, sign: int) -> None:
        if item.converted is not None:
            self._total += sign * item.converted
            total = self._categories.pop(item.category, 0) + sign * item.converted
            if total:
                self._categories[item.category] = total

    def _category(self, _: str, category: str, touched: Touched) -> None:
        self._set_aside -= self._allocated.pop(category, 0)
        row = self.wedding.record("budget", "categories", category)
        allocated = whole(row, "allocated") if row is not None else None
        if allocated is not None:
            self._allocated[category] = allocated
            self._set_aside += allocated
        touched.update((Subject("B2"), Subject("B2", (category,))))

    def _payment(self, _: str, payment: str, touched: Touched) -> None:
        before, after = self._payments.get(payment), self._read_payment(payment)
        if before is not None:
            touched.add(Subject("B3", (before.item,)))
            self._remove(payment, before, touched)
        if after is not None:
            touched.add(Subject("B3", (after.item,)))
            self._insert(payment, after, touched)

    def _remove(self, payment: str, entry: PaymentEntry, touched: Touched) -> None:
        del self._payments[payment]
        _count_payment(self._paid, entry, -1)
        discard(self._payments_of, entry.item, payment)
        alike = self._alike[entry.key]
        place = bisect_left(alike, (entry.day, payment))
        touched.update(_twice(alike[max(0, place - 1) : place + 2]))
        del alike[place]
        touched.update(_twice(alike[max(0, place - 1) : place + 1]))
        if not alike:
            del self._alike[entry.key]

    def _insert(self, payment: str, entry: PaymentEntry, touched: Touched) -> None:
        self._payments[payment] = entry
        _count_payment(self._paid, entry, 1)
        self._payments_of.setdefault(entry.item, set()).add(payment)
        alike = self._alike.setdefault(entry.key, [])
        place = bisect_left(alike, (entry.day, payment))
        touched.update(_twice(alike[max(0, place - 1) : place + 1]))
        alike.insert(place, (entry.day, payment))
        touched.update(_twice(alike[max(0, place - 1) : place + 2]))

    def _read_payment(self, payment: str) -> PaymentEntry | None:
        row = self.wedding.rows("budget", "payments").get(payment)
        if type(row) is not dict or payment in self.wedding.rows("budget", "voids"):
            return None
        amount, item = whole(row, "amount"), string(row, "item")
        if amount is None or not item:
            return None
        refund = row.get("kind") == "refund"
        key = (item, amount, string(row, "currency"), refund)
        return PaymentEntry(item, key, _day(string(row, "on")), refund)

    def _sums(self, item: str) -> tuple[Amount, Amount]:
        """The payments of an item, and its refunds."""
        row = self.wedding.rows("budget", "items").get(item)
        own, rate = (string(row, "currency"), string(row, "rate")) if type(row) is dict else ("", "")
        sums: list[Amount] = [0, 0]
        for refund in (False, True):
            for currency in {"", self._base, own}:  # there is no rate for any other
                amount = self._paid.get((item, refund, currency), 0)
                sums[refund] += converted(amount, currency, rate if currency == own else "", self._base) or 0
        return sums[0], sums[1]

    def _approval(self, _: str, approval: str, touched: Touched) -> None:
        touched.update(Subject("B5", (item,)) for item in self._approvals.refresh(approval))

    def _meta(self, _: str, __: str, touched: Touched) -> None:
        touched.update((Subject("B1"), Subject("B2")))
        touched |= self._approved_items

    def _member(self, _: str, __: str, touched: Touched) -> None:
        touched.update(Subject("B5", (item,)) for item in self._approvals.refresh_members())

    def _wedding_meta(self, _: str, __: str, touched: Touched) -> None:
        if self._currency() == self._base:
            return
        self._base = self._currency()
        for item in self.wedding.rows("budget", "items"):
            self._item("budget", item, touched)
        touched.update(Subject("B3", (item,)) for item in self._payments_of)

    def _currency(self) -> str:
        return string(self.wedding.meta("wedding"), "currency")

    # B1, B2

    def _limit(self) -> int | None:
        return whole(self.wedding.meta("budget"), "limit")

    def _within_limit(self, subject: Subject) -> Finding | None:
        limit = self._limit()
        if limit is None or self._total <= limit:
            return None
        causes = self._latest(self._items)
        return self.found(
            subject,
            sentence(
                "B1",
                total=self._money(self._total),
                over=self._money(self._total - limit),
                limit=self._money(limit),
            ),
            parties=[self.wedding.party("budget", "meta", "", "limit"), *causes],
            options=[
                (sentence("B.limit", amount=self._money(self._total)),
                 [Op("set", "budget", "meta", "", "limit", ceil(self._total))]),
                *self._causes_undone(causes),
            ],
        )  # fmt: skip

    def _within_category(self, subject: Subject) -> Finding | None:
        if not self.broken(subject):
            return None
        if not subject.ids:
            return self._all_set_aside(subject)
        (category,) = subject.ids
        allocated, total = self._allocated[category], self._categories.get(category, 0)
        causes = self._latest(self._items_of.get(category, ()))
        name = named(self.wedding, "budget", "categories", category)
        return self.found(
            subject,
            sentence("B2", category=name, total=self._money(total), aside=self._money(allocated)),
            parties=[self.wedding.party("budget", "categories", category, "allocated"), *causes],
            options=[
                (sentence("B2.aside", amount=self._money(total), category=name),
                 [Op("set", "budget", "categories", category, "allocated", ceil(total))]),
                *self._causes_undone(causes),
            ],
        )  # fmt: skip

    def _all_set_aside(self, subject: Subject) -> Finding | None:
        limit = self._limit() or 0
        listed = self._allocated if len(self._allocated) <= MAX_SORTED else ()
        parties = [self.wedding.party("budget", "categories", each, "allocated") for each in listed]
        return self.found(
            subject,
            sentence("B2.all", aside=self._money(self._set_aside), limit=self._money(limit)),
            parties=[self.wedding.party("budget", "meta", "", "limit"), *_latest(parties)],
            options=[
                (sentence("B.limit", amount=self._money(self._set_aside)),
                 [Op("set", "budget", "meta", "", "limit", self._set_aside)])
            ],
        )  # fmt: skip

    def _latest(self, items: Collection[str]) -> list[Party]:
        """The three amounts that arrived last: what broke the sum. Of very many none."""
        if len(items) > MAX_SORTED:
            return []
        return _latest(self.wedding.party("budget", "items", item, self._items[item].field) for item in items)

    def _causes_undone(self, causes: list[Party]) -> Iterator[tuple[Sentence, list[Op]]]:
        for party in causes:
            item, name = party.field.record, named(self.wedding, "budget", "items", party.field.record)
            before = party.writer.before
            if type(before) is int and before < party.value:
                said = sentence("B.back", item=name, amount=self._money(before, item))
                yield said, [Op("set", "budget", "items", item, party.field.key, before)]
            off = sentence("B.off", item=name)
            yield off, [Op("set", "budget", "items", item, "deleted", stamp(self.wedding))]

    # B3, B4

    def _paid_as_agreed(self, subject: Subject) -> Finding | None:
        (item,) = subject.ids
        entry = self._items.get(item)
        if entry is None or entry.converted is None:
            return None
        paid, refunded = self._sums(item)
        name = named(self.wedding, "budget", "items", item)
        if refunded > paid:
            said = sentence("B3.refunded", refunded=self._money(refunded), item=name, paid=self._money(paid))
        elif paid - refunded > entry.converted:
            costs = self._money(entry.converted)
            said = sentence("B3", paid=self._money(paid - refunded), item=name, costs=costs)
        else:
            return None
        payments = self._payments_of.get(item, set())
        payments = payments if len(payments) <= MAX_SORTED else set()
        latest = _latest(self.wedding.party("budget", "payments", each) for each in payments)
        return self.found(
            subject,
            said,
            parties=[self.wedding.party("budget", "items", item, entry.field), *latest],
            options=[self._void(party.field.record, "more than agreed") for party in latest],
        )

    def _once(self, subject: Subject) -> Finding | None:
        one, other = subject.ids
        first, second = self._payments.get(one), self._payments.get(other)
        if first is None or second is None or first.key != second.key:
            return None
        if not self._beside(one, other, first, second) or not self._other_author(one, other):
            return None
        parties = _latest(self.wedding.party("budget", "payments", each) for each in subject.ids)
        later = parties[0].field.record
        reference = string(parties[0].value, "reference")
        same = bool(reference) and reference == string(parties[1].value, "reference")
        void = self._void(later, "entered twice")
        decided = self.wedding.strategy("B4") == PRIORITY and same
        return self.found(
            subject,
            sentence(
                "B4",
                amount=money(first.key[1], first.key[2] or self._base),
                item=named(self.wedding, "budget", "items", first.item),
            ),
            parties=parties,
            options=[void, self._void(parties[1].field.record, "entered twice")],
            automatic=void[1] if decided else None,
        )

    def _beside(self, one: str, other: str, first: PaymentEntry, second: PaymentEntry) -> bool:
        """Whether two payments that are alike are next to each other in time, at most a day apart.

        Where any two of those alike are a day apart and by different people, two neighbours are.
        """
        (day, earlier), (next_day, later) = sorted(((first.day, one), (second.day, other)))
        alike = self._alike[first.key]
        return next_day - day <= 1 and alike[bisect_left(alike, (day, earlier)) + 1] == (next_day, later)

    def _other_author(self, one: str, other: str) -> bool:
        first = self.wedding.writer("budget", "payments", one).user
        return not first or first != self.wedding.writer("budget", "payments", other).user

    def _void(self, payment: str, reason: str) -> tuple[Sentence, list[Op]]:
        row = self.wedding.rows("budget", "payments")[payment]
        amount = money(row["amount"], string(row, "currency") or self._base)
        said = sentence("B.void", day=day(string(row, "on")), amount=amount)
        value = {**stamp(self.wedding), "reason": reason}
        return said, [Op("set", "budget", "voids", payment, None, value)]

    # B5

    def _approved(self, subject: Subject) -> Finding | None:
        (item,) = subject.ids
        entry = self._items.get(item)
        over = whole(self.wedding.meta("budget"), "mustApproveOver")
        if entry is None or entry.converted is None or over is None or entry.converted <= over:
            return None
        writer = self.wedding.writer("budget", "items", item, entry.field)
        approvals = self._approvals.covering(item, entry.amount)
        if writer.role == COUPLE or APPROVED in approvals.values():
            return None
        name, costs = named(self.wedding, "budget", "items", item), self._money(entry.amount, item)
        before = writer.before if writer.before is not UNKNOWN else None
        revert = [Op("delete" if before is None else "set", "budget", "items", item, entry.field, before)]
        rejected = REJECTED in approvals.values() and PENDING not in approvals.values()
        question = self._question(item, entry, before)
        # A value of the server is not put back: it would be put back for ever.
        if self.wedding.strategy("B5") == HIERARCHY and writer.before is not UNKNOWN and writer.user != SERVER:
            automatic: list[Op] | None = revert
        else:
            asked = PENDING in approvals.values() or question.record in self.wedding.rows(*APPROVALS)
            automatic = None if asked else [question]
        options: list[Choice] = []
        if writer.before is not UNKNOWN:
            back = sentence("B5.without", item=name)
            if before is not None:
                back = sentence("B5.back", item=name, amount=self._money(before, item))
            options.append((back, revert))
        if question.record not in approvals and approvals:  # one about more, which was asked before
            question = question._replace(record=next(iter(approvals)))
        approve = sentence("B5.approve", amount=costs, item=name)
        options.append((approve, self._approvals.vote(question, "approvedBy:"), (COUPLE,)))
        if not rejected:
            reject = sentence("B5.reject", amount=costs, item=name)
            options.append((reject, self._approvals.vote(question, "rejectedBy:"), (COUPLE,)))
        return self.found(
            subject,
            sentence("B5.rejected", item=name, amount=costs)
            if rejected
            else sentence("B5", item=name, amount=costs, over=self._money(over)),
            parties=[self.wedding.party("budget", "items", item, entry.field)],
            options=options,
            automatic=automatic,
            stays=automatic is not None and automatic is not revert,
            facts=(REJECTED,) if rejected else (),
        )

    def _question(self, item: str, entry: BudgetEntry, before: Any) -> Op:
        writer = self.wedding.writer("budget", "items", item, entry.field)
        row = {"item": item, "field": entry.field, "to": entry.amount, "_state": PENDING}
        row |= {"from": before} if type(before) is int else {}
        row |= {"by": user_id(writer.user)} if writer.user else {}
        return Op("insert", "budget", "approvals", short_id("a", item, entry.field, entry.amount), None, row)

    def _money(self, amount: Amount, item: str = "") -> Value:
        return money(amount, currency_of(self.wedding, "budget", "items", item))


_FIND: Final = {
    "B1": Budget._within_limit,
    "B2": Budget._within_category,
    "B3": Budget._paid_as_agreed,
    "B4": Budget._once,
    "B5": Budget._approved,
}


def _count_payment(paid: dict[tuple[str, bool, str], int], entry: PaymentEntry, sign: int) -> None:
    _, amount, currency, refund = entry.key
    total = paid.pop((entry.item, refund, currency), 0) + sign * amount
    if total:
        paid[entry.item, refund, currency] = total


def _twice(alike: list[tuple[int, str]]) -> Iterator[Subject]:
    """Each beside the next."""
    return (Subject("B4", (min(one, other), max(one, other))) for (_, one), (_, other) in pairwise(alike))


def _latest(parties: Iterable[Party]) -> list[Party]:
    return sorted(parties, key=lambda party: by_arrival(party.writer, party.field.record))[:3]


def _day(on: str) -> int:
    try:
        return date.fromisoformat(on).toordinal()
    except ValueError:
        return 0
