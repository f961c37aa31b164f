"""The client over HTTP in Python: the same words, sync and async."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from crdt_server.client import AsyncWeddingClient, ServerError, WeddingClient

README = (Path(__file__).parents[2] / "clients" / "python" / "README.md").read_text()
ANN = {"user": "u_ann", "role": "couple"}


def test_the_words_without_yjs(server_url: str) -> None:
    with WeddingClient(server_url, "python", dev=ANN) as wedding:
        guests = wedding.guests
        chloe = guests.add({"firstName": "Chloé", "rsvp:e_reception": "yes", "note": "Sings."})
        dara = guests.add({"firstName": "Dara"})
        assert re.fullmatch(r"g_[0-9a-z]{12}", chloe)
        guests.update(chloe, {"meal": "fish", "rsvp:e_reception": None, "note": "Sings loud."})
        assert [each["firstName"] for each in guests.list()] == ["Chloé", "Dara"]
        first = guests.list()[0]
        assert (first["meal"], first["note"], "rsvp:e_reception" in first) == ("fish", "Sings loud.", False)
        guests.remove(chloe)
        assert [each["id"] for each in guests.list()] == [dara]
        guests.restore(chloe)
        with wedding.batch():
            table = wedding.seating.tables.add({"label": "4", "capacity": 8})
            wedding.seating.place(chloe, table, 2)
            wedding.seating.place(dara, table)
        wedding.seating.swap(chloe, dara)
        assert wedding.seating.seats()[dara]["seat"] == 2
        wedding.seating.unseat(chloe)
        wedding.seating.swap(chloe, dara)
        assert wedding.seating.seats() == {chloe: {"id": chloe, "table": table, "seat": 2}}
        wedding.seating.swap(dara, "g_nobody")  # neither has a seat
        toast = wedding.timeline.add({"title": "Toast", "start": 900, "duration": 10})
        wedding.timeline.move(toast, 930)
        assert wedding.timeline.list()[0]["start"] == 930
        wedding.budget.void(wedding.budget.pay(wedding.budget.add({"name": "Album"}), 100_000), "entered twice")
        thread = wedding.threads.create("Flowers")
        assert re.fullmatch(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", wedding.threads.send(thread, "Peonies?"))
        assert wedding.conflicts.list() == []


def test_what_does_not_fit_is_refused_with_all_that_came_with_it(server_url: str) -> None:
    with WeddingClient(server_url, "refused", dev=ANN) as wedding:

        def write() -> None:
            with wedding.batch():
                wedding.guests.add({"firstName": "Chloé"})
                wedding.guests.add({"side": "left"})

        with pytest.raises(ServerError) as refused:
            write()
        assert (refused.value.status, refused.value.code) == (422, "operations_refused")
        assert wedding.guests.list() == []


def test_an_answer_of_a_proxy_is_an_error_of_the_server(monkeypatch: pytest.MonkeyPatch, server_url: str) -> None:
    with WeddingClient(server_url, "proxied", dev=ANN) as wedding:
        monkeypatch.setattr(httpx.Client, "request", lambda *_, **__: httpx.Response(502, html="<h1>Bad Gateway</h1>"))
        with pytest.raises(ServerError) as refused:
            wedding.guests.list()
    assert (refused.value.status, refused.value.code, refused.value.problem) == (502, "", {})


def test_a_wedding_from_nothing(server_url: str) -> None:
    with WeddingClient(server_url, "python-begins", dev=ANN) as wedding:
        assert wedding.details.get() == {}
        wedding.details.update({"title": "Ann & Chloé", "date": "2027-06-19", "currency": "GBP"})
        place = wedding.places.add({"name": "Old Boathouse", "kind": "venue"})
        wedding.events.add({"name": "Reception", "start": 1020, "duration": 420, "place": place}, id="e_reception")
        dara = wedding.guests.add({"firstName": "Dara", "rsvp:e_reception": "yes"})
        wedding.care.add({"allergy:peanut": "severe"}, id=dara)
        category = wedding.budget.categories.add({"name": "Photography", "allocated": 400_000})
        wedding.budget.add({"name": "Album", "category": category})
        wedding.budget.limits.update({"limit": 500_000})
        wedding.details.update({"currency": None})
        assert wedding.details.get()["title"] == "Ann & Chloé"
        assert "currency" not in wedding.details.get()
        assert wedding.budget.limits.get()["limit"] == 500_000
        assert [each["id"] for each in wedding.events.list()] == ["e_reception"]
        assert wedding.care.list() == [{"id": dara, "allergy:peanut": "severe", "note": ""}]


async def test_the_same_words_awaited(server_url: str) -> None:
    async with AsyncWeddingClient(server_url, "awaited", dev=ANN) as wedding:
        chloe = await wedding.guests.add({"firstName": "Chloé"})
        async with wedding.batch():
            table = await wedding.seating.tables.add({"label": "4", "capacity": 8})
            await wedding.seating.place(chloe, table, 2)
        await wedding.seating.swap(chloe, "g_emeka")
        assert set(await wedding.seating.seats()) == {"g_emeka"}
        async with wedding.batch():
            await wedding.guests.update(chloe, {"meal": "fish"})
            await wedding.guests.add({"firstName": "Dara"})
        assert [each.get("meal") for each in await wedding.guests.list()] == ["fish", None]


def test_the_snippet_of_the_readme(server_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    exec(code.replace("http://127.0.0.1:8000", server_url), {})  # noqa: S102 - the README's own text
    assert capsys.readouterr().out == "['Chloé']\n"
