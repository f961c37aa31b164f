"""The mirror of messages, what was read, and threads in pages: on every backend."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection
from sqlalchemy import event as sqlalchemy_event

from storage import (
    DerivedRecords,
    DocumentKey,
    NewAuditEntry,
    NewEvent,
    Storage,
    StoredRow,
    StoredThread,
    ThreadChange,
    ThreadFilter,
    ValuesRefused,
    conversations,
    messages,
)
from tests.support.mirrored import Mirror

AT = "2026-06-20T13:30:00.000Z"
NOW = datetime(2026, 6, 20, 13, 30, tzinfo=UTC)
ENTRY = NewAuditEntry(AT, "u", "thread", "{}")
KEY = DocumentKey("w", "thread.t")
TEXT = "the ring is under the oak"


async def make(
    storage: Storage, id_: str, *users: str, at: datetime = NOW, type_: str = "general", removed: tuple[str, ...] = ()
) -> StoredThread:
    thread = StoredThread(id_, "Flowers", type_, "open", 3, "", "u", at, at)
    event = NewEvent("thread.created", AT, id_, "{}")
    change = ThreadChange(thread, at, ENTRY, event, users, removed)
    stored, _ = await storage.change_thread("w", id_, "u", users, lambda _: change)
    return stored


def event(type_: str, message: str, after: object, before: object = None) -> NewEvent:
    body = {"type": type_, "document": KEY.document, "record": message, "before": before, "after": after}
    return NewEvent(type_, AT, message, json.dumps(body))


def sent(message: str, author: str, sequence: int, body: str = TEXT) -> list[NewEvent]:
    value = {"from": author, "at": AT, "kind": "text", "body": body}
    stamp = {"sequence": sequence, "at": "2026-06-20T14:00:00.000Z"}
    return [event("message.sent", message, value), event("message.stamped", message, stamp)]


async def put(storage: Storage, *events: NewEvent, rows: dict[tuple[str, str], object] | None = None) -> None:
    stored = [StoredRow(root, record, json.dumps(value), "{}") for (root, record), value in (rows or {}).items()]
    await storage.append([], [DerivedRecords(KEY, stored, list(events))])


async def test_a_thread_that_stays_as_it_is_is_not_written(store: Storage) -> None:
    """Each such request was an event, an entry of the audit log, and a look at every open room."""
    thread = await make(store, "t", "bo")
    same = ThreadChange(thread, NOW, ENTRY, NewEvent("thread.changed", AT, "t", "{}"))
    assert await store.change_thread("w", "t", "u", (), lambda _: same) == (thread, 0)
    assert [each.type for each in await store.events("w")] == ["thread.created"]
    assert len(await store.audit("w")) == 1
    other = same._replace(thread=thread._replace(title="Roses"))
    assert await store.change_thread("w", "t", "u", (), lambda _: other) == (other.thread, 2)


async def test_messages_are_mirrored_with_their_numbers(store: Storage) -> None:
    await make(store, "t", "ann", "bo")
    mirror = Mirror(store)
    content = {"from": "ann", "at": AT, "kind": "text", "body": "Hello"}
    await put(store, *sent("m1", "ann", 1), *sent("m2", "bo", 2), *sent("m3", "ann", 3), rows={
        ("messages", message): content for message in ("m1", "m2", "m3")
    })  # fmt: skip
    await mirror.follow()
    newest = await store.thread_messages("w", "t", after=None, before=None, limit=2)
    assert [(each.id, each.sequence) for each in newest] == [("m3", 3), ("m2", 2)]
    assert json.loads(newest[0].fields) == content
    assert [each.id for each in await store.thread_messages("w", "t", after=None, before=2, limit=9)] == ["m1"]
    assert [each.id for each in await store.thread_messages("w", "t", after=1, before=None, limit=9)] == ["m2", "m3"]
    assert (await store.thread("w", "t")).active_at == datetime(2026, 6, 20, 14, tzinfo=UTC)  # type: ignore[union-attr]


async def test_pages_are_bounded_in_characters(store: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "PAGE_CHARACTERS", 100)
    rows = {("messages", f"m{n}"): {"body": "x" * 60} for n in range(4)}
    await put(store, *(each for n in range(4) for each in sent(f"m{n}", "ann", n + 1)), rows=rows)
    await Mirror(store).follow()
    assert [each.sequence for each in await store.thread_messages("w", "t", after=0, before=None, limit=9)] == [1, 2]


async def test_unread_is_what_others_wrote_behind_the_pointer_of_all_devices(store: Storage) -> None:
    await put(store, *sent("m1", "ann", 1), *sent("m2", "bo", 2), *sent("m3", "ann", 3))
    await Mirror(store).follow()

    async def unread(user: str) -> tuple[int, int]:
        (reading,) = await store.readings("w", user, ["t"])
        return reading.sequence, reading.unread

    assert [await unread(user) for user in ("ann", "bo", "chloe")] == [(0, 1), (0, 2), (0, 3)]
    assert await store.mark_thread_read("w", "t", "bo", 2, NOW) == 2
    assert await store.mark_thread_read("w", "t", "bo", 1, NOW) == 2, "another device is behind"
    assert await unread("bo") == (2, 1)
    assert await store.mark_thread_read("w", "t", "bo", 3, NOW) == 3
    assert await unread("bo") == (3, 0)
    assert await unread("ann") == (0, 1)


async def test_unread_messages_are_counted_up_to_a_bound(store: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "UNREAD_COUNTED", 2)
    await put(store, *(each for n in range(4) for each in sent(f"m{n}", "ann", n + 1)))
    await Mirror(store).follow()
    assert [each.unread for each in await store.readings("w", "bo", ["t", "other"])] == [2, 0]


async def test_of_a_redacted_message_no_text_stays_in_mirror_and_events(store: Storage) -> None:
    mirror = Mirror(store)
    await put(store, *sent("m1", "ann", 1), *sent("m2", "ann", 2, "Hello"))
    await mirror.follow()
    full = {"from": "ann", "body": TEXT, "attachments": [{"name": TEXT}], "context": {"record": TEXT}}
    await put(store, event("message.changed", "m1", {"from": "ann", "body": TEXT}, full))
    await put(store, event("message.redacted", "m1", {"at": AT, "by": "ann"}))
    await mirror.follow()
    kept = [json.loads(each.body) for each in await store.events("w", limit=20)]
    assert TEXT not in json.dumps(kept)
    assert [each["after"]["body"] for each in kept if each["type"] == "message.sent"] == ["", "Hello"]
    assert [each["after"]["from"] for each in kept if each["type"] == "message.sent"] == ["ann", "ann"]
    found = await store._executor.read(lambda c: c.exec_driver_sql("SELECT * FROM messages").all())
    assert TEXT not in str(found)
    assert [each.unread for each in await store.readings("w", "bo", ["t"])] == [1]
    ((wedding, document, seq),) = await store.pending_purges(10)
    assert (wedding, document) == KEY
    await store.purged("w", KEY.document, seq - 1)
    assert await store.pending_purges(10) == [(wedding, document, seq)], "a later one is to be done"
    assert await store.pending_purges(10, wedding="w") == [(wedding, document, seq)]
    assert await store.pending_purges(10, wedding="v") == []
    await store.purged("w", KEY.document, seq)
    assert await store.pending_purges(10) == []


async def test_a_message_that_is_sent_and_redacted_in_one_page(store: Storage) -> None:
    await put(store, *sent("m1", "ann", 1), event("message.redacted", "m1", {"at": AT, "by": "ann"}))
    await put(store, *sent("m2", "ann", 2))
    page = await store.events("w", limit=20)
    await store._executor.write(lambda connection: messages.mirror(connection, "w", page))
    assert [each.unread for each in await store.readings("w", "bo", ["t"])] == [1]
    assert sum(TEXT in each.body for each in await store.events("w", limit=20)) == 1


async def test_reactions_belong_to_their_message(store: Storage) -> None:
    rows = {("reactions", f"{message}|🌳|{user}"): True for message in ("m1", "m10", "m2") for user in ("ann", "bo")}
    await put(store, rows=rows)
    found = await store.reactions("w", "t", ["m1", "m2"])
    assert found == {"m1": ["🌳|ann", "🌳|bo"], "m2": ["🌳|ann", "🌳|bo"]}
    assert await store.reactions("w", "t", []) == {}


async def test_threads_come_in_pages_to_those_who_may_see_them(store: Storage) -> None:
    for n in range(5):
        await make(store, f"t{n}", "ann", at=NOW + timedelta(seconds=n // 2), type_="family" if n == 4 else "general")
    mine, all_ = ThreadFilter("ann", False, ("family",)), ThreadFilter("bo", True, ("family",))
    found, after = [], None
    while page := await store.threads("w", mine, after, 2):
        found += [each.id for each in page]
        after = (page[-1].active_at, page[-1].id)
    assert found == ["t4", "t3", "t2", "t1", "t0"]
    assert [each.id for each in await store.threads("w", all_, None, 9)] == ["t3", "t2", "t1", "t0"]
    assert await store.threads("w", all_._replace(others=False), None, 9) == []


async def test_rights_have_those_who_take_part(store: Storage) -> None:
    await make(store, "t", "ann", "bo")
    version = (await store.rights("w", NOW)).version
    await make(store, "t", removed=("bo",))
    rights = await store.rights("w", NOW)
    assert rights.version == version + 1
    assert [(each.id, each.type, list(each.users)) for each in rights.threads] == [("t", "general", ["ann"])]
    assert [each.user for each in await store.participants("w", ["t"])] == ["ann"]
    assert await store.mute_thread("w", "t", "ann", muted=True)
    assert not await store.mute_thread("w", "t", "bo", muted=True)
    assert [each.muted for each in await store.participants("w", ["t"])] == [True]


async def test_threads_and_participants_are_bounded(store: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversations, "MOST_PARTICIPANTS", 2)
    monkeypatch.setattr(conversations, "MOST_PARTICIPATIONS", 3)
    monkeypatch.setattr(conversations, "MOST_THREADS", 2)
    await make(store, "t0", "ann", "bo")
    with pytest.raises(ValuesRefused, match="2 take part"):
        await make(store, "t0", "chloe")
    with pytest.raises(ValuesRefused, match="3 take part"):
        await make(store, "t1", "ann", "bo")
    await make(store, "t1", "ann")
    with pytest.raises(ValuesRefused, match="2 threads"):
        await make(store, "t2")
    assert [each.id for each in (await store.rights("w", NOW)).threads] == ["t0", "t1"]


async def test_the_events_of_a_wedding_are_read_once_for_a_page_of_redactions(store: Storage) -> None:
    """They have no index by record: read for each, a hundred redactions of a large wedding held the database for ten
    seconds."""
    await make(store, "t", "ann")
    names = [f"m{n}" for n in range(40)]
    await put(store, *(each for n, name in enumerate(names) for each in sent(name, "ann", n + 1)))
    await put(store, *(event("message.redacted", name, {"by": "ann", "at": AT}) for name in names))
    page = await store.events("w", limit=1000)

    def project(connection: Connection) -> list[str]:
        read: list[str] = []

        def note(*arguments: object) -> None:
            statement = str(arguments[2])
            read.extend([statement] if statement.startswith("SELECT") and "FROM events" in statement else [])

        sqlalchemy_event.listen(connection, "before_cursor_execute", note)
        messages.mirror(connection, "w", page)
        sqlalchemy_event.remove(connection, "before_cursor_execute", note)
        return read

    assert len(await store._executor.write(project)) == 1
    assert not any(TEXT in each.body for each in await store.events("w", limit=1000))
