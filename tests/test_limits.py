"""`crdt_server/LIMITS.md` names every way in and every setting that is a bound; its codes, metrics and tests exist."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.routing import Route, Router, WebSocketRoute

from crdt_server.app import create_app
from crdt_server.errors import CLOSE_CODES
from crdt_server.hub.hub import Hub
from crdt_server.metrics import Metrics
from crdt_server.settings import Settings
from storage import open_storage
from tests.support.databases import sqlite_database

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "crdt_server" / "LIMITS.md").read_text()
COLUMNS = 6  # way in, what it costs, bound, at the bound, metric, test
NAMES = {"port", "listen_fd", "probes_port", "probes_fd"}  # numbers that bound nothing
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "WS")


def rows() -> Iterator[list[str]]:
    """The cells of every row of the page's tables of ways in."""
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if line.startswith("| ") and not line.startswith("| way in |") and not line.startswith("| setting |"):
            yield cells


ROWS = list(rows())


def quoted(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def routes(routing: Router) -> Iterator[str]:
    """Method and path of everything that is answered, that of included routers too."""
    for route in routing.routes:
        included = getattr(route, "original_router", None)
        if included is not None:
            yield from routes(included)
        elif isinstance(route, WebSocketRoute):
            yield f"WS {route.path}"
        elif isinstance(route, Route):
            yield from (f"{method} {route.path}" for method in (route.methods or ()) if method != "HEAD")


def test_every_row_is_complete() -> None:
    assert [row for row in ROWS if len(row) != COLUMNS or not all(row)] == []


def test_every_route_has_a_row_and_every_row_a_route() -> None:
    named = {name for row in ROWS for name in quoted(row[0]) if name.split()[0] in METHODS}
    assert named == set(routes(create_app(Settings(dev=True)).router))


def test_every_setting_that_is_a_bound_is_named() -> None:
    numbers = {name for name, field in Settings.model_fields.items() if field.annotation in (int, float)}
    assert numbers - NAMES - set(quoted(PAGE)) == set()


def constants() -> list[str]:
    return sorted({name for name in quoted(PAGE) if re.fullmatch(r"[a-z_.]+\.[A-Z][A-Z_]+", name)})


@pytest.mark.parametrize("name", constants())
def test_every_constant_exists(name: str) -> None:
    module, _, constant = name.rpartition(".")
    package = module if module.startswith(("documents", "storage")) else f"crdt_server.{module}"
    assert hasattr(importlib.import_module(package), constant)


def test_every_close_code_is_one_of_the_server() -> None:
    codes = {int(code) for row in ROWS for code in re.findall(r"\b(?:1009|1013|4[45][0-9]{2})\b", row[3])}
    assert codes <= set(CLOSE_CODES.values())


async def test_every_metric_exists(tmp_path: Path) -> None:
    metrics = Metrics()
    storage = await open_storage(sqlite_database(tmp_path), migrate=True)
    try:
        Hub(Settings(dev=True), storage, metrics)
    finally:
        await storage.close()
    exported = {family.name for family in text_string_to_metric_families(metrics.render().decode())}
    assert {name for row in ROWS for name in quoted(row[4])} - exported == set()


def test_every_test_exists() -> None:
    missing = []
    for name in sorted({name for row in ROWS for name in quoted(row[5])}):
        path, _, function = name.partition("::")
        file = ROOT / "tests" / path
        if not file.exists() or (function and not re.search(rf"def {function}\b", file.read_text())):
            missing.append(name)
    assert not missing
