"""The base of the families of invariants: the changes they follow, and the form of their findings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Final, NamedTuple, TypeAlias

from documents.invariants.catalogue import INVARIANTS, MANUAL
from documents.invariants.model import (
    MAX_OPTIONS,
    MAX_PARTIES,
    Finding,
    Op,
    Ops,
    Option,
    Party,
    Subject,
    Wedding,
    Writer,
)
from documents.invariants.wording import guest_name, named, person
from documents.sentences import Sentence

Touched: TypeAlias = set[Subject]
Refresh: TypeAlias = Callable[[str, str, Touched], None]
"""(document, record, touched): read the record again, and add the subjects that may have changed."""

KeyRefresh: TypeAlias = Callable[[str, str, str, Touched], None]
"""(document, record, key, touched): the same for one key of a record that was there before."""

Choice: TypeAlias = tuple[Sentence, Iterable[Op]] | tuple[Sentence, Iterable[Op], tuple[str, ...]]
"""The sentence of an option, its operations, and the roles of those who may choose it where not everybody may."""

LEAVE: Final = Sentence("leave")


class Route(NamedTuple):
    """The changes that a refresh follows."""

    kind: str
    root: str
    refresh: Refresh
    keys: frozenset[str] = frozenset()
    """Keys, and prefixes of families without the colon. A row that comes or goes is always followed."""


class KeyRoute(NamedTuple):
    """The keys of a record that a refresh follows one by one, while the record is there."""

    kind: str
    root: str
    refresh: KeyRefresh
    keys: frozenset[str]
    """Keys, and prefixes of families without the colon."""


class Part:
    """One family of invariants with its indexes."""

    invariants: tuple[str, ...] = ()

    def __init__(self, wedding: Wedding) -> None:
        self.wedding = wedding

    def routes(self) -> Iterable[Route | KeyRoute]:
        """The changes that the family follows."""
        raise NotImplementedError

    def read(self) -> Iterator[None]:
        """Read what does not follow from the rows alone, in steps, before the rows are read."""
        return iter(())

    def find(self, subject: Subject) -> Finding | None:
        """The finding about a subject, None where the invariant holds."""
        raise NotImplementedError

    def broken(self, subject: Subject) -> bool:
        """Whether `find` would find something."""
        return self.find(subject) is not None

    def candidates(self) -> Iterator[Subject | None]:
        """Every subject that may have a finding; None: a step without one. Rows may change in between, the indexes do
        not."""
        raise NotImplementedError

    def of_context(self) -> Iterator[Subject]:
        """The candidates that there are because of the context alone."""
        return iter(())

    def derived(self, subject: Subject) -> Ops:
        """The operations that bring keys of the server up to date which follow from the rows about a subject, whether
        or not there is a finding. Nobody has to be told of them."""
        return ()

    def found(
        self,
        subject: Subject,
        said: Sentence,
        *,
        parties: Iterable[Party] = (),
        options: Iterable[Choice] = (),
        automatic: Iterable[Op] | None = None,
        stays: bool = False,
        severity: str | None = None,
        facts: tuple[str, ...] = (),
        more: int = 0,
    ) -> Finding:
        """A finding. Where a person decides, leaving it as it is is the last option."""
        manual = automatic is None or stays
        texts: list[Choice] = [*islice(options, MAX_OPTIONS - 1), *([(LEAVE, ())] if manual else [])]
        return Finding(
            subject,
            severity or INVARIANTS[subject.invariant].severity,
            said,
            self.wedding.strategy(subject.invariant) if automatic is not None or stays else MANUAL,
            tuple(islice(parties, MAX_PARTIES)),
            tuple(
                Option(i, each[0], tuple(each[1]), each[2] if len(each) == 3 else ())
                for i, each in enumerate(texts)
            ),
            None if automatic is None else tuple(automatic),
            stays,
            facts,
            more,
        )


def discard(index: dict[Any, set[Any]], key: Any, member: Any) -> None:
    """Take a member out of one of the sets of an index, which keeps no empty ones."""
    members = index.get(key)
    if members is not None:
        members.discard(member)
        if not members:
            del index[key]


def by_priority(writer: Writer, id: str) -> tuple[int, int, str]:
    """Sort key: higher rank first, then earlier arrival, then id."""
    return (-writer.rank, writer.seq, id)


def by_hierarchy(writer: Writer, id: str) -> tuple[int, int, str]:
    """Sort key: higher rank first, then later arrival, then id."""
    return (-writer.rank, -writer.seq, id)


def by_arrival(writer: Writer, id: str) -> tuple[int, str]:
    """Sort key: later arrival first, then id."""
    return (-writer.seq, id)


__all__ = [
    "LEAVE",
    "Choice",
    "KeyRefresh",
    "KeyRoute",
    "Part",
    "Refresh",
    "Route",
    "Touched",
    "by_arrival",
    "by_hierarchy",
    "by_priority",
    "discard",
    "guest_name",
    "named",
    "person",
]
