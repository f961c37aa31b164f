"""Which messages a node begins to send: without I/O."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from crdt_server.services.messaging.lanes import AT_ONCE, LANES, PER_ADDRESS, PER_SECOND, Lanes
from crdt_server.services.messaging.model import Channel
from storage import StoredMessage

NOON: Final = datetime(2026, 6, 20, 12, tzinfo=UTC)
HALF: Final = LANES[Channel.WEBHOOK] // 2


def message(id_: int, wedding: str, channel: Channel = Channel.WEBHOOK, priority: int = 2) -> StoredMessage:
    return StoredMessage(
        *(id_, f"k{id_}", wedding, f"to{id_}", channel.value, "", id_, "task.done", priority, "planning", "t", "{}", 1),
        *("sending", 1, NOON, NOON, "n_1", NOON, "", None),
    )


def test_a_host_is_one_however_its_name_and_port_are_written() -> None:
    lanes = Lanes()
    urls = [f"https://{'slow.example' if n % 2 else 'SLOW.example.'}:{8000 + n}/x" for n in range(PER_ADDRESS)]
    assert all(lanes.begin(message(n, f"w{n}"), url) for n, url in enumerate(urls))
    assert not lanes.begin(message(100, "w100"), "https://slow.example/y")
    assert lanes.begin(message(101, "w101"), "https://other.example/y")


def test_a_wedding_with_many_slow_hosts_leaves_half_of_the_lanes() -> None:
    for channel in (Channel.WEBHOOK, Channel.PUSH):
        lanes = Lanes()
        began = [lanes.begin(message(n, "w", channel), f"https://h{n}.example") for n in range(LANES[channel])]
        assert sum(began) == HALF
        urgent = [lanes.begin(message(100 + n, "w", channel, 0), f"https://u{n}.example") for n in range(9)]
        assert sum(urgent) == 2
        assert lanes.begin(message(200, "other", channel), "https://other.example")
        lanes.end(0)
        assert lanes.begin(message(201, "w", channel), "https://h.example") is False, "urgent ones have the place"


def test_an_urgent_message_that_finds_no_place_is_not_claimed_again_until_there_is_one() -> None:
    """Else it is claimed and given back, a transaction each time, as long as its host is slow."""
    lanes = Lanes()
    for n in range(PER_ADDRESS * 2):
        assert lanes.begin(message(n, f"w{n}", priority=0), "https://slow.example")
    waiting = message(100, "w100", priority=0)
    assert not lanes.begin(waiting, "https://slow.example")
    recipient = ("w100", "to100", "")
    claims = [each for each in lanes.claims() if each.channel == Channel.WEBHOOK]
    assert len(claims) == 2
    assert all(recipient in each.busy for each in claims)
    lanes.end(3)
    assert not any(recipient in each.busy for each in lanes.claims())


def test_recipients_take_turns_behind_the_last_that_was_claimed() -> None:
    lanes = Lanes()
    assert {claim.after for claim in lanes.claims()} == {("", "", "")}
    for n in range(LANES[Channel.MAIL]):
        lanes.begin(message(n, "w", Channel.MAIL), f"{n}@example.org")
    lanes.begin(message(100, "v", Channel.MAIL, 0), "urgent@example.org")
    lanes.end(0)
    after = {(claim.channel, claim.priority): claim.after for claim in lanes.claims()}
    assert after[Channel.MAIL, 4] == ("w", f"to{LANES[Channel.MAIL] - 1}", "")
    assert after[Channel.MAIL, 1] == ("v", "to100", ""), "the turns of urgent ones are of their own"
    assert after[Channel.SMS, 4] == ("", "", "")


class TestPace:
    """The messages that a wedding sends to its webhooks in a second."""

    def send(self, lanes: Lanes, number: int, wedding: str, priority: int = 2) -> int:
        """How many of them are begun; each ends at once."""
        begun = 0
        for id_ in range(number):
            each = message(id_, wedding, priority=priority)._replace(user="hook")
            if lanes.begin(each, f"https://{wedding}.example"):
                lanes.end(id_)
                begun += 1
        return begun

    def test_a_wedding_has_a_rate(self) -> None:
        """800 a second were possible, each with a handshake: more than the loop has time for."""
        now = [0.0]
        lanes = Lanes(lambda: now[0])
        assert self.send(lanes, AT_ONCE * 2, "w") == AT_ONCE
        assert self.send(lanes, 5, "other") == 5
        assert self.send(lanes, 5, "w", priority=1) == 5, "urgent ones have a rate of their own"
        assert self.send(lanes, AT_ONCE * 2, "w", priority=1) == AT_ONCE - 5
        now[0] += 2.0
        assert self.send(lanes, AT_ONCE, "w") == 2 * PER_SECOND

    def test_its_webhooks_are_not_claimed_meanwhile(self) -> None:
        now = [0.0]
        lanes = Lanes(lambda: now[0])
        self.send(lanes, AT_ONCE + 1, "w")
        ordinary, urgent = [claim for claim in lanes.claims() if claim.channel == Channel.WEBHOOK]
        assert ordinary.busy == [("w", "hook", "")]
        assert urgent.busy == [], "urgent ones of it are claimed on"
        now[0] += 1.0
        assert not any(claim.busy for claim in lanes.claims())

    def test_what_goes_to_hosts_of_the_operator_has_no_rate(self) -> None:
        lanes = Lanes(lambda: 0.0)
        for id_ in range(AT_ONCE * 2):
            assert lanes.begin(message(id_, "w", Channel.MAIL), f"a{id_}@b.example")
            lanes.end(id_)
