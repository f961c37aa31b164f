"""Attacks by what documents hold: few bytes that make rules, commands, reads or other weddings expensive.

Each begins where honest people are, and goes on in weddings of its own. `Tally.faults` counts what the server must
never do to the honest acts that some of them have in between.
"""

from __future__ import annotations

import asyncio
from itertools import count

from tests.hostile.attacker import JSON, STEP_1, UPDATE, Attacker, exchange, message
from tests.hostile.contents import booking, guest_id, guests, overlapping
from tests.support.wire import Typist

NEIGHBOUR = "127.0.2.1"
"""The address of honest acts within attacks."""

RECORDS = 20_000
FULL_RECORDS, FULL_CHUNK = 86_000, 8_600
FULL_DOCUMENTS = 5
READABLE = 8_000
NOTE_CHARACTERS = 19_900
MOST_OPERATIONS = 1_000
REFUSALS = (400, 409, 413, 422)
"""Of what can never be taken, however often it comes."""

DELETED = {"by": "mallory", "at": "2026-06-01T10:00:00Z"}

SHOWN_SECONDS = 4.0
"""Longer than the soak's server keeps a document that nobody has open."""


async def overlaps(attacker: Attacker) -> None:
    """Items that overlap, with the same vendors and persons each; what they leave of the wedding is opened."""
    crowds = [(100, 20, 20), (70, 10, 4)]
    where = attacker.weddings("overlaps")
    for number in count():
        update = overlapping(*crowds[number % 2], prefix=f"i{number}")
        await attacker.sync(f"{where(number)}/timeline", update)
        for document in ("guests", "timeline"):
            await attacker.opens(f"{where(number)}/{document}", source=NEIGHBOUR)
        await asyncio.sleep(1)


async def reviews(attacker: Attacker) -> None:
    """Many items at one time, with two vendors each, and the deletion that repairs it."""
    where = attacker.weddings("reviews")
    for number in count():
        room = f"{where(number)}/timeline"
        items = 70 if number % 4 else 600
        await attacker.sync(room, overlapping(items, 2, 0, prefix=f"r{number}"))
        deletion = {"op": "set", "root": "items", "key": "deleted", "value": DELETED}
        deletions = [{**deletion, "record": f"r{number}_{n}"} for n in range(items)]
        answer = await attacker.operations(room, deletions)
        if answer.status in REFUSALS:
            attacker.tally.faults[f"a deletion was refused with {answer.problem}"] += 1
        await asyncio.sleep(1)


async def moves(attacker: Attacker) -> None:
    """Commands of a thousand moves each, in a document of many records."""
    room = "w_moves/guests"
    for update in guests(RECORDS, 5_000):
        await attacker.sync(room, update)
    for number in count():

        async def move(part: int, number: int = number) -> None:
            places = ((n * 17 + part, n * 31 + number) for n in range(MOST_OPERATIONS))
            records = [(guest_id(one % RECORDS), guest_id(other % RECORDS)) for one, other in places]
            operations = [
                {"op": "move", "root": "guests", "record": one, "after": other if one != other else None}
                for one, other in records
            ]
            await attacker.operations(room, operations, user=f"mallory{part}")

        await asyncio.gather(*(move(part) for part in range(4)))


async def bookings(attacker: Attacker) -> None:
    """Bookings of the organization that an honest wedding has booked, from ever new weddings."""
    victim = "w_victim/wedding"
    await attacker.sync(victim, booking("o_lens", "victim", 840), user="honest", source=NEIGHBOUR)
    for number in count():
        await attacker.sync(f"w_bookings{number}/wedding", booking("o_lens", "attacker", 800 + number % 60))
        answer = await attacker.get(f"{attacker.document(victim)}?user=honest", source=NEIGHBOUR)
        if answer.status == 200 and b'"stage":"booked"' not in answer.body:
            attacker.tally.faults["another wedding set a booking back"] += 1
        await asyncio.sleep(0.3)


