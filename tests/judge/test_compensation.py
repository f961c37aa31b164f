"""What a kind does not allow is undone in the same step: nobody receives it, the rest stands, all converge."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pycrdt import Array, Doc, Map, Text

from crdt_server.judge.ledger import instant
from crdt_server.judge.shared_types import MAX_UNKNOWN_ROOTS
from documents.fields import MAX_NOTE
from documents.invariants import Field
from documents.invariants.model import user_id
from documents.kind import MAX_RECORD_KEYS
from tests.judge.bench import START, Bench, Replica

GUESTS = ("guests", "guests")
FORBIDDEN = "f0rb1dden"


class Party:
    """A guest list with Ann and Bob; Ada writes, Ben watches."""

    def __init__(self, ada: int = 100, ben: int = 200) -> None:
        ann = {"firstName": "Ann", "meal": "soup", "note": "Sings."}
        self.bench = Bench({"guests": {"guests": {"g_a": ann, "g_b": {"firstName": "Bob"}}}})
        self.ada = self.bench.join("ada", "couple", ada)
        self.ben = self.bench.join("ben", "planner", ben)
        self.bench.part(self.ada)
        self._from = len(self.bench.updates["guests"])

    def send(self) -> list[tuple[str, str | None, str]]:
        """Ada's edits go to the server, with nothing coming back before. Returns what is told to her."""
        (notice,) = self.bench.sync(self.ada) or [{"reverted": []}]
        self.bench.check()
        return sorted((each["record"], each["key"], each["code"]) for each in notice["reverted"])

    def sent(self) -> bytes:
        """The bytes that went out since the beginning."""
        return b"".join(self.bench.updates["guests"][self._from :])


@pytest.fixture(params=[(100, 200), (200, 100)], ids=["the lower id", "the higher id"])
def party(request: pytest.FixtureRequest) -> Party:
    return Party(*request.param)


def test_the_legal_part_of_an_update_stands(party: Party) -> None:
    with party.ada.doc("guests").transaction():
        party.ada.set(*GUESTS, "g_a", "meal", [FORBIDDEN])
        party.ada.set(*GUESTS, "g_a", "unknown", FORBIDDEN)
        party.ada.set(*GUESTS, "g_a", "lastName", "Smith")
        party.ada.text(*GUESTS, "g_a", "note").insert(0, "Often. ")
    assert party.send() == [("g_a", "meal", "type"), ("g_a", "unknown", "unknown_key")]
    assert party.bench.value(*GUESTS, "g_a") == {
        "firstName": "Ann", "lastName": "Smith", "meal": "soup", "note": "Often. Sings."
    }  # fmt: skip
    assert b"Smith" in party.sent()
    assert FORBIDDEN.encode() not in party.sent()


@pytest.mark.parametrize(
    "value",
    [FORBIDDEN * 60, ["x", FORBIDDEN], {"a": FORBIDDEN}, Map({"a": FORBIDDEN}), Text(FORBIDDEN)],
    ids=lambda each: str(type(each)),
)
def test_no_byte_of_a_wrong_value_goes_out(party: Party, value: Any) -> None:
    party.ada.set(*GUESTS, "g_b", "meal", value)
    ((record, key, _),) = party.send()
    assert (record, key) == ("g_b", "meal")
    assert FORBIDDEN.encode() not in party.sent()


def test_a_wrong_value_that_lost_does_not_go_out_either() -> None:
    party = Party(ada=100, ben=200)
    party.ben.set(*GUESTS, "g_a", "meal", "fish")
    party.bench.sync(party.ben)
    party.ada.set(*GUESTS, "g_a", "meal", FORBIDDEN * 10)
    party.send()
    assert FORBIDDEN.encode() not in party.sent()
    assert party.bench.value(*GUESTS, "g_a", "meal") == "fish"
    assert party.bench.reviews() == []


