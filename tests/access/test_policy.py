"""The policy that ships with the package, its decisions, and what a policy may not say."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from crdt_server.access.access import Action, Denied
from crdt_server.access.identity import Identity
from crdt_server.access.policy import FILE, NO_RIGHTS, Policy, PolicyError, default_policy, parse_policy
from documents.categories import AccessCategory
from documents.registry import FAMILIES, KINDS, NAMES
from tests.access.roles import CELLS, ROLES

ACTIONS = {
    "N": set(),
    "R": {Action.READ, Action.READ_PART, Action.COMMENT},
    "P": {Action.READ_PART, Action.COMMENT},
    "O": {Action.READ_PART, Action.COMMENT, Action.WRITE_OWN},
    "W": set(Action) - {Action.ADMINISTER},
    "A": set(Action),
}
SOURCE = (Path(__file__).parents[2] / "crdt_server" / "access" / FILE).read_text()


def person(role: str) -> Identity:
    return Identity(f"u_{role}", role)


@pytest.fixture
def policy() -> Policy:
    return default_policy()


@pytest.mark.parametrize(("role", "category", "rights"), CELLS)
def test_every_cell(policy: Policy, role: str, category: AccessCategory, rights: str) -> None:
    assert policy.cell(role, category).rights == rights
    allowed = set().union(*(ACTIONS[right] for right in rights.split("+")))
    for action in Action:
        denied = policy.may(person(role), category, action)
        assert (denied is None) == (action in allowed), action
        assert denied is None or denied.code == "forbidden"
        explained = policy.explain(person(role), category, action)
        assert explained.allowed == (action in allowed)
        number = int(explained.line.split(":")[1])
        assert category.value in SOURCE.splitlines()[number - 1]
        assert (role in policy.roles_that_may(category, action)) == (action in allowed)


def test_all_roles_and_no_other(policy: Policy) -> None:
    assert policy.roles == ROLES
    for role in ("", "server", "admin", "Couple"):
        assert isinstance(policy.may(person(role), AccessCategory.DAY, Action.READ), Denied)
        assert not policy.explain(person(role), AccessCategory.DAY, Action.READ).allowed
    assert policy.roles == tuple(KINDS[0].roots["members"].keys["role"].type.values)


def test_a_planner_does_not_administer_the_couple(policy: Policy) -> None:
    assert policy.may(person("planner"), AccessCategory.MEMBERS, Action.ADMINISTER, over="couple") is not None
    assert policy.may(person("planner"), AccessCategory.MEMBERS, Action.ADMINISTER, over="planner") is None
    assert policy.may(person("couple"), AccessCategory.MEMBERS, Action.ADMINISTER, over="couple") is None


def test_the_fields_that_a_right_covers_are_those_of_the_kinds(policy: Policy) -> None:
    for role, category in product(ROLES, AccessCategory):
        for name in policy.cell(role, category).fields:
            root, _, key = name.partition(".")
            found = [kind.roots[root] for kind in KINDS if root in kind.roots]
            assert any(not key or each.key(key.replace("*", "x")) is not None for each in found), name


def test_every_document_has_a_category(policy: Policy) -> None:
    rules = dict(policy.document_rules())
    assert set(rules) == NAMES | {f"{family}.*" for family in FAMILIES}
    assert rules["wedding"].category is AccessCategory.WEDDING
    assert rules["thread.*"].category is AccessCategory.MESSAGES
    assert (rules["notes.*"].category, rules["notes.*"].read) == (AccessCategory.WEDDING, Action.WRITE)
    assert [policy.document_rule(name) for name in ("cake", "cake.x", "timeline@v.v_1")] == [None] * 3


def test_the_rights_that_the_judge_is_given(policy: Policy) -> None:
    rights = {role: policy.rights_to_write(role) for role in ROLES}
    assert rights["couple"] == rights["planner"] == "W" * 9
    # Of the settings a coordinator only writes the status of vendors, which is a matter of the day.
    assert rights["coordinator"] == "O-W-O-WWW"
    assert rights["caterer"] == "--O--O-OO"
    assert rights["family"] == "---OO-WO-"
    assert rights["guest"] == "----OO-O-"
    assert policy.rights_to_write("coordinator", {("coordinator", "wedding"): "W", ("coordinator", "care"): "W"}) == (
        "W-W-OWWWW"
    )
    assert len(NO_RIGHTS) == 9


def test_overrides_of_a_wedding(policy: Policy) -> None:
    overrides = {("planner", "budget"): "R", ("coordinator", "budget"): "R", ("couple", "budget"): "N"}
    assert policy.may(person("planner"), AccessCategory.BUDGET, Action.READ, overrides) is None
    assert policy.may(person("planner"), AccessCategory.BUDGET, Action.WRITE, overrides) is not None
    assert policy.may(person("coordinator"), AccessCategory.BUDGET, Action.READ, overrides) is None
    assert policy.may(person("couple"), AccessCategory.BUDGET, Action.WRITE, overrides) is None
    assert policy.may(person("planner"), AccessCategory.GUESTS, Action.WRITE, overrides) is None
    explained = policy.explain(person("coordinator"), AccessCategory.BUDGET, Action.READ, overrides)
    assert explained.line.startswith("override of the wedding: coordinator.budget = R")
    assert f"{FILE}:" in explained.line


@pytest.mark.parametrize(
    ("role", "category", "rights"),
    [
        ("couple", "budget", "R"),
        ("nobody", "budget", "R"),
        ("vendor", "cake", "R"),
        ("vendor", "budget", ""),
        ("vendor", "budget", "X"),
        ("vendor", "budget", "R+"),
        ("vendor", "budget", "N+W"),
        ("vendor", "budget", "W+W"),
        ("vendor", "members", "A"),
        ("coordinator", "members", "R+A"),
    ],
)
def test_overrides_that_may_not_be(policy: Policy, role: str, category: str, rights: str) -> None:
    with pytest.raises(PolicyError):
        policy.check_override(role, category, rights)


def test_overrides_that_may_be(policy: Policy) -> None:
    policy.check_override("planner", "budget", "R")
    policy.check_override("vendor", "budget", "P+O")
    policy.check_override("planner", "members", "A")


def changed(old: str, new: str) -> str:
    assert old in SOURCE
    return SOURCE.replace(old, new, 1)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("roles = [", "not TOML"),
        ("", "categories"),
        (SOURCE + "\n[more]\n", "more"),
        (changed('day = "day-of control"\n', ""), "categories has each category once: see day"),
        (changed('[roles.guest]\nwedding = "P (public)"\n', "[roles.guest]\n"), "roles.guest .* see wedding"),
        (changed('members = "A"', 'members = "A"\ncake = "W"'), "roles.couple .* see cake"),
        (changed('members = "A"', 'members = "X"'), "roles.couple.members: rights are letters"),
        (changed('members = "A"', 'members = ""'), "roles.couple.members: rights are letters"),
        (changed('members = "A"', "members = 3"), "roles.couple.members: rights, or a table"),
        (changed('members = "A"', 'members = "W+N"'), "contradicts"),
        (changed('members = "A"', 'members = "A over all"'), "remark in brackets"),
        (changed('not_over = ["couple"]', 'not_over = "couple"'), "lists of names"),
        (changed('not_over = ["couple"]', 'not_over = ["cuople"]'), "no role 'cuople'"),
        (changed('note = "the couple', 'remark = "the couple'), "roles.planner.budget"),
        (changed('notes = "W"', 'notes = "R"'), "kinds.notes"),
        (changed('notes = "W"', 'cake = "W"'), "kinds.cake"),
        (changed("[roles.couple]", "[roles.pair]"), "no role 'couple'"),
    ],
)
def test_a_policy_with_a_fault_is_refused_with_its_place(text: str, fault: str) -> None:
    with pytest.raises(PolicyError, match=fault):
        parse_policy(text)
