"""Moments, entries of the audit log, and cursors of lists, as the services write them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

from crdt_server.access.identity import Identity
from crdt_server.errors import CrdtServerError, ProtocolError
from storage import NewAuditEntry

Now = Callable[[], datetime]
"""The time of day, with its time zone."""

Changed = Callable[[str], None]
"""Called with a wedding whose rights have changed, when the change is stored."""


class MembershipError(CrdtServerError):
    """Not possible as the members, devices or grants of the wedding are."""


def moment(at: datetime) -> str:
    """RFC 3339 in UTC."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def audit_entry(at: datetime, actor: str, action: str, **detail: object) -> NewAuditEntry:
    """An entry of the audit log. Values that are empty are left out of its detail."""
    told = {name: value for name, value in detail.items() if value not in ("", None)}
    return NewAuditEntry(moment(at), actor, action, json.dumps(told, ensure_ascii=False, sort_keys=True))


def described(person: Identity) -> dict[str, str]:
    """A person for an entry, without the name."""
    given = person._asdict()
    return {name: given[name] for name in ("user", "role", "vendor", "guest", "side") if given[name]}


def cursor_of(at: datetime, id_: str) -> str:
    """Where a page of a list ends that is ordered by moments."""
    return f"{at.isoformat()}~{id_}"


def read_cursor(text: str) -> tuple[datetime, str] | None:
    """The moment and the id of `cursor_of`; None where there is none. Raises ProtocolError."""
    if not text:
        return None
    at, _, id_ = text.partition("~")
    try:
        found = datetime.fromisoformat(at).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ProtocolError("invalid_request", "this is no cursor of a list") from error
    if "\0" in id_:
        raise ProtocolError("invalid_request", "this is no cursor of a list")
    return found, id_
