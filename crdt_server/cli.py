"""The command line. Flags of ``serve`` are made from `Settings`, so there is one list of them.

Exit codes: 0 done, 1 found a problem, 2 wrong use or configuration. Errors are one line on stderr.
"""

from __future__ import annotations

import asyncio
import sys
import time
from datetime import UTC, datetime
from typing import Any

import click

from crdt_server import logs
from crdt_server.access.access import Denied
from crdt_server.access.identity import ROLES, Identity
from crdt_server.access.keys import KeySet
from crdt_server.access.members import GRANTEES
from crdt_server.access.policy import NO_OVERRIDES, Overrides, default_policy
from crdt_server.access.threads import thread_of
from crdt_server.access.tokens import SIDES, Claims, TokenRules, TokenVerifier, sign
from crdt_server.app import AccessRequired
from crdt_server.explain import NO_THREADS, NothingToExplain, explain
from crdt_server.files.opening import WrongFileStore
from crdt_server.files.store import FileStoreError
from crdt_server.hub.rights_cache import stored_rights
from crdt_server.key_source import KeyFileError, read_secret
from crdt_server.maintenance import compact_store, verify_store
from crdt_server.member_commands import member
from crdt_server.names import WEDDING
from crdt_server.options import load_settings as _settings
from crdt_server.options import setting_options as _options
from crdt_server.outbox_commands import outbox
from crdt_server.repair import repair_store
from crdt_server.sample import WeddingExists, plant
from crdt_server.schema_commands import schema
from crdt_server.search_commands import search
from crdt_server.serve import serve as run_server
from crdt_server.services.messaging.channels import ChannelSettingsError
from crdt_server.settings import Settings
from crdt_server.workers import WorkersFailed
from documents.derived import find
from documents.sample import FEWEST_GUESTS, MOST_GUESTS
from storage import StorageError, migrate, open_storage

_VERIFY_SETTINGS = (
    *("database_url", "max_document_bytes", "host_memory_bytes", "host_timeout_seconds", "vouched_organizations"),
    *("max_wedding_bytes", "max_wedding_records", "max_wedding_documents", "files"),
)
_REPAIR_SETTINGS = (
    *("database_url", "max_document_bytes", "host_memory_bytes", "host_timeout_seconds", "vouched_organizations"),
    *("event_days", "event_bytes", "removed_record_days"),
)
_CLAIMS = ("wedding", "user", "role", "name", "vendor", "guest", "side", "scope")
FOUND_A_PROBLEM = 1
WRONG_USE = 2


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(package_name="crdt-server")
def cli() -> None:
    """A Yjs sync server for weddings: rooms over WebSocket, stored before they are sent to anyone."""


@cli.command()
@_options(*Settings.model_fields)
def serve(config: str | None, **flags: Any) -> None:
    """Run the server."""
    settings = _settings(config, flags)
    logs.configure(settings.log_level)
    try:
        run_server(settings)
    except (AccessRequired, ChannelSettingsError, KeyFileError, WrongFileStore) as error:
        raise click.UsageError(str(error)) from error
    except SystemExit as error:
        sys.exit(WRONG_USE if error.code else 0)  # the address cannot be listened on; uvicorn has logged it


@cli.command(name="migrate")
@_options("database_url")
def migrate_command(config: str | None, **flags: Any) -> None:
    """Create the database, or bring its schema to the newest."""
    asyncio.run(migrate(_settings(config, flags).database_url))


def _progress(line: str) -> None:
    click.echo(line, err=True)


@cli.command()
@click.argument("wedding", required=False)
@_options(*_VERIFY_SETTINGS)
def verify(wedding: str | None, config: str | None, **flags: Any) -> None:
    """Open every document (of WEDDING) as a client would, and print what cannot be opened, what is full, and what
    exceeds a quota; print the attachments whose files are not there; walk the audit logs, and print what was altered,
    removed or inserted; list the updates in quarantine."""
    try:
        problems = asyncio.run(verify_store(_settings(config, flags), wedding, click.echo, _progress))
    except (WrongFileStore, FileStoreError) as error:
        raise click.UsageError(str(error)) from error
    if problems:
        sys.exit(FOUND_A_PROBLEM)


@cli.command()
@click.argument("wedding", required=False)
@_options("database_url")
def compact(wedding: str | None, config: str | None, **flags: Any) -> None:
    """Merge stored updates (of WEDDING) now. May run beside a serving process."""
    problems = asyncio.run(compact_store(_settings(config, flags), wedding, click.echo))
    if problems:
        sys.exit(FOUND_A_PROBLEM)


@cli.command()
@click.argument("wedding", required=False)
@click.option("--dry-run", is_flag=True, help="Print what would be done, and do nothing")
@_options(*_REPAIR_SETTINGS)
def repair(wedding: str | None, config: str | None, *, dry_run: bool, **flags: Any) -> None:
    """Bring weddings (or WEDDING) back: store the rows that differ from their documents and what the rules write,
    remove what is kept long enough. End a single server before; in a cluster, weddings in use are left alone."""
    problems = asyncio.run(repair_store(_settings(config, flags), wedding, click.echo, dry_run=dry_run))
    if problems:
        sys.exit(FOUND_A_PROBLEM)


