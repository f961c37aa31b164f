"""The pages of the site: guides of this folder, pages that are kept beside what they describe, and a reference made
from the declarations. `make docs` writes them to a folder, and Zensical makes the site of that.

A page is kept once, where its neighbours in the tree are. Links between pages are made links of the site here, and
links to sources become plain text, as there are no sources in a site.
"""

from __future__ import annotations

import json
import posixpath
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from crdt_server import Settings, create_app
from crdt_server.api.error_codes import CODES
from crdt_server.api.rights import ROLES

ROOT: Final = Path(__file__).parents[1]
METHODS: Final = ("get", "post", "put", "patch", "delete")

CONFIGURATION: Final = """\
[project]
site_name = "crdt-server"
docs_dir = "pages"
site_dir = "site"
use_directory_urls = false
nav = [
{nav}
]

[project.theme]
language = "en"
font = false
features = ["content.code.copy", "navigation.footer", "navigation.sections", "navigation.top", "search.highlight"]

[[project.theme.palette]]
media = "(prefers-color-scheme: light)"
scheme = "default"

[[project.theme.palette]]
media = "(prefers-color-scheme: dark)"
scheme = "slate"

[project.markdown_extensions]
tables = {{}}
toc.permalink = true
pymdownx.highlight.pygments_lang_class = true
pymdownx.superfences = {{}}
"""
"""Of Zensical: without fonts or scripts of other hosts."""

# Source, or name of a reference -> title. `docs/x.md` is `x.html` of the site, others have the name in `NAMES`.
NAV: Final = {
    "Begin": {
        "docs/index.md": "Overview",
        "docs/quickstart.md": "Quickstart",
        "docs/quickstart-react.md": "React",
        "docs/quickstart-tiptap.md": "Tiptap",
        "docs/quickstart-http.md": "HTTP alone",
        "clients/python/README.md": "Without Yjs, and Python",
    },
    "Guides": {
        "docs/tokens.md": "Tokens",
        "docs/records.md": "Records",
        "docs/members.md": "Members",
        "docs/presence.md": "Presence",
        "docs/undo.md": "Undo",
        "docs/offline.md": "Offline",
        "docs/conflicts.md": "Conflicts",
        "docs/events.md": "Events",
        "docs/errors.md": "Errors and close codes",
        "docs/troubleshooting.md": "Troubleshooting",
    },
    "Reference": {
        "clients/javascript/README.md": "Client package",
        "documents/README.md": "Documents and events",
        "documents/invariants/README.md": "Invariants",
        "docs/reference/calls.md": "Calls",
        "docs/reference/errors.md": "Codes of errors",
        "docs/reference/settings.md": "Settings",
        "crdt_server/LIMITS.md": "Limits",
    },
    "Server": {
        "README.md": "Run it",
        "docs/production.md": "Production",
        "clients/planner/README.md": "The planner",
        "crdt_server/access/README.md": "Access and tokens",
        "crdt_server/services/README.md": "Members and services",
        "crdt_server/services/messaging/README.md": "Messages to people",
        "crdt_server/services/messaging/channels/README.md": "Channels",
        "crdt_server/rooms/README.md": "Rooms and presence",
        "crdt_server/protocol/README.md": "The two wires",
        "crdt_server/files/README.md": "Files",
        "crdt_server/cluster/README.md": "Cluster",
    },
}
NAMES: Final = {
    "README.md": "server.md",
    "clients/javascript/README.md": "client.md",
    "clients/python/README.md": "without-yjs.md",
    "crdt_server/LIMITS.md": "limits.md",
    "crdt_server/services/messaging/channels/README.md": "channels.md",
}

_FENCE: Final = re.compile(r"^ *(```|~~~)")
_LINK: Final = re.compile(r"\[([^\]]*(?:\[[^\]]*\][^\]]*)*)\]\(([^)\s]+)\)")
_HEADING: Final = re.compile(r"^#{1,6} +(.+?) *$")


def page_of(source: str) -> str:
    """The page of the site that a source becomes."""
    if source in NAMES:
        return NAMES[source]
    return source.removeprefix("docs/") if source.startswith("docs/") else f"{Path(source).parent.name}.md"


def sources() -> Iterator[str]:
    """All pages, by their sources."""
    for titles in NAV.values():
        yield from titles


def text_of(source: str) -> str:
    """A page as its source has it, or as it is made."""
    made = REFERENCE.get(source)
    return (ROOT / source).read_text() if made is None else made()


def prose(text: str) -> Iterator[tuple[str, bool]]:
    """The lines of a page, each with whether it is prose: no code in a fence."""
    inside = False
    for line in text.splitlines():
        fence = _FENCE.match(line) is not None
        yield line, not inside and not fence
        inside ^= fence


