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


async def listed(members: httpx.AsyncClient, user: str, document: str, limit: int = 100) -> list[dict[str, Any]]:
    """The files of a conversation, page by page."""
    found: list[dict[str, Any]] = []
    after = ""
    while True:
        query: dict[str, str | int] = {"limit": limit, "after": after}
        answer = await members.get(f"/documents/{document}/attachments", params=query, headers=as_user(user))
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert len(page["attachments"]) <= limit
        found += page["attachments"]
        after = page["next"]
        if not after:
            return found


async def uploaded(members: httpx.AsyncClient, user: str, document: str, content: bytes) -> dict[str, Any]:
    path = f"/documents/{document}/attachments"
    made = await members.post(path, params={"filename": "a.txt"}, content=content, headers=as_user(user))
    assert made.status_code == 201, made.text
    found: dict[str, Any] = made.json()
    return found


async def test_files_are_listed_for_those_who_find_them(members: httpx.AsyncClient) -> None:
    document = (await make(members, "u_aroha", "u_dj", "u_ann", type="vendor"))["document"]
    file = await sent(members, "u_dj", document)
    await until_found(members, "u_dj")  # its message was routed, with which the file belongs to it
    drafts = [await uploaded(members, "u_ann", document, b"draft %d" % number) for number in range(4)]
    for user in ("u_dj", "u_aroha"):
        (found,) = await listed(members, user, document)
        assert {name: found[name] for name in file} == file
        assert (found["message"], found["by"]) == ("m1", "u_dj")
    own = await listed(members, "u_ann", document, limit=2)
    assert [each["id"] for each in own] == [*(each["id"] for each in reversed(drafts)), file["id"]]
    for user in OUTSIDE:
        answer = await members.get(f"/documents/{document}/attachments", headers=as_user(user))
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), user
    wrong = {"after": "9999-12-31T23:59:59-23:00~x"}
    answer = await members.get(f"/documents/{document}/attachments", params=wrong, headers=as_user("u_dj"))
    assert answer.status_code == 400
    value = {"op": "set", "root": "redactions", "record": "m1", "value": {"by": "u_dj", "at": AT}}
    answer = await members.post(f"/documents/{document}/ops", json={"operations": [value]}, headers=as_user("u_dj"))
    assert answer.status_code == 200, answer.text
    assert await listed(members, "u_dj", document) == []


async def test_a_file_is_deleted_by_its_uploader_and_by_organizers(members: httpx.AsyncClient, tmp_path: Path) -> None:
    def stored() -> int:
        return sum(path.is_file() for path in (tmp_path / "files").rglob("*") if path.name != ".lock")

    document = (await make(members, "u_aroha", "u_dj", "u_ann", type="vendor"))["document"]
    path = f"/documents/{document}/attachments"
    first, same, other = [await uploaded(members, "u_dj", document, content) for content in (b"1", b"1", b"2")]
    before = stored()

    async def delete(user: str, file: dict[str, Any]) -> int:
        return (await members.delete(f"{path}/{file['id']}", headers=as_user(user))).status_code

    assert [await delete(user, first) for user in ("u_ann", *OUTSIDE)] == [403, 404, 404, 404]
    assert await delete("u_dj", first) == 204
    assert await delete("u_dj", first) == 404
    assert stored() == before, "another attachment has the same bytes"
    assert (await members.get(f"{path}/{same['id']}", headers=as_user("u_ann"))).content == b"1"
    assert await delete("u_mia", same) == 204
    assert stored() == before - 1
    assert await delete("u_mia", other | {"id": "at_none"}) == 404
    assert [each["id"] for each in await listed(members, "u_dj", document)] == [other["id"]]
    entries = (await members.get("/audit", headers=as_user("u_aroha"))).json()["entries"]
    gone = [each for each in entries if each["action"] == "attachment.deleted"]
    assert [each["actor"] for each in gone] == ["u_dj", "u_mia"]
    elsewhere = (await make(members, "u_aroha", "u_dj"))["document"]
    answer = await members.delete(f"/documents/{elsewhere}/attachments/{other['id']}", headers=as_user("u_dj"))
    assert answer.status_code == 404


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
