"""The draft in which the parts of the sample are put together: rows, their writers, and the calendar."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple, TypeAlias

from documents.invariants.catalogue import rank_of
from documents.invariants.model import UNKNOWN, Field, Writer
from documents.registry import kind_of
from documents.sample.chance import Chance
from documents.sample.names import WORDS

DAY = 24 * 60

Rows: TypeAlias = dict[str, dict[str, Any]]
"""Root -> record id -> `{key: value}` or one value, as `documents.rows` reads them."""

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ULID = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class Account(NamedTuple):
    """Somebody who can sign in."""

    user: str
    role: str
    name: str
    email: str
    vendor: str | None
    guest: str | None
    side: str | None
    devices: tuple[str, str]


class Planted(NamedTuple):
    """One violation that was put in on purpose."""

    invariant: str
    document: str
    subject: tuple[str, ...]
    """Ids of the records it is about; of T1, T2 and T3 what is used twice comes first, of S1 the table."""
    note: str


class Author(NamedTuple):
    """A write that is not the planner's own: `minute` counts from midnight UTC on the wedding date."""

    user: str
    role: str
    minute: int
    before: Any = UNKNOWN


class Draft:
    """A sample on its way. Times are minutes from midnight UTC on the wedding date; most are long before it."""

    def __init__(self, chance: Chance, guests: int, zone: str, day: str) -> None:
        self.chance = chance
        self.guests = guests
        self.zone = zone
        self._midnight = datetime.combine(date.fromisoformat(day), time(), UTC)
        self.documents: dict[str, Rows] = {}
        self.neighbour: Rows = {}
        self.people: list[Account] = []
        self.written: dict[Field, Author] = {}
        """Writers that are not the default."""
        self.locked: dict[tuple[str, str], dict[str, Any]] = {}
        """Document and table -> guest -> where they sat when the table was locked."""
        self.planted: list[Planted] = []
        self.vendor: dict[str, str] = {}
        """Category -> the vendor booked for it."""
        self._phones = iter(_phones(chance))

    def rows(self, document: str, root: str) -> dict[str, Any]:
        return self.documents[document].setdefault(root, {})

    def day(self, days: int) -> str:
        """The date so many days after the wedding."""
        return (self._midnight + timedelta(days=days)).date().isoformat()

    def instant(self, minute: int) -> str:
        return (self._midnight + timedelta(minutes=minute)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def user(self, role: str, number: int = 0) -> str:
        return [account.user for account in self.people if account.role == role][number]

    def phone(self) -> str:
        """The next number, never the same twice, of those that are kept free for stories."""
        return next(self._phones)

    def words(self, low: int, high: int) -> str:
        text = " ".join(self.chance.pick(WORDS) for _ in range(self.chance.between(low, high)))
        return text[0].upper() + text[1:] + "."

    def ulid(self, minute: int) -> str:
        milliseconds = int(self._midnight.timestamp() + minute * 60) * 1000
        value = milliseconds << 80 | self.chance.bits() << 16 | self.chance.below(2**16)
        return "".join(_ULID[value >> shift & 31] for shift in range(125, -1, -5))


def order_key(index: int) -> str:
    """The key of the index-th item of a list that was only ever appended to, as `fractional-indexing` makes it."""
    length, count = 1, len(_DIGITS)
    while index >= count:
        index -= count
        length, count = length + 1, count * len(_DIGITS)
    digits = ""
    for _ in range(length):
        index, digit = divmod(index, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return chr(ord("a") + length - 1) + digits


def number(rows: Iterable[Any]) -> None:
    """Give records their places in the list."""
    for index, row in enumerate(rows):
        row["order"] = order_key(index)


def present(**keys: Any) -> dict[str, Any]:
    """A record of the keys that are not None."""
    return {name: value for name, value in keys.items() if value is not None}


def _phones(chance: Chance) -> list[str]:
    """Ofcom keeps +44 7700 900000 to 900999 free for drama, the NANP 555-0100 to 555-0199 of each area."""
    british = [f"+44 7700 900{last:03}" for last in range(1000)]
    american = [f"+1 {area} 555 01{last:02}" for area in range(212, 250) for last in range(100)]
    return chance.shuffled(british + american)


def writers(draft: Draft, first_minute: int, default: Callable[[Field], tuple[str, str]]) -> dict[Field, Writer]:
    """The writer of each field of all documents, in the order of arrival. Fields without another writer came one a
    minute from `first_minute` on, each by whom `default` names (user, role)."""
    arrivals = []
    for index, field in enumerate(fields_of(draft.documents)):
        written = draft.written.get(field) or Author(*default(field), first_minute + index)
        arrivals.append((written.minute, index, field, written))
    arrivals.sort(key=lambda arrival: arrival[:2])
    return {
        field: Writer(written.user, written.role, rank_of(written.role), seq, draft.instant(minute), written.before)
        for seq, (minute, _, field, written) in enumerate(arrivals, 1)
    }


def fields_of(documents: dict[str, Rows]) -> Iterable[Field]:
    """Every field of the rows, in their order."""
    for document, roots in documents.items():
        kind = kind_of(document)
        assert kind is not None
        for root, rows in roots.items():
            has_keys = kind.roots[root].record is not None
            for record, row in rows.items():
                for key in row if has_keys else (None,):
                    yield Field(document, root, record, key)
