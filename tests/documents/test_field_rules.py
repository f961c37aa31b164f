"""The rules of roles name fields, roles and categories that exist, and decide on rows."""

from __future__ import annotations

import pytest

from documents.categories import AccessCategory, category_of
from documents.events import Actor
from documents.field_rules import OWN, RESERVED, FieldRule, forbidden, may_always, written_as
from documents.registry import KINDS
from documents.wedding import ROLES

EACH = [*RESERVED, *OWN]


@pytest.mark.parametrize("rule", EACH, ids=lambda rule: f"{rule.kind}.{rule.root}")
def test_a_rule_names_what_there_is(rule: FieldRule) -> None:
    kinds = [kind for kind in KINDS if rule.kind in ("", kind.name)]
    roots = [root for kind in kinds for root in kind.roots.values() if rule.root in ("", root.name)]
    known = {key for root in roots for key in (*root.keys, *root.families)}
    assert roots
    assert (rule.keys or set()) <= known
    assert all(ROLES.check(role) == role for role in rule.roles)


def test_every_reserved_field_gives_a_reason() -> None:
    assert all(rule.text for rule in RESERVED)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_each_kind_has_a_category(kind) -> None:  # type: ignore[no-untyped-def]
    assert category_of(kind.name) in AccessCategory


def test_without_a_right_in_the_category_nothing_may_be_written_but_an_acknowledgement() -> None:
    guest = Actor("gil", "guest", guest="g_1", rights="-" * len(AccessCategory))
    assert forbidden(guest, "timeline", "items", "i_1", "title", {}) is not None
    assert forbidden(guest, "guests", "guests", "g_1", "meal", {}) is not None
    assert forbidden(guest, "timeline", "emergencies", "e_1", "acknowledgedBy:gil", {}) is None
    assert forbidden(guest, "timeline", "emergencies", "e_1", "acknowledgedBy:ann", {}) is not None


def test_messages_are_written_under_the_id_that_follows_from_a_name() -> None:
    ada = Actor("ada@example.org", "couple", rights="W" * len(AccessCategory))
    for name, allowed in ((written_as(ada.user), True), (ada.user, False), ("u_bo", False)):
        for root, member in (("messages", "from"), ("redactions", "by")):
            reason = forbidden(ada, "thread", root, "m_1", None, {member: name}, added=True)
            assert (reason is None) is allowed, (root, name)
        assert (forbidden(ada, "thread", "reactions", f"m_1|+|{name}", None, {}) is None) is allowed


def test_a_letter_of_one_category_says_nothing_of_another() -> None:
    rights = ["-"] * len(AccessCategory)
    rights[list(AccessCategory).index(AccessCategory.DAY)] = "W"
    runner = Actor("rae", "coordinator", rights="".join(rights))
    assert forbidden(runner, "wedding", "vendors", "v_1", "dayStatus", {}) is None
    assert forbidden(runner, "wedding", "vendors", "v_1", "stage", {}) is not None
    assert forbidden(runner, "timeline", "emergencies", "e_1", "closed", {}) is None
    assert forbidden(runner, "timeline", "items", "i_1", "status", {}) is not None


@pytest.mark.parametrize("role", ["couple", "planner", "coordinator", "vendor", "family", "guest"])
@pytest.mark.parametrize("letter", ["W", "O", "-"])
def test_a_field_that_may_be_written_whatever_its_row_holds_is_never_forbidden(role: str, letter: str) -> None:
    actor = Actor("ann", role, rights=letter * len(AccessCategory))
    fields = [
        (kind.name, root.name, key) for kind in KINDS for root in kind.roots.values() for key in (None, *root.keys)
    ]
    always = [field for field in fields if may_always(actor, *field)]
    assert [field for field in always if forbidden(actor, *field[:2], "r", field[2], {}) is not None] == []
    assert bool(always) == (letter == "W")
    assert not may_always(actor, "thread", "messages", "text")  # one's own alone
