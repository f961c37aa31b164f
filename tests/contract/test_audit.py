"""What every backend of `storage` does with the audit log."""

import pytest

from storage import Append, DerivedRecords, DocumentKey, NewAuditEntry, SequenceConflict, Storage, ValuesRefused
from storage.audit import NO_ENTRIES
from tests.contract.backends import Database

NOTE = DocumentKey("w_1", "notes")


def entries(*actions: str) -> list[NewAuditEntry]:
    return [NewAuditEntry("2026-06-20T13:30:00Z", "u_chloé", action, '{"say": "Chloé 🥂"}') for action in actions]


async def fault(store: Storage, wedding: str = "w_1") -> tuple[int, str] | None:
    return (await store.check_audit(wedding))[1]


async def test_entries_of_appends_and_others_are_one_chain(store: Storage) -> None:
    assert await store.check_audit("w_1") == (NO_ENTRIES, None)
    await store.add_audit("w_1", entries("a"))
    derived = [
        DerivedRecords(NOTE, audit=entries("b", "c")),
        DerivedRecords(DocumentKey("w_2", "n"), audit=entries("x")),
    ]
    await store.append([Append(NOTE, 1, b"u")], [*derived, DerivedRecords(NOTE, audit=entries("d"))])
    await store.add_audit("w_1", entries("e", "f"))
    found = await store.audit("w_1")
    assert [(each.seq, each.action) for each in found] == list(enumerate("abcdef", 1))
    assert [each.previous for each in found] == ["", *(each.digest for each in found[:-1])]
    assert await store.audit_head("w_1") == (6, found[-1].digest)
    assert await fault(store) is None
    assert [wedding async for wedding in store.audited_weddings()] == ["w_1", "w_2"]
    assert await store.rights_versions(["w_1"]) == {"w_1": 0}


async def test_pages_end_by_their_characters(store: Storage) -> None:
    await store.add_audit("w_1", entries("a", "b", "c"))
    assert [each.seq for each in await store.audit("w_1", characters=20)] == [1, 2]
    assert [each.seq for each in await store.audit("w_1", after=2)] == [3]


async def test_entries_of_a_refused_append_are_not_there(store: Storage) -> None:
    with pytest.raises(SequenceConflict):
        await store.append([Append(NOTE, 5, b"u")], [DerivedRecords(NOTE, audit=entries("a"))])
    assert await store.audit("w_1") == []


@pytest.mark.parametrize("action", ["a\nb", "a" * 256])
async def test_values_that_a_digest_or_the_table_cannot_take(store: Storage, action: str) -> None:
    with pytest.raises(ValuesRefused):
        await store.add_audit("w_1", entries(action))
    with pytest.raises(ValuesRefused):
        await store.append([], [DerivedRecords(NOTE, audit=entries(action))])


FORGERIES = [
    ("UPDATE audit SET action = 'z' WHERE seq = 2", (2, "was altered")),
    ("UPDATE audit SET wedding = 'w_9' WHERE seq = 2", (2, "was removed")),
    ("DELETE FROM audit WHERE seq = 2", (2, "was removed")),
    ("DELETE FROM audit WHERE seq = 1", (1, "was removed")),
    ("DELETE FROM audit WHERE seq = 4", (4, "was removed")),
    ("DELETE FROM audit", (1, "was removed")),
    (
        "INSERT INTO audit SELECT wedding, 5, at, actor, action, detail, digest, digest FROM audit WHERE seq = 4",
        (5, "was inserted: the log ends before it"),
    ),
    (
        "DELETE FROM audit WHERE seq = 2;"
        "UPDATE audit SET seq = 2 WHERE seq = 3; UPDATE audit SET seq = 3 WHERE seq = 4",
        (2, "was removed, and those behind it have other numbers"),
    ),
    (
        "UPDATE audit SET seq = 5 WHERE seq = 4; UPDATE audit SET seq = 4 WHERE seq = 3;"
        "INSERT INTO audit SELECT wedding, 3, at, actor, action, detail, digest, digest FROM audit WHERE seq = 2",
        (3, "was altered"),
    ),
]


@pytest.mark.parametrize(("statements", "expected"), FORGERIES)
async def test_a_forgery_is_named(
    store: Storage, database: Database, statements: str, expected: tuple[int, str]
) -> None:
    await store.add_audit("w_1", entries("a", "b", "c", "d"))
    for statement in statements.split(";"):
        database.execute(statement)
    assert await fault(store) == expected


async def test_an_entry_with_a_new_digest_does_not_fit_the_next(store: Storage, database: Database) -> None:
    await store.add_audit("w_9", entries("z"))
    await store.add_audit("w_1", entries("a"))
    forged = (await store.audit("w_1"))[0]
    database.execute("DELETE FROM audit WHERE wedding = 'w_1'")
    database.execute("DELETE FROM rights WHERE wedding = 'w_1'")
    await store.add_audit("w_1", entries("b", "c"))
    database.execute(
        f"UPDATE audit SET action = 'a', digest = '{forged.digest}' WHERE wedding = 'w_1' AND seq = 1"  # noqa: S608
    )
    assert await fault(store) == (1, "was altered: the entry behind it holds another digest")


async def test_a_last_entry_with_a_new_digest_does_not_fit_the_head(store: Storage, database: Database) -> None:
    await store.add_audit("w_1", entries("a"))
    forged = (await store.audit("w_1"))[0]
    database.execute("DELETE FROM audit WHERE wedding = 'w_1'")
    database.execute("DELETE FROM rights WHERE wedding = 'w_1'")
    await store.add_audit("w_1", entries("b"))
    database.execute(f"UPDATE audit SET action = 'a', digest = '{forged.digest}'")  # noqa: S608
    assert await fault(store) == (1, "was altered: the log ends with another digest")
