"""Names and values of rows as sentences have them: no ids.

- A record has the name that people gave it; else it is `unnamed`, with its root.
- A value is of the kind that its key declares: an amount, a time, a day, the name of what it refers to.
- A user has the name of the mirror `members`. Where there is none, readers who know it (from presence) put it in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from documents import budget, care, guests, seating, threads, timeline, wedding
from documents.fields import (
    AnyJson,
    Bool,
    Code,
    Date,
    DecimalString,
    Enum,
    FieldType,
    Flag,
    Id,
    Instant,
    Integer,
    JsonObject,
    ListOf,
    Minutes,
    Money,
    Nullable,
    OrderKey,
    Reference,
)
from documents.invariants.model import Field, Wedding, Writer, document_kind, string, user_id
from documents.kind import WHOLE, Key, Kind, Root
from documents.sentences import (
    Value,
    day,
    field_label,
    length,
    listed,
    moment,
    money,
    part,
    sentence,
    time,
    unnamed,
    user,
    word_of,
)
from documents.shared import PERSON, USER

_KINDS: Final[Mapping[str, Kind]] = {
    module.KIND.name: module.KIND for module in (wedding, timeline, budget, guests, care, seating, threads)
}
_NAMES: Final = ("title", "name", "label", "contributor")
_OF_GUESTS: Final = frozenset({("guests", "guests"), ("care", "care"), ("seating", "assignments")})
"""Roots whose ids are those of guests."""
_NAMED_EVERYWHERE: Final = frozenset({"wedding", "guests", "seating"})
"""Documents whose names are no secret to the readers of others. A title of the timeline may be."""
_MAX_LISTED: Final = 5


def named(of: Wedding, document: str, root: str, record: str, key: str = "name") -> Value:
    """The name of a record."""
    row = of.rows(document, root).get(record)
    return (string(row, key) if type(row) is dict else "") or unnamed(root)


def guest_name(of: Wedding, guest: str) -> Value:
    """First and last name of a guest."""
    row = of.rows("guests", "guests").get(guest)
    if type(row) is not dict:
        return unnamed("guests")
    return f"{string(row, 'firstName')} {string(row, 'lastName')}".strip() or unnamed("guests")


def table_label(of: Wedding, document: str, table: str) -> Value:
    """The label of a table, as it stands behind the word `table`."""
    label = named(of, document, "tables", table, "label")
    return label if isinstance(label, str) else part(sentence("without_a_name"))


def seat_label(seat: int) -> int:
    """The number of a seat as people count: from 1, where rows count from 0."""
    return seat + 1


def person(of: Wedding, writer: Writer) -> Value:
    """The writer of a field."""
    row = of.rows("wedding", "members").get(user_id(writer.user)) if writer.user else None
    return user(writer.user, writer.role, string(row, "name") if type(row) is dict else "")


def currency_of(of: Wedding, document: str, root: str, record: str) -> str:
    """The currency of the amounts of a record."""
    row = of.rows(document, root).get(record)
    own = string(row, "currency") if type(row) is dict else ""
    return own or string(of.meta("wedding"), "currency")


def record_name(of: Wedding, field: Field) -> Value:
    """The name of the record of a field."""
    kind = document_kind(field.document)
    if (kind, field.root) in _OF_GUESTS:
        return guest_name(of, field.record)
    if field.record == WHOLE:
        return unnamed(field.root if field.root == "board" else kind)
    if field.root in ("payments", "approvals"):
        row = of.rows(field.document, field.root).get(field.record)
        item = string(row, "item") if type(row) is dict else ""
        return named(of, field.document, "items", item) if item else unnamed(field.root)
    row = of.rows(field.document, field.root).get(field.record)
    names = [string(row, key) for key in _NAMES] if type(row) is dict else []
    return next(filter(None, names), None) or unnamed(field.root)


def label_of(of: Wedding, field: Field) -> Value:
    """The label of a field; of a family of keys with what it is about."""
    if field.key is None:
        return field_label(field.root)
    prefix, colon, suffix = field.key.partition(":")
    declared = _declared(field)
    if not colon or declared is None or declared.suffix is None:
        return field_label(prefix)
    return field_label(prefix, _Values(of, field).of(declared.suffix, suffix))


def shown(of: Wedding, field: Field, value: Any) -> Value:
    """A value of a field as people read it; None: there is none."""
    if value is None:
        return part(sentence("nothing"))
    declared, root = _declared(field), _root(field)
    type_ = declared.type if declared is not None else root.type if field.key is None and root is not None else None
    return part(sentence("data_of_a_program")) if type_ is None else _Values(of, field).of(type_, value)


def _root(field: Field) -> Root | None:
    kind = _KINDS.get(document_kind(field.document))
    return None if kind is None else kind.root(field.root)


def _declared(field: Field) -> Key | None:
    root = _root(field)
    return None if root is None or field.key is None else root.key(field.key)


class _Values:
    """Values of one field."""

    def __init__(self, of: Wedding, field: Field) -> None:
        self._wedding = of
        self._field = field

    def of(self, type_: FieldType, value: Any) -> Value:
        """A value of a type. One that the type does not allow is data of a program."""
        if isinstance(type_, Nullable):
            type_ = type_.inner
        if type_ is USER:
            return person(self._wedding, Writer(str(value), "", 0, 0))
        if type_ is PERSON:
            is_guest = value in self._wedding.rows("guests", "guests")
            return guest_name(self._wedding, value) if is_guest else word_of(str(value))
        form = next((form for kind, form in _FORMS if isinstance(type_, kind)), _Values._text)
        try:
            return form(self, type_, value)
        except (TypeError, ValueError, KeyError, AttributeError, OverflowError):
            return part(sentence("data_of_a_program"))

    def _text(self, _: FieldType, value: Any) -> Value:
        return value[:200] if isinstance(value, str) else part(sentence("data_of_a_program"))

    def _data(self, _: FieldType, value: Any) -> Value:
        return part(sentence("data_of_a_program"))

    def _money(self, _: FieldType, value: Any) -> Value:
        field = self._field
        return money(value, currency_of(self._wedding, field.document, field.root, field.record))

    def _minutes(self, type_: FieldType, value: Any) -> Value:
        assert isinstance(type_, Minutes)
        return time(value) if type_.low < 0 else length(value)  # only moments may be before the day

    def _reference(self, type_: FieldType, value: Any) -> Value:
        assert isinstance(type_, Reference)
        same = document_kind(self._field.document) == type_.document
        document = self._field.document if same else type_.document
        if not same and type_.document not in _NAMED_EVERYWHERE:
            return unnamed(f"{type_.document}.{type_.root}")
        return record_name(self._wedding, Field(document, type_.root, value))

    def _object(self, type_: FieldType, value: Any) -> Value:
        assert isinstance(type_, JsonObject)
        members = type_.members
        if set(members) == {"table", "seat"}:
            table = table_label(self._wedding, self._field.document, value["table"])
            seat = value.get("seat")
            return part(
                sentence("table", table=table)
                if seat is None
                else sentence("table_and_seat", table=table, seat=seat_label(seat))
            )
        if set(members) == {"start", "end"}:
            return part(sentence("from_to", start=time(value["start"]), end=time(value["end"])))
        if "by" in members:  # a stamp: that it is there says all
            return word_of("true")
        if "amount" in members:
            return money(value["amount"], currency_of(self._wedding, self._field.document, "", ""))
        if members.keys() & {"x", "width", "latitude"}:
            return part(sentence("somewhere_else"))
        return listed([self.of(members[name], each) for name, each in value.items()][:_MAX_LISTED])

    def _list(self, type_: FieldType, value: Any) -> Value:
        assert isinstance(type_, ListOf)
        texts = [self.of(type_.inner, each) for each in value[:_MAX_LISTED]]
        return listed(texts, max(0, len(value) - _MAX_LISTED)) if texts else part(sentence("nothing"))


_Form: TypeAlias = Callable[[_Values, FieldType, Any], Value]

_FORMS: Final[tuple[tuple[type[FieldType], _Form], ...]] = (
    (Money, _Values._money),
    (Minutes, _Values._minutes),
    (Integer, lambda _, __, value: int(value)),
    (Reference, _Values._reference),
    (Id, _Values._data),
    (OrderKey, lambda _, __, ___: part(sentence("somewhere_else"))),
    (DecimalString, _Values._text),
    (Enum, lambda _, __, value: word_of(value)),
    (Code, lambda _, __, value: word_of(value)),
    (Bool, lambda _, __, value: word_of("true" if value else "false")),
    (Flag, lambda _, __, ___: word_of("true")),
    (Date, lambda _, __, value: day(value)),
    (Instant, lambda self, __, value: moment(value, string(self._wedding.meta("wedding"), "timeZone"))),
    (JsonObject, _Values._object),
    (ListOf, _Values._list),
    (AnyJson, _Values._data),
)
"""Type of a field -> the form of its values; the first that fits. All others are texts that people typed."""


__all__ = ["currency_of", "guest_name", "label_of", "named", "person", "record_name", "shown", "table_label"]
