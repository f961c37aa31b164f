"""The ways out of the server: mail, SMS, push and webhooks, each a `Sender`."""

from __future__ import annotations

from crdt_server.services.messaging.channels.configuration import (
    ChannelConfiguration,
    ChannelSettingsError,
    read_configuration,
    senders,
)

__all__ = ["ChannelConfiguration", "ChannelSettingsError", "read_configuration", "senders"]
