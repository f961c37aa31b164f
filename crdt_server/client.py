"""A client over HTTP, for programs without Yjs: the words of `clients/javascript`, sync (`WeddingClient`) and async
(`AsyncWeddingClient`, of which every word is awaited). Rows have the keys of documents/README.md: `rsvp:e_reception`.

Each word is one command, carried out at once or refused with reasons; those in a `batch` are one command together. A
command whose answer is lost is sent again under the same key, and carried out once. Needs `crdt-server[client]`.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from inspect import isawaitable
from typing import Any, Final, Self, TypeAlias

import httpx

Row: TypeAlias = dict[str, Any]
Fields: TypeAlias = Mapping[str, Any]
Operation: TypeAlias = dict[str, Any]
Answer: TypeAlias = Any
"""The answer of a method; of an `AsyncWeddingClient`, an awaitable of it."""

TRIES: Final = 6
_BASE_32: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_BASE_62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class ServerError(Exception):
    """An answer of the server that is no success. ``code`` is stable; ``problem`` is the whole answer."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(problem.get("detail") or problem.get("code") or f"status {status}")
        self.status, self.code, self.problem = status, str(problem.get("code", "")), problem


def new_id(prefix: str) -> str:
    """A new id of a record: `g_7zk3v0q9xw2a`."""
    return f"{prefix}_{''.join(secrets.choice(_BASE_32) for _ in range(12))}"


