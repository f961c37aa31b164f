"""The page about the documents: its tables are those of the declarations, its examples run and are valid.

After a change of the declarations: python -m tests.documents.test_readme
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from pycrdt import Doc

from documents import KINDS, kind_of
from documents.readers import read_records
from documents.reference import derived_table, event_table, field_tables, rules_table
from documents.rows import RowsByRoot, read
from tests.documents.guest_list import SHORT, guest_list

README = Path(__file__).parents[2] / "documents" / "README.md"
TABLES = {
    "fields": field_tables,
    "events": event_table,
    "rules": rules_table,
    "derived documents": derived_table,
}
EXAMPLE = re.compile(r"^### `([\w.{}]+)`\n```js\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def with_new_tables(page: str) -> str:
    for name, table in TABLES.items():
        start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        head, rest = page.split(start)
        page = f"{head}{start}\n{table()}{end}{rest.split(end)[1]}"
    return page


def test_the_tables_are_those_of_the_declarations() -> None:
    assert with_new_tables(README.read_text()) == README.read_text(), "python -m tests.documents.test_readme"


def test_there_is_an_example_of_every_kind_with_a_schema() -> None:
    names = {name.partition(".")[0] for name, _ in EXAMPLE.findall(README.read_text())}
    assert names == {kind.name for kind in KINDS if not kind.free}


@pytest.fixture(scope="module")
def written(run_node: Callable[..., str], artefacts: Path) -> dict[str, RowsByRoot]:
    """What the examples leave in each document."""
    page = README.read_text()
    (setup,) = re.findall(r"^```js\n// once\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    script = artefacts / "documents.mjs"
    script.write_text(
        setup
        + "const updates = {}\n"
        + "".join(
            f"{{\nconst doc = new Y.Doc()\n{code}\n"
            f"updates[{json.dumps(name)}] = Buffer.from(Y.encodeStateAsUpdate(doc)).toString('base64')\n}}\n"
            for name, code in EXAMPLE.findall(page)
        )
        + "console.log(JSON.stringify(updates))\n"
    )
    return {name: rows(name, update) for name, update in json.loads(run_node(script)).items()}


def rows(name: str, update: str) -> RowsByRoot:
    kind = kind_of(name.replace("{id}", "1"))
    assert kind is not None
    doc: Doc[object] = Doc()
    doc.apply_update(base64.b64decode(update))
    return read(kind, doc)


def test_the_examples_write_what_the_schema_allows(written: dict[str, RowsByRoot]) -> None:
    for name, rows_of_document in written.items():
        kind = kind_of(name.replace("{id}", "1"))
        assert kind is not None
        assert list(kind.violations(rows_of_document)) == []
        for root, row_by_id in rows_of_document.items():
            for record_id, row in row_by_id.items():
                keys = row if isinstance(row, dict) else [None]
                assert kind.roots[root].check_id(record_id) is None
                assert all(kind.roots[root].clients_may_write(key) for key in keys)


def test_the_examples_touch_every_root_that_clients_write(written: dict[str, RowsByRoot]) -> None:
    for name, rows_of_document in written.items():
        kind = kind_of(name.replace("{id}", "1"))
        assert kind is not None
        untouched = {root for root, row_by_id in rows_of_document.items() if not row_by_id}
        assert untouched - {"meta"} == {root.name for root in kind.roots.values() if root.server}


def test_the_examples_read_in_python(written: dict[str, RowsByRoot]) -> None:
    kind = kind_of("guests")
    assert kind is not None
    (guest,) = read_records(kind, written["guests"])["guests"].values()
    assert (guest.first_name, guest.plus_ones_allowed, guest.rsvp) == ("Chloé", 1, {"e_reception": "yes"})
    assert (guest.note, guest.deleted, guest.extensions) == (
        "Sings in the church.",
        None,
        {"x:acme-crm.contact": {"id": 4711}},
    )


def test_the_cost_of_spelled_out_keys_is_as_stated() -> None:
    spelled = guest_list(250).get_update()
    short = guest_list(250, lambda name: SHORT.get(name, name)).get_update()
    page = README.read_text()
    assert f"{len(spelled):,} bytes" in page
    assert f"{len(short):,}." in page
    assert f"{len(spelled) / len(short) - 1:.0%}".replace("%", " %") in page
    assert len(zlib.compress(spelled)) / len(zlib.compress(short)) - 1 < 0.03


if __name__ == "__main__":
    README.write_text(with_new_tables(README.read_text()))
