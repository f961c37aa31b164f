"""The parameters of one append, whatever the database."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from storage.derived import DerivedRecords
from storage.errors import SequenceConflict
from storage.updates import DocumentKey


@dataclass(frozen=True, slots=True)
class Append:
    """One update to be stored under the next sequence number `seq` of a document (the first is 1)."""

    key: DocumentKey
    seq: int
    update: bytes


@dataclass(frozen=True, slots=True)
class AppendRequest:
    """One call of `Storage.append`; see there."""

    updates: Sequence[Append]
    derived: Sequence[DerivedRecords]
    fences: Mapping[str, int] | None
    node: str

    @property
    def weddings(self) -> list[str]:
        """The weddings it concerns, in order."""
        return sorted({each.key.wedding for part in (self.updates, self.derived) for each in part})


def expected_heads(batch: Iterable[Append]) -> dict[DocumentKey, int]:
    """The sequence number that each document of the batch has to be at.

    Raises SequenceConflict where updates of one document do not follow one another.
    """
    expected: dict[DocumentKey, int] = {}
    newest: dict[DocumentKey, int] = {}
    for item in batch:
        expected.setdefault(item.key, item.seq - 1)
        before = newest.setdefault(item.key, item.seq - 1)
        if item.seq != before + 1:
            raise out_of_order(item, before)
        newest[item.key] = item.seq
    return expected


def out_of_order(item: Append, newest: int) -> SequenceConflict:
    return SequenceConflict(f"document {str(item.key)!r}: {item.seq} does not follow {newest}", document=str(item.key))
