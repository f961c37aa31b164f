"""Notifications of bookings that overlap: a real store, and weddings that only receive them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import pytest

from crdt_server.access.identity import SERVER, Identity
from crdt_server.errors import AdmissionError
from crdt_server.hub.bookings import (
    BLOCK_MINUTES,
    MOST_DELAYED,
    MOST_WEDDINGS,
    RESPONSES,
    WEDDINGS_AT_ONCE,
    BookingNotifier,
    others_of,
    read_vouched,
)
from crdt_server.pipe import (
    Done,
    RequestKind,
    Response,
    decode_other_bookings,
)
from crdt_server.rooms.session import Request
from storage import DerivedRecords, DocumentKey, Storage, StorageError, VendorBooking, open_storage

LENS, CAKE = "o_lens", "o_cake"


class Town:
    """``notified``: (wedding, organization) and the weddings of the bookings in its notification, in order."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.bookings = BookingNotifier(storage, self.request, self.spawn, frozenset({LENS, CAKE}))
        self.notified: list[tuple[str, str, list[str]]] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.react: Callable[[str], Coroutine[Any, Any, None]] | None = None

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self.tasks.append(asyncio.create_task(work))

    async def request(self, key: DocumentKey, identity: Identity, address: str, request: Request) -> Response:
        others = decode_other_bookings(request.payload)
        assert (key.document, identity, request.kind) == ("wedding", SERVER, RequestKind.SET_BOOKINGS)
        assert all(each.organization == others.organization for each in others.bookings)
        self.notified.append((key.wedding, others.organization, [each.wedding for each in others.bookings]))
        if self.react is not None:
            await self.react(key.wedding)
        return Done()

    async def store(
        self, wedding: str, start: int, until: int, stage: str | None = "booked", organization: str = LENS
    ) -> VendorBooking:
        image = VendorBooking(f"v_{organization}", organization, start, until, stage, 1)
        await self.storage.append([], [DerivedRecords(DocumentKey(wedding, "wedding"), bookings=[image])])
        return image

    async def change(self, wedding: str, *args: Any) -> None:
        self.bookings.changed(wedding, [await self.store(wedding, *args)])

    async def settle(self) -> list[tuple[str, str, list[str]]]:
        await asyncio.gather(*self.tasks)
        self.tasks.clear()
        assert not self.bookings._changes
        notified, self.notified = self.notified, []
        return sorted(notified)


@pytest.fixture
async def town(database_url: str) -> AsyncIterator[Town]:
    storage = await open_storage(database_url, migrate=True)
    yield Town(storage)
    await storage.close()


async def test_all_that_overlap_are_notified_of_all_that_overlap_theirs(town: Town) -> None:
    await town.store("early", 0, 100)
    await town.store("late", 150, 250)
    await town.store("next day", 1000, 1100)
    await town.store("else", 0, 1000, "booked", CAKE)
    await town.change("middle", 90, 160)
    assert await town.settle() == [
        ("early", LENS, ["middle"]),
        ("late", LENS, ["middle"]),
        ("middle", LENS, ["early", "late"]),
    ]


async def test_a_time_that_is_free_again_is_news_too(town: Town) -> None:
    await town.store("early", 0, 100)
    await town.store("late", 150, 250)
    gone, there = await town.store("middle", 0, 10, None), await town.store("middle", 200, 210)
    town.bookings.changed("middle", [gone, there])
    assert await town.settle() == [("early", LENS, []), ("late", LENS, ["middle"]), ("middle", LENS, ["late"])]


async def test_of_each_organization_on_its_own(town: Town) -> None:
    await town.store("one", 0, 100)
    await town.store("one", 0, 100, "booked", CAKE)
    await town.change("two", 0, 100)
    await town.change("two", 0, 100, "booked", CAKE)
    notified = await town.settle()
    assert notified == [
        (name, each, [other]) for name, other in (("one", "two"), ("two", "one")) for each in (CAKE, LENS)
    ]


async def test_who_gives_way_does_not_hide_the_clash_from_the_other(town: Town) -> None:
    """The first that is notified is set back, and stored so, before the other is notified."""
    await town.store("one", 0, 100)
    given_way = False

    async def give_way(wedding: str) -> None:
        nonlocal given_way
        if not given_way:
            given_way = True
            await town.change(wedding, 0, 100, None)

    town.react = give_way
    await town.change("two", 0, 100)
    notified = await town.settle()
    assert [each for each in notified if each[2]] == [("one", LENS, ["two"]), ("two", LENS, ["one"])]
    assert len(notified) == 4


async def test_changes_meanwhile_are_notified_after_all_have_the_earlier_ones(town: Town) -> None:
    hears, goes_on = asyncio.Event(), asyncio.Event()

    async def wait(_: str) -> None:
        hears.set()
        await goes_on.wait()

    town.react = wait
    await town.change("one", 0, 100)
    async with asyncio.timeout(60):
        await hears.wait()
    for wedding in ("two", "three"):
        await town.change(wedding, 0, 100)
    await town.change("else", 0, 100, "booked", CAKE)  # which waits for nobody
    assert ("one", LENS, []) in town.notified
    assert not any("two" in others for _, _, others in town.notified)
    goes_on.set()
    assert await town.settle() == [
        ("else", CAKE, []),
        ("one", LENS, []),
        ("one", LENS, ["three", "two"]),
        ("three", LENS, ["one", "two"]),
        ("two", LENS, ["one", "three"]),
    ]