def test_wrong_values_in_a_row_without_waiting(party: Party) -> None:
    state = party.ada.doc("guests").get_state()
    updates = []
    for value in (1, 2, "fish", 3, 4):
        party.ada.set(*GUESTS, "g_a", "meal", value)
        updates.append(party.ada.doc("guests").get_update(state))
        state = party.ada.doc("guests").get_state()
    faults, notices = party.bench.try_to_receive(party.ada.actor, "guests", updates)
    assert faults == []
    assert len(notices) == 4
    assert party.send() == []
    assert party.bench.value(*GUESTS, "g_a", "meal") == "fish"
    assert party.bench.reviews() == []
    assert party.ben.rows("guests") == party.ada.rows("guests")


def test_a_right_value_after_wrong_ones_is_no_conflict(party: Party) -> None:
    updates = []
    state = party.ada.doc("guests").get_state()
    for value in (1, 2, "fish"):
        party.ada.set(*GUESTS, "g_a", "meal", value)
        updates.append(party.ada.doc("guests").get_update(state))
        state = party.ada.doc("guests").get_state()
    for update in updates:
        party.bench.try_to_receive(party.ada.actor, "guests", [update])
    party.send()
    assert party.bench.value(*GUESTS, "g_a", "meal") == "fish"
    assert party.bench.reviews() == []


def test_somebody_who_had_not_seen_a_wrong_value_does_not_lose_against_what_was_put_back(party: Party) -> None:
    party.bench.part(party.ben)
    party.ben.set(*GUESTS, "g_a", "meal", "fish")
    party.ada.set(*GUESTS, "g_a", "meal", 5)
    party.send()
    party.bench.sync(party.ben)
    party.bench.check()
    assert party.bench.value(*GUESTS, "g_a", "meal") == "fish"
    assert party.bench.reviews() == []


def test_a_text_that_is_too_long_is_cut_where_it_grew(party: Party) -> None:
    party.ben.text(*GUESTS, "g_a", "note").insert(0, "🎻 ")
    party.bench.sync(party.ben)
    party.ada.text(*GUESTS, "g_a", "note").insert(3, FORBIDDEN + "x" * MAX_NOTE)
    assert party.send() == [("g_a", "note", "length")]
    assert party.bench.value(*GUESTS, "g_a", "note") == "🎻 Sings."
    assert FORBIDDEN.encode() not in party.sent()
    party.ben.text(*GUESTS, "g_a", "note").insert(0, "Yes. ")
    party.bench.sync(party.ben)
    party.bench.check()
    assert party.ada.rows("guests")["guests"]["g_a"]["note"] == "Yes. 🎻 Sings."


def replace_by_a_value(ada: Replica) -> None:
    ada.set(*GUESTS, "g_a", None, FORBIDDEN)


def replace_by_a_list(ada: Replica) -> None:
    from pycrdt import Array

    ada.set(*GUESTS, "g_a", None, Array([FORBIDDEN]))


def replace_by_a_text(ada: Replica) -> None:
    ada.set(*GUESTS, "g_a", None, Text(FORBIDDEN))


@pytest.mark.parametrize("damage", [replace_by_a_value, replace_by_a_list, replace_by_a_text])
def test_a_record_comes_back_whole(party: Party, damage: Any) -> None:
    before = dict(party.bench.value(*GUESTS, "g_a"))
    damage(party.ada)
    ((record, key, _),) = party.send()
    assert (record, key) == ("g_a", None)
    assert party.bench.value(*GUESTS, "g_a") == before
    assert FORBIDDEN.encode() not in party.sent()
    party.ben.text(*GUESTS, "g_a", "note").insert(0, "Still. ")
    party.ada.set(*GUESTS, "g_a", "meal", "fish")
    party.bench.sync(party.ben)
    party.bench.sync(party.ada)
    party.bench.check()
    assert party.bench.value(*GUESTS, "g_a") == before | {"meal": "fish", "note": "Still. Sings."}


