"""Changes of rights, and what they mean for those who are connected: each socket, event stream and request of the
wedding is decided about again. A socket that has lost the room is closed with 4403, no edit of it is applied any more.

A change is reported by the node that made it, over the bus; versions are compared with the store besides, as messages
may be lost, and as programs beside the server change rights too. A grant ends by a timer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import UTC, datetime
from typing import Protocol, runtime_checkable

import structlog

from crdt_server.access.access import Action, Decision, Denied, Target
from crdt_server.access.identity import Authenticated, Identity
from crdt_server.access.members import WeddingRights
from crdt_server.access.policy import RoomRights, room_rights
from crdt_server.errors import CLOSE_CODES
from crdt_server.hub.background_tasks import Spawn
from crdt_server.hub.held_streams import HeldStream, HeldStreams
from crdt_server.hub.rights_cache import RightsCache
from crdt_server.metrics import Metrics
from crdt_server.rooms.refusals import revoke
from crdt_server.rooms.room import Room
from crdt_server.rooms.session import Session
from storage import Storage, StorageError

log = structlog.get_logger(__name__)

POLL_SECONDS = 2.0
RETRY_SECONDS = 0.5
_CLOSED = Denied("forbidden", "you may not open this document any more")
SLICE = 500  # sockets that are decided about before the loop gets its turn: some milliseconds


@runtime_checkable
class Recheck(Protocol):
    """Decides again about somebody who was admitted before."""

    def recheck(self, held: Authenticated, wedding: str, rights: WeddingRights) -> Identity | Denied:
        """The identity as it is by newer rights, or the denial of the wedding as a whole."""

    def may(self, identity: Identity, action: Action, wedding: str, target: Target) -> Decision:
        """See `Access.may`."""


class RightsWatch:
    """See the head of the file. ``rooms_of`` returns the open rooms of a wedding, ``weddings`` those with open rooms: a
    change in one wedding costs the others nothing. ``announce`` reports a change to other nodes,
    ``wake`` wakes the event streams of a wedding, ``left`` is called with a room that may stand empty now."""

    def __init__(
        self,
        storage: Storage,
        metrics: Metrics,
        spawn: Spawn,
        time: Callable[[], float],
        *,
        rooms_of: Callable[[str], Collection[Room]],
        weddings: Callable[[], Collection[str]],
        announce: Callable[[str], None],
        wake: Callable[[str], None],
        left: Callable[[Room], None],
    ) -> None:
        self.cache = RightsCache(storage, time)
        self.streams = HeldStreams()
        self.access: Recheck | None = None
        self._storage = storage
        self._metrics = metrics
        self._spawn = spawn
        self._time = time
        self._rooms_of = rooms_of
        self._weddings = weddings
        self._announce = announce
        self._wake = wake
        self._left = left
        self._checked: dict[str, int] = {}  # the versions by which those who are connected were decided about
        self._checking: set[str] = set()
        self._again: set[str] = set()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._polling = asyncio.Lock()

    # -- changes

    def changed(self, wedding: str) -> None:
        """Rights in a wedding were changed here, and the change is stored."""
        self._announce(wedding)
        self.on_change(wedding)

    def on_change(self, wedding: str) -> None:
        """Rights in a wedding have changed: decide again."""
        self.cache.forget(wedding)
        if wedding in self._checking:
            self._again.add(wedding)
        elif self.access is not None and (wedding in self._weddings() or wedding in self.streams.weddings):
            self._checking.add(wedding)
            self._spawn(self._check(wedding))

    def on_resync(self) -> None:
        """Reports of other nodes may be missing."""
        self._spawn(self.poll())

    async def run(self) -> None:
        """Compare versions with the store, for ever."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            await self.poll()

    async def poll(self) -> None:
        """Compare the versions of all weddings in use with the store."""
        async with self._polling:
            at, connected = self._time(), self._connected()
            weddings = sorted(connected | set(self.cache.weddings))
            if not weddings:
                return
            try:
                versions = await self._storage.rights_versions(weddings)
            except StorageError as error:
                log.warning("rights_not_compared", error=str(error))
                return
            self.cache.confirm(versions, weddings, at)
            self.cache.evict(connected)
            self._checked = {wedding: version for wedding, version in self._checked.items() if wedding in connected}
            for wedding in weddings:
                held = self.cache.held(wedding)
                newest = versions.get(wedding, 0)
                outdated = held is not None and held.version < newest
                if outdated or (wedding in connected and self._checked.get(wedding, 0) < newest):
                    self.on_change(wedding)

    def _connected(self) -> set[str]:
        return {*self._weddings(), *self.streams.weddings}

    # -- those who are connected

    async def _check(self, wedding: str) -> None:
        try:
            while True:
                self._again.discard(wedding)
                try:
                    rights = await self.cache.read(wedding)
                except StorageError as error:
                    log.warning("rights_not_read", wedding=wedding, error=str(error))
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                await self._decide(wedding, rights)
                self._checked[wedding] = rights.version
                if wedding not in self._again:
                    break
        finally:
            self._checking.discard(wedding)
        self._set_timer(wedding, rights)

    async def _decide(self, wedding: str, rights: WeddingRights) -> None:
        revoked = 0
        for count, (room, session) in enumerate(list(_sessions(self._rooms_of(wedding)))):
            revoked += not self._recheck(room, session, rights)
            if count % SLICE == SLICE - 1:
                await asyncio.sleep(0)
        for stream in self.streams.of(wedding):
            assert self.access is not None
            _check_stream(self.access, stream, rights)
            revoked += not stream.admitted
        self._wake(wedding)
        if revoked:
            log.info("rights_revoked", wedding=wedding, version=rights.version, sessions=revoked)

    def _recheck(self, room: Room, session: Session, rights: WeddingRights) -> bool:
        """Whether a session may stay."""
        if session.revoked:
            return True
        held = session.authenticated or Authenticated(session.identity)
        held = held._replace(identity=session.identity)
        assert self.access is not None
        current = _admitted(self.access, held, room, rights)
        if isinstance(current, Denied):
            if current.code == "not_found":  # that there is such a document is no secret to who had it open
                current = _CLOSED
            revoke(room, session, CLOSE_CODES.get(current.code, CLOSE_CODES["forbidden"]), current.reason)
            self._left(room)
            self._metrics.revoked.inc()
            return False
        session.identity = current.identity
        session.reads_only = current.reads_only
        return True

    def may_stay(self, room: Room, session: Session) -> bool:
        """Whether a session of which something comes from elsewhere may still be in its room; it is closed if not."""
        rights = self.cache.held(room.wedding)
        if session.revoked or rights is None or self.access is None:
            return not session.revoked
        return self._recheck(room, session, rights)

    def hold(self, wedding: str, authenticated: Authenticated) -> HeldStream:
        """A stream is opened; `HeldStreams.release` follows. The rights may have changed since its reader was
        identified: those who were connected by then were decided about without it."""
        stream, rights = self.streams.hold(wedding, authenticated), self.cache.held(wedding)
        if rights is not None and self.access is not None:
            _check_stream(self.access, stream, rights)
        return stream

    # -- grants

    def _set_timer(self, wedding: str, rights: WeddingRights) -> None:
        timer = self._timers.pop(wedding, None)
        if timer is not None:
            timer.cancel()
        now = datetime.now(UTC).timestamp()
        end = rights.next_end(now)
        if end is not None:
            self._timers[wedding] = asyncio.get_running_loop().call_later(end - now, self._grant_ended, wedding)

    def _grant_ended(self, wedding: str) -> None:
        del self._timers[wedding]
        self.on_change(wedding)

    def stop(self) -> None:
        """Set no timer any more."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()


def _admitted(access: Recheck, held: Authenticated, room: Room, rights: WeddingRights) -> RoomRights | Denied:
    current = access.recheck(held, room.wedding, rights)
    return current if isinstance(current, Denied) else room_rights(access, current, room.wedding, room.document)


def _check_stream(access: Recheck, stream: HeldStream, rights: WeddingRights) -> None:
    """Decide about a stream again. One whose reader has another role ends too, and comes again, behind the last event
    that it was sent."""
    if access.recheck(stream.authenticated, stream.wedding, rights) != stream.authenticated.identity:
        stream.admitted = False


def _sessions(rooms: Collection[Room]) -> Iterator[tuple[Room, Session]]:
    """All of whom something may still be sent to, or applied."""
    for room in rooms:
        senders: Iterable[Session] = room.inbox.senders
        yield from ((room, session) for session in dict.fromkeys((*room.members, *senders)))
