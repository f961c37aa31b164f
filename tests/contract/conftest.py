from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from storage import Storage, open_storage
from tests.contract.backends import BACKENDS, Backend


@pytest.fixture(params=BACKENDS, ids=lambda backend: backend.name)
def backend(request: pytest.FixtureRequest) -> Backend:
    assert isinstance(request.param, Backend)
    return request.param


@pytest.fixture
def url(backend: Backend, tmp_path: Path) -> str:
    return backend.url(tmp_path)


@pytest.fixture
async def store(url: str) -> AsyncIterator[Storage]:
    opened = await open_storage(url, migrate=True)
    yield opened
    await opened.close()