def test_a_record_that_is_taken_away_is_deleted_and_can_be_restored(party: Party) -> None:
    before = dict(party.bench.value(*GUESTS, "g_a"))
    party.ada.delete(*GUESTS, "g_a")
    assert party.send() == [], "nothing that its author has to be told"
    after = dict(party.bench.value(*GUESTS, "g_a"))
    assert after.pop("deleted") == {"at": instant(START), "by": "ada"}
    assert after == before
    assert party.bench.wedding_writer(Field(*GUESTS, "g_a", "deleted")).user == "ada"
    assert [event["type"] for event in party.bench.events[-1:]] == ["guest.removed"]
    assert party.bench.reviews() == []
    party.ada.delete(*GUESTS, "g_a", "deleted")
    party.ben.text(*GUESTS, "g_a", "note").insert(0, "Still. ")
    party.bench.sync(party.ben)
    party.bench.sync(party.ada)
    party.bench.check()
    assert party.bench.value(*GUESTS, "g_a") == before | {"note": "Still. Sings."}


def test_a_record_that_is_deleted_and_taken_away_stays_as_it_is(party: Party) -> None:
    party.ada.set(*GUESTS, "g_a", "deleted", VOID)
    party.send()
    party.ada.delete(*GUESTS, "g_a")
    assert party.send() == []
    assert party.bench.value(*GUESTS, "g_a", "deleted") == VOID


def test_a_record_of_as_many_keys_as_may_be_is_not_taken_away(party: Party) -> None:
    for number in range(MAX_RECORD_KEYS - 3):
        party.ada.set(*GUESTS, "g_a", f"tag:{number}", True)
    party.send()
    party.ada.delete(*GUESTS, "g_a")
    assert party.send() == [("g_a", None, "not_removable")]


def test_a_payment_that_is_taken_away_is_voided() -> None:
    bench = Bench({"budget": {"payments": {"p_1": PAYMENT, "p_2": PAYMENT}, "voids": {"p_2": VOID}}})
    ada = bench.join("ada@example.org", "couple", 100)
    for payment in ("p_1", "p_2"):
        ada.delete("budget", "payments", payment)
    assert bench.sync(ada) == []
    bench.check()
    assert bench.rows("budget")["payments"] == {"p_1": PAYMENT, "p_2": PAYMENT}
    voids = bench.rows("budget")["voids"]
    assert voids == {"p_1": {"at": instant(START), "by": user_id("ada@example.org")}, "p_2": VOID}
    assert voids["p_1"]["by"] != "ada@example.org", "no id of a user"


def test_edits_of_a_record_that_somebody_removed_meanwhile_are_not_lost_in_silence(party: Party) -> None:
    party.bench.part(party.ben)
    party.ben.set(*GUESTS, "g_a", "meal", "fish")
    party.ada.delete(*GUESTS, "g_a")
    party.send()
    party.bench.sync(party.ben)
    party.bench.check()
    assert party.bench.value(*GUESTS, "g_a", "meal") == "fish"


def test_a_record_that_is_emptied_keeps_its_text(party: Party) -> None:
    with party.ada.doc("guests").transaction():
        for key in ("firstName", "meal", "note"):
            party.ada.delete(*GUESTS, "g_a", key)
    assert party.send() == [("g_a", "note", "not_removable")]
    assert party.bench.value(*GUESTS, "g_a") == {"note": "Sings."}
    party.ben.text(*GUESTS, "g_a", "note").insert(0, "Still. ")
    party.bench.sync(party.ben)
    assert party.ada.rows("guests")["guests"]["g_a"] == {"note": "Still. Sings."}


def test_a_text_replaced_by_a_string_is_a_text_again(party: Party) -> None:
    party.ada.set(*GUESTS, "g_a", "note", FORBIDDEN)
    assert party.send() == [("g_a", "note", "type")]
    party.ben.text(*GUESTS, "g_a", "note").insert(0, "Still. ")
    party.bench.sync(party.ben)
    party.bench.check()
    assert party.bench.value(*GUESTS, "g_a", "note") == "Still. Sings."


