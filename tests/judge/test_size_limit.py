"""The limit of a document's bytes is one of what clients write, and beyond it a document can be repaired."""

from __future__ import annotations

from typing import Any

import pytest

from crdt_server.judge import schema_document
from crdt_server.judge.clock_ranges import encode_clocks
from crdt_server.judge.size_limit import RESERVE_SHARE
from crdt_server.pipe import Status
from documents.invariants import Op
from tests.judge.bench import Bench, Replica

GUESTS = ("guests", "guests")
LIMIT = 256 * 1024
STAMP = {"at": "2026-05-01T12:00:00Z", "by": "boss"}


@pytest.fixture(autouse=True)
def limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema_document, "MAX_DOCUMENT_BYTES", LIMIT)


def try_to_sync(bench: Bench, replica: Replica) -> Status:
    """Send what the server lacks of `guests`."""
    update = replica.doc("guests").get_update(encode_clocks(bench.documents["guests"].clocks))
    faults, _ = bench.try_to_receive(replica.actor, "guests", [update])
    return faults[0][1] if faults else Status.OK


def full() -> tuple[Bench, Replica]:
    """A document that takes no larger edits any more."""
    bench = Bench({"guests": {"guests": {f"g_{i:02}": {"firstName": "Ann"} for i in range(90)}}})
    for client_id, values in ((100, 5), (101, 1)):
        boss = bench.join("boss", "couple", client_id)
        for number in range(100):
            row = {"lastName": "x" * 200, **{f"x:a.{i}": "y" * 1000 for i in range(values)}}
            boss.add(*GUESTS, f"g_x{values}{number:02}", row)
            if try_to_sync(bench, boss) is Status.TOO_LARGE:
                break
        else:
            raise AssertionError("the document is never full")
    later = Replica("boss", "couple", 102)  # what was refused stays with the others
    bench.replicas = [later]
    bench.sync(later)
    return bench, later


def test_a_full_document_takes_deletions_of_any_kind() -> None:
    bench, boss = full()
    for number in range(30):
        boss.set(*GUESTS, f"g_x5{number:02}", "deleted", STAMP)
    assert try_to_sync(bench, boss) is Status.OK
    for number in range(30):
        boss.delete(*GUESTS, f"g_x5{number:02}", "x:a.1")
    assert try_to_sync(bench, boss) is Status.OK
    assert "deleted" in bench.value(*GUESTS, "g_x500")
    assert "x:a.1" not in bench.value(*GUESTS, "g_x500")
    bench.check()


def test_a_full_document_takes_small_edits_as_long_as_the_reserve_lasts() -> None:
    bench, boss = full()
    statuses = []
    for number in range(40):
        boss.add(*GUESTS, f"g_s{number:03}", {"x:a.1": "x" * 500})
        statuses.append(try_to_sync(bench, boss))
        if statuses[-1] is Status.TOO_LARGE:
            break
    assert len(statuses) >= LIMIT // RESERVE_SHARE // 600
    assert statuses[-1] is Status.TOO_LARGE
    assert statuses[0] is Status.OK


def test_soft_deletion_is_no_way_to_add_anything_else() -> None:
    bench, boss = full()
    boss.set(*GUESTS, "g_00", "deleted", STAMP)
    boss.add(*GUESTS, "g_new", {f"x:a.{i}": "y" * 1000 for i in range(5)})
    assert try_to_sync(bench, boss) is Status.TOO_LARGE


def test_what_the_server_writes_does_not_count() -> None:
    bench = Bench({"guests": {"guests": {"g_00": {"firstName": "Ann"}}}})
    for number in range(50):
        value: dict[str, Any] = {f"x:a.{i}": "z" * 900 for i in range(5)}
        bench.state.write([Op("insert", *GUESTS, f"g_s{number:03}", None, value)])
    bench.commit()
    assert sum(map(len, bench.updates["guests"])) > LIMIT * 3 // 4
    for _ in range(2):
        boss = bench.join("boss", "couple", 100 + len(bench.replicas))
        for number in range(20):
            boss.add(*GUESTS, f"g_{len(bench.replicas)}{number:03}", {f"x:a.{i}": "y" * 1000 for i in range(5)})
        assert try_to_sync(bench, boss) is Status.OK
        bench.reopen()  # what the server wrote is known from what is stored
    for number in range(100):
        bench.state.write([Op("insert", *GUESTS, f"g_t{number:03}", None, {f"x:a.{i}": "z" * 900 for i in range(5)})])
    bench.commit()
    boss = bench.join("boss", "couple", 900)
    boss.add(*GUESTS, "g_large", {f"x:a.{i}": "y" * 1000 for i in range(5)})
    assert try_to_sync(bench, boss) is Status.TOO_LARGE, "beyond its allowance it counts"
