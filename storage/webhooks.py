"""The webhooks of weddings: where a wedding's events are sent, which of them, and the secrets that sign them.

A change reads what is there and hands it to a function of the caller, which decides, as in `members`. Plain functions
over a `Connection`, as in `updates`; `WebhookStore` is their part of `Storage`.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, and_, delete, func, insert, select, update

from storage import audit
from storage.audit import NewAuditEntry
from storage.errors import ValuesRefused
from storage.messaging_tables import ADDRESS_LENGTH, webhooks
from storage.store_parts import StorePart


@dataclass(frozen=True, slots=True)
class StoredWebhook:
    """A webhook. It is not used while it has `disabled_at`, for the `reason`."""

    id: str
    url: str
    types: tuple[str, ...]
    """Types of events, or their beginnings; none: all."""
    secrets: tuple[str, ...] = field(repr=False)
    """The first signs, the others sign besides."""
    by: str
    at: datetime
    disabled_at: datetime | None = None
    reason: str = ""


class WebhookChange(NamedTuple):
    """A webhook as it is to be, or None to remove it, and the entry about that."""

    webhook: StoredWebhook | None
    entry: NewAuditEntry


DecideWebhook = Callable[[StoredWebhook | None], WebhookChange]
"""Decides about the change of a webhook, given as it is. May raise."""

_NAMES = ("id", "url", "types", "secrets", "by", "at", "disabled_at", "reason")
_COLUMNS = tuple(webhooks.c[name] for name in _NAMES)


def change(connection: Connection, wedding: str, id_: str, decide: DecideWebhook, most: int) -> StoredWebhook | None:
    """Add, change or remove a webhook. Raises ValuesRefused where there are `most` already."""
    audit.lock(connection, wedding)
    before = find(connection, wedding, id_)
    changed, entry = decide(before)
    key = and_(webhooks.c.wedding == wedding, webhooks.c.id == id_)
    if changed is None:
        connection.execute(delete(webhooks).where(key))
    elif before is None:
        count = select(func.count()).select_from(webhooks).where(webhooks.c.wedding == wedding)
        if connection.scalars(count).one() >= most:
            raise ValuesRefused(f"there are {most} webhooks")
        connection.execute(insert(webhooks), {"wedding": wedding, **_values(changed)})
    else:
        connection.execute(update(webhooks).where(key).values(_values(changed)))
    audit.add(connection, wedding, [entry])
    return changed


def find(connection: Connection, wedding: str, id_: str) -> StoredWebhook | None:
    """A webhook of a wedding."""
    query = select(*_COLUMNS).where(webhooks.c.wedding == wedding, webhooks.c.id == id_)
    row = connection.execute(query).one_or_none()
    return None if row is None else _webhook(row)


def list_all(connection: Connection, wedding: str) -> list[StoredWebhook]:
    """The webhooks of a wedding, the oldest first."""
    query = select(*_COLUMNS).where(webhooks.c.wedding == wedding).order_by(webhooks.c.at, webhooks.c.id)
    return [_webhook(row) for row in connection.execute(query)]


def _values(webhook: StoredWebhook) -> dict[str, Any]:
    if len(webhook.url) > ADDRESS_LENGTH:
        raise ValuesRefused(f"a URL has at most {ADDRESS_LENGTH} characters")
    values = {name: getattr(webhook, name) for name in _NAMES}
    return values | {"types": json.dumps(webhook.types), "secrets": json.dumps(webhook.secrets)}


def _webhook(row: Row[Any]) -> StoredWebhook:
    values = dict(row._mapping)
    types, secrets = tuple(json.loads(values.pop("types"))), tuple(json.loads(values.pop("secrets")))
    return StoredWebhook(**values, types=types, secrets=secrets)


class WebhookStore(StorePart):
    """Webhooks of weddings."""

    async def change_webhook(self, wedding: str, id_: str, decide: DecideWebhook, most: int) -> StoredWebhook | None:
        """Add, change or remove a webhook as `decide` decides, given as it is. Raises what `decide` raises, and
        ValuesRefused where there are `most` already."""
        return await self._executor.write(lambda connection: change(connection, wedding, id_, decide, most))

    async def webhooks(self, wedding: str) -> list[StoredWebhook]:
        """The webhooks of a wedding, the oldest first."""
        return await self._executor.read(lambda connection: list_all(connection, wedding))
