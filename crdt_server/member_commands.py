"""`crdt-server member`: members and invitations of a wedding, straight in the database. A running server follows within
seconds."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import click

from crdt_server.access.identity import ROLES, Identity
from crdt_server.errors import CrdtServerError
from crdt_server.names import WEDDING
from crdt_server.options import load_settings, setting_options
from crdt_server.services.members import LONGEST_INVITATION_SECONDS, MemberService
from storage import StoredMember, open_storage

OPERATOR: Final = Identity("operator", "couple")
"""The author of what is done here."""

DAY_SECONDS: Final = 86_400
REFUSED: Final = 1

_BELONGINGS = ("vendor", "guest", "side", "name")


def _belongings(command: Any) -> Any:
    for flag, text in (
        ("--name", "The name that other people see"),
        ("--side", "For family: the side of the couple, a or b"),
        ("--guest", "For guests: the guest of the wedding"),
        ("--vendor", "For roles of vendors: the vendor of the wedding"),
    ):
        command = click.option(flag, default=None, metavar="TEXT", help=text)(command)
    return setting_options("database_url")(command)


@click.group()
def member() -> None:
    """Members of a wedding, and invitations. May run beside a serving process, which follows within seconds."""


@member.command("list")
@click.argument("wedding")
@setting_options("database_url")
def list_members(wedding: str, config: str | None, **flags: Any) -> None:
    """Print the members of WEDDING: user, role, what belongs to the role, name."""
    for each in _run(wedding, config, flags, lambda members: _all_members(members, wedding)):
        fields = (each.user, each.role, each.vendor, each.guest, each.side, each.name)
        click.echo("\t".join(filter(None, fields)))


@member.command()
@click.argument("wedding")
@click.argument("user")
@click.argument("role", type=click.Choice(ROLES))
@_belongings
def add(wedding: str, user: str, role: str, config: str | None, **flags: Any) -> None:
    """Make USER a member of WEDDING in a ROLE."""
    person = Identity(user, role, **_given(flags))
    _run(wedding, config, flags, lambda members: members.add(wedding, OPERATOR, person))
    click.echo(f"{wedding}: {user} is a member now: {role}")


@member.command()
@click.argument("wedding")
@click.argument("user")
@click.argument("role", type=click.Choice(ROLES))
@_belongings
def role(wedding: str, user: str, role: str, config: str | None, **flags: Any) -> None:
    """Give the member USER of WEDDING another ROLE."""
    fields = {"role": role, **_given(flags)}
    _run(wedding, config, flags, lambda members: members.change(wedding, OPERATOR, user, fields))
    click.echo(f"{wedding}: {user} has another role now: {role}")


@member.command()
@click.argument("wedding")
@click.argument("user")
@setting_options("database_url")
def remove(wedding: str, user: str, config: str | None, **flags: Any) -> None:
    """Remove the member USER of WEDDING with all devices, invitations and grants."""
    _run(wedding, config, flags, lambda members: members.remove(wedding, OPERATOR, user))
    click.echo(f"{wedding}: {user} is no member any more")


@member.command()
@click.argument("wedding")
@click.argument("role", type=click.Choice(ROLES))
@click.option("--user", default="", help="The user id; without it one is made up")
@click.option(
    "--days",
    type=click.IntRange(1, LONGEST_INVITATION_SECONDS // DAY_SECONDS),
    default=7,
    show_default=True,
    help="How long the code can be used",
)
@_belongings
def invite(wedding: str, role: str, user: str, days: int, config: str | None, **flags: Any) -> None:
    """Print a code with which somebody becomes a member of WEDDING in a ROLE; it can be used once."""
    person = Identity(user, role, **_given(flags))
    invited = _run(
        wedding, config, flags, lambda members: members.invite(wedding, OPERATOR, person, days * DAY_SECONDS)
    )
    click.echo(invited.code)


async def _all_members(members: MemberService, wedding: str) -> list[StoredMember]:
    found, following = await members.page(wedding, OPERATOR)
    while following is not None:
        page, following = await members.page(wedding, OPERATOR, following)
        found += page
    return found


def _given(flags: dict[str, Any]) -> dict[str, str]:
    """Takes the flags of `_belongings` out, as far as they were given."""
    given = {name: flags.pop(name) for name in _BELONGINGS}
    return {name: value for name, value in given.items() if value is not None}


def _run(
    wedding: str, config: str | None, flags: dict[str, Any], work: Callable[[MemberService], Awaitable[Any]]
) -> Any:
    """The result of some work; one line on stderr and exit code 1 where it is refused."""
    if not WEDDING.fullmatch(wedding):
        raise click.UsageError(f"no name of a wedding: {wedding!r}")
    settings = load_settings(config, flags)

    async def run() -> Any:
        storage = await open_storage(settings.database_url, migrate=True)
        try:
            return await work(MemberService(storage, partial(datetime.now, UTC), lambda _: None))
        finally:
            await storage.close()

    try:
        return asyncio.run(run())
    except CrdtServerError as error:
        click.echo(f"crdt-server: {error}", err=True)
        sys.exit(REFUSED)
