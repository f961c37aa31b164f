"""`pip install .`, without extras and without what tests bring, is a server that serves."""

from __future__ import annotations

import re
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import httpx
from packaging.requirements import Requirement

from tests.support.server import ServerProcess

PROJECT = "crdt-server"

# Python reads `sitecustomize` when it starts, in the document hosts as well.
HIDE = """
import sys

HIDDEN = {hidden!r}

class Hidden:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in HIDDEN:
            raise ModuleNotFoundError(f"{{name}} is not installed", name=name)

sys.meta_path.insert(0, Hidden)
"""


def normalized(distribution: str) -> str:
    """The name of a distribution, as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def installed_with(distribution: str, extras: frozenset[str], found: set[tuple[str, frozenset[str]]]) -> set[str]:
    """The distribution, and all that pip installs because of it."""
    if (distribution, extras) not in found:
        found.add((distribution, extras))
        for each in map(Requirement, requires(distribution) or ()):
            if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in extras | {""}):
                installed_with(normalized(each.name), frozenset(each.extras), found)
    return {name for name, _ in found}


def hidden_modules() -> set[str]:
    """What is installed here, and would not be by `pip install .`."""
    plain = installed_with(PROJECT, frozenset(), set())
    return {name for name, owners in packages_distributions().items() if plain.isdisjoint(map(normalized, owners))}


def test_a_plain_install_serves(tmp_path: Path) -> None:
    hidden = hidden_modules()
    assert {"pytest", "httpx", "redis", "asyncpg"} <= hidden
    assert {"uvicorn", "websockets", "pycrdt"}.isdisjoint(hidden)
    (tmp_path / "sitecustomize.py").write_text(HIDE.format(hidden=hidden))
    server = ServerProcess(tmp_path, env={"PYTHONPATH": str(tmp_path)})
    server.start()
    try:
        answer = httpx.get(f"{server.url}/api/weddings/demo/documents/guests", trust_env=False, timeout=60)
        assert answer.status_code == 200, answer.text
    finally:
        server.kill9()
        server.close()
