"""The bounds of the root `review`, in bytes of JSON.

- Of one invariant and document so many bytes of open records are listed. Findings beyond them are left out, and counted
  in one record. With every record that is closed some of them are looked up again.
- Of what one invariant resolved by rule so many bytes are recorded one by one, since all of that can be undone for a
  day; what is beyond them is counted in one record, too.
- What is closed is removed where a document has more than it may have: first what was over by itself, then the oldest.
  Of what was resolved by rule that is after a day.

Records are read again as they change (`refresh`), whoever writes them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple

import orjson

from crdt_server.judge.reviews import UNDO_SECONDS, close_ops, home_of, home_of_subject, record_of
from documents.invariants import INVARIANTS, Finding, Index, Op, Subject, Wedding, review_id
from documents.invariants.catalogue import MANUAL
from documents.invariants.instants import instant
from documents.invariants.review import MAX_RECORD_BYTES
from documents.sentences import as_json, sentence, to_text

MAX_OPEN_BYTES: Final = 32 * 1024
"""Of the open records of one invariant in one document; one is listed whatever its size."""
MAX_AUTO_BYTES: Final = 48 * 1024
"""Of the records of what one invariant resolved by rule in one document."""
MAX_REVIEW_BYTES: Final = 768 * 1024
"""Of all records of one document. No kind of document has so many invariants that the above are more."""
KEPT_BYTES: Final = MAX_REVIEW_BYTES * 7 // 8
"""Is left where more was removed, so that not each new record removes another."""
MAX_REMOVED: Final = 64
"""Records that are removed in one transaction."""
_SMALL_BYTES: Final = 512  # of a record with one or two options

_SUMMARY: Final = "lost:"  # in place of a fingerprint, followed by the number of those that cannot be found again

_Family = tuple[str, str]
"""Document and invariant."""

_List = tuple[_Family, str]
"""The records of a family in one state, `open` or `auto`."""


class _Entry(NamedTuple):
    family: _Family
    state: str
    at: str
    size: int
    moot: bool


class ReviewLimits:
    """See the head of the file. ``wedding``: has the rows."""

    def __init__(self, wedding: Wedding) -> None:
        self._wedding = wedding
        self._entries: dict[str, dict[str, _Entry]] = {}
        self._bytes: Counter[str] = Counter()
        self._open: Counter[_Family] = Counter()
        self._auto: Counter[_Family] = Counter()
        self._left_out: dict[_List, dict[Subject, None]] = {}
        self._lost: Counter[_List] = Counter()
        """Findings that were left out and are over, or cannot be found again."""
        self._changed: set[_List] = set()  # of which the record that counts is to be written
        self._full: set[str] = set()  # documents that may have to lose records
        self.waiting: dict[str, _List] = {}
        """Record that there would be -> the list from which a finding was left out."""
        self.summaries: set[str] = set()
        """The records that count what is left out."""
        self.again: list[Subject] = []
        """Subjects whose findings may be listed now: to be looked up, and taken from here."""

    # Following the records

    def refresh(self, document: str, record: str) -> None:
        """Read a record again."""
        entries = self._entries.setdefault(document, {})
        before, row = entries.pop(record, None), record_of(self._wedding, document, record)
        if before is not None:
            self._count(document, before, -1)
        after = None if row is None else self._entry(document, record, row)
        if after is not None:
            entries[record] = after
            self._count(document, after, 1)
        if before is not None and before.state == "open" and (after is None or after.state != "open"):
            self._make_room(before.family)

    def _entry(self, document: str, record: str, row: Mapping[str, Any]) -> _Entry:
        family, state = (document, str(row.get("_kind"))), str(row.get("_state"))
        size = 0 if is_summary(row) else len(orjson.dumps(row, default=repr))
        if not size:
            self.summaries.add(record)
            self._changed.add((family, state))
            if not self._lost[family, state] and state in ("open", "auto"):  # after a restart
                lost = str(row["_fingerprint"]).removeprefix(_SUMMARY)
                self._lost[family, state] = int(lost) if lost.isdecimal() else 0
        return _Entry(family, state, str(row.get("_at")), size, row.get("_outcome") == "moot")

    def _count(self, document: str, entry: _Entry, sign: int) -> None:
        self._bytes[document] += sign * entry.size
        if entry.state == "open":
            self._open[entry.family] += sign * entry.size
        elif entry.state == "auto":
            self._auto[entry.family] += sign * entry.size
        if self._bytes[document] > MAX_REVIEW_BYTES or self._auto[entry.family] > MAX_AUTO_BYTES:
            self._full.add(document)

    def _make_room(self, family: _Family) -> None:
        room = MAX_OPEN_BYTES - self._open[family]
        waiting = self._left_out.get((family, "open"), {})
        for subject in list(islice(waiting, max(0, room // _SMALL_BYTES))):
            self.forget(subject)
            self.again.append(subject)
        if not self._open[family] and self._lost.pop((family, "open"), 0):
            self._changed.add((family, "open"))

    # Findings

    def keeps_waiting(self, subject: Subject, index: Index) -> bool:
        """Whether a person has to decide about a subject that is not listed, since others have to be resolved first: to
        find out more about it could cost much for nothing. It waits from then on."""
        family = _family_of(subject)
        if self._open[family] + _SMALL_BYTES <= MAX_OPEN_BYTES or self._wedding.strategy(subject.invariant) != MANUAL:
            return False
        listed = self._entries[family[0]].get(review_id(subject))
        if (listed is not None and listed.state == "open") or not index.broken(subject):
            return False
        self._wait(subject, (family, "open"))
        return True

    def is_over(self, subject: Subject) -> bool:
        """Whether there are more open records of the family of a subject than may be listed."""
        return self._open[_family_of(subject)] > MAX_OPEN_BYTES + MAX_RECORD_BYTES

    def admits(self, finding: Finding, size: int, now: float) -> bool:
        """Whether a record about a finding may be written, ``size`` bytes more. ``now``: seconds since 1970."""
        document, record = home_of(finding), review_id(finding.subject)
        entries = self._entries.get(document, {})
        listed = entries.get(record)
        family = (document, finding.invariant)
        if finding.manual:
            used = self._open[family]
            if listed is not None and listed.state == "open":
                return used == listed.size or used <= MAX_OPEN_BYTES + MAX_RECORD_BYTES
            return not used or used + size <= MAX_OPEN_BYTES
        if self._auto[family] + size <= MAX_AUTO_BYTES or (listed is not None and listed.state == "auto"):
            return True
        if _is_counted(self._wedding, finding, family):
            return False
        autos = (each for each in entries.values() if each.state == "auto" and each.family == family)
        return any(_age(each, now) > UNDO_SECONDS for each in autos)

    def leave_out(self, finding: Finding) -> None:
        """A finding is not listed. As long as it can be found, it waits for room."""
        key = ((home_of(finding), finding.invariant), "open" if finding.manual else "auto")
        if finding.invariant.startswith("X") or (finding.automatic and not finding.manual):
            self._lost[key] += 1
            self._changed.add(key)
        else:
            self._wait(finding.subject, key)

    def _wait(self, subject: Subject, key: _List) -> None:
        self._left_out.setdefault(key, {})[subject] = None
        self.waiting[review_id(subject)] = key
        self._changed.add(key)

    def forget(self, subject: Subject) -> None:
        """A subject has no finding any more, or its finding is listed."""
        key = self.waiting.pop(review_id(subject), None) if self.waiting else None
        if key is not None:
            del self._left_out[key][subject]
            self._changed.add(key)

    # Writing

    def has_work(self, documents: Collection[str]) -> bool:
        """Whether anything is to be looked up again, or to be written into open documents."""
        if self.again:
            return True
        return any(each in documents for each in (*self._full, *(family[0] for family, _ in self._changed)))

    def next_ops(self, documents: Collection[str], at: str, now: float) -> list[Op]:
        """The next operations on open documents, a part of all; none: all is as it should be.

        ``at``: the instant of ``now``, seconds since 1970.
        """
        for key in sorted(self._changed):
            if key[0][0] in documents:
                self._changed.discard(key)
                ops = list(self._summary(*key, at))
                if ops:
                    return ops
        for document in sorted(self._full):
            if document in documents:
                ops = list(islice(self._removals(document, now), MAX_REMOVED))
                if ops:
                    return ops
                self._full.discard(document)
        return []

    def _summary(self, family: _Family, state: str, at: str) -> Iterator[Op]:
        """Bring the record that counts what is left out up to date."""
        document, invariant = family
        number = self._lost[family, state] + len(self._left_out.get((family, state), ()))
        record = _summary_id(family, state)
        row = record_of(self._wedding, document, record)
        if not number:
            if row is not None and row.get("_state") == "open":
                yield from close_ops(document, record, "moot", at, None)
            return
        said = sentence("unlisted.auto" if state == "auto" else "unlisted.open", count=number)
        text = to_text(said)
        new = {
            "_kind": invariant, "_subject": [], "_severity": INVARIANTS[invariant].severity, "_at": at, "_parties": [],
            "_options": [], "_strategy": MANUAL, "_state": state, "_summary": text,
            "_sentence": as_json(said), "_fingerprint": f"{_SUMMARY}{self._lost[family, state]}",
        }  # fmt: skip
        if row is None:
            yield Op("insert", document, "review", record, None, new)
        elif row.get("_state") != state or row.get("_summary") != text:
            changing = ("_at", "_state", "_summary", "_sentence", "_fingerprint")
            yield from (Op("set", document, "review", record, key, new[key]) for key in changing)
            over = [key for key in ("_outcome", "_closedAt") if key in row]
            yield from (Op("delete", document, "review", record, key) for key in over)

    def _removals(self, document: str, now: float) -> Iterator[Op]:
        """The removal of closed records, those first that are least needed, until few enough are left; and of open ones
        beyond what may be listed, which cannot be found again."""
        entries, open_bytes, auto_bytes = self._entries[document], self._open.copy(), self._auto.copy()
        left = self._bytes[document]
        is_over = left > MAX_REVIEW_BYTES
        for record in sorted(entries, key=lambda each: (not entries[each].moot, entries[each].at, each)):
            family, state, _, size, _ = entry = entries[record]
            too_much = is_over and left > KEPT_BYTES
            if not size:  # it counts others
                continue
            if state == "open":
                removed = family[1].startswith("X") and open_bytes[family] > MAX_OPEN_BYTES
            elif state == "auto":
                removed = auto_bytes[family] > MAX_AUTO_BYTES or (too_much and _age(entry, now) > UNDO_SECONDS)
            else:
                removed = too_much
            if not removed:
                continue
            left -= size
            if state == "open":
                open_bytes[family] -= size
                self._lost[family, state] += 1
                self._changed.add((family, state))
            elif state == "auto":
                auto_bytes[family] -= size
            yield Op("delete", document, "review", record)


def _family_of(subject: Subject) -> _Family:
    return home_of_subject(subject), subject.invariant


def _is_counted(wedding: Wedding, finding: Finding, family: _Family) -> bool:
    """Whether nobody has written anything about a finding since those that are not listed were counted. It is found
    again when the wedding is opened, and must not take the place of one that is listed."""
    summary = record_of(wedding, family[0], _summary_id(family, "auto"))
    if summary is None or finding.automatic:
        return False
    written = [instant(party.writer.at) for party in finding.parties]
    counted = instant(str(summary.get("_at")))
    return counted is None or all(at is None or at <= counted for at in written)


def is_summary(row: Mapping[str, Any]) -> bool:
    """Whether a record counts findings that are not listed."""
    return str(row.get("_fingerprint")).startswith(_SUMMARY)


def size_of(ops: Sequence[Op]) -> int:
    """Bytes of what operations write, nearly."""
    return sum(len(orjson.dumps(op.value, default=repr)) for op in ops)


def _summary_id(family: _Family, state: str) -> str:
    document, invariant = family
    return review_id(Subject(invariant, ("", document, state)))


def _age(entry: _Entry, now: float) -> float:
    at = instant(entry.at)
    return UNDO_SECONDS + 1 if at is None else now - at.timestamp()
