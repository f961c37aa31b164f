"""Operations on derived documents: vendors, guests and family without Yjs, by the same rules as on a socket."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from documents.derived.emergencies import MOST_RAISED
from tests.api.with_members import as_user

AT = "2026-06-20T13:30:00Z"
OWN = "timeline@v.v_dj"
EMERGENCY = {"kind": "power", "severity": "critical", "text": "The tent is dark", "at": AT}
Check = Callable[..., None]


def insert(root: str, record: str, **value: object) -> dict[str, object]:
    return {"op": "insert", "root": root, "record": record, "value": value}


def put(root: str, record: str, key: str, value: object) -> dict[str, object]:
    return {"op": "set", "root": root, "record": record, "key": key, "value": value}


async def operate(
    client: httpx.AsyncClient, user: str, document: str, *operations: object, key: str | None = None
) -> httpx.Response:
    headers = as_user(user) | ({} if key is None else {"Idempotency-Key": key})
    body = {"operations": list(operations)}
    return await client.post(f"/documents/{document}/ops", json=body, headers=headers)


async def rows(client: httpx.AsyncClient, user: str, document: str) -> dict[str, Any]:
    answer = await client.get(f"/documents/{document}", headers=as_user(user))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.fixture
async def day(members: httpx.AsyncClient) -> httpx.AsyncClient:
    """The day of a wedding with two vendors, a guest and an emergency."""
    for user, fields in (("u_dj", {"vendor": "v_dj"}), ("u_bo", {"vendor": "v_bo"}), ("u_chloe", {"guest": "g_1"})):
        answer = await members.patch(f"/members/{user}", json=fields, headers=as_user("u_aroha"))
        assert answer.status_code == 200, answer.text
    items = [
        insert("items", f"i_{each}", title=f"Music {each}", start=900, **{f"vendor:v_{each}": True})
        for each in ("dj", "bo")
    ]
    storm = insert("emergencies", "x_1", kind="weather", text="Storm", audience="everyone")
    assert (await operate(members, "u_mia", "timeline", *items, storm)).status_code == 200
    guests = insert("guests", "g_1", firstName="Chloé")
    assert (await operate(members, "u_mia", "guests", guests)).status_code == 200
    return members


async def test_a_vendor_raises_and_acknowledges_emergencies_and_sets_a_status(day: httpx.AsyncClient) -> None:
    answer = await operate(
        day, "u_dj", OWN,
        insert("emergencies", "x_2", **EMERGENCY),
        put("emergencies", "x_1", "acknowledgedBy:u_dj", AT),
        put("items", "i_dj", "status", "ready"),
    )  # fmt: skip
    assert (answer.status_code, answer.json()) == (200, {"operations": 3})
    source = await rows(day, "u_mia", "timeline")
    assert source["emergencies"]["x_2"] == EMERGENCY | {"by": "u_dj"}
    assert source["emergencies"]["x_1"]["acknowledgedBy:u_dj"] == AT
    assert source["items"]["i_dj"]["status"] == "ready"
    own = await rows(day, "u_dj", OWN)
    assert (own["emergencies"]["x_2"], own["items"]["i_dj"]["status"]) == (EMERGENCY, "ready")
    assert own["emergencies"]["x_1"]["acknowledgedBy:u_dj"] == AT
    assert "acknowledgedBy:u_dj" not in (await rows(day, "u_bo", "timeline@v.v_bo"))["emergencies"]["x_1"]
    events = (await day.get("/events", headers=as_user("u_mia"))).json()["events"]
    found = [(each["type"], each["actor"]["user"]) for each in events if each["record"] == "x_2"]
    assert found == [("emergency.raised", "u_dj")]


async def test_a_guest_replies(day: httpx.AsyncClient) -> None:
    answer = await operate(day, "u_chloe", "guests@self.g_1", put("guests", "g_1", "meal", "fish"))
    assert answer.status_code == 200, answer.text
    assert (await rows(day, "u_mia", "guests"))["guests"]["g_1"]["meal"] == "fish"


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        (put("items", "i_dj", "title", "Louder"), "server_only"),
        (put("items", "i_bo", "status", "ready"), "missing"),
        (put("items", "i_dj", "vendorNote:v_bo", "mine"), "read_only"),
        (put("emergencies", "x_1", "acknowledgedBy:u_bo", AT), "read_only"),
        (put("emergencies", "x_1", "text", "No storm"), "read_only"),
        (insert("emergencies", "x_3", **EMERGENCY, audience="everyone"), "unknown_key"),
        (insert("emergencies", "x_3", **EMERGENCY, by="u_mia"), "unknown_key"),
        (insert("items", "i_new", title="Encore"), "server_only"),
        ({"op": "delete", "root": "items", "record": "i_dj"}, "server_only"),
        ({"op": "move", "root": "items", "record": "i_dj", "after": None}, "server_only"),
    ],
)
async def test_nothing_is_done_where_a_part_may_not_be(
    day: httpx.AsyncClient, is_problem: Check, operation: dict[str, object], code: str
) -> None:
    before = await rows(day, "u_mia", "timeline")
    answer = await operate(day, "u_dj", OWN, put("items", "i_dj", "status", "ready"), operation)
    is_problem(answer, 422, "operations_refused")
    assert {each["code"] for each in answer.json()["problems"]} == {code}, answer.text
    assert await rows(day, "u_mia", "timeline") == before


async def test_nobody_writes_in_what_is_not_for_them(day: httpx.AsyncClient, is_problem: Check) -> None:
    status = put("items", "i_dj", "status", "ready")
    for user in ("u_bo", "u_chloe", "u_mia"):
        is_problem(await operate(day, user, OWN, status), 404, "not_found")
    raised = insert("emergencies", "x_3", **EMERGENCY)
    is_problem(await operate(day, "u_chloe", "timeline@public", raised), 422, "operations_refused")
    ack = put("emergencies", "x_1", "acknowledgedBy:u_chloe", AT)
    assert (await operate(day, "u_chloe", "timeline@public", ack)).status_code == 200
    parts = [{"document": each, "operations": [status]} for each in (OWN, "wedding@service")]
    is_problem(await day.post("/ops", json={"parts": parts}, headers=as_user("u_dj")), 409, "derived_document")
    one = await day.post("/ops", json={"parts": parts[:1]}, headers=as_user("u_dj"))
    assert one.status_code == 200, one.text


async def test_the_bound_on_emergencies_holds_for_one_command_and_several(
    day: httpx.AsyncClient, is_problem: Check
) -> None:
    def raised(numbers: range) -> list[dict[str, object]]:
        return [insert("emergencies", f"y_{number}", **EMERGENCY) for number in numbers]

    answer = await operate(day, "u_dj", OWN, *raised(range(MOST_RAISED + 1)))
    is_problem(answer, 422, "operations_refused")
    assert {each["code"] for each in answer.json()["problems"]} == {"too_many"}
    assert (await operate(day, "u_dj", OWN, *raised(range(MOST_RAISED)))).status_code == 200
    is_problem(await operate(day, "u_dj", OWN, *raised(range(20, 21))), 422, "operations_refused")
    assert len((await rows(day, "u_mia", "timeline"))["emergencies"]) == 1 + MOST_RAISED


async def test_one_that_comes_again_is_carried_out_once(day: httpx.AsyncClient) -> None:
    for operation in (insert("emergencies", "x_2", **EMERGENCY), put("items", "i_dj", "status", "ready")):
        for replayed in ("", "true"):
            answer = await operate(day, "u_dj", OWN, operation, key=str(operation["op"]))
            assert (answer.status_code, answer.headers.get("Idempotency-Replayed", "")) == (200, replayed)
    same = put("items", "i_dj", "status", "ready")  # there already: nothing is written, and nothing to be remembered
    for _ in range(2):
        assert (await operate(day, "u_dj", OWN, same, key="same")).status_code == 200
