"""Presence of a room: who may say what about whom, and what the room hears of it."""

import json

import pytest

from crdt_server.access.identity import Identity
from crdt_server.errors import ProtocolError
from crdt_server.rooms.awareness import Awareness
from crdt_server.rooms.awareness_states import (
    MAX_MESSAGE_BYTES,
    MAX_STATES,
    REMOVED_KEPT,
    Presence,
    read_states,
    write_states,
)
from crdt_server.rooms.session import Session, SessionId
from tests.support.codec import decode_messages
from tests.support.sockets import HandSocket

MOST_BYTES = 200


def session(number: int = 1, user: str | None = None) -> Session:
    return Session(SessionId(number), HandSocket(), Identity(user or f"user-{number}", "couple"))


def state(client: int, clock: int, value: object) -> bytes:
    return write_states([(client, clock, json.dumps(value, ensure_ascii=False))])


def changes(awareness: Awareness) -> list[tuple[int, int, object]] | None:
    payload = awareness.states.take_changes()
    if payload is None:
        return None
    return [(c, clock, json.loads(text)) for c, clock, text in read_states(payload.full, None)]


def everybody(awareness: Awareness) -> dict[int, object]:
    payload = awareness.states.all_states()
    return {} if payload is None else {c: json.loads(text) for c, _, text in read_states(payload.full, None)}


@pytest.fixture
def awareness() -> Awareness:
    return Awareness(MOST_BYTES)


@pytest.mark.parametrize("name", ["Chloé", "Zoë & Jürgen", "新郎", "💍👰🏽‍♀️", 'quote " and \\', "\u2028", ""])
def test_names_of_all_kinds_arrive_as_they_were_sent(awareness: Awareness, name: str) -> None:
    awareness.receive(session(), state(7, 1, {"user": {"name": name}}), 0)
    assert changes(awareness) == [(7, 1, {"user": {"name": name}})]
    assert everybody(awareness) == {7: {"user": {"name": name}}}


def test_escapes_of_a_sender_are_left_alone(awareness: Awareness) -> None:
    awareness.receive(session(), write_states([(7, 1, '{"name":"Chlo\\u00e9 \\ud83d\\udc8d"}')]), 0)
    payload = awareness.states.take_changes()
    assert payload is not None
    assert read_states(payload.full, None) == [(7, 1, '{"name":"Chlo\\u00e9 \\ud83d\\udc8d"}')]


def test_the_first_single_id_is_the_one_of_the_socket(awareness: Awareness) -> None:
    one = session()
    awareness.receive(one, state(7, 1, {}), 0)
    awareness.receive(one, state(8, 1, {}), 0)
    assert everybody(awareness) == {7: {}}
    assert one.awareness_id == 7


def test_an_echo_of_the_whole_room_claims_nothing(awareness: Awareness) -> None:
    one = session()
    awareness.receive(one, write_states([(7, 1, "{}"), (8, 1, "{}")]), 0)
    assert one.awareness_id is None
    assert not awareness.states.dirty
    assert awareness.states.take_changes() is None
    assert awareness.states.all_states() is None


def test_of_an_echo_only_the_own_state_counts(awareness: Awareness) -> None:
    one, two = session(1), session(2)
    awareness.receive(one, state(7, 1, {"n": 1}), 0)
    awareness.receive(two, state(8, 1, {"n": 2}), 0)
    changes(awareness)
    awareness.receive(two, write_states([(7, 9, '{"n":"forged"}'), (8, 2, '{"n":22}')]), 0)
    assert changes(awareness) == [(8, 2, {"n": 22})]
    assert everybody(awareness) == {7: {"n": 1}, 8: {"n": 22}}


def test_nobody_takes_over_the_id_of_another_person(awareness: Awareness) -> None:
    one, two = session(1), session(2)
    awareness.receive(one, state(7, 1, {"n": 1}), 0)
    awareness.receive(two, state(7, 99, {"n": "forged"}), 0)
    assert two.awareness_id is None
    assert everybody(awareness) == {7: {"n": 1}}
    awareness.leave(two)
    assert everybody(awareness) == {7: {"n": 1}}


