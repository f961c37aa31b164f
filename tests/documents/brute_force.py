"""What is wrong with a wedding, found the slow and obvious way: every record against every other."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator
from datetime import date
from itertools import combinations
from typing import Any

from documents.invariants import Field
from documents.sample import Sample

ONCE = {"photographer", "venue", "caterer", "officiant", "cake"}
EATS = {
    "vegan": {"vegan"},
    "vegetarian": {"vegan"},
    "halal": {"vegan"},
    "kosher": {"vegan"},
    "pescatarian": {"vegan", "fish"},
}

Wrong = tuple[str, tuple[str, ...]]


def wrong(sample: Sample) -> list[Wrong]:
    """(invariant, ids) of everything that does not hold, in any order."""
    return [*_timeline(sample), *_budget(sample), *_guests(sample), *_seating(sample), *_care(sample), *_rest(sample)]


def _timeline(sample: Sample) -> Iterator[Wrong]:
    items, wedding = sample.documents["timeline"]["items"], sample.documents["wedding"]
    places, vendors, end = wedding["places"], wedding["vendors"], wedding["meta"][""]["hardEnd"]
    for (one_id, one), (other_id, other) in combinations(sorted(items.items()), 2):
        if one["start"] >= other["start"] + other["duration"] or other["start"] >= one["start"] + one["duration"]:
            continue
        pair = (one_id, other_id)
        for key in one.keys() & other.keys():
            name = key.partition(":")[2]
            if key.startswith("vendor:") and one.get("place") != other.get("place"):
                yield "T1", (name, *pair)
            if key.startswith("person:"):
                yield "T2", (name, *pair)
        place = one.get("place")
        if place == other.get("place") and place in places and places[place].get("exclusive"):
            yield "T3", (place, *pair)
    for item_id, item in items.items():
        for key, gap in item.items():
            kind, _, other_id = key.partition(":")
            if kind == "after" and item["start"] < items[other_id]["start"] + items[other_id]["duration"] + gap:
                yield "T4", (item_id, other_id)
            if kind == "vendor" and vendors.get(other_id, {"stage": "cancelled"})["stage"] == "cancelled":
                yield "T6", (item_id,)
        if "place" in item and item["place"] not in places:
            yield "T6", (item_id,)
        if item["start"] + item["duration"] > end and item["kind"] != "breakdown":
            yield "T5", (item_id,)


def _cost(item: dict[str, Any]) -> int:
    return next(item[field] for field in ("actual", "quoted", "estimated") if field in item)


def _budget(sample: Sample) -> Iterator[Wrong]:
    budget = sample.documents["budget"]
    items, meta = budget["items"], budget["meta"][""]
    payments = {key: payment for key, payment in budget["payments"].items() if key not in budget["voids"]}
    if sum(map(_cost, items.values())) > meta["limit"]:
        yield "B1", ()
    for category_id, category in budget["categories"].items():
        if sum(_cost(item) for item in items.values() if item.get("category") == category_id) > category["allocated"]:
            yield "B2", (category_id,)
    if sum(category["allocated"] for category in budget["categories"].values()) > meta["limit"]:
        yield "B2", ()
    for item_id, item in items.items():
        own = [payment for payment in payments.values() if payment["item"] == item_id]
        back = sum(payment["amount"] for payment in own if payment["kind"] == "refund")
        paid = sum(payment["amount"] for payment in own if payment["kind"] != "refund")
        if paid > _cost(item) or back > paid:
            yield "B3", (item_id,)
        couple = {account.user for account in sample.people if account.role == "couple"}
        agreed = {
            row["to"]
            for row in budget["approvals"].values()
            if row["item"] == item_id and any(f"approvedBy:{user}" in row for user in couple)
        }
        amounts = {item[field] for field in ("actual", "quoted", "estimated") if field in item}
        if any(amount > meta["mustApproveOver"] and amount not in agreed for amount in amounts):
            yield "B5", (item_id,)
    for (one_id, one), (other_id, other) in combinations(sorted(payments.items()), 2):
        days = abs(date.fromisoformat(one["on"]) - date.fromisoformat(other["on"])).days
        authors = {sample.writers[Field("budget", "payments", each, None)].user for each in (one_id, other_id)}
        if (one["item"], one["amount"]) == (other["item"], other["amount"]) and days <= 1 and len(authors) == 2:
            yield "B4", (one_id, other_id)


def _folded(row: dict[str, Any]) -> str:
    name = unicodedata.normalize("NFKD", f"{row.get('firstName', '')} {row.get('lastName', '')}".casefold())
    return "".join(letter for letter in name if not unicodedata.combining(letter)).strip()


def _guests(sample: Sample) -> Iterator[Wrong]:
    guests, wedding = sample.documents["guests"]["guests"], sample.documents["wedding"]
    for (one_id, one), (other_id, other) in combinations(sorted(guests.items()), 2):
        same = any(key in one and one[key] == other.get(key) for key in ("email", "phone"))
        if same or (one["household"] == other["household"] and _folded(one) == _folded(other) != ""):
            yield "G1", (one_id, other_id)
    for event_id, event in wedding["events"].items():
        room = min(event["capacity"], wedding["places"][event["place"]]["capacity"], wedding["meta"][""]["capacity"])
        if sum(row.get(f"rsvp:{event_id}") == "yes" for row in guests.values()) > room:
            yield "G2", (event_id,)
    brought = Counter(row["plusOneOf"] for row in guests.values() if "plusOneOf" in row)
    for guest, row in guests.items():
        if brought[guest] > row.get("plusOnesAllowed", 0):
            yield "G3", (guest,)
        for key in row:
            writer = sample.writers[Field("guests", "guests", guest, key)]
            if key.startswith("rsvp:") and writer.role == "guest" and writer.at[:10] > wedding["meta"][""]["rsvpBy"]:
                yield "G4", (guest, key.partition(":")[2])
        if (
            row["household"] not in sample.documents["guests"]["households"]
            or row.get("plusOneOf", guest) not in guests
        ):
            yield "G5", (guest,)


def _seating(sample: Sample) -> Iterator[Wrong]:
    seating, guests = sample.documents["seating"], sample.documents["guests"]["guests"]
    seats, tables = seating["assignments"], seating["tables"]
    here = {guest: seat for guest, seat in seats.items() if guests.get(guest, {}).get("rsvp:e_reception", "no") != "no"}
    taken = Counter((seat["table"], seat["seat"]) for seat in here.values() if seat["seat"] is not None)
    for (table, seat), count in taken.items():
        if count > 1:
            yield "S1", (table, str(seat))
    for table, count in Counter(seat["table"] for seat in seats.values()).items():
        if table in tables and count > tables[table]["capacity"]:
            yield "S2", (table,)
    for guest, seat in seats.items():
        if seat["table"] not in tables or (seat["seat"] or 0) >= tables[seat["table"]]["capacity"]:
            yield "S3", (guest,)
        if guest not in here:
            yield "S4", (guest,)
    for rule_id, rule in seating["rules"].items():
        at = [seats[key[6:]]["table"] for key in rule if key.startswith("guest:") and key[6:] in seats]
        if rule["kind"] == "apart" and len(set(at)) < len(at):
            yield "S5", (rule_id,)
        if rule["kind"] == "together" and len(set(at)) > 1:
            yield "S6", ("rules", rule_id)
    for household in sample.documents["guests"]["households"]:
        family = [guest for guest, row in guests.items() if row["household"] == household and guest in seats]
        if len({seats[guest]["table"] for guest in family}) > 1:
            yield "S6", ("households", household)
    for (document, table), guests_before in sample.locked.items():
        lock = sample.writers[Field(document, "tables", table, "locked")]
        for guest, before in guests_before.items():
            writer = sample.writers[Field(document, "assignments", guest, None)]
            if writer.seq > lock.seq and seats[guest] != before and writer.rank < lock.rank:
                yield "S7", (guest,)


def _care(sample: Sample) -> Iterator[Wrong]:
    guests = sample.documents["guests"]["guests"]
    for guest, needs in sample.documents["care"]["care"].items():
        diets = [key.partition(":")[2] for key in needs if key.startswith("diet:")]
        meal = guests[guest].get("meal")
        unseen = "severe" in needs.values() and not any(key.startswith("acknowledgedBy:") for key in needs)
        if unseen or (meal and any(meal not in EATS.get(diet, {meal}) for diet in diets)):
            yield "C1", (guest,)


def _rest(sample: Sample) -> Iterator[Wrong]:
    wedding = sample.documents["wedding"]
    for key in ("date", "timeZone", "currency"):
        if sample.writers[Field("wedding", "meta", "", key)].role != "couple":
            yield "W1", (key,)
    if "couple" not in [member["role"] for member in wedding["members"].values()]:
        yield "W1", ()
    working = [row for row in wedding["vendors"].items() if row[1]["stage"] in ("quoted", "booked", "confirmed")]
    for vendor_id, vendor in working:
        for theirs in sample.neighbour["vendors"].values():
            ours, their = vendor.get("bookedWindow"), theirs["bookedWindow"]
            same = vendor["organization"] == theirs["organization"] and ours
            if same and ours["start"] < their["end"] and their["start"] < ours["end"]:
                yield "W2", (vendor_id,)
    booked = Counter(vendor["category"] for _, vendor in working if vendor["stage"] != "quoted")
    for category, count in booked.items():
        if category in ONCE and count > 1:
            yield "W3", (category,)
    for document, rows in sample.documents.items():
        for message, body in rows.get("messages", {}).items():
            if sample.writers[Field(document, "messages", message, None)].user != body["from"]:
                yield "M1", (message,)
