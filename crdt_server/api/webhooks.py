"""Webhooks over HTTP, and the key for subscriptions to web push. `services.messaging` decides and stores."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from fastapi import APIRouter, Depends, Request, Response
from pydantic import Field

from crdt_server.access.access import Action
from crdt_server.api.requests import Authorized, StrictBody, describe_body, read_json, wedding_name
from crdt_server.api.rights import by_content, requires
from crdt_server.services.messaging.webhooks import NewWebhook, WebhookService
from documents.categories import AccessCategory
from storage import StoredWebhook

MAX_BODY_BYTES = 16 * 1024
MOST_TYPES = 50

router = APIRouter(prefix="/api/weddings/{wedding}", tags=["webhooks"])

Url = Annotated[str, Field(max_length=2000, description="https://, of a host of the internet")]
EventType = Annotated[str, Field(max_length=80, pattern=r"^[a-z_]+(\.[a-z_]+)*$")]
Types = Annotated[list[EventType], Field(max_length=MOST_TYPES, description="guest or guest.rsvp; none: all events")]
Row: TypeAlias = dict[str, Any]
"""A webhook as JSON, without its secrets."""


class WebhookFields(StrictBody):
    """A webhook to be made."""

    url: Url
    types: Types = Field([])


class ChangedWebhook(StrictBody):
    """The values that are to be different. With `enabled` a webhook that was disabled is used again."""

    url: Url | None = None
    types: Types | None = None
    enabled: bool | None = None


def _webhooks(request: Request) -> WebhookService:
    service: WebhookService = request.app.state.webhooks
    return service


Webhooks = Annotated[WebhookService, Depends(_webhooks)]


def _row(webhook: StoredWebhook) -> Row:
    return {
        "id": webhook.id,
        "url": webhook.url,
        "types": list(webhook.types),
        "secrets": len(webhook.secrets),
        "by": webhook.by,
        "at": webhook.at,
        "disabled_at": webhook.disabled_at,
        "reason": webhook.reason,
    }


@router.get("/webhooks")
@requires(AccessCategory.MEMBERS, Action.ADMINISTER)
async def get_webhooks(webhooks: Webhooks, caller: Authorized, wedding: str) -> dict[str, list[Row]]:
    """The webhooks of the wedding, with the number of their secrets. `reason`: why nothing is sent to one."""
    return {"webhooks": [_row(each) for each in await webhooks.present(wedding_name(wedding), caller.identity)]}


@router.post("/webhooks", status_code=201, openapi_extra=describe_body(WebhookFields))
@requires(AccessCategory.MEMBERS, Action.ADMINISTER)
async def post_webhook(request: Request, webhooks: Webhooks, caller: Authorized, wedding: str) -> Row:
    """Make a webhook, which gets what its maker may know, and nothing while the maker is no member. The `secret` is
    shown this one time. 409 `too_many_webhooks`; `not_a_member` for somebody who was removed."""
    body = await read_json(request, WebhookFields, MAX_BODY_BYTES)
    shown = await webhooks.add(wedding_name(wedding), caller.identity, NewWebhook(body.url, tuple(body.types)))
    return {"webhook": _row(shown.webhook), "secret": shown.secret}


@router.patch("/webhooks/{webhook}", openapi_extra=describe_body(ChangedWebhook))
@requires(AccessCategory.MEMBERS, Action.ADMINISTER)
async def patch_webhook(request: Request, webhooks: Webhooks, caller: Authorized, wedding: str, webhook: str) -> Row:
    """Change a webhook, or use one again that was disabled. With another URL it is the caller's from then on, and gets
    what the caller may know; so it is with any URL where its maker was removed, and without one 409 `not_a_member`."""
    body = await read_json(request, ChangedWebhook, MAX_BODY_BYTES)
    types = None if body.types is None else tuple(body.types)
    return _row(
        await webhooks.change(
            wedding_name(wedding), caller.identity, webhook, url=body.url, types=types, enabled=body.enabled
        )
    )


@router.delete("/webhooks/{webhook}", status_code=204, response_class=Response)
@requires(AccessCategory.MEMBERS, Action.ADMINISTER)
async def delete_webhook(webhooks: Webhooks, caller: Authorized, wedding: str, webhook: str) -> Response:
    """Remove a webhook."""
    await webhooks.remove(wedding_name(wedding), caller.identity, webhook)
    return Response(status_code=204)


@router.post("/webhooks/{webhook}/secrets", status_code=201)
@requires(AccessCategory.MEMBERS, Action.ADMINISTER)
async def post_secret(webhooks: Webhooks, caller: Authorized, wedding: str, webhook: str) -> Row:
    """Give a webhook another `secret`, shown this one time; the one before signs too."""
    shown = await webhooks.rotate(wedding_name(wedding), caller.identity, webhook)
    return {"webhook": _row(shown.webhook), "secret": shown.secret}


@router.delete("/webhooks/{webhook}/secrets")
@requires(AccessCategory.MEMBERS, Action.ADMINISTER)
async def delete_secrets(webhooks: Webhooks, caller: Authorized, wedding: str, webhook: str) -> Row:
    """End all secrets of a webhook but the newest."""
    return _row(await webhooks.end_old_secrets(wedding_name(wedding), caller.identity, webhook))


@router.get("/push-key")
@by_content
async def get_push_key(request: Request, caller: Authorized, wedding: str) -> dict[str, str]:
    """The public key (`applicationServerKey`) with which a browser subscribes to push messages; empty: there are
    none."""
    wedding_name(wedding)
    return {"key": str(request.app.state.push_key)}
