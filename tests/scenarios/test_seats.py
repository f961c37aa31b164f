"""Two people seat guests without seeing each other: one seat for two guests, and one guest at two tables."""

from __future__ import annotations

import pytest

from tests.scenarios.people import Who
from tests.scenarios.weddings import Stage, Wedding, option

pytestmark = pytest.mark.asyncio(loop_scope="module")

COUPLE, PARTNER = Who("chloe", "couple"), Who("aroha", "couple")
PLANNER, FAMILY = Who("maria", "planner"), Who("mei", "family")

GUESTS = """
add('households', 'h_1', { name: 'Household' })
for (const [id, firstName] of Object.entries(args.names)) add('guests', id, { firstName, household: 'h_1' })
"""
TABLES = """
for (const [id, capacity] of Object.entries(args.tables)) {
  add('tables', id, { label: id.slice(2), capacity, order: 'a0' })
}
for (const [guest, seat] of Object.entries(args.seats)) doc.getMap('assignments').set(guest, seat)
"""
SEAT = "doc.getMap('assignments').set({guest!r}, {{ table: {table!r}, seat: {seat} }})"


def seat(guest: str, table: str, number: int | None) -> str:
    return SEAT.format(guest=guest, table=table, seat="null" if number is None else number)


@pytest.mark.parametrize(
    ("a", "b", "rank_decides"),
    [
        pytest.param(COUPLE, PARTNER, False, id="equal ranks"),
        pytest.param(COUPLE, PLANNER, True, id="couple and planner"),
    ],
)
async def test_two_guests_in_one_seat(stage: Stage, a: Who, b: Who, rank_decides: bool) -> None:
    async def story(wedding: Wedding) -> None:
        await wedding.open("guests", GUESTS, names={"g_ann": "Ann", "g_bob": "Bob", "g_cleo": "Cleo"})
        await wedding.open("seating", TABLES, tables={"t_5": 8}, seats={"g_cleo": {"table": "t_5", "seat": 0}})
        rows = await wedding.apart("seating", seat("g_ann", "t_5", 4), seat("g_bob", "t_5", 4))
        loser, winner = "Bob", "Ann"
        if wedding.order.first == "b" and not rank_decides:
            loser, winner = winner, loser
        ids = {"Ann": "g_ann", "Bob": "g_bob"}
        assert rows["assignments"][ids[winner]] == {"table": "t_5", "seat": 4}
        assert rows["assignments"][ids[loser]] == {"table": "t_5", "seat": 1}
        record, review = await wedding.the_review("seating", "S1")
        assert review["_state"] == "auto"
        assert "Ann" in review["_summary"]
        assert "Bob" in review["_summary"]
        assert {party["user"] for party in review["_parties"]} == {a.user, b.user}
        await wedding.choose("seating", record, option(review, f"{loser} keeps seat 5"))
        rows = await wedding.equal("seating")
        assert rows["assignments"][ids[loser]] == {"table": "t_5", "seat": 4}
        assert rows["assignments"][ids[winner]] == {"table": "t_5", "seat": 1}
        assert rows["review"][record]["_by"] == a.user

    await stage.tell(story, a, b)


async def test_no_seat_is_left(stage: Stage) -> None:
    async def story(wedding: Wedding) -> None:
        others = {f"g_{number}": {"table": "t_5", "seat": number} for number in range(4)}
        names = {guest: guest.upper() for guest in others} | {"g_ann": "Ann", "g_bob": "Bob"}
        await wedding.open("guests", GUESTS, names=names)
        await wedding.open("seating", TABLES, tables={"t_5": 5}, seats=others)
        rows = await wedding.apart("seating", seat("g_ann", "t_5", 4), seat("g_bob", "t_5", 4))
        assert rows["assignments"]["g_ann"] == {"table": "t_5", "seat": 4}
        assert "g_bob" not in rows["assignments"]
        _, review = await wedding.the_review("seating", "S1")
        assert (review["_state"], review["_severity"]) == ("auto", "error")

    await stage.tell(story, COUPLE, PLANNER)


