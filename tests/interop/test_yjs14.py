"""Clients of Yjs 14 (release candidates of `@y/y` and `@y/websocket`) in the rooms of Yjs 13. README and
`crdt_server/protocol/README.md` have what does not work."""

from __future__ import annotations

from tests.interop.clients import Client, Room


def join_fourteen(room: Room, name: str) -> Client:
    """A new client of Yjs 14 that has synced with the server."""
    client = Client(room, name)
    room.node.call("openFourteen", client=name, url=room.url, room=room.document, params={"user": name})
    client.wait("provider.synced")
    return client


def test_both_edit_a_free_form_document(room: Room) -> None:
    old, new = room.join("old"), join_fourteen(room, "new")
    old.run(
        "doc.getText('t').insert(0, 'Peonies'); doc.getMap('m').set('k', 13); doc.getArray('a').insert(0, [1, {b: 2}])"
    )
    new.wait("doc.get('t').toString() === 'Peonies' && doc.get('m').getAttr('k') === 13 && doc.get('a').length === 2")
    new.run("doc.get('t').insert(7, ' and roses'); doc.get('t').format(0, 7, { bold: true })")
    new.run("doc.get('m').setAttr('j', 14); doc.get('a').insert(2, ['five', true])")
    old.wait("doc.getText('t').toString() === 'Peonies and roses' && doc.getMap('m').get('j') === 14")
    old.wait("doc.getArray('a').length === 4 && doc.getText('t').toDelta()[0].attributes.bold")
    # Away and back.
    new.run("provider.disconnect()")
    new.run("doc.get('t').delete(0, 8)")
    old.run("doc.getText('t').insert(doc.getText('t').length, '!')")
    new.run("provider.connect()")
    for client, text in ((old, "doc.getText('t')"), (new, "doc.get('t')")):
        client.wait(f"{text}.toString() === 'and roses!'")
    # A type that Yjs 14 nests has no kind: Yjs 13 takes it for a fragment of XML.
    new.run("const nested = new client.Y.Type(); nested.setAttr('x', 1); doc.get('m').setAttr('nested', nested)")
    old.wait("doc.getMap('m').get('nested') instanceof Y.XmlFragment")


def test_both_edit_a_document_with_a_schema(room: Room) -> None:
    room.document = "timeline"
    old, new = room.join("old"), join_fourteen(room, "new")
    old.run(
        "const row = [['title', 'Dinner'], ['start', 900], ['duration', 30], ['note', new Y.Text('At the lake')]];"
        "doc.getMap('items').set('t_1', new Y.Map(row))"
    )
    new.wait("doc.get('items').hasAttr('t_1')")
    new.run("const row = doc.get('items').getAttr('t_1'); row.setAttr('title', 'Supper')")
    new.run("doc.get('items').getAttr('t_1').getAttr('note').insert(0, 'Down ')")
    item = "doc.getMap('items').get('t_1')"
    old.wait(f"{item}.get('title') === 'Supper' && {item}.get('note').toString() === 'Down At the lake'")
    new.run("doc.get('items').getAttr('t_1').setAttr('start', 'late')")
    new.wait("client.denied.length === 1 && doc.get('items').getAttr('t_1').getAttr('start') === 900")
    # It has no map to make a record of: that is undone, and ended the document host once.
    new.run("const cake = new client.Y.Type(); cake.setAttr('title', 'Cake'); doc.get('items').setAttr('t_2', cake)")
    new.wait("client.denied.length === 2 && !doc.get('items').hasAttr('t_2')")
    assert new.run("return client.denied[1].reverted") == [
        {"root": "items", "record": "t_2", "key": None, "code": "type"}
    ]
    new.run("doc.get('items').getAttr('t_1').setAttr('duration', 45)")
    old.wait(f"{item}.get('duration') === 45")
    assert "document_host_died" not in room.server.log
