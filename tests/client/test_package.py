"""Every word of the client package, its copies on the device and its hooks for React, in Node against one server."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.client.conftest import Results, cases

SCRIPTS = ("words.mjs", "offline.mjs", "react.mjs")


@pytest.fixture(scope="module")
def results(run_cases: Callable[..., Results], server_url: str) -> dict[str, Results]:
    return {script: run_cases(script, server_url) for script in SCRIPTS}


@pytest.mark.parametrize(("script", "case"), [(script, case) for script in SCRIPTS for case in cases(script)])
def test_package(results: dict[str, Results], script: str, case: str) -> None:
    assert results[script].get(case, results[script].get("")) == ""
