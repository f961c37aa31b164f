"""A page of what is read takes little time, however much there is behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection

from storage import Storage
from storage.derived_queries import list_events, page_of_root

CPU_SECONDS = 0.08
NUMBERS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < {}) "
TEXTS = {"sqlite": "printf('%.*c', {}, 'x')", "postgresql": "repeat('x', {})"}


def large_events(connection: Connection) -> None:
    """Store 400 events of 500 KB."""
    body = TEXTS[connection.dialect.name].format(500_000)
    insert = "INSERT INTO events (wedding, seq, type, at, document, record, body) "
    values = "SELECT 'w', x, 'doc.text_edited', '2026-06-20T13:30:00Z', 'wedding', 'board', {} FROM n"
    connection.exec_driver_sql(NUMBERS.format(400) + insert + values.format(body))


def many_conflicts(connection: Connection) -> None:
    """Store 400 documents with 200 conflicts each."""
    documents = "INSERT INTO documents (wedding, name) SELECT 'w', 'notes.' || x FROM n"
    connection.exec_driver_sql(NUMBERS.format(400) + documents)
    fields = TEXTS[connection.dialect.name].format(300)
    rows = "INSERT INTO rows (wedding, document, root, record, fields, writers) "
    values = "SELECT 'w', name, 'review', 'c_' || x, {}, '{{}}' FROM n, documents"
    connection.exec_driver_sql(NUMBERS.format(200) + rows + values.format(fields))


PAGES: list[Any] = [
    pytest.param(large_events, lambda connection: list_events(connection, "w", 0, 500), 2, id="events"),
    pytest.param(
        many_conflicts,
        lambda connection: page_of_root(connection, "w", "review", ("", ""), 600_000)[0],
        1_987,
        id="root",
    ),
]


@pytest.mark.parametrize(("fill", "page", "expected"), PAGES)
async def test_a_page_of_a_large_wedding_takes_little_time(
    store: Storage,
    fill: Callable[[Connection], None],
    page: Callable[[Connection], list[Any]],
    expected: int,
) -> None:
    await store._executor.maintain(fill)
    assert len(await store._executor.read(page, CPU_SECONDS)) == expected
