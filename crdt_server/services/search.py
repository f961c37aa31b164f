"""Search in messages and in the notes of records, for whoever may read them now.

A search finds the body of each message, the `note` of each record that has one, and the page `board` of the wedding,
not the free documents `notes.…`: the server has no rows of them. Each edit of a text that goes on becomes an event
after some seconds (`judge.text_edits`); new words of a note are found then, those of a message at once. The texts in
the answer are read from the rows.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from crdt_server.errors import CrdtServerError
from crdt_server.services.search_words import indexed_words, parse_query, places_of
from crdt_server.services.turns import PersonTurns
from documents.kind import WHOLE, Shape
from documents.registry import KINDS
from storage import Indexer, ReadTooLong, SearchHit, SearchRecord, SearchTerm, SearchText, Storage, StoredEvent

PAGE: Final = 50
"""Texts in a page of what was found."""
EXCERPT: Final = 240
"""Characters of a text that are shown, with the first place in it."""
LEAD: Final = 60
"""Characters of them before that place."""
READ_CHARACTERS: Final = 200_000
"""Characters of texts that are read for a page; it ends with the text that exceeds them."""
EXAMINED: Final = 2_000_000
"""Characters of a text, times words of the query, that are searched for places: 20 ms, in which no other thread runs. A
text whose places are behind them is shown from its beginning."""
MOST_DOCUMENTS: Final = 2_000
"""Documents of a wedding that are searched, by their names; there are `max_wedding_documents` of them at most."""

SEARCHES_AT_ONCE: Final = 1
"""A search in 2.4 MB of notes takes one of `storage.executors.READERS` readers for 0.3 s."""

TOO_BROAD: Final = "too many words fit: longer beginnings of words, or shorter phrases of rarer words, take less"

MESSAGES: Final = "messages"
BODY: Final = "body"
DELETED: Final = "deleted"
REDACTIONS: Final = "redactions"


def _searched() -> Mapping[tuple[str, str], tuple[str, ...]]:
    """Kind and root -> the keys with texts that are searched; an empty key where the record is the text."""
    found: dict[tuple[str, str], tuple[str, ...]] = {("thread", MESSAGES): (BODY,)}
    for kind in KINDS:
        for name, root in kind.roots.items():
            keys = (WHOLE,) if root.shape is Shape.TEXT else tuple(sorted(root.text_keys))
            if keys and not root.server:
                found[kind.name, name] = keys
    return MappingProxyType(found)


SEARCHED: Final = _searched()
_KINDS: Final = frozenset(kind for kind, _ in SEARCHED)


def _marks() -> Mapping[str, tuple[str, ...]]:
    """Kind -> texts of which one is in every event that `concerned` has to read: most have none, and reading takes ten
    times as long as this."""
    found: dict[str, set[str]] = {"thread": {MESSAGES, REDACTIONS}}
    for (kind, root), keys in SEARCHED.items():
        if kind != "thread":
            found.setdefault(kind, set()).update((root,) if keys == (WHOLE,) else (*keys, DELETED))
    return MappingProxyType({kind: tuple(f'"{name}"' for name in sorted(names)) for kind, names in found.items()})


_MARKS: Final = _marks()


class SearchTooBroadError(CrdtServerError):
    """A query that takes too long."""


class Found(NamedTuple):
    """A text that has been found, as it is shown."""

    id: int
    document: str
    root: str
    record: str
    key: str
    excerpt: str
    """A part of the text."""
    start: int
    """Where the excerpt begins in the text."""
    highlights: list[tuple[int, int]]
    """Where the terms are in the excerpt: first character, and the one behind the last."""
    message: Mapping[str, Any] | None
    """Of a message, its author (`from`) and moment (`at`)."""


class FoundPage(NamedTuple):
    """Texts that have been found. ``next``: the id behind which the next ones are; None: there are no more."""

    found: list[Found]
    next: int | None


def concerned(event: StoredEvent) -> Iterable[SearchRecord]:
    """The records whose texts an event may have changed."""
    kind = event.document.partition(".")[0]
    if not any(mark in event.body for mark in _MARKS.get(kind, ())):
        return
    body = json.loads(event.body)
    root, fields = str(body.get("root", "")), body.get("fields") or []
    if kind == "thread" and root == REDACTIONS:
        yield SearchRecord(event.document, MESSAGES, event.record)
        return
    keys = SEARCHED.get((kind, root))
    if keys is None:
        return
    comes_or_goes = body.get("before") is None or body.get("after") is None
    if not fields or comes_or_goes or DELETED in fields or not set(keys).isdisjoint(fields):
        yield SearchRecord(event.document, root, event.record)


def texts_in(record: SearchRecord, fields: str) -> dict[str, str]:
    """The texts of a record that are searched, by key."""
    keys = SEARCHED.get((record.document.partition(".")[0], record.root), ())
    values = json.loads(fields)
    if keys == (WHOLE,):
        return {WHOLE: values} if isinstance(values, str) else {}
    if not isinstance(values, dict) or DELETED in values:
        return {}
    return {key: values[key] for key in keys if isinstance(values.get(key), str)}


def _indexed(record: SearchRecord, fields: str) -> list[SearchText]:
    return [SearchText(key, indexed_words(text)) for key, text in texts_in(record, fields).items()]


INDEXER: Final = Indexer(concerned, _indexed, REDACTIONS)
"""`INDEXER.project` is called by the router with every event."""


class SearchService:
    """See the head of the file."""

    def __init__(self, storage: Storage, cpu_seconds: float | None = None) -> None:
        self._storage = storage
        self._cpu_seconds = cpu_seconds
        self._turns = PersonTurns(SEARCHES_AT_ONCE)

    async def find(
        self, wedding: str, query: str, readable: Callable[[str], bool], before: int, person: str = ""
    ) -> FoundPage:
        """Texts with all terms of a query in the documents that are readable, the newest first, behind the one with
        the id ``before``. Each ``person`` has one search at a time. Raises SearchTooBroadError."""
        terms = parse_query(query)
        if not terms:
            return FoundPage([], None)
        async with self._turns.turn(person):
            documents = await self._documents(wedding, readable)
            if not documents:
                return FoundPage([], None)
            hits = await self._hits(wedding, terms, documents, before)
            return await asyncio.to_thread(_page, hits, terms)

    async def _hits(
        self, wedding: str, terms: Sequence[SearchTerm], documents: Sequence[str], before: int
    ) -> list[SearchHit]:
        page = {"before": before, "limit": PAGE + 1}
        try:
            return await self._storage.search(
                wedding, terms, documents, REDACTIONS, cpu_seconds=self._cpu_seconds, **page
            )
        except ReadTooLong as error:
            raise SearchTooBroadError("search_too_broad", TOO_BROAD) from error

    async def _documents(self, wedding: str, readable: Callable[[str], bool]) -> list[str]:
        found: list[str] = []
        async for key in self._storage.keys(wedding):
            if key.document.partition(".")[0] in _KINDS and readable(key.document):
                found.append(key.document)
                if len(found) == MOST_DOCUMENTS:
                    break
        return found

    async def needs_purges(self) -> bool:
        """Whether `purge` has anything to do with this database."""
        return await self._storage.needs_purges()

    async def purge(self) -> None:
        """Write the index anew where words of removed texts may be in it still."""
        await self._storage.purge_search()


def _page(hits: Sequence[SearchHit], terms: Sequence[SearchTerm]) -> FoundPage:
    found: list[Found] = []
    characters = 0
    for number, hit in enumerate(hits):
        if number == PAGE or characters >= READ_CHARACTERS:
            return FoundPage(found, hits[number - 1].id)
        text = texts_in(SearchRecord(*hit[1:4]), hit.fields).get(hit.key, "")
        characters += len(text)
        examined = text[: EXAMINED // sum(len(term.words) for term in terms)]
        places = places_of(examined, terms)
        if places or len(examined) < len(text):  # else it has changed since it was indexed
            found.append(_shown(hit, text, places))
    return FoundPage(found, None)


def _shown(hit: SearchHit, text: str, places: Sequence[tuple[int, int]]) -> Found:
    start = max(0, places[0][0] - LEAD) if places else 0
    excerpt = text[start : start + EXCERPT]
    seen = [(begin - start, end - start) for begin, end in places if begin - start < EXCERPT]
    highlights = [(begin, min(end, len(excerpt))) for begin, end in seen]
    values = json.loads(hit.fields) if hit.root == MESSAGES else {}
    message = {name: values.get(name) for name in ("from", "at")} if values else None
    return Found(*hit[:5], excerpt, start, highlights, message)
