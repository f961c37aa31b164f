"""Violations put in on purpose: each breaks one invariant in one place, and no other.

Every planter changes as little as a careless edit would, and takes records that no other planter has touched. They are
run in the order of `_PLANTERS`.

Some invariants cannot be broken by a state, and are not planted: X1 and X2 are about writes, not about what they left
behind; of T5 that fixed items stay while the wedding is live, and of M1 that messages stay as they were, are about what
was there before. G4, S7, W1, M1 and the other author of B4 show in `Sample.writers`, W2 only beside `Sample.neighbour`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Collection, Iterator
from typing import Any, Final

from documents.invariants.model import Field
from documents.sample.day import CURRENCIES, HARD_END, RSVP_BY, SHORTLISTED, ZONES
from documents.sample.draft import DAY, Author, Draft, Planted
from documents.sample.money import approve, committed
from documents.sample.seats import LOCKED_AT, guests_by_table

MOST_OF_ALL: Final = 3
"""How many violations of each invariant there can be, at most."""
MOST: Final = {"B1": 1, "W3": len(SHORTLISTED)}
"""Invariants that can be broken less often."""


def plant(draft: Draft, count: int, only: Collection[str]) -> None:
    """Break each invariant of `only` `count` times, or as often as it can be broken."""
    ground = _Ground(draft)
    for invariant in (name for name in _PLANTERS if name in only):
        planter = _PLANTERS[invariant]
        for index in range(min(count, MOST.get(invariant, count))):
            document, subject, note = planter(ground, index)
            draft.planted.append(Planted(invariant, document, subject, note))
    draft.planted.sort(key=lambda each: each.invariant)


_Result = tuple[str, tuple[str, ...], str]


class _Ground:
    """Where to plant: the draft, and which records are taken."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self._taken = {account.guest for account in draft.people if account.guest}
        self.ruled = {
            key.partition(":")[2] for rule in draft.rows("seating", "rules").values() for key in rule if "guest:" in key
        }
        """Guests whom a rule about seats is about."""

    def rows(self, document: str, root: str) -> dict[str, Any]:
        return self.draft.rows(document, root)

    def free(self, document: str, root: str) -> Iterator[tuple[str, Any]]:
        """Records that nobody has taken, in an order by chance."""
        for record, row in self.draft.chance.shuffled(list(self.rows(document, root).items())):
            if record not in self._taken:
                yield record, row

    def take(self, *records: str) -> tuple[str, ...]:
        self._taken.update(records)
        return records

    def guests(self) -> Iterator[tuple[str, Any]]:
        """Named adults who are invited for themselves, not for work or for a part."""
        for guest, row in self.free("guests", "guests"):
            if row["kind"] == "adult" and "lastName" in row and not row.keys() & {"party", "tag:crew"}:
                yield guest, row

    def seated(self) -> Iterator[tuple[str, Any]]:
        """Those of them who have a seat at a table that is neither taken nor locked, and whom no rule is about."""
        seats, tables = self.rows("seating", "assignments"), dict(self.open_tables())
        for guest, row in self.guests():
            if guest in seats and seats[guest]["table"] in tables and guest not in self.ruled:
                yield guest, row

    def seated_alone(self) -> Iterator[tuple[str, Any]]:
        """Those of them of whose household nobody else has a seat."""
        guests = self.rows("guests", "guests")
        seated = [guests[guest]["household"] for guest in self.rows("seating", "assignments") if guest in guests]
        return ((guest, row) for guest, row in self.seated() if seated.count(row["household"]) == 1)

    def open_tables(self) -> Iterator[tuple[str, list[str]]]:
        """Tables that are neither taken nor locked, with their guests."""
        at = guests_by_table(self.draft)
        for table, row in self.free("seating", "tables"):
            if "locked" not in row:
                yield table, at[table]

    def untouched(self, guests: list[str]) -> list[str]:
        """Those guests of a list whom nobody has taken and no rule is about, one of each household."""
        rows = self.rows("guests", "guests")
        free = [guest for guest in guests if guest in rows and guest not in self._taken | self.ruled]
        return list({rows[guest]["household"]: guest for guest in free}.values())

    def room(self) -> str:
        """A table where one more guest can sit."""
        return next(table for table, guests in self.open_tables() if 0 < len(guests) < self._capacity(table))

    def _capacity(self, table: str) -> int:
        capacity: int = self.rows("seating", "tables")[table]["capacity"]
        return capacity


