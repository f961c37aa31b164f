"""The audit log of what was undone and refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pycrdt import Map

from crdt_server.access.identity import Identity
from crdt_server.hub import audit_log
from crdt_server.hub.audit_log import AuditLog
from crdt_server.hub.hub import Hub
from crdt_server.metrics import Metrics
from storage import AuditEntry, Storage, StorageUnavailable
from tests.rooms.person import Person
from tests.support.codec import encode_update
from tests.support.sockets import HandSocket


async def entries(storage: Storage, wedding: str = "w") -> list[tuple[str, str, dict[str, Any]]]:
    def plain(entry: AuditEntry) -> tuple[str, str, dict[str, Any]]:
        return entry.actor, entry.action, json.loads(entry.detail)

    return [plain(each) for each in await storage.audit(wedding)]


async def test_a_write_that_was_undone_is_stored_with_what_is_left_of_it(hub: Hub, storage: Storage) -> None:
    person = Person(hub, "guests", 1)
    await person.is_synced()
    before = person.replica.state_vector
    guests = person.replica.doc.get("guests", type=Map)
    guests["g_1"] = Map({"firstName": "Ann", "party": "nonsense", "size": 7})
    person.send(encode_update(person.replica.doc.get_update(before)))
    await person.socket.until(lambda: person.read() is None and bool(person.denied))
    # No flush of the log: the entry came with the update.
    ((actor, action, detail),) = await entries(storage)
    assert (actor, action) == ("user-1", "write.reverted")
    assert detail["document"] == "guests"
    assert detail["role"] == "couple"
    assert detail["paths"] == [f"guests/g_1/{each['key']}" for each in json.loads(person.denied[0])["reverted"]]
    assert detail["rules"]
    assert (await storage.check_audit("w"))[1] is None


async def test_a_refusal_is_stored_soon(hub: Hub, storage: Storage) -> None:
    person = Person(hub, "notes.a", 1)
    person.send(encode_update(b"\x01\x01"))
    await person.socket.until(lambda: person.socket.closed is not None)
    await hub.audit.flush()
    assert [each[:2] for each in await entries(storage)] == [("user-1", "write.refused")]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def audit(storage: Storage, clock: Clock) -> AuditLog:
    return AuditLog(storage, Metrics(), clock)


async def test_what_one_person_has_too_much_of_is_counted(audit: AuditLog, storage: Storage, clock: Clock) -> None:
    for _ in range(audit_log.ENTRIES + 5):
        audit.record("w", "u_1", "write.refused", document="notes.a")
    audit.record("w", "u_2", "write.refused", document="notes.a")
    clock.now = audit_log.SECONDS_PER_ENTRY
    audit.record("w", "u_1", "write.refused", document="notes.b")
    await audit.stop()
    found = await entries(storage)
    assert len(found) == audit_log.ENTRIES + 3
    assert found[-1] == ("u_1", "write.refused", {"count": 5})
    assert found[-2] == ("u_1", "write.refused", {"document": "notes.b"})
    assert audit.waiting == 0


async def test_a_person_signs_in_once_an_hour_however_many_sockets(
    hub: Hub, audit: AuditLog, storage: Storage, clock: Clock
) -> None:
    kit, mia = Identity("u_kit", "coordinator", rights="W" * 9), Identity("u_mia", "planner", rights="W" * 9)
    for identity in (kit, kit, mia, Identity("anybody", "couple")):
        hub.enter("w", "notes.a", HandSocket(), identity)
    await hub.audit.flush()
    expected = [("u_kit", "signed_in", {"role": "coordinator"}), ("u_mia", "signed_in", {"role": "planner"})]
    assert await entries(storage) == expected
    for clock.now in (0.0, 1.0, audit_log.SIGNED_IN_SECONDS):
        audit.sign_in("w_2", kit)
    await audit.flush()
    assert await entries(storage, "w_2") == expected[:1] * 2


async def test_entries_of_many_weddings_are_stored_together_and_a_bad_one_alone(
    audit: AuditLog, storage: Storage
) -> None:
    for number in range(3):
        audit.record(f"w_{number}", "u\n1" if number == 1 else "u_1", "write.refused")
    await audit.flush()
    assert [len(await entries(storage, f"w_{number}")) for number in range(3)] == [1, 0, 1]
    assert audit.waiting == 0


async def test_what_waits_is_bounded(audit: AuditLog, storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_log, "MOST_WAITING", 3)
    for number in range(20):
        audit.record("w", f"u_{number}", "write.refused")
    assert audit.waiting == 3
    await audit.stop()
    found = await entries(storage)
    assert [each[0] for each in found] == ["u_0", "u_1", "u_2", "u_3", "u_4", "u_5", "*"]
    assert found[-1][2] == {"count": 14}


async def test_what_cannot_be_stored_now_waits(
    audit: AuditLog, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit.record("w", "u_1", "write.refused")
    with monkeypatch.context() as cut:

        async def fail(*_: object) -> None:
            raise StorageUnavailable("the database is away")

        cut.setattr(storage, "append", fail)
        await audit.flush()
    assert await entries(storage) == []
    audit.record("w", "u_2", "write.refused")
    await audit.flush()
    assert [each[0] for each in await entries(storage)] == ["u_1", "u_2"]
