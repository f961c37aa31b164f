"""Files of conversations: uploads, downloads, and who may have them."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import time
import tracemalloc
import zipfile
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import pytest_asyncio

from crdt_server import Settings
from crdt_server.access.access import Action, Decision, Denied, DevAccess, Target
from crdt_server.access.identity import Identity, person_at
from crdt_server.api.downloads import Sending, StoredFileResponse
from crdt_server.services.attachments import ORPHAN_AGE
from tests.support.databases import sqlite_database
from tests.support.gate import SECONDS, LocalServer, local_server, until

MOST = 200_000
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01" + bytes(range(256)) * 40
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(100)
FILES = "/documents/thread.t_1/attachments"
ADA, BOB = {"user": "ada"}, {"user": "bob"}

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Doors(DevAccess):
    """`--dev`, but for the persons and documents that the test shuts out."""

    def __init__(self) -> None:
        self.shut: set[tuple[str, Action, str]] = set()

    def may(self, identity: Identity, action: Action, wedding: str, target: Target) -> Decision:
        if (identity.user, action, target) in self.shut:
            return Denied("not_found", "no such document")
        return super().may(identity, action, wedding, target)


@pytest.fixture(scope="module")
def access() -> Doors:
    return Doors()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory, access: Doors) -> AsyncIterator[LocalServer]:
    settings = Settings(
        port=0,
        database_url=sqlite_database(tmp_path_factory.mktemp("server")),
        document_hosts=1,
        max_file_bytes=MOST,
        max_wedding_file_bytes=3 * MOST,
        max_upload_bytes_per_address=2 * MOST,
        upload_seconds=SECONDS,
        max_strikes=0,
    )
    async with local_server(settings, access) as running:
        yield running


@pytest.fixture
def wedding(request: pytest.FixtureRequest) -> str:
    return f"w_{hashlib.sha256(request.node.name.encode()).hexdigest()[:16]}"


@pytest.fixture
def folder(server: LocalServer) -> Path:
    return Path(urlsplit(server.hub.settings.database_url).path).parent / "files"


@pytest_asyncio.fixture(loop_scope="module")
async def client(server: LocalServer, wedding: str) -> AsyncIterator[httpx.AsyncClient]:
    base = f"{server.url}/api/weddings/{wedding}"
    async with httpx.AsyncClient(base_url=base, trust_env=False, timeout=SECONDS) as open_client:
        yield open_client


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def upload(client: httpx.AsyncClient, name: str, content: bytes, by: dict[str, str] = ADA) -> httpx.Response:
    return await client.post(FILES, params=by | {"filename": name}, content=content)


async def kept(client: httpx.AsyncClient, name: str = "a.jpg", content: bytes = JPEG) -> dict[str, Any]:
    answer = await upload(client, name, content)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def write(client: httpx.AsyncClient, root: str, record: str, value: object) -> None:
    operation = {"op": "set", "root": root, "record": record, "value": value}
    body = {"operations": [operation]}
    answer = await client.post("/documents/thread.t_1/ops", params=ADA, json=body)
    assert answer.status_code == 200, answer.text


async def test_a_file_comes_back_as_it_was(client: httpx.AsyncClient, wedding: str, folder: Path) -> None:
    sha256 = hashlib.sha256(JPEG).hexdigest()
    found = await kept(client, "Zoë & Ana.jpg")
    assert found == found | {"name": "Zoë & Ana.jpg", "mediaType": "image/jpeg", "size": len(JPEG), "sha256": sha256}
    answer = await client.get(f"{FILES}/{found['id']}", params=BOB)
    assert (answer.status_code, answer.content) == (200, JPEG)
    assert answer.headers["Content-Type"] == "image/jpeg"
    expected = "attachment; filename=\"Zoe _ Ana.jpg\"; filename*=UTF-8''Zo%C3%AB%20%26%20Ana.jpg"
    assert answer.headers["Content-Disposition"] == expected
    assert (folder / "weddings" / wedding / sha256).read_bytes() == JPEG
    assert list((folder / "incoming").iterdir()) == []


async def test_it_fits_into_a_message_and_goes_with_it(client: httpx.AsyncClient) -> None:
    found = await kept(client)
    message = {"from": "ada", "at": "2026-06-20T13:30:00Z", "kind": "text", "body": "", "attachments": [found]}
    await write(client, "messages", "01J0M1", message)
    assert (await client.get(f"{FILES}/{found['id']}", params=BOB)).status_code == 200


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("evil.svg", b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'),
        ("evil.html", b"<!DOCTYPE html><script>alert(1)</script>"),
        ("evil.txt", b"<script>alert(1)</script>"),
        ("evil.xhtml", b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"/>'),
        ("evil.pdf", b"%PDF-1.7\n/JavaScript"),
        ("nothing", bytes(range(255))),
    ],
)
async def test_nothing_is_shown_in_the_origin_of_the_server(
    client: httpx.AsyncClient, name: str, content: bytes
) -> None:
    found = await kept(client, name, content)
    answer = await client.get(f"{FILES}/{found['id']}", params=ADA)
    assert answer.headers["Content-Disposition"].startswith("attachment;")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert answer.headers["Content-Type"].partition(";")[0] not in ("text/html", "image/svg+xml", "application/xml")


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("holiday.jpg", b"MZ\x90\0\3\0\0\0\4" + bytes(200), (415, "program")),
        ("holiday.jpg", b"\x7fELF\2\1\1" + bytes(200), (415, "program")),
        ("holiday.jpg", b"<html><script>", (415, "not_as_named")),
        ("holiday.jpg", b"PK\x03\x04" + bytes(50), (415, "not_as_named")),
        ("holiday.jpg.exe", JPEG, (415, "program")),
        ("holiday\u202egpj.exe", JPEG, (415, "program")),
        ("run", b"#!/bin/sh\nrm -rf /", (415, "program")),
        ("empty.txt", b"", (400, "empty_file")),
        ("a.jpg", JPEG + bytes(MOST), (413, "body_too_large")),
    ],
)
async def test_what_is_refused_leaves_nothing_behind(
    client: httpx.AsyncClient, folder: Path, name: str, content: bytes, expected: tuple[int, str]
) -> None:
    before = {path for path in folder.rglob("*") if path.is_file()}
    assert code_of(await upload(client, name, content)) == expected
    assert {path for path in folder.rglob("*") if path.is_file()} == before
    metrics = await client.get(client.base_url.join("/metrics"))
    assert f'crdt_files_refused_total{{code="{expected[1]}"}}' in metrics.text


@pytest.mark.parametrize("name", ["photos.zip", "plan.docx"])
async def test_a_zip_bomb_is_a_file_like_any_other(client: httpx.AsyncClient, name: str) -> None:
    """It unpacks to 64 MB. Nothing unpacks it: the server is in this process, and takes no memory for that."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as bomb, bomb.open("[Content_Types].xml", "w") as member:
        for _ in range(64):
            member.write(bytes(1 << 20))
    content = packed.getvalue()
    tracemalloc.start()
    try:
        found = await kept(client, name, content)
        assert (await client.get(f"{FILES}/{found['id']}", params=ADA)).content == content
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(content) < 100_000 < peak < 8 << 20
    assert found["size"] == len(content)


