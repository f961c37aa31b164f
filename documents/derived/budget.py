"""`budget@contrib.{guest}`: what somebody of the family gives towards the wedding, and what all give together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from documents import budget
from documents.changes import Change
from documents.derived.emergencies import EVERYONE, emergencies
from documents.derived.model import NOT_WRITABLE, Declaration, Dependency, DerivedRoot, Projection, View, made
from documents.fields import Reason
from documents.kind import Key

if TYPE_CHECKING:
    from documents.events import Actor

_SOURCE: Final = budget.KIND.roots["contributions"]
_OWN: Final = DerivedRoot(_SOURCE.name, _SOURCE.shape, _SOURCE.about, type=_SOURCE.type, growing=True)
_TOTALS: Final = made(
    "totals", "What all give together.", Key("amount", "amount", budget.AMOUNT, "In the currency of the wedding.")
)
_ALL: Final = "contributions"


def _contribution(view: View, record: str) -> Any:
    found = view.source.rows("budget", "contributions").get(record)
    return found if budget.is_given_by(found, view.own) else None


def _refuses(view: View, change: Change, actor: Actor) -> Reason | None:
    there = view.source.rows("budget", "contributions").get(change.record)
    if there is not None and not budget.is_given_by(there, view.own):
        return NOT_WRITABLE
    own = change.after is None or budget.is_given_by(change.after, view.own)
    return None if own else Reason("read_only", "`guest` of what you give is you")


def _total(view: View, record: str) -> dict[str, Any] | None:
    rows = view.source.rows("budget", "contributions").values()
    amounts = [row.get("amount") for row in rows if type(row) is dict]
    return {"amount": sum(each for each in amounts if type(each) is int)} if record == _ALL else None


def _one(view: View) -> Iterable[str]:
    return (_ALL,)


def _always(view: View, change: Change) -> Iterable[str]:
    return (_ALL,)


DECLARATIONS: Final = (
    Declaration(
        "budget@contrib",
        "What a member of the family gives, and what all give together.",
        (
            Projection(root=_OWN, document="budget", source="contributions", row=_contribution, refuses=_refuses),
            Projection(
                root=_TOTALS,
                document="budget",
                source="contributions",
                row=_total,
                records=_one,
                dependencies=(Dependency("budget", "contributions", _always),),
            ),
            emergencies(EVERYONE),
        ),
        roles={"family"},
        own="guest",
    ),
)
