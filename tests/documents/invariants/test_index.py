"""Whatever is written: the index that follows finds what a new one finds, and resolutions come to rest."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from documents.fields import Unreadable
from documents.invariants import INVARIANTS, RANKS, STRATEGIES, Index, Op, Subject, Wedding, apply, rank_of
from tests.documents.invariants.planning import ROLES, Planning, empty
from tests.support.effort import examples

GUESTS = ("g_1", "g_2", "g_3", "g_4")
TABLES = ("t_1", "t_2", "t_3")
ITEMS = ("i_1", "i_2", "i_3", "i_4")
STAMP = {"at": "2026-05-01T00:00:00Z", "by": "chloe"}

ids = st.sampled_from
small = st.integers(0, 3)
minutes = st.integers(0, 12).map(lambda n: n * 10)
flag = st.just(True)
deleted = st.sampled_from((None, None, STAMP))
answers = st.sampled_from(("yes", "no", "pending", None))
seats = st.one_of(
    st.none(),
    st.fixed_dictionaries({"table": ids((*TABLES, "t_gone")), "seat": st.one_of(st.none(), small)}),
)
payments = st.one_of(
    st.none(),
    st.fixed_dictionaries(
        {
            "item": ids(("b_1", "b_2")), "amount": ids((100, 200)),
            "on": ids(("2026-01-01", "2026-01-02", "2026-01-09")),
            "kind": ids(("deposit", "refund")),
        },
        optional={"reference": ids(("A", "B")), "currency": ids(("EUR", "GBP"))},
    ),
)  # fmt: skip

# (document, root, records, {key: values}); the key None is the whole row.
FIELDS: list[tuple[str, str, tuple[str, ...], dict[str | None, st.SearchStrategy[Any]]]] = [
    ("wedding", "meta", ("",), {"hardEnd": minutes, "phase": ids(("planning", "live")), "capacity": small,
                                "cascade": ids(("flex", "propose")), "rsvpBy": ids(("2026-04-01", "2026-06-01")),
                                "date": ids(("2026-05-10", "2026-08-01")), "currency": ids(("GBP", "EUR", "JPY"))}),
    ("wedding", "events", ("e_ceremony", "e_reception"), {"capacity": small, "place": ids(("p_oak", "p_hall")),
                                                          "deleted": deleted}),
    ("wedding", "places", ("p_oak", "p_hall"), {"capacity": small, "exclusive": st.booleans(), "deleted": deleted}),
    ("wedding", "vendors", ("v_lens", "v_band"), {"stage": ids(("booked", "confirmed", "quoted", "cancelled")),
                                                  "category": ids(("photographer", "music")), "deleted": deleted}),
    ("wedding", "members", ("chloe", "aroha"), {"role": ids(("couple", "guest"))}),
    ("timeline", "items", ITEMS, {"start": minutes, "duration": minutes, "minDuration": minutes,
                                  "rigidity": ids(("fixed", "flex", "buffer")), "keyMoment": st.booleans(),
                                  "place": ids(("p_oak", "p_hall", "p_gone")), "vendor:v_lens": flag,
                                  "vendor:v_band": flag, "person:bride": flag, "after:i_1": small, "after:i_2": small,
                                  "status": ids(("planned", "live", "done", "skipped")), "deleted": deleted,
                                  "kind": ids(("moment", "breakdown")), "_unstaffed": flag}),
    ("budget", "meta", ("",), {"limit": ids((100, 500)), "mustApproveOver": ids((100, 300))}),
    ("budget", "categories", ("c_1",), {"allocated": ids((100, 400)), "deleted": deleted}),
    ("budget", "items", ("b_1", "b_2"), {"estimated": ids((100, 300)), "quoted": ids((50, 400)),
                                         "actual": ids((1, 250)),
                                         "category": ids(("c_1", "c_2")), "currency": ids(("GBP", "EUR")),
                                         "rate": ids(("0.5", "1.333")), "deleted": deleted}),
    ("budget", "payments", ("pay_1", "pay_2", "pay_3"), {None: payments}),
    ("budget", "voids", ("pay_1", "pay_2"), {None: st.sampled_from((None, {**STAMP, "reason": "twice"}))}),
    ("budget", "approvals", ("a_1",), {"item": ids(("b_1", "b_2")), "to": ids((100, 500)), "deleted": deleted,
                                       "approvedBy:chloe": st.just("2026-05-01T00:00:00Z"),
                                       "rejectedBy:aroha": st.just("2026-05-01T00:00:00Z"),
                                       "_state": ids(("pending", "approved", "rejected"))}),
    ("guests", "households", ("h_one", "h_two"), {"deleted": deleted, "name": st.just("One")}),
    ("guests", "guests", GUESTS, {"firstName": ids(("Mei", "MEI", "Bo")), "email": ids(("a@x", "b@x")),
                                  "phone": ids(("12345", "+12345", "99999")), "household": ids(("h_one", "h_gone")),
                                  "plusOneOf": ids(GUESTS), "plusOnesAllowed": small, "party": st.just("usher"),
                                  "rsvp:e_reception": answers, "rsvp:e_ceremony": answers, "deleted": deleted,
                                  "meal": ids(("beef", "vegan"))}),
    ("care", "care", GUESTS, {"allergy:nut": ids(("mild", "severe")), "diet:vegan": flag, "deleted": deleted,
                              "acknowledgedBy:carl": st.just("2026-05-01T00:00:00Z")}),
    ("seating", "tables", TABLES, {"capacity": small, "deleted": deleted, "locked": st.sampled_from((None, STAMP))}),
    ("seating", "assignments", GUESTS, {None: seats}),
    ("seating", "rules", ("r_1",), {"kind": ids(("apart", "together")), "hard": st.booleans(), "guest:g_1": flag,
                                    "guest:g_2": flag, "guest:g_3": flag, "deleted": deleted}),
    ("seating.e_ceremony", "tables", TABLES, {"capacity": small}),
    ("seating.e_ceremony", "assignments", GUESTS, {None: seats}),
    ("thread.one", "messages", ("01A", "01B"), {None: st.fixed_dictionaries({"from": ids(("chloe", "leo"))})}),
]  # fmt: skip

RUBBISH = st.sampled_from((Unreadable("array"), -1, True, "", "\ud7ff", {"table": 5}, [], 1.5, {"item": "b_1"}))


@st.composite
def edits(draw: Any) -> tuple[str, Op]:
    document, root, records, keys = draw(st.sampled_from(FIELDS))
    record, key = draw(st.sampled_from(records)), draw(st.sampled_from(list(keys)))
    user = draw(st.sampled_from([*ROLES, "server"]))
    sort = draw(st.integers(0, 19))
    if sort == 0:
        return user, Op("delete", document, root, record)
    if sort == 1 and key is not None:
        return user, Op("delete", document, root, record, key)
    value = draw(RUBBISH) if sort == 2 else draw(keys[key])
    if value is None:
        return user, Op("delete", document, root, record, key)
    if key is None:
        return user, Op("set", document, root, record, None, value)
    return user, Op("set", document, root, record, key, value)


def carried_out(planning: Planning, user: str, op: Op) -> None:
    """An edit; the record is made where there is none."""
    ops = [op]
    if op.kind == "set" and op.key is not None:
        ops = [Op("insert", *op[1:4], None, {}), op]
    planning.apply(ops, user)


chosen = st.fixed_dictionaries({}, optional={each.id: st.sampled_from(each.strategies) for each in INVARIANTS.values()})
"""Any strategy for any invariant."""

PATIENT = settings(max_examples=examples(150), suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@PATIENT
@given(st.lists(edits(), max_size=40), chosen)
def test_whatever_is_written_the_index_follows_and_resolutions_rest(
    history: list[tuple[str, Op]], strategies: dict[str, str]
) -> None:
    planning = Planning(
        strategies=strategies,
        planned={"i_1": 30},
        locked={("seating", "t_1"): {"g_1": {"table": "t_1", "seat": 0}}},
    )
    for user, op in history:
        carried_out(planning, user, op)  # compares with a new index
    again = Planning(copy.deepcopy(planning.documents))
    again.writers.update(planning.writers)
    again._seq = planning._seq
    again.context(**{name: getattr(planning.wedding.context, name) for name in planning.wedding.context.__slots__})
    assert again.open.keys() == planning.open.keys()
    planning.resolve()
    again.resolve()
    assert json.dumps(planning.documents, sort_keys=True, default=repr) == json.dumps(
        again.documents, sort_keys=True, default=repr
    )
    for finding in planning.index.all():
        assert finding.automatic in (None, ())
    assert planning.resolve() == 0


@PATIENT
@given(st.lists(edits(), max_size=30))
def test_many_changes_at_once_in_any_order(history: list[tuple[str, Op]]) -> None:
    documents = empty()
    index = Index(Wedding(documents))
    before = {finding.subject for finding in index.all()}
    changes = []
    for _, op in history:
        if op.kind == "set" and op.key is not None:
            apply(documents, [Op("insert", *op[1:4], None, {})])
        changes += apply(documents, [op])
    touched = index.update(change.field for change in (*reversed(changes), *changes))
    found = {finding.subject for finding in index.all()}
    assert found == {finding.subject for finding in Index(Wedding(documents)).all()}
    assert found ^ before <= touched


@PATIENT
@given(st.lists(edits(), max_size=30))
def test_any_option_can_be_chosen(history: list[tuple[str, Op]]) -> None:
    planning = Planning()
    for user, op in history:
        carried_out(planning, user, op)
    for subject in list(planning.open)[:5]:
        finding = planning.index.find(subject)
        for option in finding.options if finding is not None else ():
            planning.apply(option.ops, "chloe")


def test_a_finding_that_was_left_as_it_is_opens_again_with_other_facts() -> None:
    planning = Planning()
    planning.write("chloe", "wedding", "events", "e_reception", "capacity", 0)
    planning.add("gina", "guests", "guests", "g_1", rsvp__e_reception="yes")
    first = planning.finding("G2")
    planning.write("chloe", "guests", "guests", "g_1", "firstName", "Ann")
    assert planning.finding("G2").fingerprint == first.fingerprint
    planning.write("chloe", "wedding", "meta", "", "capacity", 0)
    planning.add("gina", "guests", "guests", "g_2", rsvp__e_reception="yes")
    assert planning.finding("G2").fingerprint != first.fingerprint


def test_rows_that_nothing_is_about_touch_nothing() -> None:
    planning = Planning()
    assert planning.index.update([]) == set()
    planning.write("chloe", "wedding", "meta", "", "title", "Us")
    planning.add("chloe", "notes.one", "anything", "x", key=1)
    assert planning.broken() == []


def test_ranks_and_strategies() -> None:
    assert list(RANKS.values()) == sorted(RANKS.values(), reverse=True)
    assert rank_of("coordinator") == rank_of("planner") < rank_of("coordinator", live=True) < rank_of("couple")
    assert rank_of("stranger") == 0
    assert {strategy for each in INVARIANTS.values() for strategy in each.strategies} == set(STRATEGIES)


@pytest.mark.parametrize("invariant", INVARIANTS)
def test_a_strategy_an_invariant_does_not_allow_is_not_chosen(invariant: str) -> None:
    wedding = Planning(strategies={invariant: "nonsense"}).wedding
    assert wedding.strategy(invariant) == INVARIANTS[invariant].default


def test_the_index_knows_every_invariant_of_one_wedding() -> None:
    elsewhere = {"X1", "X2", "W2"}
    index = Index(Wedding({}))
    assert index._by_invariant.keys() == INVARIANTS.keys() - elsewhere
    assert index.all() == []
    assert index.find(Subject("B1")) is None
