"""The examples of the README, and of the guides that go on from it, run, and what these name is there."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from crdt_server import Settings
from crdt_server.access.keys import KeySet, secret_key
from crdt_server.access.tokens import Claims, TokenRules, TokenVerifier
from crdt_server.cli import cli

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
TOKENS, PRODUCTION = ((ROOT / "docs" / name).read_text() for name in ("tokens.md", "production.md"))
DEFAULT_ADDRESS = "127.0.0.1:8000"
TWO_SCREENS, ONE_SCREEN = 80, 50
TREES = ("crdt_server", "documents", "storage")


def block(language: str, page: str = README) -> str:
    (code,) = re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return str(code)


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under a heading, its head left out."""
    section = re.split(rf"^## {heading}$", README, flags=re.MULTILINE)[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@pytest.fixture
def address(server_url: str) -> str:
    return server_url.removeprefix("http://")


def test_the_client_of_the_readme_connects(address: str, artefacts: Path) -> None:
    script = artefacts / "readme.mjs"
    # Browsers and Node from 22 on have a WebSocket of their own.
    polyfill = "globalThis.WebSocket ??= (await import('ws')).default\n"
    script.write_text(polyfill + block("js").replace(DEFAULT_ADDRESS, address))
    node = subprocess.Popen(["node", script], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert node.stdout is not None
        assert node.stdout.readline() == "Peonies for table 4\n"
    finally:
        node.kill()
        node.communicate()


def test_the_quickstart_reaches_both_clients(address: str, run_node: Callable[..., str]) -> None:
    assert run_node("examples/quickstart.mjs", f"ws://{address}").startswith("both read:")


def test_the_example_of_a_conflict_resolves_it(address: str, run_node: Callable[..., str]) -> None:
    assert "both read: 930" in run_node("examples/conflict.mjs", f"ws://{address}")


def test_the_python_client_answers_for_a_guest(address: str) -> None:
    command = [sys.executable, "examples/guests.py", f"ws://{address}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert re.fullmatch(r"\{.*\}\n.+ comes\.\n", done.stdout), done.stderr


def test_the_url_of_the_readme_gives_an_update(address: str) -> None:
    (url,) = re.findall(r"curl (\S+)", README)
    response = httpx.get(url.replace(DEFAULT_ADDRESS, address))
    assert (response.status_code, response.headers["content-type"]) == (200, "application/octet-stream")


def test_the_application_of_the_readme_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(block("python"), names)  # noqa: S102 - the README's own text
    assert callable(names["app"])


@pytest.mark.parametrize(("language", "program"), [("mjs", ["node"]), ("py", [sys.executable])])
def test_the_tokens_of_the_guide_are_good(tmp_path: Path, language: str, program: list[str]) -> None:
    content = "a secret of thirty-two bytes, or more"
    (tmp_path / "jwt.secret").write_text(content + "\n")
    (tmp_path / f"sign.{language}").write_text(block(language, TOKENS))
    command = [*program, f"sign.{language}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    verifier = TokenVerifier(KeySet([secret_key(f"{content}\n".encode())]), TokenRules(), time.time)
    found = verifier.verify(done.stdout.rstrip(), "demo")
    assert isinstance(found, Claims), found
    assert (found.user, found.name, found.role) == ("u_1", "Ada", "planner")


def test_the_flags_of_the_readme_exist() -> None:
    commands = re.findall(r"crdt-server ([a-z]+) (-(?:[^`\n]|\\\n)*)", README + TOKENS + PRODUCTION)
    assert {name for name, _ in commands} >= {"serve", "token", "verify"}
    for name, text in commands:
        known = {option for parameter in cli.commands[name].params for option in parameter.opts} | {"--help"}
        assert set(re.findall(r"--[a-z-]+", text)) - known == set(), name


def test_the_settings_of_the_readme_exist_with_these_defaults() -> None:
    table = rows("Commands and settings")
    assert len(table) > 5
    for flag, default, _ in table:
        field = Settings.model_fields[flag.strip("`").removeprefix("--").replace("-", "_")]
        if default.startswith("`"):
            assert default.strip("`") == str(field.default), flag
        else:
            assert default in str(field.description), flag


def test_the_commands_of_the_readme_are_all_there_are() -> None:
    text = README.split("## Commands and settings")[1].split("each has")[0]
    assert set(re.findall(r"`(?:crdt-server )?([a-z]+)`", text)) == set(cli.commands)


def test_the_targets_of_the_readme_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {word for line in re.findall(r"^    make ([a-z -]+?) {2,}", README, re.MULTILINE) for word in line.split()}
    assert named
    assert named <= targets


def test_the_map_of_the_readme_is_of_this_tree() -> None:
    table = rows("Where things are")
    paths = [path for cells in table for path in re.findall(r"`([^`]+)`", cells[0])]
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []
    found = [path.parent for tree in TREES for path in (ROOT / tree).rglob("__init__.py")]
    packages = {f"{path.relative_to(ROOT)}/" for path in found if path.name != "versions"} - {"crdt_server/"}
    linked = {path for cells in table for path in re.findall(r"\(([^)]+/)README\.md\)", cells[-1])}
    assert packages - {*paths, *linked} == set()
    modules = {path.name for path in (ROOT / "crdt_server").glob("*.py") if not path.name.startswith("__")}
    modules = {name for name in modules if not name.endswith("_commands.py")}
    assert {name for name in modules if f"crdt_server/{name}" not in paths} == set()


def test_the_readme_fits_two_screens_and_its_map_and_each_guide_one() -> None:
    before, map_ = re.split(r"^## (?=Where things are)", README, flags=re.MULTILINE)
    assert len(before.splitlines()) <= TWO_SCREENS
    assert [len(part.splitlines()) for part in (map_, TOKENS, PRODUCTION) if len(part.splitlines()) > ONE_SCREEN] == []


async def test_the_server_runs_inside_another_application(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the example keeps its database in the working folder
    monkeypatch.syspath_prepend(str(ROOT))
    app = importlib.import_module("examples.embed").app
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://planner") as client:
            assert (await client.get("/")).text == "our planner"
            assert (await client.get("/collab/readyz")).status_code == 200
            state = await client.get("/collab/api/weddings/demo/documents/notes.menu/state")
            assert (state.status_code, state.content) == (200, b"\x00\x00")
