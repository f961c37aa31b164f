"""Webhooks over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

from crdt_server.services.messaging.webhooks import MOST_WEBHOOKS, NO_MEMBER, subscribes_to

COUPLE, PLANNER, COORDINATOR, GUEST = (
    {"user": f"u_{role}", "role": role} for role in ("couple", "planner", "coordinator", "guest")
)
URL = "https://hooks.example/in/secret-path"


@pytest.fixture
def wedding() -> str:
    return f"/w_{uuid4().hex}"


async def make(client: httpx.AsyncClient, wedding: str, **fields: Any) -> tuple[str, str]:
    """The id and secret of a new webhook."""
    made = await client.post(f"{wedding}/webhooks", params=PLANNER, json={"url": URL, **fields})
    assert made.status_code == 201, made.text
    return made.json()["webhook"]["id"], made.json()["secret"]


async def listed(client: httpx.AsyncClient, wedding: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.get(f"{wedding}/webhooks", params=COUPLE)).json()["webhooks"]
    return found


async def test_a_webhook_is_made_changed_and_removed(client: httpx.AsyncClient, wedding: str) -> None:
    id_, secret = await make(client, wedding, types=["guest", "task.done"])
    (hook,) = await listed(client, wedding)
    assert {name: hook[name] for name in ("id", "url", "types", "secrets", "by", "disabled_at")} == {
        "id": id_,
        "url": URL,
        "types": ["guest", "task.done"],
        "secrets": 1,
        "by": "u_planner",
        "disabled_at": None,
    }
    path = f"{wedding}/webhooks/{id_}"
    changed = await client.patch(path, params=COUPLE, json={"url": "https://other.example", "enabled": False})
    assert changed.json()["url"] == "https://other.example"
    assert changed.json()["types"] == ["guest", "task.done"]
    assert changed.json()["disabled_at"] is not None
    assert (await client.patch(path, params=COUPLE, json={"enabled": True, "types": []})).json()["disabled_at"] is None
    assert (await listed(client, wedding))[0]["types"] == []
    assert (await client.delete(path, params=PLANNER)).status_code == 204
    assert await listed(client, wedding) == []
    for method, body in (("PATCH", {}), ("DELETE", None)):
        assert (await client.request(method, path, params=COUPLE, json=body)).status_code == 404
    audit = (await client.get(f"{wedding}/audit", params=COUPLE)).json()["entries"]
    made = ["webhook.added", "webhook.changed", "webhook.changed", "webhook.removed"]
    assert [each["action"] for each in audit] == made
    for text in (secret, "secret-path"):
        assert text not in json.dumps(audit)


async def test_whoever_gives_a_webhook_another_url_gets_what_they_may_know(
    client: httpx.AsyncClient, wedding: str
) -> None:
    """A planner would have read a family's conversations at the URL of their own in a webhook of the couple."""
    made = await client.post(f"{wedding}/webhooks", params=COUPLE, json={"url": URL})
    path = f"{wedding}/webhooks/{made.json()['webhook']['id']}"
    for body in ({"enabled": False}, {"types": ["message"]}, {"enabled": True, "url": URL}):
        assert (await client.patch(path, params=PLANNER, json=body)).json()["by"] == "u_couple"
    changed = await client.patch(path, params=PLANNER, json={"url": "https://planner.example"})
    assert changed.json()["by"] == "u_planner"
    assert (await listed(client, wedding))[0]["by"] == "u_planner"


async def test_the_webhook_of_somebody_who_was_removed_is_not_used_again(
    client: httpx.AsyncClient, wedding: str, is_problem: Callable[..., None]
) -> None:
    """It was shown as one that is in use, and got nothing."""
    for member in (COUPLE, PLANNER):
        assert (await client.post(f"{wedding}/members", params=COUPLE, json=member)).status_code == 201
    id_, _ = await make(client, wedding)
    path = f"{wedding}/webhooks/{id_}"
    assert (await listed(client, wedding))[0]["reason"] == ""
    assert (await client.delete(f"{wedding}/members/u_planner", params=COUPLE)).status_code == 204
    assert (await listed(client, wedding))[0]["reason"] == NO_MEMBER
    for body in ({"enabled": True}, {"types": ["guest"]}):
        is_problem(await client.patch(path, params=COUPLE, json=body), 409, "not_a_member")
    assert (await client.patch(path, params=COUPLE, json={"enabled": False})).status_code == 200
    taken = await client.patch(path, params=COUPLE, json={"enabled": True, "url": URL})
    assert (taken.status_code, taken.json()["by"], taken.json()["reason"]) == (200, "u_couple", "")
    assert (await listed(client, wedding))[0]["reason"] == ""