def test_the_same_person_on_a_new_socket_takes_the_id_along(awareness: Awareness) -> None:
    old, new = session(1, "ada"), session(2, "ada")
    awareness.receive(old, state(7, 5, {"n": 1}), 0)
    awareness.receive(new, state(7, 5, {"n": 2}), 0)
    assert new.awareness_id is None, "an echo of the old state proves nothing"
    awareness.receive(new, state(7, 6, {"n": 2}), 0)
    assert [old.awareness_id, new.awareness_id] == [None, 7]
    changes(awareness)
    awareness.leave(old)
    assert not awareness.states.dirty
    assert everybody(awareness) == {7: {"n": 2}}


def test_a_copy_at_another_node_does_not_replace_the_state_of_a_session_here(awareness: Awareness) -> None:
    one = session(1, "ada")
    awareness.receive(one, state(7, 1, {"n": 1}), 0)
    awareness.receive_from_node("other", [Presence(7, 99, '{"n":"forged"}', "eve", "192.0.2.9")], 0)
    assert (one.awareness_id, everybody(awareness)) == (7, {7: {"n": 1}})
    awareness.receive_from_node("other", [Presence(7, 2, '{"n":2}', "ada", "192.0.2.9")], 0)
    assert (one.awareness_id, everybody(awareness)) == (None, {7: {"n": 2}})


def test_leaving_removes_with_the_last_clock(awareness: Awareness) -> None:
    one = session()
    awareness.receive(one, state(7, 41, {}), 0)
    changes(awareness)
    awareness.leave(one)
    assert changes(awareness) == [(7, 41, None)]
    assert len(awareness.states) == 0


def test_a_state_that_came_and_went_within_a_tick_is_a_removal(awareness: Awareness) -> None:
    one = session()
    awareness.receive(one, state(7, 1, {}), 0)
    awareness.leave(one)
    assert changes(awareness) == [(7, 1, None)]


def test_back_with_the_same_id_and_clock(awareness: Awareness) -> None:
    first, second = session(1), session(2)
    awareness.receive(first, state(7, 3, {}), 0)
    awareness.leave(first)
    awareness.receive(second, state(7, 3, {"back": True}), 0)
    assert changes(awareness) == [(7, 3, {"back": True})]


def test_an_older_echo_does_not_revive_the_gone(awareness: Awareness) -> None:
    gone, other = session(1), session(2)
    awareness.receive(gone, state(7, 3, {}), 0)
    awareness.leave(gone)
    awareness.receive(other, state(7, 2, {}), 0)
    assert other.awareness_id is None
    assert everybody(awareness) == {}


def test_a_client_removes_itself_and_comes_back(awareness: Awareness) -> None:
    one = session()
    awareness.receive(one, state(7, 1, {}), 0)
    awareness.receive(one, state(7, 2, None), 0)
    assert changes(awareness) == [(7, 2, None)]
    awareness.receive(one, state(7, 3, {"again": 1}), 0)
    assert changes(awareness) == [(7, 3, {"again": 1})]


def test_nothing_is_removed_that_was_never_there(awareness: Awareness) -> None:
    awareness.receive(session(), state(7, 1, None), 0)
    assert not awareness.states.dirty


def test_older_clocks_are_late_news(awareness: Awareness) -> None:
    one = session()
    awareness.receive(one, state(7, 5, {"n": 5}), 0)
    awareness.receive(one, state(7, 4, {"n": 4}), 0)
    assert everybody(awareness) == {7: {"n": 5}}


@pytest.mark.parametrize("clock", [0, 127, 128, 2**31, 2**32, 2**53 - 1])
def test_clocks_are_never_renumbered(awareness: Awareness, clock: int) -> None:
    one = session()
    awareness.receive(one, state(7, clock, {}), 0)
    assert changes(awareness) == [(7, clock, {})]
    awareness.leave(one)
    assert changes(awareness) == [(7, clock, None)]


