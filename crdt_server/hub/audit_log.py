"""Collects entries for the audit logs of weddings: refusals, and writes that were undone.

A write that was undone is recorded in the transaction that stores what is left of it (`of_batch`); all else waits in
memory, and is stored every second (`record`): a crash loses that second of refusals, and nothing of a stored change.
Bounded: each person has so many entries of their own, and one more every few seconds; what is beyond is counted, and
the counts are entries too, once a minute.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import structlog

from crdt_server.access.identity import Identity
from crdt_server.access.limits import Allowance
from crdt_server.metrics import Metrics
from crdt_server.rooms.batch import RoomBatch
from storage import DerivedRecords, DocumentKey, NewAuditEntry, Storage, StorageError, ValuesRefused

log = structlog.get_logger(__name__)

ENTRIES: Final = 60
SECONDS_PER_ENTRY: Final = 10.0
"""Of each person in a wedding: so many entries at once, and then one in so many seconds."""

MOST_WAITING: Final = 10_000
"""Entries, and counts, that wait to be stored, of all weddings."""

WEDDINGS_AT_ONCE: Final = 200
SIGNED_IN_SECONDS: Final = 3600.0
"""The first socket of a person in a wedding is a sign-in, and then the first after so many seconds."""

MOST_SIGNED_IN: Final = 100_000
AUDITED: Final = "wedding"  # the document that entries are stored with; none of it is read or written

PATHS: Final = 20
"""Places named by an entry about a write that was undone."""

FLUSH_SECONDS: Final = 1.0
COUNTS_SECONDS: Final = 60.0
EVERYBODY: Final = "*"


class AuditLog:
    """See the head of the file. ``time`` is the loop's clock."""

    def __init__(self, storage: Storage, metrics: Metrics, time: Callable[[], float]) -> None:
        self._storage = storage
        self._time = time
        self._allowance = Allowance(ENTRIES, SECONDS_PER_ENTRY)
        self._waiting: dict[str, list[NewAuditEntry]] = {}
        self._counts: dict[tuple[str, str, str], int] = {}  # wedding, actor, action
        self._counted_at = time()
        self._signed_in: dict[tuple[str, str], float] = {}  # wedding and user -> until when it is no news
        self.waiting = 0
        """Entries that wait to be stored."""
        metrics.gauge("audit_waiting", "Entries of audit logs that wait to be stored", lambda: self.waiting)
        self._merged = metrics.audit_merged

    def record(self, wedding: str, actor: str, action: str, **detail: object) -> None:
        """Something about the rights of a person in a wedding; stored within a second."""
        if not self._may_add(wedding, actor, action):
            return
        if self.waiting >= MOST_WAITING:
            self._count(wedding, actor, action)
            return
        self._enqueue(wedding, _entry(actor, action, detail))

    def sign_in(self, wedding: str, identity: Identity) -> None:
        """A socket of a person was let in."""
        key, now = (wedding, identity.user), self._time()
        if now < self._signed_in.get(key, now):
            return
        if len(self._signed_in) >= MOST_SIGNED_IN:
            self._signed_in = {each: until for each, until in self._signed_in.items() if until > now}
        if len(self._signed_in) >= MOST_SIGNED_IN or self.waiting >= MOST_WAITING:
            self._count(wedding, EVERYBODY, "signed_in")
            return
        self._signed_in[key] = now + SIGNED_IN_SECONDS
        self._enqueue(wedding, _entry(identity.user, "signed_in", {"role": identity.role}))

    def of_batch(self, batch: RoomBatch) -> Sequence[NewAuditEntry]:
        """The entries about what was undone of a batch, which is stored with them."""
        entries = []
        for notice in batch.notices:
            identity = batch.requests[notice.index].session.identity
            if self._may_add(batch.room.wedding, identity.user, "write.reverted"):
                detail = {"document": batch.room.document, "role": identity.role, **_undone(notice.body)}
                entries.append(_entry(identity.user, "write.reverted", detail))
        return entries

    def _may_add(self, wedding: str, actor: str, action: str) -> bool:
        allowed = self._allowance.take(f"{wedding} {actor}", self._time())
        if not allowed:
            self._count(wedding, actor, action)
        return allowed

    def _count(self, wedding: str, actor: str, action: str) -> None:
        self._merged.inc()
        key = (wedding, actor, action)
        if key not in self._counts and len(self._counts) >= MOST_WAITING:
            key = (wedding, EVERYBODY, action)
            if key not in self._counts and len(self._counts) >= 2 * MOST_WAITING:
                return  # the metric has it
        self._counts[key] = self._counts.get(key, 0) + 1

    def _enqueue(self, wedding: str, entry: NewAuditEntry) -> None:
        self._waiting.setdefault(wedding, []).append(entry)
        self.waiting += 1

    async def run(self) -> None:
        """Store what waits, for ever."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            if self._time() - self._counted_at >= COUNTS_SECONDS:
                self._take_counts()
            await self.flush()

    def _take_counts(self) -> None:
        counts, self._counts = self._counts, {}
        self._counted_at = self._time()
        for (wedding, actor, action), count in counts.items():
            self._enqueue(wedding, _entry(actor, action, {"count": count}))

    async def stop(self) -> None:
        """Store what waits, and the counts, for the last time."""
        self._take_counts()
        await self.flush()

    async def flush(self) -> None:
        """Store what waits, of many weddings in one transaction. Entries that cannot be stored now wait on."""
        while self._waiting:
            taken = {wedding: self._waiting.pop(wedding) for wedding in list(self._waiting)[:WEDDINGS_AT_ONCE]}
            try:
                await self._store(taken)
            except StorageError as error:
                log.warning("audit_not_stored", weddings=len(taken), error=str(error))
                for wedding, entries in taken.items():
                    self._waiting[wedding] = entries + self._waiting.get(wedding, [])
                return
            self.waiting -= sum(map(len, taken.values()))

    async def _store(self, taken: Mapping[str, Sequence[NewAuditEntry]]) -> None:
        records = [DerivedRecords(DocumentKey(wedding, AUDITED), audit=entries) for wedding, entries in taken.items()]
        try:
            await self._storage.append([], records)
        except ValuesRefused as error:
            if len(records) == 1:
                log.error("audit_entries_refused", wedding=records[0].key.wedding, error=str(error))
                return
            for wedding, entries in taken.items():
                await self._store({wedding: entries})


def _undone(notice: bytes) -> dict[str, Any]:
    """The places that a notice names, and the rules."""
    body = json.loads(notice)
    reverted = body.get("reverted", ())
    paths = ["/".join(filter(None, (each["root"], each["record"], each["key"]))) for each in reverted]
    rules = sorted({each["code"] for each in reverted}) or [body.get("why", "")]
    return {"paths": paths[:PATHS], "more": max(0, len(paths) - PATHS), "rules": rules}


def _entry(actor: str, action: str, detail: dict[str, Any]) -> NewAuditEntry:
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return NewAuditEntry(at, actor, action, _JSON.encode(detail))


_JSON = json.JSONEncoder(ensure_ascii=False, sort_keys=True)
