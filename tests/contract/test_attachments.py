"""What every backend of `storage` does with the attachments of conversations."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, event

from storage import (
    ATTACHMENT_BYTES,
    DerivedRecords,
    DocumentKey,
    Storage,
    StoredAttachment,
    StoredEvent,
    StoredRow,
    ValuesRefused,
    project_attachments,
)
from storage.attachments import used_bytes

NOW = datetime(2026, 6, 20, 13, 30, tzinfo=UTC)
THREAD = DocumentKey("w", "thread.t_1")


def attachment(id_: str, *, by: str = "u_ada", size: int = 1000, sha256: str = "a" * 64) -> StoredAttachment:
    return StoredAttachment(id_, THREAD.document, "", "plan.pdf", "application/pdf", size, sha256, by, NOW)


async def happen(store: Storage, type_: str, root: str, message: str, after: object) -> None:
    """A change of the conversation, stored and projected."""
    fields = None if after is None else json.dumps(after)
    await store.append([], [DerivedRecords(THREAD, rows=[StoredRow(root, message, fields, "{}")])])
    body = json.dumps({"type": type_, "document": THREAD.document, "root": root, "record": message, "after": after})
    happened = StoredEvent(1, type_, "2026-06-20T13:30:00Z", THREAD.document, message, body)
    await store._executor.write(lambda connection: project_attachments(connection, "w", [happened]))


async def send(store: Storage, message: str, *ids: str, by: str = "u_ada") -> None:
    files = [{"id": each, "name": "plan.pdf"} for each in ids]
    await happen(store, "message.sent", "messages", message, {"from": by, "body": "", "attachments": files})


async def test_an_attachment_is_found_in_its_conversation_only(store: Storage) -> None:
    await store.add_attachment("w", attachment("at_1"), 0)
    assert await store.attachment("w", THREAD.document, "at_1") == attachment("at_1")
    assert await store.attachment("w", "thread.t_2", "at_1") is None
    assert await store.attachment("w_2", THREAD.document, "at_1") is None
    await store.remove_attachment("w", "at_1")
    assert await store.attachment("w", THREAD.document, "at_1") is None


async def test_equal_files_count_once_and_the_bound_holds(store: Storage) -> None:
    most = 1_000 + 2 * ATTACHMENT_BYTES
    await store.add_attachment("w", attachment("at_1"), most)
    await store.add_attachment("w", attachment("at_2"), most)
    assert await store.attachment_bytes("w") == most
    with pytest.raises(ValuesRefused, match="more than"):
        await store.add_attachment("w", attachment("at_3", sha256="b" * 64, size=1), most)
    assert await store.attachment_bytes("w") == most
    await store.add_attachment("w_2", attachment("at_3"), most)
    assert await store.unused_files("w", ["a" * 64, "b" * 64]) == {"b" * 64}
    assert await store.unused_files("w_3", []) == set()


async def test_the_files_of_a_wedding_are_summed_in_an_index(store: Storage) -> None:
    """Each upload sums them, and others that write wait meanwhile: it read every attachment with its names."""
    await store.add_attachment("w", attachment("at_1"), 0)

    def plans(connection: Connection) -> list[str]:
        if connection.dialect.name != "sqlite":
            return []
        statements: list[tuple[str, Any]] = []

        def see(connection: object, cursor: object, statement: str, parameters: Any, *rest: object) -> None:
            statements.append((statement, parameters))

        event.listen(connection, "before_cursor_execute", see)
        used_bytes(connection, "w")
        event.remove(connection, "before_cursor_execute", see)
        explained = [connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {each}", values) for each, values in statements]
        return [row[3] for rows in explained for row in rows if "attachments" in row[3]]

    for step in await store._executor.read(plans):
        assert "COVERING INDEX" in step


async def test_orphans_go_when_they_are_old_enough(store: Storage) -> None:
    for id_ in ("at_1", "at_2"):
        await store.add_attachment("w", attachment(id_), 0)
    await send(store, "m_1", "at_1")
    assert await store.remove_orphans(NOW) == 0
    assert await store.remove_orphans(NOW + timedelta(seconds=1)) == 1
    found = await store.attachment("w", THREAD.document, "at_1")
    assert found is not None
    assert found.message == "m_1"
    assert await store.attachment("w", THREAD.document, "at_2") is None


async def test_a_message_names_what_its_author_has_sent(store: Storage) -> None:
    await store.add_attachment("w", attachment("at_1"), 0)
    await send(store, "m_1", "at_1", by="u_mallory")
    await send(store, "m_2", "at_1", "at_unknown")
    await send(store, "m_3", "at_1")
    found = await store.attachment("w", THREAD.document, "at_1")
    assert found is not None
    assert found.message == "m_2"


async def test_that_of_a_withdrawn_message_is_not_found_from_its_commit_on(store: Storage) -> None:
    for number in (1, 2):
        await store.add_attachment("w", attachment(f"at_{number}"), 0)
        await send(store, f"m_{number}", f"at_{number}")
    withdrawal = StoredRow("redactions", "m_1", json.dumps({"by": "u_ada"}), "{}")
    await store.append([], [DerivedRecords(THREAD, rows=[withdrawal, StoredRow("messages", "m_2", None, "{}")])])
    for number in (1, 2):
        assert await store.attachment("w", THREAD.document, f"at_{number}") is None
    assert await store.attachment_bytes("w") > 0
    await happen(store, "message.redacted", "redactions", "m_1", {"by": "u_ada"})
    await happen(store, "message.removed", "messages", "m_2", None)
    assert await store.attachment_bytes("w") == 0


async def test_that_of_a_message_that_was_withdrawn_before_it_came_is_not_kept(store: Storage) -> None:
    await store.add_attachment("w", attachment("at_1"), 0)
    await happen(store, "message.redacted", "redactions", "m_1", {"by": "u_ada"})
    await send(store, "m_1", "at_1")
    assert await store.attachment_bytes("w") == 0
