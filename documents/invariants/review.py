"""A finding as a record of the root `review`, within the limits of its fields.

Parts that do not fit into a record are left out, so that one can always be written: values that are too large, parties
without a known writer, options with more operations than a record holds.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from documents.fields import AnyJson, Reason
from documents.invariants.model import CHOOSER, Finding, Op, Option, Party, Subject, Writer, short_id, user_id
from documents.shared import review

_ROOT = review()
_VALUE = AnyJson(4096)


@lru_cache(maxsize=4096)
def review_id(subject: Subject) -> str:
    """The id of the record about a subject."""
    return short_id("c", subject.invariant, *subject.ids)


def review_row(finding: Finding, at: str, *, state: str = "open") -> dict[str, Any]:
    """The keys that the server writes: `_kind`, `_subject`, `_options`… `at`: when it was found (RFC 3339, UTC)."""
    row = {
        "_kind": finding.invariant,
        "_subject": _subjects(finding),
        "_severity": finding.severity,
        "_at": at,
        "_parties": [_party(each) for each in finding.parties if each.writer.user],
        "_options": [_option(each) for each in finding.options],
        "_strategy": finding.strategy,
        "_state": state,
        "_summary": finding.summary,
    }
    options = [each for each in row.pop("_options") if _fits("_options", [each])]
    return {key: value for key, value in row.items() if _fits(key, value)} | {"_options": options}


def operations(row: dict[str, Any], choice: int) -> tuple[Op, ...] | None:
    """The operations of an option; None where there is no such option."""
    option = _option_of(row, choice)
    return None if option is None else tuple(Op(**each) for each in option["operations"])


def chosen(row: dict[str, Any], choice: int, chooser: Writer) -> tuple[Op, ...] | None:
    """The operations of an option as somebody chooses it; None where there is no such option, or not for them."""
    option, ops = _option_of(row, choice), operations(row, choice)
    if option is None or ops is None or chooser.role not in option.get("roles", (chooser.role,)):
        return None
    return tuple(_signed(op, chooser) for op in ops)


def _signed(op: Op, chooser: Writer) -> Op:
    if op.key is None or not op.key.endswith(":" + CHOOSER):
        return op
    value = chooser.at or "1970-01-01T00:00:00Z" if op.value == CHOOSER else op.value
    return op._replace(key=op.key.removesuffix(CHOOSER) + user_id(chooser.user), value=value)


def _option_of(row: dict[str, Any], choice: int) -> dict[str, Any] | None:
    return next((option for option in row.get("_options", ()) if option["id"] == choice), None)


def _subjects(finding: Finding) -> list[dict[str, Any]]:
    """The fields of the parties, each once."""
    fields = dict.fromkeys(party.field for party in finding.parties)
    return [
        {name: value for name, value in field._asdict().items() if value is not None} for field in list(fields)[:50]
    ]


def _party(party: Party) -> dict[str, Any]:
    row = {"user": party.writer.user, "role": party.writer.role}
    row |= {"at": party.writer.at} if party.writer.at else {}
    return row if party.value is None or not _is_small(party.value) else {**row, "value": party.value}


def _option(option: Option) -> dict[str, Any]:
    ops = [{name: value for name, value in op._asdict().items() if value is not None} for op in option.ops]
    row = {"id": option.id, "text": option.text, "operations": ops}
    return {**row, "roles": list(option.roles)} if option.roles else row


def _is_small(value: Any) -> bool:
    return type(_VALUE.check(value)) is not Reason


def _fits(key: str, value: Any) -> bool:
    return type(_ROOT.check("", key, value)) is not Reason
