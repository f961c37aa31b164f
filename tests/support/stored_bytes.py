"""Where a text is to be found in a store."""

from __future__ import annotations

from sqlalchemy import Connection, MetaData, Table, inspect, select

from storage import Storage
from storage.tables import metadata


async def tables_with(storage: Storage, text: str) -> list[str]:
    """The tables that hold a text in any column of any row, in letters or in bytes; of SQLite also the tables of its
    index of words."""

    def search(connection: Connection) -> list[str]:
        found = []
        names = set(inspect(connection).get_table_names()) - metadata.tables.keys()
        others = [Table(name, MetaData(), autoload_with=connection) for name in sorted(names)]
        for table in [*metadata.sorted_tables, *others]:
            values = (value for row in connection.execute(select(table)) for value in row)
            if any(_holds(value, text) for value in values):
                found.append(table.name)
        return found

    return await storage._executor.read(search)


def _holds(value: object, text: str) -> bool:
    return text.encode() in value if isinstance(value, bytes) else text in str(value)
