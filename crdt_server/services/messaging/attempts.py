"""The outcome of an attempt to send a message: it was sent, it is tried again later, or it is dead. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from crdt_server.services.messaging.model import NotSent, Sent
from storage import MessageOutcome, StoredMessage
from storage.outbox import DEAD, LATER, SENT

RETRY_SECONDS: Final = (5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600)
"""How long after each attempt that failed the next one comes. The one behind the last is the last."""

ATTEMPTS: Final = len(RETRY_SECONDS) + 1

LONGEST_WAIT_SECONDS: Final = 24 * 3600
"""Of what the other side asks to wait."""

REASON_CHARACTERS: Final = 500


def outcome_of(message: StoredMessage, result: Sent | NotSent, now: datetime) -> MessageOutcome:
    """The outcome for a message, in which the attempt is counted already."""
    if isinstance(result, Sent):
        return MessageOutcome(message.id, SENT, "", now)
    reason = " ".join(result.reason.split())[:REASON_CHARACTERS]
    if result.permanent or result.gone or message.attempts >= ATTEMPTS:
        return MessageOutcome(message.id, DEAD, reason, now)
    asked = min(result.retry_after or 0.0, LONGEST_WAIT_SECONDS)
    wait = max(asked, RETRY_SECONDS[max(message.attempts, 1) - 1])
    return MessageOutcome(message.id, LATER, reason, now, now + timedelta(seconds=wait))
