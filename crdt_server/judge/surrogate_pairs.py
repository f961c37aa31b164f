"""The characters of two UTF-16 units in a document: an update may not come between the two.

Yjs shows two replacement characters then. yrs counts on with the whole character on one side, shows something else, and
may end the process that reads or merges it later. Bindings of editors do not write this.

Only the clocks of the second units are kept, four bytes each.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence

from crdt_server.judge.clock_ranges import ClockRanges, Span
from crdt_server.protocol.structs import STRING, Struct


class SurrogatePairs:
    """See the head of the file. ``deleted``: the deletions of the document. Of each client structs are added in the
    order of their clocks."""

    __slots__ = ("_deleted", "_seconds")

    def __init__(self, deleted: ClockRanges) -> None:
        self._deleted = deleted
        self._seconds: dict[int, array[int]] = {}

    def add(self, struct: Struct) -> None:
        """Add the pairs of a string."""
        if not _has_pairs(struct):
            return
        seconds = self._seconds.setdefault(struct.client, array("I"))
        clock = struct.clock
        for character in struct.value:
            clock += 1
            if character > "\uffff":
                seconds.append(clock)
                clock += 1

    def cut_by(self, structs: Sequence[Struct], deletes: Iterable[Span]) -> bool:
        """Whether an update comes between the units of a character that is there: in the document, or new itself."""
        new = [struct for struct in structs if struct.content == STRING and _has_pairs(struct)]
        if not new:
            return bool(self._seconds) and self.cuts(structs, deletes)
        coming = SurrogatePairs(self._deleted)
        for struct in new:
            coming.add(struct)
        return self.cuts(structs, deletes) or coming.cuts(structs, deletes)

    def cuts(self, structs: Iterable[Struct], deletes: Iterable[Span]) -> bool:
        """Whether structs and deletions come between the units of one of these characters."""
        for struct in structs:
            if struct.origin is not None and self._is_inside(struct.origin[0], struct.origin[1] + 1):
                return True
            if struct.right_origin is not None and self._is_inside(*struct.right_origin):
                return True
        return any(
            self._is_inside(client, start) or self._is_inside(client, end)
            for client, start, end in deletes
            if client in self._seconds
        )

    def forget_cut(self, struct: Struct) -> None:
        """Forget the pairs that a stored struct has cut: from then on they are two characters for everybody."""
        for id in (struct.origin and (struct.origin[0], struct.origin[1] + 1), struct.right_origin):
            if id is not None and self._is_inside(*id):
                self._seconds[id[0]].remove(id[1])

    def _is_inside(self, client: int, clock: int) -> bool:
        """Whether a character begins before a clock and ends behind it. One that is deleted, or of which a half was
        deleted before that was refused, is none any more."""
        seconds = self._seconds.get(client)
        if seconds is None:
            return False
        place = bisect_left(seconds, clock)
        if place == len(seconds) or seconds[place] != clock:
            return False
        covers = self._deleted.covers
        return not covers(client, clock - 1, clock) and not covers(client, clock, clock + 1)


def _has_pairs(struct: Struct) -> bool:
    return struct.value is not None and len(struct.value) < struct.length
