"""Threads: each role as one that takes part, and as one that does not; and who makes one, and adds whom."""

from __future__ import annotations

import pytest

from crdt_server.access.access import Action, Denied
from crdt_server.access.identity import Identity
from crdt_server.access.members import KnownThread
from crdt_server.access.policy import default_policy
from crdt_server.access.policy_access import PolicyAccess
from crdt_server.access.threads import CLOSED_TYPES, ORGANIZERS, TYPES, may_add, may_change, may_make, types_left
from tests.access.people import TableMembers, verify
from tests.access.roles import CATEGORIES, ROLES, TABLE

MESSAGES = [each.value for each in CATEGORIES].index("messages")
NOT_FOUND = Denied("not_found", "no such wedding or document")


def person(role: str, **more: str) -> Identity:
    rights = default_policy().rights_to_write(role)
    return Identity(f"u_{role}", role, rights=rights, **more)  # type: ignore[arg-type]


def access_to(type_: str, *users: str) -> tuple[PolicyAccess, TableMembers]:
    members = TableMembers()
    members.threads["t"] = KnownThread(type_, frozenset(users))
    return PolicyAccess(verify, members), members


@pytest.mark.parametrize("type_", TYPES)
@pytest.mark.parametrize("role", ROLES)
def test_who_takes_part_opens_a_thread(role: str, type_: str) -> None:
    access, _ = access_to(type_, f"u_{role}")
    for action in (Action.READ, Action.COMMENT, Action.WRITE):
        assert access.may(person(role), action, "w", "thread.t") is None
    assert access.may(person(role), Action.READ, "w", "thread.other") == (None if role in ORGANIZERS else NOT_FOUND)


@pytest.mark.parametrize("type_", TYPES)
@pytest.mark.parametrize("role", ROLES)
def test_who_takes_no_part_opens_it_with_the_right_to_all_messages_only(role: str, type_: str) -> None:
    access, _ = access_to(type_, "u_other")
    open_to = TABLE[role][MESSAGES] == "W" and type_ not in CLOSED_TYPES
    for action in (Action.READ, Action.WRITE):
        assert access.may(person(role), action, "w", "thread.t") == (None if open_to else NOT_FOUND)


@pytest.mark.parametrize("cell", ["N", "R", "P", "O", "W"])
def test_the_cell_of_the_role_decides_what_taking_part_is_worth(cell: str) -> None:
    access, members = access_to("general", "u_vendor")
    members.set_overrides["w"] = {("vendor", "messages"): cell}
    reads, writes = (access.may(person("vendor"), each, "w", "thread.t") for each in (Action.READ, Action.WRITE))
    assert (reads is None, writes is None) == (cell in "ROW", cell in "OW")


def test_a_scope_narrows_it() -> None:
    access, _ = access_to("general", "u_guest")
    decisions = {
        scope: [access.may(person("guest", scope=scope), each, "w", "thread.t") for each in (Action.READ, Action.WRITE)]
        for scope in ("messages:read", "messages:write", "timeline:write")
    }
    assert [decision is None for decision in decisions["messages:read"]] == [True, False]
    assert [decision is None for decision in decisions["messages:write"]] == [True, True]
    assert decisions["timeline:write"] == [NOT_FOUND, NOT_FOUND]


def test_nobody_administers_a_thread_or_opens_it_in_a_role_that_there_is_not() -> None:
    access, _ = access_to("general", "u_florist", "u_guest")
    assert access.may(Identity("u_florist", "florist", rights="-"), Action.READ, "w", "thread.t") is not None
    assert access.may(person("guest"), Action.ADMINISTER, "w", "thread.t") is not None


def test_who_makes_threads_of_which_type() -> None:
    made = {
        role: {
            type_
            for type_ in TYPES
            if may_make(person(role), type_, organizes=role in ORGANIZERS, raises="O" in TABLE[role][8]) is None
        }
        for role in ROLES
    }
    assert made["couple"] == set(TYPES)
    assert made["planner"] == made["coordinator"] == set(TYPES) - {"family"}
    for role in ("venue", "caterer", "photographer", "vendor"):
        assert made[role] == {"general", "vendor", "emergency"}
    assert made["family"] == made["wedding_party"] == {"general", "family"}
    assert made["guest"] == {"general"}


def test_who_adds_whom() -> None:
    for role in ROLES:
        organizes = role in ORGANIZERS
        added = {other for other in ("", *ROLES) if may_add(person(role), other, organizes=organizes) is None}
        family = {"family", "wedding_party"} if role in ("family", "wedding_party") else set()
        assert added == ({"", *ROLES} if organizes else {*ORGANIZERS, *family})


def test_who_changes_a_thread() -> None:
    for role in ROLES:
        others = may_change(person(role), "u_other", organizes=role in ORGANIZERS)
        assert (others is None) == (role in ORGANIZERS)
        assert may_change(person(role), f"u_{role}", organizes=False) is None


def test_with_a_new_role_somebody_leaves_threads_of_which_it_may_make_none() -> None:
    policy = default_policy()
    for role in ROLES:
        left = types_left(policy, person(role))
        for type_ in TYPES:
            made = may_make(person(role), type_, organizes=role in ORGANIZERS, raises="O" in TABLE[role][8]) is None
            assert (type_ not in left) is made, (role, type_)
    assert types_left(policy, person("guest"), {("guest", "messages"): "N"}) == [*TYPES]
    assert types_left(policy, person("guest"), {("guest", "messages"): "W"}) == ["family"]
    assert types_left(policy, person("planner"), {("planner", "messages"): "R"}) == [*TYPES]
