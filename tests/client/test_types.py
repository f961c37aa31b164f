"""The types of the client package are those of `documents/`, and its sources pass the strict compiler."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from crdt_server.cli import cli
from documents.kind import Root
from documents.registry import KINDS
from documents.sample import sample_wedding

PACKAGE = Path("clients/javascript")
MOST_LINES = 400
ROOTS = {(kind.name, root.name): root for kind in KINDS for root in kind.roots.values()}


def printed(option: str) -> str:
    done = CliRunner().invoke(cli, ["schema", option])
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture(scope="module")
def schema() -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = json.loads(printed("--json-schema"))
    return found


def test_the_generated_types_are_those_of_the_documents(root: Path) -> None:
    kept = (root / PACKAGE / "src" / "schema.ts").read_text()
    assert kept == printed("--typescript"), "run: crdt-server schema --typescript > clients/javascript/src/schema.ts"


def test_the_schema_wants_a_language() -> None:
    assert CliRunner().invoke(cli, ["schema"]).exit_code == 2


def test_the_sources_pass_the_strict_compiler(root: Path) -> None:
    command = ["node_modules/.bin/tsc", "-p", str(PACKAGE)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout == ""


def test_no_source_outgrows_the_files_of_the_house(root: Path) -> None:
    sizes = {path.name: len(path.read_text().splitlines()) for path in (root / PACKAGE / "src").glob("*.ts")}
    del sizes["schema.ts"]  # generated
    assert {name: lines for name, lines in sizes.items() if lines > MOST_LINES} == {}


def test_each_field_has_a_schema_with_its_limits(schema: dict[str, dict[str, object]]) -> None:
    guest = schema["$defs"]["Guest"]
    assert isinstance(guest, dict)
    assert guest["properties"]["firstName"] == {
        "description": "First name, or the only one.",
        "type": "string",
        "maxLength": 120,
    }
    assert guest["properties"]["side"]["enum"] == ["a", "b", "both"]
    for kind in KINDS:
        for name, root in kind.roots.items():
            if root.record is not None:
                record = schema["$defs"][root.record.__name__]
                assert isinstance(record, dict)
                assert set(root.keys) <= set(record["properties"]), (kind.name, name)


def _patterns(root: Root, schema: dict[str, dict[str, object]]) -> dict[str, object]:
    assert root.record is not None
    record = schema["$defs"][root.record.__name__]
    assert isinstance(record, dict)
    return {**record["properties"], **record.get("patternProperties", {})}


def _is_named(key: str, names: dict[str, object]) -> bool:
    return key in names or any(re.search(each, key) for each in names if each.startswith("^"))


def test_every_key_of_the_sample_wedding_is_in_the_schema(schema: dict[str, dict[str, object]]) -> None:
    rows = sample_wedding().documents
    for document, roots in rows.items():
        for name, records in roots.items():
            root = ROOTS.get((document.partition(".")[0], name))
            if root is None or root.record is None:
                continue
            names = _patterns(root, schema)
            for row in records.values():
                assert [key for key in row if not _is_named(key, names)] == [], (document, name)
