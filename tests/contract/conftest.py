from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from storage import Storage, open_storage
from tests.contract.backends import BACKENDS, Backend, Database


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Backend:
    assert isinstance(request.param, Backend)
    return request.param


@pytest.fixture
def database(backend: Backend, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Database]:
    with backend.database(tmp_path, "store" in request.fixturenames) as fresh:
        yield fresh


@pytest.fixture
def url(database: Database) -> str:
    return database.url


@pytest.fixture
async def store(url: str) -> AsyncIterator[Storage]:
    opened = await open_storage(url, migrate=True)
    yield opened
    await opened.close()
