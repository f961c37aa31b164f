"""`crdt-server explain`: the decision, its line in the policy, and the rule on the field."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from crdt_server.access.identity import Identity
from crdt_server.access.members import KnownThread
from crdt_server.access.policy import default_policy
from crdt_server.cli import cli
from crdt_server.explain import NothingToExplain, explain
from crdt_server.services.grants import GrantService
from crdt_server.services.members import MemberService
from documents.categories import category_of
from documents.derived import documents_for, find
from documents.events import Actor
from documents.field_rules import forbidden
from documents.kind import Shape
from documents.registry import KINDS
from storage import open_storage
from tests.access.roles import ROLES

POLICY = (Path(__file__).parents[1] / "crdt_server" / "access" / "policy.toml").read_text().splitlines()


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(cli, ["explain", *arguments])
    return done.exit_code, done.output


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        (
            ("budget", "meta.limit", "--role", "planner"),
            ["ann: planner", r"read budget: allowed; policy.toml:\d+: roles.planner.budget = W; .*couple may set R.",
             "write meta.limit: forbidden; .*", "  rule on budget.meta: limit, mustApproveOver: only the couple .*"],
        ),
        (
            ("timeline", "items.status", "--role", "vendor", "--vendor", "v_1"),
            ["ann: vendor .vendor v_1.", "read timeline: forbidden; .* = P.O; .*", "write items.status: allowed; .*",
             "  rule on timeline.items: .*", "  in a derived document: this one they may not open"],
        ),
        (
            ("thread.t", "messages", "--role", "guest", "--guest", "g_1"),
            ["ann: guest .guest g_1.", "read thread.t: forbidden; .*", "write messages: allowed; .*",
             "  rule on thread.messages: .*", "  in a thread that they take part in: this one they may not open"],
        ),
        (
            ("wedding", "places.name", "--role", "coordinator"),
            ["ann: coordinator", "read wedding: allowed; .*",
             "write places.name: forbidden; .*only vendors.dayStatus.*", "  no rule makes this .*"],
        ),
        (
            ("wedding", "members.role", "--role", "couple"),
            ["ann: couple", "read wedding: allowed; .*", "write members.role: forbidden; .*only the server writes .*"],
        ),
        (
            ("notes.menu", "text", "--role", "family"),
            ["ann: family", "read notes.menu: forbidden; .*", "  documents of this kind are read only by .*",
             "write anything: forbidden; .*"],
        ),
        (
            ("guests", "guests.email", "--role", "nobody"),
            ["ann: nobody", "read guests: forbidden; .*there is no role 'nobody'.*",
             "write guests.email: forbidden; .*"],
        ),
    ],
)  # fmt: skip
def test_lines(arguments: Sequence[str], lines: Sequence[str]) -> None:
    code, output = run("w_1", "ann", *arguments)
    printed = output.splitlines()
    assert (code, len(printed)) == (0, len(lines)), output
    for line, pattern in zip(printed, lines, strict=True):
        assert re.fullmatch(pattern, line), line
    for number, name in re.findall(r"policy\.toml:(\d+): roles\.\w+\.(\w+)", output):
        assert POLICY[int(number) - 1].startswith(name)


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (("cake", "x", "--role", "couple"), "no document"),
        (("guests", "cake", "--role", "couple"), "no root 'cake'"),
        (("guests", "guests.cake", "--role", "couple"), "no key 'cake'"),
        (("timeline@cake.v_1", "items.title", "--role", "vendor"), "no document"),
        (("thread.t_1", "messages.body", "--role", "couple"), "written whole, so give messages"),
    ],
)
def test_what_cannot_be_explained(arguments: Sequence[str], fault: str) -> None:
    code, output = run("w_1", "ann", *arguments)
    assert code != 0
    assert fault in output
    assert run("-", "ann", "guests", "guests.meal", "--role", "couple")[0] != 0


def test_an_override_is_named() -> None:
    person = Identity("ann", "coordinator")
    lines = list(explain(default_policy(), person, "budget", "items.name", {("coordinator", "budget"): "R"}))
    assert lines[1].startswith("read budget: allowed; override of the wedding: coordinator.budget = R (in place of")
    assert lines[2].startswith("write items.name: forbidden; override of the wedding")


def test_without_a_role_it_is_the_member_in_the_database(database_url: str) -> None:
    now = datetime.now(UTC)
    actor = Identity("operator", "couple")

    async def fill() -> None:
        storage = await open_storage(database_url, migrate=True)
        try:
            members = MemberService(storage, lambda: now, lambda _: None)
            await members.add("w_1", actor, Identity("ann", "vendor", vendor="v_1"))
            await members.add("w_1", actor, Identity("kit", "coordinator"))
            await members.add("w_1", actor, Identity("gone", "planner"))
            await members.remove("w_1", actor, "gone")
            await members.override("w_1", actor, "coordinator", "budget", "R")
            grants = GrantService(storage, lambda: now, lambda _: None, lambda *_: None)
            asked = await grants.request("w_1", Identity("kit", "coordinator"), "guests", "the bus is late", 3600)
            await grants.give("w_1", actor, asked.id)
        finally:
            await storage.close()

    asyncio.run(fill())
    stored = ("--database-url", database_url)
    code, output = run("w_1", "ann", "timeline@v.v_1", "items.status", *stored)
    assert (code, output.splitlines()[0]) == (0, "ann: vendor (vendor v_1)")
    assert "read timeline@v.v_1: allowed" in output
    code, output = run("w_1", "kit", "budget", "items.name", *stored)
    assert code == 0
    assert "read budget: allowed; override of the wedding: coordinator.budget = R" in output
    code, output = run("w_1", "kit", "guests", "guests.phone", *stored)
    assert code == 0
    assert re.search(r"read guests: forbidden(.|\n)*a grant opens guests, to be read, until \d{4}-", output)
    for user in ("gone", "bob"):
        code, output = run("w_1", user, "budget", "items.name", *stored)
        assert code != 0
        assert f"{user} is no member of w_1: set --role" in output


@pytest.mark.parametrize("role", ROLES)
def test_it_says_what_the_judge_does(role: str) -> None:
    """A field that is said to be forbidden is forbidden in any row; one that is allowed, in some row of their own."""
    person = Identity("ann", role, "v_1", "g_1", "a", rights=default_policy().rights_to_write(role))
    actor = Actor(*person[:6])
    own = {"vendor:v_1": True, "by": "ann", "from": "ann", "guest": "g_1", "side": "a", "plusOneOf": "g_1"}
    for kind in KINDS:
        for root in kind.roots.values():
            if root.server or root.shape is Shape.TEXT:
                continue
            for key in root.keys if root.record is not None else (None,):
                if not root.clients_may_write(key):
                    continue
                written = list(explain(default_policy(), person, _document(kind.name), _named(root.name, key)))
                allowed = any(line.startswith("write ") and ": allowed; " in line for line in written)
                records = ("r_1", "v_1", "g_1", "m_1|x|ann")
                judged = [
                    forbidden(actor, kind.name, root.name, record, key, own, added=added)
                    for record in records
                    for added in (False, True)
                ]
                assert allowed == (None in judged), (kind.name, root.name, key, written)
                assert category_of(kind.name, root.name, key)


def _document(kind: str) -> str:
    return kind if kind not in ("thread", "notes") else f"{kind}.x"


def _named(root: str, key: str | None) -> str:
    return root if key is None else f"{root}.{key}"


@pytest.mark.parametrize(
    ("users", "line"),
    [((), "read thread.t: forbidden; "), (("u_dj",), "read thread.t: allowed; ")],
)
def test_a_thread_is_read_by_those_who_take_part(users: tuple[str, ...], line: str) -> None:
    threads = {"t": KnownThread("general", frozenset(users))}
    dj = Identity("u_dj", "vendor", "v_dj")
    _, read, part, *_ = explain(default_policy(), dj, "thread.t", "messages", threads=threads)
    assert read.startswith(line)
    assert part == f"  u_dj takes {'' if users else 'no '}part in this thread (general)"


def test_a_field_that_there_is_not() -> None:
    with pytest.raises(NothingToExplain):
        list(explain(default_policy(), Identity("ann", "couple"), "budget", "voids.at"))


@pytest.mark.parametrize("role", ROLES)
def test_it_says_what_is_only_shown_in_a_derived_document(role: str) -> None:
    rights = default_policy().rights_to_write(role)
    person = Identity("ann", role, "v_1", "g_1", "a", rights=rights)
    actor = Actor(*person[:6])
    own = {"vendor:v_1": True, "by": "ann", "guest": "g_1", "side": "a"}
    for document in documents_for(role, "v_1", "g_1", "a"):
        for name, projection in document.declaration.projections.items():
            root = document.kind.roots[name]
            for key in root.keys if root.record is not None else (None,):
                lines = explain(default_policy(), person, document.name, _named(name, key), find_derived=find)
                allowed = any(line.startswith("write ") and ": allowed; " in line for line in lines)
                judged = [
                    forbidden(actor, projection.document, projection.source, record, key, row, added=added)
                    for record in ("r_1", "v_1", "g_1")
                    for row in (own, {"plusOneOf": "g_1"})
                    for added in (False, True)
                ]
                assert allowed == (root.clients_may_write(key) and None in judged), (document.name, name, key)


def test_what_a_derived_document_does_not_show() -> None:
    ann = Identity("ann", "guest", guest="g_1")
    with pytest.raises(NothingToExplain, match="no key 'note'"):
        list(explain(default_policy(), ann, "guests@self.g_1", "guests.note", find_derived=find))
