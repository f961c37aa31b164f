"""The values of texts where somebody types: there they follow from the updates, and the Doc is not read.

A whole reading takes as long as a text has pieces, deleted ones included: 4 ms for 20,000 characters that were written
over nine times. It is made for every edit, unless the edit is at a place that is known from the one before.

- A place is right behind an id that no struct has as its origin. Then one that comes with it as its origin stands
  directly behind it: Yjs passes over structs to the right only while they have the same origin, or follow from those
  (`Item.integrate`). Its right origin must be that of the struct before: one inside of the same block makes yrs split
  that behind its back. So the number of visible characters before it is known, and with the struct it becomes that
  behind the struct, whose last id is the next place.
- The first place is that of a struct which is all of an update, where only one place in the text before gives the text
  that was read. Nobody can have written behind it yet.
- What was typed at a place without a break can be deleted from its end: the place stays, behind what is deleted.
- After any other edit of a text its places are unknown.

Offsets count characters, and clocks UTF-16 units, of which a character has two at most. No edit is made inside of one
(`surrogate_pairs`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from crdt_server.judge.clock_ranges import Span
from crdt_server.judge.row_values import ReadText
from crdt_server.judge.shared_types import SharedType
from crdt_server.judge.struct_index import Step
from crdt_server.protocol.structs import STRING, Struct
from documents.events.splices import common_prefix
from documents.rows import SHOWN, Rows

MOST_PLACES: Final = 8
"""In one text; with the next one the first goes, and whoever types there has the text read once."""
MOST_TEXTS: Final = 64
"""In one document."""
TAIL: Final = 1024
"""Characters that can be deleted from the end of a place."""


class _TypingPlace:
    """See the head of the file. ``offset``: visible characters before it; ``tail``: the last of them, as far as they
    have the ids up to ``clock`` without ``erased`` ones, which are deleted."""

    __slots__ = ("client", "clock", "erased", "offset", "right", "tail")

    def __init__(self, struct: Struct, offset: int) -> None:
        self.client, self.clock = struct.client, struct.clock + struct.length - 1
        self.offset, self.tail, self.erased = offset, struct.value[-TAIL:], 0
        self.right = struct.right_origin

    def add(self, struct: Struct) -> None:
        """It is behind a struct now, which was written there."""
        follows = struct.client == self.client and struct.clock == self.clock + 1 and not self.erased
        self.tail = ((self.tail if follows else "") + struct.value)[-TAIL:]
        self.client, self.clock, self.erased = struct.client, struct.clock + struct.length - 1, 0
        self.offset += len(struct.value)

    def erase(self, span: Span) -> int:
        """The number of characters that a deletion takes from the end of its tail, and takes them; 0: another."""
        client, first, following = span
        if client != self.client or following != self.clock + 1 - self.erased:
            return 0
        units = following - first
        count = _last_characters(self.tail, units)
        if not count:
            return 0
        self.tail, self.erased = self.tail[:-count], self.erased + units
        self.offset -= count
        return count


class _FollowedText:
    """One text: its value, however long, and its places, the oldest first."""

    __slots__ = ("places", "value")

    def __init__(self, value: str) -> None:
        self.value = value
        self.places: list[_TypingPlace] = []

    def insert(self, struct: Struct) -> bool:
        """Insert a struct where that is at a place. Returns whether it is."""
        value, inserted = self.value, struct.value
        for place in self.places:
            if (place.client, place.clock) == struct.origin and place.right == struct.right_origin:
                at = place.offset
                self.value = value[:at] + inserted + value[at:]
                place.add(struct)
                self._shift(at, len(inserted), but=place)
                return True
        return False

    def erase(self, span: Span) -> bool:
        """Delete the end of a place, if it is that. Returns whether it is."""
        for place in self.places:
            count = place.erase(span)
            if count:
                at = place.offset
                self.value = self.value[:at] + self.value[at + count :]
                self.places = [each for each in self.places if each is place or not at <= each.offset <= at + count]
                for each in self.places:
                    if each.offset > at + count:
                        each.offset -= count
                return True
        return False

    def read_again(self, value: str, struct: Struct) -> None:
        """Take the value that was read after a struct was inserted."""
        at = _place_of(self.value, value, struct.value)
        self.value = value
        if at is None:
            self.places = []
            return
        place = _TypingPlace(struct, at + len(struct.value))
        self._shift(at, len(struct.value))
        self.places = [*self.places[-MOST_PLACES + 1 :], place]

    def _shift(self, at: int, count: int, but: _TypingPlace | None = None) -> None:
        """So many characters were inserted at an offset. Of a place right there it is not known on which side."""
        self.places = [each for each in self.places if each is but or each.offset != at]
        for each in self.places:
            if each is not but and each.offset > at:
                if each.offset - len(each.tail) < at:
                    each.tail = ""
                each.offset += count


class FollowedTexts:
    """See the head of the file. ``read``: reads a text as a whole; it must not outlive the Doc."""

    def __init__(self, read: ReadText) -> None:
        self._read = read
        self._texts: dict[SharedType, _FollowedText] = {}  # the latest change last

    def read(self, text: SharedType) -> str:
        """The value of a text as the rows have it, read as a whole."""
        return self._read(text)[:SHOWN]

    def after(
        self,
        steps: Sequence[Step],
        deletes: Sequence[Span],
        changed: Sequence[SharedType],
        rows: Rows,
    ) -> ReadText:
        """How to read the texts that an update may have ``changed``, each once. ``rows``: as they are before it."""
        followed = {text: self._texts.pop(text) for text in changed if text in self._texts}
        struct = steps[0][0] if len(steps) == 1 and not deletes else None
        if struct is not None and not _is_plain(struct):
            struct = None
        span = deletes[0] if len(deletes) == 1 and not steps else None

        def read(text: SharedType) -> str:
            known = followed.pop(text, None)
            if known is not None and struct is not None and known.insert(struct):
                return self._keep(text, known)
            if known is not None and span is not None and known.erase(span):
                return self._keep(text, known)
            value = self._read(text)
            if struct is not None:
                if known is None:
                    old = _value_in(rows, text) or ""
                    known = _FollowedText(old) if type(old) is str and len(old) < SHOWN else None
                if known is not None:
                    known.read_again(value, struct)
                    if known.places:
                        return self._keep(text, known)
            return value[:SHOWN]

        return read

    def _keep(self, text: SharedType, known: _FollowedText) -> str:
        self._texts[text] = known
        if len(self._texts) > MOST_TEXTS:
            del self._texts[next(iter(self._texts))]
        return known.value[:SHOWN]


def _is_plain(struct: Struct) -> bool:
    """Whether a struct is a string, and all of it is known."""
    return struct.content == STRING and type(struct.value) is str


def _last_characters(text: str, units: int) -> int:
    """How many characters the last so many UTF-16 units of a text are; 0: it has less."""
    count = 0
    while units > 0 and count < len(text):
        count += 1
        units -= 1 if text[-count] <= "\uffff" else 2
    return 0 if units else count


def _value_in(rows: Rows, text: SharedType) -> object:
    """The value that rows have of a text; None where they have none."""
    row = rows.roots[text.root.name].get(text.record)
    if text.entries is None:
        return row
    return row.get(text.entries.key) if type(row) is dict else None


def _place_of(before: str, after: str, inserted: str) -> int | None:
    """Where a string was inserted; None where it may have been at several places, or nowhere."""
    at, count = common_prefix(before, after), len(inserted)
    # Of several places the last is the one behind the common prefix. With an earlier one, all behind what was inserted
    # there was moved by its length, so the character before the last place is that at the end of the string.
    if not count or (at and before[at - 1] == inserted[-1]):
        return None
    is_there = after[at : at + count] == inserted and after[at + count :] == before[at:]
    return at if is_there else None
