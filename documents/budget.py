"""`budget`: what the wedding may cost, will cost and has cost.

Amounts are of the whole line, not of one piece: `quantity` is information. Totals are never stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from documents.fields import Date, DecimalString, Enum, Instant, Money, Note, String
from documents.kind import Kind, family, key, needed, record, records, single, value_of, values
from documents.shared import (
    BUDGET_CATEGORY,
    BUDGET_ITEM,
    COUNT,
    CURRENCY,
    GUEST,
    LABEL,
    NAME,
    ORDER,
    PAYMENT,
    RETRACTION,
    USER,
    VENDOR,
    Meta,
    Record,
    review,
)

AMOUNT = Money()
AMOUNT_FIELDS = Enum("estimated", "quoted", "actual")


@record
class BudgetMeta(Meta):
    """The budget as a whole."""

    limit: int | None = key(AMOUNT, "What everything together may cost.")
    must_approve_over: int | None = key(AMOUNT, "Items that cost more need the approval of the couple.")


@record
class Category(Record):
    """A part of the budget."""

    name: str | None = key(LABEL, "What it is called.")
    allocated: int | None = key(AMOUNT, "How much is set aside for it.")
    order: str | None = key(ORDER, "Place in the list.")


@record
class BudgetItem(Record):
    """Something that costs money."""

    category: str | None = key(BUDGET_CATEGORY, "The part of the budget it belongs to.")
    name: str | None = key(NAME, "What it is.")
    vendor: str | None = key(VENDOR, "Who is paid for it.")
    estimated: int | None = key(AMOUNT, "What it may cost.")
    quoted: int | None = key(AMOUNT, "What was offered.")
    actual: int | None = key(AMOUNT, "What it costs.")
    quantity: int | None = key(COUNT, "How many. The amounts are for all of them.")
    currency: str | None = key(CURRENCY, "Currency of the amounts where it is not that of the wedding.")
    rate: str | None = key(DecimalString(), "Units of the currency of the wedding for one unit of `currency`.")
    due: str | None = key(Date(), "When it is to be paid.")
    order: str | None = key(ORDER, "Place in the list.")
    note: str | None = key(Note(), "Remarks.")


@record
class Payment:
    """Money that went from one to the other. Never changed: a wrong one is voided and written anew."""

    item: str = needed(BUDGET_ITEM, "What was paid for.")
    amount: int = needed(AMOUNT, "How much, always positive.")
    currency: str | None = key(CURRENCY, "Currency where it is not that of the wedding.")
    on: str = needed(Date(), "Day of the payment.")
    kind: str = needed(Enum("deposit", "balance", "refund"), "What it was; a refund comes back.")
    payer: str | None = key(LABEL, "Who paid.")
    reference: str | None = key(LABEL, "What the bank statement says.")


@record
class Contribution:
    """Money that somebody gives towards the wedding."""

    contributor: str = needed(LABEL, "Who gives.")
    amount: int = needed(AMOUNT, "How much, in the currency of the wedding.")
    on: str | None = key(Date(), "When it comes.")
    note: str | None = key(String(), "Remarks.")
    guest: str | None = key(GUEST, "The guest who gives, where they are one.")


@record
class Approval(Record):
    """A question to the couple: may an item cost this much?"""

    item: str | None = key(BUDGET_ITEM, "The item.")
    field: str | None = key(AMOUNT_FIELDS, "Which of its amounts.")
    from_: int | None = key(AMOUNT, "What it was; absent: nothing.")
    to: int | None = key(AMOUNT, "What it is to be.")
    by: str | None = key(USER, "Who asks.")
    approved_by: Mapping[str, str] = family("approvedBy", USER, Instant(), "Who said yes, and when.")
    rejected_by: Mapping[str, str] = family("rejectedBy", USER, Instant(), "Who said no, and when.")
    state: str | None = key(Enum("pending", "approved", "rejected"), "What came of it.", server=True)


KIND = Kind(
    "budget",
    "What the wedding may cost, will cost and has cost.",
    (
        single("meta", BudgetMeta, "The budget as a whole."),
        records("categories", Category, "Parts of the budget."),
        records("items", BudgetItem, "What costs money."),
        values(
            "payments",
            value_of(Payment),
            "What was paid. A payment is never changed, only voided.",
            final=True,
            withdrawals="voids",
        ),
        values("voids", RETRACTION, "Payments that do not count, by payment id.", ids=PAYMENT, removable=True),
        values("contributions", value_of(Contribution), "What others give towards the wedding.", removable=True),
        records("approvals", Approval, "Questions to the couple about large amounts."),
        review(),
    ),
)


def is_given_by(contribution: Any, guest: str) -> bool:
    """Whether a contribution is that of a guest, of whom a user or a derived document has the id; "" is nobody."""
    return bool(guest) and isinstance(contribution, Mapping) and contribution.get("guest") == guest