async def test_a_mentioned_wedding_is_notified_too(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody books while it is looked who has: they may not learn of it only when the other has given way."""
    booked = town.storage.booked

    async def booked_then(organization: str, spans: Sequence[tuple[int, int]]) -> list[str]:
        found = await booked(organization, spans)
        await town.store("two", 10, 20)
        return found

    monkeypatch.setattr(town.storage, "booked", booked_then)
    await town.change("one", 10, 20)
    assert await town.settle() == [("one", LENS, ["two"]), ("two", LENS, ["one"])]


async def test_a_wedding_that_cannot_be_notified_delays_no_other(town: Town) -> None:
    async def refuse(wedding: str) -> None:
        if wedding != "three":
            raise AdmissionError("memory", "too many documents are open")

    town.react = refuse
    for wedding in ("one", "three"):
        await town.store(wedding, 0, 100)
    await town.change("two", 0, 100)
    assert [wedding for wedding, *_ in await town.settle()] == ["one", "three", "two"]
    await town.change("two", 0, 100, None)
    assert ("three", LENS, []) not in await town.settle()  # it has the first one's still
    assert await town.storage.booked(LENS, [(0, 100)]) == ["one", "three"]


async def test_a_bounded_number_is_notified(town: Town) -> None:
    image = VendorBooking("v", LENS, 0, 100, "booked", 1)
    names = [f"w_{n:03}" for n in range(MOST_WEDDINGS + 20)]  # of which each opens a document
    await town.storage.append([], [DerivedRecords(DocumentKey(name, "wedding"), bookings=[image]) for name in names])
    await town.change("z", 0, 100)
    notified = await town.settle()
    assert [wedding for wedding, *_ in notified] == [*names[:MOST_WEDDINGS], "z"]
    assert len(notified[-1][2]) == len(names)


async def test_a_store_that_cannot_be_read_is_no_end(town: Town) -> None:
    image = await town.store("one", 0, 100)
    await town.storage.close()
    for _ in range(2):
        town.bookings.changed("one", [image])
        assert await town.settle() == []


class TestNobodyVouches:
    """Organizations that only the weddings themselves name."""

    @pytest.fixture(autouse=True)
    def nobody(self, town: Town) -> None:
        town.bookings = BookingNotifier(town.storage, town.request, town.spawn)

    async def test_only_the_wedding_that_books_is_notified(self, town: Town) -> None:
        for wedding in ("one", "three"):
            await town.store(wedding, 0, 100)
        await town.change("two", 0, 100)
        assert await town.settle() == [("two", LENS, ["one", "three"])]

    async def test_the_others_are_notified_of_times_that_are_free_again(self, town: Town) -> None:
        await town.store("one", 0, 100)
        await town.change("two", 0, 100, None)
        assert await town.settle() == [("one", LENS, []), ("two", LENS, [])]

    async def test_times_are_rough(self, town: Town) -> None:
        await town.store("one", 370, 400)
        await town.change("two", 600, 720)
        await town.change("three", 721, 800)
        assert await town.settle() == [("three", LENS, []), ("two", LENS, ["one"])]
        (found,) = others_of(await town.storage.overlapping("two", BLOCK_MINUTES), frozenset())
        assert (found.start, found.until, found.vouched) == (360, 720, False)

    async def test_the_answers_to_one_wedding_are_bounded(self, town: Town) -> None:
        organizations = [f"o_{n}" for n in range(RESPONSES + 5)]
        for organization in organizations:
            await town.change("probe", 0, 100, "booked", organization)
        enough = asyncio.Event()

        async def count(_: str) -> None:
            if len(town.notified) > RESPONSES:
                enough.set()

        town.react = count
        await town.change("else", 200, 300)
        async with asyncio.timeout(60):
            await enough.wait()
        assert ("else", LENS, ["one"]) not in town.notified
        answered = [organization for wedding, organization, _ in town.notified if wedding == "probe"]
        assert sorted(answered) == sorted(organizations[:RESPONSES])
        delayed = town.bookings._delayed["probe"]
        assert list(delayed) == organizations[RESPONSES:]
        for n in range(2 * MOST_DELAYED):
            await town.change("probe", 0, 100, "booked", f"p_{n}")
        assert len(delayed) == MOST_DELAYED
        for task in town.tasks:
            task.cancel()
        await asyncio.gather(*town.tasks, return_exceptions=True)

    async def test_few_are_notified_at_once(self, town: Town) -> None:
        image = VendorBooking("v", LENS, 0, 100, "booked", 1)
        names = [f"w_{n:03}" for n in range(MOST_WEDDINGS + 20)]
        keys = [DocumentKey(name, "wedding") for name in names]
        await town.storage.append([], [DerivedRecords(key, bookings=[image]) for key in keys])
        open_ones, most = 0, 0

        async def react(_: str) -> None:
            nonlocal open_ones, most
            open_ones += 1
            most = max(most, open_ones)
            for _ in range(5):
                await asyncio.sleep(0)
            open_ones -= 1

        town.react = react
        await town.change("z", 0, 100, None)
        assert len(await town.settle()) == MOST_WEDDINGS + 1
        assert most == WEDDINGS_AT_ONCE


def test_the_file_of_vouched_organizations(tmp_path: Path) -> None:
    path = tmp_path / "organizations"
    assert read_vouched("") == frozenset()
    path.write_text("o_lens\n\n  o_cake \n")
    assert read_vouched(str(path)) == {"o_lens", "o_cake"}
    with pytest.raises(StorageError, match="cannot be read"):
        read_vouched(str(tmp_path / "nowhere"))
