"""The README of the client package: its snippets run, one after the other, and print what it says."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "clients" / "javascript" / "README.md").read_text()
PRELUDE = """\
import 'fake-indexeddb/auto'
import WebSocket from 'ws'
globalThis.WebSocket ??= WebSocket
"""
SNIPPET = re.compile(r"^```js\n(.*?)^```\n(?:```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)
COMPONENT = re.compile(r"^```jsx\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = "\u0000"


@pytest.fixture(scope="module")
def printed(client_package: Path, server_url: str) -> list[str]:
    """What each snippet prints."""
    parts = [f"{code}\nconsole.log('{MARK}')\n" for code, _ in SNIPPET.findall(README)]
    program = (PRELUDE + "".join(parts)).replace("http://127.0.0.1:8000", server_url)
    script = client_package.with_name("readme.mjs")
    script.write_text(program.replace("'crdt-server-client'", f"'{client_package.as_uri()}'") + "\nprocess.exit(0)\n")
    done = subprocess.run(["node", script], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split(MARK + "\n")[:-1]


def test_every_snippet_runs_and_prints_what_it_says(printed: list[str]) -> None:
    snippets = SNIPPET.findall(README)
    assert len(snippets) > 12
    # What subscribers print comes between: the lines that are promised come in their order.
    for (_, text), lines in zip(snippets, printed, strict=True):
        assert all(line in lines.splitlines() for line in text.splitlines()), lines


def test_the_component_is_built(client_package: Path, tmp_path: Path) -> None:
    (component,) = COMPONENT.findall(README)
    source = client_package.with_name("component.jsx")
    source.write_text(component.replace("crdt-server-client/react", "./react.mjs"))
    command = [
        *("node_modules/.bin/esbuild", str(source), "--bundle", "--packages=external", "--format=esm"),
        *("--jsx=automatic", f"--outfile={tmp_path / 'component.mjs'}", "--log-level=warning"),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_word_of_the_types_is_in_the_readme() -> None:
    types = (ROOT / "clients" / "javascript" / "src" / "types.ts").read_text()
    words: set[str] = set()
    for name in ("Wedding", "Collection<T>", "Timeline", "Budget", "Seating", "Threads"):
        head = rf"^export interface {re.escape(name)}(?: extends [^{{]+)? "
        (body,) = re.findall(head + r"\{\n(.*?)^\}", types, re.M | re.S)
        words |= set(re.findall(r"^  (?:readonly )?(\w+)[(<:]", body, re.M))
    # Explained in the types.
    known = {"name", "person", "now", "reject", "unvoid", "unlock", "voids", "payments", "text"}
    assert {word for word in words - known if not re.search(rf"\b{word}\b", README)} == set()
