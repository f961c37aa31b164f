"""What every backend of `storage` does with nodes and the weddings they own."""

import asyncio

import pytest

from storage import (
    Append,
    DerivedRecords,
    DocumentKey,
    NewEvent,
    NotOwner,
    Owner,
    SequenceConflict,
    Storage,
    StorageError,
    open_storage,
)

LONG = 3600.0
OVER = -1.0
"""Seconds of a heartbeat that has ended already."""

NOTE = DocumentKey("w_1", "notes")
OTHER = DocumentKey("w_2", "notes")
FACTS = DerivedRecords(OTHER, events=[NewEvent("t", "2026-06-20T13:30:00Z", "r", "{}")])


async def head(store: Storage, key: DocumentKey) -> int:
    return (await store.load(key)).head_seq


class TestNodes:
    async def test_live_as_long_as_they_say(self, store: Storage) -> None:
        assert await store.nodes() == []
        await store.heartbeat("n_2", LONG)
        await store.heartbeat("n_1", LONG)
        await store.heartbeat("n_3", OVER)
        assert await store.nodes() == ["n_1", "n_2"]
        await store.heartbeat("n_3", LONG)
        await store.heartbeat("n_2", OVER)
        assert await store.nodes() == ["n_1", "n_3"]

    async def test_a_heartbeat_may_be_short(self, store: Storage) -> None:
        await store.heartbeat("n_1", 0.05)
        async with asyncio.timeout(60):
            while await store.nodes():
                pass

    async def test_one_that_leaves_is_gone_with_its_weddings(self, store: Storage) -> None:
        await store.heartbeat("n_1", LONG)
        await store.claim(["w_1", "w_2"], "n_1")
        await store.release("n_1")
        assert await store.nodes() == []
        assert await store.owned("n_1") == {}
        assert await store.owner("w_1") is None

    @pytest.mark.parametrize("node", ["", "n" * 256])
    async def test_names_are_bounded(self, store: Storage, node: str) -> None:
        with pytest.raises(StorageError, match="1 to 255 characters"):
            await store.heartbeat(node, LONG)
        with pytest.raises(StorageError, match="1 to 255 characters"):
            await store.claim(["w_1"], node)
        with pytest.raises(StorageError, match="1 to 255 characters"):
            await store.claim([node], "n_1")


class TestClaim:
    @pytest.fixture(autouse=True)
    async def alive(self, store: Storage) -> None:
        await store.heartbeat("n_1", LONG)
        await store.heartbeat("n_2", LONG)

    async def test_the_first_owns_it(self, store: Storage) -> None:
        assert await store.owner("w_1") is None
        assert await store.claim(["w_1"], "n_1") == [Owner("w_1", "n_1", 1)]
        assert await store.claim(["w_1"], "n_2") == [Owner("w_1", "n_1", 1)]
        assert await store.claim(["w_1"], "n_1") == [Owner("w_1", "n_1", 1)]
        assert await store.owner("w_1") == Owner("w_1", "n_1", 1)
        assert await store.owned("n_1") == {"w_1": 1}
        assert await store.owned("n_2") == {}

    async def test_many_at_once(self, store: Storage) -> None:
        weddings = [f"w_{number:04}" for number in range(1_201)]
        await store.claim(weddings[::2], "n_2")
        found = await store.claim([*weddings[::-1], weddings[0]], "n_1")
        assert found == [Owner(wedding, f"n_{2 - number % 2}", 1) for number, wedding in enumerate(weddings)]
        assert await store.claim([], "n_1") == []
        await store.release("n_1", weddings)
        assert await store.owned("n_1") == {}
        assert len(await store.owned("n_2")) == 601

    async def test_of_one_whose_heartbeat_has_ended(self, store: Storage) -> None:
        await store.claim(["w_1"], "n_1")
        await store.heartbeat("n_1", OVER)
        assert await store.owner("w_1") is None
        assert await store.owned("n_1") == {"w_1": 1}
        assert await store.claim(["w_1"], "n_2") == [Owner("w_1", "n_2", 2)]
        await store.heartbeat("n_1", LONG)
        assert await store.claim(["w_1"], "n_1") == [Owner("w_1", "n_2", 2)]

    async def test_one_that_died_may_come_back_under_the_same_fence(self, store: Storage) -> None:
        await store.claim(["w_1"], "n_1")
        await store.heartbeat("n_1", OVER)
        assert await store.claim(["w_1"], "n_1") == [Owner("w_1", "n_1", 1)]

    async def test_of_what_was_given_up(self, store: Storage) -> None:
        await store.claim(["w_1", "w_2"], "n_1")
        await store.release("n_1", [])
        await store.release("n_2", ["w_1"])
        assert await store.owned("n_1") == {"w_1": 1, "w_2": 1}
        await store.release("n_1", ["w_1"])
        assert await store.owner("w_1") is None
        assert await store.owned("n_1") == {"w_2": 1}
        assert await store.claim(["w_1", "w_2"], "n_2") == [Owner("w_1", "n_2", 2), Owner("w_2", "n_1", 1)]

    async def test_at_once_one_gets_it(self, store: Storage, url: str) -> None:
        second = await open_storage(url)
        for number in range(20):
            weddings = [f"w_{number}.{part}" for part in range(5)]
            answers = await asyncio.gather(store.claim(weddings, "n_1"), second.claim(weddings[::-1], "n_2"))
            assert answers[0] == answers[1]
            assert {owner.fence for owner in answers[0]} == {1}
        await second.close()


