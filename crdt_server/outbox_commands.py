"""`crdt-server outbox`: messages that have to leave the server, straight in the database. A running server follows
within seconds."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, TypeVar

import click

from crdt_server.errors import CrdtServerError
from crdt_server.names import WEDDING
from crdt_server.options import load_settings, setting_options
from crdt_server.services.messaging.model import Channel
from crdt_server.services.messaging.outbox_service import OutboxService
from storage import StoredMessage, open_storage
from storage.outbox import DEAD, STATES

T = TypeVar("T")

REFUSED: Final = 1

CHANNELS: Final = tuple(channel.value for channel in Channel if channel is not Channel.INBOX)
_channel = click.option("--channel", type=click.Choice(CHANNELS), default=None, help="Only of this channel")
_wedding = click.option("--wedding", default=None, metavar="NAME", help="Only of this wedding")


@click.group()
def outbox() -> None:
    """Messages by mail, SMS, push and webhook that are to be sent, or could not be. May run beside a serving process,
    which follows within seconds. Texts of people are not shown."""


@outbox.command("list")
@_wedding
@click.option("--state", type=click.Choice(STATES), default=DEAD, show_default=True, help="Messages in this state")
@_channel
@setting_options("database_url")
def list_messages(wedding: str | None, state: str, channel: str | None, config: str | None, **flags: Any) -> None:
    """Print messages: id, wedding, recipient, channel, type, attempts, when it is due or was given up, error."""
    after = 0
    while page := _run(wedding, config, flags, partial(_page, wedding, state, channel, after)):
        for each in page:
            click.echo("\t".join(_fields(each)))
        after = page[-1].id


async def _page(
    wedding: str | None, state: str, channel: str | None, after: int, service: OutboxService
) -> list[StoredMessage]:
    return list(await service.page(wedding, state, channel, after=after))


def _fields(message: StoredMessage) -> tuple[str, ...]:
    moment = message.done_at or message.next_at
    return (
        *(str(message.id), message.wedding, message.user, message.channel, message.type),
        *(str(message.attempts), f"{moment:%F %T}", message.error or "-"),
    )


@outbox.command()
@click.argument("id_", metavar="ID", type=click.IntRange(min=1))
@setting_options("database_url")
def show(id_: int, config: str | None, **flags: Any) -> None:
    """Print one message."""
    found = _run(None, config, flags, lambda service: service.message(None, id_))
    hidden = ("params", "lease", "lease_until")
    for name, value in found._asdict().items():
        if name not in hidden and value not in ("", None):
            click.echo(f"{name}: {value}")


@outbox.command()
@click.argument("id_", metavar="[ID]", type=click.IntRange(min=1), required=False)
@click.option("--all", "every", is_flag=True, help="All dead messages, in place of one with an ID")
@_wedding
@_channel
@setting_options("database_url")
def retry(
    id_: int | None, config: str | None, *, every: bool, wedding: str | None, channel: str | None, **flags: Any
) -> None:
    """Send a dead message once more, or one that waits for its next attempt now; with --all, all dead ones."""
    if every is (id_ is not None):
        raise click.UsageError("give an ID, or --all")
    if id_ is None:
        count = _run(wedding, config, flags, lambda service: service.retry_dead(wedding, channel))
        click.echo(f"messages that are sent once more: {count}")
        return
    number = id_
    _run(wedding, config, flags, lambda service: service.retry(wedding, number))
    click.echo(f"{number} is sent once more")


def _run(
    wedding: str | None, config: str | None, flags: dict[str, Any], work: Callable[[OutboxService], Awaitable[T]]
) -> T:
    """The result of some work; one line on stderr and exit code 1 where it is refused."""
    if wedding is not None and not WEDDING.fullmatch(wedding):
        raise click.UsageError(f"no name of a wedding: {wedding!r}")
    settings = load_settings(config, flags)

    async def run() -> T:
        storage = await open_storage(settings.database_url, migrate=True)
        try:
            return await work(OutboxService(storage, partial(datetime.now, UTC), lambda: None))
        finally:
            await storage.close()

    try:
        return asyncio.run(run())
    except CrdtServerError as error:
        click.echo(f"crdt-server: {error}", err=True)
        sys.exit(REFUSED)
