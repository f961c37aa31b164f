"""The file of rules, what is refused in it, and what a couple may change."""

from __future__ import annotations

import pytest

from crdt_server.services.messaging.model import Channel
from crdt_server.services.messaging.rules import RuleError, Send, default_rules, override, parse_rules

RULE = """
[[rules]]
name = "a"
events = ["guest.*"]
audience = ["couple", "payee"]
send = ["in-app", "digest", { channel = "sms", unread_minutes = 2, severities = ["error"] }]
"""


def test_a_rule_is_read_and_written_as_it_is() -> None:
    (rule,) = parse_rules(RULE).all
    assert rule.send == (
        Send(Channel.INBOX),
        Send(Channel.MAIL, digest=True),
        Send(Channel.SMS, unread_minutes=2, severities=("error",)),
    )
    sms = {"channel": "sms", "unread_minutes": 2, "severities": ["error"]}
    assert rule.as_json()["send"] == ["in-app", "digest", sms]
    for each in default_rules().all:
        if not each.fixed:
            again = override(each, {"audience": list(each.audience), "send": each.as_json()["send"]})
            assert (again.audience, again.send, again.overridden) == (each.audience, each.send, True)


def test_types_are_matched_whole_or_by_their_beginning() -> None:
    (rule,) = parse_rules(RULE).all
    assert [rule.fits(each, "") for each in ("guest.rsvp", "guest", "guests.rsvp", "guest.a.b")] == [1, 0, 0, 1]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"couple"', '"nobody"'),
        ('"digest"', '"pigeon"'),
        ("unread_minutes = 2", "unread_minutes = -1"),
        ("unread_minutes = 2", "unread_minutes = true"),
        ("unread_minutes = 2", "on_mondays = true"),
        ('"error"', '"bad"'),
        ('name = "a"', 'title = "a"'),
        ('events = ["guest.*"]', 'events = "guest.*"'),
        ('channel = "sms"', 'channel = "sms", counted = true'),
        ("[[rules]]", RULE + "[[rules]]"),
        ("[[rules]]", "more = 1\n[[rules]]"),
        ("[[rules]]", "[rules]]"),
    ],
)
def test_what_cannot_be_understood_is_refused(old: str, new: str) -> None:
    with pytest.raises(RuleError):
        parse_rules(RULE.replace(old, new, 1))


@pytest.mark.parametrize(
    ("rule", "body"),
    [
        ("emergency", {"send": []}),
        ("emergency-critical", {"audience": ["couple"]}),
        ("vendor", {}),
        ("vendor", []),
        ("vendor", {"events": ["guest.rsvp"]}),
        ("vendor", {"audience": ["everybody"]}),
        ("vendor", {"send": ["in-app"] * 11}),
        ("payment", {"audience": ["couple", "vendors"]}),
        ("rsvp-count", {"audience": ["guest"]}),
    ],
)
def test_a_couple_may_not_change_everything(rule: str, body: object) -> None:
    found = default_rules().named(rule)
    assert found is not None
    with pytest.raises(RuleError):
        override(found, body)


def test_an_override_counts_for_its_rule_only() -> None:
    rules = default_rules().overridden([("vendor", '{"send": []}'), ("gone", "{}"), ("rsvp", "{"), ("care", "[]")])
    assert [each.name for each in rules.all if each.overridden] == ["vendor"]
    changed = rules.named("vendor")
    assert changed is not None
    assert changed.send == ()
    assert default_rules().overridden([]) is default_rules()
