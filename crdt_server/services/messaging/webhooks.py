"""The webhooks of a wedding: made, changed, given other secrets and removed by the couple and its planners.

A secret is shown once, when it is made. While one is replaced, the one before signs too, until it is ended or replaced
in its turn. A webhook belongs to whoever made it, or gave it its URL since: it is sent what that member may know. So
nobody gets what another may know by pointing the webhook of that person at a server of their own. One whose maker is no
member any more gets nothing, and is not used again before another member gives it a URL.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from crdt_server.access.access import require_allowed
from crdt_server.access.identity import Identity
from crdt_server.access.policy import Policy
from crdt_server.errors import NotFoundError, ProtocolError
from crdt_server.services.changes import UNLIMITED, ChangeLimit
from crdt_server.services.entries import MembershipError, Now, audit_entry
from crdt_server.services.members import read_rights
from crdt_server.services.messaging.ip_addresses import is_address, is_public
from crdt_server.services.messaging.urls import ANY, ENCRYPTED, fault_of_url
from crdt_server.services.messaging.webhook_secrets import new_secret
from storage import NewAuditEntry, Storage, StoredWebhook, ValuesRefused, WebhookChange

MOST_WEBHOOKS: Final = 20
"""Of a wedding."""

NO_MEMBER: Final = "its maker is no member: it gets nothing"
"""The reason of a webhook that nothing is sent to."""

SECRETS_KEPT: Final = 2
"""The newest, and the one before it."""


class NewWebhook(NamedTuple):
    """A webhook to be made: its URL, and types of events or their beginnings (`guest` for `guest.rsvp`); none: all."""

    url: str
    types: tuple[str, ...]


class Shown(NamedTuple):
    """A webhook, and its newest secret, which is not shown again."""

    webhook: StoredWebhook
    secret: str


def subscribes_to(types: Sequence[str], type_: str) -> bool:
    """Whether a webhook gets events of a type: it has it, or a beginning of it, or no types at all."""
    return not types or any(type_ == each or type_.startswith(each + ".") for each in types)


class WebhookService:
    """See the head of the file. ``actor`` is whoever requests it. Methods raise ForbiddenError, NotFoundError,
    ProtocolError for a URL that cannot be used, MembershipError, and RateLimitError for more ``changes`` than one
    person makes."""

    def __init__(
        self, storage: Storage, now: Now, policy: Policy, *, allow_private: bool, changes: ChangeLimit = UNLIMITED
    ) -> None:
        self._storage = storage
        self._now = now
        self._policy = policy
        self._allow_private = allow_private
        self._changes = changes

    async def present(self, wedding: str, actor: Identity) -> list[StoredWebhook]:
        """The webhooks, also those that are disabled; the reason of one that gets nothing is that of its maker."""
        await self._require_manager(wedding, actor)
        found = await self._storage.webhooks(wedding)
        members = {each.user for each in await self._storage.members(wedding) if each.removed_at is None}
        return [each if each.by in members else replace(each, reason=each.reason or NO_MEMBER) for each in found]

    async def add(self, wedding: str, actor: Identity, new: NewWebhook) -> Shown:
        """Make a webhook."""
        await self._require_manager(wedding, actor)
        self._require_url(new.url)
        await self._require_not_removed(wedding, actor.user)
        at, secret = self._now(), new_secret()
        made = StoredWebhook(f"wh_{secrets.token_hex(8)}", new.url, new.types, (secret,), actor.user, at)

        def decide(before: StoredWebhook | None) -> WebhookChange:
            return WebhookChange(made, _entry(at, actor, "webhook.added", made))

        try:
            with self._changes.count(wedding, actor.user):
                await self._storage.change_webhook(wedding, made.id, decide, MOST_WEBHOOKS)
        except ValuesRefused as error:
            raise MembershipError("too_many_webhooks", str(error)) from error
        return Shown(made, secret)

    async def change(
        self, wedding: str, actor: Identity, id_: str, *, url: str | None, types: tuple[str, ...] | None,
        enabled: bool | None,
    ) -> StoredWebhook:  # fmt: skip
        """Change a webhook; None leaves a value. With another URL it is the actor's, and with any if its maker was
        removed; with `enabled` one that was disabled is used again."""
        await self._require_manager(wedding, actor)
        if url is not None:
            self._require_url(url)
            await self._require_not_removed(wedding, actor.user)
        at, removed = self._now(), await self._removed(wedding)

        def changed(webhook: StoredWebhook) -> StoredWebhook:
            is_kept = url in (None, webhook.url) and (url is None or webhook.by not in removed)
            by = webhook.by if is_kept else actor.user
            if by in removed and enabled is not False:
                raise MembershipError("not_a_member", NO_MEMBER + ": give it a URL to make it yours")
            webhook = replace(webhook, url=url or webhook.url, types=webhook.types if types is None else types, by=by)
            if enabled is not None:
                webhook = replace(webhook, disabled_at=None if enabled else webhook.disabled_at or at, reason="")
            return webhook

        return _present(await self._change(wedding, actor, id_, "webhook.changed", changed))

    async def rotate(self, wedding: str, actor: Identity, id_: str) -> Shown:
        """Give a webhook another secret; the one before signs too, the others end."""
        await self._require_manager(wedding, actor)
        secret = new_secret()

        def changed(webhook: StoredWebhook) -> StoredWebhook:
            return replace(webhook, secrets=(secret, *webhook.secrets)[:SECRETS_KEPT])

        return Shown(_present(await self._change(wedding, actor, id_, "webhook.rotated", changed)), secret)

    async def end_old_secrets(self, wedding: str, actor: Identity, id_: str) -> StoredWebhook:
        """Let the newest secret of a webhook be its only one."""
        await self._require_manager(wedding, actor)

        def changed(webhook: StoredWebhook) -> StoredWebhook:
            return replace(webhook, secrets=webhook.secrets[:1])

        return _present(await self._change(wedding, actor, id_, "webhook.secrets_ended", changed))

    async def remove(self, wedding: str, actor: Identity, id_: str) -> None:
        """Remove a webhook: nothing is sent to it any more."""
        await self._require_manager(wedding, actor)
        await self._change(wedding, actor, id_, "webhook.removed", lambda webhook: None)

    async def _require_manager(self, wedding: str, actor: Identity) -> None:
        require_allowed((await read_rights(self._storage, wedding, self._policy)).may_manage(actor))

    async def _removed(self, wedding: str) -> set[str]:
        """Those who are no members any more."""
        return {each.user for each in await self._storage.members(wedding) if each.removed_at is not None}

    async def _require_not_removed(self, wedding: str, user: str) -> None:
        """A token may let somebody manage a wedding who was removed from its members: nothing would be sent."""
        if user in await self._removed(wedding):
            raise MembershipError("not_a_member", "you are no member any more: a webhook of yours gets nothing")

    async def _change(
        self,
        wedding: str,
        actor: Identity,
        id_: str,
        action: str,
        changed: Callable[[StoredWebhook], StoredWebhook | None],
    ) -> StoredWebhook | None:
        """Store what a webhook is changed to, None: it is removed, with an entry of the audit log."""
        at = self._now()

        def decide(before: StoredWebhook | None) -> WebhookChange:
            webhook = _present(before)
            after = changed(webhook)
            return WebhookChange(after, _entry(at, actor, action, after or webhook))

        with self._changes.count(wedding, actor.user):
            return await self._storage.change_webhook(wedding, id_, decide, MOST_WEBHOOKS)

    def _require_url(self, url: str) -> None:
        """Names are resolved, and their addresses checked, when something is sent."""
        fault = fault_of_url(url, ANY if self._allow_private else ENCRYPTED)
        host = urlsplit(url).hostname or "" if fault is None else ""
        if fault is None and not self._allow_private and is_address(host) and not is_public(host):
            fault = "the host is not one of the internet"
        if fault is not None:
            raise ProtocolError("invalid_request", fault)


def _present(webhook: StoredWebhook | None) -> StoredWebhook:
    if webhook is None:
        raise NotFoundError("not_found", "no such webhook")
    return webhook


def _entry(at: datetime, actor: Identity, action: str, webhook: StoredWebhook) -> NewAuditEntry:
    """An entry of the audit log. The path of a URL may be a secret of its receiver: only the host is in the entry."""
    host = "/".join(webhook.url.split("/", 3)[:3])
    return audit_entry(at, actor.user, action, webhook=webhook.id, host=host, types=" ".join(webhook.types))
