"""The sources of the planner: strict types, small files, and views that know nothing of each other."""

import re
import subprocess
from pathlib import Path

from crdt_server.services.messaging.model import Channel
from crdt_server.services.messaging.rules import default_rules
from documents.events.rules import TYPES

PACKAGE = Path("clients/planner")
MOST_LINES = 400
IMPORTED = re.compile(r"from '(\.[^']+)'")


def imports(root: Path) -> set[tuple[str, str]]:
    """Who imports whom, as paths below `src`."""
    source = root / PACKAGE / "src"
    return {
        (str(path.relative_to(source)), str((path.parent / name).resolve().relative_to(source)))
        for path in source.rglob("*.ts*")
        for name in IMPORTED.findall(path.read_text())
    }


def test_the_sources_pass_the_strict_compiler(root: Path) -> None:
    command = ["node_modules/.bin/tsc", "-p", str(PACKAGE)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout == ""


def test_no_source_outgrows_the_files_of_the_house(root: Path) -> None:
    sizes = {path.name: len(path.read_text().splitlines()) for path in (root / PACKAGE / "src").rglob("*.*")}
    assert {name: lines for name, lines in sizes.items() if lines > MOST_LINES} == {}


def test_parts_know_no_view_and_views_know_only_themselves(root: Path) -> None:
    def view_of(path: str) -> str:
        return path.split("/")[1] if path.startswith("views/") else ""

    wrong = {(one, other) for one, other in imports(root) if view_of(other) and view_of(one) != view_of(other)}
    assert {(one, other) for one, other in wrong if one != "app.tsx"} == set()


def test_kept_parts_know_no_session_and_no_frame(root: Path) -> None:
    below = {(one, other) for one, other in imports(root) if one.startswith(("ui/", "state/", "format/", "kinds/"))}
    assert {(one, other) for one, other in below if other.startswith(("session/", "shell/", "setup/"))} == set()


def test_all_that_reaches_an_inbox_is_named_in_the_catalogue(root: Path) -> None:
    rules = default_rules()
    types = TYPES | {each for rule in rules.all for each in rule.events if not each.endswith("*")}
    routed = {
        type_
        for type_ in types.difference(rules.later)
        if any(send.channel is Channel.INBOX for rule in rules.about(type_) for send in rule.send)
    }
    words = (root / PACKAGE / "src/i18n/en/talk.ts").read_text()
    assert {type_ for type_ in routed if f"'notice.{type_.replace('.', '_')}'" not in words} == set()