@cli.command()
@click.argument("wedding")
@click.option(
    "--guests", type=click.IntRange(FEWEST_GUESTS, MOST_GUESTS), default=250, show_default=True, help="Invited guests"
)
@click.option("--seed", type=int, default=1, show_default=True, help="Another number gives another wedding")
@_options("database_url")
def sample(wedding: str, guests: int, seed: int, config: str | None, **flags: Any) -> None:
    """Put a realistic wedding in as WEDDING, which must have no documents yet."""
    if not WEDDING.fullmatch(wedding):
        raise click.UsageError(f"no name of a wedding: {wedding!r}")
    settings = _settings(config, flags)

    async def put() -> int:
        storage = await open_storage(settings.database_url, migrate=True)
        try:
            return await plant(storage, wedding, guests=guests, seed=seed)
        finally:
            await storage.close()

    try:
        documents = asyncio.run(put())
    except WeddingExists as error:
        click.echo(f"crdt-server: {error}", err=True)
        sys.exit(FOUND_A_PROBLEM)
    click.echo(f"{wedding}: {documents} documents, {guests} guests")


@cli.command(name="explain")
@click.argument("wedding")
@click.argument("user")
@click.argument("document")
@click.argument("field")
@click.option(
    "--role",
    default="",
    help="The role of USER, by the policy alone; without it that of the member in the database, with the overrides, "
    "grants and threads of WEDDING",
)
@click.option("--vendor", default="", help="For roles of vendors: the vendor of the wedding")
@click.option("--guest", default="", help="For guests: the guest of the wedding")
@click.option("--side", default="", type=click.Choice(("", "a", "b")), help="For family: the side of the couple")
@_options("database_url")
def explain_command(
    wedding: str, user: str, document: str, field: str, config: str | None, role: str, **given: Any
) -> None:
    """Print whether USER may read DOCUMENT and write FIELD (`root.key`), and which line of the policy decides."""
    if not WEDDING.fullmatch(wedding):
        raise click.UsageError(f"no name of a wedding: {wedding!r}")
    person = Identity(user, role, **{name: given.pop(name) for name in ("vendor", "guest", "side")})
    overrides: Overrides = NO_OVERRIDES
    until: float | None = None
    threads = NO_THREADS
    if not role:
        rights = asyncio.run(stored_rights(_settings(config, given).database_url, wedding))
        known = rights.member(user)
        if known is None or known.removed:
            raise click.UsageError(f"{user} is no member of {wedding}: set --role")
        person, overrides, threads = Identity(*known[:5]), rights.overrides, rights.threads
        if person.role in GRANTEES and thread_of(document) is None:  # else a grant opens nothing
            until = rights.granted_until(user, document, time.time())
    try:
        for line in explain(default_policy(), person, document, field, overrides, find, threads=threads):
            click.echo(line)
        if until is not None:
            click.echo(f"a grant opens {document}, to be read, until {datetime.fromtimestamp(until, UTC):%F %T} UTC")
    except NothingToExplain as error:
        raise click.UsageError(str(error)) from error


@cli.command()
@click.option("--wedding", required=True, help="The wedding that the token is for")
@click.option("--user", required=True, help="The user id of the person")
@click.option("--role", required=True, type=click.Choice(ROLES), help="The role of the person in the wedding")
@click.option("--name", default="", help="The name that other people see")
@click.option("--vendor", default="", help="For roles of vendors: the vendor of the wedding")
@click.option("--guest", default="", help="For guests: the guest of the wedding")
@click.option("--side", default="", type=click.Choice(SIDES), help="For family: the side of the couple")
@click.option("--scope", default="", help="What it leaves of the rights, as `timeline:write guests:read`; all of them")
@click.option("--ttl", type=click.IntRange(min=1), default=900, show_default=True, help="Seconds until it expires")
@_options("jwt_secret_file", "jwt_issuer", "jwt_audience", "jwt_max_age")
def token(ttl: int, config: str | None, **given: Any) -> None:
    """Print a token, signed with the secret of --jwt-secret-file."""
    claims = Claims(expires_at=time.time() + ttl, **{name: given.pop(name) for name in _CLAIMS})
    settings = _settings(config, given)
    if not settings.jwt_secret_file:
        raise click.UsageError("no secret to sign with: set --jwt-secret-file")
    try:
        secret = read_secret(settings.jwt_secret_file)
    except KeyFileError as error:
        raise click.UsageError(str(error)) from error
    rules = TokenRules(settings.jwt_issuer, settings.jwt_audience, settings.jwt_max_age)
    signed = sign(claims, rules, secret)
    verified = TokenVerifier(KeySet([secret]), rules, time.time).verify(signed, claims.wedding)
    if isinstance(verified, Denied):
        raise click.UsageError(verified.reason)
    click.echo(signed)


cli.add_command(member)
cli.add_command(outbox)
cli.add_command(schema)
cli.add_command(search)


def main() -> None:
    """Entry point of ``crdt-server``."""
    try:
        cli(standalone_mode=False)
    except click.ClickException as error:
        click.echo(f"crdt-server: {' '.join(error.format_message().split())}", err=True)
        sys.exit(WRONG_USE)
    except click.Abort:
        sys.exit(130)
    except (StorageError, WorkersFailed) as error:
        click.echo(f"crdt-server: {error}", err=True)
        sys.exit(WRONG_USE)
