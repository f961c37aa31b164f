"""A server with tokens and members, for tests of what each of them may do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from crdt_server import Settings
from storage import open_storage
from tests.support.gate import LocalServer, local_server
from tests.support.rights import put_member
from tests.support.tokens import SECRET, token

WEDDING = "/api/weddings/w"
ROLES = {
    "u_aroha": "couple",
    "u_mia": "planner",
    "u_dj": "vendor",
    "u_bo": "vendor",
    "u_ann": "family",
    "u_zoe": "wedding_party",
    "u_chloe": "guest",
}
AT = "2026-06-20T13:30:00.000Z"


def settings_with_tokens(directory: Path, database_url: str) -> Settings:
    """Those of a server that takes tokens, without limits on requests; its key is put into a directory."""
    (directory / "secret").write_bytes(SECRET)
    return Settings(
        port=0,
        database_url=database_url,
        document_hosts=1,
        jwt_secret_file=f"{directory}/secret",
        role_limits="none",
        requests_per_second=0,
        requests_per_address=0,
    )


@asynccontextmanager
async def server_with_members(directory: Path, database_url: str) -> AsyncIterator[LocalServer]:
    """A server of wedding ``w`` with ROLES, and with `u_gone` who was removed."""
    storage = await open_storage(database_url, migrate=True)
    for user, role in ROLES.items():
        await put_member(storage, user, role)
    await put_member(storage, "u_gone", "guest", removed=True)
    await storage.close()
    async with local_server(settings_with_tokens(directory, database_url)) as running:
        yield running


def as_user(user: str) -> dict[str, str]:
    """The headers of a member."""
    return {"Authorization": f"Bearer {token(sub=user, role=None)}"}


async def make(client: httpx.AsyncClient, user: str, *others: str, status: int = 201, **more: object) -> dict[str, Any]:
    """A thread that a member has made, or why not."""
    body = {"title": "Flowers", "participants": list(others), **more}
    answer = await client.post("/threads", json=body, headers=as_user(user))
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found
