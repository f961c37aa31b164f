"""What every backend of `storage` does with texts that are searched for."""

import json
import random
from collections.abc import Sequence

import pytest
from sqlalchemy import Connection

from crdt_server.services.search import EXAMINED, EXCERPT, INDEXER, READ_CHARACTERS, SearchService, SearchTooBroadError
from crdt_server.services.search_rebuild import rebuild
from crdt_server.services.search_words import parse_query, places_of, words_of
from storage import Append, DerivedRecords, DocumentKey, ReadTooLong, SearchRecord, Storage, StoredRow
from storage.executors import READERS
from storage.search import _mark

THREAD, OTHER = DocumentKey("w", "thread.t_1"), DocumentKey("w", "thread.t_2")
BEHIND_ALL = 1 << 60


def message(id_: str, body: str, *, by: str = "u_ada", at: str = "2026-06-20T13:30:00Z") -> StoredRow:
    return StoredRow("messages", id_, json.dumps({"from": by, "at": at, "kind": "text", "body": body}), "{}")


async def put(store: Storage, key: DocumentKey, *rows: StoredRow) -> None:
    """Store rows and index them, as the router does."""
    await store.append([], [DerivedRecords(key, rows=rows)])
    await store.refresh_search(key.wedding, INDEXER, [SearchRecord(key.document, *row[:2]) for row in rows])


async def found(
    store: Storage, query: str, documents: Sequence[str] = (THREAD.document,), wedding: str = "w", **page: int
) -> list[str]:
    """The records with a text that fits, in order."""
    where = {"before": BEHIND_ALL, "limit": 50} | page
    hits = await store.search(wedding, parse_query(query), documents, "redactions", **where)
    return [hit.record for hit in hits]


async def test_words_phrases_and_beginnings(store: Storage) -> None:
    await put(
        store,
        THREAD,
        message("m_1", "The string quartet of Zoë Müller plays at the Straße"),
        message("m_2", "A quartet, a STRING of pearls and Nguyễn Đức"),
        message("m_3", "田中 美咲 さん, 会場は東京です"),
    )
    for query, expected in {
        "quartet": ["m_2", "m_1"],
        "string quartet": ["m_2", "m_1"],
        '"string quartet"': ["m_1"],
        "zoe muller": ["m_1"],
        "MÜLLER*": ["m_1"],
        "strasse": ["m_1"],
        "str*": ["m_2", "m_1"],
        '"of pea*"': [],
        "duc nguyen": ["m_2"],
        "東京": ["m_3"],
        "京東": [],
        "quart": [],
        "nothing": [],
    }.items():
        assert await found(store, query) == expected, query


async def test_only_in_the_documents_and_the_wedding_that_are_asked_for(store: Storage) -> None:
    await put(store, THREAD, message("m_1", "the cake"))
    await put(store, OTHER, message("m_2", "the cake"))
    await put(store, DocumentKey("w_2", THREAD.document), message("m_3", "the cake"))
    assert await found(store, "cake") == ["m_1"]
    assert await found(store, "cake", [THREAD.document, OTHER.document]) == ["m_2", "m_1"]
    assert await found(store, "ca*", wedding="w_2") == ["m_3"]
    assert await found(store, "cake", wedding="w_3") == []
    assert await found(store, "cake", []) == []


async def test_pages_have_no_holes(store: Storage) -> None:
    await put(store, THREAD, *(message(f"m_{number:02}", f"cake number {number}") for number in range(20)))
    terms, before, listed = parse_query("cake"), BEHIND_ALL, []
    while hits := await store.search("w", terms, [THREAD.document], "redactions", before=before, limit=7):
        listed += [hit.record for hit in hits]
        before = hits[-1].id
    assert listed == [f"m_{number:02}" for number in reversed(range(20))]


async def test_what_is_changed_removed_or_withdrawn_is_not_found_any_more(store: Storage) -> None:
    note = SearchRecord("guests", "guests", "g_1")
    key = DocumentKey("w", "guests")
    await put(store, key, StoredRow("guests", "g_1", json.dumps({"first": "Ada", "note": "window seat"}), "{}"))
    assert await found(store, "window", ["guests"]) == ["g_1"]
    await put(store, key, StoredRow("guests", "g_1", json.dumps({"first": "Ada", "note": "near the band"}), "{}"))
    assert (await found(store, "window", ["guests"]), await found(store, "band", ["guests"])) == ([], ["g_1"])
    deleted = {"first": "Ada", "note": "near the band", "deleted": {"at": "2026-06-20T13:30:00Z", "by": "u_ada"}}
    await put(store, key, StoredRow("guests", "g_1", json.dumps(deleted), "{}"))
    assert await found(store, "band", ["guests"]) == []
    await store.refresh_search("w", INDEXER, [note])
    assert await store.searched_records("w", SearchRecord("", "", ""), 10) == []


