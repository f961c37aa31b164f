"""The pages of the site: every link of theirs leads somewhere, and the reference has all that is declared."""

from __future__ import annotations

from pathlib import Path

import pytest

from crdt_server import Settings
from crdt_server.api.error_codes import CODES
from docs import site

ROOT = Path(__file__).parents[1]
TEXTS = {source: site.text_of(source) for source in site.sources()}


def test_every_guide_is_in_the_site() -> None:
    guides = {str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")}
    assert guides <= set(TEXTS)
    pages = [site.page_of(source) for source in TEXTS]
    assert len(set(pages)) == len(pages)


@pytest.mark.parametrize("source", TEXTS)
def test_every_link_leads_somewhere(source: str) -> None:
    broken = []
    for path, anchor in site.links(source, TEXTS[source]):
        target = TEXTS.get(path)
        if target is None and not (ROOT / path).exists():
            broken.append(path)
        elif anchor and target is not None and anchor not in site.anchors(target):
            broken.append(f"{path}#{anchor}")
    assert broken == []


def test_links_are_those_of_the_site_and_sources_are_none() -> None:
    text = "[Undo](undo.md#a), [fields](../documents/README.md#rules), [code](../crdt_server/app.py)\n"
    text += "```\n[x](undo.md)\n```"
    assert site.with_links_of_the_site("docs/offline.md", text) == (
        "[Undo](undo.md#a), [fields](documents.md#rules), code\n```\n[x](undo.md)\n```\n"
    )
    there = site.with_links_of_the_site("crdt_server/access/README.md", "[Calls](../../docs/reference/calls.md)")
    assert there == "[Calls](reference/calls.md)\n"


def test_the_reference_has_all_that_is_declared(tmp_path: Path) -> None:
    site.write(tmp_path)
    pages = {path.stem: path.read_text() for path in (tmp_path / "pages" / "reference").iterdir()}
    assert all(f"`--{name.replace('_', '-')}`" in pages["settings"] for name in Settings.model_fields)
    assert all(f"| `{code}` |" in pages["errors"] for code in CODES)
    assert "`GET /api/weddings`" in pages["calls"]
    assert pages["calls"].count("\n| `") > 50
    assert "font = false" in (tmp_path / "zensical.toml").read_text()
