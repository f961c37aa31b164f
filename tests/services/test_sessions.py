"""Sessions: codes, refresh tokens, and those who try them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from crdt_server.access.identity import Identity
from crdt_server.errors import CrdtServerError, ForbiddenError, RateLimitError, UnauthenticatedError
from crdt_server.services.members import MemberService
from crdt_server.services.sessions import MOST_BAD_CODES, SessionClaims, SessionService
from storage import Storage, open_storage
from tests.support.databases import run_sql

ADDRESS = "192.0.2.1"
AROHA = Identity("u_aroha", "couple")
CHLOE = Identity("", "guest", guest="g_1", name="Chloé")


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 6, 20, 13, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def sign(claims: SessionClaims) -> str:
    return json.dumps(claims._asdict())


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Storage]:
    store = await open_storage(database_url, migrate=True)
    yield store
    await store.close()


@pytest.fixture
def changed() -> list[str]:
    return []


@pytest.fixture
def members(store: Storage, clock: Clock, changed: list[str]) -> MemberService:
    return MemberService(store, clock, changed.append)


@pytest.fixture
def sessions(store: Storage, clock: Clock, changed: list[str]) -> SessionService:
    return SessionService(store, clock, changed.append, sign)


async def code_for(members: MemberService, person: Identity = CHLOE) -> str:
    return (await members.invite("w", AROHA, person, 3600)).code


async def test_a_code_gives_tokens_once_and_names_no_role(
    sessions: SessionService, members: MemberService, clock: Clock, changed: list[str]
) -> None:
    code = await code_for(members)
    opened = await sessions.open(f" {code.lower().replace('-', ' ')} ", "phone", ADDRESS)
    claims = json.loads(opened.access_token)
    assert claims == {
        "user": opened.member.user,
        "expires_at": (clock.now + timedelta(minutes=15)).timestamp(),
        "wedding": "w",
        "device": opened.device,
        "name": "Chloé",
    }
    assert changed == ["w"]
    with pytest.raises(UnauthenticatedError):
        await sessions.open(code, "phone", ADDRESS)
    refreshed = await sessions.refresh(opened.refresh_token, ADDRESS)
    assert (refreshed.device, refreshed.member) == (opened.device, opened.member)
    assert refreshed.refresh_token != opened.refresh_token


async def test_a_stolen_refresh_token_ends_both_its_owner_and_the_thief(
    sessions: SessionService, members: MemberService, changed: list[str]
) -> None:
    opened = await sessions.open(await code_for(members), "phone", ADDRESS)
    refreshed = await sessions.refresh(opened.refresh_token, ADDRESS)
    changed.clear()
    for token in (opened.refresh_token, refreshed.refresh_token):
        with pytest.raises(UnauthenticatedError):
            await sessions.refresh(token, ADDRESS)
    assert changed == ["w"]
    assert await members.devices("w", AROHA) == []


async def test_the_sixth_device_of_a_guest_is_refused(sessions: SessionService, members: MemberService) -> None:
    person = CHLOE._replace(user="u_chloe")
    opened = [await sessions.open(await code_for(members, person), "", ADDRESS) for _ in range(5)]
    code = await code_for(members, person)
    with pytest.raises(ForbiddenError, match="at most 5 devices"):
        await sessions.open(code, "", ADDRESS)
    await members.revoke("w", person, opened[0].device)
    await sessions.open(code, "", ADDRESS)


async def test_a_device_that_was_away_for_a_month_has_ended(
    sessions: SessionService, members: MemberService, clock: Clock
) -> None:
    opened = await sessions.open(await code_for(members), "", ADDRESS)
    clock.now += timedelta(days=30)
    with pytest.raises(UnauthenticatedError):
        await sessions.refresh(opened.refresh_token, ADDRESS)


async def test_an_address_that_tries_codes_shuts_out_nobody_with_a_valid_one(
    sessions: SessionService, members: MemberService, clock: Clock
) -> None:
    codes = [await code_for(members) for _ in range(2)]
    for number in range(MOST_BAD_CODES // 2):
        with pytest.raises(UnauthenticatedError):
            await sessions.open("x" * (number * 30), "", ADDRESS)
        with pytest.raises(UnauthenticatedError):
            await sessions.refresh("x" * (number * 60), ADDRESS)
    with pytest.raises(RateLimitError):
        await sessions.open("x", "", ADDRESS)
    with pytest.raises(UnauthenticatedError):
        await sessions.open("x", "", "192.0.2.2")
    await sessions.open(codes[0], "", ADDRESS)
    with pytest.raises(RateLimitError):
        await sessions.open(codes[0], "", ADDRESS)  # it was used
    await sessions.open(codes[1], "", ADDRESS)
    clock.now += timedelta(seconds=61)
    with pytest.raises(UnauthenticatedError):
        await sessions.open(codes[1], "", ADDRESS)


async def test_those_who_try_refresh_tokens_do_not_sign_out_their_neighbours(
    sessions: SessionService, members: MemberService
) -> None:
    opened = await sessions.open(await code_for(members), "phone", ADDRESS)
    for number in range(2 * MOST_BAD_CODES):
        with pytest.raises(UnauthenticatedError if number < MOST_BAD_CODES else RateLimitError):
            await sessions.refresh(f"x{number}", ADDRESS)
    assert (await sessions.refresh(opened.refresh_token, ADDRESS)).device == opened.device


async def test_no_code_or_token_is_kept(sessions: SessionService, members: MemberService, database_url: str) -> None:
    code = await code_for(members)
    kept = await run_sql(database_url, "SELECT * FROM invitations")
    opened = await sessions.open(await code_for(members), "", ADDRESS)
    await sessions.refresh(opened.refresh_token, ADDRESS)
    for table in ("invitations", "devices", "refresh_tokens", "audit"):
        kept += await run_sql(database_url, f"SELECT * FROM {table}")  # noqa: S608
    assert kept
    for secret in (code, code.replace("-", ""), opened.refresh_token, opened.access_token):
        assert secret not in str(kept)


async def test_without_a_key_there_are_no_sessions(store: Storage, members: MemberService, clock: Clock) -> None:
    sessions = SessionService(store, clock, lambda _: None, None)
    code = await code_for(members)
    with pytest.raises(CrdtServerError, match="no secret"):
        await sessions.open(code, "", ADDRESS)


async def test_an_invitation_is_no_way_to_sign_in_as_a_member_in_another_role(
    sessions: SessionService, members: MemberService
) -> None:
    await members.add("w", AROHA, Identity("u_ben", "couple"))
    planner = Identity("u_paul", "planner")
    code = (await members.invite("w", planner, Identity("u_ben", "planner"), 3600)).code
    with pytest.raises(UnauthenticatedError):
        await sessions.open(code, "phone", ADDRESS)
    assert await members.devices("w", AROHA) == []
