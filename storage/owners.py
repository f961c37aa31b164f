"""Which node may write which wedding. A node lives as long as it says so in time, by the clock of the database.

A wedding whose owner no longer lives goes to the first that claims it, under a higher fence. An append names the fence
it counts on, and the database compares in the transaction that writes: an owner that was stopped, lost its weddings and
wakes up writes nothing, however wrong its own clock is. Plain functions over a `Connection`, as in `updates`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

from sqlalchemy import BigInteger, Connection, Table, and_, case, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from storage.errors import NotOwner, StorageError
from storage.tables import NAME_LENGTH, nodes, owners

CLAIMS = 500
"""Most weddings of one statement."""

FORGOTTEN_AFTER_MS = 24 * 3600 * 1000
"""How long a node that died is kept in mind."""

NOBODY = ""


class Owner(NamedTuple):
    """The node that owns a wedding, and the number that goes up with every change of the owner."""

    wedding: str
    node: str
    fence: int


class now_ms(FunctionElement[int]):  # noqa: N801, RUF100 - a function of SQL, named like the others
    """Milliseconds since 1970 by the clock of the database."""

    type = BigInteger()
    inherit_cache = True


@compiles(now_ms, "sqlite")
def _now_of_sqlite(*_: object, **__: object) -> str:
    return "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"


@compiles(now_ms, "postgresql")
def _now_of_postgresql(*_: object, **__: object) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"


def _insert(connection: Connection, table: Table) -> postgresql.Insert:
    # The two know the same; the types know it of each alone.
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else cast(Any, sqlite.insert(table))


def heartbeat(connection: Connection, node: str, seconds: float) -> None:
    """The node is alive until `seconds` from now."""
    _check(node)
    new = _insert(connection, nodes).values(node=node, until=now_ms() + round(seconds * 1000))
    connection.execute(new.on_conflict_do_update(index_elements=["node"], set_={"until": new.excluded.until}))


def alive(connection: Connection) -> list[str]:
    """The nodes that are alive, in order."""
    return list(connection.scalars(select(nodes.c.node).where(nodes.c.until > now_ms()).order_by(nodes.c.node)))


def claim(connection: Connection, weddings: Sequence[str], node: str) -> list[Owner]:
    """Take those of at most CLAIMS different sorted weddings that no living node owns; who owns each of them now."""
    new = _insert(connection, owners).values([{"wedding": wedding, "node": node, "fence": 1} for wedding in weddings])
    living = select(nodes.c.node).where(nodes.c.until > now_ms())
    free = and_(owners.c.node != node, owners.c.node.not_in(living))
    # One that is not free is written as it is: so the statement always tells the owner, and never an outdated one.
    claimed = new.on_conflict_do_update(
        index_elements=["wedding"],
        set_={
            "node": case((free, new.excluded.node), else_=owners.c.node),
            "fence": case((free, owners.c.fence + 1), else_=owners.c.fence),
        },
    )
    rows = connection.execute(claimed.returning(owners.c.wedding, owners.c.node, owners.c.fence))
    return [Owner(*row) for row in rows]


def owner(connection: Connection, wedding: str) -> Owner | None:
    """Who owns the wedding, None where nobody that lives does."""
    query = select(owners.c.wedding, owners.c.node, owners.c.fence).join(nodes, nodes.c.node == owners.c.node)
    row = connection.execute(query.where(owners.c.wedding == wedding, nodes.c.until > now_ms())).first()
    return None if row is None else Owner(row.wedding, row.node, row.fence)


def owned(connection: Connection, node: str) -> dict[str, int]:
    """The weddings that a node owns, dead or alive, with their fences."""
    query = select(owners.c.wedding, owners.c.fence).where(owners.c.node == node)
    return dict(connection.execute(query).all())


def release(connection: Connection, node: str, weddings: Sequence[str]) -> None:
    """Give up at most CLAIMS weddings, as far as they are the node's."""
    _release(connection, and_(owners.c.node == node, owners.c.wedding.in_(weddings)))


def leave(connection: Connection, node: str) -> None:
    """Give up all weddings of the node, and have it live no longer."""
    _release(connection, owners.c.node == node)
    long_dead = nodes.c.until < now_ms() - FORGOTTEN_AFTER_MS
    connection.execute(delete(nodes).where((nodes.c.node == node) | long_dead))


def _release(connection: Connection, which: Any) -> None:
    # Locked in the order in which appends lock them.
    held = select(owners.c.wedding).where(which).order_by(owners.c.wedding).with_for_update()
    connection.execute(held)
    connection.execute(update(owners).where(which).values(node=NOBODY))


def require(connection: Connection, weddings: Sequence[str], fences: Mapping[str, int], node: str) -> None:
    """Raise NotOwner unless the node owns these weddings under these fences. For SQLite, which has one writer."""
    held: dict[str, tuple[str, int]] = {}
    for begin in range(0, len(weddings), CLAIMS):
        query = select(*owners.c).where(owners.c.wedding.in_(weddings[begin : begin + CLAIMS]))
        held.update({wedding: (by, fence) for wedding, by, fence in connection.execute(query)})
    lost = [wedding for wedding in weddings if held.get(wedding) != (node, fences.get(wedding))]
    if lost:
        raise NotOwner(lost)


def check_names(node: str, weddings: Sequence[str]) -> None:
    """Raise StorageError for a name that is empty or too long."""
    for one in (node, *weddings):
        _check(one)


def _check(one: str) -> None:
    if not 0 < len(one) <= NAME_LENGTH:
        raise StorageError(f"the name of a node or a wedding has 1 to {NAME_LENGTH} characters: {one[:300]!r}")
