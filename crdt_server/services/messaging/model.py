"""The values that pass between the router, the delivery workers, the templates and the channels."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple, Protocol


class Channel(enum.StrEnum):
    """The ways in which a message reaches a person."""

    INBOX = "in-app"
    MAIL = "mail"
    SMS = "sms"
    PUSH = "push"
    WEBHOOK = "webhook"


class Priority(enum.IntEnum):
    """Of an event and of the messages about it; lower numbers are delivered first."""

    EMERGENCY = 0
    """Overrides preferences and quiet hours."""
    URGENT = 1
    """Overrides quiet hours."""
    NOTIFY = 2
    LIST = 3
    RECORD = 4


class Notice(NamedTuple):
    """The subject of a message: an event, as its recipient may know it."""

    wedding: str
    event: int
    """The number of the event; of a digest, of the newest one in it."""
    type: str
    """The type of the event, `guest.rsvp`; `digest` for a digest."""
    priority: int
    at: datetime
    document: str
    record: str
    params: Mapping[str, str]
    """Values for the template, each a plain text of at most 4,000 characters: `actor`, `title`, `before`, `after`,
    `text`… Typed by people: never markup, a header or a link."""
    merged: int = 1
    """Events that were merged into this one."""


class Delivery(NamedTuple):
    """One message to one address of one person, to be sent now."""

    id: str
    """Stable through all attempts: the recipient may drop what comes twice."""
    user: str
    name: str
    channel: Channel
    address: str
    secret: str
    """Of a push service, its keys as JSON; of a webhook, its secrets as a JSON list; else empty."""
    notices: tuple[Notice, ...]
    """One, or those of a digest, the most urgent first."""
    language: str
    """BCP 47; `en` where there is no template in it."""
    timezone: str
    """IANA name of the recipient's time zone."""
    currency: str
    """ISO 4217, of the wedding."""
    title: str
    """Of the wedding."""
    unsubscribe: str
    """URL that ends such messages, signed; empty where there is none."""

    def __repr__(self) -> str:
        """Without the address, the secret and what is told: a representation may end in a log."""
        return f"Delivery(id={self.id!r}, user={self.user!r}, channel={self.channel.value!r})"


class Sent(NamedTuple):
    """The channel took the message over."""

    reference: str = ""
    """Id that the other side gave it, if any."""


class NotSent(NamedTuple):
    """The channel did not take the message over."""

    reason: str
    """One line, at most 500 characters, without secrets."""
    permanent: bool = False
    """Whether another attempt is of no use: an address that does not exist, a message that is refused for good."""
    gone: bool = False
    """Whether the address is of no use any more (410): it is disabled."""
    retry_after: float | None = None
    """Seconds that the other side asked to wait, at least."""


class Sender(Protocol):
    """A channel. `send` raises nothing but what is a defect; it ends within its own time limit."""

    async def send(self, delivery: Delivery) -> Sent | NotSent:
        """Hand the message over."""

    async def close(self) -> None:
        """Close what is open."""
