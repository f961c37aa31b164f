"""A recorded editing history through the real server, by the example that plays it, and again after `kill -9`."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.interop.clients import Room


@pytest.mark.slow
def test_two_people_type_their_history(room: Room, root: Path, run_node: Callable[..., str]) -> None:
    script, trace = root / "examples" / "replay.mjs", root / "tests" / "data" / "friendsforever.json.gz"
    output = run_node(script, trace, room.url, room.document, timeout_seconds=240)
    assert output.count(": equal") == 5, output
    room.server.kill9()
    room.server.start()
    output = run_node(script, "--verify", trace, room.url, room.document)
    assert output.count(": equal") == 2, output


def test_a_wrong_end_is_found(room: Room, root: Path, run_node: Callable[..., str]) -> None:
    trace = root / "tests" / "data" / "friendsforever.json.gz"
    with pytest.raises(AssertionError, match="NOT EQUAL"):
        run_node(root / "examples" / "replay.mjs", "--verify", trace, room.url, room.document)
