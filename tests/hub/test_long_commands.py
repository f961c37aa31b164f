"""Commands that are written over many batches: all of each or nothing, whatever happens in between."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Sequence

from crdt_server.access.identity import Identity
from crdt_server.hosts.batch import BatchEntry
from crdt_server.hub.commands import carry_out
from crdt_server.hub.hub import Hub
from crdt_server.operations import Operation
from crdt_server.pipe import BatchResponse
from tests.hub.test_weddings import Guide, read_rows

ADA, HOME = Identity("ada", "couple"), "192.0.2.1"
GUESTS, WRITTEN_IN = 600, 3
NAMES = [f"g_{n}" for n in range(GUESTS)]
PARTS = [
    ("guests", [Operation(op="insert", root="guests", record=name, value={"firstName": name}) for name in NAMES]),
    ("seating", [Operation(op="insert", root="tables", record=f"t_{n}", value={"label": "5"}) for n in range(GUESTS)]),
]


def in_the_middle(hub: Hub, act: Callable[[], None]) -> list[bool]:
    """Have something done once, before the third batch in which a command is being written. Returns whether there was
    one, for each batch from then on."""
    dispatcher = hub.hosts.dispatchers[0]
    send, written = dispatcher.request, list[bool]()

    async def sent(entries: Sequence[BatchEntry], forget: Sequence[int] = ()) -> BatchResponse:
        written.append(dispatcher._begun is not None)
        if written[-1]:  # what its wedding would not take is not sent: it may be large, and has the turn of others
            assert [entry.room.document for entry in entries if entry.room.wedding == "w" and not entry.is_own] == [
                "guests"
            ]
        if written.count(True) == WRITTEN_IN and written[-1]:
            act()
        return await send(entries, forget)

    dispatcher.request = sent  # type: ignore[method-assign]
    return written


async def guide_of(hub: Hub) -> Guide:
    guide = Guide(hub, 3)
    await guide.is_synced()
    guide.put("g_first")
    await guide.knows("g_first")
    return guide


async def test_a_host_that_dies_in_the_middle_leaves_nothing_and_the_command_is_done_once(hub: Hub) -> None:
    guide = await guide_of(hub)
    supervisor, seen = hub.hosts.dispatchers[0].supervisor, list[int]()

    def kill() -> None:
        seen.append(len(guide.guests))
        os.kill(supervisor.pid or 0, signal.SIGKILL)

    in_the_middle(hub, kill)
    before = len(guide.received)
    await carry_out(hub, "w", ADA, HOME, PARTS)
    assert seen == [1]
    assert supervisor.restarts == 1
    await guide.knows("g_first", *NAMES)
    assert len(guide.received) == before + 1  # all at once
    assert len((await read_rows(hub))["guests"]) == GUESTS + 1
    assert len((await read_rows(hub, "seating"))["tables"]) == GUESTS


async def test_it_is_finished_when_its_sender_has_left_and_others_go_on(hub: Hub) -> None:
    guide, other = await guide_of(hub), Guide(hub, 4, wedding="v")
    await other.is_synced()
    edits = 0

    def leave_and_edit() -> None:
        nonlocal edits
        edits += 1
        task.cancel()
        guide.put("g_meanwhile")
        other.put("g_1")

    written = in_the_middle(hub, leave_and_edit)
    task = asyncio.ensure_future(carry_out(hub, "w", ADA, HOME, PARTS))
    await asyncio.wait((task,))
    await other.knows("g_1")
    assert written[-1], "the other wedding has waited for its end"
    await guide.knows("g_first", "g_meanwhile", *NAMES)
    assert (task.cancelled(), edits) == (True, 1)
    assert len((await read_rows(hub, "seating"))["tables"]) == GUESTS
