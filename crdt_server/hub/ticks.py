"""Periodic work: presence per tick, keep-alive messages, idle rooms and those without an answer, the memory of the
process, and old answers."""

from __future__ import annotations

import asyncio
import gc
import itertools
from datetime import UTC, datetime, timedelta

import structlog

from crdt_server.access.limits import SenderStrikes
from crdt_server.hub.loop_monitor import LoopMonitor
from crdt_server.hub.registry import RoomRegistry
from crdt_server.memory import trim_heap
from crdt_server.pipe import Status
from crdt_server.rooms.hosted_document import Placement
from crdt_server.rooms.intake import publish_presence, retry_deferred
from crdt_server.rooms.refusals import NO_ROOM
from crdt_server.rooms.room import Room
from crdt_server.settings import Settings
from storage import Storage, StorageError

log = structlog.get_logger(__name__)

SWEEP_SECONDS = 5.0
SHED_TICK_SECONDS = 0.5
STATES_PER_TICK = 8192  # presence states that are read in one turn of the loop: about ten milliseconds
# Requests of a room that wait for longer without any answer, whatever the reason: its sockets are closed. A client may
# have been served from the store, and shows what nobody takes.
ANSWER_SECONDS = 60.0
RETRY_SECONDS = 60.0  # between two requests for what a wedding had no room for
KEEP_ALIVE_SECONDS = 20.0  # stock clients drop a link on which they received nothing for 30 s
ROOMS_AT_ONCE = 50
ANSWERS_KEPT = timedelta(days=7)
FORGET_ANSWERS_SECONDS = 3600.0


class Ticks:
    """See the head of the file."""

    def __init__(
        self, settings: Settings, registry: RoomRegistry, loop_monitor: LoopMonitor, strikes: SenderStrikes
    ) -> None:
        self._settings = settings
        self._registry = registry
        self._loop_monitor = loop_monitor
        self._strikes = strikes
        self._presence: dict[Room, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._is_empty = True  # whether no room was open at the last sweep
        self._last_keep_alive = 0.0
        self._last_retry = 0.0
        self._waiting: dict[Room, tuple[int, float]] = {}  # how many batches were answered, and when that was seen

    def presence_changed(self, room: Room) -> None:
        """The room has presence to send."""
        self._presence[room] = None
        if self._timer is None:
            self._start_timer()

    def _start_timer(self) -> None:
        delay = SHED_TICK_SECONDS if self._loop_monitor.slow else self._settings.awareness_tick_seconds
        self._timer = asyncio.get_running_loop().call_later(delay, self._publish_presence)

    def closed(self, room: Room) -> None:
        """The room has ended."""
        self._presence.pop(room, None)
        self._waiting.pop(room, None)

    def _publish_presence(self) -> None:
        self._timer = None
        rooms, self._presence = self._presence, {}
        now, left = asyncio.get_running_loop().time(), STATES_PER_TICK
        for count, room in enumerate(rooms, 1):
            left -= publish_presence(room, now, left)
            if left <= 0:  # those that had their turn go behind
                self._presence = dict.fromkeys(itertools.islice(rooms, count, None)) | self._presence
                break
        if self._presence and self._timer is None:
            self._start_timer()

    async def run(self) -> None:
        """Every few seconds: presence that went silent, links that received nothing, rooms that stand empty."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            now = asyncio.get_running_loop().time()
            keep_alive = now - self._last_keep_alive >= KEEP_ALIVE_SECONDS
            if keep_alive:
                self._last_keep_alive = now
            self.retry_deferred(now)
            await self._sweep_rooms(now, keep_alive)
            self._registry.evict_idle(now, self._settings.room_grace_seconds)
            await self._give_back_memory(keep_alive)
            self._strikes.forget(now)

    async def _give_back_memory(self, is_due: bool) -> None:
        """Objects in cycles (every error that was raised through a task) may hold large frames. The collector runs
        after 10,000 objects and does not count bytes: 150 MB were kept. The young ones take some ms. The old ones, of
        which there may be a million, are collected when the last room is closed."""
        was_empty, self._is_empty = self._is_empty, not self._registry.rooms
        has_emptied = self._is_empty and not was_empty
        gc.collect(2 if has_emptied else 1)
        if is_due or has_emptied:
            await asyncio.to_thread(trim_heap)

    async def _sweep_rooms(self, now: float, keep_alive: bool) -> None:
        for count, room in enumerate(list(self._registry.rooms.values())):
            if len(room.presence.awareness.states):
                room.presence.awareness.expire(now, self._settings.awareness_silence_seconds)
                publish_presence(room, now, STATES_PER_TICK)
            if keep_alive:
                room.presence.keep_alive()
            self.check_answers(room, now)
            if count % ROOMS_AT_ONCE == ROOMS_AT_ONCE - 1:
                await asyncio.sleep(0)

    def retry_deferred(self, now: float) -> None:
        """Request what weddings had no room for, where they have some now. Now and then, request all that there was no
        room for: of a wedding that another node owns, and of a full document, it is not known here."""
        due = now - self._last_retry >= RETRY_SECONDS
        if due:
            self._last_retry = now
        for room in [room for room in self._registry.rooms.values() if room.members.deferred]:
            hosted = room.hosted
            known = hosted.placement is not Placement.REMOTE
            if due:
                retry_deferred(room, NO_ROOM)
            elif known and not hosted.quota.refuses_growth(stored=room.head_seq > 0):
                retry_deferred(room, (Status.OVER_QUOTA,))

    def check_answers(self, room: Room, now: float) -> None:
        """End a room whose requests have waited for too long."""
        if not room.inbox:
            self._waiting.pop(room, None)
            return
        settled, since = self._waiting.setdefault(room, (room.settled, now))
        if settled != room.settled:
            self._waiting[room] = room.settled, now
        elif now - since >= ANSWER_SECONDS:
            self._registry.fail(room, "no answer")


async def forget_answers(storage: Storage) -> None:
    """Delete, every hour, the answers to commands that are too old to come again."""
    while True:
        try:
            await storage.forget_answers(datetime.now(UTC) - ANSWERS_KEPT)
        except StorageError as error:
            log.warning("answers_not_forgotten", error=str(error))
        await asyncio.sleep(FORGET_ANSWERS_SECONDS)