async def names(attacker: Attacker) -> None:
    """Names, ids, keys and values that a database cannot keep."""
    bad_names = ("a%00", "a%0a", "%ed%a0%80", "a%C2%85", "x" * 300, "%ff")
    records = ({"firstName": "a\0b"}, {"firstName": "a\0b", "tag:a\0": True}, {"firstName": "\ud800"})
    typist = Typist(attacker.fresh_id())
    for number in count():
        name = bad_names[number % len(bad_names)]
        for document in ("notes.attacked", "guests"):
            async with attacker.link(f"{attacker.wedding}/{document}?user={name}") as link:
                await attacker.send(link, message(STEP_1, b"\0"))
                await attacker.send(link, message(UPDATE, typist.text(b"x")))
                await attacker.verdict(link, 0.3)
        typist = Typist(attacker.fresh_id())
        for record in records:
            operation = {"op": "insert", "root": "guests", "record": f"g_{number}\0", "value": record}
            await attacker.operations(
                f"{attacker.wedding}/guests", [operation, {**operation, "record": f"g_n{number}"}]
            )
        path = f"/api/weddings/{attacker.wedding}/documents/guests/ops?user={name}"
        await attacker.post(path, b'{"operations":[]}', headers=f"{JSON}Idempotency-Key: a\tb\x01c\r\n")
        for address in ("w%00x/documents/notes.a", f"{attacker.wedding}/documents/notes.a%00b"):
            await attacker.post(f"/api/weddings/{address}/sync", exchange(b"\0\0"))


async def texts(attacker: Attacker) -> None:
    """Commands of a thousand edits of one long text."""
    room = "w_texts/guests"
    record = {"firstName": "Long", "note": "n" * NOTE_CHARACTERS}
    await attacker.operations(room, [{"op": "insert", "root": "guests", "record": "g_1", "value": record}])
    for number in count():
        edit = {"op": "text", "root": "guests", "record": "g_1", "key": "note"}
        splices = [
            {**edit, "index": (n * 37 + number) % (NOTE_CHARACTERS - 900), "delete": 1, "insert": "z"}
            for n in range(MOST_OPERATIONS)
        ]
        others = [{**edit, "value": "".join(attacker.random.choices("ab ", k=NOTE_CHARACTERS // 2))}] * 4
        await asyncio.gather(*(attacker.operations(room, each) for each in (splices, splices, others, others)))


async def reads(attacker: Attacker) -> None:
    """Everything that can be read by HTTP, twenty at a time, in a wedding with much to read."""
    room = "w_reads/guests"
    for update in guests(READABLE, 4_000):
        await attacker.sync(room, update)
    for number in range(6):
        edits = [
            {"op": "set", "root": "guests", "record": guest_id(n), "key": "lastName", "value": f"{'n' * 100}{number}"}
            for n in range(400)
        ]
        await attacker.operations(room, edits)
    await attacker.sync("w_reads/timeline", overlapping(70, 10, 4))
    paths = (
        *("events?limit=500&after=0", "conflicts", "documents/guests", "documents/timeline/digest"),
        *("documents/guests/state", "documents/guests/digest"),
    )
    while True:
        for path in paths:
            query = "&" if "?" in path else "?"
            people = [f"/api/weddings/w_reads/{path}{query}user=m{number}" for number in range(20)]
            await asyncio.gather(*(attacker.get(each) for each in people))


async def thieves(attacker: Attacker) -> None:
    """First use of a client id that somebody else has shown in presence: what the other writes is not lost unseen."""
    for number in count():
        room = f"w_thieves/notes.n{number}"
        victim = attacker.fresh_id()
        mark = f"mine{victim}".encode()
        async with (
            attacker.link(source=NEIGHBOUR, path=f"/ws/{room}?user=victim") as honest,
            attacker.link(room) as thief,
        ):
            await attacker.send(honest, message(STEP_1, b"\0"))
            await attacker.send(thief, message(UPDATE, Typist(victim).text(b"stolen")))
            await thief.receives(b"stolen", 5.0)
            await attacker.send(honest, message(UPDATE, Typist(victim).text(mark)))
            receipted = await honest.receives(mark, 2.0)
        state = await attacker.get(f"{attacker.document(room)}/state", source=NEIGHBOUR)
        if receipted and state.status == 200 and mark not in state.body:
            attacker.tally.faults["a text was receipted, and is nowhere"] += 1
        await asyncio.sleep(0.5)


async def documents(attacker: Attacker) -> None:
    """Full documents in several weddings, opened again and again after they were closed."""
    updates = list(guests(FULL_RECORDS, FULL_CHUNK, {"side": "a"}))
    rooms = [f"w_documents{number}/guests" for number in range(FULL_DOCUMENTS)]
    for number, room in enumerate(rooms):
        for update in updates:
            await attacker.sync(room, update)
        await asyncio.sleep(SHOWN_SECONDS)
        await asyncio.gather(*(attacker.opens(each, source=NEIGHBOUR) for each in rooms[: number + 1]))
    while True:
        await asyncio.sleep(SHOWN_SECONDS)
        await asyncio.gather(*(attacker.opens(room, source=NEIGHBOUR) for room in rooms))
        await attacker.opens(f"{rooms[0].split('/')[0]}/timeline", source=NEIGHBOUR)
