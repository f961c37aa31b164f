"""The way back from what a rule has resolved by itself.

A finding that is resolved without a person offers an option that takes back what the rule did. Where its family has
none, that is: everything as it was before. It breaks the invariant again, and stands, since somebody has decided so.
`Invariant.undone_by` names the roles that may choose it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from documents.invariants.catalogue import INVARIANTS
from documents.invariants.model import MAX_OPTIONS, Field, Finding, Op, Ops, Option, Wedding
from documents.sentences import Sentence

UNDO = Sentence("undo")


def with_way_back(wedding: Wedding, finding: Finding) -> Finding:
    """A finding about to be resolved by rule, with the options that people have afterwards."""
    if finding.manual or not finding.automatic:
        return finding
    back = tuple(_inverses(wedding, finding.automatic))
    own = next((option.id for option in finding.options if any(op in back for op in option.ops)), None)
    if own is not None:
        return replace(finding, undo=own)
    others = [option for option in finding.options if option.ops and option.ops != finding.automatic]
    roles = INVARIANTS[finding.invariant].undone_by
    undo = None
    if back and roles is not None:
        others = [*others[: MAX_OPTIONS - 1], Option(0, UNDO, back, roles)]
        undo = len(others) - 1
    return replace(finding, options=tuple(replace(option, id=i) for i, option in enumerate(others)), undo=undo)


def _inverses(wedding: Wedding, ops: Ops) -> Iterator[Op]:
    """The operations that bring the rows of now back. A record that was added for the purpose stays."""
    for op in reversed(ops):
        if op.kind == "insert":
            continue
        where = Field(op.document, op.root, op.record, op.key)
        before = wedding.value(where)
        yield Op("delete", *where) if before is None else Op("set", *where, before)
