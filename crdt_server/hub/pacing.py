"""The pace of sockets: the socket of a person that sends more updates than its role allows, or of which much has to be
undone, is not read for a while.

Nothing is refused and nothing is lost: what was read already is carried out, and the rest waits with its sender.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path

from crdt_server.access.limits import Level, TokenBucket
from crdt_server.access.role_limits import RoleBuckets, RoleLimits, parse_role_limits
from crdt_server.access.threads import THREAD
from crdt_server.counters import Counters
from crdt_server.protocol.messages import Received, SyncStep2, SyncUpdate
from crdt_server.protocol.update import EMPTY_UPDATE
from crdt_server.rooms.room import Room
from crdt_server.rooms.session import PACE, REVERTED, Session
from crdt_server.settings import Settings
from storage import StorageError

UPDATE_BYTES = 16 * 1024  # a larger one counts as several
SHORTEST_PAUSE_SECONDS = 0.1
REVERTS, SECONDS_PER_REVERT = 20, 3.0  # of one person: so many at once, and one more every so many seconds
DEFAULT_FILE = Path(__file__).parents[1] / "access" / "role_limits.toml"
NO_LIMITS = "none"


def role_limits(settings: Settings) -> dict[str, RoleLimits]:
    """The limits of all roles; none where anybody has any role. Raises StorageError where they cannot be read."""
    if settings.dev or settings.role_limits == NO_LIMITS:
        return {}
    try:
        return parse_role_limits(Path(settings.role_limits or DEFAULT_FILE).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise StorageError(f"the limits of the roles cannot be read: {error}") from error


class Pacer:
    """See the head of the file. ``time``: seconds of the loop's clock."""

    def __init__(self, buckets: RoleBuckets, counters: Counters, time: Callable[[], float]) -> None:
        self._buckets = buckets
        self._counters = counters
        self._time = time
        self._reverts = TokenBucket(1 / SECONDS_PER_REVERT, REVERTS)

    def level_of(self, document: str, session: Session) -> Level | None:
        """The level of the bucket from which the person of a session writes a document; None: there is no limit."""
        buckets = self._buckets.of(session.identity.role)
        bucket = buckets.messages if document.startswith(THREAD) else buckets.edits
        return bucket.level(session.person, self._time())

    def count(self, room: Room, session: Session, level: Level, messages: Iterable[Received]) -> None:
        """A session has sent these messages of a room; ``level`` is its own."""
        cost = 0.0
        for message in messages:
            kind = type(message)
            if (kind is SyncUpdate or kind is SyncStep2) and message.update != EMPTY_UPDATE:  # type: ignore[union-attr]
                size = len(message.update)  # type: ignore[union-attr]
                cost += 1.0 if size < UPDATE_BYTES else size / UPDATE_BYTES
        if not cost or level.spend(cost, self._time()) >= 1 or session.paused & PACE:
            return
        if self._pause(room, session, level, PACE):
            self._counters.edit_pauses += 1

    def count_revert(self, room: Room, session: Session) -> None:
        """An edit of a session was undone, or refused. Nobody is closed for it: a person who types into a note that is
        full has an edit undone for each key."""
        level = self._reverts.level(session.person, self._time())
        if level is None:
            return
        left = level.spend(1, self._time())
        if left < 0:
            level.spend(left, self._time())  # of what was sent in one go, it does not wait for each
        if not session.paused & REVERTED and self._pause(room, session, level, REVERTED):
            self._counters.revert_pauses += 1

    def _pause(self, room: Room, session: Session, level: Level, reason: int) -> bool:
        """Pause a session until its person may send more, if that is not now."""
        wait = level.wait(self._time())
        if not wait or session not in room.members:
            return False
        session.pause(reason)
        delay = max(wait, SHORTEST_PAUSE_SECONDS)
        asyncio.get_running_loop().call_later(delay, self._resume, room, session, level, reason)
        return True

    def _resume(self, room: Room, session: Session, level: Level, reason: int) -> None:
        if not self._pause(room, session, level, reason):  # another socket of the person may have sent more meanwhile
            session.resume(reason)