class TestFences:
    @pytest.fixture(autouse=True)
    async def owned(self, store: Storage) -> None:
        await store.heartbeat("n_1", LONG)
        await store.heartbeat("n_2", LONG)
        await store.claim(["w_1", "w_2"], "n_1")

    async def test_the_owner_appends(self, store: Storage) -> None:
        batch = [Append(NOTE, 1, b"a"), Append(OTHER, 1, b"b")]
        assert await store.append(batch, [FACTS], {"w_1": 1, "w_2": 1, "w_3": 9}, "n_1") == {"w_2": 1}
        assert (await head(store, NOTE), await head(store, OTHER)) == (1, 1)

    async def test_an_ended_heartbeat_alone_does_not_matter(self, store: Storage) -> None:
        await store.heartbeat("n_1", OVER)
        await store.append([Append(NOTE, 1, b"a")], (), {"w_1": 1}, "n_1")
        assert await head(store, NOTE) == 1

    @pytest.mark.parametrize(
        ("node", "fences", "lost"),
        [
            ("n_2", {"w_1": 1, "w_2": 1}, ("w_1", "w_2")),
            ("n_1", {"w_1": 1, "w_2": 2}, ("w_2",)),
            ("n_1", {"w_1": 0, "w_2": 1}, ("w_1",)),
            ("n_1", {"w_2": 1}, ("w_1",)),
            ("n_1", {}, ("w_1", "w_2")),
            ("", {"w_1": 1, "w_2": 1}, ("w_1", "w_2")),
        ],
    )
    async def test_nobody_else_stores_anything(
        self, store: Storage, node: str, fences: dict[str, int], lost: tuple[str, ...]
    ) -> None:
        with pytest.raises(NotOwner) as caught:
            await store.append([Append(NOTE, 1, b"a")], [FACTS], fences, node)
        assert caught.value.weddings == lost
        assert (await head(store, NOTE), await store.event_head("w_2")) == (0, 0)

    async def test_of_a_wedding_that_nobody_ever_owned(self, store: Storage) -> None:
        key = DocumentKey("w_new", "notes")
        for fence in (-1, 0, 1):
            with pytest.raises(NotOwner, match="w_new"):
                await store.append([Append(key, 1, b"a"), Append(NOTE, 1, b"a")], (), {"w_1": 1, "w_new": fence}, "n_1")
        assert await store.owner("w_new") is None
        assert await store.claim(["w_new"], "n_1") == [Owner("w_new", "n_1", 1)]

    async def test_an_owner_that_wakes_up_writes_nothing(self, store: Storage, url: str) -> None:
        await store.append([Append(NOTE, 1, b"a")], (), {"w_1": 1}, "n_1")
        await store.heartbeat("n_1", OVER)
        second = await open_storage(url)
        ((_, node, fence),) = await second.claim(["w_1"], "n_2")
        assert (node, fence) == ("n_2", 2)
        with pytest.raises(NotOwner):
            await store.append([Append(NOTE, 2, b"asleep")], (), {"w_1": 1}, "n_1")
        await second.append([Append(NOTE, 2, b"b")], (), {"w_1": 2}, "n_2")
        await store.heartbeat("n_1", LONG)
        with pytest.raises(NotOwner):
            await store.append([Append(NOTE, 3, b"late")], (), {"w_1": 1}, "n_1")
        assert [row.update for row in (await store.load(NOTE)).updates] == [b"a", b"b"]
        await second.close()

    async def test_what_was_given_up_cannot_be_written(self, store: Storage) -> None:
        await store.release("n_1", ["w_1"])
        with pytest.raises(NotOwner):
            await store.append([Append(NOTE, 1, b"a")], (), {"w_1": 1}, "n_1")
        await store.append([Append(OTHER, 1, b"a")], (), {"w_2": 1}, "n_1")

    async def test_a_number_out_of_turn_is_a_conflict_for_the_owner_too(self, store: Storage) -> None:
        with pytest.raises(SequenceConflict):
            await store.append([Append(NOTE, 2, b"a")], (), {"w_1": 1}, "n_1")

    async def test_without_fences_nobody_is_asked(self, store: Storage) -> None:
        await store.append([Append(NOTE, 1, b"a")])
        assert await store.owner("w_1") == Owner("w_1", "n_1", 1)
        await store.append([Append(DocumentKey("w_9", "notes"), 1, b"a")])
        assert await store.owner("w_9") is None
