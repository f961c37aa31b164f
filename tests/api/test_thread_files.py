"""Files and search in threads, with tokens and members: not a byte and not a hit for those who take no part."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.with_members import AT, as_user, make
from tests.support.gate import SECONDS

SECRET = "the ring is under the oak"  # noqa: S105 - of a message
OUTSIDE = ("u_bo", "u_chloe", "u_zoe")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRDT_SERVER_FILES", str(tmp_path / "files"))


async def sent(members: httpx.AsyncClient, user: str, document: str) -> dict[str, Any]:
    """A message with a file in it; the file."""
    made = await members.post(
        f"/documents/{document}/attachments", params={"filename": "ring.txt"}, content=b"oak", headers=as_user(user)
    )
    assert made.status_code == 201, made.text
    value = {"from": user, "at": AT, "kind": "text", "body": SECRET, "attachments": [made.json()]}
    operation = {"op": "set", "root": "messages", "record": "m1", "value": value}
    body = {"operations": [operation]}
    answer = await members.post(f"/documents/{document}/ops", json=body, headers=as_user(user))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = made.json()
    return found


async def hits(members: httpx.AsyncClient, user: str) -> list[dict[str, Any]]:
    answer = await members.get("/search", params={"q": "ring oa*"}, headers=as_user(user))
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["hits"]
    return found


async def until_found(members: httpx.AsyncClient, user: str) -> None:
    async with asyncio.timeout(SECONDS):
        while not await hits(members, user):
            pass


async def test_they_are_for_those_who_take_part(members: httpx.AsyncClient) -> None:
    thread = await make(members, "u_aroha", "u_dj", "u_ann", type="vendor")
    document = thread["document"]
    file = await sent(members, "u_dj", document)
    path = f"/documents/{document}/attachments"
    await until_found(members, "u_dj")
    for user in ("u_dj", "u_aroha", "u_ann", "u_mia"):
        (hit,) = await hits(members, user)
        assert (hit["document"], hit["from"], hit["excerpt"]) == (document, "u_dj", SECRET)
        answer = await members.get(f"{path}/{file['id']}", headers=as_user(user))
        assert (answer.status_code, answer.content) == (200, b"oak"), user
    for user in OUTSIDE:
        assert await hits(members, user) == []
        for answer in (
            await members.get(f"{path}/{file['id']}", headers=as_user(user)),
            await members.get(f"{path}/{file['id']}", headers=as_user(user) | {"If-None-Match": f'"{file["sha256"]}"'}),
            await members.post(path, content=b"a", headers=as_user(user)),
        ):
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), user
            assert b"oak" not in answer.content


async def test_who_is_removed_finds_nothing_from_then_on(members: httpx.AsyncClient) -> None:
    thread = await make(members, "u_aroha", "u_ann", "u_zoe", type="family")
    file = await sent(members, "u_aroha", thread["document"])
    await until_found(members, "u_ann")
    path = f"/threads/{thread['id']}/participants/u_ann"
    answer = await members.delete(path, headers=as_user("u_aroha"))
    assert answer.status_code in (200, 204), answer.text
    assert await hits(members, "u_ann") == []
    found = await members.get(f"/documents/{thread['document']}/attachments/{file['id']}", headers=as_user("u_ann"))
    assert found.status_code == 404
    assert len(await hits(members, "u_zoe")) == 1


async def test_what_is_taken_back_is_gone_with_its_file(members: httpx.AsyncClient, tmp_path: Path) -> None:
    thread = await make(members, "u_aroha", "u_ann", type="family")
    document = thread["document"]
    file = await sent(members, "u_ann", document)
    await until_found(members, "u_aroha")
    redaction = {"op": "set", "root": "redactions", "record": "m1", "value": {"by": "u_ann", "at": AT}}
    body = {"operations": [redaction]}
    answer = await members.post(f"/documents/{document}/ops", json=body, headers=as_user("u_ann"))
    assert answer.status_code == 200, answer.text
    for user in ("u_aroha", "u_ann"):
        assert await hits(members, user) == []
        found = await members.get(f"/documents/{document}/attachments/{file['id']}", headers=as_user(user))
        assert found.status_code == 404
