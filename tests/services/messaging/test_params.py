"""The values of texts, by real edits: with units where they have one, and with the names of what a record refers to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from crdt_server.services import grants
from crdt_server.services.messaging import params
from crdt_server.services.messaging.model import Channel
from crdt_server.services.messaging.params import PARAMS_BYTES
from crdt_server.services.messaging.texts import render
from storage import DerivedRecords, DocumentKey, NewEvent, StoredGrant
from tests.services.messaging.conftest import AT, PEOPLE, World
from tests.support.deliveries import delivery, notice

pytestmark = pytest.mark.asyncio(loop_scope="module")

MESSAGE = {"from": "aroha", "at": "2026-06-01T12:00:00Z", "kind": "text", "body": "<b>Kia ora</b>\r\nBcc: x"}
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
Edit = tuple[str, str, str, Mapping[str, Any]]

SETUP: tuple[Edit, ...] = (
    ("wedding", "places", "p_1", {"name": "Garden"}),
    ("wedding", "vendors", "v_flowers", {"name": "Flora", "stage": "quoted"}),
    ("guests", "guests", "g_1", {"firstName": "Chloé", "lastName": "Ngata"}),
    ("seating", "tables", "s_1", {"label": "Table 1", "capacity": 8}),
    ("budget", "items", "i_1", {"name": "Peonies", "vendor": "v_flowers", "quoted": 900}),
    ("timeline", "items", "t_1", {"title": "Toast", "start": 900, "place": "p_1", "vendor:v_flowers": True}),
)
CASES: list[tuple[Edit, str, dict[str, str]]] = [
    (("timeline", "items", "t_1", {"start": 945}), "ben",
     {"title": "Toast", "place": "Garden", "fields": "start", "before_minutes": "900", "after_minutes": "945"}),
    (("timeline", "items", "t_1", {"keyMoment": True, "minDuration": 5}), "ben",
     {"title": "Toast", "place": "Garden", "fields": "keyMoment, minDuration",
      "after": "keyMoment: true; minDuration: 5"}),
    (("guests", "guests", "g_1", {"rsvp:e_1": "yes"}), "ben",
     {"title": "Chloé Ngata", "fields": "rsvp:e_1", "after": "yes"}),
    (("budget", "payments", "y_1", {"item": "i_1", "amount": 500, "on": "2026-05-30", "kind": "deposit"}), "ben",
     {"title": "Peonies", "vendor": "Flora", "amount_minor": "500", "on": "2026-05-30", "kind": "deposit"}),
    (("budget", "payments", "y_1", {"item": "i_1", "amount": 500, "on": "2026-05-30", "kind": "deposit"}), "flo",
     {"title": "Flora", "vendor": "Flora", "amount_minor": "500", "on": "2026-05-30", "kind": "deposit"}),
    (("budget", "approvals", "a_1", {"item": "i_1", "field": "quoted", "from": 900, "to": 950}), "pia",
     {"title": "Peonies", "before_minor": "900", "after_minor": "950"}),
    (("wedding", "vendors", "v_flowers", {"dayStatus": "late"}), "cora",
     {"title": "Flora", "fields": "dayStatus", "after": "late", "status": "late"}),
    (("wedding", "tasks", "k_1", {"title": "Call", "assignee": "pia", "due": "2026-06-02"}), "pia",
     {"title": "Call", "due": "2026-06-02"}),
    (("timeline", "emergencies", "e_1", {"kind": "power", "text": "dark", "severity": "error"}), "flo",
     {"text": "dark", "kind": "power", "severity": "error"}),
    (("thread.t_1", "messages", "01JY3Z8Q7M4T2V6W8X9Y000001", MESSAGE), "pia",
     {"title": "Flowers", "text": "<b>Kia ora</b>\r\nBcc: x", "kind": "text"}),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(CASES)), ids=lambda number: f"{number}-{CASES[number][0][1]}")
async def test_the_values_of_an_item(world: World, number: int) -> None:
    edit, user, expected = CASES[number]
    await world.begin(f"params{number}")
    about = {"type": "vendor", "status": "open", "priority": 3, "context": "", "created_by": "aroha"}
    await world.put("threads", id="t_1", title="Flowers", at=AT, active_at=AT, **about)
    await world.put("participants", thread="t_1", user="pia", added_by="aroha", at=AT, muted=False)
    for each in SETUP:
        await world.edit(*each)
    await world.settle()
    await world.edit(*edit)
    await world.router().route_all()
    newest = (await world.params(user))[-1]
    assert newest == {"actor": "Aroha", "role": "couple", **expected}


async def test_documents_that_are_asked_for_are_named_in_every_language(world: World) -> None:
    named = {
        "guests": "die Gästeliste",
        "guests@phones": "die Telefonnummern der Gäste",
        "thread.t_1": "thread.\u200bt_1",
    }
    for number, (what, words) in enumerate(named.items()):
        await world.begin(f"grant{number}")
        await world.settle()
        grant = StoredGrant("gr_1", "gus", what, "to help", 3600, NOON)
        change = grants._change(grant, PEOPLE["gus"], "grant.asked", NOON)
        await world.storage.change_grant(world.wedding, "gr_1", lambda _, change=change: change, 10, 10)  # type: ignore[misc]
        await world.router().route_all()
        (params,) = await world.params("ben")
        told = delivery(Channel.MAIL, "a@b.example", notice("grant.asked", **params), language="de")
        assert render(told).subject == f"Zugriff erbeten: {words}"


async def test_people_without_a_name_have_that_of_their_guest_vendor_or_presence(world: World) -> None:
    await world.begin("nameless")
    await world.edit("guests", "guests", "g_gus", {"firstName": "Chloé", "lastName": "Ngata"})
    await world.edit("wedding", "vendors", "v_flowers", {"name": "Flora", "stage": "booked"})
    for user in ("gus", "flo", "fay"):
        await world.put_member(PEOPLE[user]._replace(name=""))
    await world.put_member(PEOPLE["pho"], removed=True)
    there = {"role": "family", "at": AT, "changed_at": AT, "connected": False, "node": "n", "documents": "{}"}
    await world.put("last_seen", user="fay", name="Fay of the tokens", **there)
    await world.settle()
    for number, user in enumerate(("gus", "flo", "fay", "pho", "nobody", "server")):
        body = {"root": "vendors", "priority": 2, "actor": {"user": user, "role": "guest"}, "fields": ["stage"]}
        body |= {"before": {"stage": "quoted"}, "after": {"stage": "booked"}}
        event = NewEvent("vendor.booked", "2026-06-01T12:00:00.000Z", f"v_{number}", json.dumps(body))
        await world.storage.append([], [DerivedRecords(DocumentKey(world.wedding, "wedding"), events=[event])])
    await world.router().route_all()
    names = [each.get("actor", "") for each in await world.params("ben")]
    assert names == ["Chloé N.", "Flora", "Fay of the tokens", "Pho", "", ""]


async def test_values_are_cut(world: World) -> None:
    await world.begin("long")
    await world.put("participants", thread="t_1", user="pia", added_by="aroha", at=AT, muted=False)
    await world.settle()
    body = "🌿" * 4_000
    await world.edit("thread.t_1", "messages", "01JY3Z8Q7M4T2V6W8X9Y000001", {**MESSAGE, "body": body})
    await world.router().route_all()
    (found,) = await world.params("pia")
    assert found["text"] == body


async def test_all_values_together_are_bounded_in_bytes(world: World) -> None:
    """What people may write as 4,000 characters has 24 KB as JSON, and records have several texts."""
    await world.begin("large")
    await world.put("participants", thread="t_1", user="pia", added_by="aroha", at=AT, muted=False)
    await world.settle()
    body = "\u0001" * 3_999 + "🌿"
    await world.edit("thread.t_1", "messages", "01JY3Z8Q7M4T2V6W8X9Y000001", {**MESSAGE, "body": body})
    await world.router().route_all()
    (found,) = await world.params("pia")
    size = len(json.dumps(found, ensure_ascii=False).encode())
    assert PARAMS_BYTES - 200 < size <= PARAMS_BYTES
    assert body.startswith(found.pop("text"))
    assert found == {"actor": "Aroha", "role": "couple", "kind": "text"}


async def test_the_longest_values_are_cut_alike() -> None:
    values = {"title": "Toast", "before": "🌿" * 4_000, "after": '"' * 4_000, "text": "x" * 9_000, "place": "Garden"}
    cut = params._bounded({name: value * 2 for name, value in values.items()})
    assert len(json.dumps(cut, ensure_ascii=False).encode()) <= PARAMS_BYTES
    assert cut["title"] == "ToastToast"
    sizes = {name: params._size(cut[name]) for name in ("before", "after", "text")}
    assert max(sizes.values()) - min(sizes.values()) < 10
    assert params._bounded(values) != values
    assert params._bounded({"text": "🌿" * 4_000}) == {"text": "🌿" * 4_000}