def links(source: str, text: str) -> Iterator[tuple[str, str]]:
    """The links of a page to files of the tree: path and anchor, "" for none."""
    for line, is_prose in prose(text):
        for _, target in _LINK.findall(line) if is_prose else ():
            if "://" not in target:
                path, _, anchor = target.partition("#")
                yield (posixpath.normpath(posixpath.join(posixpath.dirname(source), path)) if path else source), anchor


def anchors(text: str) -> set[str]:
    """The names of the headings of a page, as links have them."""
    found = (_HEADING.match(line) for line, is_prose in prose(text) if is_prose)
    return {_slug(heading[1]) for heading in found if heading}


def _slug(heading: str) -> str:
    plain = _LINK.sub(r"\1", heading).lower()
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", plain).strip())


def with_links_of_the_site(source: str, text: str) -> str:
    """A page with its links as they are in the site."""
    known = set(sources())

    def link(found: re.Match[str]) -> str:
        label, target = found.groups()
        path, hash_, anchor = target.partition("#")
        if "://" in target or not path:
            return found[0]
        named = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        if named not in known:
            return str(label)
        there = posixpath.relpath(page_of(named), posixpath.dirname(page_of(source)) or ".")
        return f"[{label}]({there}{hash_}{anchor})"

    return "".join((_LINK.sub(link, line) if is_prose else line) + "\n" for line, is_prose in prose(text))


# -- the reference


def calls_page() -> str:
    """All calls of the HTTP API, from its description."""
    description = create_app(Settings(dev=True)).openapi()
    groups: dict[str, list[str]] = {}
    for path, methods in description["paths"].items():
        for method in filter(methods.__contains__, METHODS):
            call = methods[method]
            about = _cell(str(call.get("description", "")).split("\n\nRoles:")[0])
            row = f"| `{method.upper()} {path}` | {about} | {_roles(call.get(ROLES, {}))} |"
            groups.setdefault((call.get("tags") or ["probes"])[0], []).append(row)
    head = "| call | does | roles |\n|---|---|---|\n"
    parts = [f"## {tag.capitalize()}\n\n{head}" + "\n".join(rows) + "\n" for tag, rows in groups.items()]
    about = "Every server describes its calls with their schemas at `/api/openapi.json`; this is the list of them.\n"
    return "\n".join(["# Calls\n", about, *parts])


def _cell(text: str) -> str:
    """A text as a cell of a table, in which nothing is markup of HTML."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def _roles(by_target: dict[str, list[str]]) -> str:
    if not by_target:
        return "no token needed"
    listed = {tuple(roles) for roles in by_target.values()}
    if len(listed) > 1:
        return "by document"
    (roles,) = listed
    return "everybody, by content" if "*" in by_target else ", ".join(roles)


def errors_page() -> str:
    """All codes of problem documents."""
    rows = [f"| `{code}` | {each.meaning} | {each.remedy} |" for code, each in sorted(CODES.items())]
    head = "# Codes of errors\n\nOf problem documents over HTTP, also at `GET /api/errors/{code}`.\n"
    return "\n".join([head, "| code | meaning | remedy |", "|---|---|---|", *rows, ""])


def settings_page() -> str:
    """All settings."""
    rows = []
    for name, field in Settings.model_fields.items():
        default = "" if field.default_factory is not None else json.dumps(field.default)
        about = _cell(str(field.description))
        rows.append(f"| `--{name.replace('_', '-')}` | {f'`{default}`' if default else ''} | {about} |")
    about = (
        "Each is a flag of `crdt-server serve`, a variable (`CRDT_SERVER_PORT`), and a key of the file of `--config`.\n"
    )
    head = f"# Settings\n\n{about}"
    return "\n".join([head, "| flag | default | meaning |", "|---|---|---|", *rows, ""])


REFERENCE: Final[dict[str, Callable[[], str]]] = {
    "docs/reference/calls.md": calls_page,
    "docs/reference/errors.md": errors_page,
    "docs/reference/settings.md": settings_page,
}


def write(directory: Path) -> None:
    """Write all pages and the configuration of the site into a folder."""
    for source in sources():
        target = directory / "pages" / page_of(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(with_links_of_the_site(source, text_of(source)))
    nav = []
    for section, titles in NAV.items():
        pages = ", ".join(
            f"{{ {json.dumps(title)} = {json.dumps(page_of(source))} }}" for source, title in titles.items()
        )
        nav.append(f"  {{ {json.dumps(section)} = [{pages}] }},")
    (directory / "zensical.toml").write_text(CONFIGURATION.format(nav="\n".join(nav)))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
