"""What every backend of `storage` does with the threads, the inbox and the waiting messages of somebody who leaves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, insert, update

from storage import ItemValues, MemberChange, NewDevice, NewMessage, RoutedPage, Storage, StoredInvitation, StoredMember
from storage import outbox as states
from storage.messaging_tables import participants, webhooks
from storage.outbox import DEAD, SENDING, key_of
from tests.contract.test_members import LONG_AGO, entry
from tests.contract.test_messages import make

NOW = datetime(2026, 6, 20, 13, 30, tzinfo=UTC)
WEBHOOK = {
    "wedding": "w", "id": "wh_1", "url": "https://example.org", "types": "[]", "secrets": "[]", "by": "bo", "at": NOW,
    "reason": "",
}  # fmt: skip


async def put(
    store: Storage, user: str, role: str = "guest", *, removed: bool = False, leaves: tuple[str, ...] = ()
) -> None:
    member = StoredMember(user, role, "", "", "", "", "ann", NOW, NOW if removed else None)
    await store.change_member("w", user, lambda *_: MemberChange(member, entry("member"), leaves))


async def taking_part(store: Storage, *threads: str) -> list[tuple[str, str]]:
    return [(each.thread, each.user) for each in await store.participants("w", threads)]


def message(event: int, user: str = "bo", channel: str = "mail", **more: object) -> NewMessage:
    key = key_of("w", event, user, channel)
    new = NewMessage(key, "w", user, channel, event, "message.sent", 0, "thread.t", f"m{event}", '{"text": "x"}', NOW)
    return new._replace(**more)  # type: ignore[arg-type]


def items(after: int, version: int, *users: str) -> RoutedPage:
    made = [ItemValues(user, after + 1, "vendor.booked", 2, "wedding", "v_1", "{}", 1, NOW, NOW) for user in users]
    return RoutedPage("w", version, after, after + 1, NOW, (), made)


async def invite(store: Storage, user: str) -> None:
    invitation = StoredInvitation("i_1", user, "guest", "", "g_1", "", "", "ann", NOW, NOW + timedelta(days=7))
    await store.invite("w", "code", invitation, 10, entry("invitation"))


async def accept(store: Storage, user: str) -> None:
    await invite(store, user)
    device = NewDevice("d_1", "phone", "token")
    assert await store.accept("code", device, lambda *_: entry("session.opened"), NOW, LONG_AGO) is not None


async def add(store: Storage, user: str) -> None:
    await put(store, user, "planner")


COMES_BACK = pytest.mark.parametrize("come_back", [add, accept])


@COMES_BACK
async def test_nothing_of_a_removed_member_comes_back(
    store: Storage, come_back: Callable[[Storage, str], Awaitable[None]]
) -> None:
    for user in ("ann", "bo"):
        await put(store, user)
    await make(store, "t", "ann", "bo")
    await make(store, "family", "bo", type_="family")
    version = (await store.rights("w", NOW)).version
    assert await store.store_routed([items(0, version, "ann", "bo")])
    await store._executor.write(lambda connection: connection.execute(insert(webhooks), WEBHOOK))
    later = NOW + timedelta(hours=1)
    waiting = [
        message(1), message(2, next_at=later), message(3, held=True), message(4, channel="sms"),
        message(5, "wh_1", "webhook"), message(6, "ann"), message(7, "wh_2", "webhook"), message(8, "bo", "webhook"),
    ]  # fmt: skip
    await store.enqueue(waiting)
    await store._executor.write(lambda connection: _set_states(connection, {1: SENDING, 4: DEAD}))

    await put(store, "bo", removed=True)
    assert await taking_part(store, "t", "family") == [("t", "ann")]
    assert [list(each.users) for each in (await store.rights("w", NOW)).threads] == [[], ["ann"]]
    await come_back(store, "bo")
    assert await taking_part(store, "t", "family") == [("t", "ann")]
    assert (await store.inbox("w", "bo"), await store.unread("w", "bo")) == ([], 0)
    assert len(await store.inbox("w", "ann")) == 1
    assert {each.event for each in await store.messages("w", states.DROPPED)} == {1, 2, 3, 4, 5}
    assert {each.event for state in (*states.UNSENT, DEAD) for each in await store.messages("w", state)} == {6, 7, 8}
    found = await store.message((await store.messages("w", states.DROPPED))[0].id)
    assert found is not None
    assert (found.params, found.error) == ("{}", "not a member any more")


async def test_much_goes_in_transactions_of_its_own(store: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A million items in one transaction kept everybody else that writes waiting for seconds."""
    monkeypatch.setattr("storage.leaving.CLEARED_AT_ONCE", 2)
    await put(store, "bo")
    version = (await store.rights("w", NOW)).version
    for after in range(5):
        await store.store_routed([items(after, version, "bo")])
    await store.enqueue([message(number) for number in range(7)])
    writes, write = list[int](), store._executor.write

    async def counted(work: Any) -> Any:
        writes.append(len(await store.inbox("w", "bo")))
        return await write(work)

    monkeypatch.setattr(store._executor, "write", counted)
    await put(store, "bo", removed=True)
    assert writes == [5, 3, 1, 0]
    assert await store.inbox("w", "bo") == []
    assert len(await store.messages("w", states.DROPPED)) == 7


