"""Grants: rights of one person for a time, with a reason. The couple gives them; on the day of the wedding the policy
does, to a coordinator. The couple is informed by an event in each case, and the audit log has it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from crdt_server.access.access import require_allowed
from crdt_server.access.identity import Identity
from crdt_server.access.member_rights import MemberRights
from crdt_server.access.members import COUPLE, GRANTEES, may_change_own, may_read_own
from crdt_server.access.policy import Policy, default_policy
from crdt_server.errors import ForbiddenError, NotFoundError
from crdt_server.services.changes import UNLIMITED, ChangeLimit
from crdt_server.services.entries import Changed, MembershipError, Now, audit_entry, moment
from crdt_server.services.members import read_rights
from crdt_server.services.wedding_meta import wedding_meta
from storage import BoundReached, GrantChange, NewEvent, Storage, StoredGrant

MOST_OPEN: Final = 100
"""Grants of a wedding that are asked for or hold."""

MOST_OPEN_OF_PERSON: Final = 10
"""Of these, those of one person: nobody keeps the others from getting one."""

LISTED: Final = 200
LONGEST_SECONDS: Final = 24 * 3600
GRANTED_LIVE: Final = ("coordinator",)
"""Roles that are given what they request while the wedding is live."""

GRANTED_DOCUMENT: Final = "guests"
"""The document of such a grant, which covers those derived from it too."""

Published = Callable[[str, int], None]
"""Called with a wedding and the number of its newest event."""


_Decide: TypeAlias = Callable[[StoredGrant | None], GrantChange]


class GrantService:
    """See the head of the file. Methods raise ForbiddenError, NotFoundError, MembershipError, and RateLimitError for
    more ``changes`` than one person makes."""

    def __init__(
        self,
        storage: Storage,
        now: Now,
        changed: Changed,
        published: Published,
        policy: Policy | None = None,
        *,
        changes: ChangeLimit = UNLIMITED,
    ) -> None:
        self._storage = storage
        self._now = now
        self._changed = changed
        self._published = published
        self._policy = policy or default_policy()
        self._changes = changes

    async def newest(self, wedding: str, actor: Identity) -> list[StoredGrant]:
        """The newest grants; to whom may not read members, one's own."""
        require_allowed(may_read_own(actor))
        found, rights = await self._storage.grants(wedding, LISTED), await self._rights_in(wedding)
        return found if rights.may_read(actor) is None else [each for each in found if each.user == actor.user]

    async def request(self, wedding: str, actor: Identity, what: str, reason: str, seconds: int) -> StoredGrant:
        """Request a grant for oneself. It is given at once while the wedding is live, to a coordinator."""
        require_allowed(may_change_own(actor))
        if actor.role not in GRANTEES:
            raise ForbiddenError("forbidden", f"the role {actor.role} may not request this")
        at = self._now()
        grant = StoredGrant(f"gr_{secrets.token_hex(8)}", actor.user, what, reason, min(seconds, LONGEST_SECONDS), at)
        by_policy = actor.role in GRANTED_LIVE and what.partition("@")[0] == GRANTED_DOCUMENT
        live = by_policy and (await wedding_meta(self._storage, wedding)).get("phase") == "live"
        if live:
            grant = _given(grant, "policy", at)

        def decide(before: StoredGrant | None) -> GrantChange:
            return _change(grant, actor, "grant.given" if live else "grant.asked", at)

        return await self._store(wedding, actor, grant.id, decide)

    async def give(self, wedding: str, actor: Identity, id_: str) -> StoredGrant:
        """Give what was asked for, from now on."""
        require_allowed((await self._rights_in(wedding)).may_override(actor))
        at = self._now()

        def decide(before: StoredGrant | None) -> GrantChange:
            grant = _present(before)
            if grant.given_at is not None:
                raise MembershipError("grant_given", "it was given already")
            return _change(_given(grant, actor.user, at), actor, "grant.given", at)

        return await self._store(wedding, actor, id_, decide)

    async def end(self, wedding: str, actor: Identity, id_: str) -> StoredGrant:
        """End a grant, or refuse one: the couple every one, others their own."""
        require_allowed(may_change_own(actor))
        at = self._now()

        def decide(before: StoredGrant | None) -> GrantChange:
            grant = _present(before)
            if actor.role != COUPLE and actor.user != grant.user:
                raise NotFoundError("not_found", "no such grant")
            return _change(grant._replace(ended_at=at), actor, "grant.ended", at)

        return await self._store(wedding, actor, id_, decide)

    async def _store(self, wedding: str, actor: Identity, id_: str, decide: _Decide) -> StoredGrant:
        stored: list[StoredGrant] = []

        def keep(before: StoredGrant | None) -> GrantChange:
            change = decide(before)
            stored[:] = [change.grant]
            return change

        try:
            with self._changes.count(wedding, actor.user):
                _, event = await self._storage.change_grant(wedding, id_, keep, MOST_OPEN, MOST_OPEN_OF_PERSON)
        except BoundReached as error:
            code = "too_many_own_grants" if error.of_person else "too_many_grants"
            raise MembershipError(code, str(error)) from error
        self._published(wedding, event)
        self._changed(wedding)
        return stored[0]

    async def _rights_in(self, wedding: str) -> MemberRights:
        return await read_rights(self._storage, wedding, self._policy)


def _given(grant: StoredGrant, by: str, at: datetime) -> StoredGrant:
    return grant._replace(given_by=by, given_at=at, until=at + timedelta(seconds=grant.seconds))


def _present(grant: StoredGrant | None) -> StoredGrant:
    if grant is None or grant.ended_at is not None:
        raise NotFoundError("not_found", "no such grant")
    return grant


def _change(grant: StoredGrant, actor: Identity, type_: str, at: datetime) -> GrantChange:
    until = None if grant.until is None else moment(grant.until)
    told = {"user": grant.user, "what": grant.what, "reason": grant.reason, "until": until, "by": grant.given_by}
    body = {
        "type": type_,
        "priority": 2,
        "at": moment(at),
        "actor": {"user": actor.user, "role": actor.role},
        "document": "wedding",
        "root": "grants",
        "record": grant.id,
        "fields": [],
        "before": None,
        "after": None,
        "grant": {**told, "seconds": grant.seconds},
    }
    event = NewEvent(type_, moment(at), grant.id, json.dumps(body, ensure_ascii=False))
    return GrantChange(grant, audit_entry(at, actor.user, type_, grant=grant.id, **told), event)
