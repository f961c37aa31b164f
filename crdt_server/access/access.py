"""Decisions on access. One `Access` object decides for sockets, HTTP, event streams, commands and embedded edits.

Pure: no I/O, and no clock but one that comes through a constructor. An implementation that has to wait, for the keys of
an identity provider or for a table of members, returns an awaitable of its answer; its caller bounds the wait.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Mapping
from typing import NamedTuple, Protocol, TypeAlias, runtime_checkable

from crdt_server.access.identity import SERVER, Authenticated, Identity, proven
from crdt_server.errors import AdmissionError, CrdtServerError, ForbiddenError, NotFoundError, UnauthenticatedError
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


@runtime_checkable
class RightsOfRoles(Protocol):
    """An `Access` that knows what a role may write."""

    def with_rights(self, identity: Identity, wedding: str) -> Identity:
        """An identity that did not come from `identify`, with the `rights` of its role in a wedding."""


class DevAccess:
    """Access of ``--dev``: everybody has the name and role that the query gives, and may do everything."""

    def identify(self, credentials: Credentials, wedding: str) -> Identity:
        """The identity in the query parameters ``user``, ``role``, ``vendor``, ``guest``, ``side`` and ``name``."""
        query = credentials.query
        if not query:
            return _ANYBODY
        user, role, vendor, guest, side, name = (query.get(field, "")[:64] for field in _FROM_QUERY)
        if user == SERVER.user:
            user = ""
        return Identity(user or _ANYBODY.user, role or _ANYBODY.role, vendor, guest, side, name=name)

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


def require(access: Access, identity: Identity, action: Action, wedding: str, target: Target) -> None:
    """Raise the error of a negative decision."""
    denied = access.may(identity, action, wedding, target)
    if denied is not None:
        raise denial(denied)
