"""The presence of the people of a wedding, from the rows that all nodes have stored about them. Pure."""

from __future__ import annotations

import enum
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Final, NamedTuple

from crdt_server.hub.connected_people import GRACE_SECONDS, STALE_SECONDS
from storage import LastSeen

AWAY_SECONDS: Final = 300.0
"""Whose presence has not changed for so long is away."""
AWAY_LIVE_SECONDS: Final = 120.0
"""The same while the wedding is in its phase `live`."""


class PresenceStatus(enum.Enum):
    """Whether somebody is there."""

    ACTIVE = "active"
    AWAY = "away"
    OFFLINE = "offline"


class PersonPresence(NamedTuple):
    """One person of a wedding."""

    user: str
    name: str
    role: str
    status: PresenceStatus
    last_seen: datetime
    changed_at: datetime
    documents: Mapping[str, dict[str, Any]]
    """Document -> fields of the presence there. Of somebody offline, those that were closed last, without fields."""


def current_rows(stored: Iterable[LastSeen], here: Iterable[LastSeen], node: str) -> list[LastSeen]:
    """The stored rows with those of this ``node`` as they are now. A stored row of this node of somebody who is not
    connected here is from before it was started anew."""
    newest = {row.user: row for row in here}
    rows = list(newest.values())
    for row in stored:
        if row.node != node:
            rows.append(row)
        elif row.user not in newest:
            rows.append(row._replace(connected=False))
    return sorted(rows, key=lambda row: (row.user, row.at))


def people_of(rows: Iterable[LastSeen], now: datetime, *, live: bool) -> Iterator[PersonPresence]:
    """The people that these rows are about, by user. ``rows``: by user, of one user the newest last."""
    away_after = timedelta(seconds=AWAY_LIVE_SECONDS if live else AWAY_SECONDS)
    for _, each in groupby(rows, key=lambda row: row.user):
        yield _person(list(each), now, away_after)


def _person(rows: list[LastSeen], now: datetime, away_after: timedelta) -> PersonPresence:
    newest = rows[-1]
    connected = [row for row in rows if row.connected and now - row.at < timedelta(seconds=STALE_SECONDS)]
    counted = connected or [
        row for row in rows if not row.connected and now - row.at < timedelta(seconds=GRACE_SECONDS)
    ]
    changed_at = max(row.changed_at for row in counted or rows)
    if not counted:
        status = PresenceStatus.OFFLINE
    else:
        status = PresenceStatus.AWAY if now - changed_at >= away_after else PresenceStatus.ACTIVE
    documents: dict[str, dict[str, Any]] = {}
    for row in connected or [newest]:
        for document, fields in json.loads(row.documents).items():
            documents[document] = fields or documents.get(document, {})
    if not connected:
        documents = {document: {} for document in documents}
    seen = now if connected else newest.at
    return PersonPresence(newest.user, newest.name, newest.role, status, seen, changed_at, documents)
