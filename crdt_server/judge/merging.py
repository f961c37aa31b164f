"""Merging of updates, proved to lose nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pycrdt import Doc, get_update, merge_updates

from crdt_server.errors import ProtocolError
from crdt_server.judge.clock_ranges import ClockRanges, Span, encode_clocks
from crdt_server.judge.known_contents import Known, compared_structs, pairs_of_structs
from crdt_server.pipe import PIECE_BYTES
from crdt_server.protocol.structs import DELETED, Struct
from crdt_server.protocol.update import Update, decode_structs, decode_update, missing
from crdt_server.protocol.update_split import split_update

FAN = 32  # merge_updates is quadratic in the number of updates: merge as a tree

# A character beyond the basic plane: two UTF-16 units, so a struct can end in its middle.
PAIR = re.compile(rb"[\xf0-\xf4][\x80-\xbf]{3}")


def merge(updates: Sequence[bytes]) -> list[bytes]:
    """Merge updates into as few as possible: one, nearly always.

    `merge_updates` is exact but for one case: where a part ends inside a surrogate pair that another part carries
    whole, it loses a unit and shifts all that follows. Where that is possible the result is compared with its parts,
    and dropped where it does not cover all of them.
    """
    if len(updates) < 2:
        return list(updates)
    merged = _merge(updates)
    if any(PAIR.search(update) for update in updates) and not holds_all(merged, updates):
        return list(updates)
    return [merged]


def holds_all(merged: bytes, parts: Sequence[bytes]) -> bool:
    """Whether an update covers every struct and deletion of its parts."""
    try:
        whole = decode_update(merged, max_bytes=len(merged))
    except ProtocolError:
        return False
    held = [decode_update(update, max_bytes=len(update)) for update in parts]
    return covers_all(
        whole, [span for part in held for span in part.ranges], [span for part in held for span in part.deletes]
    )


def covers_all(whole: Update, ranges: Sequence[Span], deletes: Sequence[Span]) -> bool:
    """Whether an update has these structs and deletions."""
    structs, deletions = ClockRanges(whole.ranges), ClockRanges(whole.deletes)
    return all(structs.covers(*span) for span in ranges) and all(deletions.covers(*span) for span in deletes)


def _merge(updates: Sequence[bytes]) -> bytes:
    level = list(updates)
    while len(level) > 1:
        level = [
            level[i] if i + 1 == len(level) else merge_updates(*level[i : i + FAN]) for i in range(0, len(level), FAN)
        ]
    return level[0]


def merge_checked(updates: Sequence[bytes]) -> bytes:
    """One update that is proved to cover its parts. Raises ProtocolError."""
    merged = merge(updates)
    if len(merged) != 1 or not holds_all(merged[0], updates):
        raise ProtocolError("merge_lost_content", "merging would lose content")
    return merged[0]


def collected(updates: Sequence[bytes], most: int) -> list[bytes]:
    """Updates of about `PIECE_BYTES` each and ``most`` at most, to be applied in order, with nothing of the content
    that is deleted. They are proved to hold all the rest: every struct and deletion, the same content under every id
    that has one, and nothing without content but what is deleted. Raises ProtocolError.
    """
    doc: Doc[Any] = Doc()
    for update in updates:
        decode_update(update, max_bytes=len(update))
        doc.apply_update(update)
    whole = doc.get_update()
    if not (holds_all(whole, updates) and _same_content(decode_structs(whole), updates)):
        raise ProtocolError("merge_lost_content", "collecting would lose content")
    piece_bytes = max(PIECE_BYTES, len(whole) // most)
    while len(pieces := split_update(whole, piece_bytes)) > most:
        piece_bytes *= 2
    _check_opens(pieces, whole)
    return pieces


def _same_content(whole: Update, parts: Sequence[bytes]) -> bool:
    deleted = ClockRanges(whole.deletes)
    if not all(deleted.covers(*span) for span in whole.collected):
        return False
    found: dict[int, list[Struct]] = {}
    for struct in whole.structs:
        if struct.content > DELETED:
            found.setdefault(struct.client, []).append(struct)
    for part in parts:
        structs = [each for each in decode_structs(part).structs if each.client in found and each.content > DELETED]
        if any(compared_structs(each, held) is not Known.SAME for held, each in pairs_of_structs(found, structs)):
            return False
    return True


def _check_opens(pieces: Sequence[bytes], whole: bytes) -> None:
    """Raises ProtocolError where they leave a hole, or another document than the whole."""
    clocks: dict[int, int] = {}
    doc: Doc[Any] = Doc()
    for piece in pieces:
        decoded = decode_update(piece, max_bytes=len(piece))
        if missing(decoded, clocks):
            raise ProtocolError("merge_lost_content", "collecting would leave a gap")
        for client, _, following in decoded.ranges:
            clocks[client] = max(following, clocks.get(client, 0))
        doc.apply_update(piece)
    again = doc.get_update()  # the order of clients and deletions in it may be another
    same = holds_all(again, [whole]) and holds_all(whole, [again]) and _same_content(decode_structs(again), [whole])
    if not same:
        raise ProtocolError("merge_lost_content", "what is collected opens as something else")


def without_taken_ids(update: Update, clocks: Mapping[int, int], decode: Callable[[bytes], Update]) -> Update | None:
    """The part of an update whose ids are new. The first content of an id is kept: the store would merge two contents
    of one id in one order and each client in another, and they would never agree again. None where that part cannot
    be separated (the cut lies inside a surrogate pair).
    """
    known = {client: clocks.get(client, 0) for client, _, _ in update.ranges}
    try:
        trimmed = decode(get_update(update.data, encode_clocks(known)))
    except ProtocolError:
        return None
    left = [(client, max(first, known[client]), next_) for client, first, next_ in update.ranges]
    return trimmed if covers_all(trimmed, [span for span in left if span[1] < span[2]], update.deletes) else None
