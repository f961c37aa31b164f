"""Members, invitations, devices, policy, grants and the audit log over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

from crdt_server.services.grants import MOST_OPEN_OF_PERSON

COUPLE, PLANNER, COORDINATOR, GUEST = (
    {"user": f"u_{role}", "role": role} for role in ("couple", "planner", "coordinator", "guest")
)
CHLOE = {"user": "u_chloe", "role": "guest", "guest": "g_1", "name": "Chloé"}


@pytest.fixture
def wedding() -> str:
    return f"/w_{uuid4().hex}"


async def actions(client: httpx.AsyncClient, wedding: str) -> list[str]:
    """The entries of the audit log, without those of refusals, which are stored later."""
    answer = await client.get(f"{wedding}/audit", params=COUPLE)
    assert answer.status_code == 200, answer.text
    return [each["action"] for each in answer.json()["entries"] if each["action"] != "request.refused"]


async def add(client: httpx.AsyncClient, wedding: str, member: dict[str, str], by: dict[str, str] = COUPLE) -> int:
    return (await client.post(f"{wedding}/members", params=by, json=member)).status_code


async def test_members_are_added_changed_and_removed(client: httpx.AsyncClient, wedding: str) -> None:
    assert await add(client, wedding, CHLOE) == 201
    answer = await client.get(f"{wedding}/members", params=COORDINATOR)
    (chloe,) = answer.json()["members"]
    assert {name: chloe[name] for name in CHLOE} == CHLOE
    assert chloe["added_by"] == "u_couple"
    answer = await client.patch(f"{wedding}/members/u_chloe", params=PLANNER, json={"role": "caterer", "vendor": "v_1"})
    assert (answer.status_code, answer.json()["role"], answer.json()["guest"]) == (200, "caterer", "")
    assert (await client.delete(f"{wedding}/members/u_chloe", params=PLANNER)).status_code == 204
    assert (await client.get(f"{wedding}/members", params=COUPLE)).json() == {"members": [], "next": None}
    assert await add(client, wedding, CHLOE) == 201
    assert await actions(client, wedding) == ["member.added", "member.changed", "member.removed", "member.added"]


async def test_members_come_in_pages(client: httpx.AsyncClient, wedding: str, is_problem: Callable[..., None]) -> None:
    for number in range(4):
        assert await add(client, wedding, CHLOE | {"user": f"u_{number}"}) == 201
    pages: list[list[str]] = []
    after: str | None = ""
    while after is not None:
        answer = await client.get(f"{wedding}/members", params=COUPLE | {"after": after, "limit": "2"})
        pages.append([each["user"] for each in answer.json()["members"]])
        after = answer.json()["next"]
    assert pages == [["u_0", "u_1"], ["u_2", "u_3"]]
    for wrong in ({"limit": "501"}, {"limit": "0"}, {"after": "a\0"}):
        is_problem(await client.get(f"{wedding}/members", params=COUPLE | wrong), 400, "invalid_request")


async def test_a_planner_has_no_power_over_the_couple_and_others_have_none(
    client: httpx.AsyncClient, wedding: str, is_problem: Callable[..., None]
) -> None:
    couple = {"user": "u_aroha", "role": "couple"}
    assert await add(client, wedding, couple) == 201
    assert await add(client, wedding, CHLOE) == 201
    assert await add(client, wedding, couple, PLANNER) == 403
    for by in (COORDINATOR, GUEST):
        assert await add(client, wedding, CHLOE, by) == 403
    for method, path, body in (
        ("PATCH", "members/u_aroha", {"name": "x"}),
        ("PATCH", "members/u_chloe", {"role": "couple", "guest": ""}),
        ("DELETE", "members/u_aroha", None),
        ("PUT", "policy/planner/budget", {"rights": "R"}),
        ("POST", "invitations", {"role": "couple"}),
    ):
        is_problem(await client.request(method, f"{wedding}/{path}", params=PLANNER, json=body), 403, "forbidden")
    for path in ("members", "invitations", "policy", "audit"):
        is_problem(await client.get(f"{wedding}/{path}", params=GUEST), 403, "forbidden")
    assert await actions(client, wedding) == ["member.added"] * 2


async def test_what_cannot_be(client: httpx.AsyncClient, wedding: str, is_problem: Callable[..., None]) -> None:
    path = f"{wedding}/members"
    for body in (CHLOE | {"role": "florist"}, CHLOE | {"guest": ""}, {"role": "guest"}, CHLOE | {"more": 1}, []):
        is_problem(await client.post(path, params=COUPLE, json=body), 400, "invalid_request")
    aroha = {"user": "u_aroha", "role": "couple"}
    assert await add(client, wedding, aroha) == 201
    is_problem(await client.post(path, params=COUPLE, json=aroha), 409, "member_exists")
    is_problem(await client.delete(f"{path}/u_aroha", params=COUPLE), 409, "last_of_couple")
    is_problem(await client.patch(f"{path}/u_aroha", params=COUPLE, json={"role": "planner"}), 409, "last_of_couple")
    is_problem(await client.delete(f"{path}/u_nobody", params=COUPLE), 404, "not_found")
    is_problem(await client.delete(f"{wedding}/devices/d_1", params=COUPLE), 404, "not_found")
    is_problem(await client.delete(f"{wedding}/invitations/i_1", params=COUPLE), 404, "not_found")


async def test_an_invitation_shows_its_code_once(client: httpx.AsyncClient, wedding: str) -> None:
    made = await client.post(f"{wedding}/invitations", params=COUPLE, json={"role": "guest", "guest": "g_1"})
    assert made.status_code == 201
    code, invitation = made.json()["code"], made.json()["invitation"]
    assert invitation["user"].startswith("u_")
    listed = await client.get(f"{wedding}/invitations", params=COORDINATOR)
    assert listed.json() == {"invitations": [invitation]}
    assert code not in listed.text
    assert (await client.delete(f"{wedding}/invitations/{invitation['id']}", params=PLANNER)).status_code == 204
    assert (await client.get(f"{wedding}/invitations", params=COUPLE)).json() == {"invitations": []}


async def test_sessions_need_a_key(client: httpx.AsyncClient, is_problem: Callable[..., None]) -> None:
    url = client.base_url.join("/api/sessions")
    is_problem(await client.post(url, json={"code": "AAAA-BBBB-CCCC-DDDD"}), 503, "no_signing_key")
    is_problem(await client.post(f"{url}/refresh", json={"refresh_token": "x"}), 503, "no_signing_key")
    is_problem(await client.post(url, json={"code": 7}), 400, "invalid_request")


async def test_the_couple_changes_the_policy(
    client: httpx.AsyncClient, wedding: str, is_problem: Callable[..., None]
) -> None:
    path = f"{wedding}/policy/planner/budget"
    assert (await client.put(path, params=COUPLE, json={"rights": "R"})).status_code == 204
    expected = {"overrides": [{"role": "planner", "category": "budget", "rights": "R"}]}
    assert (await client.get(f"{wedding}/policy", params=PLANNER)).json() == expected
    assert (await client.delete(path, params=COUPLE)).status_code == 204
    assert (await client.get(f"{wedding}/policy", params=COUPLE)).json() == {"overrides": []}
    for cell, rights in (("couple/budget", "R"), ("florist/budget", "R"), ("guest/cake", "R"), ("guest/budget", "A")):
        answer = await client.put(f"{wedding}/policy/{cell}", params=COUPLE, json={"rights": rights})
        is_problem(answer, 400, "invalid_request")


async def ask(client: httpx.AsyncClient, wedding: str, what: str = "guests") -> dict[str, Any]:
    body = {"what": what, "reason": "the bus is late", "seconds": 14_400}
    answer = await client.post(f"{wedding}/grants", params=COORDINATOR, json=body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_changed_policy_reaches_members(client: httpx.AsyncClient, wedding: str) -> None:
    assert await add(client, wedding, CHLOE, PLANNER) == 201
    for role, rights in (("planner", "R"), ("coordinator", "N")):
        answer = await client.put(f"{wedding}/policy/{role}/members", params=COUPLE, json={"rights": rights})
        assert answer.status_code == 204, answer.text
    assert await add(client, wedding, CHLOE | {"user": "u_late"}, PLANNER) == 403
    for path, by, status in (
        ("members", PLANNER, 200),
        ("audit", PLANNER, 403),
        ("members", COORDINATOR, 403),
        ("invitations", COORDINATOR, 403),
        ("audit", COUPLE, 200),
    ):
        assert (await client.get(f"{wedding}/{path}", params=by)).status_code == status, (path, by)
    assert (await client.delete(f"{wedding}/policy/planner/members", params=COUPLE)).status_code == 204
    assert await add(client, wedding, CHLOE | {"user": "u_late"}, PLANNER) == 201


async def test_the_couple_gives_and_ends_a_grant_and_is_informed(
    client: httpx.AsyncClient, wedding: str, is_problem: Callable[..., None]
) -> None:
    grant = await ask(client, wedding)
    assert (grant["given_by"], grant["until"]) == ("", None)
    path = f"{wedding}/grants/{grant['id']}"
    for by in (COORDINATOR, PLANNER):
        is_problem(await client.post(f"{path}/give", params=by), 403, "forbidden")
    given = (await client.post(f"{path}/give", params=COUPLE)).json()
    assert given["given_by"] == "u_couple"
    is_problem(await client.post(f"{path}/give", params=COUPLE), 409, "grant_given")
    is_problem(await client.delete(path, params=GUEST), 404, "not_found")
    assert (await client.delete(path, params=COORDINATOR)).status_code == 204
    is_problem(await client.delete(path, params=COORDINATOR), 404, "not_found")
    assert (await client.get(f"{wedding}/grants", params=GUEST)).json() == {"grants": []}
    feed = (await client.get(f"{wedding}/events", params=COUPLE)).json()["events"]
    assert [each["type"] for each in feed] == ["grant.asked", "grant.given", "grant.ended"]
    assert feed[0]["grant"]["reason"] == "the bus is late"
    for by, known in ((COORDINATOR, 3), ({"user": "u_ann", "role": "family", "side": "a"}, 0)):  # who may read members
        shown = (await client.get(f"{wedding}/events", params=by | {"enforce": "1"})).json()["events"]
        assert len(shown) == known
    assert await actions(client, wedding) == ["grant.asked", "grant.given", "grant.ended"]
    is_problem(
        await client.post(f"{wedding}/grants", params=GUEST, json={"what": "guests", "reason": "b"}), 403, "forbidden"
    )


async def test_on_the_live_day_the_policy_gives_a_coordinator_what_it_asks_for(
    client: httpx.AsyncClient, wedding: str
) -> None:
    live = {"op": "set", "root": "meta", "key": "phase", "value": "live"}
    answer = await client.post(f"{wedding}/documents/wedding/ops", json={"operations": [live]})
    assert answer.status_code == 200, answer.text
    grant = await ask(client, wedding)
    assert grant["given_by"] == "policy"
    feed = (await client.get(f"{wedding}/events", params=COUPLE)).json()["events"]
    assert feed[-1]["type"] == "grant.given"
    assert (await ask(client, wedding, "budget"))["given_by"] == ""


async def test_a_coordinator_leaves_grants_for_the_others(
    client: httpx.AsyncClient, wedding: str, is_problem: Callable[..., None]
) -> None:
    for _ in range(MOST_OPEN_OF_PERSON):
        await ask(client, wedding)
    body = {"what": "guests", "reason": "once more"}
    answer = await client.post(f"{wedding}/grants", params=COORDINATOR, json=body)
    is_problem(answer, 409, "too_many_own_grants")
    answer = await client.post(f"{wedding}/grants", params=COORDINATOR | {"user": "u_kit"}, json=body)
    assert answer.status_code == 201, answer.text


async def test_the_audit_log_comes_in_pages(client: httpx.AsyncClient, wedding: str) -> None:
    for number in range(3):
        await add(client, wedding, CHLOE | {"user": f"u_{number}"})
    page = (await client.get(f"{wedding}/audit", params=PLANNER | {"after": "1"})).json()
    assert [each["seq"] for each in page["entries"]] == [2, 3]
    assert (page["head"], page["digest"]) == (3, page["entries"][-1]["digest"])
    assert page["entries"][1]["previous"] == page["entries"][0]["digest"]
    assert page["entries"][1]["detail"] == {"guest": "g_1", "role": "guest", "user": "u_2"}
