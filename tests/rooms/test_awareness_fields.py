"""The fields of presence: those that the server sets, and those that not every session is sent."""

from __future__ import annotations

import json
from typing import Any

import pytest

from crdt_server.access.identity import Identity
from crdt_server.counters import Counters
from crdt_server.errors import ProtocolError
from crdt_server.protocol.messages import AwarenessUpdate
from crdt_server.rooms.awareness import Awareness
from crdt_server.rooms.awareness_fields import UNRESTRICTED_ROLES, checked_state, from_node
from crdt_server.rooms.awareness_states import Presence, read_states, write_states
from crdt_server.rooms.inbox import RoomLimits
from crdt_server.rooms.intake import publish_presence
from crdt_server.rooms.room import Room
from crdt_server.rooms.session import Session, SessionId
from tests.access.roles import ROLES
from tests.support.codec import decode_messages, receive
from tests.support.room_events import RecordingRoomEvents
from tests.support.sockets import HandSocket
from tests.support.wire import presence

RIGHTS = "-" * 9
BARN = "behind-the-barn"
QUERY = b"\3"
PLANTED: dict[str, Any] = {
    "section": "menu",
    "user": {"color": "#fa0", "zone": BARN},
    **dict.fromkeys(("zone", "battery", "batt"), BARN),
}
SHOWN = {"section": "menu", "user": {"color": "#fa0"}}


def person(role: str = "vendor", *, rights: str = RIGHTS, name: str = "Ada") -> Identity:
    return Identity("u_ada", role, rights=rights, name=name)


def stamped(state: object, identity: Identity) -> Any:
    return json.loads(checked_state(json.dumps(state), identity).full)


@pytest.mark.parametrize(
    ("user", "others"),
    [
        ({"id": "u_eve", "name": "The couple", "role": "couple", "color": "#fa0"}, {"color": "#fa0"}),
        *((value, {}) for value in ({}, None, "couple", 7, ["couple"], True)),
    ],
)
def test_the_server_says_who_somebody_is(user: object, others: dict[str, object]) -> None:
    expected = {"id": "u_ada", "name": "Ada", "role": "vendor", **others}
    assert stamped({"user": user, "cursor": 3}, person()) == {"cursor": 3, "user": expected}
    assert stamped({"cursor": 3}, person())["user"] == {"id": "u_ada", "name": "Ada", "role": "vendor"}
    assert stamped({"user": user}, person(name=""))["user"]["name"] == "u_ada"


def test_a_name_is_not_hidden_behind_a_second_one() -> None:
    text = '{"user":{"role":"couple"},"us\\u0065r":{"role":"couple","r\\u006fle":"planner"},"zone":1,"z\\u006fne":2}'
    full, filtered = checked_state(text, person())
    assert full.count("role") == 1
    assert json.loads(full) == {"user": {"id": "u_ada", "name": "Ada", "role": "vendor"}, "zone": 2}
    assert filtered is not None
    assert "zone" not in filtered


@pytest.mark.parametrize("text", ['{"a":1}', '{ "a" : "\\u00e9" }', '{"a":1e999}', '{"user":{"role":"couple"}}'])
def test_without_rules_a_state_is_relayed_as_it_came(text: str) -> None:
    assert checked_state(text, person(rights="")) == (text, None)


@pytest.mark.parametrize(
    ("text", "sent"),
    [('{"a":"\\ud83d"}', "\ud83d"), ('{"a":"\\u0000💍"}', "\0💍"), ('{"a":1.50}', 1.5), ('{"a":1e999}', None)],
)
def test_whatever_a_browser_writes_is_stamped(text: str, sent: object) -> None:
    full, _ = checked_state(text, person())
    full.encode()
    assert json.loads(full)["a"] == sent


@pytest.mark.parametrize(
    "text", ['{"a":1e999,"b":"\\ud83d"}', '{"a":NaN}', "[]", "1", '{"a":' + "[" * 5000 + "]" * 5000 + "}"]
)
def test_no_state_is_made_worse(text: str) -> None:
    with pytest.raises(ProtocolError):
        checked_state(text, person())


def test_null_with_blanks_is_a_removal() -> None:
    assert checked_state(" null\n", person()) == checked_state("null", person(rights="")) == ("null", None)


def test_the_bound_is_that_of_what_is_sent() -> None:
    for rights, too_large in (("", False), (RIGHTS, True)):
        awareness = Awareness(100)
        session = Session(SessionId(1), HandSocket(), person(rights=rights))
        awareness.receive(session, write_states([(7, 1, json.dumps({"n": "x" * 80}))]), 0)
        assert (session in awareness.too_large) is too_large
        assert awareness.states.dirty is not too_large


def test_a_change_is_another_state_and_not_the_same_with_another_clock() -> None:
    awareness = Awareness(1000)
    session = Session(SessionId(1), HandSocket(), person())
    for clock, now, text in ((1, 5.0, '{"n":1}'), (2, 20.0, '{"n": 1}'), (3, 35.0, '{"n":1}')):
        awareness.receive(session, write_states([(7, clock, text)]), now)
    assert session.awareness_changed == 5
    awareness.receive(session, write_states([(7, 4, '{"n":2}')]), 50)
    assert session.awareness_changed == 50
    awareness.expire(100, 30)
    awareness.receive(session, write_states([(7, 5, '{"n":2}')]), 101)
    assert session.awareness_changed == 50, "a tab in the background renews too late"


