"""X1 and X2: the findings about writes whose authors had not seen each other.

Nothing is lost in silence: whatever stays, the other value is in the record and can be chosen.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from documents.fields import same
from documents.invariants.catalogue import HIERARCHY, INVARIANTS, LAST, MANUAL, MERGE, PRIORITY
from documents.invariants.model import Field, Finding, Op, Ops, Option, Party, Subject, Writer, document_kind
from documents.invariants.part import by_arrival, by_hierarchy, by_priority, cut


class Written(NamedTuple):
    """A value that somebody wrote; None: they deleted what was there."""

    value: Any
    writer: Writer


_MONEY_AND_PEOPLE: Final = frozenset({"budget", "guests", "care"})
_FIRMNESS: Final = {
    "confirmed": 0, "cancelled": 0, "booked": 1, "quoted": 2, "shortlisted": 3,
    "yes": 0, "no": 0, "maybe": 1, "pending": 2,
}  # fmt: skip
"""Of stages of vendors and answers of guests: what is certain comes first."""


def lost_write(strategy: str, field: Field, merged: Written, other: Written) -> Finding | None:
    """X1: two writes of one field, neither of which had seen the other. None where both wrote the same.

    `merged`: what the field holds after the merge; `other`: what it does not hold.
    The automatic operations are none where the strategy is content with the merge, and None where a person decides.
    """
    if same(merged.value, other.value):
        return None
    strategy = strategy if strategy in INVARIANTS["X1"].strategies else HIERARCHY
    winner = _winner(strategy, field, merged, other)
    loser = other if winner is merged else merged
    options = (
        Option(0, _text(winner or merged, field), _written(field, (winner or merged).value)),
        Option(1, _text(loser if winner else other, field), _written(field, (loser if winner else other).value)),
    )
    return Finding(
        Subject("X1", _ids(field)),
        INVARIANTS["X1"].severity,
        cut(
            f"{merged.writer.user} and {other.writer.user} wrote {field.key or field.record} without seeing each other."
        ),
        MANUAL if winner is None else strategy,
        (Party(field, merged.value, merged.writer), Party(field, other.value, other.writer)),
        options,
        None if winner is None else () if winner is merged else _written(field, winner.value),
    )


def _winner(strategy: str, field: Field, merged: Written, other: Written) -> Written | None:
    both = (merged, other)
    kind = document_kind(field.document)
    if strategy == MANUAL or (strategy == PRIORITY and kind in _MONEY_AND_PEOPLE):
        return None
    if strategy == PRIORITY:
        return min(both, key=lambda each: (_firmness(field, each.value), by_priority(each.writer, each.writer.user)))
    ranks_differ = merged.writer.rank != other.writer.rank
    if kind == "care" and (strategy == LAST or not ranks_differ):
        return None  # nothing that concerns somebody's safety is decided by who came last
    order = by_hierarchy if strategy == HIERARCHY else by_arrival
    return min(both, key=lambda each: order(each.writer, each.writer.user))


def _firmness(field: Field, value: Any) -> int:
    certain = field.key == "stage" or (field.key or "").startswith("rsvp:")
    return _FIRMNESS.get(value, 9) if certain and type(value) is str else 0


def edit_of_deleted(
    strategy: str, document: str, root: str, record: str, deletion: Written, edit: Written, key: str | None = None
) -> Finding:
    """X2: somebody deleted a record, and somebody who had not seen that edited it.

    `deletion`: the value of `deleted` and who set it; `edit`: the last of the edits, of the key `key`.
    """
    strategy = strategy if strategy in INVARIANTS["X2"].strategies else HIERARCHY
    field = Field(document, root, record, "deleted")
    restore: Ops = (Op("delete", *field[:3], "deleted"),)
    stays = strategy == HIERARCHY and deletion.writer.rank >= edit.writer.rank
    automatic: Ops | None = None if strategy == MANUAL else () if stays else restore
    texts: list[tuple[str, Ops]] = [
        (f"It stays deleted, as {deletion.writer.user} wants.", _written(field, deletion.value)),
        (f"It is restored with the edits of {edit.writer.user}.", restore),
    ]
    if strategy == MERGE or (strategy == HIERARCHY and not stays):
        texts.reverse()
    return Finding(
        Subject("X2", (document, root, record)),
        INVARIANTS["X2"].severity,
        cut(f"{deletion.writer.user} deleted what {edit.writer.user} was editing."),
        strategy,
        (
            Party(field, deletion.value, deletion.writer),
            Party(Field(document, root, record, key), edit.value, edit.writer),
        ),
        tuple(Option(i, text, ops) for i, (text, ops) in enumerate(texts)),
        automatic,
    )


def _ids(field: Field) -> tuple[str, ...]:
    return tuple(part for part in field if part is not None)


def _written(field: Field, value: Any) -> Ops:
    return (Op("delete", *field) if value is None else Op("set", *field, value),)


def _text(written: Written, field: Field) -> str:
    what = "nothing" if written.value is None else str(written.value)
    return cut(f"{field.key or field.record} as {written.writer.user} wrote it: {what}")


__all__ = ["Written", "edit_of_deleted", "lost_write"]
