"""Commands and queries of programs: rows in and out of the documents that have a schema, through their rooms.

A command is carried out by the host of its wedding, in all its documents or in none, and is stored when it is answered.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final
from weakref import WeakValueDictionary

from crdt_server.access.identity import SERVER, Identity, Person
from crdt_server.errors import CrdtServerError, NotFoundError, ProtocolError
from crdt_server.hub.hub import Hub
from crdt_server.operations import Operation, Problem
from crdt_server.pipe import (
    ALREADY_ANSWERED,
    Bytes,
    CommandBody,
    CommandDone,
    CommandLacks,
    CommandPart,
    CommandRefused,
    RequestKind,
    RowsDigest,
    decode_command,
    encode,
)
from crdt_server.rooms.session import Request
from documents.kind import Kind
from documents.registry import kind_of
from storage import DocumentKey, Storage, StoredAnswer

TRIES: Final = 5

Part = tuple[str, Sequence[Operation]]
"""A document and the operations on it; `crdt_server.judge.commands` defines them."""


class NoSchemaError(CrdtServerError):
    """A free-form document has no rows; a derived document none of its own, so that it takes no part in a command on
    several."""


class OperationsRefusedError(CrdtServerError):
    """The kinds of the documents do not allow the command; nothing was done."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("operations_refused", "; ".join(each["message"] for each in problems[:5]))
        self.problems = problems


class AnsweredError(CrdtServerError):
    """A command of this key was carried out before; the store has its answer."""


class KeyReusedError(CrdtServerError):
    """The idempotency key belongs to another command."""


async def read_rows(hub: Hub, key: DocumentKey, sender: Person, address: str) -> bytes:
    """The rows of a document as canonical JSON. Raises NoSchemaError, and what `Hub.request` raises."""
    _require_schema(key.document)
    response = await hub.request(key, sender, address, Request(None, RequestKind.READ, b""))
    assert isinstance(response, Bytes)
    return response.data


async def read_digest(hub: Hub, key: DocumentKey, sender: Person, address: str) -> tuple[bytes, str]:
    """The state vector of a document and the SHA-256 of its canonical JSON. Raises as `read_rows`."""
    _require_schema(key.document)
    response = await hub.request(key, sender, address, Request(None, RequestKind.DIGEST, b""))
    assert isinstance(response, RowsDigest)
    return response.state_vector, response.sha256


async def carry_out(
    hub: Hub,
    wedding: str,
    sender: Person,
    address: str,
    parts: Sequence[Part],
    names: Mapping[str, str] | None = None,
) -> str:
    """Carry out a command; the answer is JSON. ``names``: `key` and `digest` under which the answer is kept.

    Raises OperationsRefusedError, AnsweredError, NotFoundError, NoSchemaError, ProtocolError for values that no message
    can carry or that have the wrong type, and what `Hub.request` raises.
    """
    documents = sorted({document for document, _ in parts})
    for document in documents:
        if _require_schema(document).derived and len(documents) > 1:
            raise NoSchemaError("derived_document", f"{document} shows other documents: a command on it is on no other")
    try:
        body = [CommandPart(document, list(operations)) for document, operations in parts]
        payload = encode(CommandBody(body, **(names or {})))
    except (OverflowError, UnicodeEncodeError, ValueError) as error:
        raise ProtocolError("invalid_request", "a number is too large, or a text is no Unicode") from error
    try:
        decode_command(payload)  # a command that its host cannot decode would end the host
    except ValueError as error:
        raise ProtocolError("invalid_request", f"an operation is malformed: {error}") from error
    for _ in range(TRIES):
        key = DocumentKey(wedding, parts[0][0])
        response = await hub.request(key, sender, address, Request(None, RequestKind.COMMAND, payload))
        if isinstance(response, CommandDone):
            return response.answer
        if isinstance(response, CommandRefused):
            first = response.problems[0]
            if first["code"] == ALREADY_ANSWERED:
                raise AnsweredError("try_again", first["message"])
            raise OperationsRefusedError(response.problems)
        lacks = response.documents if isinstance(response, CommandLacks) else ()
        await open_documents(hub, wedding, sorted({*documents, *lacks}), address)
    raise CrdtServerError("try_again", "the documents could not be opened together")


async def open_documents(hub: Hub, wedding: str, documents: Sequence[str], address: str) -> None:
    """Have the host of a wedding hold these documents. Raises what `Hub.request` raises."""
    keys = [DocumentKey(wedding, document) for document in documents]
    await asyncio.gather(
        *(hub.request(key, SERVER, address, Request(None, RequestKind.RUN_SCHEDULED, b"")) for key in keys)
    )


def _require_schema(document: str) -> Kind:
    kind = kind_of(document)
    if kind is None:
        raise NotFoundError("not_found", f"there can be no document {document[:80]!r}")
    if kind.free:
        raise NoSchemaError("no_schema", f"{document} is a free-form document: it has no rows")
    return kind


class IdempotentCommands:
    """Commands that come twice: the second time they get the answer of the first, also after a restart."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def once(
        self, wedding: str, names: Mapping[str, str], work: Callable[[], Awaitable[str]], former_key: str = ""
    ) -> tuple[str, bool]:
        """The answer of ``work``, or the stored one, and whether it was stored. ``work`` stores its answer under the
        ``names``, which `names_of` gives. ``former_key``: the key as it came, under which an answer of an earlier
        release may be.

        Of two at the same time the second waits; at another node, the wedding's host refuses it. Raises KeyReusedError
        where the digest is another.
        """
        key, digest = names["key"], names["digest"]
        lock = self._locks.setdefault((wedding, key), asyncio.Lock())
        async with lock:
            known = await self._storage.answer(wedding, key) or await self._former(wedding, former_key, digest)
            if known is None:
                try:
                    return await work(), False
                except AnsweredError:
                    known = await self._storage.answer(wedding, key)
                    if known is None:
                        raise
            if known.digest != digest:
                raise KeyReusedError("idempotency_key_reused", "the key was used for another command")
            return known.body, True

    async def _former(self, wedding: str, key: str, digest: str) -> StoredAnswer | None:
        """The answer to a command as an earlier release has stored it, under the key of the wedding: only where the
        digest, which has the person in it, is that of the command."""
        found = await self._storage.answer(wedding, key) if key else None
        return None if found is None or found.digest != digest else found


def names_of(identity: Identity, key: str, parts: Sequence[tuple[str, Sequence[object]]]) -> dict[str, str]:
    """The `key` and `digest` under which the answer to a command is kept; ``parts`` are JSON. A key is its
    sender's: nobody gets at, or in the way of, the answer of another person by using the same."""
    own = hashlib.sha256(json.dumps([identity.user, key]).encode()).hexdigest()
    return {"key": own, "digest": digest_of(identity, parts)}


def digest_of(identity: Identity, parts: Sequence[tuple[str, Sequence[object]]]) -> str:
    """Equal for equal commands of one person in one role: what a command may do depends on it, and not on a name."""
    return hashlib.sha256(json.dumps([identity._replace(name=""), parts], sort_keys=True).encode()).hexdigest()
