"""The mirror of messages and their files, brought up to date by the test as by the router."""

from __future__ import annotations

from storage import Storage, mirror_messages, project_attachments


class Mirror:
    """Follows the events of a wedding."""

    def __init__(self, storage: Storage, wedding: str = "w") -> None:
        self._storage = storage
        self._wedding = wedding
        self._seq = 0

    async def follow(self) -> None:
        """Take all events that are stored."""
        while page := await self._storage.events(self._wedding, after=self._seq, limit=3):
            for project in (mirror_messages, project_attachments):
                await self._storage._executor.write(
                    lambda connection, project=project, page=page: project(connection, self._wedding, page)
                )
            self._seq = page[-1].seq
