"""`crdt-server search`: the index of what can be searched for. May run beside a serving process."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from crdt_server.names import WEDDING
from crdt_server.options import load_settings, setting_options
from crdt_server.services.search import SearchService
from crdt_server.services.search_rebuild import rebuild
from storage import Storage, open_storage


@click.group()
def search() -> None:
    """The index of messages and notes. May run beside a serving process."""


@search.command("rebuild")
@click.argument("wedding", required=False)
@setting_options("database_url")
def rebuild_index(wedding: str | None, config: str | None, **flags: Any) -> None:
    """Make the index (of WEDDING) anew from what is stored, and purge it of the words of what was removed."""
    if wedding is not None and not WEDDING.fullmatch(wedding):
        raise click.UsageError(f"no name of a wedding: {wedding!r}")
    asyncio.run(_rebuild(load_settings(config, flags).database_url, wedding))


async def _rebuild(database_url: str, wedding: str | None) -> None:
    storage = await open_storage(database_url, migrate=True)
    try:
        if await storage.mend_search():
            click.echo("the index was not that of its texts: it has been mended")
        for name in [wedding] if wedding else [each async for each in storage.weddings()]:
            await _rebuild_one(storage, name)
        await SearchService(storage).purge()
    finally:
        await storage.close()


async def _rebuild_one(storage: Storage, wedding: str) -> None:
    click.echo(f"{wedding}: {await rebuild(storage, wedding)} records with texts")
