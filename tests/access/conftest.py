"""Settings of a server that is asked much by few."""

from __future__ import annotations

import pytest

from crdt_server import Settings
from tests.support.databases import sqlite_database


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """One document host, a store of its own, and no limit on what a person or an address sends."""
    return Settings(
        port=0,
        database_url=sqlite_database(tmp_path_factory.mktemp("server")),
        document_hosts=1,
        role_limits="none",
        requests_per_second=0,
        requests_per_address=0,
        handshakes_per_second=0,
        max_strikes=0,
    )
