"""Preferences and addresses over HTTP, each person's own."""

from __future__ import annotations

import json
import re
from datetime import time
from typing import Annotated, Any, Literal, TypeAlias

from fastapi import APIRouter, Depends, Request, Response
from pydantic import Field, field_validator, model_validator

from crdt_server.api.requests import Authorized, StrictBody, describe_body, read_json, wedding_name
from crdt_server.api.rights import by_content
from crdt_server.services.messaging.contact_service import ContactService
from crdt_server.services.messaging.contacts import LONGEST_ADDRESS
from crdt_server.services.messaging.local_time import QuietHours, zone_names
from crdt_server.services.messaging.model import Channel
from crdt_server.services.messaging.preference_service import OwnPreferences, PreferenceService
from crdt_server.services.messaging.preferences import (
    DEFAULT_DIGEST_HOUR,
    DIGEST,
    GROUPS,
    PERSONAL,
    Mode,
    Preferences,
    as_json,
)
from storage import StoredContact

MAX_BODY_BYTES = 8 * 1024

router = APIRouter(prefix="/api/weddings/{wedding}", tags=["messaging"])

Row: TypeAlias = dict[str, Any]
LocalTime = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
Key = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{16,128}={0,2}$")]

_LANGUAGE = re.compile(r"([A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3})?")


class QuietHoursBody(StrictBody):
    """Local times; the end may be on the next day."""

    start: LocalTime
    end: LocalTime

    @model_validator(mode="after")
    def _last(self) -> QuietHoursBody:
        if self.start == self.end:
            raise ValueError("quiet hours that end when they start")
        return self


