"""Client ids of others, in notes: nobody writes under them, and whoever is too late gets a reason.

That of a client belongs to its person from the moment that presence shows it, before anything is written under it.
"""

from __future__ import annotations

import os
import signal

import pytest
from pycrdt import Map

from crdt_server.access.identity import Identity
from crdt_server.errors import CLOSE_CODES
from crdt_server.hub.hub import Hub
from crdt_server.settings import Settings
from storage import DocumentKey, Storage
from tests.rooms.person import Person
from tests.support.codec import encode_update
from tests.support.hosts import make_hub
from tests.support.wire import presence

TAKEN = (CLOSE_CODES["violation"], "client_id_taken")
VICTIM = 4711
NOTE = DocumentKey("w", "notes.a")


class Somebody(Person):
    """With a name, an address, and the client id of whom they like."""

    def __init__(self, hub: Hub, user: str, client_id: int = VICTIM, document: str = NOTE.document) -> None:
        self._user = user
        self._clock = 0
        super().__init__(hub, document, client_id)

    def enter(self) -> None:
        self.identity = Identity(self._user, "couple")
        super().enter()

    @property
    def address(self) -> str:
        return f"192.0.2.{len(self._user)}"

    def show(self) -> None:
        """Send the presence of the client id."""
        self._clock += 1
        self.send(presence(self.replica.client_id, self._clock, {"user": {"name": self._user}}))

    async def learns(self, client: int, user: str) -> None:
        """Wait until presence shows this client id as that user's."""

        def shown() -> bool:
            held = self.room.presence.awareness.states.clients.get(client)
            return held is not None and held.user == user and b'"name": "%s"' % user.encode() in self.frames

        await self.socket.until(lambda: self.read() or shown())

    @property
    def frames(self) -> bytes:
        return b"".join(self.socket.arrived)

    def write_guest(self) -> None:
        before = self.replica.state_vector
        self.replica.doc.get("guests", type=Map)[f"g_{self._user}"] = Map({"firstName": self._user})
        self.send(encode_update(self.replica.doc.get_update(before)))

    async def is_saved(self) -> None:
        await self.socket.until(lambda: self.read() or self.saved)
        assert self.socket.closed is None

    async def is_closed(self) -> tuple[int, str] | None:
        await self.socket.until(lambda: self.read() or self.socket.closed is not None)
        return self.socket.closed

    async def outcome(self) -> tuple[int, str] | None:
        """Wait until what was written, the first under its client id, is stored (None) or has closed the socket."""
        await self.socket.until(lambda: self.read() or self.socket.closed is not None or self.receipted > 0)
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
        assert hub.strikes._of_persons._strikes == {}
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


@pytest.mark.parametrize("document", ["notes.a", "guests"])
async def test_a_client_id_that_presence_shows_is_not_for_others(storage: Storage, document: str) -> None:
    hub = await start(storage)
    try:
        victim, thief = (Somebody(hub, user, document=document) for user in ("ada", "eve"))
        await victim.is_synced()
        await thief.is_synced()
        victim.show()
        await thief.learns(VICTIM, "ada")
        thief.write_guest()
        assert (await thief.outcome() or (0,))[0] == CLOSE_CODES["violation"]
        victim.write_guest()
        await victim.is_saved()
        assert await storage.owners(DocumentKey("w", document)) == {VICTIM: "ada"}
    finally:
        await hub.stop()


async def test_the_first_who_shows_a_client_id_has_it_also_when_the_host_is_replaced(storage: Storage) -> None:
    hub = await start(storage)
    try:
        victim, copier, thief = Somebody(hub, "ada"), Somebody(hub, "eve"), Somebody(hub, "eve")
        victim.show()
        await copier.learns(VICTIM, "ada")
        copier.show()
        copier.show()
        copier.type("x")
        assert await copier.outcome() == TAKEN
        assert copier.session.awareness_id is None
        os.kill(hub.hosts.dispatchers[0].supervisor.pid or 0, signal.SIGKILL)
        thief.type("y")
        assert await thief.outcome() == TAKEN
        victim.type("abc")
        await victim.is_saved()
    finally:
        await hub.stop()


async def test_a_client_id_waits_for_a_person_who_was_cut_off(storage: Storage) -> None:
    hub = await start(storage)
    try:
        victim, thief = Somebody(hub, "ada"), Somebody(hub, "mallory")
        victim.show()
        await thief.learns(VICTIM, "ada")
        victim.leave()
        thief.show()
        await thief.learns(VICTIM, "mallory")
        thief.type("x")
        assert await thief.outcome() == TAKEN
        victim.enter()
        victim.type("abc")
        await victim.is_saved()
    finally:
        await hub.stop()


async def test_another_user_of_the_same_device_goes_on_with_its_client_id(storage: Storage) -> None:
    hub = await start(storage)
    try:
        before, after = Somebody(hub, "ada"), Somebody(hub, "ben")
        before.show()
        await after.learns(VICTIM, "ada")
        before.leave()
        after.show()
        await after.learns(VICTIM, "ben")
        after.type("abc")
        assert await after.outcome() is None
    finally:
        await hub.stop()
