"""Decisions on access. One `Access` object decides for sockets, HTTP, event streams, commands and embedded edits.

Pure: no I/O, and no clock but one that comes through a constructor. An implementation that has to wait, for the keys of
an identity provider or for a table of members, returns an awaitable of its answer; its caller bounds the wait.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Mapping
from typing import NamedTuple, Protocol, TypeAlias, runtime_checkable

from crdt_server.access.identity import ROLES, SERVER, Authenticated, Identity, proven
from crdt_server.errors import (
    AdmissionError,
    CrdtServerError,
    ForbiddenError,
    InvalidField,
    InvalidRequestError,
    NotFoundError,
    UnauthenticatedError,
)
from documents.categories import AccessCategory


class Action(enum.Enum):
    """An action on a document, on a category, or on a wedding as a whole."""

    READ = "read"
    READ_PART = "read_part"
    """Read a derived document of the category."""
    COMMENT = "comment"
    WRITE = "write"
    WRITE_OWN = "write_own"
    """Write own items in a derived document of the category."""
    ADMINISTER = "administer"


class Credentials(NamedTuple):
    """The parts of a request that may carry proof of an identity. Names of headers are matched in any case."""

    query: Mapping[str, str]
    headers: Mapping[str, str]


class Denied(NamedTuple):
    """A negative decision: ``code`` is a key of `errors.CLOSE_CODES`, ``reason`` goes to the client."""

    code: str
    reason: str
    hostile: bool = False
    """Whether no honest client sends what was refused: then it counts against its address."""


Decision: TypeAlias = Denied | None
"""None: allowed."""

Identified: TypeAlias = Authenticated | Identity | Denied
"""The answer to a request for an identity. An identity alone is valid without end."""

Target: TypeAlias = str | AccessCategory | None
"""A document, a category, or None: the wedding as a whole. A call about the wedding as a whole is allowed to everybody
who takes part in it; what it reads or writes is decided piece by piece."""


class Access(Protocol):
    """See the head of the file. Implementations may raise `CrdtServerError` in place of returning `Denied`."""

    def identify(self, credentials: Credentials, wedding: str) -> Identified | Awaitable[Identified]:
        """The person behind a request, in the role that person has in the wedding."""

    def may(self, identity: Identity, action: Action, wedding: str, target: Target) -> Decision:
        """The decision about an action on a target."""


class Reach(NamedTuple):
    """Where a person may take part, by the proof of identity alone; `Access.identify` decides about each wedding."""

    user: str
    role: str = ""
    """The role that the proof names; "": the weddings decide."""
    wedding: str = ""
    """The only wedding that the proof is for; "": any of which the user is a member."""
    is_everywhere: bool = False
    """Whether the person may take part in weddings without being a member."""


@runtime_checkable
class KnowsReach(Protocol):
    """An `Access` that identifies a person without a wedding."""

    def reach(self, credentials: Credentials) -> Reach | Denied | Awaitable[Reach | Denied]:
        """Where the person behind a request may take part."""


@runtime_checkable
class RightsOfRoles(Protocol):
    """An `Access` that knows what a role may write."""

    def with_rights(self, identity: Identity, wedding: str) -> Identity:
        """An identity that did not come from `identify`, with the `rights` of its role in a wedding."""


class DevAccess:
    """Access of ``--dev``: everybody has the name and role that the query gives, and may do everything."""

    def identify(self, credentials: Credentials, wedding: str) -> Identity:
        """The identity in the query parameters ``user``, ``role``, ``vendor``, ``guest``, ``side`` and ``name``. Raises
        InvalidRequestError for a role that there is not."""
        query = credentials.query
        if not query:
            return _ANYBODY
        user, role, vendor, guest, side, name = (query.get(field, "")[:64] for field in _FROM_QUERY)
        if role and role not in ROLES:
            raise InvalidRequestError(f"there is no role {role!r}", InvalidField("role", ", ".join(ROLES)))
        if user == SERVER.user:
            user = ""
        return Identity(user or _ANYBODY.user, role or _ANYBODY.role, vendor, guest, side, name=name)

    def reach(self, credentials: Credentials) -> Reach | Denied | Awaitable[Reach | Denied]:
        """Every wedding. Raises as `identify`."""
        identity = DevAccess.identify(self, credentials, "")
        return Reach(identity.user, identity.role, is_everywhere=True)

    def may(self, identity: Identity, action: Action, wedding: str, target: Target) -> Decision:
        """Always allowed."""
        return None


_ANYBODY = Identity("anonymous", "couple")
_FROM_QUERY = ("user", "role", "vendor", "guest", "side", "name")

_ERRORS: Mapping[str, type[CrdtServerError]] = {
    "unauthenticated": UnauthenticatedError,
    "forbidden": ForbiddenError,
    "not_found": NotFoundError,
    "admission": AdmissionError,
}


def checked(identified: Identified) -> Authenticated | Denied:
    """The answer of `Access.identify`, or the denial of an identity whose names the store could not keep."""
    if isinstance(identified, Denied):
        return identified
    found = proven(identified)
    fault = found.identity.fault
    return found if fault is None else Denied("unauthenticated", fault)


def denial(denied: Denied) -> CrdtServerError:
    """A negative decision as the error that HTTP and embedding programs get."""
    return _ERRORS.get(denied.code, CrdtServerError)(denied.code, denied.reason)


def require_allowed(decision: Decision) -> None:
    """Raise the error of a negative decision."""
    if decision is not None:
        raise denial(decision)


def require(access: Access, identity: Identity, action: Action, wedding: str, target: Target) -> None:
    """`require_allowed` of the decision about an action on a target."""
    require_allowed(access.may(identity, action, wedding, target))