def plant(awareness: Awareness, identity: Identity) -> None:
    session = Session(SessionId(1), HandSocket(), identity)
    awareness.receive(session, write_states([(7, 41, json.dumps(PLANTED))]), 0)


@pytest.mark.parametrize("rights", ["", RIGHTS])
def test_there_are_two_payloads_only_where_they_differ(rights: str) -> None:
    awareness = Awareness(1000)
    plant(awareness, person(rights=rights))
    plain = Session(SessionId(2), HandSocket(), person(rights=rights)._replace(user="u_bob"))
    awareness.receive(plain, write_states([(8, 1, "{}")]), 0)
    for payloads in (awareness.states.take_changes(), awareness.states.all_states()):
        assert payloads is not None
        assert payloads.filtered is not None
        full, filtered = read_states(payloads.full, None), read_states(payloads.filtered, None)
        assert [each[:2] for each in full] == [each[:2] for each in filtered] == [(7, 41), (8, 1)]
        assert BARN.encode() not in payloads.filtered
        assert json.loads(filtered[0][2]) == SHOWN | ({"user": SHOWN["user"] | stamp()} if rights else {})
        assert json.loads(full[0][2]) == PLANTED | ({"user": PLANTED["user"] | stamp()} if rights else {})
        assert full[1] == filtered[1]
    awareness.receive(plain, write_states([(8, 2, '{"n":1}')]), 0)
    changes = awareness.states.take_changes()
    assert changes is not None
    assert changes.filtered is None


def stamp() -> dict[str, str]:
    return {"id": "u_ada", "name": "Ada", "role": "vendor"}


@pytest.mark.parametrize(
    "text", ['{"zone":"X"}', '{"z\\u006fne":"X","a":1}', '{"user":{"batt":"X"}}', '{"battery":"X', "\\u"]
)
def test_states_of_other_nodes_are_filtered_here(text: str) -> None:
    full, filtered = from_node(text)
    assert full == text
    assert filtered is not None
    assert "X" not in filtered
    assert from_node('{"n":1}') == ('{"n":1}', None)
    assert from_node("null") == ("null", None)


def test_a_state_of_another_node_goes_out_filtered_too() -> None:
    awareness = Awareness(1000)
    awareness.receive_from_node("other", [Presence(7, 1, json.dumps(PLANTED), "u_ada", "192.0.2.9")], 0)
    payloads = awareness.states.all_states()
    assert payloads is not None
    assert payloads.filtered is not None
    assert BARN.encode() in payloads.full
    assert BARN.encode() not in payloads.filtered
    assert json.loads(awareness.states.clients[7].text) == PLANTED


@pytest.fixture
def room() -> Room:
    return Room(1, "w", "notes.a", RoomLimits(), Counters(), RecordingRoomEvents())


def join(room: Room, identity: Identity) -> tuple[Session, HandSocket]:
    socket = HandSocket()
    session = Session(SessionId(len(room.members) + 1), socket, identity)
    room.join(session)
    return session, socket


@pytest.mark.parametrize("role", [*ROLES, "guest-of-dev"])
def test_only_those_who_run_the_wedding_are_sent_where_somebody_is(room: Room, role: str) -> None:
    rights = "" if role == "guest-of-dev" else RIGHTS
    reader, early = join(room, Identity("u_reader", role, rights=rights))
    sender, own = join(room, person())
    receive(room, sender, presence(7, 1, {"zone": BARN}))
    publish_presence(room, 0)
    newcomer, late = join(room, Identity("u_late", role, rights=rights))
    receive(room, reader, QUERY)
    receive(room, newcomer, QUERY)
    receive(room, sender, presence(7, 2, {"zone": BARN, "section": "menu"}))
    publish_presence(room, 1)
    sees = role in UNRESTRICTED_ROLES or not rights
    for socket in (early, late):
        frames = [frame for frame in socket.flush() if isinstance(decode_messages(frame)[0], AwarenessUpdate)]
        assert [BARN.encode() in frame for frame in frames] == [sees] * 3
        assert all(b'"id":"u_ada"' in frame for frame in frames)
    assert BARN.encode() not in b"".join(own.flush()), "the role of a reader decides, also about its own state"


def test_a_message_is_encoded_once_for_each_audience(room: Room) -> None:
    sessions = [join(room, Identity(f"u_{n}", role, rights=RIGHTS)) for n, role in enumerate(ROLES * 2)]
    receive(room, sessions[0][0], presence(7, 1, {"zone": BARN}))
    publish_presence(room, 0)
    assert len({id(socket.outbox[-1]) for _, socket in sessions}) == 2


def test_another_role_counts_from_the_next_message_on(room: Room) -> None:
    (sender, _), (reader, socket) = join(room, person()), join(room, Identity("u_reader", "coordinator", rights=RIGHTS))
    receive(room, sender, presence(7, 1, {"zone": BARN}))
    publish_presence(room, 0)
    assert BARN.encode() in socket.flush()[-1]
    sender.identity, reader.identity = person("photographer"), Identity("u_reader", "guest", rights=RIGHTS)
    receive(room, sender, presence(7, 2, {"zone": BARN}))
    publish_presence(room, 15)
    receive(room, reader, QUERY)
    for frame in socket.flush():
        assert b'"role":"photographer"' in frame
        assert BARN.encode() not in frame
