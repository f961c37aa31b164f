"""The parts of `Storage` for rights: members, devices, grants, and the audit log. See `members`, `grants` and `audit`.

Moments carry their time zone, and come from the caller.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime

from storage import audit, grants, members
from storage.audit import INSERTED_LAST, AuditEntry, AuditFault, AuditHead, AuditValues, ChainCheck, NewAuditEntry
from storage.grants import DecideGrant, PolicyOverride, StoredGrant, StoredRights
from storage.members import (
    Decide,
    DecideDevice,
    NewDevice,
    SignedIn,
    StoredDevice,
    StoredInvitation,
    StoredMember,
    TokenReused,
)
from storage.store_parts import StorePart

AUDIT_PAGE_CHARACTERS = 1_000_000
WEDDINGS_PER_PAGE = 1_000


class MemberStore(StorePart):
    """Members of weddings, invitations, and devices."""

    async def members(self, wedding: str) -> list[StoredMember]:
        """The members of a wedding, removed ones included, by their users."""
        return await self._executor.read(lambda connection: members.list_all(connection, wedding))

    async def members_behind(self, wedding: str, after: str, limit: int) -> list[StoredMember]:
        """The next `limit` members behind a user, without those that were removed."""
        return await self._executor.read(lambda connection: members.page(connection, wedding, after, limit))

    async def weddings_of(self, user: str, after: str, limit: int) -> list[str]:
        """The next `limit` weddings of which a user is a member, in order, behind `after`."""
        return await self._executor.read(lambda connection: members.list_weddings(connection, user, after, limit))

    async def change_member(self, wedding: str, user: str, decide: Decide) -> tuple[StoredMember, int]:
        """Add, change or remove a member as `decide` decides, given the member and the number of others in its role.
        Returns it with the version of the rights; 0: nothing changed. Raises what `decide` raises, and nothing is
        changed then. The inbox of a removed one goes in transactions behind that of the change."""
        changed, version = await self._executor.write(
            lambda connection: members.change(connection, wedding, user, decide)
        )
        if version and changed.removed_at is not None:
            while await self._executor.write(lambda connection: members.clear_removed(connection, wedding, user)):
                pass
        return changed, version

    async def invite(
        self,
        wedding: str,
        code: str,
        invitation: StoredInvitation,
        most: int,
        entry: NewAuditEntry,
        *,
        most_of_person: int | None = None,
    ) -> None:
        """Keep an invitation under the digest of its code. Raises BoundReached where there are `most` already, or
        `most_of_person` of the one who invites."""
        await self._executor.write(
            lambda connection: members.invite(
                connection, wedding, code, invitation, most, entry, most_of_person=most_of_person
            )
        )

    async def invitations(self, wedding: str, now: datetime) -> list[StoredInvitation]:
        """The invitations that can be used, the oldest first."""
        return await self._executor.read(lambda connection: members.list_invitations(connection, wedding, now))

    async def withdraw(self, wedding: str, id_: str, decide: Callable[[StoredInvitation], NewAuditEntry]) -> bool:
        """Delete an invitation, unless `decide` raises; whether there was one."""
        return await self._executor.write(lambda connection: members.withdraw(connection, wedding, id_, decide))

    async def accept(
        self, code: str, device: NewDevice, decide: DecideDevice, at: datetime, seen_after: datetime
    ) -> SignedIn | None:
        """Use the invitation with this digest of a code, once; None where there is none. Its person is a member from
        now on, unless it is one already. Devices seen after a moment count as in use for `decide`."""
        # A person who tries codes keeps readers busy, and never the writer, for which all edits wait.
        if not await self._executor.read(lambda connection: members.is_code(connection, code, at)):
            return None
        return await self._executor.write(
            lambda connection: members.accept(connection, code, device, decide, at, seen_after)
        )

    async def refresh(
        self,
        token: str,
        following: str,
        at: datetime,
        seen_after: datetime,
        reused: Callable[[StoredDevice], NewAuditEntry],
    ) -> SignedIn | None:
        """Replace a refresh token, given by its digest; None where it is not valid. Raises TokenReused for one that was
        replaced before: its device is revoked then."""
        if not await self._executor.read(lambda connection: members.is_token(connection, token)):
            return None
        found = await self._executor.write(
            lambda connection: members.refresh(connection, token, following, at, seen_after, reused)
        )
        if found is not None and found.device.revoked_at is not None:
            raise TokenReused(found.device.wedding, found.device.user)
        return found

    async def devices(self, wedding: str, user: str | None, seen_after: datetime) -> list[StoredDevice]:
        """The devices in use, of one user or of all, by user and age."""
        return await self._executor.read(lambda connection: members.list_devices(connection, wedding, user, seen_after))

    async def revoke_device(
        self,
        wedding: str,
        device: str,
        decide: Callable[[StoredDevice, StoredMember | None], NewAuditEntry],
        at: datetime,
    ) -> bool:
        """Revoke a device, unless `decide` raises; whether there is one."""
        return await self._executor.write(
            lambda connection: members.revoke_device(connection, wedding, device, decide, at)
        )


class GrantStore(StorePart):
    """Grants, policies, and all rights of a wedding."""

    async def change_grant(
        self, wedding: str, id_: str, decide: DecideGrant, most_open: int, most_of_person: int | None = None
    ) -> tuple[int, int]:
        """Add or change a grant as `decide` decides. Returns the version of the rights, and the number of the event.
        Raises BoundReached for one more than `most_open` that have not ended, or `most_of_person` of its user."""
        return await self._executor.write(
            lambda connection: grants.change(connection, wedding, id_, decide, most_open, most_of_person)
        )

    async def grants(self, wedding: str, limit: int) -> list[StoredGrant]:
        """The newest grants of a wedding, also those that have ended."""
        return await self._executor.read(lambda connection: grants.list_all(connection, wedding, limit))

    async def set_override(
        self, wedding: str, override: PolicyOverride, entry: NewAuditEntry, *, keep: bool = True
    ) -> int:
        """Put an override in the place of the one of its role and category, or without `keep` remove that one. Returns
        the version of the rights; 0: nothing changed."""
        return await self._executor.write(
            lambda connection: grants.set_override(connection, wedding, override, entry, keep=keep)
        )

    async def overrides(self, wedding: str) -> list[PolicyOverride]:
        """The overrides of a wedding, by role and category."""
        return await self._executor.read(lambda connection: grants.list_overrides(connection, wedding))

    async def rights(self, wedding: str, now: datetime) -> StoredRights:
        """All that decides about the rights in a wedding."""
        return await self._executor.read(lambda connection: grants.rights_of(connection, wedding, now))

    async def rights_versions(self, weddings: Sequence[str]) -> dict[str, int]:
        """The versions of the rights of these weddings, as far as they were ever changed: one query."""
        return await self._executor.read(lambda connection: grants.versions(connection, weddings))


class AuditStore(StorePart):
    """The audit logs of weddings."""

    async def add_audit(self, wedding: str, entries: Sequence[AuditValues]) -> None:
        """Add entries that belong to no other change. Raises ValuesRefused."""
        await self._executor.write(lambda connection: audit.add(connection, wedding, entries))

    async def audit(self, wedding: str, *, after: int = 0, characters: int = AUDIT_PAGE_CHARACTERS) -> list[AuditEntry]:
        """The next entries behind a number: at most 500; ends with the one that exceeds so many characters."""
        return await self._executor.read(lambda connection: audit.page(connection, wedding, after, characters))

    async def audit_head(self, wedding: str) -> AuditHead:
        """The number and the digest of the newest entry, as kept beside the log."""
        return await self._executor.read(lambda connection: audit.head(connection, wedding))

    async def check_audit(self, wedding: str) -> tuple[AuditHead, AuditFault | None]:
        """Walk the log: its head, and the first entry that was altered, removed or inserted. Of entries that are added
        meanwhile nothing is found wrong."""
        kept = await self.audit_head(wedding)
        check = ChainCheck(wedding)
        while page := await self.audit(wedding, after=check.head.seq):
            check.walk(page)
            if check.fault is not None:
                break
        newest = await self.audit_head(wedding)
        if check.fault is not None and check.fault.seq > newest.seq:
            check.fault = AuditFault(newest.seq + 1, INSERTED_LAST)
        elif kept == newest:
            check.end(kept)
        elif check.head.seq < kept.seq:
            check.end(newest)
        return check.head, check.fault

    async def audited_weddings(self) -> AsyncIterator[str]:
        """All weddings that have entries, or had some, in order; read in pages."""
        after = ""
        while page := await self._audited_behind(after):
            for wedding in page:
                yield wedding
            after = page[-1]

    async def _audited_behind(self, after: str) -> list[str]:
        return await self._executor.read(lambda connection: audit.weddings(connection, after, WEDDINGS_PER_PAGE))
