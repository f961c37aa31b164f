"""Conflicts over HTTP: which there are, and how a person resolves one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from pycrdt import Doc, Map
from websockets.asyncio.client import connect

from crdt_server.protocol.lib0 import write_var_bytes

Check = Callable[..., None]


async def conflicts(client: httpx.AsyncClient, wedding: str, state: str | None = None) -> list[dict[str, Any]]:
    answer = await client.get(f"/{wedding}/conflicts", params={} if state is None else {"state": state})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["conflicts"]
    return found


async def twins(client: httpx.AsyncClient, wedding: str) -> dict[str, Any]:
    """A conflict that waits for a person: two guests with one e-mail address."""
    operations = [
        {"op": "insert", "root": "guests", "record": record, "value": {"firstName": "Ann", "email": "ann@example.org"}}
        for record in ("g_1", "g_2")
    ]
    answer = await client.post(f"/{wedding}/documents/guests/ops", json={"operations": operations})
    assert answer.status_code == 200, answer.text
    (conflict,) = await conflicts(client, wedding, "open")
    return conflict


async def resolve(
    client: httpx.AsyncClient, wedding: str, conflict: str, body: Any, user: str = "u_chloe"
) -> httpx.Response:
    return await client.post(f"/{wedding}/conflicts/{conflict}/resolve", json=body, params={"user": user})


async def test_a_choice_is_carried_out(client: httpx.AsyncClient, is_problem: Check) -> None:
    conflict = await twins(client, "twins")
    assert (conflict["document"], conflict["_kind"], conflict["_state"]) == ("guests", "G1", "open")
    answer = await resolve(client, "twins", conflict["id"], {"choice": 0, "say": "They are one."})
    assert answer.status_code == 200, answer.text
    record = answer.json()
    assert (record["id"], record["document"]) == (conflict["id"], "guests")
    assert (record["choice"], record["say"]) == (0, "They are one.")
    assert (record["_state"], record["_outcome"], record["_by"]) == ("resolved", "option", "u_chloe")
    (operation,) = conflict["_options"][0]["operations"]
    guests = (await client.get("/twins/documents/guests")).json()["guests"]
    assert {name for name, guest in guests.items() if "deleted" in guest} == {operation["record"]}
    assert await conflicts(client, "twins") == await conflicts(client, "twins", "resolved") == [record]
    assert await conflicts(client, "twins", "open") == await conflicts(client, "twins", "auto") == []
    is_problem(await resolve(client, "twins", conflict["id"], {"choice": 1}), 409, "already_resolved")
    assert await conflicts(client, "twins") == [record]


async def test_what_the_server_resolved_can_be_undone(client: httpx.AsyncClient) -> None:
    operation = {"op": "insert", "root": "guests", "record": "g_1", "value": {"meal": "soup"}}
    await client.post("/undo/documents/guests/ops", json={"operations": [operation]})
    state = (await client.get("/undo/documents/guests/state")).content
    for user, role, meal in (("u_chloe", "couple", "fish"), ("u_maria", "planner", "beef")):
        doc: Doc[Any] = Doc()  # each has been away since the soup
        doc.apply_update(state)
        before = doc.get_state()
        doc.get("guests", type=Map)["g_1"]["meal"] = meal
        body = write_var_bytes(before) + write_var_bytes(doc.get_update(before))
        query = {"user": user, "role": role}
        answer = await client.post("/undo/documents/guests/sync", content=body, params=query)
        assert answer.status_code == 200, answer.text
    assert await meal_of(client, "undo") == "fish"
    (conflict,) = await conflicts(client, "undo", "auto")
    assert (conflict["_kind"], conflict["_state"]) == ("X1", "auto")
    assert {each["before"] for each in conflict["_parties"]} == {"soup"}
    record = (await resolve(client, "undo", conflict["id"], {"choice": conflict["_undo"]})).json()
    assert (record["_state"], record["_outcome"]) == ("resolved", "undone")
    assert await meal_of(client, "undo") == "beef"


async def meal_of(client: httpx.AsyncClient, wedding: str) -> Any:
    return (await client.get(f"/{wedding}/documents/guests")).json()["guests"]["g_1"]["meal"]


async def test_two_who_decide_at_once(client: httpx.AsyncClient) -> None:
    conflict = await twins(client, "both")
    both = [resolve(client, "both", conflict["id"], {"choice": n}, user) for n, user in enumerate(("u_ann", "u_bo"))]
    answers = {answer.status_code: answer.json() for answer in await asyncio.gather(*both)}
    assert set(answers) == {200, 409}
    assert answers[409]["code"] in ("already_resolved", "not_resolved")
    guests = (await client.get("/both/documents/guests")).json()["guests"]
    assert sum("deleted" in guest for guest in guests.values()) == 1


async def test_what_there_is_not(client: httpx.AsyncClient, is_problem: Check) -> None:
    conflict = await twins(client, "none")
    is_problem(await resolve(client, "none", "c_unknown", {"choice": 0}), 404, "not_found")
    is_problem(await resolve(client, "other", conflict["id"], {"choice": 0}), 404, "not_found")
    answer = await resolve(client, "none", conflict["id"], {"choice": 99})
    is_problem(answer, 422, "operations_refused")
    assert [each["code"] for each in answer.json()["problems"]] == ["no_such_option"]
    assert await conflicts(client, "none") == [conflict]
    assert await conflicts(client, "empty") == []


@pytest.mark.parametrize("body", [{}, [], {"choice": "0"}, {"choice": -1}, {"choice": 0, "say": "x" * 501}])
async def test_malformed_choices(client: httpx.AsyncClient, is_problem: Check, body: Any) -> None:
    is_problem(await resolve(client, "w", "c_1", body), 400, "invalid_request")
    is_problem(await client.get("/w/conflicts?state=lost"), 400, "invalid_request")


async def in_german(client: httpx.AsyncClient, wedding: str) -> dict[str, Any]:
    """The one conflict of a wedding, as read in Austria."""
    answer = await client.get(f"/{wedding}/conflicts", params={"language": "de-AT"})
    (conflict,) = answer.json()["conflicts"]
    return dict(conflict)


async def test_texts_are_in_the_language_that_is_requested_with_names_from_presence(client: httpx.AsyncClient) -> None:
    operation = {"op": "insert", "root": "items", "record": "i_1", "value": {"title": "Toast", "start": 900}}
    await client.post("/words/documents/timeline/ops", json={"operations": [operation]})
    state = (await client.get("/words/documents/timeline/state")).content
    people = [{"user": "u_chloe", "role": "couple"}, {"user": "u_maria", "role": "planner", "name": "Maria"}]
    for person, start in zip(people, (930, 945), strict=True):
        doc: Doc[Any] = Doc()
        doc.apply_update(state)
        before = doc.get_state()
        doc.get("items", type=Map)["i_1"]["start"] = start
        body = write_var_bytes(before) + write_var_bytes(doc.get_update(before))
        answer = await client.post("/words/documents/timeline/sync", content=body, params=person)
        assert answer.status_code == 200, answer.text
    (conflict,) = await conflicts(client, "words")
    assert conflict["_summary"].endswith(" changed “start” of Toast without knowing of each other.")
    assert {each["text"] for each in conflict["_options"]} == {
        "Keep what somebody of the couple wrote: 15:30.", "Keep what a planner wrote: 15:45."
    }  # fmt: skip
    url = str(client.base_url).replace("http", "ws", 1).removesuffix("api/weddings/")
    async with connect(f"{url}ws/words/timeline?user=u_maria&role=planner&name=Maria"):
        async with asyncio.timeout(30):  # another node hears of her a moment later
            while "Maria" not in (german := await in_german(client, "words"))["_summary"]:
                pass
    assert german["_summary"].endswith(" haben bei Toast „Beginn“ geändert, ohne voneinander zu wissen.")
    assert "Behalten, was Maria eingetragen hat: 15:45." in {each["text"] for each in german["_options"]}
    assert {each["text"] for each in german["_parties"]} == {
        "Toast, „Beginn“: 15:30; davor 15:00.", "Toast, „Beginn“: 15:45; davor 15:00."
    }  # fmt: skip
    assert german | {key: conflict[key] for key in ("_summary", "_options", "_parties")} == conflict


async def test_the_catalogue(client: httpx.AsyncClient, is_problem: Check) -> None:
    sentences = client.base_url.join("/api/sentences/")
    answer = await client.get(sentences.join("de"))
    assert answer.json()["language"] == "de"
    assert answer.json()["texts"]["leave"] == "So lassen, wie es ist."
    assert answer.headers["cache-control"] == "public, max-age=3600"
    is_problem(await client.get(sentences.join("fr")), 404, "not_found")
