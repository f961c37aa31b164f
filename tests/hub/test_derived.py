"""Derived documents in the running parts of the server: what is shown, from the first frame on and after a restart."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from pycrdt import Map

from crdt_server.hub.hub import Hub
from crdt_server.settings import Settings
from storage import Append, DocumentKey, Storage, open_storage
from tests.hub.derived import Reader, close, stored_bytes
from tests.support.hosts import make_hub

SECRET = "Quarrel at the altar"  # noqa: S105 - no password


async def shown(hub: Hub, items: dict[str, dict[str, Any]]) -> Reader:
    """A planner who has written items."""
    planner = Reader(hub, "timeline", 11)
    await planner.is_synced()
    for record, fields in items.items():
        planner.add("items", record, fields)
    await planner.until(lambda rows: True)
    return planner


async def test_an_edit_is_shown_at_once_and_stored_with_its_source(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    planner = await shown(hub, {"i_1": {"title": "Ceremony", "visibility": "public", "start": 900}})
    guest = Reader(hub, "timeline@public", 12, "guest")
    await guest.until(lambda rows: rows["items"] == {"i_1": {"title": "Ceremony", "start": 900}})
    commits: list[list[str]] = []
    append = hub.storage.append

    async def noted(batch: Sequence[Any], *others: Any) -> dict[str, int]:
        commits.append([each.key.document for each in batch])
        return await append(batch, *others)

    monkeypatch.setattr(hub.storage, "append", noted)
    planner.set("items", "i_1", title="Vows", minDuration=10)
    await guest.until(lambda rows: rows["items"] == {"i_1": {"title": "Vows", "start": 900}})
    assert commits == [["timeline", "timeline@public"]]
    planner.set("items", "i_1", minDuration=20)
    await planner.until(lambda rows: rows["items"]["i_1"]["minDuration"] == 20)
    assert commits[1:] == [["timeline"]]


async def test_what_is_not_shown_is_in_no_frame_and_not_in_the_store(hub: Hub) -> None:
    planner = await shown(
        hub,
        {
            "i_1": {"title": "Ceremony", "visibility": "public", "note": SECRET},
            "i_2": {"title": SECRET, "visibility": "private"},
            "i_3": {"title": SECRET},
        },
    )
    early = Reader(hub, "timeline@public", 12, "guest")
    await early.until(lambda rows: list(rows["items"]) == ["i_1"])
    planner.set("items", "i_3", title=f"Another {SECRET}", minDuration=10)
    planner.set("items", "i_1", title="Vows")
    await early.until(lambda rows: rows["items"]["i_1"] == {"title": "Vows"})
    assert SECRET.encode() not in early.received_bytes()

    planner.set("items", "i_3", visibility="public")
    await early.until(lambda rows: "i_3" in rows["items"])
    planner.set("items", "i_3", visibility="team")
    await early.until(lambda rows: "i_3" not in rows["items"])
    planner.set("items", "i_1", title="Ceremony")
    await early.until(lambda rows: rows["items"]["i_1"] == {"title": "Ceremony"})
    late = Reader(hub, "timeline@public", 13, "guest")
    await late.until(lambda rows: rows == early.rows)
    assert SECRET.encode() not in late.received_bytes()
    assert b"Vows" not in late.received_bytes()

    await close(hub, early, late)
    assert SECRET.encode() not in await stored_bytes(hub, "timeline@public")
    later = Reader(hub, "timeline@public", 14, "guest")
    await later.until(lambda rows: rows["items"] == {"i_1": {"title": "Ceremony"}})
    assert SECRET.encode() not in later.received_bytes()
    assert SECRET.encode() in planner.received_bytes()


async def test_what_its_audience_writes_is_undone_and_reaches_nobody(hub: Hub) -> None:
    await shown(hub, {"i_1": {"title": "Ceremony", "visibility": "public"}})
    peer, guest = Reader(hub, "timeline@public", 12, "guest"), Reader(hub, "timeline@public", 13, "guest")
    for each in (peer, guest):
        await each.until(lambda rows: list(rows["items"]) == ["i_1"])
    guest.set("items", "i_1", title=SECRET)
    await guest.until(lambda rows: rows["items"]["i_1"] == {"title": "Ceremony"})
    guest.add("items", "i_9", {"title": SECRET})
    guest.write(lambda doc: doc.get("items", type=Map).pop("i_1"))
    await guest.until(lambda rows: rows["items"] == {"i_1": {"title": "Ceremony"}})
    assert len(guest.denied) == 3
    assert peer.rows["items"] == {"i_1": {"title": "Ceremony"}}
    assert SECRET.encode() not in peer.received_bytes()
    await close(hub, peer, guest)
    assert SECRET.encode() not in await stored_bytes(hub, "timeline@public")


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Storage]:
    storage = await open_storage(database_url, migrate=True)
    yield storage
    await storage.close()


async def test_a_copy_of_last_week_merges_and_brings_nothing_back(store: Storage) -> None:
    hub = make_hub(Settings(dev=True, document_hosts=1, max_strikes=0), store)
    await hub.start()
    planner = await shown(hub, {f"i_{n}": {"title": f"Item {n}", "visibility": "public"} for n in range(3)})
    planner.set("items", "i_0", title=SECRET)
    phone = Reader(hub, "timeline@public", 12, "guest")
    await phone.until(lambda rows: len(rows["items"]) == 3 and rows["items"]["i_0"]["title"] == SECRET)
    await close(hub, phone)
    planner.set("items", "i_0", title="Item 0")
    planner.set("items", "i_1", visibility="private")
    await planner.until(lambda rows: rows["items"]["i_1"]["visibility"] == "private")
    await hub.stop()

    hub = make_hub(Settings(dev=True, document_hosts=1, max_strikes=0), store)
    await hub.start()
    newcomer = Reader(hub, "timeline@public", 13, "guest")  # the first frames come before the planner's document opens
    expected = {"i_0": {"title": "Item 0"}, "i_2": {"title": "Item 2"}}
    await newcomer.until(lambda rows: rows["items"] == expected)
    assert SECRET.encode() not in newcomer.received_bytes()
    phone.replica.doc.get("items", type=Map)["i_1"]["title"] = "Mine"  # it is in its copy still
    phone.hub = hub
    phone.enter()
    await phone.until(lambda rows: rows["items"] == expected)
    assert newcomer.rows["items"] == expected
    assert b"Mine" not in newcomer.received_bytes()
    await close(hub, phone, newcomer)
    assert SECRET.encode() not in await stored_bytes(hub, "timeline@public")
    assert (await store.load(DocumentKey("w", "timeline@public"))).head_seq > 1
    await hub.stop()


ITEMS = {
    "i_1": {"title": "Portraits", "vendor:v_lens": True, "after:i_2": 10, "note": SECRET},
    "i_2": {"title": "Ceremony", "vendor:v_dj": True},
    "i_3": {"title": "Dance", "keyMoment": True, "vendor:v_dj": True, "vendorNote:v_dj": SECRET},
    "i_4": {"title": SECRET, "keyMoment": True, "vendor:v_lens": True, "visibility": "private"},
    "i_5": {"title": SECRET, "vendor:v_dj": True},
}


async def test_a_vendor_writes_in_own_items_and_only_there(hub: Hub) -> None:
    planner = await shown(hub, ITEMS)
    public = Reader(hub, "timeline@public", 12, "guest")
    lens = Reader(hub, "timeline@v.v_lens", 13, "photographer", vendor="v_lens")
    dj = Reader(hub, "timeline@v.v_dj", 14, "vendor", vendor="v_dj")
    await lens.until(lambda rows: rows["items"].keys() == {"i_1", "i_2", "i_3"})
    await dj.until(lambda rows: rows["items"].keys() == {"i_2", "i_3", "i_5"})
    assert lens.rows["items"]["i_1"] == {"title": "Portraits", "vendor:v_lens": True, "after:i_2": 10}
    assert lens.rows["items"]["i_2"] == {"title": "Ceremony"}
    planner.set("items", "i_1", visibility="public")
    await public.until(lambda rows: list(rows["items"]) == ["i_1"])

    lens.set("items", "i_1", status="ready", **{"vendorNote:v_lens": "Sun from the left"})
    await planner.until(lambda rows: rows["items"]["i_1"].get("status") == "ready")
    await public.until(lambda rows: rows["items"]["i_1"].get("status") == "ready")
    assert planner.rows["items"]["i_1"]["vendorNote:v_lens"] == "Sun from the left"
    events = [each for each in await hub.storage.events("w") if "timeline.item" in each.type]
    assert '"user":"user-13"' in events[-1].body

    lens.set("items", "i_2", status="done")
    lens.set("items", "i_1", status="done", start=900, **{"vendorNote:v_dj": "Mine"})
    await planner.until(lambda rows: rows["items"]["i_1"].get("status") == "done")
    await lens.until(lambda rows: "start" not in rows["items"]["i_1"])
    assert "status" not in lens.rows["items"]["i_2"]
    assert "status" not in planner.rows["items"]["i_2"]
    assert planner.rows["items"]["i_1"].keys() >= {"title", "status", "vendorNote:v_lens"}
    assert "vendorNote:v_dj" not in planner.rows["items"]["i_1"]
    assert len(lens.denied) == 2
    assert "items of your own" in lens.denied[0]
    for each in (lens, public):
        assert SECRET.encode() not in each.received_bytes()

    planner.set("items", "i_1", **{"vendor:v_lens": None})
    await lens.until(lambda rows: list(rows["items"]) == ["i_3"])


async def test_a_status_that_was_written_offline_is_concurrent_with_that_of_the_planner(hub: Hub) -> None:
    planner = await shown(hub, ITEMS)
    lens = Reader(hub, "timeline@v.v_lens", 13, "photographer", vendor="v_lens")
    await lens.until(lambda rows: len(rows["items"]) == 3)
    lens.leave()
    planner.set("items", "i_1", status="skipped")
    await planner.until(lambda rows: rows["items"]["i_1"].get("status") == "skipped")
    lens.replica.doc.get("items", type=Map)["i_1"]["status"] = "ready"
    lens.enter()
    await lens.until(lambda rows: rows["items"]["i_1"].get("status") == "skipped")  # of the couple, who rank higher
    rows = await planner.until(lambda rows: bool(rows["review"]))
    (conflict,) = rows["review"].values()
    assert conflict["_kind"] == "X1"
    assert {(each["user"], each["value"]) for each in conflict["_parties"]} == {
        ("user-11", "skipped"),
        ("user-13", "ready"),
    }
    assert planner.rows["items"]["i_1"]["status"] == "skipped"

    lens.set("items", "i_1", status="ready")  # they have seen it now
    await planner.until(lambda rows: rows["items"]["i_1"]["status"] == "ready")
    assert {each["_state"] for each in planner.rows["review"].values()} != {"open"}


async def test_what_cannot_be_shown_delays_no_edit_of_its_source(hub: Hub) -> None:
    await hub.storage.append([Append(DocumentKey("w", "timeline@public"), 1, b"no update")])
    guest = Reader(hub, "timeline@public", 12, "guest")
    await guest.socket.until(lambda: guest.socket.closed is not None)
    assert guest.socket.closed == (1013, "the document cannot be read")
    planner = await shown(hub, {"i_1": {"title": "Ceremony", "visibility": "public"}})
    team = Reader(hub, "timeline@team", 13, "family")
    await team.until(lambda rows: list(rows["items"]) == ["i_1"])
    planner.set("items", "i_1", title="Vows")
    await team.until(lambda rows: rows["items"]["i_1"]["title"] == "Vows")
    assert planner.socket.closed is None


async def test_the_death_of_a_host_loses_no_edit(hub: Hub) -> None:
    planner = await shown(hub, ITEMS)
    lens = Reader(hub, "timeline@v.v_lens", 13, "photographer", vendor="v_lens")
    await lens.until(lambda rows: len(rows["items"]) == 3)
    for status in ("ready", "live", "done"):
        process = hub.hosts.dispatchers[0].supervisor.pid
        assert process is not None
        lens.set("items", "i_1", status=status)
        os.kill(process, signal.SIGKILL)
        await planner.until(lambda rows, status=status: rows["items"]["i_1"].get("status") == status)
        planner.set("items", "i_1", title=f"Portraits, {status}")
        await lens.until(lambda rows, status=status: rows["items"]["i_1"]["title"] == f"Portraits, {status}")
    await close(hub, lens)
    again = Reader(hub, "timeline@v.v_lens", 14, "photographer", vendor="v_lens")
    await again.until(lambda rows: rows["items"] == lens.rows["items"])


async def test_after_the_death_of_a_host_edits_reach_readers_who_request_nothing(hub: Hub) -> None:
    planner = await shown(hub, {"i_1": {"title": SECRET, "visibility": "public"}})
    early, other = (Reader(hub, "timeline@public", number, "guest") for number in (12, 13))
    for each in (early, other):
        await each.until(lambda rows: rows["items"] == {"i_1": {"title": SECRET}})
    process = hub.hosts.dispatchers[0].supervisor.pid
    assert process is not None
    os.kill(process, signal.SIGKILL)
    planner.set("items", "i_1", visibility="team")
    await planner.until(lambda rows: rows["items"]["i_1"]["visibility"] == "team")
    newcomer = Reader(hub, "timeline@public", 14, "guest")
    await newcomer.is_synced()
    assert SECRET.encode() not in newcomer.received_bytes()
    newcomer.leave()
    await early.until(lambda rows: rows["items"] == {})
    os.kill(hub.hosts.dispatchers[0].supervisor.pid or 0, signal.SIGKILL)
    planner.set("items", "i_1", visibility="public", title="Vows")
    await early.until(lambda rows: rows["items"] == {"i_1": {"title": "Vows"}})


async def test_the_first_pledge_waits_until_the_budget_is_open(hub: Hub) -> None:
    aunt = Reader(hub, "budget@contrib.g_1", 12, "family", guest="g_1")
    await aunt.is_synced()
    pledge = {"contributor": "Mei", "amount": 500, "guest": "g_1"}
    aunt.put("contributions", "c_1", pledge)
    await aunt.until(lambda _: True)
    assert aunt.denied == []
    couple = Reader(hub, "budget", 11)
    await couple.until(lambda rows: rows["contributions"] == {"c_1": pledge})


async def test_an_edit_waits_for_a_source_that_cannot_be_opened(hub: Hub) -> None:
    planner = await shown(hub, ITEMS)
    lens = Reader(hub, "timeline@v.v_lens", 13, "photographer", vendor="v_lens")
    await lens.until(lambda rows: len(rows["items"]) == 3)
    await close(hub, planner)
    hub.registry._unreadable["w", "timeline"] = hub.time() + 0.2
    lens.set("items", "i_1", status="ready")
    await lens.until(lambda rows: True)
    again = Reader(hub, "timeline", 15)
    await again.until(lambda rows: rows["items"].get("i_1", {}).get("status") == "ready")
