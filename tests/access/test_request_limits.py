"""Limits of HTTP requests by person, address and role; the clock is a number."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

import crdt_server.access
from crdt_server import Settings, create_app
from crdt_server.access.access import Denied, DevAccess
from crdt_server.access.identity import Identity
from crdt_server.access.limits import SenderStrikes
from crdt_server.access.policy import default_policy
from crdt_server.access.request_limits import BODY_BYTES_PER_REQUEST, RequestLimits
from crdt_server.access.role_limits import DEFAULT, RoleBuckets, RoleLimits, parse_role_limits
from crdt_server.errors import RateLimitError
from documents.categories import AccessCategory
from storage import StorageError

DEFAULTS = (Path(crdt_server.access.__file__).parent / "role_limits.toml").read_text()
ADA, BOB, HERE = Identity("ada", "couple"), Identity("bob", "couple"), "192.0.2.1"
GUEST, VENDOR, STRANGER = Identity("gus", "guest"), Identity("vic", "vendor"), Identity("sam", "acrobat")


class TestRequestLimits:
    def limits(self, **changes: int) -> RequestLimits:
        values = {"per_person": 3, "per_address": 6, "reads_per_person": 1, "reads_per_address": 2} | changes
        return RequestLimits(SenderStrikes(1), RoleBuckets(), **values)

    def test_requests_of_a_person_and_of_an_address(self) -> None:
        limits = self.limits()
        for identity in (ADA, ADA, ADA, BOB, BOB, BOB):
            limits.check_address(HERE, 0)
            limits.check_person(identity, HERE, 0)
        with pytest.raises(RateLimitError, match="from this address"):
            limits.check_address(HERE, 0)
        with pytest.raises(RateLimitError, match="too many requests"):
            limits.check_person(ADA, HERE, 0)
        limits.check_address(HERE, 1)
        limits.check_person(ADA, HERE, 1)

    def test_one_person_does_not_use_up_its_address(self) -> None:
        limits = self.limits(per_person=100, per_address=4)
        for _ in range(100):
            limits.check_address(HERE, 0)
            with suppress(RateLimitError):
                limits.check_person(ADA, HERE, 0)
        limits.charge_body(ADA, HERE, 1 << 30, 0)
        for _ in range(2):
            limits.check_address(HERE, 0)
            limits.check_person(BOB, HERE, 0)

    @pytest.mark.parametrize("hostile", [False, True])
    def test_those_without_a_proof_do_not_use_up_their_address(self, hostile: bool) -> None:
        limits = self.limits(per_person=100, per_address=4)
        for _ in range(100):
            limits.check_address(HERE, 0)
            with suppress(RateLimitError):
                limits.count_denial(Denied("unauthenticated", "no token", hostile), HERE, 0)
        for _ in range(2):
            limits.check_address(HERE, 0)
            limits.check_person(BOB, HERE, 0)

    def test_a_person_with_strikes_does_not_use_up_its_address(self) -> None:
        strikes = SenderStrikes(1)
        strikes.add(ADA, HERE, 0)
        roles = RoleBuckets()
        limits = RequestLimits(strikes, roles, per_person=100, per_address=4, reads_per_person=0, reads_per_address=0)
        for _ in range(100):
            limits.check_address(HERE, 0)
            with pytest.raises(RateLimitError):
                limits.check_person(ADA, HERE, 0)
        for _ in range(2):
            limits.check_address(HERE, 0)
            limits.check_person(BOB, HERE, 0)

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
        assert not limits._reads._by_key


def limits_by_role() -> RequestLimits:
    return RequestLimits(
        SenderStrikes(1),
        RoleBuckets(parse_role_limits(DEFAULTS)),
        per_person=0,
        per_address=0,
        reads_per_person=0,
        reads_per_address=0,
    )


class TestRoles:
    def test_requests(self) -> None:
        limits, limit = limits_by_role(), parse_role_limits(DEFAULTS)["guest"].requests_per_second
        for _ in range(limit):
            limits.check_person(GUEST, HERE, 0)
        with pytest.raises(RateLimitError) as refused:
            limits.check_person(GUEST, HERE, 0)
        assert (refused.value.code, refused.value.retry_after_seconds) == ("too_many_requests", 1)
        for _ in range(limit + 1):
            limits.check_person(ADA, HERE, 0)
        limits.check_person(GUEST, HERE, 1)

    def test_a_large_body_is_answered_with_the_time_to_wait(self) -> None:
        limits = limits_by_role()
        limits.charge_body(GUEST, HERE, 1000 * BODY_BYTES_PER_REQUEST, 0)
        with pytest.raises(RateLimitError) as refused:
            limits.check_person(GUEST, HERE, 0)
        assert refused.value.retry_after_seconds == 20  # of 50 a second

    @pytest.mark.parametrize(("identity", "most"), [(GUEST, 5), (STRANGER, 5), (VENDOR, 20), (ADA, 50)])
    def test_messages(self, identity: Identity, most: int) -> None:
        limits = limits_by_role()
        for _ in range(most):
            limits.check_messages(identity, HERE, 1, 0)
        with pytest.raises(RateLimitError) as refused:
            limits.check_messages(identity, HERE, 1, 0)
        assert refused.value.code == "too_many_messages"
        limits.check_messages(identity, HERE, 0, 0)
        limits.check_messages(identity, HERE, 1, refused.value.retry_after_seconds)

    def test_emergencies(self) -> None:
        limits = limits_by_role()
        assert not limits.pass_emergency(GUEST, HERE, 1, 0)
        assert not limits.pass_emergency(STRANGER, HERE, 1, 0)
        assert [limits.pass_emergency(VENDOR, HERE, 1, 0) for _ in range(11)] == [True] * 10 + [False]
        assert limits.pass_emergency(VENDOR, HERE, 1, 360)
        assert not limits.pass_emergency(VENDOR, HERE, 1, 360)

    def test_of_a_person_without_requests_few_commands_are_read(self) -> None:
        limits = limits_by_role()
        assert not limits.may_be_emergency(GUEST, HERE, 0)
        assert sum(limits.may_be_emergency(VENDOR, HERE, 0) for _ in range(1000)) == 10
        assert limits.may_be_emergency(VENDOR, HERE, 1)

    def test_without_limits(self) -> None:
        buckets = RoleBuckets().of("guest")
        assert all(buckets.messages.take("gus", 0) and buckets.edits.take("gus", 0) for _ in range(1000))
        assert buckets.emergencies is None


class TestFile:
    def test_the_defaults_know_every_role(self) -> None:
        roles = {"couple", "planner", "coordinator", "venue", "caterer", "photographer", "vendor", "family"}
        assert set(parse_role_limits(DEFAULTS)) == roles | {"wedding_party", "guest", DEFAULT}

    def test_messages_a_minute_and_emergencies_an_hour(self) -> None:
        planning, vendors = ("couple", "planner", "coordinator"), ("venue", "caterer", "photographer", "vendor")
        expected = dict.fromkeys(planning, (50, 10)) | dict.fromkeys(vendors, (20, 10))
        expected |= {"family": (15, 0), "wedding_party": (10, 0), "guest": (5, 0), DEFAULT: (5, 0)}
        limits = parse_role_limits(DEFAULTS)
        assert {
            role: (each.messages_per_minute, each.emergencies_per_hour) for role, each in limits.items()
        } == expected

    def test_emergencies_pass_for_the_roles_that_may_raise_one(self) -> None:
        """Of the day, these roles have W, or O: own acknowledgements, and raising one."""
        policy = default_policy()
        raising = {role for role in policy.roles if policy.cell(role, AccessCategory.DAY).rights in ("W", "O")}
        assert raising == {role for role, each in parse_role_limits(DEFAULTS).items() if each.emergencies_per_hour}

    def test_one_value_for_each_limit(self) -> None:
        assert parse_role_limits("[default]\n" + "".join(f"{name} = 7\n" for name in RoleLimits._fields)) == {
            DEFAULT: RoleLimits(7, 7, 7, 7, 7)
        }

    @pytest.mark.parametrize("content", [None, "[guest]"])
    def test_a_server_does_not_start_without_it(self, content: str | None, tmp_path: Path) -> None:
        path = tmp_path / "limits.toml"
        if content is not None:
            path.write_text(content)
        with pytest.raises(StorageError, match="the limits of the roles cannot be read"):
            create_app(Settings(role_limits=str(path)), DevAccess())

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "[guest",
            "default = 3",
            DEFAULTS.replace("[default]", "[others]"),
            DEFAULTS.replace("edits_at_once = 300\n", "", 1),
            DEFAULTS.replace("edits_at_once = 300\n", "edits_at_once = 300\nmore = 1\n", 1),
            *(DEFAULTS.replace("at_once = 300", f"at_once = {wrong}", 1) for wrong in ("-1", "1.5", "true")),
        ],
    )
    def test_what_is_no_such_file(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"default|edits_at_once|Expected"):
            parse_role_limits(text)
