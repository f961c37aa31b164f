"""The migrations lead exactly to `tables`, and addresses are checked before anything is opened."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect

from storage import StorageError, StorageUnavailable, migrate, open_storage
from storage.schema import SCRIPTS
from storage.tables import SCHEMA_REVISION, metadata


async def test_the_migrated_schema_is_the_declared_one(tmp_path: Path) -> None:
    await migrate(f"sqlite:///{tmp_path}/migrated.db")
    migrated = create_engine(f"sqlite:///{tmp_path}/migrated.db")
    declared = create_engine(f"sqlite:///{tmp_path}/declared.db")
    metadata.create_all(declared)
    with migrated.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
    # What Alembic does not compare.
    for table in metadata.tables:
        for look in ("get_check_constraints", "get_foreign_keys", "get_pk_constraint", "get_unique_constraints"):
            assert getattr(inspect(migrated), look)(table) == getattr(inspect(declared), look)(table)
    migrated.dispose()
    declared.dispose()


def test_the_newest_migration_is_the_one_the_program_asks_for() -> None:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    assert ScriptDirectory.from_config(config).get_heads() == [SCHEMA_REVISION]


@pytest.mark.parametrize(
    "url", ["", "wedding.db", "mysql://host/x", "postgresql://host/x", "sqlite://", "sqlite:///:memory:"]
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
    for run in (store._lane.read, store._lane.write):
        for pragma, expected in (("journal_mode", "wal"), ("synchronous", level), ("foreign_keys", 1)):
            assert await run(lambda c, p=pragma: c.exec_driver_sql(f"PRAGMA {p}").scalar()) == expected
    await store.close()


@pytest.mark.parametrize("scheme", ["sqlite", "sqlite+aiosqlite"])
async def test_a_reader_cannot_write(tmp_path: Path, scheme: str) -> None:
    store = await open_storage(f"{scheme}:///{tmp_path}/w.db", migrate=True)
    with pytest.raises(StorageUnavailable, match="readonly"):
        await store._lane.read(lambda connection: connection.exec_driver_sql("DELETE FROM documents"))
    await store.close()
