"""From an edit to a mail and a webhook: a real server that sends to real receivers."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
from standardwebhooks.webhooks import Webhook

from tests.support.server import ServerProcess
from tests.support.sinks import http_sink, mail_sink

AROHA, BEN = {"user": "aroha", "role": "couple"}, {"user": "ben", "role": "couple"}
PIA = {"user": "pia", "role": "planner"}
SECONDS = 60.0


async def edit(client: httpx.AsyncClient, document: str, *operations: dict[str, Any]) -> None:
    answer = await client.post(f"/documents/{document}/ops", params=PIA, json={"operations": operations})
    assert answer.status_code == 200, answer.text


async def test_a_payment_is_mailed_and_posted(tmp_path: Path) -> None:
    async with http_sink() as hooks, mail_sink() as mail:
        flags = ["--smtp-url", f"smtp://127.0.0.1:{mail.port}", "--mail-from", "Wedding <wedding@example.com>"]
        server = ServerProcess(tmp_path, flags=[*flags, "--webhooks-allow-private"])
        await asyncio.to_thread(server.start)
        url = f"{server.url}/api/weddings/w"
        try:
            async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as client:
                for member in (AROHA, BEN, PIA):
                    assert (await client.post("/members", params=AROHA, json=member)).status_code == 201
                addresses = [
                    {"channel": "mail", "address": "ben@example.com"},
                    {"channel": "sms", "address": "+64211234567"},
                ]
                for body in addresses:
                    assert (await client.put("/contacts", params=BEN, json=body)).status_code == 200
                fields = {"url": hooks.url, "types": ["payment"]}
                made = (await client.post("/webhooks", params=AROHA, json=fields)).json()
                item = {"name": "Peonies", "actual": 20000}
                await edit(client, "budget", {"op": "insert", "root": "items", "record": "i_1", "value": item})
                paid = {"item": "i_1", "amount": 5000, "on": "2026-05-30", "kind": "deposit"}
                await edit(client, "budget", {"op": "set", "root": "payments", "record": "p_1", "value": paid})
                async with asyncio.timeout(SECONDS):
                    await hooks.arrivals(1)
                    while not (await sent(client, "mail") and await sent(client, "webhook")):  # noqa: ASYNC110 - no event
                        await asyncio.sleep(0.1)
        finally:
            await asyncio.to_thread(server.close)
    (hook,) = hooks.received
    event = Webhook(made["secret"]).verify(hook.body, hook.headers)
    assert event["type"] == "payment.recorded"
    (letter,) = mail.mail
    assert (mail.recipients, letter["To"].addresses[0].addr_spec) == (["ben@example.com"], "ben@example.com")
    assert hook.headers["webhook-id"] not in letter["Message-ID"], "each message has an id of its own"
    assert "Traceback" not in server.log


async def sent(client: httpx.AsyncClient, channel: str) -> bool:
    """Whether one message of a channel was sent, and nothing waits in any."""
    channels = (await client.get("/messaging/stats", params=AROHA)).json()["channels"]
    assert channels["sms"] == {"sent": 0, "waiting": 0, "held": 0, "dropped": 0, "dead": 0}, json.dumps(channels)
    return bool(channels[channel] == {"sent": 1, "waiting": 0, "held": 0, "dropped": 0, "dead": 0})
