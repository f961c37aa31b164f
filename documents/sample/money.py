"""The document `budget`: what is set aside, what things cost, what was paid, and what the couple agreed to."""

from __future__ import annotations

from typing import Any, Final

from documents.invariants.model import Field
from documents.sample.day import CURRENCIES
from documents.sample.draft import DAY, Author, Draft, number, present

# category -> percent of the whole, who is paid, what is bought
CATEGORIES: Final = {
    "Venue and catering": (45, ("venue", "caterer", "rentals"), (
        "Hire of the estate", "Dinner", "Drinks", "Canapés", "Late snacks", "Service staff", "Tables and chairs",
        "Linen", "Glasses and china", "Rehearsal dinner", "Brunch", "Vendor meals", "Corkage", "Cleaning",
    )),
    "Photography and film": (12, ("photographer", "videographer"), (
        "Photographer, 10 hours", "Film, 8 hours", "Second photographer", "Album", "Albums for the parents", "Drone",
        "Prints", "Travel of the photographers",
    )),
    "Flowers": (9, ("florist",), (
        "Bridal bouquet", "Bouquets of the bridesmaids", "Buttonholes", "Arch", "Table flowers", "Head table",
        "Flower girl", "Corsages", "Candles", "Petals",
    )),
    "Music": (8, ("dj",), (
        "Night Shift Sounds, evening", "String trio, ceremony", "Lights", "Second loudspeakers", "Microphones",
        "Songs fee", "Silent disco",
    )),
    "Clothes and beauty": (8, ("hair_makeup",), (
        "Dress", "Alterations", "Veil", "Shoes", "Suit", "Shirt and tie", "Rings", "Jewellery",
        "Hair and make-up, bride", "Hair and make-up, bridesmaids", "Trial", "Dresses of the bridesmaids", "Cufflinks",
    )),
    "Planner": (7, ("officiant",), (
        "Planning", "Coordination on the day", "Registrar", "Licence", "Insurance", "Translation of documents",
    )),
    "Stationery": (3, ("stationer",), (
        "Save-the-dates", "Invitations", "Stamps", "Menus", "Place cards", "Order of service", "Signs", "Guest book",
        "Thank-you cards",
    )),
    "Cake": (2, ("cake",), ("Cake", "Delivery of the cake", "Stand", "Macarons", "Tasting")),
    "Transport": (2, ("transport",), (
        "Coaches from the hotels", "Coaches to the hotels", "Car of the couple", "Parking", "Taxis", "Airport transfer",
    )),
    "Contingency": (4, (), (
        "Umbrellas", "Heaters", "Tips", "Favours", "Emergency kit", "Rain cover", "Gifts for the parents",
        "Gifts for the wedding party", "Basket for the guests", "Spare chairs", "Blankets", "Sparklers",
    )),
}  # fmt: skip
# Units of a currency that buy what one pound, dollar or euro buys, roughly.
_SCALE: Final = {"GBP": 1, "USD": 1, "EUR": 1, "INR": 100, "JPY": 150}
CONTRIBUTORS: Final = (
    "Aunt Mei", "Parents of the bride", "Parents of the groom", "Grandmother", "Uncle José", "Work 🎁"
)  # fmt: skip
PAYMENTS: Final = 120
REFUNDS: Final = 3
VOIDED: Final = 2
_AMOUNTS: Final = ("estimated", "quoted", "actual")


def committed(item: dict[str, Any]) -> int:
    """The cost of an item, as far as it is known."""
    amounts: list[int] = [item[field] for field in reversed(_AMOUNTS) if field in item]
    return amounts[0] if amounts else 0


