"""The edit of each party of a finding in words, and the value before it.

The record of a finding is read by whoever reads its document, who may not read others. So it has the value before, and
the words, of fields of its own document only; and not of messages, of which a redaction leaves no byte.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from documents.invariants.model import UNKNOWN, Field, Finding, Party, Wedding, Writer, document_kind
from documents.invariants.review import review_id
from documents.invariants.wording import label_of, record_name, shown
from documents.sentences import Sentence, sentence


def attributed(wedding: Wedding, finding: Finding, document: str) -> Finding:
    """A finding about to be recorded in the `review` of a document, with what was there before its parties wrote."""
    if document_kind(document) == "thread":
        return finding
    before = _before(wedding, finding, document)
    parties = (
        _attributed(wedding, party, before[party.field]) if party.field.document == document else party
        for party in finding.parties
    )
    return replace(finding, parties=tuple(parties))


def _attributed(wedding: Wedding, party: Party, before: Any) -> Party:
    return replace(party, before=before, said=_sentence(wedding, party, before))


def _sentence(wedding: Wedding, party: Party, before: Any) -> Sentence:
    field = party.field
    values = {
        "record": record_name(wedding, field),
        "field": label_of(wedding, field),
        "value": shown(wedding, field, party.value),
    }
    if before is UNKNOWN:
        return sentence("wrote", **values)
    return sentence("wrote.over", before=shown(wedding, field, before), **values)


def _before(wedding: Wedding, finding: Finding, document: str) -> Mapping[Field, Any]:
    """Field -> the value before the first of its writers. Of writes that did not know of each other all but the first
    would name one of the others."""
    row = wedding.rows(document, "review").get(review_id(finding.subject)) if finding.invariant == "X1" else None
    found: dict[Field, Any] = {}
    for party in sorted(finding.parties, key=lambda party: party.writer.seq):
        found.setdefault(party.field, _before_writer(party.writer, row))
    return found


def _before_writer(writer: Writer, row: Any) -> Any:
    """``row``: the record of an earlier conflict about the field, if there is one. It has the value
    before each of its parties."""
    parties = row.get("_parties", ()) if type(row) is dict else ()
    for party in parties:
        if (party["user"], party.get("at", "")) == (writer.user, writer.at):
            return party.get("before", UNKNOWN)
    return writer.before


__all__ = ["attributed"]