def test_what_the_server_owns(party: Party) -> None:
    with party.ada.doc("guests").transaction():
        party.ada.root("guests", "meta")["_version"] = 7
        party.ada.set(*GUESTS, "g_a", "_secret", FORBIDDEN)
        party.ada.root("guests", "review")["c_x"] = Map({"_summary": FORBIDDEN, "choice": 1})
    assert party.send() == [
        ("", "_version", "server_only"), ("c_x", None, "server_only"), ("g_a", "_secret", "server_only")
    ]  # fmt: skip
    assert party.bench.rows("guests")["review"] == {}
    assert FORBIDDEN.encode() not in party.sent()


def test_a_record_with_a_bad_id_does_not_come(party: Party) -> None:
    party.ada.add(*GUESTS, "bad id", {"firstName": FORBIDDEN})
    party.ada.add(*GUESTS, "g_good", {"firstName": "Eve"})
    assert party.send() == [("bad id", None, "id")]
    assert party.bench.rows("guests")["guests"].keys() == {"g_a", "g_b", "g_good"}
    assert FORBIDDEN.encode() not in party.sent()


def test_no_more_than_so_many_keys(party: Party) -> None:
    free = MAX_RECORD_KEYS - 3
    for number in range(free):
        party.ada.set(*GUESTS, "g_a", f"tag:{number}", True)
    assert party.send() == []
    party.bench.part(party.ada)
    with party.ada.doc("guests").transaction():
        party.ada.set(*GUESTS, "g_a", "tag:one", True)
        party.ada.set(*GUESTS, "g_a", "meal", "fish")
    assert party.send() == [("g_a", "tag:one", "too_many_keys")]
    assert party.bench.value(*GUESTS, "g_a", "meal") == "fish"


def test_each_within_the_limit_but_not_together() -> None:
    party = Party()
    party.bench.part(party.ben)
    for replica in (party.ada, party.ben):
        for number in range(MAX_RECORD_KEYS - 20):
            replica.set(*GUESTS, "g_a", f"tag:{replica.client_id}-{number}", True)
    assert party.send() == []
    (notice,) = party.bench.sync(party.ben)
    assert {each["code"] for each in notice["reverted"]} == {"too_many_keys"}
    party.bench.check()


def test_a_new_key_may_come_where_another_goes(party: Party) -> None:
    for number in range(MAX_RECORD_KEYS - 3):
        party.ada.set(*GUESTS, "g_a", f"tag:{number}", True)
    party.send()
    with party.ada.doc("guests").transaction():
        party.ada.delete(*GUESTS, "g_a", "tag:0")
        party.ada.set(*GUESTS, "g_a", "tag:one", True)
    assert party.send() == []
    assert party.bench.value(*GUESTS, "g_a", "tag:one") is True


def test_what_is_written_once_stays() -> None:
    bench = Bench({"budget": {"payments": {"p_1": PAYMENT}, "voids": {"p_1": VOID}}})
    ada = bench.join("ada", "couple", 100)
    with ada.doc("budget").transaction():
        ada.set("budget", "payments", "p_1", None, PAYMENT | {"amount": 666})
        ada.set("budget", "payments", "p_2", None, PAYMENT)
        ada.delete("budget", "voids", "p_1")
    (notice,) = bench.sync(ada)
    assert [(each["record"], each["code"]) for each in notice["reverted"]] == [("p_1", "final")]
    bench.check()
    assert bench.rows("budget")["payments"] == {"p_1": PAYMENT, "p_2": PAYMENT}
    assert bench.rows("budget")["voids"] == {}


PAYMENT = {"item": "b_1", "amount": 100, "on": "2026-01-01", "kind": "deposit"}
VOID = {"at": "2026-01-01T10:00:00Z", "by": "ada"}


