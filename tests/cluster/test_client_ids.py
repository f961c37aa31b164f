"""A client id that presence shows at one node is not for others, at whatever node they write."""

from __future__ import annotations

import pytest

from crdt_server.cluster.presence import RoomPresence
from storage import DocumentKey
from tests.cluster.conftest import Nodes
from tests.hub.test_client_ids import NOTE, TAKEN, VICTIM, Somebody

PLACES = [(0, 1, "notes.a"), (1, 0, "notes.a"), (1, 1, "guests"), (1, 2, "notes.a")]
"""Of the victim and of the thief; the first node owns the wedding."""


@pytest.mark.parametrize(("here", "there", "document"), PLACES)
async def test_whoever_copies_a_client_id_is_too_late(nodes: Nodes, here: int, there: int, document: str) -> None:
    await nodes.start()
    await nodes.all[0].person(1).is_synced()
    for _ in range(max(here, there)):
        await nodes.start()
    victim = Somebody(nodes.all[here].hub, "ada", document=document)
    thief = Somebody(nodes.all[there].hub, "eve", document=document)
    await victim.is_synced()
    await thief.is_synced()
    assert nodes.all[0].owns()
    victim.show()
    await thief.learns(VICTIM, "ada")
    thief.show()
    thief.write_guest()
    assert (await thief.outcome() or (0,))[0] == TAKEN[0]
    victim.write_guest()
    await victim.is_saved()
    assert await nodes.storage.owners(DocumentKey("w", document)) == {VICTIM: "ada"}


async def test_the_owner_learns_of_it_ahead_of_any_request(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Presence between the nodes may be late: it does not pass through the owner."""
    monkeypatch.setattr(RoomPresence, "share", lambda *_: None)
    one, two = await nodes.pair()
    await one.person(1).is_synced()
    victim, thief = Somebody(two.hub, "ada"), Somebody(two.hub, "eve")
    await victim.is_synced()
    victim.show()
    await thief.learns(VICTIM, "ada")
    thief.type("x")
    assert await thief.outcome() == TAKEN
    victim.type("abc")
    await victim.is_saved()


async def test_the_next_owner_has_the_claims_of_presence(nodes: Nodes) -> None:
    one, two, three = [await nodes.start() for _ in range(3)]
    await one.person(1).is_synced()
    victim, thief = Somebody(two.hub, "ada"), Somebody(three.hub, "eve")
    await victim.is_synced()
    await thief.is_synced()
    victim.show()
    await thief.learns(VICTIM, "ada")
    one.die()
    thief.type("x")
    assert await thief.outcome() == TAKEN
    victim.type("abc")
    await victim.is_saved()
    assert await nodes.storage.owners(NOTE) == {VICTIM: "ada"}