async def test_what_is_withdrawn_disappears_with_the_commit(store: Storage) -> None:
    """The consumer of events has not seen it yet."""
    await put(store, THREAD, message("m_1", "the surprise"), message("m_2", "the surprise"))
    withdrawal = StoredRow("redactions", "m_1", json.dumps({"by": "u_ada", "at": "2026-06-20T13:31:00Z"}), "{}")
    await store.append([], [DerivedRecords(THREAD, rows=[withdrawal, StoredRow("messages", "m_2", None, "{}")])])
    assert await found(store, "surprise") == []
    records = [SearchRecord(THREAD.document, "messages", each) for each in ("m_1", "m_2")]
    await store.refresh_search("w", INDEXER, records)
    assert await store.searched_records("w", SearchRecord("", "", ""), 10) == []


async def test_it_is_the_same_in_an_index_that_was_made_anew(store: Storage) -> None:
    rows = [message(f"m_{n}", body, at=f"2026-06-2{n}T13:30:00Z") for n, body in enumerate(("one cake", "two", "cake"))]
    await put(store, THREAD, *rows)
    await put(store, OTHER, message("m_9", "an old cake", at="2026-01-01T13:30:00Z"))
    both = [THREAD.document, OTHER.document]
    expected = ["m_2", "m_0", "m_9"]
    await store.append([], [DerivedRecords(THREAD, rows=[StoredRow("messages", "m_1", None, "{}")])])
    assert await rebuild(store, "w") == 3
    assert await found(store, "cake", both) == expected
    assert await found(store, "two", both) == []
    assert await rebuild(store, "w") == 3
    assert await found(store, "cake", both) == expected


PIECES = ('"', "*", "'", ":", "-", "^", "(", ")", "NEAR", "AND", "OR", "NOT", "words", "{", "}", "+", "%", "\\", "&")
PIECES += (
    "|",
    "!",
    "<->",
    ":*",
    "<2>",
    "cake",
    "ca",
    "é",
    "田",
    "\u202e",
    "\x01",
    ";",
    "--",
    "/*",
    "$1",
    ":terms",
    "?",
)


async def test_no_query_is_an_error_and_none_finds_what_it_may_not(store: Storage) -> None:
    """Neither FTS5 nor tsquery is reached by anything but words."""
    await put(store, THREAD, message("m_1", "the cake is not here, and NEAR it is café 田 words"))
    await put(store, OTHER, message("m_2", "cake"))
    chance = random.Random(14)
    for _ in range(150):
        query = "".join(chance.choice(PIECES) + chance.choice(("", " ")) for _ in range(chance.randrange(1, 8)))
        terms = parse_query(query)
        if terms:
            hits = await store.search("w", terms, [THREAD.document], "redactions", before=BEHIND_ALL, limit=5)
            text = "the cake is not here, and NEAR it is café 田 words"
            assert [hit.record for hit in hits] == (["m_1"] if places_of(text, terms) else []), query


async def test_both_find_what_the_words_say(store: Storage) -> None:
    """The databases agree with `places_of`, which has no index."""
    chance = random.Random(3)
    vocabulary = (
        "ab",
        "abc",
        "b",
        "été",
        "ete",
        "田中",
        "x1",
        "1x",
        "007",
        "1e5",
        "don't",
        "a_b",
        "Straße",
        "-5",
        "3.14",
    )
    texts = {f"m_{n}": " ".join(chance.choices(vocabulary, k=chance.randrange(1, 7))) for n in range(40)}
    await put(store, THREAD, *(message(*each) for each in texts.items()))
    for _ in range(60):
        words = chance.choices(vocabulary, k=chance.randrange(1, 4))
        query = f'"{" ".join(words)}"' if chance.random() < 0.4 else " ".join(words)
        if chance.random() < 0.3:
            query = query.rstrip('"') + "*"
        terms = parse_query(query)
        expected = {record for record, text in texts.items() if places_of(text, terms)}
        assert set(await found(store, query)) == expected, query


async def test_a_page_is_bounded_in_what_is_read(store: Storage) -> None:
    service = SearchService(store)
    guests = DocumentKey("w", "guests")
    rows = [StoredRow("guests", f"g_{n:02}", json.dumps({"note": "cake " + "x" * 19_995}), "{}") for n in range(30)]
    await store.append([Append(guests, 1, b"a")])
    await put(store, guests, *rows)
    first = await service.find("w", "cake", lambda _: True, BEHIND_ALL)
    assert len(first.found) == READ_CHARACTERS // 20_000
    listed, following = [*first.found], first.next
    while following is not None:
        page = await service.find("w", "cake", lambda _: True, following)
        listed, following = [*listed, *page.found], page.next
    assert [each.record for each in listed] == [f"g_{n:02}" for n in reversed(range(30))]
    assert all(len(each.excerpt) == EXCERPT for each in first.found)


async def test_what_has_changed_since_it_was_indexed_is_not_shown(store: Storage) -> None:
    """The consumer of events has not seen the new text yet."""
    note = DocumentKey("w", "guests")
    await store.append([Append(note, 1, b"a")])
    await put(store, note, StoredRow("guests", "g_1", json.dumps({"note": "the secret"}), "{}"))
    await store.append([], [DerivedRecords(note, rows=[StoredRow("guests", "g_1", json.dumps({"note": "no"}), "{}")])])
    assert await SearchService(store).find("w", "secret", lambda _: True, BEHIND_ALL) == ([], None)


