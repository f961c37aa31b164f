"""The client package in an application outside this tree, installed as the quickstart says."""

from __future__ import annotations

import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

QUICKSTART = "docs/quickstart.md"
BESIDE = ("yjs", "lib0", "isomorphic.js", "y-websocket", "y-protocols", "y-indexeddb", "ws", "react")
PROGRAM = """
import * as Y from 'yjs'
import { openWedding } from 'crdt-server-client'
import 'crdt-server-client/react'
import WebSocket from 'ws'

const open = (user) => openWedding(process.argv[2], { wedding: 'installed', WebSocket, dev: { user, role: 'couple' } })
const [ann] = [await open('u_ann'), await open('u_chloe')] // a dozen documents
const { doc } = await ann.note('menu')
console.log(doc instanceof Y.Doc)
await new Promise(setImmediate) // warnings are printed later
process.exit(0)
"""


@pytest.fixture(scope="module")
def application(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package and its dependencies. A link into this tree would bring a second Yjs."""
    (pattern,) = re.findall(r"`npm install /path/to/crdt-server/(\S+\.tgz) ", (root / QUICKSTART).read_text())
    subprocess.run(["make", "client"], cwd=root, check=True, capture_output=True, timeout=120)
    (packed,) = root.glob(pattern)
    folder = tmp_path_factory.mktemp("application")
    with tarfile.open(packed) as archive:
        archive.extractall(folder, filter="data")
    (folder / "node_modules").mkdir()
    (folder / "package").rename(folder / "node_modules" / "crdt-server-client")
    for name in BESIDE:
        shutil.copytree(root / "node_modules" / name, folder / "node_modules" / name)
    return folder


def test_it_shares_its_yjs_with_the_application_and_warns_of_nothing(application: Path, server_url: str) -> None:
    (application / "main.mjs").write_text(PROGRAM)
    command = ["node", "main.mjs", server_url]
    done = subprocess.run(command, cwd=application, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("true\n", "")
