"""Events of a wedding that follow from no document: they are numbered with those that do. Plain functions over a
`Connection`, as in `updates`."""

from sqlalchemy import Connection, func, insert, select, text

from storage.derived import NewEvent
from storage.tables import events

_OWNER_ROW = "INSERT INTO owners (wedding, node, fence) VALUES (:wedding, '', 0) ON CONFLICT (wedding) DO NOTHING"
_LOCK_OWNER = "SELECT 1 FROM owners WHERE wedding = :wedding FOR NO KEY UPDATE"


def lock_events(connection: Connection, wedding: str) -> None:
    """As an append does, before anything else is locked: events of a wedding are numbered one after the other."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(_OWNER_ROW), {"wedding": wedding})
        connection.execute(text(_LOCK_OWNER), {"wedding": wedding})


def add_event(connection: Connection, wedding: str, document: str, event: NewEvent) -> int:
    """Store an event; returns its number. `lock_events` comes first."""
    newest = select(func.coalesce(func.max(events.c.seq), 0)).where(events.c.wedding == wedding)
    seq = int(connection.scalars(newest).one()) + 1
    values = {"wedding": wedding, "seq": seq, "document": document, **event._asdict()}
    connection.execute(insert(events), values)
    return seq
