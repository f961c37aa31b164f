"""Receipts, against a client that counts as Hocuspocus' provider does: at 0 everything that it wrote is stored."""

from __future__ import annotations

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from crdt_server.rooms.receipts import Claim, Receipts


class Link:
    """A client, the receipts of its server, and the wires between them. An edit is a number; an update holds some."""

    def __init__(self) -> None:
        self.edits: set[int] = set()  # of the client
        self.stored: set[int] = set()
        self.count = 0  # of the client
        self.open = False
        self.to_server: deque[tuple[str, frozenset[int]]] = deque()
        self.to_client: deque[str] = deque()
        self.waiting: deque[tuple[Claim, frozenset[int]]] = deque()  # updates in the room
        self.receipts = Receipts(lambda stored: self.to_client.append("receipt"))
        self.sync()

    def sync(self) -> None:
        """The client sends a step 1, as at its start."""
        self.count = 1
        self.to_client = deque(each for each in self.to_client if each != "receipt")  # none may be under way, see below
        self.to_server.append(("step 1", frozenset()))

    def enter(self) -> None:
        if not self.open:
            self.open = True
            self._send_step1()

    def leave(self) -> None:
        if self.open:
            self.open = False
            self.waiting.clear()
            self.receipts.session_ended()

    def _send_step1(self) -> None:
        self.receipts.step1_sent()
        self.to_client.append("step 1")

    def edit(self) -> None:
        new = frozenset({len(self.edits)})
        self.edits |= new
        self.count += 1
        self.to_server.append(("update", new))

    def server_reads(self) -> None:
        if not self.to_server:
            return
        kind, edits = self.to_server.popleft()
        if kind == "step 1":
            if self.receipts.step1_received() and self.open:
                self._send_step1()
            return
        claim = self.receipts.claim(is_update=kind == "update")
        if self.open:
            self.waiting.append((claim, edits))
        else:
            self.receipts.settle(claim, stored=None)

    def client_reads(self) -> None:
        if not self.to_client:
            return
        if self.to_client.popleft() == "step 1":
            self.to_server.append(("step 2", frozenset(self.edits)))
        else:
            self.count = max(0, self.count - 1)

    def store(self) -> None:
        if self.waiting:
            claim, edits = self.waiting.popleft()
            self.stored |= edits
            self.receipts.settle(claim, stored=True)

    def drop(self) -> None:
        """The oldest update leaves a gap: the client is requested to send everything."""
        if self.waiting:
            claim, _ = self.waiting.popleft()
            self.receipts.settle(claim, stored=None)
            self._send_step1()

    def finish(self) -> None:
        """Everything is carried out, and nothing goes wrong any more."""
        self.enter()
        while self.to_server or self.to_client or self.waiting:
            self.server_reads()
            self.store()
            self.client_reads()


STEPS = ("enter", "leave", "edit", "edit", *2 * ("server_reads", "client_reads"), "store", "drop")


@given(st.lists(st.sampled_from(STEPS), max_size=60))
def test_a_client_at_zero_has_everything_stored_and_comes_to_zero(steps: list[str]) -> None:
    link = Link()
    for step in steps:
        getattr(link, step)()
        assert link.count or link.edits <= link.stored, steps
    link.finish()
    assert (link.count, link.stored) == (0, link.edits)


@given(st.lists(st.sampled_from((*STEPS, "sync")), max_size=60))
def test_a_client_that_begins_anew_is_at_zero_when_everything_is_stored(steps: list[str]) -> None:
    # Receipts that are under way when it begins anew count for it: no server can call them back. Here there are none.
    link = Link()
    for step in steps:
        getattr(link, step)()
        assert link.count or link.edits <= link.stored, steps
    link.finish()
    assert (link.count, link.stored) == (0, link.edits)
