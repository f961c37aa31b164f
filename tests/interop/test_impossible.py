"""What a document host accepts of impossible updates, a stock Yjs client can apply: nobody's browser throws."""

from __future__ import annotations

import base64
import json
import multiprocessing
import shutil
import subprocess
from pathlib import Path
from random import Random
from typing import Any

import pytest

from crdt_server.judge.document import Document
from tests.judge.impossible import impossible_update
from tests.protocol.corpus import real_updates
from tests.protocol.grammar import damaged, random_update
from tests.support.effort import examples

HERE = Path(__file__).parent
SEEDS = examples(200, 60)

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="needs Node")


def accepted(seed: int) -> dict[str, Any]:
    """A document's rows and clocks after a few dozen updates of the worst kinds."""
    real = [update for update in real_updates() if len(update) < 3000]
    random = Random(seed)
    document = Document(1 << 20)
    rows: list[bytes] = []
    for _ in range(random.randrange(3, 30)):
        match random.randrange(5):
            case 0:
                update = random_update(random)
            case 1:
                update = damaged(random, random.choice(real), real)
            case _:
                update = impossible_update(random, document.clocks)
        document.apply([(update, None)], lambda _: None)
        rows += document.take_outgoing()
    return {"seed": seed, "rows": [base64.b64encode(row).decode() for row in rows], "clocks": document.clocks}


def test_a_stock_client_applies_what_is_accepted() -> None:
    # In processes of their own: some of it may kill pycrdt, which is what hosts are for.
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=20) as pool:
        pending = [pool.apply_async(accepted, (seed,)) for seed in range(SEEDS)]
        documents = [result.get(timeout=60) for result in pending]
    lines = "\n".join(json.dumps(document) for document in documents)
    done = subprocess.run(
        ["node", HERE / "apply.mjs"], input=lines, capture_output=True, text=True, timeout=60, check=True
    )
    assert json.loads(done.stdout.splitlines()[-1]) == []