async def test_the_rest_of_a_crash_goes_when_the_member_comes_back(
    store: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.leaving.CLEARED_AT_ONCE", 2)
    monkeypatch.setattr("storage.members.clear_removed", lambda *_: False)
    await put(store, "bo")
    version = (await store.rights("w", NOW)).version
    for after in range(5):
        await store.store_routed([items(after, version, "bo")])
    await put(store, "bo", removed=True)
    assert len(await store.inbox("w", "bo")) == 3
    await put(store, "bo")
    assert await store.inbox("w", "bo") == []


def _set_states(connection: Connection, of_events: Mapping[int, str]) -> None:
    for event, state in of_events.items():
        connection.execute(update(states.outbox).where(states.outbox.c.event == event).values(state=state))


@COMES_BACK
async def test_nor_does_what_an_earlier_release_left_in_place(
    store: Storage, come_back: Callable[[Storage, str], Awaitable[None]]
) -> None:
    await put(store, "bo", removed=True)
    await make(store, "t", "ann", "bo")
    version = (await store.rights("w", NOW)).version
    await store.store_routed([items(0, version, "bo")])
    assert len(await store.inbox("w", "bo")) == 1
    await come_back(store, "bo")
    assert await taking_part(store, "t") == [("t", "ann")]
    assert await store.inbox("w", "bo") == []


async def test_who_takes_part_without_being_a_member_stays_when_added(store: Storage) -> None:
    await make(store, "t", "bo")
    await put(store, "bo")
    assert await taking_part(store, "t") == [("t", "bo")]


async def test_with_another_role_somebody_leaves_threads_of_some_types(store: Storage) -> None:
    await put(store, "bo", "planner")
    for type_ in ("general", "planning", "vendor"):
        await make(store, type_, "ann", "bo", type_=type_)
    version = (await store.rights("w", NOW)).version
    thread = ItemValues("bo", 1, "thread.joined", 2, "thread.planning", "planning", "{}", 1, NOW, NOW)
    await store.store_routed([RoutedPage("w", version, 0, 1, NOW, (), [thread])])
    assert await store.unread("w", "bo") == 1
    await put(store, "bo", leaves=("planning", "vendor", "family"))
    every = [("general", "ann"), ("general", "bo"), ("planning", "ann"), ("vendor", "ann")]
    assert await taking_part(store, "general", "planning", "vendor") == every
    assert await store.unread("w", "bo") == 0
    await put(store, "bo", "planner")
    assert await taking_part(store, "general", "planning", "vendor") == every
    removed = await store._executor.read(
        lambda connection: connection.execute(participants.select().where(participants.c.removed_at.is_not(None))).all()
    )
    assert {(each.thread, each.removed_at) for each in removed} == {("planning", NOW), ("vendor", NOW)}