async def test_a_secret_is_shown_once_and_replaced_without_a_gap(client: httpx.AsyncClient, wedding: str) -> None:
    id_, first = await make(client, wedding)
    path = f"{wedding}/webhooks/{id_}/secrets"
    assert first.startswith("whsec_")
    shown = []
    for count in (2, 2):
        rotated = await client.post(path, params=COUPLE)
        assert (rotated.status_code, rotated.json()["webhook"]["secrets"]) == (201, count)
        shown.append(rotated.json()["secret"])
    assert len({first, *shown}) == 3
    ended = await client.delete(path, params=COUPLE)
    assert (ended.status_code, ended.json()["secrets"]) == (200, 1)
    everything = (await client.get(f"{wedding}/webhooks", params=COUPLE)).text + ended.text
    assert not any(secret in everything for secret in (first, *shown))
    assert (await client.post(f"{wedding}/webhooks/wh_none/secrets", params=COUPLE)).status_code == 404


async def test_only_the_couple_and_planners_may(
    client: httpx.AsyncClient, wedding: str, is_problem: Callable[..., None]
) -> None:
    id_, _ = await make(client, wedding)
    for by in (COORDINATOR, GUEST):
        for method, path, body in (
            ("GET", "webhooks", None),
            ("POST", "webhooks", {"url": URL}),
            ("PATCH", f"webhooks/{id_}", {"enabled": False}),
            ("DELETE", f"webhooks/{id_}", None),
            ("POST", f"webhooks/{id_}/secrets", None),
            ("DELETE", f"webhooks/{id_}/secrets", None),
        ):
            is_problem(await client.request(method, f"{wedding}/{path}", params=by, json=body), 403, "forbidden")
    assert len(await listed(client, wedding)) == 1


@pytest.mark.parametrize(
    "body",
    [
        *(
            {},
            {"url": ""},
            {"url": "example.org"},
            {"url": "https://127.0.0.1/x"},
            {"url": "https://[::ffff:10.0.0.1]/"},
        ),
        *({"url": "https://169.254.169.254/"}, {"url": "https://u:p@example.org/"}, {"url": "https://2130706433/"}),
        {"url": "http://example.org/without-tls"},
        *({"url": URL, "types": ["*"]}, {"url": URL, "types": ["a"] * 51}, {"url": URL, "types": "guest"}),
        *({"url": URL, "secret": "mine"}, {"url": "https://x/\r\nHost: y"}, {"url": "https://x/" + "y" * 2_000}),
    ],
)
async def test_what_cannot_be_a_webhook_is_refused(
    client: httpx.AsyncClient, wedding: str, is_problem: Callable[..., None], body: dict[str, Any]
) -> None:
    is_problem(await client.post(f"{wedding}/webhooks", params=COUPLE, json=body), 400, "invalid_request")
    if body.get("url"):
        id_, _ = await make(client, wedding)
        changed = await client.patch(f"{wedding}/webhooks/{id_}", params=COUPLE, json=body)
        is_problem(changed, 400, "invalid_request")


async def test_webhooks_of_a_wedding_are_bounded(
    client: httpx.AsyncClient, wedding: str, is_problem: Callable[..., None]
) -> None:
    for _ in range(MOST_WEBHOOKS):
        await make(client, wedding)
    refused = await client.post(f"{wedding}/webhooks", params=COUPLE, json={"url": URL})
    is_problem(refused, 409, "too_many_webhooks")


async def test_the_key_for_push_messages(client: httpx.AsyncClient, wedding: str) -> None:
    """Without a setting there is none; tests/services/test_channel_settings.py has one."""
    for by in (COUPLE, GUEST):
        assert (await client.get(f"{wedding}/push-key", params=by)).json() == {"key": ""}


def test_types_are_wanted_by_their_beginning() -> None:
    assert subscribes_to((), "guest.rsvp")
    assert subscribes_to(("guest",), "guest.rsvp")
    assert subscribes_to(("task", "guest.rsvp"), "guest.rsvp")
    assert not subscribes_to(("gue", "guest.rsvp.x", "task"), "guest.rsvp")
