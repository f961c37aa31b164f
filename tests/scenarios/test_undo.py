"""A stock `Y.UndoManager` takes back what its user has added: one addition after the other, as fast as it goes."""

from __future__ import annotations

import pytest

from tests.scenarios.people import Who
from tests.scenarios.weddings import Stage, Wedding

pytestmark = pytest.mark.asyncio(loop_scope="module")

COUPLE, PLANNER = Who("chloe", "couple"), Who("maria", "planner")
ADDITIONS = 25

ADD = """
client.undo = new Y.UndoManager([doc.getMap('guests'), doc.getMap('payments')], { captureTimeout: 0 })
for (let number = 0; number < args.additions; number++) {
  if (args.root === 'guests') add('guests', `g_${number}`, { firstName: `Guest ${number}`, note: '' })
  else doc.getMap('payments').set(`p_${number}`, { item: 'b_1', amount: 100, on: '2026-01-15', kind: 'deposit' })
}
"""


@pytest.mark.parametrize(
    ("document", "root", "withdrawn"),
    [
        pytest.param("guests", "guests", "deleted", id="records are deleted"),
        pytest.param("budget", "payments", "voids", id="payments are voided"),
    ],
)
async def test_as_many_additions_as_may_be_are_undone(stage: Stage, document: str, root: str, withdrawn: str) -> None:
    async def story(wedding: Wedding) -> None:
        pair = await wedding.open(document)
        await pair.b.run(ADD, root=root, additions=ADDITIONS)
        await wedding.equal(document)
        assert await pair.b.run("let done = 0; while (client.undo.undo()) done++; return done") == ADDITIONS
        rows = await wedding.equal(document)
        assert len(rows[root]) == ADDITIONS
        marks = rows["voids"].values() if withdrawn == "voids" else [row["deleted"] for row in rows[root].values()]
        assert [mark["by"] for mark in marks] == ["maria"] * ADDITIONS
        assert await pair.b.run("return [provider.wsconnected, client.closes.length, client.notices.length]") == [
            True, 0, 0
        ]  # fmt: skip
        await pair.b.run("doc.getMap('meta').set('x:acme.seen', true)")
        await pair.a.wait("doc.getMap('meta').get('x:acme.seen') === true")
        await wedding.equal(document)

    await stage.tell(story, COUPLE, PLANNER)


async def test_all_of_this_is_the_same_after_a_restart(stage: Stage) -> None:
    await stage.same_after_restart()
