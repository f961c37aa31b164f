"""Every derived document of a sample wedding, and what it has to show."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from pycrdt import Doc, Map

from crdt_server.judge.clock_ranges import encode_clocks
from crdt_server.judge.derived_document import ProjectedDocument
from crdt_server.pipe import Status
from documents import derived
from documents.changes import RowsByRoot
from documents.derived import DECLARATIONS, View
from documents.events import Actor
from documents.fields import Reason
from documents.kind import Shape
from documents.rows import read
from tests.judge.bench import NOTHING, Bench

EXAMPLES = {"vendor": "vendors", "guest": "guests"}


def names(bench: Bench, most: int = 2) -> list[str]:
    """A few of each declaration."""
    found = []
    for declaration in DECLARATIONS:
        if declaration.choices is not None:
            found += [f"{declaration.name}.{each}" for each in declaration.choices]
        elif not declaration.own:
            found.append(declaration.name)
        else:
            document = "wedding" if declaration.own == "vendor" else "guests"
            ids = sorted(bench.rows(document)[EXAMPLES[declaration.own]])
            found += [f"{declaration.name}.{each}" for each in ids[:most]]
    return found


def open_derived(
    bench: Bench, name: str, updates: tuple[bytes, ...] = (), owners: Mapping[int, str] = MappingProxyType({})
) -> ProjectedDocument:
    """A derived document that is open. ``updates`` and ``owners`` are stored."""
    found = derived.find(name)
    assert found is not None, name
    document = ProjectedDocument(found, bench.state.wedding, bench.state.open, owners)
    document.load(list(updates))
    bench.begin_batch()
    while not bench.state.build_doc(document):
        bench.begin_batch()
    return document


def expected(document: ProjectedDocument) -> RowsByRoot:
    """The rows that it has to show, computed for all records there are anywhere."""
    view = View(document.view.source, document.derived.own, document.view.users)
    rows: RowsByRoot = {}
    for name, projection in document.derived.declaration.projections.items():
        found = rows[name] = {}
        for record in dict.fromkeys([*projection.all_records(view), *document.rows.roots[name]]):
            row = projection.row(view, record)
            if row is None:
                continue
            root = projection.root
            if root.record is not None:
                row = {key: value for key, value in row.items() if type(root.check(record, key, value)) is not Reason}
            if row or root.shape is not Shape.RECORD:
                found[record] = row
    return rows


class Phone:
    """A replica of one person in a derived document. It is sent what is new when it writes or syncs."""

    def __init__(self, bench: Bench, document: ProjectedDocument, actor: Actor, client_id: int) -> None:
        self.bench, self.document, self.actor = bench, document, actor
        self.doc: Doc[Any] = Doc(client_id=client_id)
        self.sync()

    @property
    def rows(self) -> RowsByRoot:
        return read(self.document.kind, self.doc)

    def sync(self) -> list[Any]:
        """Send what the server lacks, as of a person who was away, and take what it has. Returns the notices."""
        away = self.doc.get_state()
        update = self.doc.get_update(encode_clocks(self.document.clocks))
        return self._send(update, away) if update != NOTHING else self._take([])

    def write(self, change: Callable[[Doc[Any]], None]) -> list[Any]:
        """A transaction that is sent at once. Returns the notices."""
        before = self.doc.get_state()
        with self.doc.transaction():
            change(self.doc)
        return self._send(self.doc.get_update(before), None)

    def set(self, root: str, record: str, **values: Any) -> list[Any]:
        """Set keys of a record, or delete those whose value is None."""
        return self.write(lambda doc: self._set(doc, root, record, values))

    def set_offline(self, root: str, record: str, **values: Any) -> None:
        """`set` that is not sent."""
        self._set(self.doc, root, record, values)

    @staticmethod
    def _set(doc: Doc[Any], root: str, record: str, values: Mapping[str, Any]) -> None:
        shared = doc.get(root, type=Map)[record]
        for key, value in values.items():
            if value is None:
                del shared[key]
            else:
                shared[key] = value

    def add(self, root: str, record: str, value: Any) -> list[Any]:
        """Add a record, or a value."""
        value = Map(value) if self.document.kind.roots[root].record is not None else value
        return self.write(lambda doc: doc.get(root, type=Map).__setitem__(record, value))

    def _send(self, update: bytes, away: bytes | None) -> list[Any]:
        self.bench.begin_batch()
        judgements = self.bench.state.receive(self.document, [(update, None)], [(self.actor, away)], lambda _: None)
        assert [each.status for each in judgements] in ([Status.OK], [Status.KNOWN])
        self.bench.state.derived.refresh()
        self.bench.commit()
        return self._take([json.loads(each.notice) for each in judgements if each.notice is not None])

    def _take(self, notices: list[Any]) -> list[Any]:
        for update in self.document.diff(self.doc.get_state()) or ():
            self.doc.apply_update(update)
        assert self.rows == self.document.rows.roots == expected(self.document)
        return notices
