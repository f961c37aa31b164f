"""A vendor in the derived timeline, a planner in the whole one: they write one status without seeing each other."""

from __future__ import annotations

import asyncio
from base64 import b64decode

import pytest

from documents import kind_of
from tests.scenarios.people import Client, Who
from tests.scenarios.weddings import HIGH, LOW, Stage, Wedding

pytestmark = pytest.mark.asyncio(loop_scope="module")

PLANNER, LENS, COUSIN = Who("maria", "planner"), Who("lens", "photographer"), Who("mei", "guest")
ITEMS = """
add('items', 'i_1', { title: 'Portraits', 'vendor:v_lens': true, visibility: 'public', order: 'a0', note: 'SECRET' })
add('items', 'i_2', { title: 'SECRET', visibility: 'private', order: 'a1', note: '' })
"""
STATUS = "get('items', 'i_1').set('status', args.status)"
TAKEN_AWAY = """
const item = get('items', 'i_1')
doc.transact(() => { item.delete('vendor:v_lens'); item.set('keyMoment', true); item.set('title', 'Family portraits') })
"""
HAS = "get('items', 'i_1')?.get('status') === args.status"


async def people(wedding: Wedding) -> tuple[Client, Client, Client]:
    """The planner, the vendor, and a guest who reads."""
    first, second = (LOW, HIGH) if wedding.order.lower == "a" else (HIGH, LOW)
    planner = await wedding.join(wedding.a, "timeline", client_id=first)
    await planner.run(ITEMS)
    lens = await wedding.join(wedding.b, "timeline@v.v_lens", client_id=second)
    guest = await wedding.join(COUSIN, "timeline@public")
    for client in (lens, guest):
        await client.wait("get('items', 'i_1') !== undefined")
    return planner, lens, guest


async def test_a_status_that_both_have_written(stage: Stage) -> None:
    async def story(wedding: Wedding) -> None:
        planner, lens, guest = await people(wedding)
        await lens.run(STATUS, status="ready")
        for client in (planner, guest):
            await client.wait(HAS, status="ready")
        await asyncio.gather(planner.disconnect(), lens.disconnect())
        await planner.run(STATUS, status="skipped")
        await lens.run(STATUS, status="done")
        back = [(planner, "skipped"), (lens, "done")]
        (first, status), (second, _) = back if wedding.order.first == "a" else reversed(back)
        await first.connect()
        await guest.wait(HAS, status=status)
        await second.connect()
        for client in (planner, lens, guest):
            await client.wait(HAS, status="skipped")
        await planner.wait("doc.getMap('review').size === 1")
        (review,) = (await planner.rows())["review"].values()
        assert (review["_kind"], review["_state"]) == ("X1", "auto")
        assert {each["user"]: each["value"] for each in review["_parties"]} == {"maria": "skipped", "lens": "done"}
        late = await wedding.join(COUSIN, "timeline@public")
        await late.wait(HAS, status="skipped")
        assert (await late.rows())["items"] == (await guest.rows())["items"]

    await stage.tell(story, PLANNER, LENS)


async def test_a_vendor_whose_rights_shrank_while_they_were_away(stage: Stage) -> None:
    async def story(wedding: Wedding) -> None:
        planner, lens, guest = await people(wedding)
        await lens.disconnect()
        await planner.run(TAKEN_AWAY)
        await lens.run(STATUS, status="done")
        await lens.run("get('items', 'i_1').set('title', 'FORBIDDEN')")
        await lens.connect()
        await lens.wait("get('items', 'i_1').get('title') === 'Family portraits' && !get('items', 'i_1').has('status')")
        await lens.wait("client.notices.length > 0")
        await guest.wait("get('items', 'i_1').get('title') === 'Family portraits'")
        assert "status" not in (await planner.rows())["items"]["i_1"]
        for client in (lens, guest):
            received = await client.node.call("received", client=client.name)
            assert b"SECRET" not in b64decode(received)
        for client in (planner, guest):
            assert b"FORBIDDEN" not in b64decode(await client.node.call("received", client=client.name))

    await stage.tell(story, PLANNER, LENS)


async def test_those_whom_it_is_for_are_let_in_and_may_write_what_is_theirs(stage: Stage) -> None:
    async def story(wedding: Wedding) -> None:
        planner, _, guest = await people(wedding)

        async def look_as(role: str, document: str, **whose: str) -> Client:
            name = f"{wedding.name}/{document}/{role}"
            kind = kind_of(document)
            assert kind is not None
            roots = {root: declared.shape.value for root, declared in kind.roots.items()}
            url = f"{stage.server.ws_url}/{wedding.name}"
            params = {"user": role, "role": role, "enforce": "1", **whose}
            seconds = 30 if whose else 2
            await stage.node.call(
                "join", seconds=seconds, client=name, url=url, room=document, params=params, clientID=None, roots=roots
            )
            return Client(stage.node, name, Who(role, role), document)

        lens = await look_as("photographer", "timeline@v.v_lens", vendor="v_lens")
        await lens.run(STATUS, status="ready")
        await lens.run("get('items', 'i_1').set('title', 'FORBIDDEN')")
        for client in (planner, guest):
            await client.wait(HAS, status="ready")
        await lens.wait("get('items', 'i_1').get('title') === 'Portraits'")
        for document in ("timeline@v.v_lens", "timeline@v.nobody"):  # what one may not know of is as if it were not
            with pytest.raises(AssertionError, match="4404"):
                await look_as("guest", document)
        with pytest.raises(AssertionError, match="4403"):
            await look_as("guest", "timeline@team")

    await stage.tell(story, PLANNER, LENS)
