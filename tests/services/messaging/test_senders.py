"""What senders count and log."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs

from crdt_server.metrics import Metrics
from crdt_server.services.messaging import senders
from storage import MessageOutcome, StoredMessage
from storage.outbox import DEAD

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)


def dead(number: int, wedding: str = "w") -> tuple[StoredMessage, MessageOutcome]:
    values = dict.fromkeys(StoredMessage._fields, "") | {"id": number, "wedding": wedding, "channel": "webhook"}
    return StoredMessage(**values), MessageOutcome(number, DEAD, "no answer", NOW)  # type: ignore[arg-type]


def test_few_lines_are_logged_about_dead_messages_of_a_wedding(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that answers no more had a line for each of its messages."""
    moments = iter([0.0] * 21 + [60.0])
    monkeypatch.setattr(senders.time, "monotonic", lambda: next(moments))
    metrics = Metrics()
    channels = senders.ChannelSenders({}, metrics)
    with capture_logs() as lines:
        for number in range(20):
            channels.count(*dead(number))
        channels.count(*dead(20, "w_2"))
        channels.count(*dead(21))
    assert [line["id"] for line in lines] == [*range(senders.LOGGED_DEAD), 20, 21]
    assert metrics.messages_dead.labels("webhook")._value.get() == 22
