"""X1 and X2: the findings about writes whose authors had not seen each other.

Nothing is lost in silence: whatever stays, the other value is in the record and can be chosen.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from documents.fields import same
from documents.invariants.catalogue import HIERARCHY, INVARIANTS, LAST, MANUAL, MERGE, PRIORITY
from documents.invariants.model import (
    SERVER,
    Field,
    Finding,
    Op,
    Ops,
    Option,
    Party,
    Subject,
    Wedding,
    Writer,
    document_kind,
)
from documents.invariants.part import by_arrival, by_hierarchy, by_priority
from documents.invariants.wording import label_of, person, record_name, shown
from documents.sentences import Sentence, sentence


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
_OTHER: Final = 1
"""Id of the option that is not what a rule decides, where a rule does: that comes first."""


def lost_write(
    strategy: str, field: Field, merged: Written, other: Written, wedding: Wedding | None = None
) -> Finding | None:
    """X1: two writes of one field, neither of which had seen the other. None where both wrote the same.

    `merged`: what the field holds after the merge; `other`: what it does not hold. `wedding`: has the names.
    The automatic operations are none where the strategy is content with the merge, and None where a person decides.
    """
    if same(merged.value, other.value):
        return None
    strategy = strategy if strategy in INVARIANTS["X1"].strategies else HIERARCHY
    winner = _winner(strategy, field, merged, other)
    loser = other if winner is merged else merged
    wedding = wedding or Wedding({})
    offered = (winner or merged, loser if winner else other)
    options = tuple(
        Option(i, _kept(wedding, written, field), _written(field, written.value)) for i, written in enumerate(offered)
    )
    return Finding(
        Subject("X1", _ids(field)),
        INVARIANTS["X1"].severity,
        _both_wrote(wedding, field, merged.writer, other.writer),
        MANUAL if winner is None else strategy,
        (Party(field, merged.value, merged.writer), Party(field, other.value, other.writer)),
        options,
        None if winner is None else () if winner is merged else _written(field, winner.value),
        undo=_OTHER,
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
    strategy: str,
    field: Field,
    deletion: Written,
    edit: Written,
    wedding: Wedding | None = None,
) -> Finding:
    """X2: somebody deleted a record, and somebody who had not seen that edited it.

    `field`: the last that was edited; `deletion`: the value of `deleted` and who set it; `wedding`: has the names.
    """
    strategy = strategy if strategy in INVARIANTS["X2"].strategies else HIERARCHY
    deleted, wedding = field._replace(key="deleted"), wedding or Wedding({})
    restore: Ops = (Op("delete", *deleted),)
    stays = strategy == HIERARCHY and deletion.writer.rank >= edit.writer.rank
    automatic: Ops | None = None if strategy == MANUAL else () if stays else restore
    by_rule = deletion.writer.user == SERVER
    who, other = person(wedding, deletion.writer), person(wedding, edit.writer)
    texts: list[tuple[Sentence, Ops]] = [
        (
            Sentence("X2.deleted_by_rule") if by_rule else sentence("X2.deleted", who=who),
            _written(deleted, deletion.value),
        ),
        (sentence("X2.restored", who=other), restore),
    ]
    record = record_name(wedding, field)
    if strategy == MERGE or (strategy == HIERARCHY and not stays):
        texts.reverse()
    return Finding(
        Subject("X2", field[:3]),
        INVARIANTS["X2"].severity,
        sentence("X2.by_rule", record=record, other=other)
        if by_rule
        else sentence("X2", one=who, record=record, other=other),
        strategy,
        (
            Party(deleted, deletion.value, deletion.writer),
            Party(field, edit.value, edit.writer),
        ),
        tuple(Option(i, text, ops) for i, (text, ops) in enumerate(texts)),
        automatic,
        undo=_OTHER,
    )


def _ids(field: Field) -> tuple[str, ...]:
    return tuple(part for part in field if part is not None)


def _written(field: Field, value: Any) -> Ops:
    return (Op("delete", *field) if value is None else Op("set", *field, value),)


def _both_wrote(wedding: Wedding, field: Field, one: Writer, other: Writer) -> Sentence:
    label, record = label_of(wedding, field), record_name(wedding, field)
    if SERVER in (one.user, other.user):
        who = person(wedding, other if one.user == SERVER else one)
        return sentence("X1.by_rule", one=who, field=label, record=record)
    return sentence("X1", one=person(wedding, one), other=person(wedding, other), field=label, record=record)


def _kept(wedding: Wedding, written: Written, field: Field) -> Sentence:
    value = shown(wedding, field, written.value)
    if written.writer.user == SERVER:
        return sentence("X1.keep_by_rule", value=value)
    return sentence("X1.keep", who=person(wedding, written.writer), value=value)


__all__ = ["Written", "edit_of_deleted", "lost_write"]
