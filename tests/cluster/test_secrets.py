"""Planted strings, read at a node that does not own the wedding, and at one that has taken it over."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.cluster.conftest import Nodes
from tests.hub.derived import Reader
from tests.hub.test_secrets import SHOWN, TEAM, found_in, plant

GONE = {"PUBLIC", "TEAMNOTE", "VNOTE", "SURNAME", "GPHONE"}


async def reach(reader: Reader, condition: Callable[[], bool]) -> None:
    """Wait for something, however often the socket is closed on the way."""

    def there() -> bool:
        if reader.socket.closed is not None:
            reader.enter()
        return condition()

    while not there():
        await reader.socket.until(lambda: reader.socket.closed is not None or there())


async def search(shown: Mapping[str, set[str]], readers: Mapping[str, Reader]) -> None:
    """Wait until each document has all that it shows, and search all its frames."""
    for name, words in shown.items():
        reader = readers[name]
        expected = {*words, "STORM"} | ({"ALERT"} if name in TEAM else set())
        await reach(reader, lambda reader=reader, expected=expected: found_in(reader.received_bytes()) >= expected)  # type: ignore[misc]
        assert found_in(reader.received_bytes()) == expected, name


async def test_frames_hold_what_is_shown_at_another_node_and_after_a_takeover(nodes: Nodes) -> None:
    one, two = await nodes.pair()
    people = await plant(one.hub)
    assert one.owns()
    remote = {name: Reader(two.hub, name, 100 + number) for number, name in enumerate(SHOWN)}
    await search(SHOWN, remote)
    assert not two.owns()
    planner, guests = people[1], people[2]
    one.bus.cut()  # what is hidden now, the other node learns from the store alone
    planner.set("items", "i_1", visibility="private")
    await planner.until(lambda rows: rows["items"]["i_1"]["visibility"] == "private")
    guests.set("guests", "g_1", phone=None, lastName="Smith")
    await guests.until(lambda rows: rows["guests"]["g_1"]["lastName"] == "Smith")
    one.die()
    for reader in remote.values():  # until then the node has what was shown when the bus was cut
        await reach(reader, lambda reader=reader: not found_in(str(reader.rows).encode()) & GONE)  # type: ignore[misc]
    assert two.owns()
    newcomers = {name: Reader(two.hub, name, 200 + number) for number, name in enumerate(SHOWN)}
    await search({name: words - GONE for name, words in SHOWN.items()}, newcomers)
    await search(SHOWN, remote)  # and nothing more to those who were there before
