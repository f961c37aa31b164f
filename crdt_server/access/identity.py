"""The identity that travels with every request, also over the pipe to a document host and between nodes."""

from __future__ import annotations

import re
from typing import NamedTuple, TypeAlias

NAME_LENGTH = 255
ROLES = (
    *("couple", "planner", "coordinator", "venue", "caterer", "photographer", "vendor"),
    *("family", "wedding_party", "guest"),
)
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class Identity(NamedTuple):
    """The user of a request. ``role`` is one of the wedding's roles."""

    user: str
    role: str
    vendor: str = ""
    """For roles of vendors: the vendor of the wedding."""
    guest: str = ""
    """For guests: the guest of the wedding."""
    side: str = ""
    """For family: the side of the couple, ``a`` or ``b``."""
    rights: str = ""
    """Rights to write, a letter for each category of the policy: see `documents.events.Actor`."""
    name: str = ""
    """The name that other people see; proves nothing."""
    scope: str = ""
    """Of a token with a scope, see `scopes`: what it leaves of the rights; empty: all of them."""

    @property
    def fault(self) -> str | None:
        """Why the store could not keep these names."""
        if max(map(len, self)) <= NAME_LENGTH and not _UNPRINTABLE.search("".join(self)):
            return None  # at every connection
        for field, name in self._asdict().items():
            if len(name) > NAME_LENGTH:
                return f"{field} has at most {NAME_LENGTH} characters"
            if not is_name(name):
                return f"{field} has a control character"
        return None


class Authenticated(NamedTuple):
    """An identity, and how long its proof is valid."""

    identity: Identity
    expires_at: float | None = None
    """Seconds since 1970, after which sockets are closed with 4401 and event streams end; None: never."""
    device: str = ""
    """The device that the proof was given to, where it names one."""
    by_members: bool = False
    """Whether the members of the wedding have decided about the role, and not the proof: then it follows them."""


Person: TypeAlias = Authenticated | Identity
"""Somebody with or without a proof. Without one nothing is known of a device, and no members decide about the role."""


def proven(person: Person) -> Authenticated:
    """A person with a proof; an identity alone is valid without end."""
    return person if isinstance(person, Authenticated) else Authenticated(person)


def is_name(text: str) -> bool:
    """Whether the store can keep this as a name: PostgreSQL, for one, has no character 0."""
    return len(text) <= NAME_LENGTH and not _UNPRINTABLE.search(text)


def person_at(identity: Identity, address: str) -> str:
    """The key of a person in tables of limits: a name alone proves nothing where everybody is anonymous."""
    return f"{address} {identity.user}"


SERVER = Identity("server", "server")
"""The identity of the server's own writes."""

UNIDENTIFIED = Identity("", "")
"""Stands in tables of limits for those of an address whose proof of identity was forged."""
