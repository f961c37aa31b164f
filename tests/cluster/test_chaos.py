"""A minute of chaos; CHAOS_SECONDS and CHAOS_SEED change it. A long one: see `chaos`."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.cluster.chaos import KINDS, Plan, chaos

SECONDS = float(os.environ.get("CHAOS_SECONDS", "60"))
SEED = int(os.environ.get("CHAOS_SEED", "1"))


@pytest.mark.repeat
@pytest.mark.slow
async def test_a_minute_of_chaos(tmp_path: Path) -> None:
    report = await chaos(Plan(seconds=SECONDS, seed=SEED), tmp_path)
    print(json.dumps(asdict(report), indent=1))
    assert report.broken == []
    assert len(report.acts) == KINDS
    assert report.conflicts
