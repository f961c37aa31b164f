"""What every backend of `storage` does with rows, events, client ids and answers."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone

import pytest

from storage import (
    AnswerTaken,
    Append,
    ClientUser,
    DerivedRecords,
    DocumentKey,
    NewEvent,
    SequenceConflict,
    Storage,
    StoredAnswer,
    StoredEvent,
    StoredRow,
    ValuesRefused,
    open_storage,
)
from storage.derived_queries import EVENT_PAGE_CHARACTERS, ROWS_IN_PAGE
from tests.support.stored_rows import wedding_rows

GUESTS = DocumentKey("w_42", "guests")
BUDGET = DocumentKey("w_42", "budget")
ELSEWHERE = DocumentKey("w_7", "guests")
AT = "2026-06-20T13:30:00.250Z"
MOMENT = datetime(2026, 6, 20, 13, 30, tzinfo=UTC)
CHLOE = StoredRow("guests", "g_chloe", '{"first":"Chloé","meal":"🍰"}', '{"first":"u_1"}')
DANIEL = StoredRow("guests", "g_daniel", '{"first":"Daniel"}', "{}")


def event(number: int = 0) -> NewEvent:
    return NewEvent("guest.changed", AT, "g_chloe", f'{{"Gästezahl":{number}}}')


def answer(key: str = "key", digest: str = "digest", at: datetime = MOMENT) -> StoredAnswer:
    return StoredAnswer(key, digest, '{"geändert":true}', at)


async def put(store: Storage, *derived: DerivedRecords) -> dict[str, int]:
    return await store.append([], derived)


async def is_empty(store: Storage) -> bool:
    found = [await store.load(key) for key in (GUESTS, ELSEWHERE)]
    assert not any(document.updates for document in found)
    for wedding in ("w_42", "w_7"):
        assert await wedding_rows(store, wedding) == []
        assert await store.events(wedding) == []
        assert await store.answer(wedding, "key") is None
    return await store.owners(GUESTS) == {}


class TestRows:
    async def test_are_read_in_order_of_root_and_record(self, store: Storage) -> None:
        household = StoredRow("households", "a_1", "{}", "{}")
        await store.append([Append(GUESTS, 1, b"x")], [DerivedRecords(GUESTS, [household, DANIEL, CHLOE])])
        assert await store.document_rows(GUESTS) == [CHLOE, DANIEL, household]
        assert await store.document_rows(BUDGET) == []

    async def test_are_there_after_reopening(self, store: Storage, url: str) -> None:
        await put(store, DerivedRecords(GUESTS, [CHLOE]))
        await store.close()
        reopened = await open_storage(url)
        assert await reopened.document_rows(GUESTS) == [CHLOE]
        await reopened.close()

    async def test_of_a_wedding_come_with_their_documents(self, store: Storage) -> None:
        meta = StoredRow("meta", "", '{"limit":1}', "{}")
        await put(
            store,
            DerivedRecords(GUESTS, [DANIEL, CHLOE]),
            DerivedRecords(ELSEWHERE, [DANIEL]),
            DerivedRecords(BUDGET, [meta]),
        )
        assert await wedding_rows(store, "w_42") == [("budget", meta), ("guests", CHLOE), ("guests", DANIEL)]
        assert await wedding_rows(store, "w_7") == [("guests", DANIEL)]
        assert await wedding_rows(store, "nobody") == []

    async def test_of_a_wedding_come_in_pages(self, store: Storage) -> None:
        """100 MB in one answer stalled everybody else for 0.7 s."""
        many = [StoredRow("guests", f"g_{number}", f'{{"n":"{"ü" * 90}"}}', '{"":"u"}') for number in range(5)]
        gone = StoredRow("review", "c_9", None, "{}")
        stored = {GUESTS: [*many, gone], BUDGET: [*many[:2], StoredRow("meta", "", '{"limit":1}', "{}")]}
        await put(store, *(DerivedRecords(key, list(rows)) for key, rows in stored.items()))
        await put(store, DerivedRecords(ELSEWHERE, many))
        all_ = [(key.document, row) for key in (BUDGET, GUESTS) for row in stored[key]]
        for characters in (1, 105, 250, 10_000):
            pages = [page async for page in store.pages_of_wedding("w_42", characters=characters)]
            assert [row for page in pages for row in page] == all_
            for page in pages:
                assert sum(len(row.fields or "") + len(row.writers) for _, row in page[:-1]) < characters
        assert len(pages) == 1

    async def test_of_a_wedding_that_are_many_come_in_pages(self, store: Storage) -> None:
        many = [StoredRow("guests", f"g_{number:04}", "{}", "{}") for number in range(ROWS_IN_PAGE + 1)]
        await put(store, DerivedRecords(GUESTS, many))
        pages = [page async for page in store.pages_of_wedding("w_42")]
        assert [len(page) for page in pages] == [ROWS_IN_PAGE, 1]
        assert await wedding_rows(store, "w_42") == [("guests", row) for row in many]

    async def test_of_one_root_come_in_pages(self, store: Storage) -> None:
        reviews = [StoredRow("review", f"c_{number}", f'{{"n":"{"ü" * 90}"}}', "{}") for number in range(4)]
        gone = StoredRow("review", "c_9", None, "{}")
        await store.append(
            [Append(key, 1, b"x") for key in (GUESTS, BUDGET, ELSEWHERE)],
            [
                DerivedRecords(GUESTS, [CHLOE, DANIEL, *reviews[:2], gone]),
                DerivedRecords(BUDGET, [*reviews[1:], CHLOE]),
                DerivedRecords(ELSEWHERE, reviews),
            ],
        )
        all_ = [*(("budget", each) for each in reviews[1:]), *(("guests", each) for each in reviews[:2])]
        assert await store.page_of_root("w_42", "review") == (all_, None)
        assert await store.page_of_root("w_42", "review", after=("budget", "c_2")) == (all_[2:], None)
        assert await store.page_of_root("w_42", "review", after=("guests", "c_1")) == ([], None)
        first, second = ("budget", "review", "c_1"), ("budget", "review", "c_3")
        assert await store.page_of_root("w_42", "review", characters=1) == (all_[:1], first)
        page = await store.page_of_root("w_42", "review", after=("budget", "c_1"), characters=150)
        assert page == (all_[1:3], second)
        assert await store.records_of_root("w_42", "review", "c_1") == [all_[0], all_[4]]
        assert await store.records_of_root("w_42", "review", "c_9") == []

    async def test_the_newest_image_replaces_the_older(self, store: Storage) -> None:
        await put(store, DerivedRecords(GUESTS, [CHLOE, DANIEL]))
        newer = CHLOE._replace(fields='{"first":"Zoé"}', writers='{"first":"u_2"}')
        await put(store, DerivedRecords(GUESTS, [newer]))
        assert await store.document_rows(GUESTS) == [newer, DANIEL]

    async def test_the_last_image_in_a_call_wins(self, store: Storage) -> None:
        images = [CHLOE._replace(fields=f'{{"n":{number}}}') for number in range(300)]
        await put(store, DerivedRecords(GUESTS, images), DerivedRecords(GUESTS, images[:7]))
        assert await store.document_rows(GUESTS) == [images[6]]

    async def test_one_that_is_no_more_keeps_its_writers(self, store: Storage) -> None:
        await put(store, DerivedRecords(GUESTS, [CHLOE]))
        gone = CHLOE._replace(fields=None, writers='{"":"u_3"}')
        await put(store, DerivedRecords(GUESTS, [gone]))
        assert await store.document_rows(GUESTS) == [gone]
        assert await wedding_rows(store, "w_42") == [("guests", gone)]
        await put(store, DerivedRecords(GUESTS, [CHLOE]))
        assert await store.document_rows(GUESTS) == [CHLOE]

    async def test_more_than_one_statement_takes(self, store: Storage) -> None:
        many = [StoredRow("guests", f"g_{number:04}", f"{number}", "{}") for number in range(421)]
        await put(store, DerivedRecords(GUESTS, many[::-1]))
        assert await store.document_rows(GUESTS) == many


class TestEvents:
    async def test_are_numbered_over_calls_and_weddings(self, store: Storage) -> None:
        assert await put(
            store, DerivedRecords(GUESTS, events=[event(1), event(2)]), DerivedRecords(BUDGET, events=[event(3)])
        ) == {"w_42": 1}
        first = await store.append(
            [Append(GUESTS, 1, b"x")],
            [
                DerivedRecords(ELSEWHERE, events=[event(4)]),
                DerivedRecords(GUESTS, [CHLOE]),
                DerivedRecords(BUDGET, events=[event(5), event(6)]),
            ],
        )
        assert first == {"w_7": 1, "w_42": 4}
        found = await store.events("w_42")
        assert [(one.seq, one.document, one.body) for one in found] == [
            (1, "guests", event(1).body),
            (2, "guests", event(2).body),
            (3, "budget", event(3).body),
            (4, "budget", event(5).body),
            (5, "budget", event(6).body),
        ]
        assert await store.events("w_7") == [StoredEvent(1, "guest.changed", AT, "guests", "g_chloe", event(4).body)]

    async def test_of_weddings_by_turns_keep_the_order_of_the_records(self, store: Storage) -> None:
        derived = [
            DerivedRecords(key, events=[event(number)]) for number in range(200) for key in (GUESTS, ELSEWHERE, BUDGET)
        ]
        assert await put(store, *derived) == {"w_42": 1, "w_7": 1}
        found = await store.events("w_42")
        assert [one.seq for one in found] == list(range(1, 401))
        assert [one.body for one in found[::2]] == [event(number).body for number in range(200)]
        assert {one.document for one in found[1::2]} == {"budget"}
        assert await store.event_head("w_7") == 200

    async def test_without_events_no_number(self, store: Storage) -> None:
        assert await store.append([]) == {}
        assert await store.append([Append(GUESTS, 1, b"x")]) == {}
        assert await put(store, DerivedRecords(GUESTS, [CHLOE], owners=[ClientUser(1, "u_1")])) == {}
        assert await store.event_head("w_42") == 0

    async def test_page_by_page(self, store: Storage) -> None:
        await put(store, DerivedRecords(GUESTS, events=[event(number) for number in range(1, 8)]))
        assert [one.seq for one in await store.events("w_42", after=2, limit=3)] == [3, 4, 5]
        assert [one.seq for one in await store.events("w_42", after=5)] == [6, 7]
        assert await store.events("w_42", after=7) == []
        assert await store.event_head("w_42") == 7

    async def test_a_page_is_bounded_in_characters_too(self, store: Storage) -> None:
        large = NewEvent("doc.text_edited", AT, "g_chloe", '"%s"' % ("ä" * (EVENT_PAGE_CHARACTERS // 2)))
        for _ in range(2):  # more than a message to PostgreSQL takes at once, together
            await put(store, DerivedRecords(GUESTS, events=[large, large]))
        assert [one.seq for one in await store.events("w_42")] == [1, 2]
        assert [one.seq for one in await store.events("w_42", after=2)] == [3, 4]
        assert [one.seq for one in await store.events("w_42", after=2, limit=1)] == [3]
        huge = large._replace(body='"%s"' % ("x" * EVENT_PAGE_CHARACTERS))
        await put(store, DerivedRecords(GUESTS, events=[huge, event()]))
        assert [one.seq for one in await store.events("w_42", after=4)] == [5]
        assert [one.seq for one in await store.events("w_42", after=5)] == [6]

    async def test_of_appends_at_once_have_no_holes(self, store: Storage, url: str) -> None:
        second = await open_storage(url)
        stores = (store, second)
        firsts = await asyncio.gather(
            *(put(stores[number % 2], DerivedRecords(GUESTS, events=[event(number)] * 2)) for number in range(30))
        )
        assert sorted(first["w_42"] for first in firsts) == list(range(1, 60, 2))
        bodies = {one.seq: one.body for one in await store.events("w_42")}
        assert list(bodies) == list(range(1, 61))
        for number, first in enumerate(firsts):
            assert bodies[first["w_42"]] == bodies[first["w_42"] + 1] == event(number).body
        await second.close()


class TestOwners:
    async def test_a_client_id_keeps_its_first_user(self, store: Storage) -> None:
        await put(
            store,
            DerivedRecords(GUESTS, owners=[ClientUser(7, "u_1"), ClientUser(2**53 - 1, "Chloé"), ClientUser(7, "u_2")]),
        )
        await put(
            store,
            DerivedRecords(GUESTS, owners=[ClientUser(7, "u_3"), ClientUser(0, "u_3")]),
            DerivedRecords(BUDGET, owners=[ClientUser(7, "u_4")]),
        )
        assert await store.owners(GUESTS) == {7: "u_1", 2**53 - 1: "Chloé", 0: "u_3"}
        assert await store.owners(BUDGET) == {7: "u_4"}
        assert await store.owners(ELSEWHERE) == {}


class TestAnswers:
    async def test_are_kept_per_wedding(self, store: Storage) -> None:
        local = MOMENT.replace(microsecond=250).astimezone(timezone(timedelta(hours=2)))
        await put(
            store,
            DerivedRecords(GUESTS, answers=[answer(at=local)]),
            DerivedRecords(ELSEWHERE, answers=[answer(digest="other")]),
        )
        found = await store.answer("w_42", "key")
        assert found == answer(at=local)
        assert found.at.tzinfo is UTC
        assert await store.answer("w_7", "key") == answer(digest="other")
        assert await store.answer("w_42", "Key") is None

    async def test_a_key_that_is_taken_stores_nothing(self, store: Storage) -> None:
        await put(store, DerivedRecords(ELSEWHERE, answers=[answer("first")]))
        derived = DerivedRecords(GUESTS, [CHLOE], [event()], [ClientUser(7, "u_1")], [answer("key")])
        with pytest.raises(AnswerTaken) as caught:
            await store.append(
                [Append(GUESTS, 1, b"x")],
                [derived, DerivedRecords(ELSEWHERE, answers=[answer("new"), answer("first", "again")])],
            )
        assert (caught.value.weddings, caught.value.key) == (("w_7",), "first")
        assert await is_empty(store)
        assert await store.answer("w_7", "first") == answer("first")
        assert await store.append([Append(GUESTS, 1, b"x")], [derived]) == {"w_42": 1}

    async def test_one_key_twice_in_a_call(self, store: Storage) -> None:
        with pytest.raises(AnswerTaken):
            await put(store, DerivedRecords(GUESTS, answers=[answer()]), DerivedRecords(BUDGET, answers=[answer()]))
        assert await is_empty(store)

    async def test_old_ones_are_forgotten(self, store: Storage) -> None:
        ages = [MOMENT + timedelta(microseconds=number) for number in range(3)]
        await put(
            store, DerivedRecords(GUESTS, answers=[answer(f"k{number}", at=at) for number, at in enumerate(ages)])
        )
        assert await store.forget_answers(ages[2].astimezone(timezone(timedelta(hours=-7)))) == 2
        assert await store.forget_answers(ages[2]) == 0
        assert [await store.answer("w_42", f"k{number}") is None for number in range(3)] == [True, True, False]
        await put(store, DerivedRecords(GUESTS, answers=[answer("k0")]))


class TestTogether:
    async def test_a_conflict_stores_no_facts(self, store: Storage) -> None:
        derived = DerivedRecords(GUESTS, [CHLOE], [event()], [ClientUser(7, "u_1")], [answer()])
        with pytest.raises(SequenceConflict):
            await store.append([Append(GUESTS, 1, b"x"), Append(ELSEWHERE, 2, b"gap")], [derived])
        assert await is_empty(store)
        assert await store.append([Append(GUESTS, 1, b"x")], [derived]) == {"w_42": 1}

    @pytest.mark.parametrize(
        "bad",
        [
            DerivedRecords(DocumentKey("", "guests")),
            DerivedRecords(DocumentKey("w", "n" * 256)),
            DerivedRecords(GUESTS, [CHLOE._replace(root="r" * 256)]),
            DerivedRecords(GUESTS, [CHLOE._replace(record="r" * 256)]),
            DerivedRecords(GUESTS, events=[event()._replace(type="t" * 256)]),
            DerivedRecords(GUESTS, events=[event()._replace(record="r" * 256)]),
            DerivedRecords(GUESTS, events=[event()._replace(at="2" * 41)]),
            DerivedRecords(GUESTS, owners=[ClientUser(1, "u" * 256)]),
            DerivedRecords(GUESTS, owners=[ClientUser(2**63, "u")]),
            DerivedRecords(GUESTS, answers=[answer("k" * 256)]),
            DerivedRecords(GUESTS, answers=[answer(digest="d" * 256)]),
            DerivedRecords(GUESTS, [CHLOE._replace(fields='"\ud800"')]),
        ],
    )
    async def test_what_cannot_be_stored_is_refused_whole(self, store: Storage, bad: DerivedRecords) -> None:
        with pytest.raises(ValuesRefused):
            await store.append([Append(GUESTS, 1, b"x")], [DerivedRecords(ELSEWHERE, [DANIEL], [event()]), bad])
        assert await is_empty(store)

    async def test_names_as_long_as_they_may_be(self, store: Storage) -> None:
        key, name = DocumentKey("w" * 255, "💍" * 255), "é" * 255
        row, one = StoredRow(name, name, "{}", "{}"), NewEvent(name, "2" * 40, name, "{}")
        await put(store, DerivedRecords(key, [row], [one], [ClientUser(1, name)], [answer(name, name)]))
        assert await wedding_rows(store, key.wedding) == [(key.document, row)]
        assert await store.events(key.wedding) == [StoredEvent(1, name, "2" * 40, key.document, name, "{}")]
        assert await store.owners(key) == {1: name}
        assert await store.answer(key.wedding, name) == answer(name, name)
