"""Who is mentioned in a message."""

from __future__ import annotations

import pytest

from crdt_server.access.identity import Identity
from crdt_server.services.messaging.mentions import MOST, mentioned

PEOPLE = [
    Identity("u_ann", "guest", name="Ann"),
    Identity("u_ann_marie", "guest", name="Ann Marie"),
    Identity("u_chloe", "couple", name="Chloé"),
    Identity("u_bo", "vendor"),
    Identity("u_bo2", "vendor", name="u_bo"),
    Identity("u_rtl", "guest", name="دانا"),
]


@pytest.mark.parametrize(
    ("text", "users"),
    [
        ("@Ann Marie, the cake?", {"u_ann_marie"}),
        ("@ann and @CHLOÉ!", {"u_ann", "u_chloe"}),
        ("@u_chloe\n@u_ann_marie", {"u_chloe", "u_ann_marie"}),
        ("(@Ann)", {"u_ann"}),
        ("@Anna, @Annie, @nobody, @", set()),
        ("ann@example.org a.@ann x@Ann @@Ann", set()),
        ("@u_bo", {"u_bo", "u_bo2"}),
        ("مرحبا @دانا", {"u_rtl"}),
        ("🎉@Ann🎉", {"u_ann"}),
        ("", set()),
    ],
)
def test_names_behind_an_at_sign(text: str, users: set[str]) -> None:
    assert mentioned(text, PEOPLE) == users


def test_there_is_a_bound() -> None:
    assert mentioned("@nobody " * MOST + "@Ann", PEOPLE) == set()
    assert mentioned("@nobody " * (MOST - 1) + "@Ann", PEOPLE) == {"u_ann"}
