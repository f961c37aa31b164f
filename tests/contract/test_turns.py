"""Reads and writes of one person do not stand before those of another, on every backend of `storage`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection
from sqlalchemy.util import await_only

from storage import Storage, begin_call
from storage.callers import SERVER
from storage.executors import READERS
from storage.postgres_executor import WRITERS
from tests.support.gate import until

BUSY, MANY = max(READERS, WRITERS), 200


class Hold:
    """Work that goes on until `end` is called, on a thread or on the loop."""

    def __init__(self) -> None:
        self.begun = False
        self._events = asyncio.Event(), threading.Event()

    def __call__(self, _connection: Connection) -> None:
        self.begun = True
        if threading.current_thread() is threading.main_thread():
            await_only(self._events[0].wait())
        else:
            assert self._events[1].wait(20)

    def end(self) -> None:
        for event in self._events:
            event.set()


def of(person: str, call: Callable[[], Awaitable[Any]]) -> asyncio.Task[Any]:
    """A task that calls for a person."""

    async def task() -> None:
        if person != SERVER:
            begin_call(person)
        await call()

    return asyncio.create_task(task())


async def order_of(run: Callable[..., Awaitable[Any]], persons: list[str], at_once: int) -> list[str]:
    """The order in which the work of persons began that they asked for in this one, while all but one are busy."""
    holds, order = [Hold() for _ in range(at_once)], list[str]()

    def work(person: str, _connection: Connection) -> None:
        order.append(person)

    busy = [of(f"busy {number}", partial(run, hold)) for number, hold in enumerate(holds)]
    await until(lambda: all(hold.begun for hold in holds))
    tasks = [of(person, partial(run, partial(work, person))) for person in persons]
    for _ in range(5):
        await asyncio.sleep(0)
    holds[0].end()
    async with asyncio.timeout(20):
        await asyncio.gather(*tasks)
        for hold in holds:
            hold.end()
        await asyncio.gather(*busy)
    return order


@pytest.mark.parametrize("way", ["read", "write", "write_at_once"])
async def test_a_person_waits_for_one_of_another_and_not_for_all(store: Storage, way: str, url: str) -> None:
    at_once = 1 if way != "read" and url.startswith("sqlite") else BUSY
    order = await order_of(getattr(store._executor, way), ["mallory"] * MANY + ["ada", SERVER, "bob"], at_once)
    assert order[:5] == [SERVER, "mallory", "ada", "bob", "mallory"]
    assert len(order) == MANY + 3