class PreferencesBody(StrictBody):
    """All preferences; what is left out has its default."""

    language: Annotated[str, Field(description="BCP 47; empty: that of the wedding")] = ""
    timezone: Annotated[str, Field(description="IANA; empty: that of the wedding")] = ""
    quiet_hours: QuietHoursBody | None = None
    digest_hour: Annotated[int, Field(ge=0, le=23)] = DEFAULT_DIGEST_HOUR
    types: Annotated[
        dict[str, dict[str, Literal["on", "off", "digest"]]], Field(description="Group -> channel -> mode")
    ] = Field({})

    @field_validator("language")
    @classmethod
    def _is_language(cls, value: str) -> str:
        if not _LANGUAGE.fullmatch(value):
            raise ValueError("no BCP 47 tag")
        return value

    @field_validator("timezone")
    @classmethod
    def _is_zone(cls, value: str) -> str:
        if value and value not in zone_names():
            raise ValueError("no IANA time zone")
        return value

    @field_validator("types")
    @classmethod
    def _are_groups(cls, value: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
        for group, channels in value.items():
            for channel, mode in channels.items():
                if mode not in _modes(group, channel):
                    raise ValueError(f"{group} on {channel} is never {mode}")
        return value

    def preferences(self) -> Preferences:
        quiet = self.quiet_hours
        return Preferences(
            self.language,
            self.timezone,
            None if quiet is None else QuietHours(time.fromisoformat(quiet.start), time.fromisoformat(quiet.end)),
            self.digest_hour,
            {(group, channel): Mode(mode) for group, each in self.types.items() for channel, mode in each.items()},
        )


def _modes(group: str, channel: str) -> tuple[str, ...]:
    """The modes of a group on a channel; none where there is no such group or channel."""
    if group not in GROUPS or (channel != Channel.INBOX and channel not in PERSONAL):
        return ()
    has_digest = channel in PERSONAL and group != DIGEST
    return (Mode.ON, Mode.OFF, Mode.DIGEST) if has_digest else (Mode.ON, Mode.OFF)


class PushKeys(StrictBody):
    """The keys of a subscription, as `PushSubscription.toJSON` has them."""

    p256dh: Key
    auth: Key


class ContactBody(StrictBody):
    """An address of the caller."""

    channel: Literal["mail", "sms", "push"]
    address: Annotated[
        str,
        Field(
            max_length=LONGEST_ADDRESS,
            description="A mail address; a telephone number, +64211234567; the endpoint of a push service, or a token",
        ),
    ]
    keys: PushKeys | None = None

    @model_validator(mode="after")
    def _fits(self) -> ContactBody:
        if (self.keys is not None) != (self.channel == "push" and self.address.startswith("https:")):
            raise ValueError("the endpoint of a push service has keys, and nothing else has")
        return self


class CodeBody(StrictBody):
    """The code that was sent to an address."""

    code: Annotated[str, Field(pattern=r"^[0-9]{6}$")]


def _service(request: Request) -> PreferenceService:
    service: PreferenceService = request.app.state.preferences
    return service


def _contacts(request: Request) -> ContactService:
    service: ContactService = request.app.state.contacts
    return service


Service = Annotated[PreferenceService, Depends(_service)]
Contacts = Annotated[ContactService, Depends(_contacts)]


@router.get("/preferences")
@by_content
async def get_preferences(service: Service, caller: Authorized, wedding: str) -> Row:
    """The caller's choices; the result with the wedding's defaults; when the next digest is due; and the modes that
    each group of types may have on each channel."""
    return _as_json(await service.of(wedding_name(wedding), caller.identity))


@router.put("/preferences", openapi_extra=describe_body(PreferencesBody))
@by_content
async def put_preferences(request: Request, service: Service, caller: Authorized, wedding: str) -> Row:
    """Choose anew. Emergencies are sent whatever is chosen, and what is urgent is sent in quiet hours."""
    body = await read_json(request, PreferencesBody, MAX_BODY_BYTES)
    return _as_json(await service.replace(wedding_name(wedding), caller.identity, body.preferences()))


@router.get("/contacts")
@by_content
async def get_contacts(contacts: Contacts, caller: Authorized, wedding: str) -> dict[str, list[Row]]:
    """One's own addresses, without keys. In use are those that are confirmed and not disabled: one is when it does not
    exist any more."""
    return {"contacts": [_contact(each) for each in await contacts.of(wedding_name(wedding), caller.identity)]}


@router.put("/contacts", openapi_extra=describe_body(ContactBody))
@by_content
async def put_contact(request: Request, contacts: Contacts, caller: Authorized, wedding: str) -> Row:
    """Add an address. One of mail or a phone is sent a code, and nothing else until it is confirmed with that; the same
    address again, a new code. One of a push service is in use at once, with the keys that came last. 409
    `too_many_contacts`, 429 `too_many_codes`."""
    body = await read_json(request, ContactBody, MAX_BODY_BYTES)
    secret = "" if body.keys is None else json.dumps(body.keys.model_dump())
    wanted = body.channel, body.address, secret
    return _contact(await contacts.put(wedding_name(wedding), caller.identity, *wanted))


@router.post("/contacts/{contact}/confirmation", openapi_extra=describe_body(CodeBody))
@by_content
async def post_confirmation(
    request: Request, contacts: Contacts, caller: Authorized, wedding: str, contact: str
) -> Row:
    """Have an address in use, with the code that was sent there. 409 `wrong_code`, `code_expired`."""
    body = await read_json(request, CodeBody, MAX_BODY_BYTES)
    return _contact(await contacts.confirm(wedding_name(wedding), caller.identity, contact, body.code))


@router.delete("/contacts/{contact}", status_code=204, response_class=Response)
@by_content
async def delete_contact(contacts: Contacts, caller: Authorized, wedding: str, contact: str) -> Response:
    """Delete an address."""
    await contacts.delete(wedding_name(wedding), caller.identity, contact)
    return Response(status_code=204)


def _as_json(own: OwnPreferences) -> Row:
    channels = (Channel.INBOX, *PERSONAL)
    return {
        "preferences": as_json(own.chosen),
        "language": own.effective.language,
        "timezone": own.effective.timezone,
        "digest_at": own.digest_at,
        "modes": {group: {channel: _modes(group, channel) for channel in channels} for group in GROUPS},
    }


def _contact(stored: StoredContact) -> Row:
    shown = stored._asdict()
    del shown["secret"]
    return shown
