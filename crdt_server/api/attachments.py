"""Files of conversations over HTTP: whoever may write in a conversation uploads, whoever may read it downloads."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response

from crdt_server.access.access import Action, require_allowed
from crdt_server.access.identity import person_at
from crdt_server.access.limits import SharedBudget
from crdt_server.access.request_limits import RequestLimits
from crdt_server.access.threads import THREAD, may_delete_file, powers
from crdt_server.api.downloads import Sending, answer
from crdt_server.api.problems import BodyTimeoutError, PayloadTooLargeError
from crdt_server.api.requests import Authorized, check_again, document_key
from crdt_server.errors import AdmissionError, CrdtServerError, NotFoundError
from crdt_server.files.store import ReceivedFile
from crdt_server.hub.hub import Hub
from crdt_server.services.attachments import AttachmentService
from crdt_server.services.entries import moment
from documents.field_rules import written_as
from storage import StoredAttachment

BYTES_PER_BODY_BYTE = 16
"""Bytes of a file that count as one of a body: no document host has to read them."""
LONGEST_NAME = 1_000
MOST_LISTED = 100

router = APIRouter(prefix="/api/weddings/{wedding}/documents/{document}/attachments", tags=["attachments"])

BYTES: dict[str, Any] = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
UPLOAD: dict[str, Any] = {"requestBody": {"required": True, "content": BYTES}}
DOWNLOAD: dict[int | str, dict[str, Any]] = {
    200: {"content": BYTES, "description": "The file"},
    206: {"content": BYTES, "description": "The range of the file that was asked for"},
    304: {"description": "The file of the ETag that the client has"},
    416: {"description": "The file has no such range"},
}


def _attachments(request: Request) -> AttachmentService:
    service: AttachmentService = request.app.state.attachments
    return service


Attachments = Annotated[AttachmentService, Depends(_attachments)]


def _thread(wedding: str, document: str) -> str:
    """The document of a conversation. Raises NotFoundError."""
    document_key(wedding, document)
    if not document.startswith(THREAD):
        raise NotFoundError("not_found", "only conversations have attachments")
    return document


@router.post("", status_code=201, openapi_extra=UPLOAD)
async def post_attachment(
    request: Request,
    attachments: Attachments,
    caller: Authorized,
    wedding: str,
    document: str,
    filename: Annotated[str, Query(max_length=LONGEST_NAME, description="What the file is called")] = "",
) -> dict[str, str | int]:
    """Upload a file, the body as it is. The answer is what a message has in `attachments`: the file belongs to the
    first message of the caller that names it, and is removed where none does within a day.

    409 `over_quota`, 413 `body_too_large`, 415 `program`, `not_as_named`, 507 `disk_full`.
    """
    thread = _thread(wedding, document)
    hub: Hub = request.app.state.hub
    try:
        await attachments.require_room(wedding, 0)
        received = attachments.receive()
        try:
            await _receive(request, received, attachments.limits.file_bytes)
            kept = await attachments.keep(wedding, thread, written_as(caller.identity.user), filename, received)
        finally:
            await received.close()
    except CrdtServerError as error:
        hub.metrics.files.refused.labels(error.code).inc()
        raise
    return _described(kept)


def _described(kept: StoredAttachment) -> dict[str, str | int]:
    return {
        "id": kept.id,
        "name": kept.name,
        "mediaType": kept.media_type,
        "size": kept.size,
        "sha256": kept.sha256,
    }


async def _receive(request: Request, received: ReceivedFile, most: int) -> None:
    """Write the body into a file.

    Raises PayloadTooLargeError, BodyTimeoutError, AdmissionError where too many bytes of this person, of its address
    or of all are under way, FileStoreError, and as `authorize` where its sender has lost the right since.
    """
    uploads: SharedBudget = request.app.state.uploads
    limits: RequestLimits = request.app.state.request_limits
    hub: Hub = request.app.state.hub
    identity, address = request.state.sender
    person = person_at(identity, address)
    too_large = PayloadTooLargeError("body_too_large", f"the file is larger than {most} bytes")
    if _announced(request) > most:
        raise too_large
    taken = 0
    try:
        async with asyncio.timeout(hub.settings.upload_seconds), aclosing(request.stream()) as parts:
            async for part in parts:
                if received.size + len(part) > most:
                    raise too_large
                if not uploads.take(address, len(part), person):
                    raise AdmissionError("admission", "too many bytes are under way, try later")
                taken += len(part)
                await received.add(part)
    except TimeoutError as error:
        raise BodyTimeoutError("body_timeout", "the file did not come in time") from error
    finally:
        uploads.release(address, taken, person)
        limits.charge_body(identity, address, taken // BYTES_PER_BODY_BYTE, hub.time())
    await check_again(request)


def _announced(request: Request) -> int:
    """The size of the body, as far as the client announces it; else 0."""
    announced = request.headers.get("Content-Length", "")
    return int(announced) if announced.isdecimal() and announced.isascii() and len(announced) < 20 else 0


@router.get("")
async def get_attachments(
    attachments: Attachments,
    caller: Authorized,
    wedding: str,
    document: str,
    *,
    after: Annotated[str, Query(max_length=320, description="`next` of the page before")] = "",
    limit: Annotated[int, Query(ge=1, le=MOST_LISTED)] = 50,
) -> dict[str, list[dict[str, str | int]] | str | None]:
    """The files of a conversation, the newest first, without those of messages that were taken back; one that no
    message names is listed for its uploader. `next` is what `after` is for the next page; null: there is none."""
    thread = _thread(wedding, document)
    page, following = await attachments.page(wedding, thread, written_as(caller.identity.user), after, limit)
    return {"attachments": [_listed(each) for each in page], "next": following}


def _listed(kept: StoredAttachment) -> dict[str, str | int]:
    return _described(kept) | {"message": kept.message, "by": kept.by, "at": moment(kept.at)}


@router.delete("/{attachment}", status_code=204, response_class=Response)
async def delete_attachment(
    request: Request, attachments: Attachments, caller: Authorized, wedding: str, document: str, attachment: str
) -> Response:
    """Delete a file: its uploader, and organizers. The message that names it stays."""
    thread = _thread(wedding, document)
    found = await attachments.find(wedding, thread, attachment)
    organizes = powers(request.app.state.access, caller.identity, wedding).organizes
    is_own = found.by == written_as(caller.identity.user)
    require_allowed(may_delete_file(caller.identity, is_own=is_own, organizes=organizes))
    await attachments.delete(wedding, found, caller.identity.user)
    return Response(status_code=204)


@router.get("/{attachment}", response_class=Response, responses=DOWNLOAD)
async def get_attachment(
    request: Request, attachments: Attachments, caller: Authorized, wedding: str, document: str, attachment: str
) -> Response:
    """Download a file: 404 from the moment on when its message was taken back. One range of it (`Range`), and only
    what has changed (`If-None-Match`). Browsers store it and do not show it."""
    thread = _thread(wedding, document)
    found = await attachments.find(wedding, thread, attachment)
    hub: Hub = request.app.state.hub
    downloads: SharedBudget = request.app.state.downloads
    address, person = caller.address, person_at(caller.identity, caller.address)
    if not downloads.take(address, 1, person):
        raise AdmissionError("downloads", "too many downloads at a time")
    held = hub.rights.hold(wedding, caller.authenticated)

    async def is_over() -> bool:
        may_read = held.admitted and caller.may(Action.READ, wedding, thread)
        return not may_read or await request.is_disconnected()

    def ended() -> None:
        downloads.release(address, 1, person)
        hub.rights.streams.release(held)

    sending = Sending(hub.settings.message_seconds, is_over, ended)
    return answer(request, found, partial(attachments.read, wedding, found), sending)
