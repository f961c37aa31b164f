"""A small wedding that people write into, with an index that follows, compared with a new index after every step."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from documents.fields import same
from documents.invariants import (
    Context,
    FieldChange,
    Finding,
    Index,
    Op,
    Subject,
    Wedding,
    Writer,
    apply,
    assignments_by_table,
    chosen,
    rank_of,
    review_row,
)

DATE = "2026-06-20"
NOW = "2026-05-01T12:00:00Z"

ROLES = {
    "chloe": "couple", "aroha": "couple", "maria": "planner", "nina": "coordinator", "leo": "photographer",
    "carl": "caterer", "aunt": "family", "gina": "guest",
}  # fmt: skip


def empty() -> dict[str, Any]:
    """The documents of a wedding of which only the frame is there."""
    return {
        "wedding": {
            "meta": {"": {"date": DATE, "timeZone": "Europe/London", "currency": "GBP", "cascade": "flex"}},
            "events": {
                "e_ceremony": {"name": "Ceremony", "start": 900, "duration": 40, "place": "p_oak", "rsvp": True},
                "e_reception": {"name": "Reception", "start": 1020, "duration": 420, "place": "p_hall", "rsvp": True},
            },
            "places": {
                "p_oak": {"name": "Old oak", "kind": "outdoor", "capacity": 100},
                "p_hall": {"name": "Hall", "kind": "room", "capacity": 100, "exclusive": True},
            },
            "vendors": {
                "v_lens": {"name": "Light & Lens", "category": "photographer", "stage": "booked"},
                "v_band": {"name": "The Band", "category": "music", "stage": "confirmed"},
            },
            "members": {user: {"role": role, "name": user.title()} for user, role in ROLES.items()},
        },
        "timeline": {"items": {}},
        "budget": {"meta": {"": {}}, "categories": {}, "items": {}, "payments": {}, "voids": {}, "approvals": {}},
        "guests": {"households": {"h_one": {"name": "One"}, "h_two": {"name": "Two"}}, "guests": {}},
        "care": {"care": {}},
        "seating": {"tables": {}, "assignments": {}, "rules": {}},
    }


class Planning:
    """Writes come with their writer, as they arrive at the server."""

    def __init__(self, documents: dict[str, Any] | None = None, **context: Any) -> None:
        self.documents = empty() if documents is None else documents
        self.writers: dict[Any, Writer] = {}
        self.wedding = Wedding(self.documents, self.writers, Context(now=NOW, **context))
        self.index = Index(self.wedding)
        self.open: dict[Subject, Finding] = {each.subject: each for each in self.index.all()}
        self._seq = 0
        self.now = NOW
        """When writes arrive."""

    def write(self, user: str, document: str, root: str, record: str, key: str | None, value: Any) -> None:
        """One field; None deletes."""
        self.apply([_op(document, root, record, key, value)], user)

    def add(self, user: str, document: str, root: str, record: str, **keys: Any) -> None:
        """A record; `family__member` stands for `family:member`."""
        row = {key.replace("__", ":"): value for key, value in keys.items()}
        self.apply([Op("insert", document, root, record, None, row)], user)

    def apply(self, ops: Iterable[Op], user: str) -> list[FieldChange]:
        """Operations of a person or of the server; the index follows."""
        changes = []
        for op in ops:
            whole = op.kind == "insert" and not op.value
            done = apply(self.documents, [op])
            if whole or (op.kind == "delete" and op.key is None and not done):
                done = [FieldChange(op.document, op.root, op.record, None, None, None)]
            changes.extend(done)
        self._seq += 1
        role = ROLES.get(user, "server")
        for document, root, record, key, before, _ in changes:
            where = (document, root, record, key)
            self.writers[where] = Writer(user, role, rank_of(role), self._seq, self.now, before)
        self._follow(changes)
        return changes

    def locked(self, document: str, table: str, user: str) -> None:
        """Lock a table."""
        seats = assignments_by_table(self.wedding, document).get(table, {})
        self.write(user, document, "tables", table, "locked", {"at": NOW, "by": user})
        self.context(locked={**self.wedding.context.locked, (document, table): copy.deepcopy(seats)})

    def context(self, **context: Any) -> None:
        """Go on with another context."""
        now = self.wedding.context
        kept = {name: getattr(now, name) for name in now.__slots__}
        before = self.index.set_context(Context(**{**kept, **context}))
        for subject in before | self.index.subjects():
            self._look(subject)
        self.check()

    def resolve(self, rounds: int = 10) -> int:
        """Carry out automatic operations until there are none. Returns how many rounds that took."""
        for done in range(rounds):
            applied = False
            for subject in sorted(self.open):
                finding = self.index.find(subject)
                if finding is not None and finding.automatic:
                    self.apply(finding.automatic, "server")
                    applied = True
            if not applied:
                return done
        raise AssertionError(f"no rest after {rounds} rounds: {sorted(self.open)}")

    def finding(self, invariant: str) -> Finding:
        """The one finding of an invariant, as it is now."""
        (subject,) = (subject for subject in self.open if subject.invariant == invariant)
        finding = self.index.find(subject)
        assert finding is not None
        return finding

    def choose(self, finding: Finding, text: str, user: str = "chloe") -> None:
        """Choose the option whose text begins so."""
        option = next(option for option in finding.options if option.text.startswith(text))
        role = ROLES[user]
        ops = chosen(review_row(finding, NOW), option.id, Writer(user, role, rank_of(role), self._seq, NOW))
        assert ops is not None, f"a {role} may not choose this"
        self.apply(ops, user)

    def derive(self) -> None:
        """Bring the keys of the server up to date."""
        for subject in self.index.subjects():
            self.apply(self.index.derived(subject), "server")

    def broken(self) -> list[str]:
        """The invariants that do not hold, sorted."""
        return sorted(subject.invariant for subject in self.open)

    def check(self) -> None:
        """What the index has followed is what a new one finds."""
        new = {each.subject: each for each in Index(self.wedding).all()}
        assert self.open.keys() == new.keys()
        for subject, finding in new.items():
            assert self.index.find(subject) == finding

    def _follow(self, changes: list[FieldChange]) -> None:
        for subject in self.index.update(change.field for change in changes):
            self._look(subject)
        self.check()

    def _look(self, subject: Subject) -> None:
        finding = self.index.find(subject)
        assert self.index.broken(subject) == (finding is not None)
        if finding is None:
            self.open.pop(subject, None)
        else:
            self.open[subject] = finding

    def value(self, document: str, root: str, record: str, key: str | None = None) -> Any:
        row = self.documents[document][root].get(record)
        return row if key is None or row is None else row.get(key)


def _op(document: str, root: str, record: str, key: str | None, value: Any) -> Op:
    return Op("delete" if value is None else "set", document, root, record, key, value)


def plain(rows: Mapping[str, Any]) -> Any:
    """A copy to compare with."""
    return copy.deepcopy(rows)


__all__ = ["DATE", "NOW", "Planning", "empty", "plain", "same"]
