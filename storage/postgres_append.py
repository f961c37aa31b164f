"""Appends on PostgreSQL: one call of the function in `postgres_function`, on the driver's own connection.

A statement by itself is a transaction, and goes to the server and back once.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from zlib import crc32

from storage.appends import Append, AppendRequest, expected_heads
from storage.derived_tables import ANSWERS, AUDIT, BOOKINGS, CLIENT_IDS, EVENTS, ROWS, Arranged, Row, arrange
from storage.errors import AnswerTaken, NotOwner, SequenceConflict
from storage.postgres_function import CALL
from storage.updates import DocumentKey, check_name

NO_FENCE = -1


class Driver(Protocol):
    """A connection of asyncpg, as far as an append uses it."""

    async def fetchval(self, statement: str, /, *values: Any) -> Any: ...


class PostgresAppend:
    """One append. Raises SequenceConflict, AnswerTaken, or ValuesRefused."""

    def __init__(self, request: AppendRequest) -> None:
        self._request = request
        self._heads = expected_heads(request.updates)
        for key in self._heads:
            check_name(key)
        self._arranged = arrange(request.derived)

    async def run(self, driver: Driver) -> dict[str, int]:
        """Store all or nothing; returns for each wedding with events the number of its first one here."""
        weddings = self._arranged.event_weddings
        heads = await driver.fetchval(CALL, *self._arguments())
        return {wedding: head + 1 for wedding, head in zip(weddings, heads, strict=True)}

    def refusal(self, state: str | None, detail: str | None) -> Exception | None:
        """The error that the function has raised, by its state; None for any other state."""
        if state == "WD001" and detail:
            place, head = json.loads(detail)
            return self._conflict(list(self._heads)[place - 1], head)
        if state == "WD002" and detail:
            return NotOwner(json.loads(detail))
        if state == "WD003" and detail:
            return AnswerTaken(*self._arranged.answers[int(detail) - 1][:2])
        return None

    def _conflict(self, key: DocumentKey, head: int) -> SequenceConflict:
        return SequenceConflict(
            f"document {str(key)!r} is at sequence number {head}, cannot append {self._heads[key] + 1}",
            document=str(key),
        )

    def _arguments(self) -> list[Any]:
        """In the order of `PARAMETERS`."""
        request, arranged = self._request, self._arranged
        weddings, fences = request.weddings, request.fences
        return [
            weddings,
            request.node,
            None if fences is None else [fences.get(wedding, NO_FENCE) for wedding in weddings],
            *_columns([(*key, head) for key, head in self._heads.items()], 3),
            *_updates(request.updates, self._heads),
            *_columns(arranged.removed_bookings, len(BOOKINGS.key)),
            *_columns(arranged.rows, len(ROWS.columns)),
            *_columns(arranged.bookings, len(BOOKINGS.columns)),
            *_columns(arranged.client_ids, len(CLIENT_IDS.columns)),
            *_columns(arranged.answers, len(ANSWERS.columns)),
            arranged.event_weddings,
            *_event_columns(arranged),
            *_audit_columns(arranged),
        ]


def _columns(rows: Sequence[Row], width: int) -> list[tuple[Any, ...]]:
    return list(zip(*rows, strict=True)) if rows else [()] * width


def _updates(updates: Sequence[Append], heads: Mapping[DocumentKey, int]) -> list[list[Any]]:
    places = {key: place for place, key in enumerate(heads, 1)}
    return [
        [places[each.key] for each in updates],
        [each.seq for each in updates],
        [each.update for each in updates],
        [crc32(each.update) for each in updates],
    ]


def _event_columns(arranged: Arranged) -> list[tuple[Any, ...]]:
    # Arrays of PostgreSQL count from 1.
    places, *others = _columns(arranged.events, len(EVENTS.columns))
    return [tuple(place + 1 for place in places), *others]


def _audit_columns(arranged: Arranged) -> list[tuple[Any, ...]]:
    rows = [(wedding, *AUDIT.attributes_of(entry)) for wedding, entries in arranged.audit for entry in entries]
    return _columns(rows, len(AUDIT.columns) - 1)
