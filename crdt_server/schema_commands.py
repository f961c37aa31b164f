"""`crdt-server schema`: the kinds of documents for programs in other languages."""

from __future__ import annotations

import json

import click

from documents.json_schema import json_schema_document
from documents.typescript import typescript_source


@click.command()
@click.option("--typescript", "language", flag_value="typescript", help="Types, limits and lists of words")
@click.option("--json-schema", "language", flag_value="json-schema", help="JSON Schema, draft 2020-12")
def schema(language: str | None) -> None:
    """Print the kinds of documents, their fields and limits, as one file."""
    if language is None:
        raise click.UsageError("set --typescript or --json-schema")
    if language == "typescript":
        click.echo(typescript_source(), nl=False)
    else:
        click.echo(json.dumps(json_schema_document(), indent=2, ensure_ascii=False))
