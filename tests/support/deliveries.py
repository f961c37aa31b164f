"""Messages to be sent."""

from __future__ import annotations

from datetime import UTC, datetime

from crdt_server.services.messaging.model import Channel, Delivery, Notice, Priority

AT = datetime(2026, 6, 20, 12, 30, tzinfo=UTC)


def notice(type_: str = "message.sent", *, count: int = 1, priority: int = Priority.NOTIFY, **params: str) -> Notice:
    """A notice of event 7 of the wedding `w`."""
    return Notice("w", 7, type_, priority, AT, "timeline", "i_1", params, count)


def delivery(
    channel: Channel = Channel.MAIL,
    address: str = "anna@example.org",
    *notices: Notice,
    secret: str = "",
    name: str = "Anna",
    language: str = "en",
    timezone: str = "Europe/Berlin",
    currency: str = "EUR",
    title: str = "Chloé & Aroha",
    unsubscribe: str = "https://wed.example/api/unsubscribe?token=t1",
    id_: str = "d_1",
) -> Delivery:
    """A message to Anna."""
    told = notices or (notice(actor="Mária", title="Flowers", text="Shall we meet at noon?"),)
    return Delivery(
        id_, "u_anna", name, channel, address, secret, told, language, timezone, currency, title, unsubscribe
    )
