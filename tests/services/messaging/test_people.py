"""The members of weddings as identities in memory."""

from __future__ import annotations

from typing import Any
from weakref import ref

import pytest

from crdt_server.access.identity import Identity
from crdt_server.access.members import KnownMember, WeddingRights
from crdt_server.access.policy import Policy, default_policy
from crdt_server.services.messaging import people
from crdt_server.services.messaging.people import PeopleOfWeddings
from crdt_server.services.messaging.planning import Planner
from crdt_server.services.messaging.rules import default_rules
from crdt_server.services.messaging.still_known import StillKnown
from tests.services.messaging.conftest import World


class CountingPolicy(Policy):
    """Counts how often the rights of a role are put together."""

    made = 0

    def rights_to_write(self, *arguments: Any) -> str:
        self.made += 1
        return super().rights_to_write(*arguments)


def rights(number: int, version: int = 1) -> WeddingRights:
    members = {f"u_{n}": KnownMember(f"u_{n}", "guest") for n in range(number)}
    return WeddingRights(version, members | {"u_gone": KnownMember("u_gone", "guest", removed=True)})


@pytest.fixture
def policy() -> CountingPolicy:
    counting = CountingPolicy.__new__(CountingPolicy)
    counting.__dict__.update(default_policy().__dict__)
    return counting


@pytest.mark.asyncio(loop_scope="module")
async def test_the_people_of_a_wedding_are_made_once_for_each_version_of_its_rights(
    world: World, policy: CountingPolicy
) -> None:
    await world.begin("w_people")
    known = StillKnown(world.storage, Planner(default_rules(), world.access, policy=policy), world.hub.rights.cache)
    await known.events("w_people", "gus", [])
    made = policy.made
    for user in ("gus", "fay"):  # for each message that goes out
        await known.events("w_people", user, [])
    assert policy.made == made
    await world.put_member(Identity("gus", "guest", name="Gus"), removed=True)
    await known.events("w_people", "gus", [])
    assert policy.made > made


def test_they_are_those_of_the_rights_at_hand(policy: CountingPolicy) -> None:
    known, first, second = PeopleOfWeddings(policy), rights(3), rights(4, 2)
    assert list(known.of("w", first)) == ["u_0", "u_1", "u_2"]
    assert len(known.of("w", second)) == 4
    assert len(known.of("w_2", first)) == 3
    assert known.of("w", second) is known.of("w", second)


def test_the_rights_they_were_made_of_are_not_kept(policy: CountingPolicy) -> None:
    known, held = PeopleOfWeddings(policy), rights(3)
    known.of("w", held)
    kept = ref(held)
    del held
    assert kept() is None


def test_those_in_memory_are_bounded(policy: CountingPolicy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people, "PEOPLE_KEPT", 8)
    known, held = PeopleOfWeddings(policy), rights(3)
    first, second = known.of("w_1", held), known.of("w_2", held)
    assert known.of("w_1", held) is first
    third = known.of("w_3", held)  # in the place of the one that was used longest ago
    assert (known.of("w_1", held) is first, known.of("w_3", held) is third) == (True, True)
    assert known.of("w_2", held) is not second
    large = rights(20)
    assert known.of("w_4", large) is known.of("w_4", large)