async def test_ranges_and_what_has_not_changed(client: httpx.AsyncClient) -> None:
    found = await kept(client)
    url, size, tag = f"{FILES}/{found['id']}", len(JPEG), f'"{found["sha256"]}"'

    async def get(**headers: str) -> httpx.Response:
        return await client.get(url, params=ADA, headers={name.replace("_", "-"): v for name, v in headers.items()})

    for header, part in {
        "bytes=0-9": slice(0, 10),
        "bytes=100-": slice(100, None),
        "bytes=-7": slice(-7, None),
        "bytes=5-999999999": slice(5, None),
        "bytes=-999999999": slice(None),
    }.items():
        answer = await get(Range=header)
        assert (answer.status_code, answer.content) == (206, JPEG[part]), header
        start = part.indices(size)[0]
        assert answer.headers["Content-Range"] == f"bytes {start}-{start + len(answer.content) - 1}/{size}"
    for header in ("bytes=0-1,5-6", "bytes=9-5", "bytes=-", "pages=1-2", "bytes=a-b", "bytes=" + "9" * 5000 + "-"):
        answer = await get(Range=header)
        assert (answer.status_code, answer.content) == (200, JPEG), header[:20]
    for header in (f"bytes={size}-", "bytes=-0"):
        answer = await get(Range=header)
        assert (answer.status_code, answer.headers["Content-Range"]) == (416, f"bytes */{size}")
    assert (await get(Range="bytes=0-1", If_Range=tag)).status_code == 206
    assert (await get(Range="bytes=0-1", If_Range='"other"')).status_code == 200
    answer = await get(If_None_Match=tag)
    assert (answer.status_code, answer.content, answer.headers["ETag"]) == (304, b"", tag)


