"""The parts of `Storage` besides documents; each runs its queries on the executor of the store."""

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime
from functools import partial

from storage import derived_queries, housekeeping, last_seen, owners, quarantine, retention, usage
from storage.derived import StoredAnswer, StoredBooking, StoredEvent, StoredRow, VendorBooking
from storage.executors import SqlExecutor
from storage.last_seen import LastSeen
from storage.owners import Owner
from storage.quarantine import QuarantinedUpdate
from storage.retention import RowKey
from storage.updates import DocumentKey
from storage.usage import WeddingUsage

WEDDING_PAGE_CHARACTERS = 256 * 1024

MOST_OVERLAPPING = 1_000
"""Bookings of other weddings that a query returns."""


class StorePart:
    """A part of the store, on its executor."""

    def __init__(self, executor: SqlExecutor) -> None:
        self._executor = executor


class DerivedStore(StorePart):
    """Records derived from documents; they are stored by `Storage.append`."""

    async def pages_of_wedding(
        self, wedding: str, *, characters: int = WEDDING_PAGE_CHARACTERS
    ) -> AsyncIterator[list[tuple[str, StoredRow]]]:
        """The rows of all documents of a wedding with the document's name, removed ones included; ordered.

        A page ends with the row that exceeds so many characters. Each is read by itself: what is written meanwhile may
        be in it or not.
        """
        after: derived_queries.RowName | None = ("", "", "")
        while after is not None:
            page, after = await self._executor.read(
                partial(derived_queries.page_of_wedding, wedding=wedding, after=after, characters=characters)
            )
            if page:
                yield page

    async def page_of_root(
        self, wedding: str, root: str, *, after: tuple[str, str] = ("", ""), characters: int = 1_000_000
    ) -> tuple[list[tuple[str, StoredRow]], derived_queries.RowName | None]:
        """The next records of one root in all documents of a wedding with the document's name, removed ones left out;
        ordered by document and record, behind those names. Ends with the record that exceeds so many characters. Also
        the names of the last one; None: there are no more."""
        return await self._executor.read(
            lambda connection: derived_queries.page_of_root(connection, wedding, root, after, characters)
        )

    async def records_of_root(self, wedding: str, root: str, record: str) -> list[tuple[str, StoredRow]]:
        """The records of this id and root, removed ones left out, in all documents of a wedding; ordered by them."""
        return await self._executor.read(
            lambda connection: derived_queries.records_of_root(connection, wedding, root, record)
        )

    async def document_rows(self, key: DocumentKey) -> list[StoredRow]:
        """The rows of a document, removed ones included; ordered by root and record."""
        return await self._executor.read(lambda connection: derived_queries.document_rows(connection, key))

    async def owners(self, key: DocumentKey) -> dict[int, str]:
        """The user who wrote first under each client id of a document."""
        return await self._executor.read(lambda connection: derived_queries.client_users(connection, key))

    async def bookings(self, wedding: str) -> list[VendorBooking]:
        """The bookings of a wedding; ordered by vendor."""
        return await self._executor.read(lambda connection: derived_queries.wedding_bookings(connection, wedding))

    async def overlapping(self, wedding: str, unit_minutes: int = 1) -> list[StoredBooking]:
        """Bookings of other weddings that overlap a booking of this one with the same organization; at most 1,000.

        Two that meet, one beginning in the minute until which the other lasts, do not overlap. With longer units, two
        overlap where both take a part of one: units are counted from 1970.
        """
        return await self._executor.read(
            lambda connection: derived_queries.overlapping(connection, wedding, unit_minutes, MOST_OVERLAPPING)
        )

    async def booked(self, organization: str, spans: Sequence[tuple[int, int]]) -> list[str]:
        """The weddings with a booking of an organization that overlaps one of the spans (`start`, `until`); ordered."""
        return await self._executor.read(lambda connection: derived_queries.booked(connection, organization, spans))

    async def events(self, wedding: str, *, after: int = 0, limit: int = 500) -> list[StoredEvent]:
        """The next `limit` events of a wedding behind the number `after`."""
        return await self._executor.read(
            lambda connection: derived_queries.list_events(connection, wedding, after, limit)
        )

    async def event_head(self, wedding: str) -> int:
        """The number of the newest event of a wedding, 0 when there is none."""
        return await self._executor.read(lambda connection: derived_queries.event_head(connection, wedding))

    async def answer(self, wedding: str, key: str) -> StoredAnswer | None:
        """The answer to the command of this key, None where there is none."""
        return await self._executor.read(lambda connection: derived_queries.find_answer(connection, wedding, key))

    async def forget_answers(self, before: datetime) -> int:
        """Remove the answers given before that moment, which carries its time zone; returns how many there were."""
        return await self._executor.write_at_once(lambda connection: derived_queries.delete_answers(connection, before))


