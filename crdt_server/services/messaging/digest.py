"""Digests: what was held back of a person becomes one message for each channel, at the hour of the person.

Runs on every node. A digest, the messages that it replaces and the moment of the next one are one transaction, so each
message is in one digest, whatever dies in between. It is bounded in bytes: the least urgent are only counted.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from typing import Any, Final

import structlog

from crdt_server.services.entries import Now
from crdt_server.services.messaging.model import Channel, Priority
from crdt_server.services.messaging.preferences import (
    DIGEST,
    Drop,
    HoldUntil,
    WeddingDefaults,
    defaults_in,
    is_refused,
    parse_preferences,
    plan,
)
from crdt_server.services.messaging.still_known import KnownNow
from crdt_server.services.wedding_meta import wedding_meta
from storage import DueDigest, HeldMessage, HeldMessages, NewDigest, Storage, StorageError, StorageUnavailable
from storage.outbox import has_content
from storage.preferences import MakeDigest

log = structlog.get_logger(__name__)

DIGEST_BYTES: Final = 64 * 1024
"""Of the messages in one digest, as JSON."""

VALUE_CHARACTERS: Final = 300
"""Of each text of a message in a digest."""

EVERY_SECONDS: Final = 20.0
PAGE: Final = 200


class Digests:
    """See the head of the file. `enqueued` is called with the number of digests that wait to be sent, `known` with what
    is held back: what a person may not know of any more is in no digest."""

    def __init__(self, storage: Storage, now: Now, enqueued: Callable[[int], None], known: KnownNow) -> None:
        self._storage = storage
        self._now = now
        self._enqueued = enqueued
        self._known = known

    async def run(self) -> None:
        """Make what is due, again and again, until cancelled."""
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            try:
                await self.make_due()
            except StorageError as error:
                log.warning("digests_failed", error=str(error))

    async def make_due(self) -> int:
        """Make all digests that are due; returns how many. Raises StorageUnavailable."""
        made, after, now = 0, None, self._now()
        while page := await self._storage.due_digests(now, after, PAGE):
            defaults = {wedding: await self._defaults(wedding) for wedding in {each.wedding for each in page}}
            for each in page:
                made += await self._make(each, defaults[each.wedding], now)
            after = page[-1]
        return made

    async def _defaults(self, wedding: str) -> WeddingDefaults:
        return defaults_in(await wedding_meta(self._storage, wedding))

    async def _make(self, due: DueDigest, wedding: WeddingDefaults, now: datetime) -> int:
        """The digests of one person. One that cannot be made is in the way of nobody else."""
        try:
            held = await self._storage.held_events(due.wedding, due.user)
            known = await self._known(due.wedding, due.user, held)
            unknown = held.difference(known)
            made = await self._storage.bundle(due.wedding, due.user, now, _maker(wedding, now, unknown))
        except StorageUnavailable:
            raise
        except Exception as error:  # a defect, for one wedding perhaps: all others have their digests
            log.error("digest_failed", wedding=due.wedding, user=due.user, exc_info=error)
            return 0
        if made:
            self._enqueued(made)
        return made


def _maker(wedding: WeddingDefaults, now: datetime, unknown: Collection[int]) -> MakeDigest:
    def make(body: str, held: HeldMessages) -> NewDigest | None:
        channel = Channel(held.channel)
        # A message about no document is a number only.
        known = (each for each in held.messages if not each.document or each.event not in unknown)
        messages = tuple(each for each in known if not is_refused(body, each.priority, each.type, channel, now))
        held = held._replace(messages=messages)
        if not messages:
            return None
        preferences = parse_preferences(body).within(wedding)
        planned = plan(preferences, Priority.LIST, DIGEST, channel, now)
        if isinstance(planned, Drop):
            return None
        newest = max(each.event for each in held.messages)
        at = planned.moment if isinstance(planned, HoldUntil) else now
        return NewDigest(params_of(held, now), Priority.LIST, newest, at)

    return make


def params_of(held: HeldMessages, now: datetime) -> str:
    """The params of a digest: `notices`, the most urgent first. Where not all fit, the last is of the type `digest` and
    has the number of the others as its `count`."""
    notices, left, others = [], DIGEST_BYTES, held.others
    for each in held.messages:
        notice = json.dumps(dict(_notice(each)), ensure_ascii=False)
        size = len(notice.encode())
        if size > left:
            others += 1
            continue
        left -= size
        notices.append(notice)
    if others:
        rest = {"event": 0, "type": DIGEST, "priority": int(Priority.LIST), "document": "", "record": ""}
        notices.append(json.dumps({**rest, "count": others, "at": now.isoformat(), "params": {}}))
    return f'{{"notices": [{", ".join(notices)}]}}'


def events_of(params: str) -> set[int]:
    """The events about documents that the params of a digest name; none where they cannot be read."""
    return {each["event"] for each in _notices_in(params) if each.get("document")}


def without(params: str, events: Collection[int]) -> str:
    """The params of a digest without what is about these events; empty: nothing is left."""
    kept = [each for each in _notices_in(params) if not each.get("document") or each["event"] not in events]
    if not has_content(kept):
        return ""
    return json.dumps({"notices": kept}, ensure_ascii=False)


def _notices_in(params: str) -> list[dict[str, Any]]:
    try:
        found = json.loads(params)["notices"]
    except (ValueError, KeyError, TypeError):
        return []
    return [each for each in found if isinstance(each, dict) and isinstance(each.get("event"), int)]


def _notice(message: HeldMessage) -> Iterator[tuple[str, object]]:
    for name in ("event", "type", "priority", "document", "record", "count"):
        yield name, getattr(message, name)
    yield "at", message.at.isoformat()
    values = json.loads(message.params)
    yield "params", {name: str(value)[:VALUE_CHARACTERS] for name, value in values.items()}
