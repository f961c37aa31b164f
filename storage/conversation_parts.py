"""The part of `Storage` for threads and their messages. See `conversations`."""

from collections.abc import Collection

from storage import conversations
from storage.conversations import (
    DecideThread,
    StoredParticipant,
    StoredThread,
    ThreadCursor,
    ThreadFilter,
)
from storage.store_parts import StorePart


class ConversationStore(StorePart):
    """Threads, participants, and what each has read."""

    async def change_thread(
        self, wedding: str, id_: str, by: str, users: Collection[str], decide: DecideThread
    ) -> tuple[StoredThread, int]:
        """Make or change a thread as `decide` decides, given also the members among `users`. Returns it with the
        number of the event. Raises ValuesRefused for one too many, and what `decide` raises."""
        return await self._executor.write(
            lambda connection: conversations.change(connection, wedding, id_, by, users, decide)
        )

    async def thread(self, wedding: str, id_: str) -> StoredThread | None:
        """A thread; None: there is none."""
        return await self._executor.read(lambda connection: conversations.find(connection, wedding, id_))

    async def threads(
        self, wedding: str, among: ThreadFilter, after: ThreadCursor | None, limit: int
    ) -> list[StoredThread]:
        """The next threads behind a cursor, the last active first."""
        return await self._executor.read(
            lambda connection: conversations.page(connection, wedding, among, after, limit)
        )

    async def participants(self, wedding: str, ids: Collection[str]) -> list[StoredParticipant]:
        """Who takes part in these threads, by thread and user."""
        return await self._executor.read(lambda connection: conversations.participants_of(connection, wedding, ids))

    async def mute_thread(self, wedding: str, id_: str, user: str, *, muted: bool) -> bool:
        """Whether a participant is notified of new messages from now on; False: they do not take part."""
        return await self._executor.write(
            lambda connection: conversations.mute(connection, wedding, id_, user, muted=muted)
        )
