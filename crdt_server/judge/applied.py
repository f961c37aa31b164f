"""The outcome of one update of a client, as a document returns it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from crdt_server.judge.writes import Write
from crdt_server.pipe import HostRequest, Status
from documents.changes import Changes
from documents.events import Actor

Unseen: TypeAlias = Callable[[str, str, str], bool]
"""(root, record, key): whether somebody who was away has not seen the newest value there."""


def actor_of(request: HostRequest) -> Actor:
    """The sender of a request to a document with a schema."""
    assert request.actor is not None
    return Actor(*request.actor[: len(Actor._fields)])


class Applied(NamedTuple):
    """One accepted update."""

    actor: Actor
    """The user who sent it."""
    changes: Changes
    """Its changes of the rows, without those that were put back."""
    writes: Sequence[Write]
    """The map entries that it brought, without those that were put back."""
    unseen: Unseen | None
    """The items that its author had not seen; None: they were online."""
    owners: Sequence[tuple[int, str]] = ()
    """Client ids that are seen for the first time, each with its user."""


class Judgement(NamedTuple):
    """The answer to one update."""

    number: int
    """Of the update in its batch."""
    status: Status
    notice: bytes | None = None
    """JSON for the client that sent it: the changes that were put back, or why the update is refused."""
    applied: Applied | None = None
    """Where the update is accepted."""
