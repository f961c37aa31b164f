"""A session without a socket: one HTTP request to a room, which waits for the stored response."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from crdt_server.access.identity import Authenticated, Identity, Person
from crdt_server.errors import CLOSE_CODES, CrdtServerError, ForbiddenError, ProtocolError, ViolationError
from crdt_server.pipe import Response, Status
from crdt_server.protocol.outgoing import Outgoing
from crdt_server.rooms.session import Connection, Origin, Request, Session, SessionId
from storage import DocumentKey

Requester = Callable[[DocumentKey, Person, str, Request], Awaitable[Response]]
"""The type of `Hub.request`."""


Awaiting = asyncio.Future[Response | None]


class GapError(CrdtServerError):
    """The update builds on edits that the server has never seen; its state vector lists those it has."""


class RequestConnection:
    """The `Connection` of a request session: it takes no messages."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def send(self, message: Outgoing) -> None:
        """Messages are for members."""

    def allow(self, size_bytes: int) -> None:
        """No buffer, no bound."""

    def close(self, code: int, reason: str) -> None:
        """The room has ended, or refuses the request."""
        if not self.failed.done():
            self.failed.set_exception(_error(code, reason))

    def pause(self) -> None:
        """A request session sends a bounded number of requests."""

    def resume(self) -> None:
        """See `pause`."""

    @property
    def congested(self) -> bool:
        """Presence is for members."""
        return True


def _error(code: int, reason: str) -> CrdtServerError:
    if code == CLOSE_CODES["malformed"]:
        return ProtocolError("malformed_update", reason)
    if code == CLOSE_CODES["violation"]:
        return ViolationError("violation", reason)
    if code == CLOSE_CODES["forbidden"]:
        return ForbiddenError("forbidden", reason)
    return CrdtServerError("try_again", reason)


class RequestSession(Session):
    """Collects the verdicts on its own requests."""

    __slots__ = ("_waiting",)

    origin = Origin.REQUEST

    def __init__(
        self, id_: SessionId, connection: Connection, identity: Identity, proof: Authenticated | None = None
    ) -> None:
        super().__init__(id_, connection, identity)
        self.authenticated = proof  # while it waits its rights may change, and are decided about by this
        self._waiting: dict[Request, Awaiting] = {}

    def expect(self, request: Request) -> Awaiting:
        """The future verdict on a request that is about to be queued."""
        future: Awaiting = asyncio.get_running_loop().create_future()
        self._waiting[request] = future
        return future

    def settle(self, request: Request, status: Status, response: Response | None) -> bool:
        refused = request.whole is not None and status not in (Status.OK, Status.KNOWN)
        future = self._waiting.pop(request.whole if refused and request.whole else request, None)
        if future is None or future.done():
            return True  # the room's own greeting
        if status in (Status.OK, Status.KNOWN):
            future.set_result(response)
        elif status is Status.GAP:
            future.set_exception(GapError("gap", "the update builds on edits the server has never seen"))
        elif status is Status.MALFORMED:
            future.set_exception(ProtocolError("malformed_update", "the update or state vector did not decode"))
        elif status is Status.FORBIDDEN:
            future.set_exception(ForbiddenError("forbidden", "not allowed in this room any more"))
        else:
            future.set_exception(ViolationError(status.name.lower(), "the document cannot take this update"))
        return True


async def settled(futures: list[Awaiting], connection: RequestConnection) -> list[Response | None]:
    """All verdicts, or the error that ended the session."""
    together = asyncio.gather(*futures)
    await asyncio.wait((together, connection.failed), return_when=asyncio.FIRST_COMPLETED)
    if not together.done():
        together.cancel()
        await asyncio.wait((together,))
        together.exception()  # retrieved, so that the loop does not report it as unretrieved
        connection.failed.result()
    return list(await together)
