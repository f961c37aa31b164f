"""Turns at what only few may use at a time."""

from __future__ import annotations

import asyncio

import pytest

from storage import StorageUnavailable, begin_call
from storage.callers import SERVER, current_caller
from storage.turns import CallerQueue, Turns


def test_persons_take_turns_and_the_server_has_every_second() -> None:
    waiting: CallerQueue[str] = CallerQueue()
    for number, caller in enumerate(["m", "m", "m", "a", SERVER, "a", SERVER, SERVER, "b"]):
        waiting.put(caller, f"{caller}{number}")
    order = []
    while waiting:
        order.append(waiting.pop())
    assert order == ["4", "m0", "6", "a3", "7", "b8", "m1", "a5", "m2"]


async def test_who_is_cancelled_gives_the_turn_to_the_next() -> None:
    turns, entered = Turns(1), list[str]()

    async def call(caller: str) -> None:
        async with turns.turn(caller):
            entered.append(caller)

    async with turns.turn("x"):
        waiting, granted, last = (asyncio.create_task(call(name)) for name in ("a", "b", "c"))
        await asyncio.sleep(0)
        waiting.cancel()
    granted.cancel()  # it has its turn, and has not come to it yet
    await asyncio.wait([waiting, granted, last])
    assert entered == ["c"]
    async with asyncio.timeout(5), turns.turn("d"):
        pass


async def test_a_call_that_waits_too_long_fails_and_the_others_go_on() -> None:
    turns = Turns(1, 0.001)
    async with turns.turn("x"):
        with pytest.raises(StorageUnavailable):
            await turns.turn("a").__aenter__()
    async with asyncio.timeout(5), turns.turn("a"):
        pass


async def test_tasks_that_a_call_starts_are_the_servers() -> None:
    async def started() -> str:
        return current_caller()

    async def call() -> tuple[str, str]:
        begin_call("ada")
        return current_caller(), await asyncio.create_task(started())

    assert await asyncio.create_task(call()) == ("ada", SERVER)
    assert current_caller() == SERVER
