"""The declarations of derived records fit the tables, and any object with the attributes can be stored."""

from dataclasses import dataclass

import pytest

from storage import AnswerTaken, DerivedRecords, DocumentKey, NewEvent, StoredRow, VendorBooking
from storage.derived_tables import DERIVED_TABLES, DerivedTable, arrange
from storage.statements import batches
from tests.contract.test_derived import answer

GUESTS = DocumentKey("w_1", "guests")
BUDGET = DocumentKey("w_1", "budget")
ELSEWHERE = DocumentKey("w_2", "guests")


@pytest.mark.parametrize("declared", DERIVED_TABLES, ids=lambda declared: declared.table.name)
def test_the_columns_of_a_declaration_are_those_of_its_table(declared: DerivedTable) -> None:
    by_the_database = {column.name for column in declared.table.c if column.server_default is not None}
    assert set(declared.columns) == {column.name for column in declared.table.c} - by_the_database
    assert declared.columns[: len(declared.key)] == declared.key


@dataclass
class Change:
    root: str
    record: str
    fields: str | None
    writers: str


def test_any_object_with_the_attributes_is_a_record() -> None:
    arranged = arrange([DerivedRecords(GUESTS, rows=[Change("guests", "g_1", None, "{}")])])
    assert arranged.rows == [("w_1", "guests", "guests", "g_1", None, "{}")]


def test_rows_are_sorted_and_the_last_one_counts() -> None:
    rows = [StoredRow("guests", name, fields, "{}") for name, fields in (("b", "1"), ("a", "2"), ("b", None))]
    arranged = arrange([DerivedRecords(GUESTS, rows), DerivedRecords(BUDGET, rows[:1])])
    assert [(row[1], *row[3:5]) for row in arranged.rows] == [
        ("budget", "b", "1"),
        ("guests", "a", "2"),
        ("guests", "b", None),
    ]


def test_events_count_up_in_each_wedding() -> None:
    event = NewEvent("t", "2026-06-20T13:30:00Z", "r", "{}")
    arranged = arrange([DerivedRecords(key, events=[event] * 2) for key in (GUESTS, ELSEWHERE, BUDGET)])
    assert arranged.event_weddings == ["w_1", "w_2"]
    assert [values[:3] for values in arranged.events] == [
        (0, 1, "guests"),
        (0, 2, "guests"),
        (1, 1, "guests"),
        (1, 2, "guests"),
        (0, 3, "budget"),
        (0, 4, "budget"),
    ]


def test_a_booking_that_ends_and_begins_again_is_there() -> None:
    booking = VendorBooking("v", "o", 0, 60, "booked", 1)
    gone = booking._replace(stage=None)
    arranged = arrange([DerivedRecords(GUESTS, bookings=[gone, booking]), DerivedRecords(ELSEWHERE, bookings=[gone])])
    assert arranged.bookings == [("w_1", *booking)]
    assert arranged.removed_bookings == [("w_2", "v")]


def test_two_answers_of_one_key() -> None:
    with pytest.raises(AnswerTaken) as caught:
        arrange([DerivedRecords(GUESTS, answers=[answer()]), DerivedRecords(BUDGET, answers=[answer()])])
    assert (caught.value.weddings, caught.value.key) == (("w_1",), "key")


@pytest.mark.parametrize("count", [0, 1, 2, 3, 100, 511, 512, 513, 2000])
def test_batches_are_of_few_sizes_and_hold_every_row(count: int) -> None:
    rows = [(number, str(number)) for number in range(count)]
    parts = list(batches(rows))
    values = [values[place : place + 2] for _, values in parts for place in range(0, len(values), 2)]
    assert [row for row in values if row != (None, None)] == rows
    for size, part in parts:
        assert len(part) == 2 * size
        assert size in {1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512}
    assert sum(size for size, _ in parts) <= max(1.5 * count, 0)
