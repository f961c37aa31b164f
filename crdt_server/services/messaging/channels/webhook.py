"""Webhooks as the specification Standard Webhooks has them: https://www.standardwebhooks.com.

A message is signed with every secret of its webhook, so that one can be replaced without a message that its receiver
cannot verify. The id is that of the delivery, the same in all attempts. Any answer of 200 to 299 takes the message
over; 410 ends the webhook; a redirect is a failure.
"""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import UTC
from hashlib import sha256
from typing import Any, Final

from crdt_server.services.messaging.channels.http import Answer, HttpClient, Now, retry_after
from crdt_server.services.messaging.model import Delivery, Notice, NotSent, Sent
from crdt_server.services.messaging.urls import ANY, fault_of_url
from crdt_server.services.messaging.webhook_secrets import PREFIX

_SHORTEST_SECRET: Final = 16
_GONE: Final = 410


def signatures(given: Sequence[str], id_: str, timestamp: int, body: bytes) -> str:
    """The header of signatures, one for each secret. Raises ValueError for a secret that is none."""
    if not given:
        raise ValueError("there is no secret")
    signed = f"{id_}.{timestamp}.".encode() + body
    found = []
    for secret in given:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
        if len(key) < _SHORTEST_SECRET:
            raise ValueError("a secret is too short")
        found.append("v1," + base64.b64encode(hmac.new(key, signed, sha256).digest()).decode())
    return " ".join(found)


class WebhookSender:
    """The channel of webhooks. `Delivery.address` is the URL, `Delivery.secret` the secrets as a JSON list."""

    def __init__(self, client: HttpClient, now: Now, schemes: tuple[str, ...] = ANY) -> None:
        self._client = client
        self._now = now
        self._schemes = schemes

    async def send(self, delivery: Delivery) -> Sent | NotSent:
        """Hand the message over."""
        fault = fault_of_url(delivery.address, self._schemes)
        if fault is not None:
            return NotSent(fault, permanent=True)
        body, timestamp = payload(delivery), int(self._now().timestamp())
        try:
            signed = signatures(json.loads(delivery.secret or "[]"), delivery.id, timestamp, body)
        except (ValueError, TypeError, AttributeError, RecursionError):
            return NotSent("the webhook has no secret that can be used", permanent=True)
        headers = {
            "Content-Type": "application/json",
            "webhook-id": delivery.id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signed,
        }
        return self._outcome(await self._client.post(delivery.address, headers, body))

    def _outcome(self, answer: Answer | NotSent) -> Sent | NotSent:
        if isinstance(answer, NotSent) or answer.ok:
            return answer if isinstance(answer, NotSent) else Sent()
        if answer.status == _GONE:
            return NotSent("the webhook is gone (410)", permanent=True, gone=True)
        if 300 <= answer.status < 400:
            return NotSent(f"the answer is a redirect ({answer.status}), which is not followed")
        return NotSent(f"the answer has the status {answer.status}", retry_after=retry_after(answer, self._now))

    async def close(self) -> None:
        """Close what is open."""
        await self._client.close()


def payload(delivery: Delivery) -> bytes:
    """The body: type, moment and data; of several events at once, a list of those."""
    told = [_event(notice) for notice in delivery.notices]
    body: Mapping[str, Any] = told[0]
    if len(told) > 1:
        body = {"type": "digest", "timestamp": told[0]["timestamp"], "data": {"events": told}}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _event(notice: Notice) -> dict[str, Any]:
    at = notice.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    data = {
        "wedding": notice.wedding,
        "event": notice.event,
        "priority": int(notice.priority),
        "document": notice.document,
        "record": notice.record,
        "count": notice.merged,
        "params": dict(notice.params),
    }
    return {"type": notice.type, "timestamp": at, "data": data}
