"""Limits of connections and messages; the clock is a number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt_server.access import limits
from crdt_server.access.limits import Admission, Strikes, TokenBucket


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


class TestAdmission:
    def test_in_all_and_per_address(self) -> None:
        admission = Admission(3, 2)
        assert [admission.enter(a) for a in "aaab"] == [True, True, False, True]
        assert not admission.enter("c")
        admission.leave("a")
        assert admission.enter("c")
        assert admission.open == 3

    def test_no_limits(self) -> None:
        admission = Admission(0, 0)
        assert all(admission.enter("a") for _ in range(1000))

    @given(steps=st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=60))
    def test_it_counts_right(self, steps: list[tuple[str, bool]]) -> None:
        admission, inside = Admission(5, 3), dict.fromkeys("abc", 0)
        for address, enters in steps:
            if enters:
                expected = sum(inside.values()) < 5 and inside[address] < 3
                assert admission.enter(address) == expected
                inside[address] += expected
            elif inside[address]:
                admission.leave(address)
                inside[address] -= 1
            assert admission.open == sum(inside.values())
        assert set(admission._by_address) == {address for address, count in inside.items() if count}
