"""Limits of connections and messages; the clock is a number."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt_server.access import limits
from crdt_server.access.identity import Identity
from crdt_server.access.limits import (
    SenderStrikes,
    SharedBudget,
    SharedRate,
    Strikes,
    TokenBucket,
    share_of,
)


class TestTokenBucket:
    def test_a_burst_and_then_the_rate(self) -> None:
        bucket = TokenBucket(3)
        assert [bucket.take("a", 0) for _ in range(4)] == [True, True, True, False]
        assert not bucket.take("a", 0.2)
        assert bucket.take("a", 0.5)
        assert not bucket.take("a", 0.5)

    def test_addresses_do_not_share(self) -> None:
        bucket = TokenBucket(1)
        assert bucket.take("a", 0)
        assert bucket.take("b", 0)
        assert not bucket.take("a", 0)

    def test_no_rate_is_no_limit(self) -> None:
        bucket = TokenBucket(0)
        assert all(bucket.take("a", 0) for _ in range(1000))

    def test_quiet_addresses_cost_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(limits, "TABLE_LIMIT", 10)
        bucket = TokenBucket(1)
        for n in range(1000):
            bucket.take(str(n), n)
        assert len(bucket._levels) <= 11

    def test_more_names_than_the_table_has_places(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(limits, "TABLE_LIMIT", 10)
        bucket = TokenBucket(1)
        for n in range(1000):
            bucket.take(str(n), 0)
            assert len(bucket._levels) <= 10
        assert not bucket.take("999", 0)

    def test_more_names_than_an_allowance_has_places(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(limits, "TABLE_LIMIT", 10)
        allowance = limits.Allowance(2, 60.0)
        sizes = []
        for n in range(1000):
            assert allowance.take(str(n), 0)
            sizes.append(len(allowance._full_at))
        assert max(sizes) <= 11
        assert sizes.count(5) < 1000 / 4  # not made anew for each name
        assert not all(allowance.take("999", 0) for _ in range(2))

    def test_as_many_at_once_as_the_burst(self) -> None:
        bucket = TokenBucket(5 / 60, 5)
        assert [bucket.take("a", 0) for _ in range(6)] == [True] * 5 + [False]
        assert bucket.wait("a", 0) == pytest.approx(12)
        assert not bucket.take("a", 11.9)
        assert bucket.take("a", 12.1)
        assert bucket.wait("b", 0) == TokenBucket(0).wait("a", 0) == 0

    def test_a_level_that_is_kept_is_that_of_its_key(self) -> None:
        bucket = TokenBucket(2)
        level = bucket.level("a", 0)
        assert level is not None
        assert level.spend(2, 0) == 0
        assert not bucket.take("a", 0)
        assert TokenBucket(0).level("a", 0) is None

    def test_what_costs_more_delays_what_follows(self) -> None:
        bucket = TokenBucket(2)
        assert bucket.take("a", 0, 5)
        assert not bucket.take("a", 1.9)
        assert bucket.take("a", 2)
        bucket.charge("a", 2, 3)
        assert not bucket.take("a", 3.9)
        assert bucket.take("a", 4)

    @given(waits=st.lists(st.floats(0, 2), max_size=80), rate=st.integers(1, 5))
    def test_never_more_than_the_rate_and_one_burst(self, waits: list[float], rate: int) -> None:
        bucket = TokenBucket(rate)
        now, allowed = 0.0, 0
        for wait in waits:
            now += wait
            allowed += bucket.take("a", now)
        assert allowed <= rate + now * rate + 1e-6


class TestStrikes:
    def test_too_many_in_a_minute(self) -> None:
        strikes = Strikes(2)
        strikes.add("a", 0)
        assert not strikes.exceeded("a", 1)
        strikes.add("a", 2)
        assert strikes.exceeded("a", 3)
        assert not strikes.exceeded("b", 3)
        assert strikes.exceeded("a", 60)
        assert not strikes.exceeded("a", 61)

    def test_a_new_minute_begins_at_nothing(self) -> None:
        strikes = Strikes(2)
        strikes.add("a", 0)
        strikes.add("a", 61)
        assert not strikes.exceeded("a", 61)

    def test_never(self) -> None:
        strikes = Strikes(0)
        for _ in range(100):
            strikes.add("a", 0)
        assert not strikes.exceeded("a", 0)

    def test_what_is_over_is_forgotten(self) -> None:
        strikes = Strikes(1)
        strikes.add("a", 0)
        strikes.add("b", 50)
        strikes.forget(70)
        assert set(strikes._strikes) == {"b"}
        assert strikes.exceeded("b", 70)


ADA, BOB, HERE = Identity("ada", "couple"), Identity("bob", "couple"), "192.0.2.1"


class TestSenderStrikes:
    def test_neighbours_of_a_person_are_not_shut_out(self) -> None:
        strikes = SenderStrikes(10)
        for _ in range(100):
            strikes.add(ADA, HERE, 0, deadly=True)
        assert strikes.exceeded_by(ADA, HERE, 0)
        assert not strikes.exceeded_by(ADA, "192.0.2.2", 0)
        assert not strikes.exceeded_by(BOB, HERE, 0)
        assert not strikes.exceeded_at(HERE, 0)

    def test_invented_names_shut_nobody_out(self) -> None:
        strikes = SenderStrikes(2)
        for number in range(1000):
            strikes.add(Identity(f"name{number}", "couple"), HERE, 0)
        assert not strikes.exceeded_by(BOB, HERE, 0)
        assert not strikes.exceeded_at(HERE, 0)

    def test_an_address_of_many_that_kill_hosts(self) -> None:
        strikes = SenderStrikes(2)
        strikes.add(ADA, HERE, 0, deadly=True)
        assert not strikes.exceeded_at(HERE, 0)
        strikes.add(BOB, HERE, 0, deadly=True)
        assert strikes.exceeded_at(HERE, 0)
        assert not strikes.exceeded_at("192.0.2.2", 0)
        strikes.forget(61)
        tables = strikes._of_persons, strikes._killers, strikes._killers_of_addresses
        assert not any(table._strikes for table in tables)

    def test_invented_names_take_bounded_memory(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(limits, "TABLE_LIMIT", 10)
        strikes = Strikes(1)
        for number in range(1000):
            strikes.add(str(number), 0)
        assert list(strikes._strikes) == [str(number) for number in range(990, 1000)]


class TestSharedRate:
    def test_what_is_refused_to_a_person_does_not_count_for_its_address(self) -> None:
        rates = SharedRate(4)
        assert [rates.take(HERE, 0) and rates.assign("ada", HERE, 0) for _ in range(100)] == [True] * 2 + [False] * 98
        assert [rates.take(HERE, 0) and rates.assign("bob", HERE, 0) for _ in range(3)] == [True, True, False]

    def test_invented_names_have_what_their_address_has(self) -> None:
        rates = SharedRate(4)
        assert sum(rates.take(HERE, 0) and rates.assign(f"name{n}", HERE, 0) for n in range(100)) == 4

    def test_for_a_large_cost_the_person_waits_alone(self) -> None:
        rates = SharedRate(4)
        for _ in range(3):
            rates.charge("ada", HERE, 0, 100)
        assert rates.take(HERE, 0)
        assert rates.assign("bob", HERE, 0)
        assert rates.take(HERE, 140)
        assert not rates.assign("ada", HERE, 140)

    def test_no_limits(self) -> None:
        rates = SharedRate(0)
        assert all(rates.take(HERE, 0) and rates.assign("ada", HERE, 0) for _ in range(1000))


class TestSharedBudget:
    def test_in_all_and_per_address(self) -> None:
        budget = SharedBudget(10, 6)
        assert budget.take("a", 6)
        assert not budget.take("a", 1)
        assert budget.take("b", 4)
        assert not budget.take("c", 1)
        budget.release("a", 6)
        assert budget.take("c", 1)
        budget.release("b", 0)
        assert budget.held == 5

    def test_one_person_has_half_of_its_address(self) -> None:
        budget = SharedBudget(0, 4)
        assert [budget.take("a", 1, person) for person in ("a ada", "a ada", "a ada")] == [True, True, False]
        assert [budget.take("a", 1, person) for person in ("a bob", "a bob", "a eve")] == [True, True, False]
        assert budget.take("b", 1, "b ada")
        budget.release("a", 1, "a ada")
        assert budget.take("a", 1, "a eve")

    def test_a_person_that_becomes_known_later(self) -> None:
        budget = SharedBudget(0, 4)
        assert [budget.take("a") and budget.assign("a ada") for _ in range(3)] == [True, True, False]
        budget.release("a")
        assert budget.take("a", 2, "a bob")
        budget.release("a", 2, "a ada")
        budget.release("a", 2, "a bob")
        assert (budget.held, budget._by_key) == (0, {})

    def test_no_limits(self) -> None:
        assert all(SharedBudget(0, 0).take("a", 1 << 40, "a ada") for _ in range(10))

    @pytest.mark.parametrize(
        ("per_address", "per_person", "expected"), [(0, 0, 0), (0, 3, 3), (1, 0, 1), (5, 0, 2), (10, 3, 3), (4, 3, 2)]
    )
    def test_shares(self, per_address: int, per_person: int, expected: int) -> None:
        assert share_of(per_address, per_person) == expected

    @given(steps=st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.booleans()), max_size=80))
    def test_it_counts_right(self, steps: list[tuple[str, str, bool]]) -> None:
        budget, inside = SharedBudget(7, 4), Counter[tuple[str, str]]()
        for address, name, enters in steps:
            person = f"{address} {name}"
            if enters:
                of_address = sum(count for (at, _), count in inside.items() if at == address)
                expected = inside.total() < 7 and of_address < 4 and inside[address, name] < 2
                assert budget.take(address, 1, person) == expected
                inside[address, name] += expected
            elif inside[address, name]:
                budget.release(address, 1, person)
                inside[address, name] -= 1
            assert budget.held == inside.total()
        persons = {f"{address} {name}" for (address, name), count in inside.items() if count}
        assert set(budget._by_key) == persons | {person[0] for person in persons}
