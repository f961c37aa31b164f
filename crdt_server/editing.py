"""Rows for programs in the same process: read them and write them as nested mappings, without knowing Yjs.

    async with app.state.server.edit("w_42", "guests", Identity("u_aroha", "couple")) as rows:
        rows["guests"]["g_1"]["meal"] = "fish"

Inside the block the rows are those of its beginning with the block's own changes. When it ends they are one command:
carried out on what the document holds by then, all of them or none, and stored. An exception in the block: none.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping, MutableMapping
from contextlib import asynccontextmanager
from copy import deepcopy
from inspect import isawaitable
from typing import Any, Unpack

from crdt_server.access.access import Access, Action, RightsOfRoles, require
from crdt_server.access.identity import Identity
from crdt_server.errors import NotFoundError
from crdt_server.hub.commands import carry_out, read_rows
from crdt_server.hub.hub import Hub
from crdt_server.names import document_address
from crdt_server.operations import Operation, OperationKind, OperationValues
from documents.kind import WHOLE, Kind, Root, Shape
from documents.ordering import order_behind
from documents.registry import kind_of
from storage import DocumentKey

ADDRESS = "local"  # programs in this process have none


class Editor:
    """Edits documents through their rooms: connected clients receive the edits."""

    def __init__(self, hub: Hub, access: Access) -> None:
        self._hub = hub
        self._access = access

    @asynccontextmanager
    async def edit(self, wedding: str, document: str, actor: Identity) -> AsyncIterator[EditedDocument]:
        """The rows of a document, to be changed.

        Raises ForbiddenError and NotFoundError where the actor may not open it, OperationsRefusedError where its kind
        or the role of the actor does not allow the changes, and the errors of `crdt_server.hub.commands.carry_out`.
        """
        rows = await self._read(wedding, document, actor)
        require(self._access, actor, Action.WRITE, wedding, document)
        if isinstance(self._access, RightsOfRoles):
            actor = self._access.with_rights(actor, wedding)
        yield rows
        if rows.operations:
            await carry_out(self._hub, wedding, actor, ADDRESS, [(document, rows.operations)])

    async def read(self, wedding: str, document: str, actor: Identity) -> Mapping[str, Any]:
        """The rows of a document as plain data: root, id of the record, key. Raises ForbiddenError."""
        return (await self._read(wedding, document, actor)).rows

    async def _read(self, wedding: str, document: str, actor: Identity) -> EditedDocument:
        address, kind = document_address(wedding, document), kind_of(document)
        if address is None or kind is None:
            raise NotFoundError("not_found", "no such wedding or document")
        held = self._hub.rights.cache.of(wedding)
        if isawaitable(held):  # what decides about threads has to be in memory
            await held
        require(self._access, actor, Action.READ, wedding, document)
        return EditedDocument(kind, json.loads(await read_rows(self._hub, DocumentKey(*address), actor, ADDRESS)))


class EditedDocument(Mapping[str, Any]):
    """Root -> its content: `EditedRows` by id, one `EditedRecord`, or a string. Texts are set whole here."""

    def __init__(self, kind: Kind, rows: dict[str, dict[str, Any]]) -> None:
        self._kind = kind
        self.rows = {root.name: rows.get(root.name, _empty(root)) for root in kind.roots.values()}
        """The rows with the changes so far, to be read only."""
        self.operations: list[Operation] = []
        """The changes so far, as the calls of the API take them."""

    def __getitem__(self, name: str) -> Any:
        root = self._kind.roots[name]
        if root.shape is Shape.TEXT:
            return self.rows[name].get(WHOLE, "")
        rows = EditedRows(self, root)
        return rows if root.shape is not Shape.RECORD else EditedRecord(rows, WHOLE)

    def __setitem__(self, name: str, text: str) -> None:
        if self._kind.roots[name].shape is not Shape.TEXT:
            raise TypeError(f"{name} is no text: set what is in it")
        self.rows[name][WHOLE] = text
        self.operations.append({"op": "text", "root": name, "value": text})

    def __iter__(self) -> Iterator[str]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def edit_text(self, name: str, index: int, *, delete: int = 0, insert: str = "") -> None:
        """Change a part of a text: at ``index`` some characters go and others come."""
        self.rows[name][WHOLE] = _edited(self[name], index, delete, insert)
        self.operations.append({"op": "text", "root": name, "index": index, "delete": delete, "insert": insert})


class EditedRows(MutableMapping[str, Any]):
    """Id -> row: an `EditedRecord`, or the one value that the row is."""

    def __init__(self, document: EditedDocument, root: Root) -> None:
        self.root = root
        self.rows = document.rows[root.name]
        self._operations = document.operations

    def add_operation(self, op: OperationKind, record: str, **more: Unpack[OperationValues]) -> None:
        """Keep an operation for the end of the block."""
        self._operations.append({"op": op, "root": self.root.name, "record": record, **more})

    def __getitem__(self, record: str) -> Any:
        value = self.rows[record]
        return deepcopy(value) if self.root.record is None else EditedRecord(self, record)

    def __setitem__(self, record: str, value: Any) -> None:
        if self.root.record is not None:
            raise TypeError(f"{self.root.name} has records: insert them, and set their keys")
        self.rows[record] = value
        self.add_operation("set", record, value=value)

    def __delitem__(self, record: str) -> None:
        del self.rows[record]
        self.add_operation("delete", record)

    def __iter__(self) -> Iterator[str]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def insert(self, record: str, fields: Mapping[str, Any]) -> EditedRecord:
        """Add a record. Raises KeyError where there is one of this id."""
        if record in self.rows:
            raise KeyError(record)
        self.rows[record] = dict.fromkeys(sorted(self.root.text_keys), "") | dict(fields)
        self.add_operation("insert", record, value=dict(fields))
        return EditedRecord(self, record)

    def move(self, record: str, *, after: str | None) -> None:
        """Put a record right behind another one; None: before all. Raises KeyError and NoPlaceError."""
        self.rows[record]["order"] = order_behind(self.rows, after)
        self.add_operation("move", record, after=after)


class EditedRecord(MutableMapping[str, Any]):
    """Key -> value. Values that are read are copies, and are set whole. Texts are strings here."""

    def __init__(self, rows: EditedRows, record: str) -> None:
        self._rows = rows
        self._record = record

    @property
    def _row(self) -> dict[str, Any]:
        row: dict[str, Any] = self._rows.rows[self._record]
        return row

    def __getitem__(self, key: str) -> Any:
        return deepcopy(self._row[key])

    def __setitem__(self, key: str, value: Any) -> None:
        self._row[key] = value
        self._rows.add_operation("set", self._record, key=key, value=value)

    def __delitem__(self, key: str) -> None:
        del self._row[key]
        self._rows.add_operation("delete", self._record, key=key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._row)

    def __len__(self) -> int:
        return len(self._row)

    def edit_text(self, key: str, index: int, *, delete: int = 0, insert: str = "") -> None:
        """Change a part of a text, as `EditedDocument.edit_text` does."""
        self._row[key] = _edited(self._row.get(key, ""), index, delete, insert)
        self._rows.add_operation("text", self._record, key=key, index=index, delete=delete, insert=insert)


def _empty(root: Root) -> dict[str, Any]:
    return {WHOLE: {}} if root.shape is Shape.RECORD else {}


def _edited(text: str, index: int, delete: int, insert: str) -> str:
    if not 0 <= index <= index + delete <= len(text):
        raise IndexError(f"{index} to {index + delete} is outside the text of {len(text)} characters")
    return text[:index] + insert + text[index + delete :]
