"""The requests of the parts of a batch, as far as the batch as a whole depends on them."""

from __future__ import annotations

from collections.abc import Sequence

from crdt_server.pipe import OWN, RequestKind, RoomOutcome, RoomRequests, RoomResult, Status

LONG = frozenset((RequestKind.BUILD_DOC, RequestKind.RESUME, RequestKind.READ, RequestKind.DIGEST))
"""Done in slices, and requested again until they are done."""


def sharing(rooms: Sequence[RoomRequests]) -> int:
    """How many rooms share a batch in which nobody waits for anything that is soon done; 0: somebody does."""
    only_long = all(request.kind in LONG for each in rooms for request in each.requests)
    return len(rooms) if only_long else 0


def loads(requested: RoomRequests) -> bool:
    """Whether a part of a batch makes much that stays in memory."""
    return requested.load is not None or any(each.kind in OWN for each in requested.requests)


def only_waits(requested: RoomRequests, result: RoomOutcome) -> bool:
    """Whether all that was requested of a room is updates that are being tried in a copy, or wait for sources."""
    return (
        requested.load is None
        and type(result) is RoomResult
        and len(result.faults) == len(requested.requests)
        and all(request.kind is RequestKind.UPDATE for request in requested.requests)
        and all(fault.status is Status.LATER for fault in result.faults)
    )
