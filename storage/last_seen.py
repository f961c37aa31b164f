"""When people were last there: a row for each person and node, written now and then by the node that has their sockets.

Rows are hints about people, and follow from no document: a crash may take the newest ones back. Plain functions over a
`Connection`, as in `updates`.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, func, or_, select, text, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from storage.tables import last_seen

PEOPLE_KEPT = 1_000
"""Rows of a wedding that are kept, the newest."""

_WEDDINGS = {
    "sqlite": "SELECT value AS wedding FROM json_each(:weddings)",
    "postgresql": 'SELECT e COLLATE "C" AS wedding FROM json_array_elements_text(CAST(:weddings AS json)) AS t (e)',
}


class LastSeen(NamedTuple):
    """A person as one node has it. Moments carry their time zone."""

    wedding: str
    user: str
    node: str
    role: str
    name: str
    at: datetime
    """When this was so; of somebody who is not connected any more, when the last socket ended."""
    changed_at: datetime
    """When the person's presence became another one."""
    connected: bool
    documents: str
    """JSON: document -> fields of the presence there, or null where no socket is left."""


def save(connection: Connection, rows: Sequence[LastSeen]) -> None:
    """Put these in the place of the rows of the same person and node."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(last_seen)
    key = ("wedding", "user", "node")
    changed = {name: statement.excluded[name] for name in LastSeen._fields if name not in key}
    values = [row._asdict() for row in sorted(rows)]
    connection.execute(statement.on_conflict_do_update(index_elements=key, set_=changed), values)


def find(connection: Connection, wedding: str) -> list[LastSeen]:
    """The rows of a wedding, by user; of one user the newest last."""
    columns = (last_seen.c[name] for name in LastSeen._fields)
    query = select(*columns).where(last_seen.c.wedding == wedding).order_by(last_seen.c.user, last_seen.c.at)
    return [LastSeen(*row) for row in connection.execute(query)]


def trim(connection: Connection, weddings: Iterable[str], stale_before: datetime) -> int:
    """Delete rows of these weddings that say nothing any more: of a person who was seen later at another node, as far
    as they are not of somebody connected or from before a moment; and all beyond the newest PEOPLE_KEPT. Returns how
    many."""
    given = text(_WEDDINGS[connection.dialect.name]).bindparams(weddings=json.dumps(sorted(set(weddings))))
    among = last_seen.c.wedding.in_(given.columns(last_seen.c.wedding))
    newer = last_seen.alias("newer")
    same = and_(newer.c.wedding == last_seen.c.wedding, newer.c.user == last_seen.c.user, newer.c.at > last_seen.c.at)
    ended = or_(last_seen.c.connected.is_(False), last_seen.c.at < stale_before)
    outdated = and_(ended, exists().where(same))
    return _delete(connection, and_(among, outdated)) + _delete(connection, _beyond(among))


def _beyond(among: ColumnElement[bool]) -> ColumnElement[bool]:
    key = (last_seen.c.wedding, last_seen.c.user, last_seen.c.node)
    place = func.row_number().over(partition_by=last_seen.c.wedding, order_by=last_seen.c.at.desc())
    placed = select(*key, place.label("place")).where(among).subquery()
    beyond = select(placed.c.wedding, placed.c.user, placed.c.node).where(placed.c.place > PEOPLE_KEPT)
    return tuple_(*key).in_(beyond)


def _delete(connection: Connection, condition: ColumnElement[bool]) -> int:
    return connection.execute(delete(last_seen).where(condition)).rowcount
