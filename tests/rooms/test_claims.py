"""Claims of client ids in one room: who has them, what is sent on, and that they are bounded."""

from __future__ import annotations

import pytest

from crdt_server.records import ClientOwner
from crdt_server.rooms import claims
from crdt_server.rooms.claims import NOBODY, ClientClaims

HOME, ELSEWHERE = "192.0.2.1", "192.0.2.2"


@pytest.fixture
def table() -> ClientClaims:
    return ClientClaims()


def all_of(table: ClientClaims) -> dict[int, str]:
    return dict(table.take(object()))


def test_the_first_has_it(table: ClientClaims) -> None:
    table.show(7, "ada", HOME)
    table.show(7, "eve", HOME)
    table.show(7, "ada", ELSEWHERE)
    assert all_of(table) == {7: "ada"}


def test_a_receiver_gets_changes_and_another_one_all_of_it(table: ClientClaims) -> None:
    table.show(7, "ada", HOME)
    assert table.take(1) == [ClientOwner(7, "ada")]
    assert table.take(1) == []
    table.show(8, "ben", HOME)
    table.show(7, "ada", ELSEWHERE)
    table.end(7)
    assert table.take(1) == [ClientOwner(8, "ben")]
    assert table.take(2) == [ClientOwner(7, "ada"), ClientOwner(8, "ben")]


def test_it_waits_for_its_user_and_passes_on_at_the_same_address_only(table: ClientClaims) -> None:
    table.show(7, "ada", HOME)
    table.take(1)
    table.end(7)
    table.show(7, "eve", ELSEWHERE)
    assert table.take(1) == []
    table.show(7, "ben", HOME)
    assert table.take(1) == [ClientOwner(7, NOBODY), ClientOwner(7, "ben")]
    table.show(7, "ada", HOME)
    assert table.take(1) == []


def test_those_that_have_ended_are_bounded(table: ClientClaims, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "ENDED_KEPT", 2)
    table.show(1, "here", HOME)
    table.take(1)
    for client in range(2, 5):
        table.show(client, "ada", HOME)
        table.take(1)
        table.end(client)
    assert table.take(1) == [ClientOwner(2, NOBODY)]
    for client in range(10, 1_000):
        table.show(client, "eve", HOME)
        table.end(client)
    assert table.take(1) == [
        *(ClientOwner(each, NOBODY) for each in (3, 4)),
        *(ClientOwner(n, "eve") for n in (998, 999)),
    ]
    assert all_of(table) == {1: "here", 998: "eve", 999: "eve"}


def test_those_of_other_nodes_count_as_ended_until_presence_shows_them(
    table: ClientClaims, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "ENDED_KEPT", 2)
    table.add([ClientOwner(7, "ada"), ClientOwner(8, "ben"), ClientOwner(9, NOBODY)])
    table.add([ClientOwner(7, "eve")])
    table.show(7, "ada", HOME)
    table.add([ClientOwner(client, "x") for client in (10, 11)])
    assert all_of(table) == {7: "ada", 10: "x", 11: "x"}
