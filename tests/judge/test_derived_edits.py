"""Edits in derived documents: what stands is an edit of the source by that person, all else is undone at once."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from pycrdt import Doc, Map

from crdt_server.access.policy import default_policy
from crdt_server.judge.commands import command
from crdt_server.judge.derived_document import COMMANDING
from crdt_server.operations import Operation
from crdt_server.pipe import CommandBody, CommandDone, CommandLacks, CommandPart, CommandRefused
from documents.derived.emergencies import MOST_RAISED
from documents.events import Actor
from documents.field_rules import written_as
from documents.invariants import Op
from tests.judge.audiences import Phone, open_derived
from tests.judge.bench import Bench

ROWS: dict[str, Any] = {
    "wedding": {
        "meta": {"": {"_version": 1, "title": "C & A"}},
        "events": {"e_1": {"name": "Reception", "visibility": "public"}},
        "vendors": {
            "v_lens": {"name": "Lens", "category": "photographer", "stage": "booked", "contact": {"phone": "1"}},
            "v_plan": {"name": "Plan", "category": "planner", "stage": "confirmed", "contact": {"phone": "2"}},
            "v_none": {"name": "None", "stage": "shortlisted"},
        },
    },
    "guests": {
        "meta": {"": {"_version": 1}},
        "households": {
            "h_1": {"name": "Owen", "side": "a", "address": {"city": "Bath"}},
            "h_2": {"name": "Lee", "side": "b"},
        },
        "guests": {
            "g_1": {
                "firstName": "Chloé",
                "lastName": "Owen",
                "household": "h_1",
                "side": "a",
                "plusOnesAllowed": 1,
                "email": "c@x.org",
                "note": "Sings",
            },
            "g_2": {"firstName": "Max", "plusOneOf": "g_1", "household": "h_1", "side": "a", "note": ""},
            "g_3": {"firstName": "Bo", "lastName": "Lee", "household": "h_2", "side": "b", "phone": "123", "note": ""},
        },
    },
    "care": {"meta": {"": {"_version": 1}}, "care": {"g_3": {"diet:vegan": True, "note": ""}}},
    "budget": {
        "meta": {"": {"_version": 1}},
        "contributions": {"c_1": {"contributor": "Bo", "amount": 500, "guest": "g_3"}},
    },
    "timeline": {
        "meta": {"": {"_version": 1}},
        "items": {},
        "emergencies": {
            "x_1": {"kind": "weather", "text": "Storm", "audience": "everyone"},
            "x_2": {"kind": "medical", "text": "Fall", "acknowledgedBy:u_staff": "2026-05-01T12:00:00Z"},
        },
    },
}
AT = "2026-05-01T12:00:00Z"


@pytest.fixture
def bench() -> Bench:
    return Bench(ROWS)


def phone(bench: Bench, name: str, actor: Actor, client_id: int = 77) -> Phone:
    return Phone(bench, bench.state.derived.documents.get(name) or open_derived(bench, name), actor, client_id)


def codes(notices: list[Any]) -> list[tuple[str, str, str | None, str]]:
    return [
        (each["root"], each["record"], each["key"], each["code"]) for notice in notices for each in notice["reverted"]
    ]


CHLOE = Actor("u_chloe", "guest", guest="g_1")


def test_a_guest_answers_for_herself_and_those_she_brings(bench: Bench) -> None:
    chloe = phone(bench, "guests@self.g_1", CHLOE)
    assert chloe.rows["guests"].keys() == {"g_1", "g_2"}
    assert chloe.rows["guests"]["g_1"]["email"] == "c@x.org"
    assert chloe.rows["households"] == {"h_1": {"name": "Owen", "address": {"city": "Bath"}}}
    assert chloe.rows["care"] == {"g_1": {}}
    assert chloe.set("guests", "g_1", **{"rsvp:e_1": "yes", "meal": "fish"}) == []
    assert chloe.set("guests", "g_2", firstName="Maxine", **{"rsvp:e_1": "no"}) == []
    assert bench.value("guests", "guests", "g_1", "rsvp:e_1") == "yes"
    assert bench.value("guests", "guests", "g_2", "firstName") == "Maxine"
    events = [(each["type"], each["actor"]["user"]) for each in bench.events if each["record"] == "g_2"]
    assert ("guest.rsvp", "u_chloe") in events

    reverted = codes(chloe.set("guests", "g_1", firstName="Zoé", plusOnesAllowed=9, meal="beef"))
    assert [each[2:] for each in reverted] == [("plusOnesAllowed", "server_only"), ("firstName", "read_only")]
    assert (bench.value("guests", "guests", "g_1", "firstName"), bench.value("guests", "guests", "g_1", "meal")) == (
        "Chloé",
        "beef",
    )


def test_a_guest_writes_a_diet_of_which_there_was_no_record(bench: Bench) -> None:
    chloe = phone(bench, "guests@self.g_1", CHLOE)
    assert chloe.set("care", "g_1", **{"diet:vegan": True, "allergy:nuts": "severe"}) == []
    assert bench.value("care", "care", "g_1") == {"diet:vegan": True, "allergy:nuts": "severe", "note": ""}
    assert chloe.set("care", "g_1", **{"diet:vegan": None}) == []
    assert bench.value("care", "care", "g_1") == {"allergy:nuts": "severe", "note": ""}
    cook = phone(bench, "care@cater", Actor("u_cook", "caterer", vendor="v_cook"), 78)
    assert cook.rows["care"] == {"g_1": {"allergy:nuts": "severe"}, "g_3": {"diet:vegan": True}}
    assert codes(cook.set("care", "g_1", **{"acknowledgedBy:u_boss": AT, "diet:halal": True})) == [
        ("care", "g_1", "diet:halal", "server_only"),
        ("care", "g_1", "acknowledgedBy:u_boss", "read_only"),
    ]
    assert cook.set("care", "g_1", **{"acknowledgedBy:u_cook": AT}) == []
    assert bench.value("care", "care", "g_1", "acknowledgedBy:u_cook") == AT


def test_a_guest_brings_no_more_people_than_allowed_in_one_update(bench: Bench) -> None:
    bench.join("p", "planner", 5).set("guests", "guests", "g_1", "plusOnesAllowed", 2)
    bench.sync(bench.replicas[0])
    bench.state.derived.refresh()
    chloe = phone(bench, "guests@self.g_1", CHLOE)

    def bring(doc: Doc[Any]) -> None:
        for number in range(5, 9):
            doc.get("guests", type=Map)[f"g_{number}"] = Map({"firstName": "Pat", "lastName": "Doe", "meal": "fish"})

    assert sorted(each[3] for each in codes(chloe.write(bring))) == ["plus_ones"] * 3
    rows = bench.state.wedding.rows("guests", "guests").values()
    assert [row["side"] for row in rows if row.get("plusOneOf") == "g_1"] == ["a", "a"]


def test_a_guest_brings_no_more_people_than_allowed(bench: Bench) -> None:
    chloe = phone(bench, "guests@self.g_1", CHLOE)
    assert codes(chloe.add("guests", "g_9", {"firstName": "Pat", "plusOneOf": "g_1"})) == [
        ("guests", "g_9", None, "plus_ones")
    ]
    assert bench.value("guests", "guests", "g_9") is None
    for record in ("g_2", "g_3"):  # what is there already is not taken over by adding it
        chloe.add("guests", record, {"firstName": "Pat", "meal": "fish"})
    assert bench.value("guests", "guests", "g_3", "meal") is None
    bench.join("p", "planner", 5).set("guests", "guests", "g_1", "plusOnesAllowed", 2)
    bench.sync(bench.replicas[0])
    bench.state.derived.refresh()
    chloe.sync()
    assert chloe.add("guests", "g_9", {"firstName": "Pat"}) == []
    assert bench.value("guests", "guests", "g_9") == {
        "firstName": "Pat", "plusOneOf": "g_1", "household": "h_1", "side": "a", "note": "",
    }  # fmt: skip
    assert chloe.rows["guests"]["g_9"] == {"firstName": "Pat", "plusOneOf": "g_1"}


def test_the_family_writes_of_its_own_side(bench: Bench) -> None:
    mother = phone(bench, "guests@side.a", Actor("u_mum", "family", side="a"))
    assert mother.rows["guests"]["g_1"]["note"] == "Sings"
    assert mother.rows["guests"]["g_3"] == {"firstName": "Bo", "lastName": "Lee"}
    assert mother.rows["households"]["h_2"] == {"name": "Lee"}
    assert mother.set("guests", "g_1", phone="5", deleted={"at": AT, "by": "u_mum"}) == []
    assert "g_1" not in mother.rows["guests"]
    assert bench.value("guests", "guests", "g_1", "deleted")["by"] == "u_mum"
    assert codes(mother.set("guests", "g_3", firstName="X")) == [("guests", "g_3", "firstName", "read_only")]
    assert mother.add("guests", "g_8", {"firstName": "Ann", "side": "a"}) == []
    assert bench.value("guests", "guests", "g_8") == {"firstName": "Ann", "side": "a", "note": ""}
    assert codes(mother.add("guests", "g_7", {"firstName": "Ann", "side": "b"})) == [
        ("guests", "g_7", None, "read_only")
    ]
    assert codes(mother.set("guests", "g_8", side="b")) == [("guests", "g_8", "side", "read_only")]
    assert codes(mother.write(lambda doc: doc.get("guests", type=Map).pop("g_8"))) == [
        ("guests", "g_8", None, "not_removable")
    ]


def test_telephone_numbers_are_shown_while_the_wedding_is_live(bench: Bench) -> None:
    coord = phone(bench, "guests@coord", Actor("u_co", "coordinator"))
    assert coord.rows["guests"]["g_3"] == {"firstName": "Bo", "lastName": "Lee"}
    planner = bench.join("p", "couple", 5)
    planner.set("wedding", "meta", "", "phase", "live")
    bench.sync(planner)
    bench.state.derived.refresh()
    coord.sync()
    assert coord.rows["guests"]["g_3"] == {"firstName": "Bo", "lastName": "Lee", "phone": "123"}
    assert coord.set("guests", "g_3", checkedIn={"at": AT, "by": "u_co"}) == []
    assert bench.value("guests", "guests", "g_3", "checkedIn") == {"at": AT, "by": "u_co"}
    planner.set("wedding", "meta", "", "phase", "closed")
    bench.sync(planner)
    bench.state.derived.refresh()
    coord.sync()
    assert "phone" not in coord.rows["guests"]["g_3"]
    (update,) = coord.document.diff(b"\0") or ()
    assert b"123" not in update


def test_somebody_gives_and_changes_only_what_is_their_own(bench: Bench) -> None:
    chloe = phone(bench, "budget@contrib.g_1", Actor("u_chloe", "family", guest="g_1"))
    assert (chloe.rows["contributions"], chloe.rows["totals"]) == ({}, {"contributions": {"amount": 500}})
    mine = {"contributor": "Chloé", "amount": 200, "guest": "g_1"}
    assert chloe.add("contributions", "c_2", mine) == []
    assert bench.value("budget", "contributions", "c_2") == mine
    assert chloe.rows["totals"] == {"contributions": {"amount": 700}}
    assert codes(chloe.add("contributions", "c_3", mine | {"guest": "g_3"})) == [
        ("contributions", "c_3", None, "read_only")
    ]
    assert codes(chloe.add("contributions", "c_1", mine)) == [("contributions", "c_1", None, "exists")]
    assert chloe.write(lambda doc: doc.get("contributions", type=Map).pop("c_2")) == []
    assert bench.value("budget", "contributions", "c_2") is None
    assert bench.value("budget", "contributions", "c_1")["amount"] == 500


def test_vendors_set_the_status_of_their_own(bench: Bench) -> None:
    lens = phone(bench, "wedding@service", Actor("u_lens", "photographer", vendor="v_lens"))
    assert lens.rows["vendors"] == {
        "v_lens": {"name": "Lens", "category": "photographer"},
        "v_plan": {"name": "Plan", "category": "planner", "contact": {"phone": "2"}},
    }
    assert lens.set("vendors", "v_lens", dayStatus="on_site") == []
    assert bench.value("wedding", "vendors", "v_lens", "dayStatus") == "on_site"
    assert codes(lens.set("vendors", "v_plan", dayStatus="late")) == [("vendors", "v_plan", "dayStatus", "read_only")]


def test_everybody_acknowledges_emergencies_that_they_are_told_of(bench: Bench) -> None:
    guest = phone(bench, "timeline@public", Actor("u_guest", "guest"))
    vendor = phone(bench, "timeline@v.v_lens", Actor("u_lens", "photographer", vendor="v_lens"), 78)
    assert guest.rows["emergencies"] == {"x_1": {"kind": "weather", "text": "Storm"}}
    assert vendor.rows["emergencies"].keys() == {"x_1", "x_2"}
    assert vendor.rows["emergencies"]["x_2"] == {"kind": "medical", "text": "Fall"}
    assert guest.set("emergencies", "x_1", **{"acknowledgedBy:u_guest": AT}) == []
    assert guest.rows["emergencies"]["x_1"]["acknowledgedBy:u_guest"] == AT
    assert bench.value("timeline", "emergencies", "x_1", "acknowledgedBy:u_guest") == AT
    assert codes(guest.set("emergencies", "x_1", **{"acknowledgedBy:u_lens": AT})) == [
        ("emergencies", "x_1", "acknowledgedBy:u_lens", "read_only")
    ]
    vendor.sync()
    assert "acknowledgedBy:u_guest" not in vendor.rows["emergencies"]["x_1"]


LENS = Actor("u_lens", "photographer", vendor="v_lens", rights=default_policy().rights_to_write("photographer"))
EMERGENCY = {"kind": "power", "severity": "critical", "text": "The tent is dark", "at": AT}


def test_a_vendor_raises_an_emergency(bench: Bench) -> None:
    lens = phone(bench, "timeline@v.v_lens", LENS)
    assert lens.add("emergencies", "x_3", EMERGENCY) == []
    assert bench.value("timeline", "emergencies", "x_3") == {**EMERGENCY, "by": "u_lens"}
    assert lens.rows["emergencies"]["x_3"] == EMERGENCY
    for change in ({"text": "It is light"}, {"acknowledgedBy:u_dj": AT}):  # others have been called already
        ((_, _, _, code),) = codes(lens.set("emergencies", "x_3", **change))
        assert code == "read_only"
    assert codes(lens.set("emergencies", "x_1", text="No storm")) == [("emergencies", "x_1", "text", "read_only")]
    assert codes(lens.add("emergencies", "x_4", EMERGENCY | {"audience": "everyone"})) == [
        ("emergencies", "x_4", "audience", "server_only")
    ]
    assert bench.value("timeline", "emergencies", "x_4", "audience") is None
    assert bench.value("timeline", "emergencies", "x_3", "text") == EMERGENCY["text"]


def test_whoever_acknowledges_by_a_command_is_known_from_then_on(bench: Bench) -> None:
    """Also when the document is opened again: its rows show acknowledgements of those who have written in it."""
    document = open_derived(bench, "timeline@v.v_lens")
    ack = Operation(op="set", root="emergencies", record="x_2", key="acknowledgedBy:u_lens", value=AT)
    for _ in range(2):
        done = command(bench.state, LENS, CommandBody([CommandPart("timeline@v.v_lens", [ack])]), 100)
        assert done == CommandDone('{"operations": 1}')
    bench.state.derived.refresh()
    assert document.rows.roots["emergencies"]["x_2"]["acknowledgedBy:u_lens"] == AT
    records = document.take_records()
    assert records is not None
    ((client, user),) = [(each.client, each.user) for each in records.owners]
    assert (user, client > 1 << 32, client < 1 << 53) == ("u_lens", True, True)
    again = open_derived(bench, "timeline@v.v_lens", tuple(document.take_outgoing()), {client: user})
    assert again.rows.roots["emergencies"]["x_2"]["acknowledgedBy:u_lens"] == AT


def test_nobody_hides_the_acknowledgements_of_another_person(bench: Bench) -> None:
    """By claiming the client id that follows from the name of that person."""
    client = COMMANDING + int.from_bytes(sha256(b"u_ann").digest()[:6])
    phone(bench, "timeline@public", Actor("u_bo", "guest"), client).set(
        "emergencies", "x_1", **{"acknowledgedBy:u_bo": AT}
    )
    ack = Operation(op="set", root="emergencies", record="x_1", key="acknowledgedBy:u_ann", value=AT)
    body = CommandBody([CommandPart("timeline@public", [ack])])
    assert type(command(bench.state, Actor("u_ann", "guest"), body, 100)) is CommandDone
    bench.state.derived.refresh()
    shown = bench.state.derived.documents["timeline@public"]
    assert shown.rows.roots["emergencies"]["x_1"]["acknowledgedBy:u_ann"] == AT
    assert {user: number - client for number, user in shown.items.owners.items()} | {"server": 0} == {
        "u_bo": 0, "u_ann": 1, "server": 0
    }  # fmt: skip


def test_a_command_needs_the_documents_that_it_is_written_to(bench: Bench) -> None:
    open_derived(bench, "timeline@v.v_lens")
    ack = Operation(op="set", root="emergencies", record="x_2", key="acknowledgedBy:u_lens", value=AT)
    body = CommandBody([CommandPart("timeline@v.v_lens", [ack])])
    bench.state.detach(bench.state.open["timeline"])
    assert command(bench.state, LENS, body, 100) == CommandLacks(["timeline"])
    assert bench.state.resolver.needed == {"timeline"}


def test_emergencies_of_a_vendor_are_bounded(bench: Bench) -> None:
    lens = phone(bench, "timeline@v.v_lens", LENS)
    for number in range(MOST_RAISED):
        assert lens.add("emergencies", f"y_{number}", EMERGENCY) == []
    assert codes(lens.add("emergencies", "y_more", EMERGENCY))[0][3] == "too_many"
    planner = bench.join("p", "planner", 5)
    planner.set("timeline", "emergencies", "y_1", "closed", {"at": AT, "by": "p"})
    bench.sync(planner)
    assert lens.add("emergencies", "y_then", EMERGENCY) == []


def test_records_without_a_field_count_as_well(bench: Bench) -> None:
    """Each is made in the source, with what follows from its author."""
    lens = phone(bench, "timeline@v.v_lens", LENS)
    names = [f"y_{number}" for number in range(MOST_RAISED + 1)]

    def raise_all(doc: Doc[Any]) -> None:
        for name in names:
            doc.get("emergencies", type=Map)[name] = Map()

    assert [each[3] for each in codes(lens.write(raise_all))] == ["too_many"]
    assert sum(bench.value("timeline", "emergencies", name) is not None for name in names) == MOST_RAISED
    body = CommandBody(
        [CommandPart("timeline@v.v_lens", [Operation(op="insert", root="emergencies", record="y_more", value={})])]
    )
    refused = command(bench.state, LENS, body, 100)
    assert isinstance(refused, CommandRefused)
    assert [each["code"] for each in refused.problems] == ["too_many"]


def test_a_guest_brings_no_more_people_than_allowed_also_without_a_name(bench: Bench) -> None:
    guest = phone(bench, "guests@self.g_1", Actor("u_guest", "guest", guest="g_1"))
    bench.state.write([Op("set", "guests", "guests", "g_1", "plusOnesAllowed", 2)], Actor("p", "planner"))
    bench.state.derived.refresh()
    guest.sync()

    def bring_three(doc: Doc[Any]) -> None:
        for number in range(3):
            doc.get("guests", type=Map)[f"g_more{number}"] = Map()

    assert [each[3] for each in codes(guest.write(bring_three))] == ["plus_ones"] * 2
    assert len([each for each in bench.rows("guests")["guests"] if each.startswith("g_more")]) == 1


def test_guests_raise_no_emergencies(bench: Bench) -> None:
    guest = phone(bench, "timeline@public", Actor("u_guest", "guest"))
    assert codes(guest.add("emergencies", "x_3", EMERGENCY))[0][3] == "server_only"
    assert bench.value("timeline", "emergencies", "x_3") is None


def test_two_phones_that_have_not_seen_each_other(bench: Bench) -> None:
    """Whichever has the higher client id: both values are in the conflict, and the source has one of them."""
    for record, ids in (("g_1", (71, 72)), ("g_2", (74, 73))):
        one, two = (phone(bench, "guests@self.g_1", Actor(f"u_{n}", "guest", guest="g_1"), n) for n in ids)
        one.set_offline("guests", record, meal="fish")
        two.set_offline("guests", record, meal="beef")
        one.sync()
        two.sync()
        (conflict,) = [each for each in bench.reviews("X1") if each["_subject"][0]["record"] == record]
        assert {each["value"] for each in conflict["_parties"]} == {"fish", "beef"}
        assert bench.value("guests", "guests", record, "meal") == "beef"  # who came last, their rank being equal
        one.sync()
        assert one.rows["guests"][record]["meal"] == "beef"


def test_an_edit_of_what_was_hidden_and_is_shown_again_is_concurrent(bench: Bench) -> None:
    chloe = phone(bench, "guests@self.g_1", CHLOE)
    planner = bench.join("p", "planner", 5)
    chloe.set_offline("guests", "g_2", meal="fish")
    for host in ("g_3", "g_1"):
        planner.set("guests", "guests", "g_2", "plusOneOf", host)
        planner.set("guests", "guests", "g_2", "meal", "beef")
        bench.sync(planner)
        bench.state.derived.refresh()
    assert chloe.sync() == []
    (conflict,) = bench.reviews("X1")
    assert {(each["user"], each["value"]) for each in conflict["_parties"]} == {("p", "beef"), ("u_chloe", "fish")}
    assert bench.value("guests", "guests", "g_2", "meal") == "beef"


@pytest.mark.parametrize("strategy", ["merge_changes", "wedding_hierarchy"])
def test_answers_after_the_last_day(bench: Bench, strategy: str) -> None:
    couple = bench.join("u_c", "couple", 5)
    for key, value in (("timeZone", "America/New_York"), ("rsvpBy", "2026-05-01"), ("strategy:G4", strategy)):
        couple.set("wedding", "meta", "", key, value)
    bench.sync(couple)
    chloe = phone(bench, "guests@self.g_1", CHLOE)
    bench.wait(15 * 3600)  # 23:00 there
    assert chloe.set("guests", "g_1", **{"rsvp:e_1": "maybe"}) == []
    assert bench.reviews("G4") == []
    chloe.set_offline("guests", "g_1", **{"rsvp:e_1": "yes"}, meal="fish")
    bench.wait(2 * 3600)
    reverted = codes(chloe.sync())
    flagged = [each["_state"] for each in bench.reviews("G4")]
    guest = bench.value("guests", "guests", "g_1")
    assert guest["meal"] == "fish"
    if strategy == "merge_changes":
        assert (reverted, flagged, guest["rsvp:e_1"]) == ([], ["auto"], "yes")
        return
    assert reverted == [("guests", "g_1", "rsvp:e_1", "too_late")]
    assert (flagged, guest["rsvp:e_1"]) == ([], "maybe")
    assert codes(chloe.set("guests", "g_1", **{"rsvp:e_1": None})) == [("guests", "g_1", "rsvp:e_1", "too_late")]
    assert codes(chloe.set("guests", "g_2", **{"rsvp:e_1": "yes"})) == [("guests", "g_2", "rsvp:e_1", "too_late")]
    coord = phone(bench, "guests@coord", Actor("u_co", "coordinator"), 78)
    assert coord.set("guests", "g_1", **{"rsvp:e_1": "no"}) == []


MUM = Actor("u_mum", "family", side="a")
DELETED = {"at": AT, "by": "u_mum"}


@pytest.mark.parametrize(("role", "stays"), [("planner", False), ("guest", True)])
def test_an_offline_deletion_that_had_not_seen_an_edit(bench: Bench, role: str, stays: bool) -> None:
    """The record stays deleted where the one who deleted it ranks as high as the one who edited it; both are told."""
    mother = phone(bench, "guests@side.a", MUM)
    mother.set_offline("guests", "g_2", deleted=DELETED)
    if role == "guest":
        assert phone(bench, "guests@self.g_1", CHLOE, 78).set("guests", "g_2", meal="beef") == []
    else:
        planner = bench.join("u_plan", role, 5)
        planner.set("guests", "guests", "g_2", "meal", "beef")
        bench.sync(planner)
        bench.state.derived.refresh()
    assert mother.sync() == []
    (conflict,) = bench.reviews("X2")
    assert [(each["user"], each["value"]) for each in conflict["_parties"]][1] == (
        "u_chloe" if role == "guest" else "u_plan",
        "beef",
    )
    row = bench.value("guests", "guests", "g_2")
    assert (row["meal"], "deleted" in row) == ("beef", stays)
    mother.sync()
    assert ("g_2" in mother.rows["guests"]) is not stays


def test_a_deletion_that_had_seen_everything_is_no_conflict(bench: Bench) -> None:
    planner = bench.join("u_plan", "planner", 5)
    planner.set("guests", "guests", "g_2", "meal", "beef")
    bench.sync(planner)
    bench.state.derived.refresh()
    mother = phone(bench, "guests@side.a", MUM)
    mother.set_offline("guests", "g_2", deleted=DELETED)
    assert mother.sync() == []
    assert bench.reviews("X2") == []
    assert bench.value("guests", "guests", "g_2", "deleted") == DELETED


def delete(bench: Bench, root: str, record: str) -> None:
    document = "timeline" if root == "items" else "guests"
    planner = bench.join("u_plan", "planner", 5)
    planner.set(document, root, record, "deleted", {"at": AT, "by": "u_plan"})
    bench.sync(planner)
    bench.state.derived.refresh()


def test_an_edit_of_what_was_deleted_meanwhile_is_told(bench: Bench) -> None:
    mother = phone(bench, "guests@side.a", MUM)
    mother.set_offline("guests", "g_2", meal="PLANTED", email="m@x.org")
    delete(bench, "guests", "g_2")
    mother.document.take_outgoing()
    assert mother.sync() == []
    (conflict,) = bench.reviews("X2")
    assert [each["user"] for each in conflict["_parties"]] == ["u_plan", "u_mum"]
    row = bench.value("guests", "guests", "g_2")
    assert (row["meal"], row["email"], row["deleted"]["by"]) == ("PLANTED", "m@x.org", "u_plan")
    assert "g_2" not in mother.rows["guests"]
    assert b"PLANTED" not in b"".join([*mother.document.take_outgoing(), *(mother.document.diff(b"\0") or ())])


def test_an_edit_by_a_higher_rank_than_that_of_the_deletion_restores_the_record(bench: Bench) -> None:
    bench.join("u_couple", "couple", 6).set("wedding", "meta", "", "phase", "live")
    bench.sync(bench.replicas[0])
    bench.state.derived.refresh()
    coord = phone(bench, "guests@coord", Actor("u_co", "coordinator"))
    coord.set_offline("guests", "g_2", checkedIn={"at": AT, "by": "u_co"})
    delete(bench, "guests", "g_2")
    assert coord.sync() == []
    row = bench.value("guests", "guests", "g_2")
    assert ("deleted" in row, row["checkedIn"]["by"]) == (False, "u_co")
    coord.sync()
    assert coord.rows["guests"]["g_2"]["checkedIn"]["by"] == "u_co"


def test_two_edits_of_one_field_of_a_deleted_record_are_both_told(bench: Bench) -> None:
    mother = phone(bench, "guests@side.a", MUM)
    planner = bench.join("u_plan", "planner", 5)
    mother.set_offline("guests", "g_2", meal="fish")
    planner.set("guests", "guests", "g_2", "meal", "beef")
    bench.sync(planner)
    bench.state.derived.refresh()
    delete(bench, "guests", "g_2")
    mother.sync()
    assert len(bench.reviews("X1")) == len(bench.reviews("X2")) == 1
    assert bench.value("guests", "guests", "g_2", "meal") == "beef"


def test_what_somebody_had_no_right_to_is_no_edit_of_a_deleted_record(bench: Bench) -> None:
    planner = bench.join("u_plan", "planner", 5)
    planner.add("timeline", "items", "i_1", {"title": "Portraits", "vendor:v_lens": True})
    planner.set("guests", "guests", "g_3", "side", "a")
    bench.sync(planner)
    bench.state.derived.refresh()
    mother = phone(bench, "guests@side.a", MUM)
    lens = phone(bench, "timeline@v.v_lens", Actor("u_lens", "photographer", vendor="v_lens"), 78)
    mother.set_offline("guests", "g_3", meal="fish", checkedIn={"at": AT, "by": "u_mum"})
    mother.set_offline("guests", "g_2", _state="mine")
    lens.set_offline("items", "i_1", status="done")
    planner.set("guests", "guests", "g_3", "side", "b")
    planner.set("timeline", "items", "i_1", "visibility", "private")
    bench.sync(planner)
    for root, record in (("guests", "g_2"), ("guests", "g_3"), ("items", "i_1")):
        delete(bench, root, record)
    mother.sync()
    lens.sync()
    assert bench.reviews("X2") == []
    assert bench.value("guests", "guests", "g_3").keys() & {"meal", "checkedIn"} == set()
    assert "status" not in bench.value("timeline", "items", "i_1")


def test_what_may_not_be_written_is_nobody_elses_to_read(bench: Bench) -> None:
    chloe = phone(bench, "guests@self.g_1", CHLOE)
    chloe.document.take_outgoing()
    chloe.set("guests", "g_1", firstName="PLANTED", meal="fish")
    chloe.add("guests", "g_3", {"firstName": "PLANTED"})
    chloe.write(lambda doc: doc.get("members", type=Map).__setitem__("u_1", "PLANTED"))
    chloe.set_offline("guests", "g_1", lastName="PLANTED")
    planner = bench.join("p", "planner", 5)
    planner.set("guests", "guests", "g_1", "lastName", "Owens")
    bench.sync(planner)
    bench.state.derived.refresh()
    chloe.sync()
    sent = b"".join(chloe.document.take_outgoing())
    assert b"fish" in sent
    assert b"PLANTED" not in sent
    (everything,) = chloe.document.diff(b"\0") or ()
    assert b"PLANTED" not in everything


def held_to_policy(user: str, role: str, **whose: str) -> Actor:
    return Actor(user, role, **whose, rights=default_policy().rights_to_write(role))


def test_the_rules_of_roles_hold_for_what_is_written_here(bench: Bench) -> None:
    planner = bench.join("p", "planner", 5)
    planner.set("guests", "guests", "g_1", "plusOnesAllowed", 5)
    planner.set("guests", "guests", "g_3", "side", "both")
    planner.add("timeline", "items", "i_1", {"title": "Portraits", "vendor:v_lens": True})
    bench.sync(planner)
    chloe = phone(bench, "guests@self.g_1", held_to_policy("u_chloe", "guest", guest="g_1"))
    assert chloe.set("guests", "g_1", **{"rsvp:e_1": "yes"}) == []
    assert chloe.set("guests", "g_2", lastName="Owen") == []
    assert chloe.set("care", "g_1", **{"diet:vegan": True}) == []
    assert bench.value("care", "care", "g_1", "diet:vegan") is True
    for guest in ("g_7", "g_9"):
        assert chloe.add("guests", guest, {"firstName": "Pat", "kind": "child", "rsvp:e_1": "yes"}) == []
    assert bench.value("guests", "guests", "g_9") == {
        "firstName": "Pat", "kind": "child", "rsvp:e_1": "yes", "plusOneOf": "g_1", "household": "h_1", "side": "a",
        "note": "",
    }  # fmt: skip
    assert codes(chloe.set("guests", "g_9", plusOneOf="g_3")) == [("guests", "g_9", "plusOneOf", "read_only")]
    lens = phone(bench, "timeline@v.v_lens", held_to_policy("u_lens", "photographer", vendor="v_lens"), 78)
    assert lens.set("items", "i_1", status="ready", **{"vendorNote:v_lens": "Sun"}) == []
    assert lens.set("emergencies", "x_2", **{"acknowledgedBy:u_lens": AT}) == []
    mother = phone(bench, "guests@side.a", held_to_policy("u_mum", "family", side="a"), 79)
    assert mother.set("guests", "g_1", phone="5") == []
    assert mother.add("guests", "g_8", {"firstName": "Ann", "side": "a"}) == []
    assert codes(mother.set("guests", "g_3", phone="5")) == [("guests", "g_3", "phone", "not_allowed")]
    coord = phone(bench, "guests@coord", held_to_policy("u_co", "coordinator"), 80)
    assert coord.set("guests", "g_3", **{"rsvp:e_1": "no"}) == []
    assert bench.value("guests", "guests", "g_3") == {
        "firstName": "Bo", "lastName": "Lee", "household": "h_2", "side": "both", "phone": "123", "note": "",
        "rsvp:e_1": "no",
    }  # fmt: skip
    guest = phone(bench, "timeline@public", held_to_policy("u_guest", "guest"), 81)
    assert guest.set("emergencies", "x_1", **{"acknowledgedBy:u_guest": AT}) == []


def test_stamps_here_have_the_id_of_their_writer(bench: Bench) -> None:
    coord = phone(bench, "guests@coord", held_to_policy("u_co", "coordinator"))
    assert codes(coord.set("guests", "g_3", checkedIn={"at": AT, "by": "u_mum"})) == [
        ("guests", "g_3", "checkedIn", "not_allowed")
    ]
    assert coord.set("guests", "g_3", checkedIn={"at": AT, "by": "u_co"}) == []
    assert bench.value("guests", "guests", "g_3", "checkedIn") == {"at": AT, "by": "u_co"}


def test_those_whose_name_no_field_holds_write_under_the_id_that_follows_from_it(bench: Bench) -> None:
    user = "lens@example.org"
    lens = phone(bench, "timeline@v.v_lens", held_to_policy(user, "photographer", vendor="v_lens"))
    assert lens.set("emergencies", "x_2", **{f"acknowledgedBy:{written_as(user)}": AT}) == []
    assert bench.value("timeline", "emergencies", "x_2", f"acknowledgedBy:{written_as(user)}") == AT


def test_one_edit_adds_no_more_people_than_allowed(bench: Bench) -> None:
    planner = bench.join("p", "planner", 5)
    planner.set("guests", "guests", "g_1", "plusOnesAllowed", 3)
    bench.sync(planner)
    chloe = phone(bench, "guests@self.g_1", held_to_policy("u_chloe", "guest", guest="g_1"))

    def bring_three(doc: Doc[Any]) -> None:
        for guest in ("g_7", "g_8", "g_9"):
            doc.get("guests", type=Map)[guest] = Map({"firstName": "Pat"})

    refused = codes(chloe.write(bring_three))
    assert [(root, key, code) for root, _, key, code in refused] == [("guests", None, "plus_ones")]
    brought = [each for each in ("g_2", "g_7", "g_8", "g_9") if bench.value("guests", "guests", each) is not None]
    assert len(brought) == 3


def test_the_family_pledges_for_itself(bench: Bench) -> None:
    chloe = phone(bench, "budget@contrib.g_1", held_to_policy("u_chloe", "family", guest="g_1", side="a"))
    mine = {"contributor": "Chloé", "amount": 200, "guest": "g_1"}
    assert chloe.add("contributions", "c_2", mine) == []
    assert chloe.write(lambda doc: doc.get("contributions", type=Map).__setitem__("c_2", mine | {"amount": 9})) == []
    assert bench.value("budget", "contributions", "c_2", "amount") == 9
    assert codes(chloe.add("contributions", "c_3", mine | {"guest": "g_3"})) == [
        ("contributions", "c_3", None, "read_only")
    ]
    assert chloe.write(lambda doc: doc.get("contributions", type=Map).pop("c_2")) == []
    assert bench.value("budget", "contributions", "c_2") is None
