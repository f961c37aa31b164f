"""State vectors of large updates in a host: they come once, and not too many bytes of them are kept."""

from __future__ import annotations

from crdt_server.judge.state_vectors import StateVectors
from crdt_server.pipe import HostRequest, RequestKind


def piece(vector: bytes | None, update: int | None) -> HostRequest:
    return HostRequest(RequestKind.UPDATE, b"p", None, None, vector, update)


def test_the_pieces_of_an_update_share_one() -> None:
    vectors = StateVectors()
    assert vectors.of(1, piece(b"v", 7)) == b"v"
    assert vectors.of(1, piece(None, 7)) == b"v"
    assert vectors.of(2, piece(None, 7)) is None
    assert vectors.of(1, piece(None, 8)) is None
    assert vectors.of(1, piece(b"w", 7)) == vectors.of(1, piece(None, 7)) == b"w"


def test_what_is_no_piece_brings_its_own() -> None:
    vectors = StateVectors()
    assert vectors.of(1, piece(b"v", None)) == b"v"
    assert vectors.of(1, piece(None, None)) is None
    assert not vectors._kept


def test_the_oldest_go() -> None:
    vectors = StateVectors(10)
    for update in range(4):
        assert vectors.of(1, piece(b"v" * 4, update)) == b"v" * 4
    assert [vectors.of(1, piece(None, update)) for update in range(4)] == [None, None, b"v" * 4, b"v" * 4]
    assert vectors.of(1, piece(b"v" * 40, 9)) == b"v" * 40
    assert vectors._bytes == 40
