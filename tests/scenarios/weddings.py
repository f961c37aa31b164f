"""Weddings in which two people edit without seeing each other, in every order there is."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

import httpx

from documents.readers import digest
from storage import StoredEvent, open_storage
from tests.scenarios.people import SECONDS, Client, Node, Rows, Who, equal
from tests.support.backend import Server
from tests.support.effort import EVERYTHING

LOW, HIGH, THIRD = 1_000, 2_000_000_000, 500_000  # Yjs client ids; the higher wins in Yjs itself
WITNESS = Who("wil", "couple")
VOUCHED = "o_lens"  # organizations for which the operator vouches begin with it

_numbers = itertools.count(1)


class Order(NamedTuple):
    """What must not decide anything: who has the lower client id. And what sometimes does: who comes back first."""

    lower: str
    first: str

    def __str__(self) -> str:
        return f"{self.lower} has the lower client id, {self.first} is back first"


ORDERS = [Order("a", "b"), Order("b", "a")]
if EVERYTHING:
    ORDERS += [Order("a", "a"), Order("b", "b")]


class Pair(NamedTuple):
    """The clients of both people in one document, and that of the witness, who is always there."""

    a: Client
    b: Client
    witness: Client


class Wedding:
    """One wedding of the server under test, with two people, ``a`` and ``b``, and a witness."""

    def __init__(self, stage: Stage, order: Order, a: Who, b: Who) -> None:
        self.name = f"w{next(_numbers)}"
        self.stage = stage
        self.order = order
        self.a, self.b = a, b
        self.pairs: dict[str, Pair] = {}
        self.held: dict[str, Rows] = {}

    async def join(self, who: Who, document: str, *, client_id: int | None = None) -> Client:
        """A new client of somebody."""
        name = f"{self.name}/{document}/{who.user}{next(_numbers)}"
        return await Client.join(
            self.stage.node, name, who, f"{self.stage.server.ws_url}/{self.name}", document, client_id
        )

    async def open(self, document: str, code: str = "", **args: Any) -> Pair:
        """Let all three into a document, after the witness has run ``code`` there."""
        witness = await self.join(WITNESS, document, client_id=THIRD)
        await witness.run(code, **args)
        a_id, b_id = (LOW, HIGH) if self.order.lower == "a" else (HIGH, LOW)
        a = await self.join(self.a, document, client_id=a_id)
        b = await self.join(self.b, document, client_id=b_id)
        self.pairs[document] = Pair(a, b, witness)
        await self.equal(document)
        return self.pairs[document]

    async def part(self) -> None:
        """Both go offline, in all documents."""
        await asyncio.gather(*(client.disconnect() for pair in self.pairs.values() for client in (pair.a, pair.b)))

    async def meet(self) -> None:
        """Both come back, the second when all the first had to say has arrived."""
        for name in self.order.first, *({"a", "b"} - {self.order.first}):
            await asyncio.gather(*(self._back(pair, name) for pair in self.pairs.values()))

    async def _back(self, pair: Pair, name: str) -> None:
        client: Client = getattr(pair, name)
        await client.connect()
        await equal([client, pair.witness])

    async def apart(self, document: str, a: str, b: str, **args: Any) -> Rows:
        """Each runs code offline in one document, and they meet again; what everybody then holds."""
        await self.part()
        await self.pairs[document].a.run(a, **args)
        await self.pairs[document].b.run(b, **args)
        await self.meet()
        return await self.equal(document)

    async def equal(self, document: str) -> Rows:
        """Wait until all clients, a new one and the server hold the same; what they hold."""
        newcomer = await self.join(WITNESS, document)
        async with asyncio.timeout(SECONDS):
            rows = await equal([*self.pairs[document], newcomer])
            while await self._digest(document) != digest(rows):  # a commit came between: they hear of it next
                rows = await equal([*self.pairs[document], newcomer])
        await newcomer.leave()
        self.held[document] = rows
        return rows

    async def _digest(self, document: str) -> str:
        answer = await self.stage.http.get(f"/api/weddings/{self.name}/documents/{document}/digest")
        answer.raise_for_status()
        sha256: str = answer.json()["sha256"]
        return sha256

    async def reviews(self, document: str) -> dict[str, Any]:
        """The records of conflicts in a document, when everybody has the same."""
        return (await self.equal(document)).get("review", {})

    async def the_review(self, document: str, kind: str) -> tuple[str, dict[str, Any]]:
        """The only record of a conflict in a document, which is of this kind; its id, and the record."""
        reviews = await self.reviews(document)
        assert [each["_kind"] for each in reviews.values()] == [kind], reviews
        return next(iter(reviews.items()))

    async def choose(self, document: str, review: str, option: int) -> None:
        """``a`` chooses; return when that has been done."""
        pair = self.pairs[document]
        await pair.a.run("get('review', args.id).set('choice', args.option)", id=review, option=option)
        for client in pair:
            await client.wait("get('review', args.id).get('_state') === 'resolved'", id=review)

    async def events(self) -> list[dict[str, Any]]:
        """Everything that happened so far, in order."""
        storage = await open_storage(self.stage.database_url)
        found: list[StoredEvent] = []
        try:
            while page := await storage.events(self.name, after=len(found)):
                found += page
            return [json.loads(event.body) for event in found]
        finally:
            await storage.close()

    async def same_after_restart(self) -> None:
        for document, rows in list(self.held.items()):
            again = await self.equal(document)
            assert again == rows, f"{document} held {rows} and now {again}"


def option(review: dict[str, Any], words: str) -> int:
    """The option of a record with these words in its text."""
    (found,) = [each["id"] for each in review["_options"] if words in each["text"]]
    number: int = found
    return number


Story = Callable[[Wedding], Coroutine[Any, Any, None]]


class Stage:
    """Tells stories, each in a wedding for every order, all at once."""

    def __init__(self, server: Server, node: Node, http: httpx.AsyncClient) -> None:
        self.server = server
        self.node = node
        self.http = http
        self._told: list[Wedding] = []

    @property
    def database_url(self) -> str:
        return self.server.database_url

    async def tell(self, story: Story, a: Who, b: Who) -> None:
        weddings = [Wedding(self, order, a, b) for order in ORDERS]
        async with asyncio.TaskGroup() as group:
            for wedding in weddings:
                group.create_task(_noting(wedding, story(wedding)))
        self._told += weddings

    async def same_after_restart(self) -> None:
        """Restart the server, and see that in all weddings told of so far everybody has what they had."""
        assert self._told
        await asyncio.to_thread(self.server.restart)
        async with asyncio.TaskGroup() as group:
            for wedding in self._told:
                group.create_task(_noting(wedding, wedding.same_after_restart()))


async def _noting(wedding: Wedding, work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except BaseException as error:
        error.add_note(f"wedding {wedding.name}: {wedding.order}")
        raise
