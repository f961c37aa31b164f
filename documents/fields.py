"""Field types: what one key of a record may hold, and the check of a value.

- `check(value)` takes plain JSON-like values as pycrdt gives them and returns the normalised value, or a `Reason` why
  it is refused. It never raises: it runs for every field of every edit, hostile ones included.
- Numbers are integers with at most 2^53 - 1 either side of zero. JavaScript has only floats: an integral float is the
  integer. Other numbers travel as decimal strings.
- `null` is refused everywhere except where a member says so: to clear a field, delete its key.
- Lengths count Unicode code points. Strings are kept as they are written, line ends and markup included (who renders
  them escapes them); refused are U+0000, which databases cannot hold, and half a surrogate pair, which UTF-8 cannot.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, NamedTuple, TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

MAX_INTEGER: Final = 2**53 - 1
MAX_STRING: Final = 500
MAX_NOTE: Final = 20_000
MAX_EXTENSION_BYTES: Final = 1024
MAX_JSON_DEPTH: Final = 8
"""Objects and lists inside one another in one atomic value; what is deeper is unreadable."""


class Reason(NamedTuple):
    """Why a value is refused."""

    code: str
    """Stable: one of `REASONS`."""
    message: str


REASONS: Final = frozenset(
    {
        "type",  # another type of value, or a shared type where a plain value belongs (or the reverse)
        "length",  # longer than allowed
        "range",  # a number out of its bounds
        "format",  # a string of another form
        "choice",  # none of the values of the list
        "member",  # a member of a JSON value is missing or unknown
        "id",  # not an id
        "unknown_root",
        "unknown_key",
        "too_many_keys",
    }
)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Stands in a row for what no field accepts: a nested array or map, a text where a string belongs, null, NaN…"""

    shape: str


_HALF_A_PAIR = re.compile("[\ud800-\udfff]").search


def _is_text(value: str) -> bool:
    return value.isascii() or _HALF_A_PAIR(value) is None


def normalised(value: object, depth: int = 0) -> Any:
    """A value as JSON with integral floats as integers, or `Unreadable`."""
    kind = type(value)
    if kind is str:
        return value if _is_text(value) else Unreadable("string")  # type: ignore[arg-type]
    if kind is bool:
        return value
    if kind is int or kind is float:
        return _number(value)
    if value is None:
        return None if depth else Unreadable("null")
    if kind is dict or kind is list:
        if depth >= MAX_JSON_DEPTH:
            return Unreadable("depth")
        return _object(value, depth + 1) if kind is dict else _list(value, depth + 1)
    return Unreadable("bytes" if isinstance(value, bytes | bytearray | memoryview) else kind.__name__.lower())


def _number(value: Any) -> int | float | Unreadable:
    if -MAX_INTEGER <= value <= MAX_INTEGER:
        whole = int(value)
        return whole if whole == value else value
    return Unreadable("number")  # too large to be exact, infinite, or NaN: every comparison with NaN is false


def _object(value: Any, depth: int) -> dict[str, Any] | Unreadable:
    result = {}
    for name, member in value.items():
        plain = normalised(member, depth)
        if type(plain) is Unreadable:
            return plain
        if not _is_text(name):
            return Unreadable("string")
        result[name] = plain
    return result


def _list(value: Any, depth: int) -> list[Any] | Unreadable:
    result = []
    for member in value:
        plain = normalised(member, depth)
        if type(plain) is Unreadable:
            return plain
        result.append(plain)
    return result


def same(one: object, other: object) -> bool:
    """Whether two values are the same JSON. `==` is not enough: in Python True == 1."""
    if type(one) is not type(other) or one != other:
        return False
    if isinstance(one, dict) and isinstance(other, dict):
        return all(type(each) is str or same(each, other[name]) for name, each in one.items())
    if isinstance(one, list):
        return all(map(same, one, other))  # type: ignore[call-overload]
    return True


def shape_of(value: object) -> str:
    """A word for what a value is, for messages."""
    if isinstance(value, Unreadable):
        return value.shape
    if isinstance(value, bool):
        return "boolean"
    if value is None:
        return "null"
    return {str: "string", int: "number", float: "number", dict: "object", list: "list"}.get(type(value), "value")


class FieldType:
    """The type of a field. Subclasses implement `check`, which returns the normalised value or a `Reason`."""

    text = False
    """Whether the field is a `Y.Text` in the document (a string in the rows)."""

    def check(self, value: object) -> Any:
        """The normalised value, or the `Reason` why it is refused."""
        raise NotImplementedError

    def describe(self) -> str:
        """The type in words, for the published schema."""
        raise NotImplementedError

    def read(self, value: Any) -> Any:
        """A checked value for Python: objects become their dataclasses, everything else stays."""
        return value

    def _wrong(self, value: object) -> Reason:
        return Reason("type", f"{self.describe()} expected, not {shape_of(value)}")


