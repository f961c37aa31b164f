"""A hub with one document host, in the event loop of the test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from crdt_server.hub.hub import Hub
from crdt_server.settings import Settings
from storage import Storage, open_storage
from tests.support.hosts import make_hub


@pytest.fixture
async def storage(database_url: str) -> AsyncIterator[Storage]:
    storage = await open_storage(database_url, migrate=True)
    yield storage
    await storage.close()


@pytest.fixture
async def hub(storage: Storage) -> AsyncIterator[Hub]:
    hub = make_hub(Settings(dev=True, document_hosts=1, max_strikes=0), storage)
    await hub.start()
    yield hub
    await hub.stop()
