"""The routes of the page: what is served, and under which headers. How it behaves is tests/browser's business."""

import re
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from crdt_server import web


def client(static: Path, prefix: str = "") -> httpx.AsyncClient:
    routes = web.routes(static)
    app = Starlette(routes=[Mount(prefix, routes=routes)] if prefix else routes)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server")


@pytest.fixture
def static(tmp_path: Path) -> Path:
    """A build of one page and one script, with a file beside it that nobody may read."""
    directory = tmp_path / "static"
    directory.mkdir()
    (directory / "index.html").write_text("<!doctype html><title>page</title>")
    (directory / "main-ABC.js").write_text("export {}")
    (tmp_path / "secret").write_text("secret")
    return directory


def directives(response: httpx.Response) -> dict[str, str]:
    policy = response.headers["content-security-policy"]
    return dict(part.strip().split(" ", 1) for part in policy.split(";"))


async def test_the_page_and_its_files_are_served(static: Path) -> None:
    async with client(static) as http:
        page, script = await http.get("/"), await http.get("/static/main-ABC.js")
    assert (page.status_code, script.status_code) == (200, 200)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["cache-control"] == "no-cache"
    assert "javascript" in script.headers["content-type"]
    assert "immutable" in script.headers["cache-control"]


async def test_nothing_is_allowed_inline_or_from_elsewhere(static: Path) -> None:
    async with client(static) as http:
        responses = [await http.get(path) for path in ("/", "/static/main-ABC.js", "/static/absent")]
    for response in responses:
        allowed = directives(response)
        assert allowed["default-src"] == "'none'"
        assert set(allowed.values()) == {"'none'", "'self'"}
        assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("name", ["absent", "%2e%2e", "%2e%2e%2fsecret", "..%2Fsecret", "", "%00"])
async def test_nothing_else_is_served(static: Path, name: str) -> None:
    async with client(static) as http:
        response = await http.get(f"/static/{name}")
    assert response.status_code == 404
    assert "secret" not in response.text


async def test_without_a_build_the_page_says_how_to_get_one(tmp_path: Path) -> None:
    async with client(tmp_path / "nothing") as http:
        page, script = await http.get("/"), await http.get("/static/main-ABC.js")
    assert (page.status_code, script.status_code) == (503, 404)
    assert "make web" in page.text


async def test_the_built_page_names_only_files_that_are_there() -> None:
    if not (web.STATIC / "index.html").is_file():
        pytest.skip("the page is not built: make web")
    async with client(web.STATIC, "/notes") as http:
        page = await http.get("/notes/")
        names = re.findall(r'(?:src|href)="([^"#]+)"', page.text)
        # relative, so that the page also works below a prefix
        files = [await http.get("/notes/" + name) for name in names]
    assert len(files) == 3
    assert [file.status_code for file in files] == [200] * 3
    assert "<style" not in page.text
    assert not re.search(r"<script(?![^>]*src=)|\sstyle=|\son[a-z]+=", page.text)


async def test_the_service_worker_is_beside_the_page_that_it_answers_for(static: Path) -> None:
    (static / "worker.js").write_text("export {}")
    async with client(static, "/below") as http:
        worker = await http.get("/below/worker.js")
    assert worker.status_code == 200
    assert worker.headers["cache-control"] == "no-cache"  # of another build than before under the same name
    assert "javascript" in worker.headers["content-type"]


async def test_the_address_of_before_leads_to_the_page(static: Path) -> None:
    async with client(static, "/below") as http:
        answers = [await http.get(f"/below/planner{query}") for query in ("", "?a=1&b=%2F")]
    shown = [(each.status_code, each.headers["location"]) for each in answers]
    assert shown == [(307, "./"), (307, "./?a=1&b=%2F")]
    assert directives(answers[0])["default-src"] == "'none'"
