"""Stock Yjs clients (yjs and y-websocket in Node) against the real server, on both lanes."""

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from crdt_server.protocol.lib0 import write_var_uint
from tests.interop.clients import Room
from tests.support.codec import encode_update
from tests.support.wire import Typist

EVERY_TYPE = """
doc.getText('text').insert(0, args.name)
doc.getMap('map').set(args.name, { list: [1, 2.5, null, true], text: 'é' })
doc.getArray('array').push([args.name, 2 ** 40])
doc.getXmlFragment('xml').push([new Y.XmlElement(args.name)])
"""


def test_clients_edit_every_type_at_once(room: Room) -> None:
    names = ["ann", "bob", "cleo", "dan"]
    clients = [room.join(name) for name in names]
    for client in clients:
        client.run(EVERY_TYPE, name=client.name)
    held = room.settle()
    assert sorted(held["map"]) == names
    assert all(name in held["text"][0]["insert"] and f"<{name}>" in held["xml"] for name in names)
    assert len(held["array"]) == 8


def test_offline_and_back(room: Room) -> None:
    ann, bob, cleo = room.join("ann"), room.join("bob"), room.join("cleo")
    ann.run("doc.getText('text').insert(0, 'one two three')")
    bob.wait("doc.getText('text').length === 13")
    ann.disconnect()
    bob.disconnect()
    ann.run("doc.getText('text').delete(4, 4); doc.getText('text').insert(0, 'zero '); doc.getMap('map').set('x', 1)")
    bob.run("doc.getText('text').insert(13, ' four'); doc.getArray('array').push(['bob'])")
    cleo.run("doc.getText('text').insert(3, '!')")
    bob.connect()
    ann.connect()
    held = room.settle()
    assert held == {
        "text": [{"insert": "zero one! three four"}],
        "map": {"x": 1},
        "array": ["bob"],
        "xml": "",
    }


@pytest.mark.parametrize("lower", ["ann", "bob"])
def test_one_key_two_writers_offline(room: Room, lower: str) -> None:
    """Yjs lets the higher client id win, whoever comes first; nothing on the way may change that."""
    ann = room.join("ann", client_id=1 if lower == "ann" else 99)
    bob = room.join("bob", client_id=99 if lower == "ann" else 1)
    for client in (ann, bob):
        client.disconnect()
        client.run("doc.getMap('map').set('owner', args.name)", name=client.name)
    ann.connect()
    bob.connect()
    assert room.settle()["map"] == {"owner": "bob" if lower == "ann" else "ann"}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        pytest.param("text.delete(2, 1)", "a\ufffdb", id="second half deleted"),
        pytest.param("text.delete(1, 1)", "a\ufffdb", id="first half deleted"),
        pytest.param("text.insert(2, '-')", "a\ufffd-\ufffdb", id="insert in the middle"),
    ],
)
def test_emoji_split_by_a_client(room: Room, code: str, expected: str) -> None:
    ann, bob = room.join("ann"), room.join("bob")
    ann.run("doc.getText('text').insert(0, 'a💐b')")
    bob.wait("doc.getText('text').length === 4")
    bob.run(f"const text = doc.getText('text'); {code}")
    assert room.settle()["text"] == [{"insert": expected}]
    room.join("newcomer")
    ann.run("doc.getText('text').insert(1, 'é')")
    assert room.settle()["text"] == [{"insert": "aé" + expected[1:]}]


def test_emoji_split_by_two_clients_offline(room: Room) -> None:
    ann, bob = room.join("ann"), room.join("bob")
    ann.run("doc.getText('text').insert(0, '👩🏽‍🍳👨‍👩‍👧')")
    bob.wait("doc.getText('text').length === args.length", length=15)
    for client, code in ((ann, "delete(1, 3)"), (bob, "insert(8, 'x')")):
        client.disconnect()
        client.run(f"doc.getText('text').{code}")
    ann.connect()
    bob.connect()
    room.settle()
    room.join("newcomer")
    room.settle()


