"""When a message about an event goes out to a person: the port through which the router reads preferences."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime
from typing import NamedTuple, Protocol

from crdt_server.services.messaging.model import Channel
from storage import RoutingReader

WAITING, HELD, DROPPED = "waiting", "held", "dropped"
"""The states of a new message: it is due at a moment, held for a digest, or not sent."""


class Timing(NamedTuple):
    """When a message goes out: it is `waiting` from a moment on, `held` for a digest that is due then, or `dropped`."""

    state: str
    at: datetime


class Timings(Protocol):
    """The preferences of the people of a wedding."""

    def of(self, user: str, priority: int, type_: str, channel: Channel, now: datetime) -> Timing:
        """When a message about an event of a type goes out, if nothing else delays it."""

    def of_digest(self, user: str, type_: str, now: datetime) -> Timing:
        """When the next digest with such a message is due."""


TimingsOf = Callable[[RoutingReader, Collection[str]], Timings]
"""Reads what some people prefer."""
