"""A finding as a record of the root `review`, within the limits of its fields.

Parts that do not fit into a record are left out, so that one can always be written: values that are too large, and the
words for them, parties without a known writer (and the server), options with more operations than a record holds, and
those after the first that fill it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from documents.fields import AnyJson, Reason
from documents.invariants.model import (
    CHOOSER,
    SERVER,
    UNKNOWN,
    Finding,
    Op,
    Option,
    Party,
    Subject,
    Writer,
    short_id,
    user_id,
)
from documents.sentences import Sentence, as_json, of_json, to_text
from documents.shared import SENTENCE, review

MAX_RECORD_BYTES: Final = 24 * 1024
"""Of a record, nearly."""

_MAX_OPTIONS_BYTES: Final = 18 * 1024
_MAX_VALUES_BYTES: Final = 4 * 1024
"""Of all that is said of what the parties wrote: values, values before, and words."""
_SMALL_BYTES: Final = 256
_ROOT = review()
_VALUE = AnyJson(_MAX_VALUES_BYTES)


@lru_cache(maxsize=4096)
def review_id(subject: Subject) -> str:
    """The id of the record about a subject."""
    return short_id("c", subject.invariant, *subject.ids)


def review_row(finding: Finding, at: str, *, state: str = "open") -> dict[str, Any]:
    """The keys that the server writes: `_kind`, `_subject`, `_options`… `at`: when it was found (RFC 3339, UTC)."""
    row: dict[str, Any] = {
        "_kind": finding.invariant,
        "_subject": _subjects(finding),
        "_severity": finding.severity,
        "_at": at,
        "_parties": list(_parties(finding)),
        "_options": [_option(each) for each in finding.options],
        "_strategy": finding.strategy,
        "_state": state,
        "_summary": finding.summary,
        "_sentence": as_json(finding.said),
    }
    options = _within(_MAX_OPTIONS_BYTES, [each for each in row.pop("_options") if _fits("_options", [each])])
    if state == "auto" and any(each["id"] == finding.undo for each in options):
        row["_undo"] = finding.undo
    return {key: value for key, value in row.items() if _fits(key, value)} | {"_options": options}


def in_language(row: dict[str, Any], language: str, names: Mapping[str, str]) -> dict[str, Any]:
    """A record with its texts in a language, in the places of those in English. ``names``: user -> name, of those whom
    the wedding has no name for."""
    found = row | _text_of("_summary", row.get("_sentence"), language, names)
    for key in ("_options", "_parties"):
        if key in row:
            found[key] = [each | _text_of("text", each.get("sentence"), language, names) for each in row[key]]
    return found


def sentences_of(row: Mapping[str, Any]) -> Iterator[object]:
    """The sentences of a record, as JSON."""
    yield row.get("_sentence")
    for part in (*row.get("_options", ()), *row.get("_parties", ())):
        yield part.get("sentence")


def _text_of(key: str, sentence: object, language: str, names: Mapping[str, str]) -> dict[str, str]:
    said: Sentence | None = of_json(sentence)
    return {} if said is None else {key: to_text(said, language, names)}


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


def _parties(finding: Finding) -> Iterator[dict[str, Any]]:
    room = _MAX_VALUES_BYTES
    fields = list(dict.fromkeys(party.field for party in finding.parties))
    for party in finding.parties:
        if party.writer.user in ("", SERVER):  # a rule takes part in nothing: what it wrote is among the options
            continue
        row: dict[str, Any] = {"user": party.writer.user, "role": party.writer.role}
        row |= {"at": party.writer.at} if party.writer.at else {}
        row |= {"subject": fields.index(party.field)}
        for part in _written(party):
            size = len(json.dumps(part))
            if size <= room:
                room -= size
                row |= part
        yield row


def _written(party: Party) -> Iterator[dict[str, Any]]:
    """The members of a record about the edit of a party, the most important first."""
    if party.value is not None and _is_small(party.value):
        yield {"value": party.value}
    if party.before is not UNKNOWN and _is_small(party.before):
        yield {"before": party.before}
    if party.said is not None:
        said = as_json(party.said)
        if type(SENTENCE.check(said)) is not Reason:
            yield {"text": to_text(party.said), "sentence": said}


def _within(room: int, options: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The options that fit, and all small ones, such as the last: to leave it as it is."""
    found = []
    for option in options:
        size = len(json.dumps(option))
        if size <= max(room, _SMALL_BYTES):
            room -= size
            found.append(option)
    return found


def _option(option: Option) -> dict[str, Any]:
    ops = [{name: value for name, value in op._asdict().items() if value is not None} for op in option.ops]
    row: dict[str, Any] = {"id": option.id, "text": option.text, "operations": ops}
    said = as_json(option.said)
    row |= {"sentence": said} if type(SENTENCE.check(said)) is not Reason else {}
    return {**row, "roles": list(option.roles)} if option.roles else row


def _is_small(value: Any) -> bool:
    return type(_VALUE.check(value)) is not Reason


def _fits(key: str, value: Any) -> bool:
    return type(_ROOT.check("", key, value)) is not Reason
