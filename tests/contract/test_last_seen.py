"""What every backend of `storage` does with the rows about people who were there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from storage import LastSeen, Storage, last_seen, open_storage

NOON = datetime(2026, 6, 20, 12, 0, tzinfo=UTC)
LONG_AGO = NOON - timedelta(days=1)


def seen(user: str, seconds: int = 0, *, node: str = "n_1", wedding: str = "w", connected: bool = True) -> LastSeen:
    at = NOON + timedelta(seconds=seconds)
    return LastSeen(wedding, user, node, "guest", "Zoë 💍", at, NOON, connected, '{"timeline":{"zone":"\\ud83d"}}')


async def test_rows_are_there_after_reopening_by_user_and_age(store: Storage, url: str) -> None:
    late, early = seen("u_b", 5, node="n_1"), seen("u_b", 3, node="n_2")
    await store.save_last_seen([late, seen("u_a"), early, seen("u_a", wedding="elsewhere")])
    await store.close()
    again = await open_storage(url)
    assert await again.last_seen("w") == [seen("u_a"), early, late]
    assert await again.last_seen("nowhere") == []
    await again.close()


async def test_a_row_replaces_that_of_the_same_person_and_node(store: Storage) -> None:
    await store.save_last_seen([seen("u_a")])
    await store.save_last_seen([seen("u_a", 60, connected=False), seen("u_a", 30, node="n_2")])
    assert await store.last_seen("w") == [seen("u_a", 30, node="n_2"), seen("u_a", 60, connected=False)]


async def test_rows_of_other_nodes_go_when_they_are_outdated(store: Storage) -> None:
    left, connected = seen("u_a", 1, node="n_old", connected=False), seen("u_a", 2, node="n_2")
    newest = seen("u_a", 9)
    alone = seen("u_b", 0, node="n_old", connected=False)
    elsewhere = [seen("u_a", 1, connected=False, wedding="v"), seen("u_a", 2, node="n_2", wedding="v")]
    await store.save_last_seen([left, connected, newest, alone, *elsewhere])
    assert await store.trim_last_seen(["w"], LONG_AGO) == 1
    assert await store.last_seen("w") == [connected, newest, alone]
    assert await store.trim_last_seen(["w", "w"], NOON + timedelta(seconds=3)) == 1, "its node has died"
    assert await store.last_seen("w") == [newest, alone]
    assert await store.last_seen("v") == elsewhere
    assert await store.trim_last_seen([], NOON) == 0


async def test_the_newest_of_a_wedding_are_kept(store: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(last_seen, "PEOPLE_KEPT", 3)
    await store.save_last_seen([seen(f"u_{n}", -n, wedding=wedding) for n in range(5) for wedding in ("w", "v")])
    assert await store.trim_last_seen(["w"], LONG_AGO) == 2
    assert [row.user for row in await store.last_seen("w")] == ["u_0", "u_1", "u_2"]
    assert len(await store.last_seen("v")) == 5