class String(FieldType):
    """A plain string: of two concurrent writes one wins whole."""

    def __init__(self, max_length: int = MAX_STRING) -> None:
        self.max_length = max_length

    def check(self, value: object) -> Any:
        if type(value) is not str:
            return self._wrong(value)
        if len(value) > self.max_length:
            return Reason("length", f"{len(value)} characters, at most {self.max_length} are allowed")
        if "\0" in value or not _is_text(value):
            return Reason("format", "U+0000 and halves of surrogate pairs are not allowed")
        return value

    def describe(self) -> str:
        return f"string, at most {self.max_length} characters"


class Note(String):
    """A `Y.Text` into which several people may type at once; a string in the rows."""

    text = True

    def __init__(self, max_length: int = MAX_NOTE) -> None:
        super().__init__(max_length)

    def describe(self) -> str:
        return f"Y.Text, at most {self.max_length} characters"


class Bool(FieldType):
    def check(self, value: object) -> Any:
        return value if type(value) is bool else self._wrong(value)

    def describe(self) -> str:
        return "boolean"


class Flag(FieldType):
    """Present and true, or absent: members of a set, so that concurrent additions merge."""

    def check(self, value: object) -> Any:
        return True if value is True else Reason("type", "true expected; delete the key to take the flag away")

    def describe(self) -> str:
        return "true"


class Integer(FieldType):
    """An integer within bounds; `unit` says of what."""

    def __init__(self, low: int = -MAX_INTEGER, high: int = MAX_INTEGER, unit: str = "") -> None:
        self.low, self.high, self.unit = low, high, unit

    def check(self, value: object) -> Any:
        if type(value) is float and value.is_integer():
            value = int(value)
        if type(value) is not int:
            return self._wrong(value)
        if self.low <= value <= self.high:
            return value
        return Reason("range", f"not between {self.low} and {self.high}")

    def describe(self) -> str:
        low = "" if self.low == -MAX_INTEGER else f" from {self.low}"
        high = "" if self.high == MAX_INTEGER else f" to {self.high}"
        return (self.unit or "integer") + low + high


class Money(Integer):
    """An amount in minor units of its currency (cents; yen), exponents as in ISO 4217."""

    def __init__(self, low: int = 0) -> None:
        super().__init__(low, unit="minor units of the currency")


class Minutes(Integer):
    """Whole minutes: a length of time, or a moment counted from 00:00 local time on the wedding date."""

    def __init__(self, low: int, high: int) -> None:
        super().__init__(low, high, "minutes")


class Pattern(FieldType):
    """A string of one form."""

    def __init__(self, pattern: str, words: str, code: str = "format") -> None:
        self.words, self.code, self.pattern = words, code, pattern
        self._match = re.compile(pattern, re.ASCII).fullmatch

    def check(self, value: object) -> Any:
        if type(value) is not str:
            return self._wrong(value)
        if self._match(value) is None:
            return Reason(self.code, f"{self.words} expected")
        return value

    def describe(self) -> str:
        return self.words


class Id(Pattern):
    """The id of something that is no record of a document here, such as a user."""

    # Not _ in front: such names are the server's, and `__proto__` as an id hurts readers in JavaScript.
    pattern = r"[A-Za-z0-9-][A-Za-z0-9_-]{0,63}"

    def __init__(self, words: str = "id") -> None:
        super().__init__(self.pattern, words, "id")


class Reference(Id):
    """The id of a record elsewhere. That it exists is an invariant, not a matter of type."""

    def __init__(self, document: str, root: str) -> None:
        super().__init__(f"id in {document}.{root}")
        self.document, self.root = document, root


class Code(Pattern):
    """A word of a list that is open: categories, meals, diets."""

    def __init__(self, words: str = "code") -> None:
        super().__init__(r"[A-Za-z][A-Za-z0-9_.-]{0,39}", words)


class Enum(FieldType):
    """One of a closed list of words."""

    def __init__(self, *values: str) -> None:
        self.values = values
        self._values = frozenset(values)

    def check(self, value: object) -> Any:
        if type(value) is not str:
            return self._wrong(value)
        return value if value in self._values else Reason("choice", f"none of {', '.join(self.values)}")

    def describe(self) -> str:
        return " / ".join(self.values)


class Date(FieldType):
    """A calendar date, `2026-06-20`."""

    _match = re.compile(r"(\d{4})-(\d\d)-(\d\d)", re.ASCII).fullmatch

    def check(self, value: object) -> Any:
        if type(value) is not str:
            return self._wrong(value)
        parts = self._match(value)
        return value if parts and _is_date(*parts.groups()) else Reason("format", "a date as 2026-06-20 expected")

    def describe(self) -> str:
        return "date (YYYY-MM-DD)"


class Instant(FieldType):
    """A moment in UTC in the form of RFC 3339, as `toISOString` gives it: `2026-06-20T14:05:00.000Z`."""

    _match = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?Z", re.ASCII).fullmatch

    def check(self, value: object) -> Any:
        if type(value) is not str:
            return self._wrong(value)
        parts = self._match(value)
        if parts and _is_date(*parts.groups()):
            return value
        return Reason("format", "a moment in UTC as 2026-06-20T14:05:00Z expected")

    def describe(self) -> str:
        return "instant (RFC 3339, UTC)"


