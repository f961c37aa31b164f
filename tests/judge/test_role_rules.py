"""What a role may not write is undone in the same step: nobody receives a byte of it, and the legal part stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from pycrdt import Map

from crdt_server.judge.commands import command
from crdt_server.operations import Operation
from crdt_server.pipe import CommandBody, CommandDone, CommandPart, CommandRefused
from documents.categories import AccessCategory
from documents.events import Actor
from documents.field_rules import forbidden, is_stamp
from documents.invariants.model import user_id
from documents.registry import KINDS
from tests.judge.bench import NAMES, Bench, Replica

FORBIDDEN = "f0rb1dden"
ITEMS = ("timeline", "items")
EVERYTHING = "W" * len(AccessCategory)
ROWS: dict[str, dict[str, Any]] = {
    "wedding": {
        "vendors": {"v_florist": {"name": "Flora", "stage": "booked"}, "v_dj": {"name": "Loud", "stage": "booked"}},
        "events": {"ev_1": {"name": "Party"}},
    },
    "timeline": {
        "items": {
            "i_flowers": {"title": "Flowers", "vendor:v_florist": True},
            "i_music": {"title": "Music", "start": 900, "vendor:v_dj": True},
        },
        "emergencies": {"e_1": {"kind": "weather", "text": "Storm", "by": "cora"}},
    },
    "guests": {
        "guests": {
            "g_ann": {"firstName": "Ann", "side": "a", "plusOnesAllowed": 1},
            "g_bob": {"firstName": "Bob", "side": "b", "note": "Sings."},
            "g_guest": {"firstName": "Guest of Ann", "plusOneOf": "g_ann"},
        }
    },
    "budget": {"meta": {"": {"limit": 100}}, "payments": {}},
    "seating": {"tables": {"t_1": {"label": "1"}}},
}


def rights(letters: Mapping[str, str]) -> str:
    return "".join(letters.get(each.value, "-") for each in AccessCategory)


def join(bench: Bench, client: int, actor: Actor) -> Replica:
    replica = bench.join(actor.user, actor.role, client)
    replica.actor = actor
    return replica


FLORIST = Actor("flora", "vendor", vendor="v_florist", rights=rights({"timeline": "O", "day": "O"}))
AUNT = Actor("aunt", "family", side="a", rights=rights({"guests": "O", "seating": "W"}))
ANN = Actor("ann", "guest", guest="g_ann", rights=rights({"guests": "O", "care": "O"}))
CORA = Actor("cora", "coordinator", rights=rights({"timeline": "W", "guests": "O", "seating": "W", "day": "W"}))
PAUL = Actor("paul", "planner", rights=EVERYTHING)
CARL = Actor("carl", "couple", rights=EVERYTHING)


class Party:
    def __init__(self, actor: Actor, client: int) -> None:
        self.bench = Bench(ROWS)
        self.actor = join(self.bench, client, actor)
        self.peer = join(self.bench, 150, CARL)
        self.bench.part(self.actor)
        self.before = {name: len(updates) for name, updates in self.bench.updates.items()}

    def send(self) -> list[tuple[str, str, str | None, str]]:
        reverted = [each for notice in self.bench.sync(self.actor) for each in notice["reverted"]]
        self.bench.check()
        sent = b"".join(b"".join(updates[self.before[name] :]) for name, updates in self.bench.updates.items())
        assert FORBIDDEN.encode() not in sent
        return sorted((each["root"], each["record"], each["key"], each["code"]) for each in reverted)


@pytest.mark.parametrize("client", [100, 200])
def test_a_vendor_writes_the_status_of_own_items_and_nothing_else(client: int) -> None:
    party = Party(FLORIST, client)
    with party.actor.doc("timeline").transaction():
        party.actor.set(*ITEMS, "i_flowers", "status", "ready")
        party.actor.set(*ITEMS, "i_flowers", "vendorNote:v_florist", "Roses")
        party.actor.set(*ITEMS, "i_flowers", "vendorNote:v_dj", FORBIDDEN)
        party.actor.set(*ITEMS, "i_flowers", "title", FORBIDDEN)
        party.actor.set(*ITEMS, "i_music", "start", 901)
        party.actor.set(*ITEMS, "i_music", "vendor:v_florist", True)  # would make it an own one
        party.actor.set(*ITEMS, "i_music", "status", "skipped")
        party.actor.add(*ITEMS, "i_new", {"title": FORBIDDEN})
    assert party.send() == [
        ("items", "i_flowers", "title", "not_allowed"),
        ("items", "i_flowers", "vendorNote:v_dj", "not_allowed"),
        ("items", "i_music", "start", "not_allowed"),
        ("items", "i_music", "status", "not_allowed"),
        ("items", "i_music", "vendor:v_florist", "not_allowed"),
        ("items", "i_new", None, "not_allowed"),
    ]
    assert party.bench.value(*ITEMS, "i_music") == ROWS["timeline"]["items"]["i_music"]
    assert party.peer.rows("timeline") == party.actor.rows("timeline")
    assert party.bench.value(*ITEMS, "i_flowers", "status") == "ready"
    assert party.bench.value(*ITEMS, "i_flowers", "vendorNote:v_florist") == "Roses"
    assert party.bench.reviews() == []


def test_a_write_that_lost_and_was_not_allowed_is_neither_sent_nor_a_conflict() -> None:
    party = Party(FLORIST, 100)
    party.actor.set(*ITEMS, "i_music", "title", FORBIDDEN)
    party.peer.set(*ITEMS, "i_music", "title", "Loud music")
    party.bench.sync(party.peer)
    party.send()
    assert party.bench.value(*ITEMS, "i_music", "title") == "Loud music"
    assert party.bench.reviews() == []


def test_a_root_that_is_one_record_is_begun_by_those_who_may_write_it() -> None:
    """It was put back in the rows alone, and stood in the document, and in the store for ever."""
    party = Party(FLORIST, 100)
    party.actor.set("timeline", "meta", "", "_version", 99)
    party.actor.set(*ITEMS, "i_flowers", "status", "ready")
    assert party.send() == [("meta", "", None, "not_allowed")]
    assert party.bench.rows("timeline")["meta"] == {}
    assert party.bench.value(*ITEMS, "i_flowers", "status") == "ready"


def test_emergencies_are_raised_and_acknowledged_in_ones_own_name() -> None:
    party = Party(FLORIST, 100)
    raised = ("timeline", "emergencies")
    party.actor.add(*raised, "e_2", {"kind": "power", "text": "Dark", "by": "flora"})
    party.actor.add(*raised, "e_3", {"kind": "power", "text": FORBIDDEN, "by": "carl"})
    at = "2026-05-01T12:00:00Z"
    party.actor.set(*raised, "e_1", "acknowledgedBy:flora", at)
    party.actor.set(*raised, "e_1", "acknowledgedBy:carl", at)
    assert party.send() == [
        ("emergencies", "e_1", "acknowledgedBy:carl", "not_allowed"),
        ("emergencies", "e_3", None, "not_allowed"),
    ]
    assert party.bench.value(*raised, "e_1", "acknowledgedBy:flora") == at
    assert party.bench.value(*raised, "e_2", "by") == "flora"


def test_family_edits_guests_of_its_own_side() -> None:
    party = Party(AUNT, 100)
    guests = ("guests", "guests")
    party.actor.set(*guests, "g_ann", "phone", "+44 1")
    party.actor.add(*guests, "g_carl", {"firstName": "Carl", "side": "a"})
    party.actor.add(*guests, "g_dora", {"firstName": FORBIDDEN, "side": "b"})
    party.actor.set(*guests, "g_bob", "side", "a")
    party.actor.text(*guests, "g_bob", "note").insert(0, FORBIDDEN)
    party.actor.set("seating", "tables", "t_1", "label", "One")
    party.actor.set("seating", "tables", "t_1", "locked", {"at": "2026-05-01T12:00:00Z", "by": "aunt"})
    assert party.send() == [
        ("guests", "g_bob", "note", "not_allowed"),
        ("guests", "g_bob", "side", "not_allowed"),
        ("guests", "g_dora", None, "not_allowed"),
        ("tables", "t_1", "locked", "not_allowed"),
    ]
    assert party.bench.value(*guests, "g_carl", "firstName") == "Carl"
    assert party.bench.value("seating", "tables", "t_1", "label") == "One"
    assert party.bench.value(*guests, "g_bob", "note") == "Sings."


def test_a_guest_answers_for_herself_and_names_her_guest() -> None:
    party = Party(ANN, 100)
    guests = ("guests", "guests")
    party.actor.set(*guests, "g_ann", "rsvp:ev_1", "yes")
    party.actor.set(*guests, "g_ann", "plusOnesAllowed", 5)
    party.actor.set(*guests, "g_guest", "firstName", "Gus")
    party.actor.set(*guests, "g_bob", "rsvp:ev_1", "no")
    party.actor.add("care", "care", "g_ann", {"diet:vegan": True})
    party.actor.add("care", "care", "g_bob", {"diet:vegan": True})
    assert party.send() == [
        ("care", "g_bob", None, "not_allowed"),
        ("guests", "g_ann", "plusOnesAllowed", "not_allowed"),
        ("guests", "g_bob", "rsvp:ev_1", "not_allowed"),
    ]
    assert party.bench.value(*guests, "g_guest", "firstName") == "Gus"
    assert party.bench.value("care", "care", "g_ann", "diet:vegan") is True


def test_fields_that_are_reserved_for_a_few_of_those_who_write_the_rest() -> None:
    party = Party(PAUL, 100)
    party.actor.set("budget", "meta", "", "limit", 1_000_000)
    party.actor.set("wedding", "meta", "", "date", "2027-01-01")
    party.actor.set("wedding", "meta", "", "title", "Ours")
    party.actor.set(*ITEMS, "i_music", "deleted", {"at": "2026-05-01T12:00:00Z", "by": "paul"})
    assert party.send() == [("meta", "", "date", "not_allowed"), ("meta", "", "limit", "not_allowed")]
    party = Party(CORA, 100)
    party.actor.set(*ITEMS, "i_music", "deleted", {"at": "2026-05-01T12:00:00Z", "by": "cora"})
    party.actor.set(*ITEMS, "i_music", "start", 930)
    party.actor.set("guests", "guests", "g_bob", "phone", FORBIDDEN)
    party.actor.set("guests", "guests", "g_bob", "rsvp:ev_1", "yes")
    assert party.send() == [
        ("guests", "g_bob", "phone", "not_allowed"),
        ("items", "i_music", "deleted", "not_allowed"),
    ]
    assert party.bench.value(*ITEMS, "i_music", "start") == 930


def test_the_removal_of_a_payment_is_no_way_to_void_it() -> None:
    payment = {"item": "b_1", "amount": 100, "on": "2026-01-01", "kind": "deposit"}
    for actor, voided in ((PAUL, True), (Actor("fay", "family", rights=EVERYTHING), False)):
        bench = Bench({"budget": {"payments": {"p_1": payment}}})
        replica = join(bench, 100, actor)
        replica.delete("budget", "payments", "p_1")
        bench.sync(replica)
        bench.check()
        assert bench.value("budget", "payments", "p_1") == payment
        assert ("p_1" in bench.state.wedding.rows("budget", "voids")) is voided


def test_a_command_is_refused_for_the_same_rules() -> None:
    bench = Bench(ROWS)
    operation = {"op": "set", "root": "items", "record": "i_music", "key": "start", "value": 930}
    body = CommandBody([CommandPart("timeline", [operation])])  # type: ignore[list-item]
    refused = command(bench.state, FLORIST, body, 100)
    assert isinstance(refused, CommandRefused)
    assert [problem["code"] for problem in refused.problems] == ["not_allowed"]
    assert isinstance(command(bench.state, CORA, body, 100), CommandDone)


@pytest.mark.parametrize(
    ("home", "place", "stands", "value", "actors"),
    [
        ("budget", ("budget", "meta", "", "limit"), 100, 900, {PAUL: False, CARL: True}),
        ("seating", ("guests", "guests", "g_bob", "rsvp:ev_1"), None, "yes", {AUNT: False, CORA: True, PAUL: True}),
        ("timeline", ("wedding", "meta", "", "hardEnd"), None, 1500, {CORA: False, PAUL: True}),
    ],
)
def test_an_option_is_chosen_only_by_those_who_may_write_what_it_writes(
    home: str, place: tuple[str, str, str, str], stands: object, value: object, actors: Mapping[Actor, bool]
) -> None:
    operation = dict(zip(("document", "root", "record", "key"), place, strict=True)) | {"kind": "set", "value": value}
    options = [{"id": 0, "text": "Set it.", "operations": [operation]}, {"id": 1, "text": "Leave.", "operations": []}]
    subject = [dict(zip(("document", "root", "record", "key"), place, strict=True))]
    review = {"_kind": "X1", "_subject": subject, "_state": "open", "_at": "2026-05-01T11:00:00Z", "_options": options}
    choice = {"op": "set", "root": "review", "record": "c_1", "key": "choice", "value": 0}
    for actor, may in actors.items():
        bench = Bench({**ROWS, home: {**ROWS.get(home, {}), "review": {"c_1": review}}})
        replica = join(bench, 100, actor)
        replica.set(home, "review", "c_1", "choice", 0)
        notices = [each["code"] for notice in bench.sync(replica) for each in notice["reverted"]]
        assert (notices, bench.value(*place)) == (([], value) if may else (["not_allowed"], stands))
        bench.check()
        if not may:
            body = CommandBody([CommandPart(home, [choice])])  # type: ignore[list-item]
            assert isinstance(command(bench.state, actor, body, 100), CommandRefused)
            replica.set(home, "review", "c_1", "choice", 1)
            assert bench.sync(replica) == []


def test_nothing_is_forbidden_where_no_rules_apply() -> None:
    party = Party(Actor("ann", "guest"), 100)
    party.actor.set(*ITEMS, "i_music", "title", "Silence")
    party.actor.root("timeline", "items")["i_9"] = Map({"title": "New"})
    assert party.send() == []


AT = "2026-05-01T12:00:00Z"
STAMPS = [
    (kind.name, root.name, "r_1", key)
    for kind in KINDS
    if kind.name in NAMES
    for root in kind.roots.values()
    if not root.server
    for key in (None, *root.keys)
    if is_stamp(root, key)
]
"""Every place of a stamp: document, root, record, key. Threads have a rule of their own."""


def test_all_stamps_are_found() -> None:
    places = {f"{document}.{root}.{key}" for document, root, _, key in STAMPS}
    assert {place for place in places if not place.endswith(".deleted")} == {
        "wedding.tasks.done",
        "timeline.emergencies.closed",
        "guests.guests.checkedIn",
        "seating.tables.locked",
        "budget.voids.None",
    }
    assert {"guests.guests.deleted", "timeline.items.deleted", "budget.items.deleted"} <= places


@pytest.mark.parametrize("place", STAMPS, ids=lambda place: f"{place[1]}.{place[3]}")
@pytest.mark.parametrize("user", ["carl", "carl@example.org"])
def test_nobody_stamps_in_the_name_of_another(place: tuple[str, str, str, str | None], user: str) -> None:
    document, root, record, key = place
    carl = Actor(user, "couple", rights=EVERYTHING)
    bench = Bench({document: {root: {} if key is None else {record: {}}}})
    forger, phone, tablet = (join(bench, client, carl) for client in (100, 101, 102))
    bench.part(phone)
    own = {"at": AT, "by": user_id(user)}
    forger.set(*place, {"at": AT, "by": "paul"})
    (notice,) = bench.sync(forger)
    assert [(each["key"], each["code"]) for each in notice["reverted"]] == [(key, "not_allowed")]
    bench.check()
    assert forger.rows(document) == tablet.rows(document)
    assert "paul" not in str(forger.rows(document))
    phone.set(*place, own)  # offline until now
    assert bench.sync(phone) == []
    bench.check()
    assert bench.value(document, root, record, key) == own


def test_nobody_has_the_name_that_stands_for_another() -> None:
    ada = user_id("ada@example.org")
    thief = Actor(ada, "planner", rights=EVERYTHING)
    key = f"approvedBy:{ada}"
    assert forbidden(thief, "budget", "approvals", "a_1", key, {}) is not None
    assert forbidden(thief._replace(user="ada@example.org"), "budget", "approvals", "a_1", key, {}) is None


def test_the_legal_part_beside_a_forged_stamp_stands() -> None:
    party = Party(PAUL, 100)
    with party.actor.doc("timeline").transaction():
        party.actor.set("timeline", "emergencies", "e_1", "closed", {"at": AT, "by": "carl"})
        party.actor.set("timeline", "emergencies", "e_1", "text", "It is over")
        party.actor.set("timeline", "emergencies", "e_1", "by", "carl")
        party.actor.add("timeline", "emergencies", "e_2", {"text": "Dark", "by": "paul"})
    assert party.send() == [
        ("emergencies", "e_1", "by", "not_allowed"),
        ("emergencies", "e_1", "closed", "not_allowed"),
    ]
    assert party.bench.value("timeline", "emergencies", "e_1") == {
        "kind": "weather",
        "text": "It is over",
        "by": "cora",
    }
    assert party.bench.value("timeline", "emergencies", "e_2", "by") == "paul"


def test_without_rules_anybody_may_be_named() -> None:
    bench = Bench({"guests": {"guests": {"g_1": {}}}})
    ada = bench.join("ada", "couple", 100)
    ada.set("guests", "guests", "g_1", "checkedIn", {"at": AT, "by": "somebody"})
    assert bench.sync(ada) == []


def test_a_command_stamps_for_its_sender_and_is_refused_for_another() -> None:
    bench = Bench({"guests": {"guests": {"g_1": {}}}})

    def check_in(**by: str) -> object:
        value = {"at": AT, **by}
        operation: Operation = {"op": "set", "root": "guests", "record": "g_1", "key": "checkedIn", "value": value}
        bench.begin_batch()
        return command(bench.state, PAUL, CommandBody([CommandPart("guests", [operation])]), 100)

    refused = check_in(by="carl")
    assert isinstance(refused, CommandRefused)
    assert refused.problems[0]["code"] == "not_allowed"
    assert isinstance(check_in(), CommandDone)
    assert bench.value("guests", "guests", "g_1", "checkedIn") == {"at": AT, "by": "paul"}
