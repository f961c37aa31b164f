"""How much the store grows by edits, by table: a real store, real hosts, two people at one text."""

from __future__ import annotations

from pycrdt import Map, Text

from crdt_server.hub.hub import Hub
from storage import Storage
from tests.hub.test_weddings import Guide, hub  # noqa: F401 - fixtures
from tests.support.codec import encode_update

NOTE_CHARACTERS = 19_000
EDITS = 60
TYPED = "y" * 10


def note_of(guide: Guide) -> Text:
    found: Text = guide.replica.doc.get("guests", type=Map)["g_1"]["note"]
    return found


async def type_in(guide: Guide, *, at_the_end: bool) -> None:
    before, note = guide.replica.state_vector, note_of(guide)
    note.insert(len(str(note)) if at_the_end else 0, TYPED)
    guide.send(encode_update(guide.replica.doc.get_update(before)))
    await guide.knows("g_1")


async def test_two_people_who_type_in_turns_store_what_they_typed(hub: Hub, storage: Storage) -> None:  # noqa: F811
    ada, ben = Guide(hub, 101), Guide(hub, 202)
    ada.put("g_1", note="x" * NOTE_CHARACTERS)
    await ada.knows("g_1")
    await ben.knows("g_1")
    before = await storage.usage("w")
    for n in range(EDITS):
        await type_in((ada, ben)[n % 2], at_the_end=bool(n % 2))
    for guide in (ada, ben):
        await guide.socket.until(lambda guide=guide: guide.read() or len(str(note_of(guide))) == NOTE_CHARACTERS + 600)
    after = await storage.usage("w")
    # Of each edit 30 to 40 bytes of update; of the row at most the text twice: as it is, and as it was 30 s ago.
    assert after.update_bytes - before.update_bytes < 100 * EDITS
    assert after.row_bytes < 2 * NOTE_CHARACTERS + 5_000
    assert after.event_bytes == before.event_bytes  # they are one event, which is written when 30 s have passed