def _is_date(year: str, month: str, day: str) -> bool:
    if day <= "28":
        return "01" <= month <= "12" and day >= "01" and year > "0000"
    try:
        date(int(year), int(month), int(day))
    except ValueError:
        return False
    return True


class DecimalString(Pattern):
    """A number that is no integer, exactly as written: exchange rates, coordinates."""

    def __init__(self, words: str = "decimal string", *, signed: bool = False) -> None:
        super().__init__(("-?" if signed else "") + r"\d{1,12}(?:\.\d{1,12})?", words)


class OrderKey(FieldType):
    """A place in a list: fractional index over the digits 0-9A-Za-z, compared by code unit, ties broken by id.

    The packages `fractional-indexing` of npm and PyPI make such keys. A key they could not read would make their next
    insertion beside it fail on every client, so only well-formed ones are accepted.
    """

    max_length = 128
    """The server spaces a list anew once a key exceeds 64."""

    _digits = re.compile(r"[0-9A-Za-z]+", re.ASCII).fullmatch
    # The first character says how many digits stand before the fraction.
    _whole = {chr(ord("a") + i): i + 2 for i in range(26)} | {chr(ord("Z") - i): i + 2 for i in range(26)}
    _smallest = "A" + "0" * 26

    def check(self, value: object) -> Any:
        if type(value) is not str:
            return self._wrong(value)
        size = len(value)
        if size > self.max_length:
            return Reason("length", f"an order key of {size} characters, at most {self.max_length} are allowed")
        whole = self._whole.get(value[:1], size + 1)
        if whole <= size and self._digits(value) and (whole == size or value[-1] != "0") and value != self._smallest:
            return value
        return Reason("format", "an order key as a0 expected (see fractional-indexing)")

    def describe(self) -> str:
        return "order key"


class Nullable(FieldType):
    """A member of a JSON value that may be null."""

    def __init__(self, inner: FieldType) -> None:
        self.inner = inner

    def check(self, value: object) -> Any:
        return None if value is None else self.inner.check(value)

    def describe(self) -> str:
        return f"{self.inner.describe()}, or null"

    def read(self, value: Any) -> Any:
        return None if value is None else self.inner.read(value)


class ListOf(FieldType):
    """A list inside an atomic JSON value, or as one."""

    def __init__(self, inner: FieldType, max_items: int) -> None:
        self.inner, self.max_items = inner, max_items

    def check(self, value: object) -> Any:
        if type(value) is not list:
            return self._wrong(value)
        if len(value) > self.max_items:
            return Reason("length", f"{len(value)} items, at most {self.max_items} are allowed")
        result = []
        for item in value:
            checked = self.inner.check(item)
            if type(checked) is Reason:
                return checked
            result.append(checked)
        return result

    def describe(self) -> str:
        return f"list of at most {self.max_items}: {self.inner.describe()}"

    def read(self, value: Any) -> Any:
        return tuple(self.inner.read(item) for item in value)


class AnyJson(FieldType):
    """Any JSON up to a size in bytes of UTF-8."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes

    def check(self, value: object) -> Any:
        plain = normalised(value, 1)
        if type(plain) is Unreadable:
            return Reason("type", f"JSON expected, not {plain.shape}")
        size = len(json.dumps(plain, ensure_ascii=False, separators=(",", ":")).encode())
        return plain if size <= self.max_bytes else Reason("length", f"{size} bytes, at most {self.max_bytes} allowed")

    def describe(self) -> str:
        return f"any JSON, at most {self.max_bytes} bytes"


class JsonObject(FieldType):
    """A plain JSON object: its members change together, the whole is overwritten at once."""

    def __init__(
        self, members: Mapping[str, FieldType], optional: frozenset[str], make: Callable[[Mapping[str, Any]], Any]
    ) -> None:
        self.members = dict(members)
        self.optional = optional
        self._make = make
        self._checks = {name: kind.check for name, kind in self.members.items()}
        self._needed = len(self.members.keys() - optional)

    def check(self, value: object) -> Any:
        if type(value) is not dict:
            return self._wrong(value)
        checks, optional = self._checks, self.optional
        result = {}
        needed = self._needed
        for name, member in value.items():
            check = checks.get(name)
            if check is None:
                return Reason("member", f"no member {name[:40]!r} here")
            checked = check(member)
            if type(checked) is Reason:
                return Reason(checked.code, f"{name}: {checked.message}")
            result[name] = checked
            needed -= name not in optional
        if needed:
            missing = next(name for name in checks if name not in value and name not in optional)
            return Reason("member", f"member {missing!r} is missing")
        return result

    def describe(self) -> str:
        members = "; ".join(
            f"`{name}`{'?' if name in self.optional else ''} {kind.describe()}" for name, kind in self.members.items()
        )
        return "{" + members + "}"

    def read(self, value: Any) -> Any:
        return self._make({name: self.members[name].read(member) for name, member in value.items()})