def _end(item: dict[str, Any]) -> int:
    end: int = item["start"] + item["duration"]
    return end


def _overlap(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return bool(one["start"] < _end(other) and other["start"] < _end(one))


def _elsewhere_at_once(ground: _Ground) -> Iterator[tuple[str, dict[str, Any], str, dict[str, Any]]]:
    """Pairs of items at the same time at different places, that nobody has taken."""
    items = [each for each in ground.free("timeline", "items") if "place" in each[1]]
    for one_id, one in items:
        for other_id, other in items:
            if one["place"] != other["place"] and _overlap(one, other):
                yield one_id, one, other_id, other


def _only_clash(ground: _Ground, flag: str, one_id: str, other: dict[str, Any]) -> bool:
    """Whether `other` clashes with no item that has the flag but one."""
    items = ground.rows("timeline", "items")
    return [each for each, row in items.items() if flag in row and _overlap(row, other)] == [one_id]


def _twice_at_once(ground: _Ground, prefix: str, what: str) -> _Result:
    for one_id, one, other_id, other in _elsewhere_at_once(ground):
        for flag in [key for key in one if key.startswith(prefix)]:
            if flag not in other and _only_clash(ground, flag, one_id, other):
                other[flag] = True
                ground.take(one_id, other_id)
                return (
                    "timeline",
                    (flag[len(prefix) :], *sorted((one_id, other_id))),
                    f"{what} of {one['title']} is in both",
                )
    raise LookupError(f"no place for a {what} to be twice")


def _vendor_twice(ground: _Ground, index: int) -> _Result:
    return _twice_at_once(ground, "vendor:", "vendor")


def _person_twice(ground: _Ground, index: int) -> _Result:
    return _twice_at_once(ground, "person:", "person")


def _place_twice(ground: _Ground, index: int) -> _Result:
    items, places = ground.rows("timeline", "items"), ground.rows("wedding", "places")
    for one_id, one, other_id, other in _elsewhere_at_once(ground):
        place = one["place"]
        there = [each for each, row in items.items() if row.get("place") == place and _overlap(row, other)]
        if places[place].get("exclusive") and there == [one_id]:
            other["place"] = place
            ground.take(one_id, other_id)
            return "timeline", (place, *sorted((one_id, other_id))), f"{places[place]['name']} is used twice at once"
    raise LookupError("no place to be used twice")


def _too_early(ground: _Ground, index: int) -> _Result:
    free = dict(ground.free("timeline", "items"))
    for item_id, item in free.items():
        for key in [key for key in item if key.startswith("after:")]:
            before = key.partition(":")[2]
            if before in free:
                item[key] = item["start"] - _end(free[before]) + 15
                ground.take(before, item_id)
                return "timeline", (item_id, before), f"{item['title']} starts 15 minutes too early"
    raise LookupError("no item to start too early")


def _too_late(ground: _Ground, index: int) -> _Result:
    item_id, item = next(each for each in ground.free("timeline", "items") if _end(each[1]) > HARD_END)
    item["kind"] = "transport"
    return "timeline", ground.take(item_id), f"{item['title']} after the end is no longer breakdown"


def _nobody_there(ground: _Ground, index: int) -> _Result:
    item_id, item = next(each for each in ground.free("timeline", "items") if "place" in each[1])
    if index % 2 == 0:
        gone = ground.draft.chance.id("v")
        item[f"vendor:{gone}"] = True
    else:
        gone = item["place"] = ground.draft.chance.id("p")
    what = "place" if index % 2 else "vendor"
    return "timeline", ground.take(item_id), f"{item['title']}: its {what} {gone} is gone"


def _over_the_limit(ground: _Ground, index: int) -> _Result:
    draft, items = ground.draft, ground.rows("budget", "items")
    limit = ground.rows("budget", "meta")[""]["limit"]
    item_id, item = next(ground.free("budget", "items"))
    del item["category"]  # what belongs to a category would exceed that as well
    before = committed(item)
    item["actual"] = before + limit - sum(map(committed, items.values())) + 1
    asked = {"item": item_id, "field": "actual", "from": before, "to": item["actual"], "by": draft.user("planner")}
    approve(draft, asked, draft.user("couple"), -30 * DAY)
    ground.take(item_id)
    return "budget", (), f"{item['name']}, in no category, exceeds the limit by one minor unit"


def _over_the_category(ground: _Ground, index: int) -> _Result:
    costs: dict[str, int] = {}
    for item in ground.rows("budget", "items").values():
        if "category" in item:
            costs[item["category"]] = costs.get(item["category"], 0) + committed(item)
    category_id, category = next(ground.free("budget", "categories"))
    category["allocated"] = costs[category_id] - 1
    return "budget", ground.take(category_id), f"{category['name']} exceeds what is set aside by one minor unit"


def _payments_of(ground: _Ground) -> dict[str, list[dict[str, Any]]]:
    """The payments for each free item none of whose payments is void."""
    voids = ground.rows("budget", "voids")
    free = dict(ground.free("budget", "items"))
    result: dict[str, list[dict[str, Any]]] = {}
    spoiled = set()
    for payment_id, payment in ground.rows("budget", "payments").items():
        result.setdefault(payment["item"], []).append(payment)
        if payment_id in voids:
            spoiled.add(payment["item"])
    return {item: payments for item, payments in result.items() if item in free and item not in spoiled}


def _paid_too_much(ground: _Ground, index: int) -> _Result:
    items = ground.rows("budget", "items")
    for item_id, payments in _payments_of(ground).items():
        refunds = [each for each in payments if each["kind"] == "refund"]
        paid = sum(each["amount"] for each in payments if each["kind"] != "refund")
        if index % 2 == 0 and not refunds:
            payments[-1]["amount"] += committed(items[item_id]) - paid + 1
            return "budget", ground.take(item_id), f"{items[item_id]['name']}: paid more than it costs"
        if index % 2 == 1 and refunds:
            refunds[0]["amount"] = paid + 1
            return "budget", ground.take(item_id), f"{items[item_id]['name']}: refunded more than was paid"
    raise LookupError("nothing to pay too much for")


def _paid_twice(ground: _Ground, index: int) -> _Result:
    draft, all_payments = ground.draft, ground.rows("budget", "payments")
    ids = {id(payment): payment_id for payment_id, payment in all_payments.items()}
    for item_id, payments in _payments_of(ground).items():
        if [each["kind"] for each in payments] != ["deposit", "balance"]:
            continue
        first, second = payments
        second.update(first, payer="Parents of the groom")
        second["on"] = draft.day(_days_before(draft, first["on"]) + 1)
        if index % 2 == 0:
            second["reference"] += "/2"
        one, other = ids[id(first)], ids[id(second)]
        draft.written[Field("budget", "payments", other, None)] = Author(draft.user("couple"), "couple", -150 * DAY)
        ground.take(item_id)
        return (
            "budget",
            tuple(sorted((one, other))),
            f"{ground.rows('budget', 'items')[item_id]['name']}: one transfer entered twice",
        )
    raise LookupError("nothing to pay twice")


def _days_before(draft: Draft, day: str) -> int:
    return next(days for days in range(0, -400, -1) if draft.day(days) == day)


def _not_approved(ground: _Ground, index: int) -> _Result:
    threshold, approvals = ground.rows("budget", "meta")[""]["mustApproveOver"], ground.rows("budget", "approvals")
    item_id, item = next(each for each in ground.free("budget", "items") if committed(each[1]) > threshold)
    for approval in [each for each, row in approvals.items() if row["item"] == item_id]:
        del approvals[approval]
    return "budget", ground.take(item_id), f"{item['name']}: nobody asked the couple"


def _same_person(ground: _Ground, index: int) -> _Result:
    """The same e-mail address, telephone number, or name within a household but for case and accents."""
    key = ("email", "phone", "household")[index % 3]
    found: dict[str, tuple[str, Any]] = {}
    for guest, row in ground.guests():
        if key != "household" and key in row:
            found.setdefault(f"{key} {len(found)}", (guest, row))
        elif key == "household" and "plusOneOf" not in row and row["household"] in found:
            one_id, one = found[row["household"]]
            if _plain(one["firstName"]) == one["firstName"].casefold():
                continue
            row |= {"firstName": _plain(one["firstName"]).upper(), "lastName": one["lastName"]}
            return "guests", ground.take(*sorted((one_id, guest))), "the same name in one household"
        elif key == "household" and "plusOneOf" not in row:
            found[row["household"]] = (guest, row)
        if key != "household" and len(found) == 2:
            (_, one), (_, other) = found.values()
            other[key] = one[key]
            return "guests", ground.take(*sorted(each for each, _ in found.values())), f"the same {key}"
    raise LookupError("nobody to be twice")


def _plain(name: str) -> str:
    folded = unicodedata.normalize("NFKD", name.casefold())
    return "".join(letter for letter in folded if not unicodedata.combining(letter))


def _too_many(ground: _Ground, index: int) -> _Result:
    event_id, event = next(ground.free("wedding", "events"))
    coming = sum(row.get(f"rsvp:{event_id}") == "yes" for row in ground.rows("guests", "guests").values())
    event["capacity"] = coming - 1
    return "wedding", ground.take(event_id), f"{event['name']}: one guest too many"


def _too_many_plus_ones(ground: _Ground, index: int) -> _Result:
    free = dict(ground.guests())
    hosts = [row["plusOneOf"] for row in ground.rows("guests", "guests").values() if "plusOneOf" in row]
    host = next(guest for guest in ground.draft.chance.shuffled(hosts) if guest in free)
    free[host]["plusOnesAllowed"] = 0
    return "guests", ground.take(host), "brings one, may bring none"


def _late_answer(ground: _Ground, index: int) -> _Result:
    draft = ground.draft
    for guest, row in ground.guests():
        if row.get("rsvp:e_reception") in ("yes", "no"):
            field = Field("guests", "guests", guest, "rsvp:e_reception")
            draft.written[field] = Author(draft.written[field].user, "guest", (RSVP_BY + 3) * DAY, "pending")
            return "guests", (*ground.take(guest), "e_reception"), "answered three days late"
    raise LookupError("nobody to answer late")


def _lost_family(ground: _Ground, index: int) -> _Result:
    if index % 2 == 0:
        guest, row = next(each for each in ground.guests() if not each[1].keys() & {"plusOneOf", "plusOnesAllowed"})
        row["household"] = ground.draft.chance.id("h")
        return "guests", ground.take(guest), "the household does not exist"
    guest, row = next(each for each in ground.free("guests", "guests") if "plusOneOf" in each[1])
    row["plusOneOf"] = ground.draft.chance.id("g")
    return "guests", ground.take(guest), "the host does not exist"


def _same_seat(ground: _Ground, index: int) -> _Result:
    seats = ground.rows("seating", "assignments")
    for table, guests in ground.open_tables():
        pair = [guest for guest in ground.untouched(guests) if seats[guest]["seat"] is not None][:2]
        if len(pair) == 2:
            seats[pair[1]] = dict(seats[pair[0]])
            ground.take(table, *pair)
            return "seating", (table, str(seats[pair[0]]["seat"])), f"seat of {pair[0]} and {pair[1]}"
    raise LookupError("no seat for two")


def _table_too_small(ground: _Ground, index: int) -> _Result:
    table, guests = next(each for each in ground.open_tables() if len(each[1]) > 3)
    row, seats = ground.rows("seating", "tables")[table], ground.rows("seating", "assignments")
    row["capacity"] = len(guests) - 1
    for guest in guests:
        if (seats[guest]["seat"] or 0) >= row["capacity"]:
            seats[guest] = {"table": table, "seat": None}
    return "seating", ground.take(table), f"table {row['label']} has one guest more than seats"


def _no_such_seat(ground: _Ground, index: int) -> _Result:
    alone = next(ground.seated_alone(), None) if index % 2 else None
    guest, _ = alone or next(ground.seated())
    seats, tables = ground.rows("seating", "assignments"), ground.rows("seating", "tables")
    table = seats[guest]["table"]
    if alone is None:
        seats[guest] = {"table": table, "seat": tables[table]["capacity"] + index}
        return "seating", ground.take(guest), "the seat does not exist"
    seats[guest] = {"table": ground.draft.chance.id("t"), "seat": 0}
    return "seating", ground.take(guest), "the table does not exist"


def _sits_without_coming(ground: _Ground, index: int) -> _Result:
    if index % 2 == 0:
        guest, row = next(ground.seated())
        row["rsvp:e_reception"] = "no"
        return "seating", ground.take(guest), "has a seat and declined"
    guest = ground.draft.chance.id("g")
    ground.rows("seating", "assignments")[guest] = {"table": ground.room(), "seat": None}
    return "seating", ground.take(guest), "has a seat and is no guest"


def _rule_about(ground: _Ground, kind: str, hard: bool, pair: list[str]) -> str:
    """Make a rule that is kept about two other guests."""
    rules = ground.free("seating", "rules")
    rule_id, rule = next(each for each in rules if each[1]["kind"] == kind and each[1]["hard"] == hard)
    for key in [key for key in rule if key.startswith("guest:")]:
        del rule[key]
    rule.update({f"guest:{guest}": True for guest in pair})
    ground.take(rule_id, *pair)
    return rule_id


def _not_apart(ground: _Ground, index: int) -> _Result:
    for _, guests in ground.open_tables():
        pair = ground.untouched(guests)[:2]
        if len(pair) == 2:
            return "seating", (_rule_about(ground, "apart", True, pair),), "both sit at one table"
    raise LookupError("no table for two who must be apart")


def _not_together(ground: _Ground, index: int) -> _Result:
    if index % 2 == 0:
        pair = [free[0] for _, guests in ground.open_tables() if (free := ground.untouched(guests))][:2]
        return "seating", ("rules", _rule_about(ground, "together", False, pair)), "they sit at two tables"
    guests, tables = ground.rows("guests", "guests"), dict(ground.open_tables())
    for seated in tables.values():
        for guest in ground.untouched(seated):
            household = guests[guest]["household"]
            family = [each for each in seated if each in guests and guests[each]["household"] == household]
            if len(family) > 1 and not ground.ruled.intersection(family):
                here = ground.rows("seating", "assignments")[guest]["table"]
                there = next(table for table in (ground.room() for _ in range(1000)) if table != here)
                ground.rows("seating", "assignments")[guest] = {"table": there, "seat": None}
                ground.take(guest, *family)
                return "seating", ("households", household), "a household sits at two tables"
    raise LookupError("no household to part")


def _moved_at_a_locked_table(ground: _Ground, index: int) -> _Result:
    draft, seats = ground.draft, ground.rows("seating", "assignments")
    locked = [each for each, row in ground.free("seating", "tables") if "locked" in row]
    table, guests = next((table, people) for table in locked if (people := guests_by_table(draft)[table]))
    guest = draft.chance.pick(guests)
    before = seats[guest]
    seats[guest] = {"table": table, "seat": 0 if before["seat"] is None else None}
    draft.written[Field("seating", "assignments", guest, None)] = Author(
        draft.user("family"), "family", LOCKED_AT + DAY, before
    )
    ground.take(table)
    return "seating", (guest,), "family moved a guest of a locked table"


def _not_safe_to_eat(ground: _Ground, index: int) -> _Result:
    care = ground.rows("care", "care")
    guest, row = next(each for each in ground.guests() if "meal" in each[1] and each[0] not in care)
    ground.take(guest)
    if index % 2 == 0:
        care[guest] = {"allergy:peanut": "severe", "note": ""}
        return "care", (guest,), "the caterer has not seen a severe allergy"
    care[guest] = {"diet:vegetarian": True, "note": ""}
    row["meal"] = "beef"
    return "care", (guest,), "a vegetarian gets beef"


def _not_the_couple(ground: _Ground, index: int) -> _Result:
    draft, meta = ground.draft, ground.rows("wedding", "meta")[""]
    key = ("currency", "timeZone", "date")[index]
    choices = (list(CURRENCIES), list(ZONES), [draft.day(1)])[index]
    before = next(choice for choice in choices if choice != meta[key])
    draft.written[Field("wedding", "meta", "", key)] = Author(draft.user("planner"), "planner", -100 * DAY, before)
    return "wedding", (key,), f"the planner set the {key}"


def _booked_elsewhere(ground: _Ground, index: int) -> _Result:
    vendor_id, vendor = next(each for each in ground.free("wedding", "vendors") if "bookedWindow" in each[1])
    theirs = next(each for each in ground.draft.neighbour["vendors"].values() if each["category"] == vendor["category"])
    theirs |= {"name": vendor["name"], "organization": vendor["organization"], "stage": "booked"}
    return "wedding", ground.take(vendor_id), f"{vendor['name']} works at another wedding that day"


def _booked_twice(ground: _Ground, index: int) -> _Result:
    vendor_id, vendor = next(each for each in ground.free("wedding", "vendors") if each[1]["stage"] == "shortlisted")
    vendor["stage"] = "booked"
    ground.take(vendor_id)
    return "wedding", (vendor["category"],), f"{vendor['name']} is the second {vendor['category']}"


def _forged(ground: _Ground, index: int) -> _Result:
    draft, document = ground.draft, "thread.planning"
    message, body = next(ground.free(document, "messages"))
    author = draft.user("coordinator" if body["from"] == draft.user("planner") else "planner")
    role = next(each.role for each in draft.people if each.user == author)
    field = Field(document, "messages", message, None)
    draft.written[field] = Author(author, role, draft.written[field].minute)
    return document, ground.take(message), f"{author} wrote in the name of {body['from']}"


_PLANTERS: Final[dict[str, Callable[[_Ground, int], _Result]]] = {
    # Those who find the fewest places first.
    "T5": _too_late,
    "T3": _place_twice,
    "T2": _person_twice,
    "T1": _vendor_twice,
    "T4": _too_early,
    "T6": _nobody_there,
    "B5": _not_approved,
    "B4": _paid_twice,
    "B3": _paid_too_much,
    "B1": _over_the_limit,
    "B2": _over_the_category,
    "S7": _moved_at_a_locked_table,
    "S2": _table_too_small,
    "S1": _same_seat,
    "S6": _not_together,
    "S5": _not_apart,
    "S3": _no_such_seat,
    "S4": _sits_without_coming,
    "G5": _lost_family,
    "G1": _same_person,
    "G3": _too_many_plus_ones,
    "G4": _late_answer,
    "C1": _not_safe_to_eat,
    "G2": _too_many,
    "W1": _not_the_couple,
    "W2": _booked_elsewhere,
    "W3": _booked_twice,
    "M1": _forged,
}
