"""The raw updates of a document: those stored, those accepted since, and those to be stored and sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from crdt_server.judge.merging import merge
from crdt_server.pipe import PIECE_BYTES

LOOSE_PIECES = 16


class Pieces:
    """Updates in the order in which they were accepted; few, since the newest are merged from time to time."""

    def __init__(self) -> None:
        self.size = 0
        """Bytes of the pieces."""
        self._pieces: list[bytes] = []
        self._loose = 0  # newest pieces not yet considered for merging
        self._accepted: list[bytes] = []  # not yet among the pieces
        self._accepted_bytes = 0
        self._outgoing: list[bytes] = []  # among the pieces, not yet taken

    def __len__(self) -> int:
        return len(self._pieces)

    def __getitem__(self, index: int) -> bytes:
        return self._pieces[index]

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)

    @property
    def whole_size(self) -> int:
        """Bytes of the pieces and of the updates accepted since."""
        return self.size + self._accepted_bytes

    @property
    def has_news(self) -> bool:
        """Whether anything waits to be taken."""
        return bool(self._accepted or self._outgoing)

    def load(self, updates: Sequence[bytes]) -> None:
        """Add stored updates."""
        self._hold(merge(updates))

    def accept(self, data: bytes) -> None:
        """Add a new update."""
        self._accepted.append(data)
        self._accepted_bytes += len(data)

    def flush(self) -> list[bytes]:
        """Make one piece of the updates accepted since the last call. Returns it."""
        if not self._accepted:
            return []
        merged, self._accepted, self._accepted_bytes = merge(self._accepted), [], 0
        self._hold(merged)
        self._outgoing += merged
        return merged

    def take_outgoing(self) -> list[bytes]:
        """The pieces flushed since the last call: one update, nearly always, or none."""
        outgoing, self._outgoing = self._outgoing, []
        return merge(outgoing)

    def _hold(self, updates: Sequence[bytes]) -> None:
        self._pieces += updates
        self.size += sum(map(len, updates))
        self._loose += len(updates)
        if self._loose >= LOOSE_PIECES:
            self._consolidate()

    def _consolidate(self) -> None:
        """Merge the newest pieces, so that their number stays small and no merge is long.

        A piece joins the run only while it is no larger than all that follow it: rewriting a large piece for every
        few small ones would be quadratic.
        """
        pieces = self._pieces
        begin = len(pieces) - self._loose
        total = sum(map(len, pieces[begin:]))
        while begin and len(pieces[begin - 1]) <= total and total + len(pieces[begin - 1]) <= PIECE_BYTES:
            begin -= 1
            total += len(pieces[begin])
        self._loose = 0
        if total > PIECE_BYTES:
            return
        pieces[begin:] = merge(pieces[begin:])
        self.size = sum(map(len, pieces))
