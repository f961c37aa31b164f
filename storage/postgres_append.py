"""A batch and what follows from it, stored on PostgreSQL by one call of the database's function `append_batch`.

What the function does is in the migration `r0004_owners`. The values go in as one array for each column.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from zlib import crc32

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from storage.errors import AnswerTaken, NotOwner, SequenceConflict
from storage.facts import Facts, check, newest_bookings, newest_rows
from storage.updates import Append, DocumentKey, check_name, expected_heads

Columns = list[list[Any]]

NOBODYS_FENCE = -1
ARGUMENTS = 42
_CALL = f"SELECT append_batch({', '.join(f'${number}' for number in range(1, ARGUMENTS + 1))})"


def append(
    connection: Connection,
    batch: Sequence[Append],
    facts: Sequence[Facts],
    fences: Mapping[str, int] | None,
    node: str,
) -> dict[str, int]:
    """Store all or nothing; return for each wedding with events the number of its first one here.

    Raises SequenceConflict, AnswerTaken, NotOwner, or StorageError for values that cannot be stored.
    """
    heads = expected_heads(batch)
    for key in heads:
        check_name(key)
    check(facts)
    answers = _answers(facts)
    events, numbered = _events(facts)
    weddings = sorted({key.wedding for key in heads} | {item.key.wedding for item in facts})
    held = None if fences is None else [fences.get(wedding, NOBODYS_FENCE) for wedding in weddings]
    gone, there = newest_bookings(facts)
    owners = [(*item.key, *owner) for item in facts for owner in item.owners]
    arguments: list[Columns | list[Any]] = [
        [weddings, node, held],
        _columns([(*key, head) for key, head in heads.items()], 3),
        _updates(batch, heads),
        _columns(newest_rows(facts), 6),
        [numbered],
        _columns(events, 7),
        _columns(owners, 4),
        _columns(answers, 5),
        _columns(gone, 2),
        _columns(there, 7),
    ]
    try:
        first = connection.exec_driver_sql(_CALL, tuple(value for part in arguments for value in part)).scalar_one()
    except DBAPIError as error:
        raise _meant(error, heads, answers) from error
    return {wedding: head + 1 for wedding, head in zip(numbered, first, strict=True)}


def _columns(rows: Sequence[Sequence[Any]], width: int) -> Columns:
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]


def _updates(batch: Sequence[Append], heads: Mapping[DocumentKey, int]) -> Columns:
    places = {key: place for place, key in enumerate(heads, 1)}
    return [
        [places[item.key] for item in batch],
        [item.seq for item in batch],
        [item.update for item in batch],
        [crc32(item.update) for item in batch],
    ]


def _answers(facts: Sequence[Facts]) -> list[tuple[Any, ...]]:
    found: dict[tuple[str, str], tuple[Any, ...]] = {}
    for item in facts:
        for answer in item.answers:
            name = (item.key.wedding, answer.key)
            if name in found:
                raise AnswerTaken(*name)
            found[name] = (item.key.wedding, *answer)
    return list(found.values())


def _events(facts: Sequence[Facts]) -> tuple[list[tuple[Any, ...]], list[str]]:
    """The events with the place of their wedding and their number behind its head; and the weddings."""
    places: dict[str, int] = {}
    numbers: dict[str, int] = {}
    found = []
    for item in facts:
        wedding, document = item.key
        for event in item.events:
            place = places.setdefault(wedding, len(places) + 1)
            numbers[wedding] = numbers.get(wedding, 0) + 1
            found.append((place, numbers[wedding], event.type, event.at, document, event.record, event.body))
    return found, list(places)


def _meant(error: DBAPIError, heads: Mapping[DocumentKey, int], answers: Sequence[tuple[Any, ...]]) -> Exception:
    """What the function's own errors say; any other error as it is."""
    state, detail = getattr(error.orig, "sqlstate", None), getattr(error.orig, "detail", None)
    if state == "WD001" and detail:
        place, head = json.loads(detail)
        return _conflict(list(heads)[place - 1], head, heads)
    if state == "WD002" and detail:
        return NotOwner(json.loads(detail))
    if state == "WD003" and detail:
        return AnswerTaken(*answers[int(detail) - 1][:2])
    return error


def _conflict(key: DocumentKey, head: int, heads: Mapping[DocumentKey, int]) -> SequenceConflict:
    return SequenceConflict(
        f"document {str(key)!r} is at sequence number {head}, cannot append {heads[key] + 1}", document=str(key)
    )