def test_the_same_again_is_a_sign_of_life_but_no_news(awareness: Awareness) -> None:
    one = session()
    awareness.receive(one, state(7, 1, {}), 0)
    changes(awareness)
    awareness.receive(one, state(7, 1, {}), 20)
    assert not awareness.states.dirty
    awareness.expire(40, 30)
    assert everybody(awareness) == {7: {}}


def test_silence_removes_and_the_next_word_brings_back(awareness: Awareness) -> None:
    one, two = session(1), session(2)
    awareness.receive(one, state(7, 1, {}), 0)
    awareness.receive(two, state(8, 1, {}), 20)
    changes(awareness)
    awareness.expire(31, 30)
    assert changes(awareness) == [(7, 1, None)]
    assert everybody(awareness) == {8: {}}
    awareness.receive(one, state(7, 2, {}), 32)
    assert everybody(awareness) == {7: {}, 8: {}}


@pytest.mark.parametrize(
    "text",
    [
        *("NaN", '{"x":NaN}', '{"x":Infinity}', '{"x":-Infinity}', "[" * 90 + "]" * 90, "1", '"text"', "true", "[]"),
        *("", "{", "{'a':1}", "undefined", '{"a":1}x', "\ufeff{}", '{"a":01}', '{"a":"\n"}'),
    ],
)
def test_what_a_browser_would_choke_on_is_refused(awareness: Awareness, text: str) -> None:
    with pytest.raises(ProtocolError):
        awareness.receive(session(), write_states([(7, 1, text)]), 0)
    assert not awareness.states.dirty


def test_deep_json_is_refused_or_read_but_never_an_overflow() -> None:
    roomy = Awareness(1 << 20)
    with pytest.raises(ProtocolError):
        roomy.receive(session(), write_states([(7, 1, '{"a":' + "[" * 100_000 + "]" * 100_000 + "}")]), 0)


@pytest.mark.parametrize("name", ["a" * MOST_BYTES, "é" * (MOST_BYTES // 2), "💍" * (MOST_BYTES // 4)], ids="124")
def test_the_bound_of_a_state_is_in_bytes(awareness: Awareness, name: str) -> None:
    one = session()
    awareness.receive(one, state(7, 1, {"n": name}), 0)
    assert awareness.too_large == {one}
    assert not awareness.states.dirty


@pytest.mark.parametrize("count", [MAX_STATES + 1, 100_000])
def test_too_many_ids_are_refused(awareness: Awareness, count: int) -> None:
    with pytest.raises(ProtocolError):
        awareness.receive(session(), write_states((n, 1, "{}") for n in range(count)), 0)


def test_a_whole_crowded_room_may_be_echoed(awareness: Awareness) -> None:
    awareness.receive(session(), write_states((n, 1, "{}") for n in range(MAX_STATES)), 0)
    assert not awareness.states.dirty


@pytest.mark.parametrize(
    "payload",
    [
        *(b"", b"\x01", b"\x01\x07", b"\x01\x07\x01", b"\x01\x07\x01\x05{}", b"\x00\x00", b"\x01\x07\x01\x02\xff\xfe"),
        *(b"\xff" * 9, b"\x01" + b"\xff" * 8 + b"\x01\x02{}", b"\x00" * (MAX_MESSAGE_BYTES + 1)),
    ],
)
def test_bytes_that_are_no_message_are_refused(awareness: Awareness, payload: bytes) -> None:
    with pytest.raises(ProtocolError):
        awareness.receive(session(), payload, 0)


def test_the_memory_of_the_gone_is_bounded(awareness: Awareness) -> None:
    for n in range(REMOVED_KEPT + 50):
        one = session(n)
        awareness.receive(one, state(n, 1, {}), 0)
        awareness.leave(one)
    told = changes(awareness)
    assert told is not None
    assert {client for client, _, _ in told} >= set(range(50, REMOVED_KEPT + 50))


def test_the_wire_helper_agrees_with_the_message_reader() -> None:
    from tests.support.wire import presence

    (message,) = decode_messages(presence(7, 1, {"name": "Chloé"}))
    assert read_states(message.payload, 7) == [(7, 1, '{"name": "Chloé"}')]  # type: ignore[union-attr]