async def test_an_index_that_is_not_that_of_its_texts_is_mended(store: Storage, url: str) -> None:
    """As after a disk has lost writes. PostgreSQL keeps words and texts in one row."""
    await put(store, THREAD, message("m_1", "one cake"), message("m_2", "two cakes"))
    assert not await store.mend_search()
    if url.startswith("sqlite"):
        lost = "DELETE FROM search_texts WHERE record = 'm_1'"
        await store._executor.write(lambda connection: connection.exec_driver_sql(lost))
        assert await store.mend_search()
    assert await rebuild(store, "w") == 2
    assert await found(store, "cake*") == ["m_2", "m_1"]
    assert not await store.mend_search()


@pytest.mark.parametrize(
    "text", ["田" * 20_000, "a b " * 5_000, " ".join(map(str, range(4_000))), "\U0001f382" * 5_000]
)
async def test_the_longest_notes(store: Storage, text: str) -> None:
    await put(store, DocumentKey("w", "guests"), StoredRow("guests", "g_1", json.dumps({"note": text}), "{}"))
    words = words_of(text)
    for word in (*words[:1], *words[-1:]):
        assert await found(store, word, ["guests"]) == ["g_1"]


async def test_words_of_what_was_removed_leave_the_file(store: Storage, url: str) -> None:
    """SQLite keeps them in its index until it is written anew."""
    if not url.startswith("sqlite"):
        assert not await store.needs_purges()
        return

    def index(connection: Connection) -> bytes:
        return b"".join(row[0] for row in connection.exec_driver_sql("SELECT block FROM search_index_data"))

    async def indexed() -> bool:
        return b"neverseenword" in await store._executor.read(index)

    assert await store.needs_purges()
    await store.purge_search()  # this process is new
    await put(store, THREAD, *(message(f"m_{n}", f"w{n} neverseenword{n}") for n in range(30)))
    assert await indexed()
    await put(store, THREAD, *(StoredRow("messages", f"m_{n}", None, "{}") for n in range(30)))
    assert await indexed()
    await store.purge_search()
    assert not await indexed()


def many_words(connection: Connection) -> None:
    """Store 1,000 messages of 400 words, all of which begin alike."""
    numbers = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 1000), "
    numbers += "k(y) AS (SELECT 0 UNION ALL SELECT y + 1 FROM k WHERE y < 399) "
    rows = "INSERT INTO rows SELECT 'w', 'thread.t_1', 'messages', 'm_' || x, '{}', '{}' FROM n"
    texts = "INSERT INTO search_texts (wedding, document, root, record, key, words) "
    texts += "SELECT 'w', 'thread.t_1', 'messages', 'm_' || x, 'body', (SELECT {} FROM k) FROM n"
    word = f"'{_mark('w')}word' || (x * 400 + y)"
    is_sqlite = connection.dialect.name == "sqlite"
    together = f"group_concat({word}, ' ')" if is_sqlite else f"array_to_tsvector(array_agg({word}))"
    connection.exec_driver_sql(numbers + rows)
    connection.exec_driver_sql(numbers + texts.format(together))
    if is_sqlite:
        connection.exec_driver_sql("INSERT INTO search_index (search_index) VALUES ('rebuild')")


async def test_a_query_that_many_words_fit_is_given_up_and_a_narrower_one_answered(store: Storage) -> None:
    await store._executor.maintain(many_words)
    await store.append([Append(THREAD, 1, b"u")])
    service = SearchService(store, 0.01)
    with pytest.raises(SearchTooBroadError) as refused:
        await service.find("w", "word*", lambda _: True, BEHIND_ALL)
    assert refused.value.code == "search_too_broad"
    assert await service.find("w", "word40123", lambda _: True, BEHIND_ALL) == ([], None)
    assert await found(store, "word40123") == ["m_100"]
    assert len(await found(store, "word*")) == 50, "without a bound"


async def test_a_read_ends_after_its_time_and_the_others_have_none(store: Storage) -> None:
    count = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n{}) SELECT count(*) FROM n"
    for _ in range(READERS):
        with pytest.raises(ReadTooLong):
            await store._executor.read(lambda connection: connection.exec_driver_sql(count.format("")).all(), 0.01)
    bounded = count.format(" WHERE x < 200000")
    for _ in range(READERS):
        rows = await store._executor.read(lambda connection: connection.exec_driver_sql(bounded).all())
        assert [tuple(row) for row in rows] == [(200_000,)]


async def test_the_places_in_a_long_text_are_searched_for_as_far_as_the_query_allows(store: Storage) -> None:
    phrase = "a " * 24 + "b"
    far = "c " * (EXAMINED // 26 // 2)
    await put(store, THREAD, message("m_1", f"The board {phrase} {far} zebra"), message("m_2", f"{phrase} zebra"))
    await store.append([Append(THREAD, 1, b"u")])
    page = await SearchService(store).find("w", f'"{phrase}" zebra', lambda _: True, BEHIND_ALL)
    assert [(each.record, each.start, each.highlights) for each in page.found] == [
        ("m_2", 0, [(0, 49), (50, 55)]),
        ("m_1", 0, []),
    ]
