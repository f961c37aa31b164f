"""What the parts of a batch request, as far as the batch as a whole depends on it."""

from __future__ import annotations

from crdt_server.pipe import ContextMissing, LoadRefused, RequestKind, RoomRequests, RoomResult, Status


def loads(requested: RoomRequests) -> bool:
    """Whether a part of a batch makes much that stays in memory."""
    own = (RequestKind.BUILD_DOC, RequestKind.RESUME)
    return requested.load is not None or any(each.kind in own for each in requested.requests)


def only_waits(requested: RoomRequests, result: RoomResult | LoadRefused | ContextMissing) -> bool:
    """Whether all that was requested of a room is updates that are being tried in a copy."""
    return (
        requested.load is None
        and type(result) is RoomResult
        and len(result.faults) == len(requested.requests)
        and all(request.kind is RequestKind.UPDATE for request in requested.requests)
        and all(fault.status is Status.LATER for fault in result.faults)
    )