async def test_a_swap_in_two_writes_is_no_conflict(stage: Stage) -> None:
    """What does not hold any more after the three seconds in which people may finish leaves no trace."""

    async def story(wedding: Wedding) -> None:
        seats = {"g_ann": {"table": "t_5", "seat": 1}, "g_bob": {"table": "t_5", "seat": 2}}
        pair = await wedding.open("seating", TABLES, tables={"t_5": 8, "t_6": 8}, seats=seats)
        await pair.a.run(seat("g_ann", "t_5", 2))
        await pair.b.wait("doc.getMap('assignments').get('g_ann').seat === 2")
        await pair.b.run(seat("g_bob", "t_5", 1))
        # A conflict that stays, begun later: when it has been resolved, the swap has been looked at, too.
        await pair.a.run(seat("g_cleo", "t_6", 0))
        await pair.b.run(seat("g_dan", "t_6", 0))
        await pair.witness.wait("doc.getMap('review').size > 0")
        _, review = await wedding.the_review("seating", "S1")
        assert review["_subject"][0]["record"] in ("g_cleo", "g_dan")
        rows = await wedding.equal("seating")
        assert [rows["assignments"][guest]["seat"] for guest in ("g_ann", "g_bob")] == [2, 1]

    await stage.tell(story, COUPLE, PLANNER)


@pytest.mark.parametrize(
    ("a", "winner"), [pytest.param(COUPLE, "t_1", id="couple and planner"), pytest.param(FAMILY, "t_2", id="family")]
)
async def test_one_guest_at_two_tables(stage: Stage, a: Who, winner: str) -> None:
    async def story(wedding: Wedding) -> None:
        tables = {"t_0": 8, "t_1": 8, "t_2": 8}
        await wedding.open("seating", TABLES, tables=tables, seats={"g_cleo": {"table": "t_0", "seat": None}})
        rows = await wedding.apart("seating", seat("g_cleo", "t_1", None), seat("g_cleo", "t_2", None))
        other = "t_2" if winner == "t_1" else "t_1"
        assert rows["assignments"] == {"g_cleo": {"table": winner, "seat": None}}
        _, review = await wedding.the_review("seating", "X1")
        assert review["_state"] == "auto"
        assert {"table": other, "seat": None} in [party["value"] for party in review["_parties"]]
        assert f"wrote: table {other[2:]}." in review["_options"][1]["text"]

    await stage.tell(story, a, PLANNER)


async def test_a_slip_is_taken_back_with_all_that_followed(stage: Stage) -> None:
    """A table is deleted and restored, a guest says no and yes: everybody sits as before."""

    async def story(wedding: Wedding) -> None:
        names = {"g_ann": "Ann", "g_bob": "Bob", "g_cleo": "Cleo", "g_dan": "Dan", "g_eve": "Eve"}
        seats = {guest: {"table": "t_5", "seat": number} for number, guest in enumerate(list(names)[:4])}
        seats["g_eve"] = {"table": "t_6", "seat": None}
        alone = "add('households', 'h_2', { name: 'Eve' }); get('guests', 'g_eve').set('household', 'h_2')"
        guests = await wedding.open("guests", GUESTS + alone, names=names)
        pair = await wedding.open("seating", TABLES, tables={"t_5": 4, "t_6": 8}, seats=seats)
        stamp = "{ at: new Date().toISOString(), by: 'maria' }"
        await pair.b.run(f"get('tables', 't_5').set('deleted', {stamp})")
        await guests.b.run("get('guests', 'g_eve').set('rsvp:e_reception', 'no')")
        await pair.b.wait("doc.getMap('assignments').size === 0")
        reviews = await wedding.reviews("seating")
        assert sorted(each["_kind"] for each in reviews.values()) == ["S3", "S3", "S3", "S3", "S4"]
        assert all(len(each["_options"]) == 1 for each in reviews.values())
        await pair.b.run("get('tables', 't_5').delete('deleted')")
        await guests.b.run("get('guests', 'g_eve').set('rsvp:e_reception', 'yes')")
        await pair.a.wait("doc.getMap('assignments').size === 5")
        rows = await wedding.equal("seating")
        assert rows["assignments"] == seats
        assert all("again" in each["_summary"] for each in rows["review"].values())
        await wedding.equal("guests")

    await stage.tell(story, COUPLE, PLANNER)


async def test_all_of_this_is_the_same_after_a_restart(stage: Stage) -> None:
    await stage.same_after_restart()
