"""Turns at what few have at a time: one person's requests wait for one another, not others for them."""

from __future__ import annotations

import asyncio

import pytest

from crdt_server.services.turns import PersonTurns
from tests.support.gate import until


async def test_one_person_has_one_place_in_the_line() -> None:
    turns, order, go_on = PersonTurns(1), list[str](), asyncio.Event()

    async def read(name: str, person: str) -> None:
        async with turns.turn(person):
            order.append(name)
            await go_on.wait()

    many = [asyncio.create_task(read(f"ada {number}", "ada")) for number in range(4)]
    await until(lambda: order == ["ada 0"])
    other = asyncio.create_task(read("bob", "bob"))
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.gather(*many, other)
    assert order.index("bob") == 1
    assert not turns._own


async def test_a_turn_ends_with_an_error_and_a_wait_with_its_caller() -> None:
    turns = PersonTurns(1)

    async def fail() -> None:
        async with turns.turn("ada"):
            waiting = asyncio.create_task(turns.turn("ada").__aenter__())
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await fail()
    assert not turns._own
    async with asyncio.timeout(10), turns.turn("bob"):
        pass


async def test_several_may_have_their_turn() -> None:
    turns = PersonTurns(2)
    async with asyncio.timeout(10), turns.turn("ada"), turns.turn("bob"):
        assert len(turns._own) == 2