async def test_rights_are_checked_each_time(client: httpx.AsyncClient, access: Doors) -> None:
    found = await kept(client)
    url = f"{FILES}/{found['id']}"
    assert (await client.get(url, params=BOB)).status_code == 200
    access.shut = {("bob", Action.READ, "thread.t_1")}
    answer = await client.get(url, params=BOB, headers={"If-None-Match": f'"{found["sha256"]}"'})
    assert code_of(answer) == (404, "not_found")
    access.shut = {("bob", Action.WRITE, "thread.t_1")}
    assert code_of(await upload(client, "a.jpg", JPEG, BOB)) == (404, "not_found")
    access.shut = set()


async def test_a_right_that_is_lost_during_an_upload(
    client: httpx.AsyncClient, access: Doors, server: LocalServer
) -> None:
    arrived = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield JPEG[:5000]
        await until(lambda: server.app.state.uploads.held > 0)
        access.shut = {("bob", Action.WRITE, "thread.t_1")}
        arrived.set()
        yield JPEG[5000:]

    try:
        answer = await client.post(FILES, params=BOB | {"filename": "a.jpg"}, content=slowly())
        assert arrived.is_set()
        assert code_of(answer) == (404, "not_found")
    finally:
        access.shut = set()
    assert server.app.state.uploads.held == 0


async def test_only_in_its_conversation_and_only_of_conversations(client: httpx.AsyncClient) -> None:
    found = await kept(client)
    for path in (f"/documents/thread.t_2/attachments/{found['id']}", f"{FILES}/at_none", f"{FILES}/..%2f..%2fstore.db"):
        assert (await client.get(path, params=ADA)).status_code == 404
    assert code_of(await client.post("/documents/guests/attachments", params=ADA, content=JPEG)) == (404, "not_found")
    elsewhere = client.base_url.join(f"/api/weddings/other{FILES}/{found['id']}")
    assert (await client.get(elsewhere, params=ADA)).status_code == 404


async def test_a_message_that_is_taken_back_takes_its_files_along(
    client: httpx.AsyncClient, server: LocalServer
) -> None:
    """At once: here is no consumer of events that would have removed the attachment."""
    found, wedding = await kept(client), client.base_url.path.split("/")[3]
    message = {"from": "ada", "at": "2026-06-20T13:30:00Z", "kind": "text", "body": "", "attachments": [found]}
    await write(client, "messages", "01J0M1", message)
    storage = server.hub.storage
    await storage._executor.write(
        lambda connection: connection.exec_driver_sql(
            "UPDATE attachments SET message = '01J0M1' WHERE wedding = ?", (wedding,)
        )
    )
    assert (await client.get(f"{FILES}/{found['id']}", params=BOB)).status_code == 200
    await write(client, "redactions", "01J0M1", {"by": "ada", "at": "2026-06-20T13:31:00Z"})
    assert code_of(await client.get(f"{FILES}/{found['id']}", params=BOB)) == (404, "not_found")


async def test_the_bytes_of_a_wedding_are_bounded_and_equal_files_count_once(client: httpx.AsyncClient) -> None:
    def file(number: int) -> bytes:
        return JPEG[:20] + bytes([number]) * 150_000

    for number in (1, 2, 3, 1, 2, 3):
        assert (await upload(client, "a.jpg", file(number))).status_code == 201
    assert code_of(await upload(client, "a.jpg", file(4))) == (409, "over_quota")
    elsewhere = client.base_url.join(f"/api/weddings/w_roomy{FILES}")
    answer = await client.post(elsewhere, params=ADA | {"filename": "a.jpg"}, content=file(4))
    assert answer.status_code == 201


