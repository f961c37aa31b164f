"""The people whom the words of an audience name, for one event of a wedding."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol, TypeAlias

from crdt_server.access.access import Action
from crdt_server.access.identity import Identity
from crdt_server.access.members import VENDOR_ROLES
from crdt_server.access.policy import Decides
from crdt_server.access.threads import THREAD
from crdt_server.services.messaging.event_facts import RecordReader, RoutedEvent, WeddingRows, row_before
from documents.invariants.model import user_id
from storage.routing_reader import Participant

Mentioned: TypeAlias = Callable[[str, Collection[Identity]], Collection[str]]
"""The users among some people whose names a text mentions."""

_FLAG: Final = "vendor:"
_AFTER: Final = "after:"

SINGLE_SEARCHES: Final = 5
"""Records of a root whose followers are searched for one by one; for more the root is read."""


class AudienceReader(RecordReader, Protocol):
    """Reads what audiences follow from, in one wedding."""

    def records_with(self, document: str, root: str, key: str) -> dict[str, str]:
        """The records of a root that have a key."""

    def participants(self, thread: str) -> list[Participant]:
        """Those who take part in a thread now."""

    def read_pointers(self, thread: str) -> dict[str, int]:
        """How far each person has read a thread."""


def nobody_mentioned(text: str, people: Collection[Identity]) -> Collection[str]:
    """The `Mentioned` of a server without mentions."""
    return ()


class Recipients:
    """The people of one wedding at one moment. ``people``: its members, by user."""

    def __init__(
        self,
        reader: AudienceReader,
        rows: WeddingRows,
        people: Mapping[str, Identity],
        access: Decides,
        wedding: str,
        mentioned: Mentioned = nobody_mentioned,
    ) -> None:
        self.people = people
        self.reader = reader
        self.rows = rows
        self.access = access
        self.wedding = wedding
        self.mentioned_in = mentioned
        self._participants: dict[str, list[Participant]] = {}
        self._pointers: dict[str, dict[str, int]] = {}
        self._followers: dict[tuple[str, str, str], list[str]] = {}
        self._indexed: set[tuple[str, str]] = set()
        self._by_role: dict[str, list[str]] = {}

    def named_by(self, words: Iterable[str], event: RoutedEvent) -> Iterator[str]:
        """The users of an audience, perhaps some of them twice."""
        for word in words:
            if word in _WORDS:
                yield from _WORDS[word](self, event)
            else:
                yield from self.in_role(word)

    def in_role(self, role: str) -> Sequence[str]:
        """The users in a role."""
        if not self._by_role:  # most messages name nobody by a role when they go out
            for person in self.people.values():
                self._by_role.setdefault(person.role, []).append(person.user)
        return self._by_role.get(role, ())

    def participants(self, document: str) -> set[str]:
        """The users who take part in the conversation of a document, muted or not; none: it is no conversation."""
        return {each.user for each in self.of_thread(document)}

    def of_thread(self, document: str) -> list[Participant]:
        """Those who take part in the conversation of a document."""
        if not document.startswith(THREAD):
            return []
        if document not in self._participants:
            self._participants[document] = self.reader.participants(document.removeprefix(THREAD))
        return self._participants[document]

    def sequence_of(self, event: RoutedEvent) -> int:
        """The number of a message in its thread; 0: it is none."""
        if not event.document.startswith(THREAD) or event.root != "messages":
            return 0
        stamp = self.rows.rows(event.document, "stamps").get(event.record)
        sequence = stamp.get("sequence") if isinstance(stamp, dict) else None
        return sequence if type(sequence) is int else 0

    def has_read(self, user: str, event: RoutedEvent) -> bool:
        """Whether somebody has read a message already."""
        sequence = self.sequence_of(event)
        if not sequence:
            return False
        if event.document not in self._pointers:
            self._pointers[event.document] = self.reader.read_pointers(event.document.removeprefix(THREAD))
        return sequence <= self._pointers[event.document].get(user, 0)

    def followers(self, document: str, root: str, record: str) -> list[str]:
        """The records that come right after one."""
        place, key = (document, root), (document, root, record)
        if key not in self._followers and place not in self._indexed:
            if sum(each[:2] == place for each in self._followers) >= SINGLE_SEARCHES:
                self._indexed.add(place)
                self._index(document, root)
            else:
                found = self.reader.records_with(document, root, f"{_AFTER}{record}")
                self._followers[key] = list(found)
        return self._followers.get(key, [])

    def _index(self, document: str, root: str) -> None:
        for record, row in self.rows.rows(document, root).items():
            for name in row if isinstance(row, dict) else ():
                if name.startswith(_AFTER):
                    followers = self._followers.setdefault((document, root, name.removeprefix(_AFTER)), [])
                    if record not in followers:
                        followers.append(record)

    def working_for(self, vendors: Collection[str]) -> list[str]:
        """Those who work for one of these vendors."""
        return [user for user, person in self.people.items() if person.vendor and person.vendor in vendors]

    def with_ids(self, ids: Collection[str]) -> list[str]:
        """Those whom records name."""
        return [user for user in self.people if user_id(user) in ids]


def _everyone(to: Recipients, event: RoutedEvent) -> Iterable[str]:
    """All members."""
    return to.people


def _vendors(to: Recipients, event: RoutedEvent) -> Iterable[str]:
    """Everybody who works for a vendor."""
    return (user for role in VENDOR_ROLES for user in to.in_role(role))


def _flagged(to: Recipients, event: RoutedEvent) -> Iterable[str]:
    """Those who work for vendors of the record, or of the record before the event."""
    row = to.rows.rows(event.document, event.root).get(event.record)
    return to.working_for({*_flags(row), *_flags(row_before(event, row)), *_flags(event.after)})


def _neighbours(to: Recipients, event: RoutedEvent) -> Iterable[str]:
    """Those who work for vendors of items that come after the record."""
    key = f"{_AFTER}{event.record}"
    found = to.followers(event.document, event.root, event.record)
    to.rows.prefetch(event.document, event.root, found)
    rows = (to.rows.record(event.document, event.root, record) for record in found)
    return to.working_for({flag for row in rows if row is not None and key in row for flag in _flags(row)})


def _payee(to: Recipients, event: RoutedEvent) -> Iterable[str]:
    """Those who work for the vendor of the item that was paid."""
    payment = event.after if isinstance(event.after, dict) else {}
    item = to.rows.record(event.document, "items", str(payment.get("item", "")))
    return () if item is None else to.working_for({str(item.get("vendor", ""))})


def _active(to: Recipients, event: RoutedEvent) -> Iterable[str]:
    """Those who take part in the conversation, and have not muted it."""
    return (each.user for each in to.of_thread(event.document) if not each.muted)


def _mentioned(to: Recipients, event: RoutedEvent) -> Iterable[str]:
    """Those who take part in the conversation and are mentioned, also where they have muted it."""
    there = to.participants(event.document)
    people = [person for user, person in to.people.items() if user in there]
    message = event.after if isinstance(event.after, dict) else {}
    return to.mentioned_in(str(message.get("body", "")), people)


def _joined(to: Recipients, event: RoutedEvent) -> Iterable[str]:
    """Those who were added to the conversation, and take part in it still."""
    thread = event.body.get("thread")
    added = thread.get("added") if isinstance(thread, dict) else None
    return to.participants(event.document).intersection(map(str, added or ()))


def _deciders(to: Recipients, event: RoutedEvent) -> Iterable[str]:
    """Those who may write the document."""
    for user, person in to.people.items():
        if to.access.may(person, Action.WRITE, to.wedding, event.document) is None:
            yield user


def _parties(to: Recipients, event: RoutedEvent) -> Iterable[str]:
    """Those whose writes conflict."""
    row = event.after if isinstance(event.after, dict) else {}
    users = {str(each.get("user")) for each in row.get("_parties", ()) if isinstance(each, dict)}
    return users.intersection(to.people)


def _assignee(to: Recipients, event: RoutedEvent) -> Iterable[str]:
    """The person who has to do the task, or had to before the event."""
    row = to.rows.rows(event.document, event.root).get(event.record)
    both = (row, row_before(event, row))
    return to.with_ids({str(each["assignee"]) for each in both if isinstance(each, dict) and "assignee" in each})


def _subject(to: Recipients, event: RoutedEvent) -> Iterable[str]:
    """The person whom a grant is about."""
    grant = event.body.get("grant")
    return (str(grant.get("user")),) if isinstance(grant, dict) else ()


_WORDS: Final[Mapping[str, Callable[[Recipients, RoutedEvent], Iterable[str]]]] = {
    "everyone": _everyone,
    "vendors": _vendors,
    "flagged": _flagged,
    "neighbours": _neighbours,
    "payee": _payee,
    "participants": _active,
    "mentioned": _mentioned,
    "joined": _joined,
    "deciders": _deciders,
    "parties": _parties,
    "assignee": _assignee,
    "subject": _subject,
}


def _flags(row: Any) -> Iterator[str]:
    return (key.removeprefix(_FLAG) for key in row if key.startswith(_FLAG)) if isinstance(row, dict) else iter(())
