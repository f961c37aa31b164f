"""Client ids of others, in notes: nobody writes under them, and whoever is too late is told so (issue 12, line 12)."""

from __future__ import annotations

from crdt_server.access.identity import Identity
from crdt_server.errors import CLOSE_CODES
from crdt_server.hub.hub import Hub
from crdt_server.settings import Settings
from storage import DocumentKey, Storage
from tests.rooms.person import Person
from tests.support.codec import encode_update
from tests.support.hosts import make_hub

TAKEN = (CLOSE_CODES["violation"], "client_id_taken")
VICTIM = 4711
NOTE = DocumentKey("w", "notes.a")


class Somebody(Person):
    """With a name, and the client id of whom they like."""

    def __init__(self, hub: Hub, user: str, client_id: int = VICTIM) -> None:
        self._user = user
        super().__init__(hub, NOTE.document, client_id)

    def enter(self) -> None:
        self.identity = Identity(self._user, "couple")
        super().enter()

    async def is_saved(self) -> None:
        await self.socket.until(lambda: self.read() or self.saved)
        assert self.socket.closed is None

    async def is_closed(self) -> tuple[int, str] | None:
        await self.socket.until(lambda: self.read() or self.socket.closed is not None)
        return self.socket.closed


async def start(storage: Storage) -> Hub:
    hub = make_hub(Settings(dev=True, document_hosts=1, host_timeout_seconds=60), storage)
    await hub.start()
    return hub


async def test_what_is_written_under_a_client_id_that_was_taken_is_never_receipted(storage: Storage) -> None:
    hub = await start(storage)
    try:
        victim, thief = Somebody(hub, "ada"), Somebody(hub, "eve")
        await victim.is_synced()
        await thief.is_synced()
        thief.type("zzz")
        await thief.is_saved()
        mine = victim.replica.type("abc")
        victim.send(encode_update(mine))
        assert await victim.is_closed() == TAKEN
        assert mine not in victim.received
        assert "abc" in str(victim.replica)  # the text is there still
        assert hub.strikes._strikes._strikes == {}
        again = Somebody(hub, "ada", VICTIM + 1)
        await again.is_synced()
        again.type("abc")
        await again.is_saved()
    finally:
        await hub.stop()


async def test_nobody_goes_on_under_the_client_id_of_another_also_after_a_restart(storage: Storage) -> None:
    hub = await start(storage)
    victim = Somebody(hub, "ada")
    victim.type("abc")
    await victim.is_saved()
    assert await storage.owners(NOTE) == {VICTIM: "ada"}
    stolen = Somebody(hub, "eve")
    await stolen.sees("abc")
    stolen.type("!")
    assert await stolen.is_closed() == TAKEN
    await hub.stop()
    hub = await start(storage)
    try:
        thief = Somebody(hub, "eve")
        await thief.sees("abc")
        thief.type("?")
        assert await thief.is_closed() == TAKEN
        victim.hub = hub
        victim.enter()
        victim.type("d")
        await victim.is_saved()
    finally:
        await hub.stop()


async def test_an_edit_that_comes_twice_is_receipted_twice(storage: Storage) -> None:
    hub = await start(storage)
    try:
        person = Somebody(hub, "ada")
        await person.is_synced()
        update = person.type("abc")
        await person.is_saved()
        count = len(person.received)
        person.send(encode_update(update))
        await person.echoed(count + 1)
        assert person.received[-1] == update
    finally:
        await hub.stop()
