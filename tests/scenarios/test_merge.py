"""A wedding of 250 guests: two people work offline on different things, and meet again."""

from __future__ import annotations

from typing import Any

import pytest
from fractional_indexing import generate_n_keys_between

from documents import kind_of
from documents.sample import Sample, sample_wedding
from documents.sample.build import build_pieces
from storage import Append, DocumentKey, open_storage
from tests.scenarios.people import Who
from tests.scenarios.weddings import ORDERS, Order, Stage, Wedding

pytestmark = pytest.mark.asyncio(loop_scope="module")

COUPLE, PLANNER = Who("chloe", "couple"), Who("maria", "planner")
DOCUMENTS = ("wedding", "timeline", "budget", "care", "guests", "seating")
SAMPLE_CLIENT = 77  # Yjs client id

ADD_GUESTS = """
doc.transact(() => {
  for (const id of args.ids) {
    add('guests', id, { firstName: id, lastName: 'Late', household: args.household, order: 'b00', note: '' })
  }
})
for (const [id, phone] of Object.entries(args.phones)) get('guests', id).set('phone', phone)
get('guests', args.noted).get('note').insert(0, 'Sings in the church. ')
"""
CHANGE_MEALS = """
for (const [id, meal] of Object.entries(args.meals)) get('guests', id).set('meal', meal)
const note = get('guests', args.noted).get('note')
note.insert(note.length, ' Brings her dog.')
"""
REORDER = "for (const [id, order] of Object.entries(args.orders)) get('tables', id).set('order', order)"


def sample_for(order: Order) -> Sample:
    """A wedding in which everything holds. Each has another date: vendors of one cannot be at another that day."""
    return sample_wedding(guests=250, violations=0, date=f"{2031 + ORDERS.index(order)}-06-21")


async def plant(wedding: Wedding, sample: Sample) -> None:
    """Put the sample into the store, before anybody comes."""
    batch = []
    for document in DOCUMENTS:
        kind = kind_of(document)
        assert kind is not None
        pieces = build_pieces(sample.documents[document], kind, SAMPLE_CLIENT)
        key = DocumentKey(wedding.name, document)
        batch += [Append(key, seq, piece) for seq, piece in enumerate(pieces, 1)]
    storage = await open_storage(wedding.stage.database_url)
    try:
        await storage.append(batch)
    finally:
        await storage.close()


class Edits:
    """What both are going to do. Meals are changed of those who have told nothing of diets."""

    def __init__(self, sample: Sample) -> None:
        guests = sample.documents["guests"]["guests"]
        easy = [guest for guest in sorted(guests) if guest not in sample.documents["care"]["care"]]
        self.noted = easy[0]
        self.note = guests[easy[0]].get("note", "")
        self.household = guests[easy[0]]["household"]
        self.phones = {guest: f"+64 3 555 {number:04}" for number, guest in enumerate(sorted(guests)[:30])}
        self.meals = {guest: "beef" if guests[guest].get("meal") != "beef" else "fish" for guest in easy[-30:]}
        self.new = [f"g_late{number:02}" for number in range(20)]
        tables = sorted(sample.documents["seating"]["tables"])
        self.orders = dict(zip(reversed(tables), generate_n_keys_between(None, None, len(tables)), strict=True))

    def check(self, guests: dict[str, Any], tables: dict[str, Any]) -> None:
        assert len(guests) >= 270
        assert set(self.new) <= set(guests)
        assert {guest: guests[guest]["phone"] for guest in self.phones} == self.phones
        assert {guest: guests[guest]["meal"] for guest in self.meals} == self.meals
        assert {table: tables[table]["order"] for table in self.orders} == self.orders
        both = guests[self.noted]["note"]
        assert "Sings in the church. " in both
        assert " Brings her dog." in both
        assert both.replace("Sings in the church. ", "").replace(" Brings her dog.", "") == self.note


async def test_different_work_offline(stage: Stage) -> None:
    async def story(wedding: Wedding) -> None:
        sample = sample_for(wedding.order)
        edits = Edits(sample)
        await plant(wedding, sample)
        for document in DOCUMENTS:
            await wedding.open(document)
            assert await wedding.reviews(document) == {}, document
        await wedding.part()
        guests, seating = wedding.pairs["guests"], wedding.pairs["seating"]
        await guests.a.run(ADD_GUESTS, ids=edits.new, household=edits.household, phones=edits.phones, noted=edits.noted)
        await guests.b.run(CHANGE_MEALS, meals=edits.meals, noted=edits.noted)
        await seating.b.run(REORDER, orders=edits.orders)
        await wedding.meet()
        for document in DOCUMENTS:
            assert await wedding.reviews(document) == {}, document
        for pair in wedding.pairs.values():
            for client in pair:
                assert await client.run("return client.notices") == []  # nothing had to be undone
        edits.check(wedding.held["guests"]["guests"], wedding.held["seating"]["tables"])

    await stage.tell(story, COUPLE, PLANNER)


async def test_all_of_this_is_the_same_after_a_restart(stage: Stage) -> None:
    await stage.same_after_restart()