def test_a_list_in_a_map_is_refused_and_nothing_of_it_stays(party: Party) -> None:
    doc: Doc[Any] = Doc(client_id=301)
    doc.get("guests", type=Array).append(FORBIDDEN)
    faults, _ = party.bench.try_to_receive(party.ada.actor, "guests", [doc.get_update()])
    assert [status.name for _, status in faults] == ["VIOLATION"]
    party.bench.check()
    assert party.sent() == b""


def in_map(doc: Doc[Any], name: str) -> None:
    shared: Map[Any] = doc.get(name, type=Map)
    shared["a"] = FORBIDDEN
    shared["b"] = Map({"deep": Map({"deeper": FORBIDDEN})})
    shared["a"] = FORBIDDEN + "!"


def in_list(doc: Doc[Any], name: str) -> None:
    shared: Array[Any] = doc.get(name, type=Array)
    shared.extend([FORBIDDEN, Map({"deep": FORBIDDEN}), FORBIDDEN])
    shared.insert(1, FORBIDDEN)


def in_text(doc: Doc[Any], name: str) -> None:
    shared: Text = doc.get(name, type=Text)
    shared.insert(0, FORBIDDEN)
    shared.insert(3, "🎤" + FORBIDDEN)


@pytest.mark.parametrize("write", [in_map, in_list, in_text])
@pytest.mark.parametrize("at_once", [True, False])
def test_what_is_written_in_an_unknown_root_is_undone(
    party: Party, write: Callable[[Doc[Any], str], None], at_once: bool
) -> None:
    ada, doc = party.ada, party.ada.doc("guests")
    write(doc, "guest")
    notices = [] if at_once else party.bench.sync(ada)
    ada.add("guests", "guests", "g_new", {"firstName": "Ann"})
    notices += party.bench.sync(ada)
    assert [(each["root"], each["code"]) for each in notices[0]["reverted"]] == [("guest", "unknown_root")]
    assert "did you mean guests?" in notices[0]["why"]
    assert party.bench.value("guests", "guests", "g_new", "firstName") == "Ann"
    for part in party.bench.updates["guests"]:
        assert FORBIDDEN.encode() not in part, "nobody receives a byte of it"
    for each in (doc, Doc()):
        for update in party.bench.updates["guests"]:
            each.apply_update(update)
        assert str(each.get("guest", type=Text)) == ""
    party.bench.check()
    party.bench.reopen()
    ada.set("guests", "guests", "g_new", "firstName", "Anne")
    party.bench.sync(ada)
    assert party.bench.value("guests", "guests", "g_new", "firstName") == "Anne"
    party.bench.check()


def test_so_many_unknown_roots_are_undone(party: Party) -> None:
    for number in range(MAX_UNKNOWN_ROOTS):
        doc: Doc[Any] = Doc(client_id=400 + number)
        doc.get(f"evil{number}", type=Map)["a"] = FORBIDDEN
        assert party.bench.receive(party.ada.actor, "guests", doc.get_update())
    doc = Doc(client_id=300)
    doc.get("another", type=Map)["a"] = FORBIDDEN
    faults, notices = party.bench.try_to_receive(party.ada.actor, "guests", [doc.get_update()])
    assert [status.name for _, status in faults] == ["VIOLATION"]
    assert "unknown root 'another', and 32 others before" in notices[0]["why"]
    party.bench.check()


def test_the_client_id_of_somebody_else_is_refused(party: Party) -> None:
    party.ada.set(*GUESTS, "g_a", "meal", "fish")
    party.send()
    thief = Replica("thief", "planner", party.ada.client_id)
    party.bench.sync(thief)
    thief.set(*GUESTS, "g_a", "meal", "beef")
    update = thief.doc("guests").get_update(party.ada.doc("guests").get_state())
    faults, _ = party.bench.try_to_receive(thief.actor, "guests", [update])
    assert [status.name for _, status in faults] == ["VIOLATION"]
    party.bench.reopen()
    faults, _ = party.bench.try_to_receive(thief.actor, "guests", [update])
    assert [status.name for _, status in faults] == ["VIOLATION"], "owners are stored"
