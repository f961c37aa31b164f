"""The part of `Storage` for threads and their messages. See `conversations` and `messages`."""

from collections.abc import Collection, Sequence
from datetime import datetime

from storage import conversations, inbox, messages
from storage.conversations import (
    DecideThread,
    StoredParticipant,
    StoredThread,
    ThreadCursor,
    ThreadFilter,
)
from storage.messages import ThreadMessage, ThreadReading
from storage.store_parts import StorePart


class ConversationStore(StorePart):
    """Threads and participants."""

    async def change_thread(
        self, wedding: str, id_: str, by: str, users: Collection[str], decide: DecideThread
    ) -> tuple[StoredThread, int]:
        """Make or change a thread as `decide` decides, given also the members among `users`. Returns it with the
        number of the event; 0: nothing changed. Raises ValuesRefused for one too many, AnswerTaken where there is an
        answer of its key, and what `decide` raises."""
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
        """The participants of these threads, by thread and user."""
        return await self._executor.read(lambda connection: conversations.participants_of(connection, wedding, ids))

    async def mute_thread(self, wedding: str, id_: str, user: str, *, muted: bool) -> bool:
        """Whether a participant is notified of new messages from now on; False: they do not take part."""
        return await self._executor.write(
            lambda connection: conversations.mute(connection, wedding, id_, user, muted=muted)
        )


class MessageStore(StorePart):
    """The messages of threads, and what each person has read of them."""

    async def thread_messages(
        self, wedding: str, thread: str, *, after: int | None, before: int | None, limit: int
    ) -> list[ThreadMessage]:
        """Messages behind a number, the oldest first; or without one, those before a number, the newest first. Ends
        with the one that exceeds so many characters."""
        return await self._executor.read(
            lambda connection: messages.page(connection, wedding, thread, after, before, limit)
        )

    async def thread_message(self, wedding: str, thread: str, message: str) -> ThreadMessage | None:
        """A message as it is in its document; None: there is none that has arrived."""
        return await self._executor.read(lambda connection: messages.find(connection, wedding, thread, message))

    async def reactions(self, wedding: str, thread: str, among: Collection[str]) -> dict[str, list[str]]:
        """The reactions to these messages: of each the emoji and the user, as `emoji|user`."""
        return await self._executor.read(lambda connection: messages.reactions(connection, wedding, thread, among))

    async def mark_thread_read(self, wedding: str, thread: str, user: str, sequence: int, at: datetime) -> int:
        """A person has read a thread up to a number; returns the highest of all devices, which never goes back. Where
        many items of the inbox are about it, they are marked in transactions of their own."""
        highest, more = await self._executor.write(
            lambda connection: messages.mark_read(connection, wedding, thread, user, sequence, at)
        )
        while more:
            more = await self._executor.write(
                lambda connection: inbox.mark_thread_read(connection, wedding, user, thread, sequence, at)
            )
        return highest

    async def readings(
        self, wedding: str, user: str, ids: Sequence[str], author: str | None = None
    ) -> list[ThreadReading]:
        """How far a person has read each of these threads, and how many messages of others came since. ``author``: the
        person as messages name their authors, where that is not the user."""
        return await self._executor.read(
            lambda connection: messages.readings(connection, wedding, user, ids, author or user)
        )

    async def pending_purges(
        self, limit: int, after: tuple[str, str] = ("", ""), wedding: str | None = None
    ) -> list[tuple[str, str, int]]:
        """The next weddings with documents of which updates hold text of redacted messages, in order, and the event of
        the last one; of one wedding, or of all."""
        return await self._executor.read(lambda connection: messages.pending_purges(connection, limit, after, wedding))

    async def purged(self, wedding: str, document: str, event: int) -> None:
        """A document was written anew behind this event."""
        await self._executor.write(lambda connection: messages.purged(connection, wedding, document, event))
