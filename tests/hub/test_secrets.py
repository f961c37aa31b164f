"""Planted strings in every document of a wedding: of each derived document the frames hold those that it shows only,
when it is made, after compaction, and after a restart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crdt_server.hub.hub import Hub
from crdt_server.settings import Settings
from documents.derived import DECLARATIONS
from storage import Storage
from tests.hub.derived import Reader, close, stored_bytes
from tests.support.hosts import make_hub

ROWS: dict[str, dict[str, dict[str, Any]]] = {
    "wedding": {
        "events": {"e_1": {"name": "EVENT", "visibility": "public"}, "e_2": {"name": "INVITED"}},
        "places": {"p_1": {"name": "PLACE"}},
        "tasks": {"k_1": {"title": "TASK"}},
        "vendors": {
            "v_1": {"name": "VENDOR", "category": "photographer", "stage": "booked", "contact": {"phone": "VPHONE"}},
            "v_2": {"name": "SHORTLIST", "stage": "shortlisted"},
            "v_3": {"name": "PLANNER", "category": "planner", "stage": "booked", "contact": {"phone": "PPHONE"}},
        },
    },
    "timeline": {
        "items": {
            "i_1": {"title": "PUBLIC", "visibility": "public", "note": "TEAMNOTE", "vendorNote:v_2": "VNOTE"},
            "i_2": {"title": "TEAM"},
            "i_3": {"title": "PRIVATE", "visibility": "private", "vendor:v_1": True, "keyMoment": True},
            "i_4": {"title": "OWN", "vendor:v_1": True, "vendorNote:v_1": "OWNNOTE"},
            "i_5": {"title": "KEY", "keyMoment": True},
        },
        "emergencies": {
            "x_1": {"text": "ALERT", "audience": "team"},
            "x_2": {"text": "STORM", "audience": "everyone", "by": "u_boss"},
        },
    },
    "guests": {
        "households": {"h_1": {"name": "HOUSE", "side": "a", "address": {"city": "CITY"}}},
        "guests": {
            "g_1": {"firstName": "Ann", "lastName": "SURNAME", "side": "a", "phone": "GPHONE", "email": "GMAIL",
                    "household": "h_1", "note": "GNOTE"},
            "g_2": {"firstName": "Bo", "side": "b", "phone": "BPHONE", "party": "bridesmaid"},
        },
    },
    "care": {
        "care": {"g_1": {"diet:vegan": True, "access": "RAMP", "note": "MEDICAL"}, "g_2": {"allergy:nuts": "severe"}},
    },
    "budget": {
        "items": {"b_1": {"name": "COST", "note": "BUDGETNOTE"}},
        "contributions": {"c_1": {"contributor": "GIVER", "amount": 5, "guest": "g_1"},
                          "c_2": {"contributor": "SOMEBODY", "amount": 7, "guest": "g_2"}},
    },
    "seating": {
        "tables": {"t_1": {"label": "LABEL"}},
        "assignments": {"g_1": {"table": "t_1", "seat": 1}},
        "rules": {"r_1": {"reason": "FEUD"}},
    },
}  # fmt: skip
PUBLIC = {"EVENT", "PLACE"}
SHOWN = {
    "wedding@public": PUBLIC,
    "wedding@service": {*PUBLIC, "VENDOR", "PLANNER", "PPHONE"},
    "timeline@public": {"PUBLIC"},
    "timeline@team": {"PUBLIC", "TEAMNOTE", "TEAM", "VNOTE", "OWN", "OWNNOTE", "KEY"},
    "timeline@v.v_1": {"OWN", "OWNNOTE", "KEY"},
    "guests@self.g_1": {"Ann", "SURNAME", "GPHONE", "GMAIL", "HOUSE", "CITY", "LABEL", "RAMP", "vegan"},
    "guests@side.a": {"Ann", "SURNAME", "GPHONE", "GMAIL", "GNOTE", "HOUSE", "CITY", "Bo"},
    "guests@side.b": {"Ann", "SURNAME", "HOUSE", "Bo", "BPHONE", "bridesmaid"},
    "guests@coord": {"Ann", "SURNAME", "Bo", "bridesmaid"},
    "guests@phones": {"Ann", "SURNAME", "GPHONE", "Bo", "BPHONE"},
    "guests@service": {"Ann", "Bo", "LABEL"},
    "guests@party": {"HOUSE", "Bo", "bridesmaid"},
    "care@cater": {"vegan", "nuts", "LABEL"},
    "care@venue": {"vegan", "RAMP", "LABEL"},
    "seating@service": {"Ann", "LABEL"},
    "budget@contrib.g_1": {"GIVER"},
}
TEAM = {"guests@coord", "guests@phones"}  # told of emergencies of the team


HIDDEN = {
    "INVITED", "TASK", "VPHONE", "SHORTLIST", "PRIVATE", "u_boss", "BUDGETNOTE", "SOMEBODY", "COST", "MEDICAL", "FEUD",
}  # fmt: skip
PLANTED = {*HIDDEN, "ALERT", "STORM"}.union(*SHOWN.values())


def found_in(data: bytes) -> set[str]:
    return {word for word in PLANTED if word.encode() in data}


async def plant(hub: Hub) -> list[Reader]:
    people = []
    for number, (document, roots) in enumerate(ROWS.items()):
        person = Reader(hub, document, 11 + number)
        await person.is_synced()
        for root, records in roots.items():
            for record, fields in records.items():
                if root in ("assignments", "contributions"):
                    person.put(root, record, fields)
                else:
                    person.add(root, record, fields)
        await person.until(lambda rows, roots=roots: all(rows[root].keys() >= roots[root].keys() for root in roots))
        people.append(person)
    return people


async def look(hub: Hub, shown: Mapping[str, set[str]], client_id: int) -> None:
    """Open each document as a newcomer, and search its frames and what is stored then."""
    for number, (name, words) in enumerate(shown.items()):
        reader = Reader(hub, name, client_id + number)
        expected = {*words, "STORM"} | ({"ALERT"} if name in TEAM else set())
        await reader.until(lambda _, reader=reader, expected=expected: found_in(reader.received_bytes()) >= expected)
        assert found_in(reader.received_bytes()) == expected, name
        await close(hub, reader)
        assert found_in(await stored_bytes(hub, name)) == expected, name


async def test_each_derived_document_holds_what_it_shows_and_nothing_else(storage: Storage) -> None:
    assert {name.partition(".")[0] for name in SHOWN} == {each.name for each in DECLARATIONS}
    settings = Settings(dev=True, document_hosts=1, max_strikes=0)
    hub = make_hub(settings, storage)
    await hub.start()
    people = await plant(hub)
    await look(hub, SHOWN, 100)
    await look(hub, SHOWN, 200)
    planner, guests = people[1], people[2]
    planner.set("items", "i_1", visibility="private")
    await planner.until(lambda rows: rows["items"]["i_1"]["visibility"] == "private")
    guests.set("guests", "g_1", phone=None, lastName="Smith")
    await guests.until(lambda rows: rows["guests"]["g_1"]["lastName"] == "Smith")
    await hub.stop()
    gone = {"PUBLIC", "TEAMNOTE", "VNOTE", "SURNAME", "GPHONE"}
    hub = make_hub(settings, storage)
    await hub.start()
    await look(hub, {name: words - gone for name, words in SHOWN.items()}, 300)
    await hub.stop()
