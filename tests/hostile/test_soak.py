"""A short hostile soak: `make test PYTEST_ARGS='-m soak'`; HOSTILE_SECONDS and HOSTILE_SEED change it.

What the machine decides (latency, stalls) is printed, not judged: `python -m tests.hostile.soak --strict` judges it.
"""

import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.hostile.soak import Plan, soak
from tests.hostile.token_flood import flood

SECONDS = float(os.environ.get("HOSTILE_SECONDS", "20"))
SEED = int(os.environ.get("HOSTILE_SEED", "1"))

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(shutil.which("node") is None, reason="the honest clients are stock Yjs: needs Node"),
]


@pytest.mark.parametrize(
    "plan",
    [
        pytest.param(Plan(SECONDS, SEED, killer_seconds=4), id="never-shut-out"),
        pytest.param(Plan(SECONDS / 2, SEED, max_strikes=10, killer_seconds=1), id="shut-out-by-default"),
    ],
)
async def test_honest_clients_live_among_attackers(plan: Plan, tmp_path: Path) -> None:
    report = await soak(plan, tmp_path)
    print(json.dumps(vars(report), indent=1))
    print("slow:", report.slow())
    assert report.broken() == []


async def test_forged_tokens_let_nobody_in(tmp_path: Path) -> None:
    found = await flood(int(100 * SECONDS), SEED, tmp_path)
    print(json.dumps(asdict(found), indent=1))
    assert found.admitted == []
