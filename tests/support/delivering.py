"""A node whose messages all go to a sink: `python -m tests.support.delivering` takes the flags of `crdt-server serve`.

`SinkSender` posts a message to its address, and understands what a `tests.support.sink` answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import click
import httpx

from crdt_server import Settings, create_app, logs
from crdt_server.options import load_settings, setting_options
from crdt_server.serve import DrainingServer, configure
from crdt_server.services.messaging.model import Channel, Delivery, NotSent, Sender, Sent
from storage import migrate


class SinkSender:
    """See the head of the file."""

    def __init__(self) -> None:
        self._http = httpx.AsyncClient(trust_env=False, timeout=30, limits=httpx.Limits(max_connections=100))

    async def send(self, delivery: Delivery) -> Sent | NotSent:
        notices = [each._asdict() | {"at": each.at.isoformat()} for each in delivery.notices]
        body = delivery._asdict() | {"notices": notices}
        try:
            answer = await self._http.post(delivery.address, json=body)
        except httpx.HTTPError as error:
            return NotSent(f"{type(error).__name__}: {error}")
        if answer.status_code == 200:
            return Sent()
        wait = answer.headers.get("Retry-After")
        gone = answer.status_code == 410
        return NotSent(f"HTTP {answer.status_code}", gone=gone, retry_after=None if wait is None else float(wait))

    async def close(self) -> None:
        await self._http.aclose()


def open_senders(settings: Settings) -> Mapping[Channel, Sender]:
    """One for each channel."""
    sender = SinkSender()
    return {Channel.MAIL: sender, Channel.PUSH: sender, Channel.WEBHOOK: sender, Channel.SMS: sender}


@click.command()
@setting_options(*Settings.model_fields)
def main(config: str | None, **flags: Any) -> None:
    """Serve until a signal comes."""
    settings = load_settings(config, flags)
    logs.configure(settings.log_level)
    asyncio.run(migrate(settings.database_url))
    app = create_app(settings, open_senders=open_senders)
    DrainingServer(configure(app, settings), app).run()


if __name__ == "__main__":
    main()
