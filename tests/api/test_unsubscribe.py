"""Links that unsubscribe over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI

from crdt_server import Settings, create_app
from crdt_server.access.access import DevAccess
from crdt_server.key_source import KeyFileError
from crdt_server.services.messaging.unsubscribe import LinkTarget, UnsubscribeLinks
from tests.support.databases import sqlite_database

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHLOE = {"user": "u_chloe", "role": "guest", "guest": "g_1"}
OLD = b"old" * 16
CHOSEN = {
    "language": "de-AT",
    "timezone": "Australia/Lord_Howe",
    "quiet_hours": {"start": "22:30", "end": "07:05"},
    "digest_hour": 18,
}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def app(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FastAPI]:
    path = tmp_path_factory.mktemp("server")
    (path / "new").write_bytes(b"new" * 16 + b"\n")
    (path / "old").write_bytes(OLD + b"\n")
    settings = Settings(
        document_hosts=1,
        database_url=sqlite_database(path),
        public_url="https://wedding.test",
        link_secret_files=f"{path}/new, {path}/old",
    )
    app = create_app(settings, DevAccess())
    async with app.router.lifespan_context(app):
        yield app


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def visitor(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody without a session."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://wedding.test") as client:
        yield client


@pytest.fixture
def wedding() -> str:
    return f"w_{uuid4().hex}"


def link(app: FastAPI, wedding: str, group: str = "guests") -> str:
    links: UnsubscribeLinks = app.state.unsubscribe_links
    return links.url(LinkTarget(wedding, "u_chloe", "mail", group))


async def types(visitor: httpx.AsyncClient, wedding: str) -> Any:
    answer = await visitor.get(f"/api/weddings/{wedding}/preferences", params=CHLOE)
    return answer.json()["preferences"]["types"]


class Page(HTMLParser):
    """Texts and tags of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


async def test_a_page_with_a_button_changes_nothing(app: FastAPI, visitor: httpx.AsyncClient, wedding: str) -> None:
    for _ in range(3):
        answer = await visitor.get(link(app, wedding))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    tags = Page(answer.text).tags
    assert ("form", {"method": "post"}) in tags
    assert ("button", {"name": "List-Unsubscribe", "value": "One-Click"}) in tags
    assert {tag for tag, _ in tags} <= {"html", "meta", "title", "h1", "p", "form", "button"}
    for word in (wedding, "chloe", "guests"):
        assert word not in answer.text
    assert await types(visitor, wedding) == {}


async def test_one_click_ends_the_messages_and_a_second_one_changes_nothing(
    app: FastAPI, visitor: httpx.AsyncClient, wedding: str
) -> None:
    url = link(app, wedding)
    for _ in range(2):
        answer = await visitor.post(url, data={"List-Unsubscribe": "One-Click"})
        assert (answer.status_code, answer.is_redirect) == (200, False)
        assert await types(visitor, wedding) == {"guests": {"mail": "off"}}
    assert "set-cookie" not in answer.headers
    assert (await visitor.post(link(app, wedding, "digest"))).status_code == 200
    assert await types(visitor, wedding) == {"digest": {"mail": "off"}, "guests": {"mail": "off"}}


async def test_other_preferences_stay(app: FastAPI, visitor: httpx.AsyncClient, wedding: str) -> None:
    path = f"/api/weddings/{wedding}/preferences"
    mails = {"guests": {"mail": "digest", "sms": "off"}, "tasks": {"mail": "on"}}
    assert (await visitor.put(path, params=CHLOE, json=CHOSEN | {"types": mails})).status_code == 200
    await visitor.post(link(app, wedding))
    expected = CHOSEN | {"types": mails | {"guests": {"mail": "off", "sms": "off"}}}
    assert (await visitor.get(path, params=CHLOE)).json()["preferences"] == expected


async def test_links_of_the_older_secret_are_good(visitor: httpx.AsyncClient, wedding: str) -> None:
    url = UnsubscribeLinks([OLD], "https://wedding.test").url(LinkTarget(wedding, "u_chloe", "sms", "tasks"))
    assert (await visitor.post(url)).status_code == 200
    assert await types(visitor, wedding) == {"tasks": {"sms": "off"}}


async def test_what_is_no_link(visitor: httpx.AsyncClient) -> None:
    for token in ("", "x", "gAAAAABh", "é", "A" * 4096):
        for method in ("GET", "POST"):
            answer = await visitor.request(method, "/api/unsubscribe", params={"token": token})
            assert answer.status_code == 404
            assert "form" not in {tag for tag, _ in Page(answer.text).tags}
    assert (await visitor.get("/api/unsubscribe", params={"token": "A" * 5000})).status_code == 400
    assert (await visitor.post("/api/unsubscribe", content=b"x" * 2000)).status_code == 413


async def test_the_page_speaks_the_language_of_the_browser(
    app: FastAPI, visitor: httpx.AsyncClient, wedding: str
) -> None:
    german = await visitor.get(link(app, wedding), headers={"Accept-Language": "de-DE,de;q=0.9"})
    assert 'lang="de"' in german.text
    assert "Abbestellen" in german.text
    assert 'lang="en"' in (await visitor.get(link(app, wedding), headers={"Accept-Language": "fr"})).text


async def test_a_server_does_not_start_without_its_secrets(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="--link-secret-files"):
        create_app(Settings(link_secret_files=f"{tmp_path}/none"), DevAccess())
    (tmp_path / "short").write_text("short")
    with pytest.raises(KeyFileError, match="at least 32"):
        create_app(Settings(link_secret_files=f"{tmp_path}/short"), DevAccess())
