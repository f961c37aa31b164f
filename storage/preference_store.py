"""The part of `Storage` for preferences, addresses and digests: see `preferences`."""

from datetime import datetime

from storage import preferences
from storage.preferences import Decide, DueDigest, MakeDigest, StoredContact, StoredPreferences
from storage.store_parts import StorePart


class PreferenceStore(StorePart):
    """Preferences, addresses and digests of people."""

    async def preferences(self, wedding: str, user: str) -> StoredPreferences | None:
        """The preferences of a person."""
        return await self._executor.read(lambda connection: preferences.find(connection, wedding, user))

    async def change_preferences(self, wedding: str, user: str, decide: Decide, at: datetime) -> StoredPreferences:
        """Change the preferences of a person as `decide` decides. Raises what it raises."""
        return await self._executor.write(lambda connection: preferences.change(connection, wedding, user, decide, at))

    async def due_digests(self, now: datetime, after: DueDigest | None, limit: int) -> list[DueDigest]:
        """The next digests that are due, behind one; the oldest first."""
        return await self._executor.read(lambda connection: preferences.due(connection, now, after, limit))

    async def held_events(self, wedding: str, user: str) -> set[int]:
        """The events of what may be in the next digests of a person."""
        return await self._executor.read(lambda connection: preferences.held_events(connection, wedding, user))

    async def bundle(self, wedding: str, user: str, now: datetime, make: MakeDigest) -> int:
        """Put what is held back of a person into digests, if that is due. Returns their number."""
        return await self._executor.write(lambda connection: preferences.bundle(connection, wedding, user, now, make))

    async def contacts(self, wedding: str, user: str) -> list[StoredContact]:
        """The addresses of a person, disabled ones included, by channel and age."""
        return await self._executor.read(lambda connection: preferences.list_contacts(connection, wedding, user))

    async def put_contact(self, wedding: str, user: str, contact: StoredContact, most: int) -> None:
        """Add or replace an address. Raises BoundReached where the person has `most` on the channel."""
        await self._executor.write(lambda connection: preferences.put_contact(connection, wedding, user, contact, most))

    async def delete_contact(self, wedding: str, user: str, id_: str) -> bool:
        """Delete an address; whether there was one."""
        return await self._executor.write(lambda connection: preferences.delete_contact(connection, wedding, user, id_))
