"""Ownership of weddings by nodes. A node lives until its last heartbeat expires, by the clock of the database.

A wedding whose owner no longer lives goes to the first that claims it, under a higher fence. An append names the fence
it counts on, and the database compares in the transaction that writes: an owner that was stopped, lost its weddings and
wakes up writes nothing, however wrong its own clock is. Plain functions over a `Connection`, as in `updates`.

Lists of weddings go in as one value, a JSON array: a statement for 500 with a parameter for each took 100 ms.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Connection, TextClause, bindparam, text

from storage.errors import NotOwner, ValuesRefused
from storage.tables import NAME_LENGTH

FORGOTTEN_AFTER_MS = 24 * 3600 * 1000
"""How long a node that died is kept."""


class Owner(NamedTuple):
    """The node that owns a wedding, and the number that goes up with every change of the owner."""

    wedding: str
    node: str
    fence: int


# Where the dialects of the two databases differ. In order of the weddings: so do appends lock them.
_DIALECTS = {
    "sqlite": {
        "now": "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
        "given": "SELECT value AS given FROM json_each(:weddings)",
        "for_update": "",
    },
    "postgresql": {
        "now": "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)",
        "given": 'SELECT each COLLATE "C" AS given FROM json_array_elements_text(CAST(:weddings AS json)) AS e (each)',
        "for_update": "FOR UPDATE",
    },
}
_HEARTBEAT = """
INSERT INTO nodes (node, until) VALUES (:node, {now} + :ms) ON CONFLICT (node) DO UPDATE SET until = excluded.until
"""
_ALIVE = "SELECT node FROM nodes WHERE until > {now} ORDER BY node"
# A wedding that is not free is written as it is: so the statement always returns the owner, and never an outdated one.
_FREE = "owners.node <> excluded.node AND owners.node NOT IN (SELECT node FROM nodes WHERE until > {now})"
_CLAIM = f"""
INSERT INTO owners (wedding, node, fence) SELECT given, :node, 1 FROM ({{given}}) AS list WHERE true ORDER BY given
ON CONFLICT (wedding) DO UPDATE
SET node = CASE WHEN {_FREE} THEN excluded.node ELSE owners.node END,
    fence = CASE WHEN {_FREE} THEN owners.fence + 1 ELSE owners.fence END
RETURNING wedding, node, fence
"""  # noqa: S608 - ours
_OWNER = """
SELECT owners.wedding, owners.node, owners.fence FROM owners JOIN nodes ON nodes.node = owners.node
WHERE owners.wedding = :wedding AND nodes.until > {now}
"""
_OWNED = "SELECT wedding, fence FROM owners WHERE node = :node"
_HELD = "SELECT wedding, node, fence FROM owners WHERE wedding IN ({given})"
_LOCK_SOME = "SELECT 1 FROM owners WHERE node = :node AND wedding IN ({given}) ORDER BY wedding {for_update}"
_RELEASE_SOME = "UPDATE owners SET node = '' WHERE node = :node AND wedding IN ({given})"
_LOCK_ALL = "SELECT 1 FROM owners WHERE node = :node ORDER BY wedding {for_update}"
_RELEASE_ALL = "UPDATE owners SET node = '' WHERE node = :node"
_DIE = "DELETE FROM nodes WHERE node = :node OR until < {now} - :ms"


def heartbeat(connection: Connection, node: str, seconds: float) -> None:
    """The node is alive until `seconds` from now."""
    check_names([node])
    _run(connection, _HEARTBEAT, node=node, ms=round(seconds * 1000))


def alive(connection: Connection) -> list[str]:
    """The nodes that are alive, in order."""
    return [node for (node,) in _run(connection, _ALIVE)]


def claim(connection: Connection, weddings: Sequence[str], node: str) -> list[Owner]:
    """Take those of the weddings, each named once, that no living node owns; returns the owner of each, ordered."""
    check_names([node, *weddings])
    return sorted(Owner(*row) for row in _run(connection, _CLAIM, node=node, weddings=json.dumps(list(weddings))))


def owner(connection: Connection, wedding: str) -> Owner | None:
    """The owner of the wedding, None where no living node owns it."""
    return next((Owner(*row) for row in _run(connection, _OWNER, wedding=wedding)), None)


def owned(connection: Connection, node: str) -> dict[str, int]:
    """The weddings that a node owns, dead or alive, with their fences."""
    return dict(_run(connection, _OWNED, node=node))


def release(connection: Connection, node: str, weddings: Sequence[str]) -> None:
    """Give these up as far as they are the node's."""
    for statement in (_LOCK_SOME, _RELEASE_SOME):
        _run(connection, statement, node=node, weddings=json.dumps(list(weddings)))


def leave(connection: Connection, node: str) -> None:
    """Give up all weddings of the node, and have it live no longer."""
    for statement in (_LOCK_ALL, _RELEASE_ALL):
        _run(connection, statement, node=node)
    _run(connection, _DIE, node=node, ms=FORGOTTEN_AFTER_MS)


def require(connection: Connection, weddings: Sequence[str], fences: Mapping[str, int], node: str) -> None:
    """Raise NotOwner unless the node owns these weddings under these fences. It holds until a node claims one: on
    SQLite, which has one writer, not before the end of a transaction that writes."""
    rows = _run(connection, _HELD, weddings=json.dumps(list(weddings)))
    held = {wedding: (by, fence) for wedding, by, fence in rows}
    lost = [wedding for wedding in weddings if held.get(wedding) != (node, fences.get(wedding))]
    if lost:
        raise NotOwner(lost)


def check_names(names: Sequence[str]) -> None:
    """Raise ValuesRefused for the name of a node or a wedding that is empty or too long."""
    for name in names:
        if not 0 < len(name) <= NAME_LENGTH:
            raise ValuesRefused(f"the name of a node or a wedding has 1 to {NAME_LENGTH} characters: {name[:300]!r}")


def _run(connection: Connection, statement: str, **values: str | int) -> list[tuple[Any, ...]]:
    result = connection.execute(_for_dialect(statement, connection.dialect.name), values)
    return [tuple(row) for row in result] if result.returns_rows else []


@cache
def _for_dialect(statement: str, dialect: str) -> TextClause:
    clause = text(statement.format(**_DIALECTS[dialect]))
    return clause.bindparams(bindparam("ms", type_=BigInteger)) if ":ms" in statement else clause
