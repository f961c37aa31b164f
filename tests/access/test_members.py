"""Who may change members, and what a member is by newer rights."""

from __future__ import annotations

import pytest

from crdt_server.access.access import Denied
from crdt_server.access.identity import ROLES, SERVER, Authenticated, Identity
from crdt_server.access.member_rights import MemberRights
from crdt_server.access.members import (
    HeldGrant,
    KnownMember,
    WeddingRights,
    current_identity,
    fault_of,
    most_devices,
)
from crdt_server.access.policy import PolicyError, default_policy

CHLOE = Identity("u_chloe", "guest", guest="g_1", name="Chloé")


@pytest.mark.parametrize("role", ROLES)
def test_who_may_do_what(role: str) -> None:
    actor, rights = Identity("u_1", role), MemberRights(default_policy())
    over = {other for other in ROLES if rights.may_manage(actor, other) is None}
    assert over == {"couple": set(ROLES), "planner": set(ROLES) - {"couple"}}.get(role, set())
    assert (rights.may_manage(actor, "guest", "couple") is None) == (role == "couple")
    assert (rights.may_read(actor) is None) == (role in ("couple", "planner", "coordinator"))
    assert (rights.may_read_audit(actor) is None) == (role in ("couple", "planner"))
    assert (rights.may_override(actor) is None) == (role == "couple")
    assert most_devices(role) == (5 if role in ("guest", "family", "wedding_party") else 20)


def test_the_couple_changes_what_others_may_do_with_members_but_not_its_own_rights() -> None:
    overrides = {(role, "members"): rights for role, rights in (("planner", "R"), ("coordinator", "N"), ("guest", "R"))}
    changed = MemberRights(default_policy(), {**overrides, ("couple", "members"): "N"})
    couple, planner, coordinator, guest = (Identity("u_1", role) for role in ("couple", *(r for r, _ in overrides)))
    assert (changed.may_read(planner), changed.may_read(guest)) == (None, None)
    assert changed.may_manage(couple, "couple", "guest") is None
    assert changed.may_override(couple) is None
    for denied in (
        changed.may_manage(planner, "guest"),
        changed.may_read_audit(planner),
        changed.may_read(coordinator),
    ):
        assert isinstance(denied, Denied)


def test_nobody_raises_themselves_by_a_changed_policy() -> None:
    policy = default_policy()
    for role in ROLES:
        for letters in "NRPOWA":
            try:
                policy.check_override(role, "members", letters)
            except PolicyError:
                continue
            actor, rights = Identity("u_1", role), MemberRights(policy, {(role, "members"): letters})
            assert isinstance(rights.may_manage(actor, role, "couple"), Denied)
            assert isinstance(rights.may_override(actor), Denied)


@pytest.mark.parametrize(
    ("person", "fault"),
    [
        (CHLOE, None),
        (Identity("u_1", "couple"), None),
        (Identity("u_1", "florist"), "role is one of"),
        (Identity("", "couple"), "needs a user"),
        (Identity("server", "couple"), "needs a user"),
        (Identity("u_1", "guest"), "needs a guest"),
        (Identity("u_1", "couple", vendor="v_1"), "has no vendor"),
        (Identity("u_1", "caterer"), "needs a vendor"),
        (Identity("u_1", "family"), "needs a side"),
        (Identity("u_1", "family", guest="g_1", side="a"), None),
        (Identity("u_1", "family", side="c"), "side is a or b"),
        (Identity("u\n1", "couple"), "control character"),
        (Identity("u_1", "couple", name="x" * 256), "at most 255"),
    ],
)
def test_people_who_cannot_be_members(person: Identity, fault: str | None) -> None:
    found = fault_of(person)
    assert found == fault if fault is None else fault in (found or "")


def rights(*members: KnownMember, revoked: tuple[str, ...] = ()) -> WeddingRights:
    return WeddingRights(1, {each.user: each for each in members}, revoked_devices=frozenset(revoked))


def test_an_identity_follows_the_members_where_they_have_decided() -> None:
    by_members, by_token = Authenticated(CHLOE, None, "d_1", True), Authenticated(CHLOE, None, "d_1")
    caterer = KnownMember("u_chloe", "caterer", vendor="v_1")
    assert current_identity(by_members, rights()) == CHLOE
    assert current_identity(by_members, rights(caterer)) == Identity("u_chloe", "caterer", "v_1", name="Chloé")
    assert current_identity(by_token, rights(caterer)) == CHLOE
    for held in (by_members, by_token):
        assert isinstance(current_identity(held, rights(caterer._replace(removed=True))), Denied)
        assert isinstance(current_identity(held, rights(caterer, revoked=("d_1",))), Denied)
        assert not isinstance(current_identity(held, rights(caterer, revoked=("d_2",))), Denied)


def test_the_server_is_no_member() -> None:
    removed = KnownMember(SERVER.user, "guest", removed=True)
    assert current_identity(Authenticated(SERVER, None, "", True), rights(removed)) == SERVER


def test_a_grant_is_of_one_user_for_one_thing_until_its_end() -> None:
    held = WeddingRights(1, grants=(HeldGrant("u_kit", "guests@phones", 20.0), HeldGrant("u_kit", "care", 30.0)))
    assert held.granted("u_kit", "guests@phones", 19.9)
    assert not held.granted("u_kit", "guests@phones", 20.0)
    assert not held.granted("u_kit", "budget", 0.0)
    assert not held.granted("u_chloe", "guests@phones", 0.0)
    assert [held.next_end(now) for now in (0.0, 20.0, 30.0)] == [20.0, 30.0, None]