def test_nested_types_and_xml(room: Room) -> None:
    ann, bob = room.join("ann"), room.join("bob")
    ann.run("""
        const paragraph = new Y.XmlElement('paragraph')
        paragraph.setAttribute('align', 'centre')
        paragraph.insert(0, [new Y.XmlText('Dinner & dance')])
        doc.getXmlFragment('xml').insert(0, [paragraph])
        const table = new Y.Map([['seats', new Y.Array()], ['note', new Y.Text('by the window')]])
        doc.getMap('map').set('table', table)
        table.get('seats').push([new Y.Map([['guest', 'Zoë']]), new Uint8Array([0, 255])])
    """)
    bob.wait("doc.getMap('map').has('table')")
    bob.run("""
        doc.getXmlFragment('xml').get(0).get(0).format(0, 6, { strong: {} })
        doc.getXmlFragment('xml').get(0).insertAfter(null, [new Y.XmlElement('image')])
        doc.getMap('map').get('table').get('note').insert(0, 'not ')
    """)
    ann.run("doc.getMap('map').get('table').get('seats').get(0).set('guest', 'Zoë B.')")
    held = room.settle()
    assert held["xml"] == '<paragraph align="centre"><image></image><strong>Dinner</strong> & dance</paragraph>'
    assert held["map"]["table"]["note"] == "not by the window"
    assert held["map"]["table"]["seats"][0] == {"guest": "Zoë B."}
    bob.run("doc.getMap('map').delete('table'); doc.getXmlFragment('xml').delete(0, 1)")
    assert room.settle()["map"] == {}


def test_formatting_and_embeds(room: Room) -> None:
    ann, bob = room.join("ann"), room.join("bob")
    ann.run("doc.getText('text').applyDelta([{ insert: 'Save the date' }, { insert: { image: 'rings.png' } }])")
    bob.wait("doc.getText('text').length === 14")
    ann.run("doc.getText('text').format(0, 8, { bold: true })")
    bob.run("doc.getText('text').format(5, 8, { colour: '#c0ffee' })")
    assert room.settle()["text"] == [
        {"insert": "Save ", "attributes": {"bold": True}},
        {"insert": "the", "attributes": {"bold": True, "colour": "#c0ffee"}},
        {"insert": " date", "attributes": {"colour": "#c0ffee"}},
        {"insert": {"image": "rings.png"}},
    ]


def test_subdocuments_are_named_to_the_others(room: Room) -> None:
    ann, bob = room.join("ann"), room.join("bob")
    ann.run("doc.getMap('map').set('sub', new Y.Doc({ guid: 'menu-1', meta: { course: 2 } }))")
    assert bob.wait("doc.getMap('map').get('sub')?.guid") == "menu-1"
    assert room.join("newcomer").wait("[...doc.getSubdocs()].map(sub => sub.guid).join()") == "menu-1"
    room.settle()


def test_undo_after_others_edited(room: Room) -> None:
    ann, bob = room.join("ann"), room.join("bob")
    ann.run("""
        client.undo = new Y.UndoManager(doc.getText('text'))
        doc.getText('text').insert(0, 'first')
    """)
    bob.wait("doc.getText('text').length === 5")
    bob.run("doc.getText('text').insert(2, '--')")
    ann.wait("doc.getText('text').length === 7")
    ann.run("client.undo.undo()")
    assert room.settle()["text"] == [{"insert": "--"}]
    ann.run("client.undo.redo()")
    room.settle()


def test_five_megabytes(room: Room) -> None:
    ann = room.join("ann")
    ann.run("doc.getText('text').insert(0, 'Liebe Gäste! '.repeat(400_000))")
    ann.wait("doc.getText('text').length === 5_200_000")
    bob = room.join("bob")
    bob.wait("doc.getText('text').length === 5_200_000", seconds=30)
    bob.run("doc.getText('text').delete(6, 6)")
    held = room.settle(seconds=30)
    assert len(held["text"][0]["insert"]) == 5_199_994


def test_server_restarts_under_clients(room: Room) -> None:
    ann, bob = room.join("ann"), room.join("bob")
    ann.run("doc.getText('text').insert(0, 'before ')")
    bob.wait("doc.getText('text').length === 7")
    room.server.restart()
    ann.run("doc.getText('text').insert(7, 'after')")
    assert room.settle(seconds=30)["text"] == [{"insert": "before after"}]
    assert 1012 in ann.run("return client.closes")


