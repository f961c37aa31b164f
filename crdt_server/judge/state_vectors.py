"""The state vectors of the senders of large updates. They may be large as well, so each comes with one piece only."""

from __future__ import annotations

from crdt_server.pipe import HostRequest

KEPT_BYTES = 32 << 20


class StateVectors:
    """The newest ones, by room and update. A piece whose state vector was dropped for newer ones is judged as that of a
    client that was not away."""

    def __init__(self, most_bytes: int = KEPT_BYTES) -> None:
        self._most_bytes = most_bytes
        self._kept: dict[tuple[int, int], bytes] = {}
        self._bytes = 0

    def of(self, room: int, request: HostRequest) -> bytes | None:
        """The state vector of the sender of an update."""
        vector, update = request.client_state_vector, request.vector_of
        if update is None:
            return vector
        if vector is None:
            return self._kept.get((room, update))
        self._drop((room, update))
        self._kept[room, update] = vector
        self._bytes += len(vector)
        while self._bytes > self._most_bytes and len(self._kept) > 1:
            self._drop(next(iter(self._kept)))
        return vector

    def _drop(self, key: tuple[int, int]) -> None:
        self._bytes -= len(self._kept.pop(key, b""))
