"""Quiet hours, digests and modes, with moments of a fake clock in zones with different rules."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from crdt_server.services.messaging.local_time import QuietHours, moment_of, zone_names, zone_of
from crdt_server.services.messaging.model import Channel, Priority
from crdt_server.services.messaging.preferences import (
    GROUPS,
    OTHERS,
    Drop,
    HoldUntil,
    InDigest,
    Mode,
    Plan,
    Preferences,
    SendNow,
    WeddingDefaults,
    as_json,
    defaults_in,
    group_of,
    next_digest,
    parse_preferences,
    plan,
)
from documents.events.rules import TYPES

BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"  # an hour, in other weeks
LORD_HOWE = "Australia/Lord_Howe"  # half an hour, in the south
KOLKATA = "Asia/Kolkata"  # never, and half an hour off
ZONES = (BERLIN, NEW_YORK, LORD_HOWE, KOLKATA)
NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def quiet(text: str) -> QuietHours:
    start, _, end = text.partition("-")
    return QuietHours(time.fromisoformat(start), time.fromisoformat(end))


@pytest.mark.parametrize(
    ("zone", "hours", "now", "end"),
    [
        # Across midnight, and the two edges.
        (BERLIN, "22:00-07:00", "2026-01-10T23:30", "2026-01-11T06:00"),
        (BERLIN, "22:00-07:00", "2026-01-10T20:59", None),
        (BERLIN, "22:00-07:00", "2026-01-10T21:00", "2026-01-11T06:00"),
        (BERLIN, "22:00-07:00", "2026-01-11T05:59", "2026-01-11T06:00"),
        (BERLIN, "22:00-07:00", "2026-01-11T06:00", None),
        # Within a day.
        (KOLKATA, "13:00-15:00", "2026-06-01T07:30", "2026-06-01T09:30"),
        (KOLKATA, "13:00-15:00", "2026-06-01T09:30", None),
        # Nights of a change are an hour, or half an hour, shorter and longer.
        (BERLIN, "22:00-07:00", "2026-03-28T21:30", "2026-03-29T05:00"),
        (BERLIN, "22:00-07:00", "2026-10-24T20:30", "2026-10-25T06:00"),
        (NEW_YORK, "23:30-06:00", "2026-03-08T04:30", "2026-03-08T10:00"),
        (NEW_YORK, "23:30-06:00", "2026-11-01T03:30", "2026-11-01T11:00"),
        (LORD_HOWE, "22:00-07:00", "2026-10-03T12:00", "2026-10-03T20:00"),
        (LORD_HOWE, "22:00-07:00", "2026-04-04T12:00", "2026-04-04T20:30"),
        # The end is skipped: it is the moment of the change.
        (BERLIN, "22:00-02:30", "2026-03-29T00:59", "2026-03-29T01:00"),
        (BERLIN, "22:00-02:30", "2026-03-29T01:00", None),
        (NEW_YORK, "22:00-02:30", "2026-03-08T06:00", "2026-03-08T07:00"),
        (LORD_HOWE, "22:00-02:15", "2026-10-03T15:29", "2026-10-03T15:30"),
        (LORD_HOWE, "22:00-02:15", "2026-10-03T15:30", None),
        # The start is.
        (BERLIN, "02:30-07:00", "2026-03-29T00:59", None),
        (BERLIN, "02:30-07:00", "2026-03-29T01:00", "2026-03-29T05:00"),
        # The end comes twice: nobody is woken between the two.
        (BERLIN, "22:00-02:30", "2026-10-25T00:45", "2026-10-25T01:30"),
        (BERLIN, "22:00-02:30", "2026-10-25T01:30", None),
        (NEW_YORK, "22:00-01:30", "2026-11-01T05:45", "2026-11-01T06:30"),
        (LORD_HOWE, "22:00-01:45", "2026-04-04T14:50", "2026-04-04T15:15"),
        # The start does: the first one counts.
        (BERLIN, "02:30-07:00", "2026-10-25T00:29", None),
        (BERLIN, "02:30-07:00", "2026-10-25T01:10", "2026-10-25T06:00"),
        # The time between the end and the next start is skipped.
        (BERLIN, "02:30-02:10", "2026-03-28T12:00", "2026-03-30T00:10"),
        # Nothing at all.
        (BERLIN, "07:00-07:00", "2026-01-10T23:30", None),
        ("Nowhere/Land", "22:00-07:00", "2026-01-10T22:00", "2026-01-11T07:00"),
    ],
)
def test_quiet_hours(zone: str, hours: str, now: str, end: str | None) -> None:
    preferences = Preferences(timezone=zone, quiet_hours=quiet(hours))
    expected = SendNow() if end is None else HoldUntil(at(end))
    for channel in (Channel.MAIL, Channel.SMS, Channel.PUSH):
        assert plan(preferences, Priority.NOTIFY, "guests", channel, at(now)) == expected


@pytest.mark.parametrize(
    ("zone", "hour", "hours", "now", "due"),
    [
        (BERLIN, 8, "", "2026-03-28T06:59", "2026-03-28T07:00"),
        (BERLIN, 8, "", "2026-03-28T07:00", "2026-03-29T06:00"),
        (BERLIN, 8, "", "2026-10-24T06:00", "2026-10-25T07:00"),
        (NEW_YORK, 0, "", "2026-07-01T04:00", "2026-07-02T04:00"),
        (KOLKATA, 23, "", "2026-07-01T17:30", "2026-07-02T17:30"),
        # The hour is skipped.
        (BERLIN, 2, "", "2026-03-28T12:00", "2026-03-29T01:00"),
        (NEW_YORK, 2, "", "2026-03-08T01:00", "2026-03-08T07:00"),
        (LORD_HOWE, 2, "", "2026-10-03T10:00", "2026-10-03T15:30"),
        # It comes twice: there is one digest.
        (BERLIN, 2, "", "2026-10-24T12:00", "2026-10-25T00:00"),
        (BERLIN, 2, "", "2026-10-25T00:00", "2026-10-26T01:00"),
        (NEW_YORK, 1, "", "2026-10-31T12:00", "2026-11-01T05:00"),
        (NEW_YORK, 1, "", "2026-11-01T05:00", "2026-11-02T06:00"),
        # It lies in quiet hours: the digest comes at their end, on the same day.
        (BERLIN, 8, "22:00-09:00", "2026-01-10T06:00", "2026-01-10T08:00"),
        (BERLIN, 8, "22:00-09:00", "2026-01-10T07:30", "2026-01-10T08:00"),
        (BERLIN, 8, "22:00-09:00", "2026-01-10T08:00", "2026-01-11T08:00"),
        (LORD_HOWE, 23, "22:00-02:15", "2026-10-03T11:00", "2026-10-03T15:30"),
    ],
)
def test_the_next_digest(zone: str, hour: int, hours: str, now: str, due: str) -> None:
    preferences = Preferences(timezone=zone, digest_hour=hour, quiet_hours=quiet(hours) if hours else None)
    assert next_digest(preferences, at(now)) == at(due)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("hour", [0, 1, 2, 3, 8, 23])
def test_there_is_one_digest_a_day(zone: str, hour: int) -> None:
    preferences = Preferences(timezone=zone, digest_hour=hour)
    now, days = at("2026-01-01T00:00"), []
    while now < at("2027-01-01T00:00"):
        now = next_digest(preferences, now)
        days.append(now.astimezone(ZoneInfo(zone)).date())
    first = days[0]
    assert days == [first + timedelta(days=number) for number in range(len(days))]


MOMENTS = st.integers(0, 365 * 86_400).map(lambda seconds: at("2026-01-01T00:00") + timedelta(seconds=seconds))
TIMES = st.times().map(lambda each: each.replace(second=0, microsecond=0))


@given(zone=st.sampled_from(ZONES), start=TIMES, end=TIMES, hour=st.integers(0, 23), now=MOMENTS)
def test_what_waits_is_sent_at_the_end_of_its_wait(zone: str, start: time, end: time, hour: int, now: datetime) -> None:
    preferences = Preferences(timezone=zone, quiet_hours=QuietHours(start, end), digest_hour=hour)

    def planned(moment: datetime) -> Plan:
        return plan(preferences, Priority.LIST, "tasks", Channel.MAIL, moment)

    held = planned(now)
    if isinstance(held, HoldUntil):
        assert now < held.moment <= now + timedelta(days=2)
        assert planned(held.moment) == SendNow()
    due = next_digest(preferences, now)
    assert now < due <= now + timedelta(days=3)
    assert planned(due) == SendNow()


@given(zone=st.sampled_from(ZONES), start=TIMES, end=TIMES, now=MOMENTS)
def test_on_ordinary_days_the_clock_on_the_wall_decides(zone: str, start: time, end: time, now: datetime) -> None:
    info = ZoneInfo(zone)
    offsets = {(now + timedelta(hours=hours)).astimezone(info).utcoffset() for hours in (-48, -24, 0, 24, 48)}
    assume(len(offsets) == 1 and start != end)
    wall = now.astimezone(info).time()
    inside = start <= wall < end if start < end else (wall >= start or wall < end)
    preferences = Preferences(timezone=zone, quiet_hours=QuietHours(start, end))
    held = plan(preferences, Priority.LIST, "tasks", Channel.MAIL, now)
    assert isinstance(held, HoldUntil) is inside
    if isinstance(held, HoldUntil):
        assert held.moment.astimezone(info).time() == end


NIGHT = Preferences(timezone="UTC", quiet_hours=quiet("11:00-13:00"), digest_hour=18)
EVENING = NOON.replace(hour=18)
ONE_O_CLOCK = HoldUntil(NOON.replace(hour=13))


@pytest.mark.parametrize("channel", Channel)
@pytest.mark.parametrize("mode", Mode)
def test_an_emergency_overrides_all(channel: Channel, mode: Mode) -> None:
    preferences = NIGHT.without("digest", channel)
    preferences = Preferences("", "UTC", NIGHT.quiet_hours, 18, {**preferences.modes, ("emergencies", channel): mode})
    for routed in (False, True):
        planned = plan(preferences, Priority.EMERGENCY, "emergencies", channel, NOON, routed_to_digest=routed)
        assert planned == SendNow()


@pytest.mark.parametrize(
    ("mode", "priority", "channel", "expected"),
    [
        (None, Priority.URGENT, Channel.PUSH, SendNow()),
        (None, Priority.NOTIFY, Channel.PUSH, ONE_O_CLOCK),
        (Mode.ON, Priority.RECORD, Channel.MAIL, ONE_O_CLOCK),
        (Mode.ON, Priority.URGENT, Channel.MAIL, SendNow()),
        (Mode.OFF, Priority.URGENT, Channel.SMS, Drop()),
        (Mode.OFF, Priority.NOTIFY, Channel.INBOX, Drop()),
        (Mode.DIGEST, Priority.LIST, Channel.MAIL, InDigest(EVENING)),
        (Mode.DIGEST, Priority.URGENT, Channel.MAIL, InDigest(EVENING)),
        (None, Priority.NOTIFY, Channel.INBOX, SendNow()),
        (Mode.DIGEST, Priority.NOTIFY, Channel.INBOX, SendNow()),
        (Mode.OFF, Priority.NOTIFY, Channel.WEBHOOK, SendNow()),
    ],
)
def test_modes(mode: Mode | None, priority: Priority, channel: Channel, expected: Plan) -> None:
    modes = {} if mode is None else {("guests", str(channel)): mode}
    preferences = Preferences("", "UTC", NIGHT.quiet_hours, 18, modes)
    assert plan(preferences, priority, "guests", channel, NOON) == expected


@pytest.mark.parametrize(
    ("modes", "expected"),
    [
        ({}, InDigest(EVENING)),
        ({("guests", "mail"): Mode.ON}, ONE_O_CLOCK),
        ({("guests", "mail"): Mode.OFF}, Drop()),
        ({("digest", "mail"): Mode.OFF}, Drop()),
        ({("digest", "sms"): Mode.OFF}, InDigest(EVENING)),
    ],
)
def test_what_the_rules_send_to_the_digest(modes: dict[tuple[str, str], Mode], expected: Plan) -> None:
    preferences = Preferences("", "UTC", NIGHT.quiet_hours, 18, modes)
    assert plan(preferences, Priority.LIST, "guests", Channel.MAIL, NOON, routed_to_digest=True) == expected


def test_the_digest_itself_is_in_no_digest() -> None:
    preferences = Preferences(timezone="UTC", modes={("digest", "mail"): Mode.DIGEST})
    assert plan(preferences, Priority.LIST, "digest", Channel.MAIL, NOON, routed_to_digest=True) == SendNow()


def test_every_type_has_a_group() -> None:
    assert {type_ for type_ in TYPES if group_of(type_) == OTHERS} == set()
    assert {group_of(type_) for type_ in ("grant.given", "presence.low_battery", "photo.registered", "x")} == {
        "members", "presence", "photos", OTHERS,
    }  # fmt: skip
    assert len(set(GROUPS)) == len(GROUPS)


def test_a_wedding_has_the_language_and_the_zone_of_those_who_set_none() -> None:
    wedding = defaults_in({"timeZone": "Pacific/Auckland", "locale": "de-AT"})
    assert wedding == WeddingDefaults("de-AT", "Pacific/Auckland")
    assert Preferences().within(wedding) == Preferences("de-AT", "Pacific/Auckland")
    assert Preferences("fr", BERLIN).within(wedding) == Preferences("fr", BERLIN)
    assert Preferences().within(defaults_in({})) == Preferences("en", "")


def test_they_are_stored_as_they_were() -> None:
    for preferences in (
        Preferences(),
        Preferences("de", BERLIN, quiet("22:30-06:05"), 0, {("guests", "mail"): Mode.DIGEST, ("care", "sms"): Mode.ON}),
    ):
        assert parse_preferences(json.dumps(as_json(preferences))) == preferences
    assert parse_preferences("") == Preferences()


def test_names_of_zones() -> None:
    assert {*ZONES, "UTC", "Pacific/Apia"} <= zone_names()
    for wrong in ("", "../etc/passwd", "America", "Berlin", "/etc/localtime", "Europe/Berlin\0"):
        assert zone_of(wrong) == ZoneInfo("UTC")


def test_a_day_that_was_skipped() -> None:
    zone = ZoneInfo("Pacific/Apia")
    assert moment_of(date(2011, 12, 30), time(8), zone) == at("2011-12-30T10:00")
