"""A document with one guest, and the index of it."""

from __future__ import annotations

from typing import Any

import pytest
from pycrdt import Doc, Map, Text

from tests.judge.indexed import Server, alone, guests_of


@pytest.fixture
def origin() -> Doc[Any]:
    doc = alone(5)
    guests_of(doc)["g1"] = Map({"name": "Ann", "note": Text("x")})
    return doc


@pytest.fixture
def server(origin: Doc[Any]) -> Server:
    server = Server()
    server.integrate(origin.get_update(), "eve")
    return server
