"""The part of `Storage` for preferences, addresses and digests: see `preferences`."""

from datetime import datetime
from functools import partial

from storage import contacts, preferences
from storage.contacts import Confirmed, MakeCode, StoredContact
from storage.outbox import SLICE
from storage.preferences import Decide, DueDigest, MakeDigest, PreferenceChange, StoredPreferences
from storage.store_parts import StorePart


class PreferenceStore(StorePart):
    """Preferences, addresses and digests of people."""

    async def preferences(self, wedding: str, user: str) -> StoredPreferences | None:
        """The preferences of a person."""
        return await self._executor.read(lambda connection: preferences.find(connection, wedding, user))

    async def change_preferences(self, wedding: str, user: str, decide: Decide, at: datetime) -> StoredPreferences:
        """Change the preferences of a person as `decide` decides. Raises what it raises. What is held is put off in
        slices behind it, unless its digest comes when it was to come."""
        last = 0
        before: list[datetime | None] = []

        def decided(body: str, digest_at: datetime | None) -> PreferenceChange:
            before[:] = [digest_at]
            return decide(body, digest_at)

        changed = await self._executor.write(
            lambda connection: preferences.change(connection, wedding, user, decided, at)
        )
        if changed.digest_at not in (*before, None):
            while last := await self._executor.write(
                lambda connection: preferences.put_off(connection, wedding, user, last)
            ):
                pass
        return changed

    async def due_digests(self, now: datetime, after: DueDigest | None, limit: int) -> list[DueDigest]:
        """The next digests that are due, behind one; the oldest first."""
        return await self._executor.read(lambda connection: preferences.due(connection, now, after, limit))

    async def held_events(self, wedding: str, user: str) -> set[int]:
        """The events of what may be in the next digests of a person."""
        return await self._executor.read(lambda connection: preferences.held_events(connection, wedding, user))

    async def bundle(self, wedding: str, user: str, now: datetime, make: MakeDigest) -> int:
        """Put what is held back of a person into digests, if that is due. Returns their number. Those of which a digest
        has the number only go before it, in slices."""
        surplus = await self._executor.read(lambda connection: preferences.surplus(connection, wedding, user))
        for channel, ids in surplus.items():
            for begin in range(0, len(ids), SLICE):
                slice_ = ids[begin : begin + SLICE]
                is_due = await self._executor.write(
                    partial(preferences.count_surplus, wedding=wedding, user=user, channel=channel, ids=slice_, now=now)
                )
                if not is_due:
                    return 0
        return await self._executor.write(lambda connection: preferences.bundle(connection, wedding, user, now, make))

    async def contacts(self, wedding: str, user: str) -> list[StoredContact]:
        """The addresses of a person, disabled ones and those to be confirmed included, by channel and age."""
        return await self._executor.read(lambda connection: contacts.list_contacts(connection, wedding, user))

    async def contact(self, wedding: str, user: str, id_: str) -> StoredContact | None:
        """An address of a person."""
        return await self._executor.read(lambda connection: contacts.find_contact(connection, wedding, user, id_))

    async def put_contact(
        self, wedding: str, user: str, contact: StoredContact, most: int, *, since: datetime, make: MakeCode
    ) -> StoredContact:
        """Add or replace an address, and return it: see `contacts.put_contact`. Raises BoundReached where the person
        has `most` on the channel, and what ``make`` raises."""
        return await self._executor.write(
            lambda connection: contacts.put_contact(connection, wedding, user, contact, most, since=since, make=make)
        )

    async def confirm_contact(
        self, wedding: str, user: str, id_: str, code: str, *, since: datetime, tries: int, at: datetime
    ) -> Confirmed:
        """Have an address in use if this is the digest of its code: see `contacts.confirm`."""
        return await self._executor.write(
            lambda connection: contacts.confirm(connection, wedding, user, id_, code, since=since, tries=tries, at=at)
        )

    async def delete_contact(self, wedding: str, user: str, id_: str) -> bool:
        """Delete an address; whether there was one."""
        return await self._executor.write(lambda connection: contacts.delete_contact(connection, wedding, user, id_))