def _digits(number: int, base: str, length: int) -> str:
    return "".join(base[number // len(base) ** place % len(base)] for place in reversed(range(length)))


class Collection:
    """Records of one root of a document."""

    def __init__(self, wedding: _Words, document: str, root: str, prefix: str, *, ordered: bool = True) -> None:
        self._wedding, self._document, self._root = wedding, document, root
        self._prefix, self._ordered = prefix, ordered

    def add(self, fields: Fields, *, id: str | None = None) -> Answer:
        """Add a record at the end of the list. Its id."""
        record = id or new_id(self._prefix)
        order = {"order": self._wedding.last_order()} if self._ordered else {}
        return self._write(record, {"op": "insert", "value": {**order, **fields}})

    def update(self, id: str, fields: Fields) -> Answer:
        """Write the keys that are named; None deletes one."""
        return self._write(id, *(_key(key, value) for key, value in fields.items()))

    def remove(self, id: str) -> Answer:
        """Mark a record as deleted; it can be restored for 30 days."""
        return self.update(id, {"deleted": self._wedding.stamp()})

    def restore(self, id: str) -> Answer:
        return self.update(id, {"deleted": None})

    def list(self) -> Answer:
        """The records that are not deleted, in their order, each with its ``id``."""

        def rows(answer: Any) -> list[Row]:
            found = [{**row, "id": id} for id, row in answer.get(self._root, {}).items() if "deleted" not in row]
            return sorted(found, key=lambda row: (row.get("order", ""), row["id"]))

        return self._wedding.request("GET", f"documents/{self._document}", read=rows)

    def _write(self, record: str, *operations: Operation) -> Answer:
        whole = [{"root": self._root, "record": record, **each} for each in operations]
        return self._wedding.write(self._document, whole, record)


def _key(key: str, value: Any) -> Operation:
    if value is None:
        return {"op": "delete", "key": key}
    return {"op": "text" if key == "note" else "set", "key": key, "value": value}


class Single:
    """One record: the settings of the wedding."""

    def __init__(self, wedding: _Words, document: str) -> None:
        self._wedding, self._document = wedding, document

    def get(self) -> Answer:
        return self._wedding.request("GET", f"documents/{self._document}", read=_meta)

    def update(self, fields: Fields) -> Answer:
        """Write the keys that are named; None deletes one."""
        whole = [{"root": "meta", "record": "", **_key(key, value)} for key, value in fields.items()]
        return self._wedding.write(self._document, whole, None)


def _meta(answer: Any) -> Row:
    found: Row = answer.get("meta", {}).get("", {})
    return found


class SeatingWords:
    """Tables, and who sits where. Seats count from 0."""

    def __init__(self, wedding: _Words) -> None:
        self._wedding = wedding
        self.tables = Collection(wedding, "seating", "tables", "t")

    def place(self, guest: str, table: str, seat: int | None = None) -> Answer:
        """Seat a guest; without a seat, anywhere at the table."""
        return self._sit({guest: {"table": table, "seat": seat}})

    def unseat(self, guest: str) -> Answer:
        return self._sit({guest: None})

    def swap(self, one: str, other: str) -> Answer:
        """Two guests exchange what they sit on, also with one who has no seat: what the server has now counts."""

        def exchange(answer: Any) -> Answer:
            seats = answer.get("assignments", {})
            new = {one: seats.get(other), other: seats.get(one)}
            return self._sit({guest: seat for guest, seat in new.items() if seat != seats.get(guest)})

        return self._wedding.request("GET", "documents/seating", read=exchange)

    def seats(self) -> Answer:
        """The seats of the reception: guest -> {id, table, seat}."""

        def rows(answer: Any) -> dict[str, Row]:
            return {guest: {"id": guest, **seat} for guest, seat in answer.get("assignments", {}).items()}

        return self._wedding.request("GET", "documents/seating", read=rows)

    def _sit(self, seats: Mapping[str, Any]) -> Answer:
        operations: list[Operation] = []
        for guest, seat in seats.items():
            op = {"op": "delete"} if seat is None else {"op": "set", "value": seat}
            operations.append({"root": "assignments", "record": guest, **op})
        return self._wedding.write("seating", operations, None) if operations else self._wedding.settled(None)


class TimelineWords(Collection):
    def move(self, item: str, start: int) -> Answer:
        """Move an item to a minute of the wedding date."""
        return self.update(item, {"start": start})


class BudgetWords(Collection):
    def __init__(self, wedding: _Words) -> None:
        super().__init__(wedding, "budget", "items", "b")
        self.categories = Collection(wedding, "budget", "categories", "c")
        self.limits = Single(wedding, "budget")

    def pay(self, item: str, amount: int, **more: Any) -> Answer:
        """Record a payment in minor units of the currency, today unless ``on`` says otherwise. Its id."""
        payment = {"kind": "deposit", "on": self._wedding.now()[:10], **more, "item": item, "amount": amount}
        return self._put("payments", new_id("pay"), payment)

    def void(self, payment: str, reason: str = "") -> Answer:
        return self._put("voids", payment, self._wedding.stamp() | ({"reason": reason} if reason else {}))

    def _put(self, root: str, record: str, value: Row) -> Answer:
        return self._wedding.write("budget", [{"op": "set", "root": root, "record": record, "value": value}], record)


class ThreadsWords:
    def __init__(self, wedding: _Words) -> None:
        self._wedding = wedding

    def create(self, title: str, **more: Any) -> Answer:
        """Begin a conversation. Its id."""
        return self._wedding.request("POST", "threads", {"title": title, **more}, read=lambda answer: answer["id"])

    def send(self, thread: str, body: str) -> Answer:
        """Send a message. Its id, a ULID."""
        ulid = _digits(int(self._wedding.seconds() * 1000), _BASE_32, 10)
        ulid = (ulid + "".join(secrets.choice(_BASE_32) for _ in range(16))).upper()
        return self._wedding.request(
            "POST", f"threads/{thread}/messages", {"id": ulid, "body": body}, read=lambda _: ulid
        )

    def messages(self, thread: str) -> Answer:
        return self._wedding.request("GET", f"threads/{thread}/messages", read=lambda answer: answer["messages"])


class ConflictsWords:
    def __init__(self, wedding: _Words) -> None:
        self._wedding = wedding

    def list(self, state: str = "open") -> Answer:
        """The records in `review` of all documents that are in this state; at most one page of them."""
        return self._wedding.request(
            "GET", "conflicts", query={"state": state}, read=lambda answer: answer["conflicts"]
        )

    def choose(self, conflict: str, option: int, say: str | None = None) -> Answer:
        return self._wedding.request("POST", f"conflicts/{conflict}/resolve", {"choice": option, "say": say})


class _Words:
    """The words of both clients. `request` is theirs."""

    def __init__(self, url: str, wedding: str, *, token: str = "", dev: Mapping[str, str] | None = None) -> None:
        self._options: Any = {
            "base_url": f"{url.rstrip('/')}/api/weddings/{wedding}/",
            "headers": {"Authorization": f"Bearer {token}"} if token else {},
            "params": dict(dev or {}),
            "timeout": 60,
        }
        self._parts: dict[str, list[Operation]] | None = None
        self._ahead_seconds = 0.0
        self.person: Row = {}
        self.guests = Collection(self, "guests", "guests", "g")
        self.households = Collection(self, "guests", "households", "h")
        self.care = Collection(self, "care", "care", "g", ordered=False)  # ids are those of guests
        self.details = Single(self, "wedding")
        self.events = Collection(self, "wedding", "events", "e")
        self.places = Collection(self, "wedding", "places", "p")
        self.vendors = Collection(self, "wedding", "vendors", "v")
        self.tasks = Collection(self, "wedding", "tasks", "k")
        self.timeline = TimelineWords(self, "timeline", "items", "i")
        self.budget = BudgetWords(self)
        self.seating, self.threads, self.conflicts = SeatingWords(self), ThreadsWords(self), ConflictsWords(self)

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Fields | None = None,
        read: Callable[[Any], Any] = lambda answer: answer,
    ) -> Answer:
        """A call of the API below the wedding. Raises ServerError."""
        raise NotImplementedError

    def settled(self, value: Any) -> Answer:
        """A value without a call."""
        return value

    def write(self, document: str, operations: list[Operation], result: Any) -> Answer:
        """Carry operations out, or with the batch in which they are."""
        if self._parts is not None:
            self._parts.setdefault(document, []).extend(operations)
            return self.settled(result)
        return self._command({document: operations}, result)

    def _command(self, parts: Mapping[str, list[Operation]], result: Any = None) -> Answer:
        listed = [{"document": name, "operations": each} for name, each in parts.items()]
        return self.request("POST", "ops", {"parts": listed}, read=lambda _: result)

    def _joined(self, answer: Any) -> None:
        self.person = answer["person"]
        self._ahead_seconds = answer["now"] - time.time()

    def seconds(self) -> float:
        """The clock of the server, in seconds since 1970."""
        return time.time() + self._ahead_seconds

    def now(self) -> str:
        """The clock of the server, as documents have moments."""
        return datetime.fromtimestamp(self.seconds(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def stamp(self) -> Row:
        """This person and now."""
        return {"at": self.now(), "by": self.person["id"]}

    def last_order(self) -> str:
        """An order key behind those that were made before: it needs no look at the list."""
        return "g" + _digits(int(self.seconds() * 1000), _BASE_62, 7)


def _read(response: httpx.Response) -> Any:
    if response.is_success:
        return response.json() if response.content else {}
    raise ServerError(response.status_code, _problem(response))


def _problem(response: httpx.Response) -> Mapping[str, Any]:
    try:
        content = response.json()
    except ValueError:  # of a proxy
        return {}
    return content if isinstance(content, dict) else {}


def _sent_again(attempt: int) -> float:
    """Seconds before the next try."""
    return float(min(0.2 * 2**attempt, 5))


def _headers(method: str, path: str) -> dict[str, str]:
    return {"Idempotency-Key": secrets.token_hex(16)} if (method, path) == ("POST", "ops") else {}


class WeddingClient(_Words):
    """One wedding, in a ``with`` block."""

    def __enter__(self) -> Self:
        self._http = httpx.Client(**self._options)
        self._joined(self.request("POST", "join"))
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    @contextmanager
    def batch(self) -> Iterator[None]:
        """All words of the block are one command: all or nothing."""
        parts: dict[str, list[Operation]] = {}
        self._parts = parts
        try:
            yield
        finally:
            self._parts = None
        if parts:
            self._command(parts)

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Fields | None = None,
        read: Callable[[Any], Any] = lambda answer: answer,
    ) -> Answer:
        return read(_read(self._sent(method, path, body, query)))

    def _sent(self, method: str, path: str, body: Any, query: Fields | None) -> httpx.Response:
        headers = _headers(method, path)
        for attempt in range(TRIES):
            try:
                return self._http.request(method, path, json=body, params=query, headers=headers)
            except httpx.TransportError:
                if attempt == TRIES - 1 or not (headers or method == "GET"):
                    raise
            time.sleep(_sent_again(attempt))
        raise AssertionError("the last try returns or raises")


class AsyncWeddingClient(_Words):
    """The same, in an ``async with`` block: every word is awaited."""

    async def __aenter__(self) -> Self:
        self._http = httpx.AsyncClient(**self._options)
        self._joined(await self.request("POST", "join"))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def settled(self, value: Any) -> Any:
        return value

    @asynccontextmanager
    async def batch(self) -> AsyncIterator[None]:
        """All words of the block are one command: all or nothing."""
        parts: dict[str, list[Operation]] = {}
        self._parts = parts
        try:
            yield
        finally:
            self._parts = None
        if parts:
            await self._command(parts)

    async def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Fields | None = None,
        read: Callable[[Any], Any] = lambda answer: answer,
    ) -> Any:
        answer = read(_read(await self._sent(method, path, body, query)))
        return await answer if isawaitable(answer) else answer

    async def _sent(self, method: str, path: str, body: Any, query: Fields | None) -> httpx.Response:
        headers = _headers(method, path)
        for attempt in range(TRIES):
            try:
                return await self._http.request(method, path, json=body, params=query, headers=headers)
            except httpx.TransportError:
                if attempt == TRIES - 1 or not (headers or method == "GET"):
                    raise
            await asyncio.sleep(_sent_again(attempt))
        raise AssertionError("the last try returns or raises")