async def test_bytes_under_way_of_one_person_are_bounded(client: httpx.AsyncClient, server: LocalServer) -> None:
    uploads = server.app.state.uploads
    goes_on = asyncio.Event()

    async def held() -> AsyncIterator[bytes]:
        yield JPEG[:10] + bytes(MOST - 1000)
        await goes_on.wait()
        yield bytes(10)

    first = asyncio.create_task(client.post(FILES, params=ADA | {"filename": "a.jpg"}, content=held()))
    await until(lambda: uploads.held >= MOST - 1000)
    assert code_of(await upload(client, "b.jpg", JPEG[:10] + bytes(5000))) == (503, "admission")
    assert (await upload(client, "b.jpg", JPEG[:10] + bytes(5000), BOB)).status_code == 201
    goes_on.set()
    assert (await first).status_code == 201
    assert (uploads.held, uploads._by_key) == (0, {})


async def test_a_client_that_leaves_leaves_no_file(
    client: httpx.AsyncClient, server: LocalServer, folder: Path, wedding: str
) -> None:
    address = urlsplit(server.url)
    _, writer = await asyncio.open_connection(address.hostname, address.port)
    path = f"/api/weddings/{wedding}{FILES}?user=ada&filename=a.jpg"
    writer.write(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n".encode() + JPEG[:9000])
    await until(lambda: server.app.state.uploads.held > 0)
    writer.close()
    await until(lambda: server.app.state.uploads.held == 0)
    assert not (folder / "weddings" / wedding).exists()
    assert not list((folder / "incoming").glob("*"))


async def test_a_file_that_comes_too_slowly(tmp_path: Path) -> None:
    settings = Settings(port=0, database_url=sqlite_database(tmp_path), document_hosts=1, upload_seconds=0.2)
    async with local_server(settings, DevAccess()) as server:

        async def never() -> AsyncIterator[bytes]:
            yield JPEG
            await until(lambda: server.app.state.uploads.held == 0 and server.app.state.seen)

        server.app.state.seen = False

        async def watch() -> None:
            await until(lambda: server.app.state.uploads.held > 0)
            server.app.state.seen = True

        watching = asyncio.create_task(watch())
        async with httpx.AsyncClient(base_url=f"{server.url}/api/weddings/w", trust_env=False) as client:
            answer = await client.post(FILES, params=ADA | {"filename": "a.jpg"}, content=never())
        await watching
    assert code_of(answer) == (408, "body_timeout")


async def test_orphans_are_removed_after_a_day_and_others_stay(
    client: httpx.AsyncClient, server: LocalServer, folder: Path, wedding: str
) -> None:
    attachments = server.app.state.attachments
    orphan, used = await kept(client, "o.jpg", JPEG + b"o"), await kept(client, "u.jpg", JPEG + b"u")
    crashed = folder / "weddings" / wedding / ("c" * 64)  # a process ended before its row was written
    crashed.write_bytes(b"c")
    unfinished = folder / "incoming" / "x.part"
    unfinished.write_bytes(b"x")
    forgotten = folder / "aside" / wedding / ("d" * 64)  # and one while it was swept
    forgotten.parent.mkdir(parents=True)
    forgotten.write_bytes(b"d")
    set_aside = folder / "aside" / wedding / used["sha256"]
    (folder / "weddings" / wedding / used["sha256"]).rename(set_aside)
    assert await attachments.sweep() == 0
    assert not forgotten.exists()
    assert not set_aside.exists()
    old = time.time() - ORPHAN_AGE.total_seconds() - 60
    for path in (*(folder / "weddings" / wedding).iterdir(), unfinished):
        os.utime(path, (old, old))
    await server.hub.storage._executor.write(
        lambda connection: connection.exec_driver_sql(
            "UPDATE attachments SET at = '2026-01-01 00:00:00.000000', message = CASE id WHEN ? THEN 'm' ELSE '' END "
            "WHERE wedding = ?",
            (used["id"], wedding),
        )
    )
    assert await attachments.sweep() == 2
    assert [path.name for path in (folder / "weddings" / wedding).iterdir()] == [used["sha256"]]
    assert not unfinished.exists()
    assert (await client.get(f"{FILES}/{orphan['id']}", params=ADA)).status_code == 404


@pytest.mark.parametrize(
    "name",
    [
        "../../../etc/passwd",
        "..\\..\\boot.ini",
        "/",
        "\0",
        "\u202e\u2066",
        "CON",
        "a\r\nX-Evil: 1",
        '"; filename="x',
        "🎂",
    ],
)
async def test_names_that_mean_harm(client: httpx.AsyncClient, folder: Path, wedding: str, name: str) -> None:
    found = await kept(client, name, JPEG)
    answer = await client.get(f"{FILES}/{found['id']}", params=ADA)
    assert answer.content == JPEG
    assert "X-Evil" not in answer.headers
    assert not set(found["name"]) & set('/\\\0\r\n"\u202e\u2066')
    assert [path.name for path in (folder / "weddings" / wedding).iterdir()] == [found["sha256"]]


async def test_downloads_of_one_person_are_bounded(client: httpx.AsyncClient, server: LocalServer) -> None:
    """And they are no reads: who takes them slowly keeps nobody from reading."""
    downloads, person = server.app.state.downloads, person_at(Identity("ada", "couple"), "127.0.0.1")
    url = f"{FILES}/{(await kept(client))['id']}"
    most = server.hub.settings.max_downloads_per_address
    for _ in range(most // 2):
        assert downloads.take("127.0.0.1", 1, person)
    assert code_of(await client.get(url, params=ADA)) == (503, "downloads")
    assert (await client.get("/events", params=ADA)).status_code == 200
    assert (await client.get(url, params=BOB)).status_code == 200
    downloads.release("127.0.0.1", most // 2, person)
    for header in ({}, {"Range": "bytes=0-1"}, {"Range": "bytes=99999999-"}, {"If-None-Match": "*"}):
        await client.get(url, params=ADA, headers=header)
    assert (downloads.held, downloads._by_key) == (0, {})


async def test_who_loses_the_right_or_leaves_is_sent_nothing_more(
    client: httpx.AsyncClient, server: LocalServer, access: Doors
) -> None:
    content = JPEG[:20] + bytes(MOST - 20)
    found = await kept(client, "a.jpg", content)
    given: list[int] = []
    attachments = server.app.state.attachments
    read = attachments.read

    async def watched(*arguments: Any) -> AsyncGenerator[bytes, None]:
        async for part in read(*arguments):
            for start in range(0, len(part), 10_000):
                given.append(start)
                if len(given) == 3:
                    access.shut = {("bob", Action.READ, "thread.t_1")}
                yield part[start : start + 10_000]

    attachments.read = watched
    try:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(f"{FILES}/{found['id']}", params=BOB)
    finally:
        attachments.read = read
        access.shut = set()
    assert len(given) == 3
    assert server.app.state.downloads.held == 0


async def test_a_row_without_its_file_is_reported(client: httpx.AsyncClient, folder: Path, wedding: str) -> None:
    found = await kept(client)
    (folder / "weddings" / wedding / found["sha256"]).unlink()
    assert code_of(await client.get(f"{FILES}/{found['id']}", params=ADA)) == (503, "file_missing")
    await kept(client)
    assert (await client.get(f"{FILES}/{found['id']}", params=ADA)).content == JPEG


async def test_a_client_that_does_not_read_is_cut_and_the_file_is_closed() -> None:
    closed = ended = False

    async def parts() -> AsyncGenerator[bytes, None]:
        nonlocal closed
        try:
            while True:
                yield b"part"
        finally:
            closed = True

    async def never_gone() -> bool:
        return False

    def end() -> None:
        nonlocal ended
        ended = True

    sent = []

    async def send(message: Any) -> None:
        sent.append(message["type"])
        if len(sent) == 3:
            await asyncio.Event().wait()

    sending = Sending(part_seconds=0.01, is_over=never_gone, ended=end)
    response = StoredFileResponse(parts(), 200, {}, "text/plain", sending)
    await response({"type": "http"}, asyncio.Queue().get, send)
    assert sent == ["http.response.start", "http.response.body", "http.response.body"]
    assert closed
    assert ended
