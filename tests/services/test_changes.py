"""How many changes of members, policy, grants, threads, webhooks and rules one person makes in a wedding."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from crdt_server.access.access import DevAccess
from crdt_server.access.identity import Identity
from crdt_server.access.policy import default_policy
from crdt_server.errors import ForbiddenError, RateLimitError
from crdt_server.services.changes import ChangeLimit
from crdt_server.services.grants import GrantService
from crdt_server.services.members import MemberService
from crdt_server.services.messaging.overrides import RoutingOverrides
from crdt_server.services.messaging.rules import default_rules
from crdt_server.services.messaging.webhooks import NewWebhook, WebhookService
from crdt_server.services.threads import NewThread, ThreadService
from crdt_server.settings import Settings
from storage import Storage, open_storage
from tests.support.gate import local_server

W = "w"
AROHA = Identity("u_aroha", "couple")
PIA = Identity("u_pia", "planner")
KIT = Identity("u_kit", "coordinator")
CHLOE = Identity("u_chloe", "guest", guest="g_1", name="Chloé")
PER_HOUR = 12


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class Services:
    """The services of one store."""

    def __init__(self, store: Storage, limit: ChangeLimit) -> None:
        self.store = store
        parts = store, lambda: datetime.now(UTC)
        reporting = *parts, lambda _: None
        policy = default_policy()
        self.members = MemberService(*reporting, policy, changes=limit)
        self.grants = GrantService(*reporting, lambda *_: None, policy, changes=limit)
        self.threads = ThreadService(*reporting, access=DevAccess(), published=lambda *_: None, changes=limit)
        self.webhooks = WebhookService(*parts, policy, allow_private=False, changes=limit)
        self.routing = RoutingOverrides(*parts, default_rules(), policy, changes=limit)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def services(database_url: str, clock: Clock) -> AsyncIterator[Services]:
    store = await open_storage(database_url, migrate=True)
    yield Services(store, ChangeLimit(PER_HOUR, clock))
    await store.close()


async def test_one_person_makes_so_many_changes_in_an_hour_and_others_go_on(services: Services, clock: Clock) -> None:
    await services.members.add(W, AROHA, CHLOE)
    for number in range(PER_HOUR - 2):
        await services.members.change(W, AROHA, "u_chloe", {"name": f"Chloé {number}"})
    await services.members.override(W, AROHA, "planner", "budget", "R")
    written = await services.store.audit_head(W)
    rule = next(each.name for each in default_rules().all if not each.fixed)
    for refused in (
        services.members.change(W, AROHA, "u_chloe", {"name": "x"}),
        services.members.remove(W, AROHA, "u_chloe"),
        services.members.invite(W, AROHA, CHLOE, 60),
        services.members.override(W, AROHA, "planner", "budget", "W"),
        services.threads.make(W, AROHA, NewThread("Flowers", "general")),
        services.webhooks.add(W, AROHA, NewWebhook("https://a.example", ())),
        services.routing.change(W, AROHA, rule, {"audience": ["couple"]}),
        services.routing.restore(W, AROHA, rule),
    ):
        with pytest.raises(RateLimitError) as error:
            await refused
        assert (error.value.code, error.value.retry_after_seconds) == ("too_many_changes", 300)
    assert await services.store.audit_head(W) == written
    await services.members.change(W, Identity("u_ben", "couple"), "u_chloe", {"name": "by another"})
    await services.grants.request(W, KIT, "guests", "the bus", 60)
    await services.members.add("w_2", AROHA, CHLOE)
    clock.seconds += 300
    await services.members.change(W, AROHA, "u_chloe", {"name": "later"})


async def test_what_is_refused_or_changes_nothing_does_not_count(services: Services) -> None:
    await services.members.add(W, AROHA, CHLOE)
    rule = next(each.name for each in default_rules().all if not each.fixed)
    for _ in range(PER_HOUR):
        await services.members.change(W, AROHA, "u_chloe", {"name": "Chloé"})
        await services.members.override(W, AROHA, "planner", "budget", None)
        await services.routing.restore(W, AROHA, rule)
        with pytest.raises(ForbiddenError):
            await services.members.add(W, KIT, CHLOE)
    await asyncio.gather(*(services.members.add(W, AROHA, CHLOE._replace(user=f"u_{n}")) for n in range(PER_HOUR - 1)))
    with pytest.raises(RateLimitError):
        await services.members.add(W, AROHA, CHLOE._replace(user="u_more"))


async def test_an_import_of_300_members_passes_with_default_settings(services: Services) -> None:
    members = Services(services.store, ChangeLimit(Settings(dev=True).changes_per_hour, Clock())).members
    guests = [CHLOE._replace(user=f"u_{number}") for number in range(300)]
    await asyncio.gather(*(members.add(W, PIA, each) for each in guests))
    await asyncio.gather(*(members.invite(W, PIA, each, 60) for each in guests))


def test_a_request_that_is_cancelled_counts(clock: Clock) -> None:
    limit = ChangeLimit(1, clock)
    with pytest.raises(asyncio.CancelledError), limit.count(W, "u_aroha"):
        raise asyncio.CancelledError
    with pytest.raises(RateLimitError), limit.count(W, "u_aroha"):
        pass


async def test_http_answers_429_and_when_to_try_again(tmp_path: Path) -> None:
    settings = Settings(
        dev=True, port=0, database_url=f"sqlite:///{tmp_path / 'w.db'}", document_hosts=1, changes_per_hour=2
    )
    path, by = "/api/weddings/w/members", {"user": "u_aroha", "role": "couple"}
    async with local_server(settings) as running, httpx.AsyncClient(base_url=running.url, trust_env=False) as client:
        people = [{"user": user, "role": "guest", "guest": "g_1"} for user in ("u_1", "u_2", "u_3")]
        answers = [await client.post(path, params=by, json=each) for each in people]
    assert [each.status_code for each in answers] == [201, 201, 429]
    assert (answers[2].json()["code"], answers[2].headers["Retry-After"]) == ("too_many_changes", "1800")
