"""Nodes whose clocks are an hour apart: neither owners nor the order of edits nor due times may depend on them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from storage import open_storage
from tests.cluster.conftest import logged, until
from tests.cluster.crowd import Crowd
from tests.cluster.field import Field, Node
from tests.support.effort import EVERYTHING

HOUR = 3600
CHANGES = 4 if EVERYTHING else 2  # a kill and a stop
SECONDS = 60.0


async def _change_owner(field: Field, wedding: str, *, kill: bool) -> None:
    """The owner dies and comes again, or stands still until another has the wedding."""
    owner = await _owner(field, wedding)
    if kill:
        owner.kill9()
    else:
        owner.stop()
    await logged(lambda: field.owner(wedding) is not owner, SECONDS)
    if kill:
        await owner.begin()
    else:
        owner.wake()


async def _owner(field: Field, wedding: str) -> Node:
    await logged(lambda: field.owner(wedding) is not None, SECONDS)
    owner = field.owner(wedding)
    assert owner is not None
    return owner


@pytest.mark.slow
async def test_owners_change_between_clocks_that_are_hours_apart(tmp_path: Path) -> None:
    async with Field(tmp_path, skews=(HOUR, 0, -HOUR)) as field:
        storage = await open_storage(field.database_url)
        crowd = Crowd([node.port for node in field.nodes], weddings=1, clients=6, seed=1, pace_seconds=0.2)
        async with crowd.connected():
            crowd.start_writing()
            for change in range(CHANGES):
                before = crowd.written
                await _change_owner(field, "w0", kill=change % 2 == 0)
                await until(lambda before=before: crowd.written > before + len(crowd.clients), SECONDS)  # type: ignore[misc]
            await crowd.stop_writing()
            assert await crowd.converged(storage) == []
        assert crowd.conflicts
        assert field.broken() == []
        times = [datetime.fromisoformat(event.at).timestamp() for event in await storage.events("w0")]
        assert max(times) - min(times) > HOUR / 2, "the clocks were not wrong"
        await storage.close()