def test_presence_with_any_name(room: Room) -> None:
    ann, bob = room.join("ann"), room.join("bob")
    for client, name in ((ann, "Chloé 💐"), (bob, "Łukasz 陳 \u0000 \ud83d\udc70")):
        client.run("awareness.setLocalStateField('user', { name: args.name })", name=name)
    seen = "[...awareness.getStates().values()].some(state => state.user?.name === args.name)"
    bob.wait(seen, name="Chloé 💐")
    ann.wait(seen, name="Łukasz 陳 \u0000 👰")
    newcomer = room.join("newcomer")
    newcomer.wait(seen, name="Chloé 💐")
    newcomer.wait(seen, name="Łukasz 陳 \u0000 👰")


@pytest.mark.parametrize("leave", ["close", "disconnect", "terminate"])
def test_presence_goes_with_its_client(room: Room, leave: str) -> None:
    ann, bob = room.join("ann"), room.join("bob")
    bob.run("awareness.setLocalStateField('user', { name: 'Bob' })")
    client_id = bob.run("return doc.clientID")
    ann.wait("awareness.getStates().get(args.id)?.user?.name === 'Bob'", id=client_id)
    if leave == "close":
        bob.close()
    elif leave == "disconnect":
        bob.disconnect()
    else:
        bob.run("provider.shouldConnect = false; provider.ws.terminate()")  # a lost link: no close frame
    ann.wait("!awareness.getStates().has(args.id)", id=client_id)
    assert room.join("newcomer").run("return awareness.getStates().has(args.id)", id=client_id) is False


def test_presence_comes_back_with_its_client(room: Room) -> None:
    ann, bob = room.join("ann"), room.join("bob")
    bob.run("awareness.setLocalStateField('user', { name: 'Bob' })")
    client_id = bob.run("return doc.clientID")
    bob.disconnect()
    ann.wait("!awareness.getStates().has(args.id)", id=client_id)
    bob.connect()
    bob.run("awareness.setLocalStateField('cursor', 3)")
    ann.wait("awareness.getStates().get(args.id)?.cursor === 3", id=client_id)


def test_unknown_document_is_final(room: Room) -> None:
    """4404 is in the range a stock client does not come back from."""
    room.node.call("open", client="lost", url=room.url, room="no-such-kind")
    result = room.node.call("wait", client="lost", expression="client.closes[0]", args={})
    assert result == 4404
    assert room.node.call("run", client="lost", code="return provider.shouldConnect", args={}) is False


def test_offline_sync_over_http(room: Room) -> None:
    ann, phone = room.join("ann"), room.join("phone")
    phone.disconnect()
    phone.run("doc.getText('text').insert(0, 'from the phone')")
    ann.run("doc.getMap('map').set('from', 'ann')")
    room.http_sync(ann)
    answer = room.http_sync(phone)
    assert answer["trailing"] is False
    assert answer["vectors"][0] == answer["vectors"][1]
    held = room.settle()
    assert (held["text"], held["map"]) == ([{"insert": "from the phone"}], {"from": "ann"})


def test_state_of_what_is_missing(room: Room) -> None:
    ann = room.join("ann", client_id=7)
    ann.run("doc.getText('text').insert(0, 'abcdef')")
    room.settle()
    assert room.node.call("missing", stateUrl=f"{room.api}/state", stateVector={"7": 4}) == [[7, 4, 2]]
    assert room.node.call("missing", stateUrl=f"{room.api}/state", stateVector={"7": 6}) == []


def test_a_client_id_is_not_stolen_from_presence(room: Room) -> None:
    ann = room.join("ann", client_id=4_000_000_001)
    ann.run("awareness.setLocalState({ user: { name: 'Ann' } })")
    with connect(f"{room.address}?user=eve", proxy=None) as thief:
        while write_var_uint(4_000_000_001) not in (frame := thief.recv(20)) or frame[0] != 1:
            pass
        thief.send(encode_update(Typist(4_000_000_001, "text").text(b"s")))
        with pytest.raises(ConnectionClosed):
            _ = [thief.recv(20) for _ in range(100)]
        assert thief.close_code == 4409
    ann.run("doc.getText('text').insert(0, 'my text')")
    assert room.settle()["text"] == [{"insert": "my text"}]
    assert ann.run("return client.closes") == []
