"""A message of the outbox with its recipient, as the value that a channel sends. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, TypeAlias

from crdt_server.services.messaging.model import Channel, Delivery, Notice, Priority
from storage import MessageAddress, Resolved, StoredMessage
from storage.outbox import CONFIRMATION, DIGEST

LANGUAGE: Final = "en"
TIME_ZONE: Final = "UTC"

Unsubscribe: TypeAlias = Callable[[StoredMessage], str]
"""The URL that ends messages like this one; empty where there is none."""


class MalformedMessage(Exception):
    """The params of a message are none."""


def compose(message: StoredMessage, resolved: Resolved, address: MessageAddress, unsubscribe: str) -> Delivery:
    """A message to one address of its recipient. Choices that the recipient has not made are the wedding's. Raises
    MalformedMessage. A code goes to somebody who may have nothing to do with it: without a word that was typed."""
    chosen, wedding = _object(resolved.preferences), _object(resolved.wedding)
    return Delivery(
        id=message.key,
        user=message.user,
        name="" if message.type == CONFIRMATION else resolved.name,
        channel=Channel(message.channel),
        address=address.address,
        secret=address.secret,
        notices=notices_of(message),
        language=_text(chosen, "language") or _text(wedding, "locale") or LANGUAGE,
        timezone=_text(chosen, "timezone") or _text(wedding, "timeZone") or TIME_ZONE,
        currency=_text(wedding, "currency"),
        title="" if message.type == CONFIRMATION else _text(wedding, "title"),
        unsubscribe=unsubscribe,
    )


def notices_of(message: StoredMessage) -> tuple[Notice, ...]:
    """The events that a message is about; of a digest all of them, in its order. Raises MalformedMessage."""
    try:
        params = _object(message.params)
        if message.type != DIGEST:
            return (_notice(message.wedding, message._asdict() | {"params": params}, message.at),)
        return tuple(
            _notice(message.wedding, each, datetime.fromisoformat(each["at"])) for each in params.get("notices", [])
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise MalformedMessage(f"the message cannot be read: {type(error).__name__}") from error


def _notice(wedding: str, fields: Mapping[str, Any], at: datetime) -> Notice:
    return Notice(
        wedding=wedding,
        event=fields["event"],
        type=fields["type"],
        priority=Priority(fields["priority"]),
        at=at,
        document=fields["document"],
        record=fields["record"],
        params={name: str(value) for name, value in fields["params"].items()},
        merged=fields["count"],
    )


def _object(text: str) -> dict[str, Any]:
    found = json.loads(text) if text else {}
    return found if isinstance(found, dict) else {}


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""
