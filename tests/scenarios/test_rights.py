"""Scenarios 5 and 12e: a vendor who oversteps, and rights that end while people are connected. Tokens, no `--dev`.

Where scenario 5 expects 4409 for a root that no schema has, the server undoes what is written there and sends a notice,
as for every other violation: a misspelt root is a typo, and the legal part of the same transaction stands.
"""

from __future__ import annotations

import json

import pytest

from tests.scenarios.signed import Guarded, Person

pytestmark = pytest.mark.asyncio(loop_scope="module")

COUPLE = Person("u_ada", "couple")
FLORIST = Person("u_flora", "vendor", vendor="v_flora")
DJ = Person("u_dj", "vendor", vendor="v_dj")
MEMBER = Person("u_mia")

ITEMS = """
add('items', 'i_1', { title: 'Arch', 'vendor:v_flora': true, order: 'a0', note: '' })
add('items', 'i_2', { title: 'First dance', 'vendor:v_dj': true, keyMoment: true, start: 1200, order: 'a1', note: '' })
"""
OVERSTEP = """
doc.transact(() => {
  get('items', 'i_1').set('status', 'ready')
  get('items', 'i_2').set('start', 1111)
  get('items', 'i_2').set('title', 'FORBIDDEN-TITLE')
  doc.getMap('members').set('u_flora', new Y.Map([['role', 'FORBIDDEN-ROLE']]))
  doc.getMap('evil').set('x', 'FORBIDDEN-ROOT')
})
"""
FORBIDDEN = (b"FORBIDDEN",)
UNDONE = {("items", "i_2", "title"), ("items", "i_2", "start"), ("members", "", None), ("evil", "", None)}
PLACES = "add('places', 'p_1', { name: 'Barn', order: 'a0' })"


async def test_a_vendor_who_oversteps(guarded: Guarded) -> None:
    couple = await guarded.enter(COUPLE, "timeline")
    await couple.run(ITEMS)
    florist = await guarded.enter(FLORIST, "timeline@v.v_flora")
    dj = await guarded.enter(DJ, "timeline@v.v_dj")
    for client in (florist, dj):
        await client.wait("get('items', 'i_2') !== undefined")

    await florist.run(OVERSTEP)
    await couple.wait("get('items', 'i_1').get('status') === 'ready'")
    await florist.wait(
        "get('items', 'i_2').get('start') === 1200 && get('items', 'i_2').get('title') === 'First dance'"
    )
    await florist.wait("doc.getMap('members').size === 0 && doc.getMap('evil').size === 0")
    assert await florist.closes() == []
    (notice,) = await florist.notices()
    undone = {(each["root"], each["record"], each["key"]) for each in json.loads(notice)["reverted"]}
    assert undone == UNDONE

    # A legal edit, which comes to everybody behind all that there was.
    await florist.run("get('items', 'i_1').set('status', 'live')")
    await couple.wait("get('items', 'i_1').get('status') === 'live'")
    late = await guarded.enter(DJ, "timeline@v.v_dj")
    for client in (couple, dj, late):
        assert await client.found(FORBIDDEN) == set()
    rows = (await couple.rows())["items"]
    assert (rows["i_2"]["title"], rows["i_2"]["start"]) == ("First dance", 1200)
    (entry,) = await guarded.reverted(COUPLE, FLORIST)  # one for the transaction, with all its places
    assert set(entry["paths"]) == {"/".join(filter(None, place)) for place in UNDONE}
    assert (entry["document"], entry["role"], entry["more"]) == ("timeline@v.v_flora", "vendor", 0)


async def test_a_vendor_guesses_names_of_documents(guarded: Guarded) -> None:
    expected = {
        "timeline": 4403,
        "wedding": 4403,
        "budget": 4403,
        "timeline@team": 4403,
        "timeline@v.v_dj": 4404,  # as if there were none
        "timeline@v.v_no": 4404,
    }
    assert {name: (await (await guarded.enter(FLORIST, name)).closes())[0] for name in expected} == expected


async def test_a_member_who_is_removed_in_the_middle_of_a_session(guarded: Guarded) -> None:
    couple = await guarded.enter(COUPLE, "wedding")
    async with guarded.http(COUPLE) as http:
        (await http.post("/members", json={"user": "u_mia", "role": "planner"})).raise_for_status()
        mia = await guarded.enter(MEMBER, "wedding")
        await mia.run(PLACES)
        await couple.wait("get('places', 'p_1') !== undefined")
        (await http.delete("/members/u_mia")).raise_for_status()
    await mia.wait("client.closes.length > 0", seconds=10)
    assert (await mia.closes())[0] == 4403
    await mia.run("get('places', 'p_1').set('name', 'TOO-LATE')")
    await mia.run("client.closes.length = 0; provider.connect()")
    await mia.wait("client.closes.length > 0")
    assert (await mia.closes())[0] == 4403
    await couple.run("add('places', 'p_2', { name: 'Meadow', order: 'a1' })")
    late = await guarded.enter(COUPLE, "wedding")
    await late.wait("get('places', 'p_2') !== undefined")
    for client in (couple, late):
        assert (await client.rows())["places"]["p_1"]["name"] == "Barn"
        assert await client.found([b"TOO-LATE"]) == set()


async def test_offline_edits_are_judged_by_the_rights_when_they_arrive(guarded: Guarded) -> None:
    kit = Person("u_kit")
    couple = await guarded.enter(COUPLE, "wedding")
    await couple.run("add('vendors', 'v_1', { name: 'Peonies', note: '' })")
    async with guarded.http(COUPLE) as http:
        (await http.post("/members", json={"user": kit.user, "role": "planner"})).raise_for_status()
        client = await guarded.enter(kit, "wedding")
        await client.wait("get('vendors', 'v_1') !== undefined")
        await client.disconnect()
        (await http.patch(f"/members/{kit.user}", json={"role": "coordinator"})).raise_for_status()
    await client.run("const v = get('vendors', 'v_1'); v.set('name', 'TOO-LATE'); v.set('dayStatus', 'late')")
    await client.connect()
    await couple.wait("get('vendors', 'v_1').get('dayStatus') === 'late'")
    await client.wait("get('vendors', 'v_1').get('name') === 'Peonies'")
    assert (await couple.rows())["vendors"]["v_1"]["name"] == "Peonies"
    assert await couple.found([b"TOO-LATE"]) == set()
    (entry,) = await guarded.reverted(COUPLE, kit)
    assert (entry["paths"], entry["rules"], entry["role"]) == (["vendors/v_1/name"], ["not_allowed"], "coordinator")
