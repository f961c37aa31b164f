"""Two people spend without seeing each other: amounts are never changed, and both hear of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.scenarios.people import Who
from tests.scenarios.weddings import Stage, Wedding, option

pytestmark = pytest.mark.asyncio(loop_scope="module")

COUPLE, PARTNER = Who("chloe", "couple"), Who("aroha", "couple")
PLANNER = Who("maria", "planner")

BUDGET = """
doc.getMap('meta').set('limit', args.limit)
add('categories', 'c_all', { name: 'All', order: 'a0' })
add('items', 'b_all', { name: 'Venue', category: 'c_all', quoted: args.spent, order: 'a0', note: '' })
"""
SPEND = "add('items', '{id}', {{ name: '{id}', category: 'c_all', quoted: {amount}, order: 'a1', note: '' }})"
PAY = """
doc.getMap('payments').set({id!r}, {{ item: 'b_all', amount: 100, on: {on!r}, kind: 'deposit', reference: 'INV-17' }})
"""


@pytest.mark.parametrize(
    ("currency", "minor", "over"),
    [pytest.param("NZD", 100, "NZ$1,000.00", id="cents"), pytest.param("JPY", 1, "¥1,000", id="yen")],
)
@pytest.mark.parametrize("way_out", ["set lower", "set deleted"])
async def test_over_the_limit(stage: Stage, currency: str, minor: int, over: str, way_out: str) -> None:
    a_spends, b_spends = (SPEND.format(id=id, amount=1_500 * minor) for id in ("b_band", "b_cake"))

    async def story(wedding: Wedding) -> None:
        await wedding.open("wedding", "doc.getMap('meta').set('currency', args.currency)", currency=currency)
        pair = await wedding.open("budget", BUDGET, limit=45_000 * minor, spent=43_000 * minor)
        rows = await wedding.apart("budget", a_spends, b_spends)
        assert {item: row["quoted"] for item, row in rows["items"].items()} == {
            "b_all": 43_000 * minor,
            "b_band": 1_500 * minor,
            "b_cake": 1_500 * minor,
        }
        record, review = await wedding.the_review("budget", "B1")
        assert (review["_state"], review["_severity"]) == ("open", "error")
        assert over in review["_summary"]
        causes = {(party["user"], party.get("value")) for party in review["_parties"]}
        assert {(COUPLE.user, 1_500 * minor), (PARTNER.user, 1_500 * minor)} <= causes
        assert await over_limit_events(wedding) == [record]
        lower = "get('items', 'b_band').set('quoted', args.amount)"
        delete = "get('items', 'b_band').set('deleted', { at: new Date().toISOString(), by: 'chloe' })"
        await pair.a.run(lower if way_out == "set lower" else delete, amount=500 * minor)
        for client in pair:
            await client.wait("get('review', args.id).get('_state') === 'resolved'", id=record)
        _, review = await wedding.the_review("budget", "B1")
        assert review["_outcome"] == "moot"

    await stage.tell(story, COUPLE, PARTNER)


async def over_limit_events(wedding: Wedding) -> list[Any]:
    """The conflicts from which events of this kind followed."""
    return [event.get("cause") for event in await wedding.events() if event["type"] == "budget.over_limit"]


async def test_one_transfer_logged_twice(stage: Stage) -> None:
    async def story(wedding: Wedding) -> None:
        pair = await wedding.open("budget", BUDGET, limit=1_000, spent=500)
        by_a, by_b = PAY.format(id="pay_a", on="2026-01-15"), PAY.format(id="pay_b", on="2026-01-16")
        rows = await wedding.apart("budget", by_a, by_b)
        assert set(rows["payments"]) == {"pay_a", "pay_b"}
        assert "voids" not in rows
        record, review = await wedding.the_review("budget", "B4")
        assert review["_state"] == "open"
        voids = [
            (each["id"], operation["record"])
            for each in review["_options"]
            for operation in each["operations"]
            if operation["root"] == "voids"
        ]
        assert {payment for _, payment in voids} == {"pay_a", "pay_b"}
        chosen, payment = voids[0]
        await wedding.choose("budget", record, chosen)
        rows = await wedding.equal("budget")
        assert set(rows["voids"]) == {payment}
        assert len(rows["payments"]) == 2
        assert pair.a.who.user == rows["review"][record]["_by"]

    await stage.tell(story, COUPLE, PARTNER)


@pytest.mark.parametrize("way", ["key", "option"])
async def test_a_planner_quotes_more_and_the_couple_approves(stage: Stage, way: str) -> None:
    async def story(wedding: Wedding) -> None:
        pair = await wedding.open("budget", "doc.getMap('meta').set('mustApproveOver', 2_000)")
        await pair.b.run("add('items', 'b_album', { name: 'Album', quoted: 2_500, note: '' })")
        await pair.a.wait("doc.getMap('review').size === 1 && doc.getMap('approvals').size === 1")
        record, review = await wedding.the_review("budget", "B5")
        (approval,) = (await wedding.equal("budget"))["approvals"]
        assert review["_state"] == "open"
        if way == "key":
            vote = "get('approvals', args.id).set('approvedBy:chloe', new Date().toISOString())"
            await pair.a.run(vote, id=approval)
        else:
            await wedding.choose("budget", record, option(review, "Approve 25.00"))
        for client in pair:
            await client.wait("get('review', args.id).get('_state') === 'resolved'", id=record)
        rows = await wedding.equal("budget")
        assert rows["approvals"][approval]["_state"] == "approved"
        await pair.b.run("get('items', 'b_album').set('quoted', 2_600)")
        for client in pair:
            await client.wait("get('review', args.id).get('_state') === 'open'", id=record)
        rows = await wedding.equal("budget")
        assert {row["to"]: row["_state"] for row in rows["approvals"].values()} == {2_500: "approved", 2_600: "pending"}

    await stage.tell(story, COUPLE, PLANNER)


async def test_all_of_this_is_the_same_after_a_restart(stage: Stage) -> None:
    await stage.same_after_restart()
