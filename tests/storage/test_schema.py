"""The migrations lead exactly to `tables`, and addresses are checked before anything is opened."""

import json
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect

from storage import (
    Append,
    DerivedRecords,
    DocumentKey,
    NewEvent,
    SchemaOutdated,
    StorageError,
    StorageUnavailable,
    StoredUpdate,
    migrate,
    open_storage,
)
from storage.schema import SCRIPTS
from storage.search_tables import SEARCH_INDEX
from storage.tables import SCHEMA_REVISION, metadata


def plain(found: object) -> str:
    """What was found, with the text of conditions in place of objects."""
    return json.dumps(found, default=str)


def is_compared(_item: object, name: str | None, *_: object) -> bool:
    """The tables of a full-text index are SQLite's own; the index in its place is for PostgreSQL."""
    return not str(name).startswith(SEARCH_INDEX) and name != "ix_search_texts_words"


OPTIONS = {"compare_type": True, "compare_server_default": True, "include_object": is_compared}


async def test_the_migrated_schema_is_the_declared_one(tmp_path: Path) -> None:
    await migrate(f"sqlite:///{tmp_path}/migrated.db")
    migrated = create_engine(f"sqlite:///{tmp_path}/migrated.db")
    declared = create_engine(f"sqlite:///{tmp_path}/declared.db")
    metadata.create_all(declared)
    with migrated.connect() as connection:
        context = MigrationContext.configure(connection, opts=OPTIONS)
        assert compare_metadata(context, metadata) == []
    # What Alembic does not compare.
    for table in metadata.tables:
        for look in (
            "get_check_constraints",
            "get_foreign_keys",
            "get_pk_constraint",
            "get_unique_constraints",
            "get_indexes",
        ):
            assert plain(getattr(inspect(migrated), look)(table)) == plain(getattr(inspect(declared), look)(table))
    migrated.dispose()
    declared.dispose()


def test_the_newest_migration_is_the_one_the_program_asks_for() -> None:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    assert ScriptDirectory.from_config(config).get_heads() == [SCHEMA_REVISION]


def make_database_of_revision_1(path: Path) -> None:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.exec_driver_sql("INSERT INTO documents (id, wedding, name) VALUES (3, 'w_42', 'guests')")
        connection.exec_driver_sql("INSERT INTO updates VALUES (3, 1, 2, X'6162', 2659403885)")
    engine.dispose()


@pytest.mark.parametrize("scheme", ["sqlite", "sqlite+aiosqlite"])
async def test_a_database_of_the_first_revision_is_upgraded(tmp_path: Path, scheme: str) -> None:
    url = f"{scheme}:///{tmp_path}/w.db"
    make_database_of_revision_1(tmp_path / "w.db")
    with pytest.raises(SchemaOutdated, match="has schema 0001"):
        await open_storage(url)
    store = await open_storage(url, migrate=True)
    guests = DocumentKey("w_42", "guests")
    assert (await store.load(guests)).updates == [StoredUpdate(1, 2, b"ab")]
    event = NewEvent("guest.added", "2026-06-20T13:30:00Z", "g_chloe", "{}")
    assert await store.append([Append(guests, 3, b"c")], [DerivedRecords(guests, events=[event])]) == {"w_42": 1}
    await store.close()


async def test_addresses_from_before_they_were_confirmed_stay_in_use(tmp_path: Path) -> None:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    engine = create_engine(f"sqlite:///{tmp_path}/old.db")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0009")
        connection.exec_driver_sql(
            'INSERT INTO contacts (wedding, "user", channel, id, address, secret, at) '
            "VALUES ('w', 'ada', 'mail', 'c_1', 'ada@example.org', '', '2026-06-20 12:00:00')"
        )
    engine.dispose()
    url = f"sqlite:///{tmp_path}/old.db"
    await migrate(url)
    storage = await open_storage(url)
    (contact,) = await storage.contacts("w", "ada")
    assert contact.confirmed_at == contact.at
    assert await storage.plan_routing("w", lambda reader: reader.channels(["ada"])) == {("ada", "mail")}
    await storage.close()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "wedding.db",
        "mysql://host/x",
        "postgresql://host",
        "postgresql://host/x?flavour=mild",
        "sqlite://",
        "sqlite:///:memory:",
    ],
)
async def test_an_address_we_cannot_use(url: str) -> None:
    with pytest.raises(StorageError):
        await open_storage(url, migrate=True)


async def test_synchronous_is_one_of_the_settings(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="synchronous"):
        await open_storage(f"sqlite:///{tmp_path}/w.db", synchronous="1; DROP TABLE updates", migrate=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("scheme", ["sqlite", "sqlite+aiosqlite"])
@pytest.mark.parametrize(("setting", "level"), [("full", 2), ("NORMAL", 1)])
async def test_what_is_promised_of_every_connection(tmp_path: Path, scheme: str, setting: str, level: int) -> None:
    store = await open_storage(f"{scheme}:///{tmp_path}/w.db", synchronous=setting, migrate=True)
    for run in (store._executor.read, store._executor.write):
        for pragma, expected in (("journal_mode", "wal"), ("synchronous", level), ("foreign_keys", 1)):
            assert await run(lambda c, p=pragma: c.exec_driver_sql(f"PRAGMA {p}").scalar()) == expected
    await store.close()


@pytest.mark.parametrize("scheme", ["sqlite", "sqlite+aiosqlite"])
async def test_a_reader_cannot_write(tmp_path: Path, scheme: str) -> None:
    store = await open_storage(f"{scheme}:///{tmp_path}/w.db", migrate=True)
    with pytest.raises(StorageUnavailable, match="readonly"):
        await store._executor.read(lambda connection: connection.exec_driver_sql("DELETE FROM documents"))
    await store.close()
