"""SMS through an HTTP service shaped like Twilio's: a form with `To`, `From` and `Body`; the answer has a `sid`."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode

from crdt_server.services.messaging.channels.http import Answer, HttpClient, Now, retry_after
from crdt_server.services.messaging.model import Delivery, NotSent, Sent
from crdt_server.services.messaging.texts import Rendered

_NUMBER: Final = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII).fullmatch
_SID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII).fullmatch

# Twilio's codes: the number does not exist, cannot have an SMS, has answered STOP.
_GONE: Final = frozenset((21211, 21214, 21217, 21610, 21614))
# The account, not the message: the next attempt may succeed when the operator has mended it.
_OF_ACCOUNT: Final = frozenset((401, 402, 403, 404))


@dataclass(frozen=True, slots=True)
class SmsService:
    """Where messages go, and in whose name."""

    url: str
    user: str
    password: str = field(repr=False)
    sender: str
    """A number, a name, or the id of a messaging service (`MG…`)."""


def fault_of_number(number: str) -> str | None:
    """The reason why this is no telephone number, as E.164 writes it; None: it is one."""
    return None if _NUMBER(number) else "a telephone number is written as +4915123456789"


class SmsSender:
    """The channel of SMS. `Delivery.address` is a telephone number."""

    def __init__(self, service: SmsService, client: HttpClient, render: Callable[[Delivery], Rendered], now: Now):
        self._service = service
        self._client = client
        self._render = render
        self._now = now
        account = f"{service.user}:{service.password}".encode()
        self._authorization = "Basic " + base64.b64encode(account).decode()

    async def send(self, delivery: Delivery) -> Sent | NotSent:
        """Hand the message over."""
        fault = fault_of_number(delivery.address)
        if fault is not None:
            return NotSent(fault, permanent=True)
        sender = "MessagingServiceSid" if self._service.sender.startswith("MG") else "From"
        form = {"To": delivery.address, sender: self._service.sender, "Body": self._render(delivery).short}
        headers = {
            "Authorization": self._authorization,
            "Content-Type": "application/x-www-form-urlencoded",
            "Idempotency-Key": delivery.id,
        }
        answer = await self._client.post(self._service.url, headers, urlencode(form).encode())
        if isinstance(answer, NotSent):
            return answer
        return Sent(_reference(answer.body)) if answer.ok else self._refused(answer)

    def _refused(self, answer: Answer) -> NotSent:
        code = _member(answer.body, "code")
        number = code if isinstance(code, int) else 0
        reason = f"the SMS service answers {answer.status}" + (f", code {number}" if number else "")
        if number in _GONE:
            return NotSent(reason, permanent=True, gone=True)
        is_final = 400 <= answer.status < 500 and answer.status not in (408, 429) and answer.status not in _OF_ACCOUNT
        return NotSent(reason, permanent=is_final, retry_after=retry_after(answer, self._now))

    async def close(self) -> None:
        """Close what is open."""
        await self._client.close()


def _reference(body: bytes) -> str:
    """The id of a message that was taken over. Where the answer broke off there is none: it was taken over all the
    same."""
    sid = _member(body, "sid")
    return sid if isinstance(sid, str) and _SID(sid) else ""


def _member(body: bytes, name: str) -> object:
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return parsed.get(name) if isinstance(parsed, dict) else None
