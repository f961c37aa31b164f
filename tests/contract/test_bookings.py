"""What every backend of `storage` does with bookings: which vendors are busy when, over all weddings."""

from __future__ import annotations

import pytest

from storage import (
    Append,
    DerivedRecords,
    DocumentKey,
    SequenceConflict,
    Storage,
    StoredBooking,
    ValuesRefused,
    VendorBooking,
    open_storage,
)

LENS = VendorBooking("v_lens", "o_lens", 100, 200, "booked", 1)
CAKE = VendorBooking("v_cake", "o_kärry", -50, 50, "bestätigt", 0)


def of(wedding: str) -> DocumentKey:
    return DocumentKey(wedding, "wedding")


async def put(store: Storage, wedding: str, *images: VendorBooking) -> None:
    await store.append([], [DerivedRecords(of(wedding), bookings=images)])


def gone(image: VendorBooking) -> VendorBooking:
    return image._replace(stage=None)


class TestBookings:
    async def test_are_there_after_reopening_in_order_of_vendors(self, store: Storage, url: str) -> None:
        await store.append([Append(of("w"), 1, b"x")], [DerivedRecords(of("w"), bookings=[LENS, CAKE])])
        assert await store.bookings("w") == [CAKE, LENS]
        assert await store.bookings("elsewhere") == []
        await store.close()
        reopened = await open_storage(url)
        assert await reopened.bookings("w") == [CAKE, LENS]
        await reopened.close()

    async def test_the_newest_image_counts(self, store: Storage) -> None:
        await put(store, "w", LENS, CAKE)
        moved = LENS._replace(organization="o_other", start=7, until=9, seq=2**60)
        await put(store, "w", gone(LENS), moved)
        assert await store.bookings("w") == [CAKE, moved]
        await store.append(
            [], [DerivedRecords(of("w"), bookings=[gone(CAKE)]), DerivedRecords(of("w"), bookings=[LENS, gone(LENS)])]
        )
        assert await store.bookings("w") == []
        await put(store, "w", gone(LENS))
        assert await store.bookings("w") == []

    async def test_one_goes_alone(self, store: Storage) -> None:
        await put(store, "w", LENS, CAKE)
        await put(store, "v", LENS)
        await put(store, "w", gone(LENS))
        assert await store.bookings("w") == [CAKE]
        assert await store.bookings("v") == [LENS]

    async def test_a_conflict_stores_none(self, store: Storage) -> None:
        with pytest.raises(SequenceConflict):
            await store.append([Append(of("w"), 2, b"gap")], [DerivedRecords(of("w"), bookings=[LENS])])
        assert await store.bookings("w") == []

    @pytest.mark.parametrize(
        "bad",
        [
            LENS._replace(vendor="v" * 256),
            LENS._replace(organization="o" * 256),
            LENS._replace(start=2**63),
            LENS._replace(until=-(2**63) - 1),
            LENS._replace(stage="s" * 256),
            LENS._replace(seq=2**63),
            LENS._replace(stage="\ud800"),
        ],
    )
    async def test_what_cannot_be_stored_is_refused_whole(self, store: Storage, bad: VendorBooking) -> None:
        with pytest.raises(ValuesRefused):
            await put(store, "w", CAKE, bad)
        assert await store.bookings("w") == []

    async def test_more_than_one_statement_takes(self, store: Storage) -> None:
        many = [VendorBooking(f"v_{n:03}", "o", n, n + 2, "booked", n) for n in range(421)]
        await put(store, "w", *many[::-1])
        assert await store.bookings("w") == many
        await put(store, "w", *map(gone, many[:300]))
        assert await store.bookings("w") == many[300:]
        assert await store.booked("o", [(n, n + 1) for n in range(300)]) == []


class TestOverlapping:
    async def test_bookings_of_others_with_the_same_organization(self, store: Storage) -> None:
        await put(store, "w", LENS, CAKE)
        await put(store, "same", LENS, CAKE._replace(organization="o_cake"))
        await put(store, "around", LENS._replace(vendor="v_1", start=0, until=1000))
        await put(store, "apart", LENS._replace(start=500, until=600))
        await put(store, "unrelated", LENS._replace(organization="o_another"))
        assert await store.overlapping("w") == [
            StoredBooking("o_lens", "around", "v_1", 0, 1000, "booked", 1),
            StoredBooking("o_lens", "same", "v_lens", 100, 200, "booked", 1),
        ]
        assert [each.wedding for each in await store.overlapping("same")] == ["around", "w"]
        assert [each.wedding for each in await store.overlapping("apart")] == ["around"]
        assert await store.overlapping("unrelated") == []

    @pytest.mark.parametrize(("start", "until", "meets"), [(200, 300, False), (199, 300, True), (0, 100, False)])
    async def test_meeting_is_not_overlapping(self, store: Storage, start: int, until: int, meets: bool) -> None:
        await put(store, "w", LENS)
        await put(store, "v", LENS._replace(start=start, until=until))
        assert bool(await store.overlapping("w")) == bool(await store.overlapping("v")) == meets
        assert await store.booked("o_lens", [(start, until)]) == (["v", "w"] if meets else ["v"])

    async def test_one_that_overlaps_several_comes_once(self, store: Storage) -> None:
        await put(store, "w", LENS, LENS._replace(vendor="v_second"))
        await put(store, "v", LENS)
        assert len(await store.overlapping("w")) == 1
        assert len(await store.overlapping("v")) == 2

    async def test_there_is_a_most(self, store: Storage) -> None:
        await put(store, "w", LENS)
        await put(store, "busy", *(LENS._replace(vendor=f"v_{n:04}") for n in range(1_001)))
        assert [each.vendor for each in await store.overlapping("w")] == [f"v_{n:04}" for n in range(1_000)]


async def test_booked_asks_for_any_of_the_spans(store: Storage) -> None:
    for n in range(5):
        await put(store, f"w_{n}", LENS._replace(start=100 * n, until=100 * n + 50))
    assert await store.booked("o_lens", [(420, 430), (0, 10), (150, 200), (5, 6)]) == ["w_0", "w_4"]
    assert await store.booked("o_lens", []) == []
    assert await store.booked("o_other", [(0, 1000)]) == []
