"""What the router reads and writes: each statement finds its rows by an index, however long the tables are."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy import Engine, event

from crdt_server.messaging import PROJECTIONS
from storage.tables import metadata
from tests.services.messaging.conftest import AT, World

pytestmark = pytest.mark.asyncio(loop_scope="module")

MESSAGE = {"from": "aroha", "at": "2026-06-01T12:00:00Z", "kind": "text", "body": "Hello @Pia"}
EMERGENCY = {"kind": "power", "text": "dark", "severity": "error"}


async def test_no_statement_of_the_router_goes_through_a_table(world: World) -> None:
    if not world.url.startswith("sqlite"):
        pytest.skip("plans of PostgreSQL follow from the sizes of tables")
    await world.begin("plans")
    for user in ("aroha", "pia", "flo"):
        await world.put("participants", thread="t_1", user=user, added_by="aroha", at=AT, muted=False)
    await world.put("webhooks", id="wh_1", url="https://x", types="[]", secrets="[]", by="ben", at=AT, reason="")
    await world.settle()
    item = {"title": "Arch", "start": 900, "duration": 30, "vendor:v_flowers": True, "visibility": "team"}
    await world.edit("timeline", "items", "i_1", item)
    await world.edit("timeline", "items", "i_1", {"start": 945})
    await world.edit("timeline", "emergencies", "e_1", EMERGENCY)
    for id_ in ("01JY3Z8Q7M4T2V6W8X9Y000001", "01JY3Z8Q7M4T2V6W8X9Y000002"):
        await world.edit("thread.t_1", "messages", id_, MESSAGE)
    await world.edit("thread.t_1", "redactions", id_, {"at": "2026-06-01T12:00:00Z", "by": "aroha"})
    statements: dict[str, Any] = {}

    def see(connection: object, cursor: object, statement: str, parameters: Any, *rest: object) -> None:
        statements[statement] = parameters[0] if isinstance(parameters, list) else parameters

    event.listen(Engine, "before_cursor_execute", see)
    try:
        await world.router(projections=PROJECTIONS).route_all()
    finally:
        event.remove(Engine, "before_cursor_execute", see)
    assert any("FROM events" in each for each in statements)
    assert any("INTO inbox" in each for each in statements)
    with closing(sqlite3.connect(world.url.partition(":///")[2])) as database:
        found = [
            (step[3], statement)
            for statement, parameters in statements.items()
            if statement.lstrip().upper().startswith(("SELECT", "WITH", "UPDATE", "DELETE", "INSERT"))
            for step in database.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
        ]
    scans = [each for each in found if each[0].startswith("SCAN ") and each[0].split()[1] in metadata.tables]
    # To find the newest event of a wedding takes one step; everything else has to be by the number or the record.
    whole = [each for each in found if "events" in each[0] and each[0].endswith("(wedding=?)") and "MAX" not in each[1]]
    assert scans + whole == []
