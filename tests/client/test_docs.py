"""The 24 tasks of a trial, from the documentation alone: each is a snippet of `docs`, run as it stands there."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from crdt_server.errors import CLOSE_CODES
from tests.support.server import ServerProcess
from tests.support.tokens import SECRET

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = ("quickstart", "quickstart-tiptap", "quickstart-http", "records", "members", "presence", "undo", "conflicts")
PAGES += ("events", "errors")
TASK = re.compile(
    r"<!-- (task|example): ([^\n]+) -->\n```js\n(.*?)^```\n(?:```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL
)
SETUP = re.compile(r"<!-- setup -->\n```js\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
COMPONENT = re.compile(r"<!-- component -->\n```jsx\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
EDITOR = re.compile(r"<!-- editor -->\n```js\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
EDITOR_PRELUDE = """\
const { newElement } = await import('./tests/interop/dom.mjs')
globalThis.WebSocket ??= (await import('ws')).default
document.body.append(Object.assign(newElement(), { id: 'editor' }))
const getToken = () => 'dev'
"""
EDITOR_END = """
await new Promise((resolve) => provider.on('synced', resolve))
editor.commands.insertContent('Soup, then fish')
console.log(editor.getText())
process.exit(0)
"""
TASKS, SECONDS = 24, 300


class Task(NamedTuple):
    """A snippet, and what comes before it on its page. ``counts``: it is one of the trial."""

    name: str
    counts: bool
    setup: str
    code: str
    expected: list[str]


def read_tasks() -> Iterator[Task]:
    for page in PAGES:
        text = (DOCS / f"{page}.md").read_text()
        setup = "".join(SETUP.findall(text))
        for kind, name, code, expected in TASK.findall(text):
            yield Task(name, kind == "task", setup, code, expected.splitlines())


FOUND = list(read_tasks())


@pytest.fixture(scope="module")
def trial(client_package: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Task -> the error with which it ended, '' for none; of a server for tokens and for `--dev`."""
    directory = tmp_path_factory.mktemp("server")
    (directory / "secret").write_bytes(SECRET)
    server = ServerProcess(directory, flags=["--jwt-secret-file", str(directory / "secret"), "--document-hosts", "1"])
    server.start()
    tasks = [each._asdict() for each in FOUND]
    given = json.dumps({"url": server.url, "packageUrl": client_package.as_uri(), "tasks": tasks})
    command = ["node", str(Path(__file__).with_name("trial.mjs"))]
    try:
        done = subprocess.run(
            command, cwd=ROOT, input=given, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    finally:
        server.close()
    *lines, tally = done.stdout.splitlines() or [done.stderr]
    print(tally)
    results = {each["task"]: each["error"] for each in map(json.loads, lines)}
    return {"": f"{tally}\n{done.stderr}", **results}


def test_there_are_as_many_tasks_as_the_trial_has() -> None:
    assert len({each.name for each in FOUND if each.counts}) == TASKS
    assert {page.stem for page in DOCS.glob("*.md") if TASK.search(page.read_text())} == set(PAGES)


@pytest.mark.parametrize("task", [each.name for each in FOUND])
def test_a_task_of_the_trial(trial: dict[str, str], task: str) -> None:
    assert trial.get(task, trial[""]) == ""


def test_all_tasks_of_the_trial_are_done(trial: dict[str, str], artefacts: Path) -> None:
    tally = trial[""].splitlines()[0]
    lines = [f"{'failed' if error else 'done':6} {task}" for task, error in trial.items() if task]
    (artefacts / "trial.txt").write_text("\n".join([*lines, tally, ""]))
    assert tally == f"{TASKS} of {TASKS}"


def test_the_component_is_built(client_package: Path, tmp_path: Path) -> None:
    (component,) = COMPONENT.findall((DOCS / "quickstart-react.md").read_text())
    source = client_package.with_name("guest-list.jsx")
    source.write_text(component.replace("crdt-server-client/react", "./react.mjs"))
    command = [
        *("node_modules/.bin/esbuild", str(source), "--bundle", "--packages=external", "--format=esm"),
        *("--jsx=automatic", f"--outfile={tmp_path / 'component.mjs'}", "--log-level=warning"),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_editor_writes_into_the_note(server_url: str, run_node: Callable[..., str]) -> None:
    (code,) = EDITOR.findall((DOCS / "quickstart-tiptap.md").read_text())
    script = EDITOR_PRELUDE + code.replace("ws://127.0.0.1:8000", server_url.replace("http", "ws")) + EDITOR_END
    script = re.sub(r"^import (.+) from ('[^']+')$", _import_later, script, flags=re.MULTILINE)
    assert run_node("--input-type=module", "--eval", script) == "Soup, then fish\n"


def _import_later(found: re.Match[str]) -> str:
    """Imports after those of the prelude: an editor wants a page from its first line on."""
    names = found[1] if found[1].startswith("{") else f"{{ default: {found[1]} }}"
    return f"const {names} = await import({found[2]})"


def test_every_snippet_is_well_formed() -> None:
    command = ["node_modules/.bin/esbuild", "--loader=tsx", "--log-level=warning", "--format=esm", "--target=es2022"]
    for page in sorted(DOCS.glob("*.md")):
        for code in re.findall(r"^```jsx?\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL):
            done = subprocess.run(
                command, cwd=ROOT, input=code, capture_output=True, text=True, timeout=60, check=False
            )
            assert (done.returncode, done.stderr) == (0, ""), page.name


def test_every_close_code_is_explained() -> None:
    (table,) = re.findall(r"<!-- close codes -->\n\n(.*?)\n\n", (DOCS / "errors.md").read_text(), re.DOTALL)
    assert {int(code) for code in re.findall(r"\b[14]\d{3}\b", table.replace("`", ""))} == set(CLOSE_CODES.values())