class OwnerStore(StorePart):
    """The nodes that live, and the weddings that each may write."""

    async def heartbeat(self, node: str, seconds: float) -> None:
        """The node lives until `seconds` from now by the clock of the database."""
        await self._executor.write_at_once(lambda connection: owners.heartbeat(connection, node, seconds))

    async def nodes(self) -> list[str]:
        """The nodes that live, in order."""
        return await self._executor.read(owners.alive)

    async def claim(self, weddings: Sequence[str], node: str) -> list[Owner]:
        """Take those of the weddings that no living node owns, under a new fence; returns the owner of each, ordered.

        Weddings that the node owns already keep their fence. Waits for appends to these weddings.
        """
        wanted = sorted(set(weddings))
        return await self._executor.write_at_once(lambda connection: owners.claim(connection, wanted, node))

    async def owner(self, wedding: str) -> Owner | None:
        """The owner of the wedding; None where it has none, or a node that no longer lives."""
        return await self._executor.read(lambda connection: owners.owner(connection, wedding))

    async def owned(self, node: str) -> dict[str, int]:
        """The weddings that a node owns, whether it lives or not, with their fences."""
        return await self._executor.read(lambda connection: owners.owned(connection, node))

    async def release(self, node: str, weddings: Sequence[str] | None = None) -> None:
        """Give up these weddings, as far as they are the node's; or all, and have the node live no longer."""
        if weddings is None:
            await self._executor.write(lambda connection: owners.leave(connection, node))
        else:
            await self._executor.write(lambda connection: owners.release(connection, node, weddings))


class RetentionStore(StorePart):
    """The storage that weddings take, and the removal of what has expired."""

    async def usage(self, wedding: str) -> WeddingUsage:
        """The storage that a wedding takes. Reads all of it: about a second for a gigabyte."""
        return await self._executor.read(lambda connection: usage.usage(connection, wedding))

    async def document_count(self, wedding: str) -> int:
        """How many documents of a wedding are stored."""
        return await self._executor.read(lambda connection: usage.count_documents(connection, wedding))

    async def event_floor(self, wedding: str) -> int:
        """The number behind which all events of a wedding are kept: 0 as long as none was removed."""
        return await self._executor.read(lambda connection: retention.event_floor(connection, wedding))

    async def event_bytes(self, wedding: str) -> int:
        """The bytes of all events of a wedding."""
        return await self._executor.read(lambda connection: retention.event_bytes(connection, wedding))

    async def expire_events(self, wedding: str, *, before: datetime | None = None, excess_bytes: int = 0) -> int:
        """Delete up to 500 of the oldest events: those that happened before a moment, and as many as hold these bytes,
        but never the newest event. Returns the bytes that were freed; 0: there is nothing to delete any more."""
        return await self._executor.write(
            lambda connection: retention.expire_events(connection, wedding, before, excess_bytes)
        )

    async def removed_rows(self, wedding: str, after: RowKey | None = None) -> list[tuple[RowKey, str]]:
        """The next 500 rows of removed records behind a key, in order, each with its writers."""
        return await self._executor.read(lambda connection: retention.removed_rows(connection, wedding, after))

    async def delete_removed_rows(self, wedding: str, keys: Sequence[RowKey]) -> int:
        """Delete these rows, as far as their records are still removed; returns how many."""
        return await self._executor.write_at_once(
            lambda connection: retention.delete_removed_rows(connection, wedding, keys)
        )


class LastSeenStore(StorePart):
    """When people were last there."""

    async def save_last_seen(self, rows: Sequence[LastSeen]) -> None:
        """Put these in the place of the rows of the same person and node."""
        await self._executor.write_at_once(lambda connection: last_seen.save(connection, rows))

    async def last_seen(self, wedding: str) -> list[LastSeen]:
        """The rows of a wedding, by user; of one user the newest last. There are about 1,000 at most."""
        return await self._executor.read(lambda connection: last_seen.find(connection, wedding))

    async def trim_last_seen(self, weddings: Iterable[str], stale_before: datetime) -> int:
        """Delete rows of these weddings behind the newest 1,000, and those of people who were seen later at another
        node: rows of somebody connected only from before a moment. Returns how many."""
        return await self._executor.write(lambda connection: last_seen.trim(connection, weddings, stale_before))


class OperatorStore(StorePart):
    """Operations for an operator, and updates kept for study."""

    async def quarantine(self, item: QuarantinedUpdate) -> None:
        """Keep a refused update for study; the newest 100 of each wedding are kept and 10,000 in all, as far as they
        take no more than 16 MiB, and 256 MiB in all."""
        await self._executor.write(lambda connection: quarantine.add(connection, item))

    async def quarantine_bytes(self) -> int:
        """The bytes of all kept updates."""
        return await self._executor.read(quarantine.size_bytes)

    async def trim_quarantine(self) -> int:
        """Delete the oldest kept updates beyond the bounds in all; returns how many."""
        return await self._executor.write(quarantine.trim)

    async def quarantined(self, wedding: str | None = None) -> list[QuarantinedUpdate]:
        """Kept updates, oldest first."""
        return await self._executor.read(lambda connection: quarantine.list_all(connection, wedding))

    async def probe_write(self) -> None:
        """Write something, durably, and change no document: fails where the database takes no writes."""
        await self._executor.write_at_once(housekeeping.probe_write)

    async def size_bytes(self) -> int:
        """Bytes the database takes on disk; of SQLite with its write-ahead log."""
        return await self._executor.read(housekeeping.size_bytes)

    async def vacuum(self) -> None:
        """Give free room back to the file system. Rewrites everything, and all wait meanwhile: not for busy hours."""
        await self._executor.maintain(housekeeping.vacuum)