def budget(draft: Draft) -> None:
    """90 items in ten categories, 120 payments, 6 contributions, and the couple's word on every large amount."""
    currency = draft.documents["wedding"]["meta"][""]["currency"]
    unit = _SCALE[currency] * int(10 ** CURRENCIES[currency])
    limit = draft.chance.between(330, 600) * 100 * unit
    draft.documents["budget"] = {
        "meta": {"": {"_version": 1, "limit": limit, "mustApproveOver": limit // 50 // unit * unit}},
        **{root: {} for root in ("categories", "items", "payments", "voids", "contributions", "approvals")},
    }
    for name, (percent, vendors, things) in CATEGORIES.items():
        category = draft.chance.id("c")
        allocated = limit * percent // 100 // unit * unit
        draft.rows("budget", "categories")[category] = {"name": name, "allocated": allocated}
        _buy(draft, category, allocated, [draft.vendor[each] for each in vendors], things)
    number(draft.rows("budget", "categories").values())
    number(draft.rows("budget", "items").values())
    _pay(draft)
    for contributor in CONTRIBUTORS:
        draft.rows("budget", "contributions")[draft.chance.id("n")] = present(
            contributor=contributor, amount=draft.chance.between(3, 60) * 100 * unit,
            on=draft.day(-draft.chance.between(60, 300)), note=draft.chance.pick((None, "For the music")),
        )  # fmt: skip


def _buy(draft: Draft, category: str, allocated: int, vendors: list[str], things: tuple[str, ...]) -> None:
    """Items that together cost less than what is set aside, whichever of their amounts counts."""
    chance = draft.chance
    # The first of a list is the large one.
    weights = [chance.between(20, 60) * (4 if index == 0 else 2 if index < 3 else 1) for index in range(len(things))]
    for thing, weight in zip(things, weights, strict=True):
        share = allocated * 90 * weight // sum(weights) // 100
        item: dict[str, Any] = present(
            category=category, name=thing, vendor=chance.pick(vendors) if vendors else None, estimated=share
        )
        if chance.happens(75):
            item["quoted"] = share * chance.between(88, 106) // 100
            if chance.happens(60):
                item["actual"] = item["quoted"] * chance.between(98, 101) // 100
        if chance.happens(20):
            item["quantity"] = chance.between(2, 120)
        item["due"] = draft.day(-chance.between(7, 120))
        item["note"] = draft.words(6, 25) if chance.happens(15) else ""
        row_id = chance.id("b")
        draft.rows("budget", "items")[row_id] = item
        _request_approval(draft, row_id, item)


def _request_approval(draft: Draft, item_id: str, item: dict[str, Any]) -> None:
    threshold = draft.documents["budget"]["meta"][""]["mustApproveOver"]
    before = None
    for field in _AMOUNTS:
        amount = item.get(field, 0)
        if amount > threshold:
            minute = -draft.chance.between(60, 250) * DAY
            couple, planner = draft.user("couple", draft.chance.below(2)), draft.user("planner")
            asked = {"item": item_id, "field": field, "to": amount, "by": planner}
            asked |= {"from": before} if before else {}
            approve(draft, asked, couple, minute)
        before = amount or before


def approve(draft: Draft, asked: dict[str, Any], couple: str, minute: int) -> None:
    """A question to the couple, with the answer of one of the two."""
    approval, vote = draft.chance.id("a"), f"approvedBy:{couple}"
    draft.rows("budget", "approvals")[approval] = {**asked, vote: draft.instant(minute), "_state": "approved"}
    draft.written[Field("budget", "approvals", approval, vote)] = Author(couple, "couple", minute)


def _pay(draft: Draft) -> None:
    """Deposits of a quarter, balances of two thirds; some refunds; and two that were entered twice and voided."""
    chance = draft.chance
    items = chance.shuffled(list(draft.rows("budget", "items").items()))
    pairs = (PAYMENTS - REFUNDS - VOIDED) // 2
    single = PAYMENTS - REFUNDS - VOIDED - 2 * pairs
    paid: list[str] = []
    for index, (item_id, item) in enumerate(items[: pairs + single]):
        cost = committed(item)
        paid.append(_payment(draft, item_id, max(1, cost // 4), -chance.between(200, 320), "deposit"))
        if index < pairs:
            _payment(draft, item_id, max(1, cost * 2 // 3), -chance.between(26, 150), "balance")
    for payment in paid[:REFUNDS]:
        first = draft.rows("budget", "payments")[payment]
        _payment(draft, first["item"], first["amount"] // 2, -chance.between(22, 25), "refund")
    for payment in paid[-VOIDED:]:
        twice = dict(draft.rows("budget", "payments")[payment], payer="Somebody else")
        voided = chance.id("pay")
        draft.rows("budget", "payments")[voided] = twice
        draft.rows("budget", "voids")[voided] = {
            "at": draft.instant(-150 * DAY), "by": draft.user("couple"), "reason": "entered twice"
        }  # fmt: skip


def _payment(draft: Draft, item: str, amount: int, days: int, kind: str) -> str:
    payment = draft.chance.id("pay")
    draft.rows("budget", "payments")[payment] = {
        "item": item, "amount": amount, "on": draft.day(days), "kind": kind,
        "payer": draft.chance.pick(draft.people[:2]).name, "reference": f"INV-{draft.chance.between(1000, 9999)}",
    }  # fmt: skip
    return payment
