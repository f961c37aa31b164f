"""Every type of events and the people who are informed of it, in which channels: the table of the design, by real edits
of people in their roles."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest

from crdt_server.services import grants
from crdt_server.services.messaging.rules import default_rules
from crdt_server.services.threads import thread_change
from documents.events import TYPES
from storage import StoredGrant, StoredThread
from storage.messaging_tables import participants
from tests.services.messaging.conftest import PEOPLE, World
from tests.support.databases import run_sql

pytestmark = pytest.mark.asyncio(loop_scope="module")

STAMP = {"at": "2026-06-01T12:00:00Z", "by": "aroha"}
ULID = "01JY3Z8Q7M4T2V6W8X9Y000001"
PLANNERS = ("aroha", "ben", "pia", "cora")
VENDORS = ("vic", "cat", "pho", "flo")
NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
# 2026-06-20 15:00 in Auckland, where an item at minute 900 starts.
START = datetime(2026, 6, 20, 3, 0, tzinfo=UTC)

Edit = tuple[str, str, str, Mapping[str, Any]]
EVERY = "in-app push sms"


class Case(NamedTuple):
    """Edits before, and one whose events are looked at."""

    type: str
    edit: Edit
    expected: Mapping[str, str]
    before: tuple[Edit, ...] = ()
    by: str = "aroha"
    now: datetime = NOW


def to(channels: str, *users: str) -> dict[str, str]:
    return dict.fromkeys(users, channels)


def item(**fields: Any) -> Edit:
    """An item of the florist, right before one of the photographer."""
    values = {"title": "Arch", "start": 900, "duration": 30, "vendor:v_flowers": True, **fields}
    return "timeline", "items", "t_arch", values


PHOTOS: Edit = ("timeline", "items", "t_photos", {"title": "Photos", "vendor:v_photo": True, "after:t_arch": 0})
EMERGENCY: dict[str, Any] = {"kind": "power", "text": "dark", "severity": "error"}
GUEST: Edit = ("guests", "guests", "g_gus", {"firstName": "Gus", "lastName": "Ngata"})
TABLE: Edit = ("seating", "tables", "s_1", {"label": "One", "capacity": 8})
CARE: Edit = ("care", "care", "g_gus", {"allergy:nuts": "mild"})
LAST_WEEK = datetime(2026, 6, 14, tzinfo=UTC)
BUDGET_ITEM: Edit = ("budget", "items", "i_1", {"name": "Peonies", "vendor": "v_flowers", "actual": 20000})
PAYMENT = {"item": "i_1", "amount": 5000, "on": "2026-05-30", "kind": "deposit"}
TASK: Edit = ("wedding", "tasks", "k_1", {"title": "Call the band", "assignee": "pia"})
VENDOR: Edit = ("wedding", "vendors", "v_flowers", {"name": "Flora", "stage": "confirmed"})
MESSAGE = {"from": "aroha", "at": "2026-06-01T12:00:00Z", "kind": "text", "body": "Hello"}

CASES = [
    Case("emergency.raised", ("timeline", "emergencies", "e_1", {**EMERGENCY, "audience": "everyone"}),
         to(EVERY, "ben", "pia", "cora", *VENDORS)),
    Case("emergency.raised", ("timeline", "emergencies", "e_1", EMERGENCY), to(EVERY, "ben", "pia", "cora", *VENDORS)),
    Case("emergency.raised", ("timeline", "emergencies", "e_1", {**EMERGENCY, "audience": "team"}),
         to(EVERY, "ben", "pia", "cora")),
    Case("emergency.raised", ("timeline", "emergencies", "e_1", {**EMERGENCY, "severity": "critical"}),
         to(EVERY, "ben", "pia", "cora", *VENDORS, "wim")),
    Case("emergency.raised",
         ("timeline", "emergencies", "e_1", {**EMERGENCY, "severity": "critical", "audience": "everyone"}),
         to(EVERY, *(user for user in PEOPLE if user != "aroha"))),
    Case("emergency.closed", ("timeline", "emergencies", "e_1", {"closed": STAMP}),
         to(EVERY, "ben", "pia", "cora", *VENDORS), (("timeline", "emergencies", "e_1", EMERGENCY),)),
    *(Case(f"emergency.{name}", ("timeline", "emergencies", "e_1", fields), to(EVERY, "ben", "pia", "cora", *VENDORS),
           (("timeline", "emergencies", "e_1", EMERGENCY), *before))
      for name, fields, *before in (
          ("changed", {"text": "light"}),
          ("removed", {"deleted": STAMP}),
          ("restored", {"deleted": None}, ("timeline", "emergencies", "e_1", {"deleted": STAMP})),
          ("reopened", {"closed": None}, ("timeline", "emergencies", "e_1", {"closed": STAMP})),
      )),
    Case("emergency.acked", ("timeline", "emergencies", "e_1", {"acknowledgedBy:pia": "2026-06-01T12:00:00Z"}),
         to("in-app", "aroha", "ben", "cora"), (("timeline", "emergencies", "e_1", EMERGENCY),), by="pia"),
    Case("timeline.item.added", item(), to("in-app", "ben", "pia", "cora", "flo")),
    Case("timeline.item.moved", ("timeline", "items", "t_arch", {"start": 930}),
         to("in-app", "ben", "pia", "cora", "flo", "pho"), (item(), PHOTOS)),
    Case("timeline.item.moved", ("timeline", "items", "t_arch", {"start": 930}),
         to("in-app", "aroha", "ben", "pia"), (item(visibility="private"), PHOTOS), by="cora"),
    Case("timeline.item.moved", ("timeline", "items", "t_arch", {"start": 900}),
         to("in-app push", "ben", "pia", "cora", "flo"), (item(start=930),),
         now=datetime(2026, 6, 19, 4, 0, tzinfo=UTC)),
    Case("timeline.item.moved", ("timeline", "items", "t_arch", {"start": 900}),
         to(EVERY, "ben", "pia", "cora", "flo"), (item(start=930),), now=datetime(2026, 6, 20, 2, 0, tzinfo=UTC)),
    Case("timeline.item.changed", ("timeline", "items", "t_arch", {"vendor:v_photo": True}),
         to("in-app", "ben", "pia", "cora", "pho"), (item(),)),
    Case("timeline.item.removed", ("timeline", "items", "t_arch", {"deleted": STAMP}),
         to("in-app", "ben", "pia", "cora", "flo"), (item(),)),
    Case("timeline.item.restored", ("timeline", "items", "t_arch", {"deleted": None}),
         to("in-app", "ben", "pia", "cora", "flo"), (item(), ("timeline", "items", "t_arch", {"deleted": STAMP}))),
    Case("guest.rsvp", ("guests", "guests", "g_gus", {"rsvp:e_1": "yes"}),
         {**to("digest in-app", "aroha", "ben", "pia"), "cat": "digest"}, (GUEST,), by="gus"),
    Case("seating.table", TABLE, to("digest", "vic", "cat")),
    Case("seating.table", TABLE, to("digest in-app", "vic", "cat"), now=LAST_WEEK),
    Case("seating.assigned", ("seating", "assignments", "g_gus", {"table": "s_1", "seat": 1}),
         to("digest", "vic", "cat"), (GUEST, TABLE)),
    Case("seating.unassigned", ("seating", "assignments", "g_gus", {}), to("digest", "vic", "cat"),
         (GUEST, TABLE, ("seating", "assignments", "g_gus", {"table": "s_1", "seat": 1}))),
    Case("seating.rule", ("seating", "rules", "r_1", {"kind": "apart", "guest:g_gus": True}), {}, (GUEST,)),
    Case("seating.fixture", ("seating", "fixtures", "x_1", {"kind": "bar"}), to("digest", "vic", "cat")),
    Case("care.added", CARE, to("digest", "cat"), (GUEST,)),
    Case("care.changed", ("care", "care", "g_gus", {"diet:vegan": True}), to("digest in-app", "cat"), (GUEST, CARE),
         now=LAST_WEEK),
    Case("care.removed", ("care", "care", "g_gus", {"deleted": STAMP}), to("digest", "cat"), (GUEST, CARE)),
    Case("care.restored", ("care", "care", "g_gus", {"deleted": None}), to("digest", "cat"),
         (GUEST, CARE, ("care", "care", "g_gus", {"deleted": STAMP}))),
    Case("payment.recorded", ("budget", "payments", "p_1", PAYMENT), to("in-app mail", "ben", "flo"), (BUDGET_ITEM,)),
    Case("payment.recorded", ("budget", "payments", "p_1", PAYMENT), to("in-app mail", "aroha", "ben", "flo"),
         (BUDGET_ITEM,), by="pia"),
    Case("budget.over_limit", BUDGET_ITEM, to("in-app push", "aroha", "ben", "pia"),
         (("budget", "meta", "", {"limit": 100}),)),
    Case("conflict.opened", BUDGET_ITEM, to("in-app push", "aroha", "ben", "pia"),
         (("budget", "meta", "", {"limit": 100}),)),
    Case("approval.requested", ("budget", "approvals", "a_1", {"item": "i_1", "field": "actual", "to": 5, "by": "pia"}),
         to("in-app push", "aroha", "ben"), (BUDGET_ITEM,), by="pia"),
    Case("vendor.day_status", ("wedding", "vendors", "v_flowers", {"dayStatus": "late"}), to("in-app push", "cora"),
         (VENDOR,), by="pia"),
    Case("vendor.shortlisted", ("wedding", "vendors", "v_1", {"name": "Tui", "stage": "quoted"}), {}),
    Case("vendor.booked", ("wedding", "vendors", "v_1", {"stage": "booked"}), to("digest in-app", "ben", "pia"),
         (("wedding", "vendors", "v_1", {"name": "Tui", "stage": "quoted"}),)),
    Case("vendor.confirmed", ("wedding", "vendors", "v_1", {"stage": "confirmed"}), to("digest in-app", "ben", "pia"),
         (("wedding", "vendors", "v_1", {"name": "Tui", "stage": "booked"}),)),
    Case("vendor.cancelled", ("wedding", "vendors", "v_1", {"stage": "cancelled"}), to("digest in-app", "aroha", "ben"),
         (("wedding", "vendors", "v_1", {"name": "Tui", "stage": "booked"}),), by="pia"),
    Case("message.sent", ("thread.t_1", "messages", ULID, MESSAGE), to("in-app mail push", "pia", "flo")),
    Case("task.added", TASK, to("digest in-app", "pia")),
    Case("task.done", ("wedding", "tasks", "k_1", {"done": STAMP}), to("digest in-app", "flo"),
         (("wedding", "tasks", "k_1", {"title": "Peonies", "assignee": "flo"}),)),
    Case("task.done", ("wedding", "tasks", "k_1", {"done": STAMP}), {}, (TASK,), by="pia"),
    *(Case(f"task.{name}", ("wedding", "tasks", "k_1", fields), to("digest in-app", "pia"), (TASK, *before))
      for name, fields, *before in (
          ("changed", {"title": "Call the choir"}),
          ("removed", {"deleted": STAMP}),
          ("restored", {"deleted": None}, ("wedding", "tasks", "k_1", {"deleted": STAMP})),
          ("reopened", {"done": None}, ("wedding", "tasks", "k_1", {"done": STAMP})),
      )),
    Case("doc.text_edited", ("timeline", "items", "t_arch", {"note": "Mind the steps"}), {}, (item(),)),
    Case("budget.item.changed", ("budget", "items", "i_1", {"actual": 1}), {}, (BUDGET_ITEM,)),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(CASES)), ids=lambda number: f"{number}-{CASES[number].type}")
async def test_who_is_informed_and_how(world: World, number: int) -> None:
    case = CASES[number]
    await world.begin(f"case{number}")
    for user in ("aroha", "pia", "flo", "gus"):
        await world.put("participants", thread="t_1", user=user, added_by="aroha", at=NOW, muted=user == "gus")
    for edit in case.before:
        await world.edit(*edit)
    await world.settle()
    world.clock.now = case.now
    await world.edit(*case.edit, by=case.by)
    await world.router().route_all()
    assert await world.channels(case.type) == case.expected


@pytest.mark.parametrize(
    ("type_", "by", "expected"),
    [
        ("grant.asked", "gus", to("in-app push", "aroha", "ben")),
        ("grant.given", "aroha", to("in-app push", "ben", "gus")),
        ("grant.ended", "ben", to("in-app push", "aroha", "gus")),
    ],
)
async def test_grants_concern_the_couple_and_the_person(
    world: World, type_: str, by: str, expected: Mapping[str, str]
) -> None:
    await world.begin(type_)
    await world.settle()
    grant = StoredGrant("gr_1", "gus", "timeline", "to help", 3600, NOW)
    change = grants._change(grant, PEOPLE[by], type_, NOW)
    await world.storage.change_grant(world.wedding, grant.id, lambda _: change, 10, 10)
    await world.router().route_all()
    assert await world.channels(type_) == expected


async def test_those_who_are_added_to_a_thread_are_informed(world: World) -> None:
    await world.begin("joined")
    await world.settle()
    thread = StoredThread("t_9", "Flowers", "vendor", "open", 3, "", "pia", NOW, NOW)

    async def change(type_: str, *added: str) -> None:
        changed = thread_change(thread, PEOPLE["pia"], type_, NOW, added=added)
        await world.storage.change_thread(world.wedding, "t_9", "pia", added, lambda _: changed)
        world.hub.rights.cache.forget(world.wedding)

    await change("thread.created", "pia", "aroha", "flo", "gus")
    gone = participants.update().where(participants.c.wedding == world.wedding, participants.c.user == "gus")
    await run_sql(world.url, gone.values(removed_at=NOW))
    await world.router().route_all()
    assert await world.channels("thread.created") == to("in-app push", "aroha", "flo")
    await change("thread.joined", "cat")
    await change("thread.changed")
    await world.router().route_all()
    assert await world.channels("thread.joined") == to("in-app push", "cat")
    assert await world.params("cat") == [{"actor": "Pia", "role": "planner", "title": "Flowers"}]
    assert await world.channels("thread.changed") == {}


UNROUTED = {
    "approval.changed", "approval.decided", "approval.removed", "approval.restored",
    "budget.category.added", "budget.category.changed", "budget.category.removed", "budget.category.restored",
    "budget.changed", "budget.item.added", "budget.item.changed", "budget.item.removed", "budget.item.restored",
    "budget.limit", "care.acknowledged", "conflict.auto", "conflict.changed", "conflict.choice", "conflict.removed",
    "conflict.reopened", "conflict.resolved", "contribution.added", "contribution.changed", "contribution.removed",
    "doc.changed", "doc.text_edited", "event.added", "event.changed", "event.removed", "event.restored",
    "guest.added", "guest.changed", "guest.check_in_undone", "guest.checked_in", "guest.removed", "guest.restored",
    "household.added", "household.changed", "household.removed", "household.restored",
    "member.added", "member.changed", "member.removed", "member.role",
    "message.changed", "message.reacted", "message.redacted", "message.removed", "message.stamped",
    "message.unreacted", "message.unredacted", "payment.changed", "payment.removed", "payment.unvoided",
    "payment.voided", "place.added", "place.changed", "place.removed", "place.restored", "timeline.status",
    "vendor.added", "vendor.changed", "vendor.quoted", "vendor.removed", "vendor.restored",
    "wedding.changed", "wedding.phase",
}  # fmt: skip
"""Types of which nobody is informed: the design has no audience for them."""


async def test_every_type_of_events_is_routed_or_listed() -> None:
    rules = default_rules()
    assert {type_ for type_ in TYPES if rules.about(type_)} - {case.type for case in CASES} == set(), "without a case"
    assert {type_ for type_ in TYPES if not rules.about(type_)} == UNROUTED
    of_services = {"grant.asked", "grant.given", "grant.ended", "thread.created", "thread.joined"}
    patterns = {pattern for rule in rules.all for pattern in rule.events}
    known = TYPES | of_services
    without = {each for each in patterns if not any(t == each or t.startswith(each.rstrip("*")) for t in known)}
    assert without == set(rules.later) - {"task.overdue"}
