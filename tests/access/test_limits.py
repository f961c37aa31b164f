"""Limits of connections and messages; the clock is a number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt_server.access import limits
from crdt_server.access.identity import Identity
from crdt_server.access.limits import (
    BODY_BYTES_PER_REQUEST,
    Admission,
    RequestLimits,
    SenderStrikes,
    Strikes,
    TokenBucket,
)
from crdt_server.errors import RateLimitError


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
        for _ in range(10):
            strikes.add(ADA, HERE, 0, hostile=False)
        assert strikes.exceeded_by(ADA, HERE, 0)
        assert not strikes.exceeded_by(ADA, "192.0.2.2", 0)
        assert not strikes.exceeded_by(BOB, HERE, 0)
        assert not strikes.exceeded_at(HERE, 0)

    def test_what_no_honest_client_sends_counts_against_the_address(self) -> None:
        strikes = SenderStrikes(2)
        for _ in range(2):
            strikes.add(ADA, HERE, 0, hostile=True)
        assert strikes.exceeded_at(HERE, 0)
        strikes.forget(61)
        assert not strikes._strikes._strikes


class TestRequestLimits:
    def limits(self, **changes: int) -> RequestLimits:
        values = {"per_person": 3, "per_address": 5, "reads_per_person": 1, "reads_per_address": 2} | changes
        return RequestLimits(SenderStrikes(1), **values)

    def test_requests_of_a_person_and_of_an_address(self) -> None:
        limits = self.limits()
        for identity in (ADA, ADA, ADA, BOB, BOB):
            limits.check_address(HERE, 0)
            limits.check_person(identity, HERE, 0)
        with pytest.raises(RateLimitError, match="from this address"):
            limits.check_address(HERE, 0)
        with pytest.raises(RateLimitError, match="too many requests"):
            limits.check_person(ADA, HERE, 0)
        limits.check_address(HERE, 1)
        limits.check_person(ADA, HERE, 1)

    def test_bodies_count_by_their_bytes(self) -> None:
        limits = self.limits()
        limits.check_person(ADA, HERE, 0)
        limits.charge_body(ADA, HERE, 4 * BODY_BYTES_PER_REQUEST, 0)
        with pytest.raises(RateLimitError):
            limits.check_person(ADA, HERE, 0.9)
        limits.check_person(ADA, HERE, 1.1)

    def test_reads_at_a_time(self) -> None:
        limits = self.limits()
        limits.begin_read(ADA, HERE)
        with pytest.raises(RateLimitError) as refused:
            limits.begin_read(ADA, HERE)
        assert refused.value.code == "too_many_reads"
        limits.begin_read(BOB, HERE)
        limits.end_read(ADA, HERE)
        limits.begin_read(ADA, HERE)
        with pytest.raises(RateLimitError):
            limits.begin_read(Identity("eve", "couple"), HERE)
        limits.end_read(ADA, HERE)
        limits.end_read(BOB, HERE)
        assert not limits._reads_of_persons._by_address
        assert not limits._reads_of_addresses._by_address


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
