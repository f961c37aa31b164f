"""The members of weddings as identities, made once for each version of the rights.

Every message that goes out, and every page of events, is decided about with all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock
from typing import Final, TypeAlias
from weakref import ReferenceType, ref

from crdt_server.access.identity import Identity
from crdt_server.access.members import WeddingRights
from crdt_server.access.policy import Policy

PEOPLE_KEPT: Final = 50_000
"""Identities in memory, of the weddings that were last decided about; a wedding without any counts as one. About 150
bytes each, besides their names."""

_Made: TypeAlias = tuple[ReferenceType[WeddingRights], Mapping[str, Identity]]
"""The rights are not kept for it: they have all threads of a wedding, with who takes part."""


class PeopleOfWeddings:
    """The members of weddings, kept as long as their rights are the same. Threads of the store may share one."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._lock = Lock()
        self._kept: dict[str, _Made] = {}
        self._number = 0

    def of(self, wedding: str, rights: WeddingRights) -> Mapping[str, Identity]:
        """The members of a wedding by these rights, by user."""
        with self._lock:
            found = self._kept.get(wedding)
        if found is None or found[0]() is not rights:
            found = ref(rights), _members_of(rights, self._policy)  # some milliseconds: others do not wait for them
        with self._lock:
            self._drop(wedding)
            self._kept[wedding] = found  # as the last one that goes
            self._number += 1 + len(found[1])
            while self._number > PEOPLE_KEPT and len(self._kept) > 1:
                self._drop(next(iter(self._kept)))
        return found[1]

    def _drop(self, wedding: str) -> None:
        found = self._kept.pop(wedding, None)
        if found is not None:
            self._number -= 1 + len(found[1])


def _members_of(rights: WeddingRights, policy: Policy) -> dict[str, Identity]:
    """The members of a wedding, without those that were removed, with what they may write."""
    written = {role: policy.rights_to_write(role, rights.overrides) for role in policy.roles}
    return {
        each.user: Identity(
            each.user, each.role, each.vendor, each.guest, each.side, rights=written[each.role], name=each.name
        )
        for each in rights.members.values()
        if not each.removed and each.role in written
    }
