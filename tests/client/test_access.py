"""Tokens, roles and those who are not let in, in Node against a server that admits by tokens."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.client.conftest import Results, cases
from tests.support.server import ServerProcess

SCRIPT = "access.mjs"


@pytest.fixture(scope="module")
def results(run_cases: Callable[..., Results], guarded: ServerProcess) -> Results:
    return run_cases(SCRIPT, guarded.url)


@pytest.mark.parametrize("case", cases(SCRIPT))
def test_access(results: Results, case: str) -> None:
    assert results.get(case, results.get("")) == ""
