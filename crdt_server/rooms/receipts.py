"""Receipts for the updates of one client, for wires that have more of them than the echo.

A client of such a wire counts: each update that it sends, and the answer to the sync step 1 that follows its own. It is
sent a receipt for each once that is stored, and never one more: at 0 it takes everything for stored. An update that was
dropped comes again with the answer to a later step 1; its receipt is due when that answer is stored.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from crdt_server.rooms.session import Session


class Claim(NamedTuple):
    """The receipts that are due when one update is settled. ``epoch``: void where that is over."""

    epoch: int
    due: int


class Receipts:
    """See the head of the file. ``send`` sends one receipt: stored, or not and never."""

    __slots__ = ("_began", "_counted", "_due", "_epoch", "_expected", "_owed", "_send", "_uncounted")

    def __init__(self, send: Callable[[bool], None]) -> None:
        self._send = send
        self._epoch = 0
        self._began = False  # the client has sent its first step 1
        self._expected = 1  # steps 1 still to be sent of which the client counts the answer; the first follows the join
        self._counted = self._uncounted = 0  # steps 1 without an answer, of which the client counts it, or does not
        self._due = 0  # receipts of updates that are not settled
        self._owed = 0  # receipts of updates that were dropped

    def step1_received(self) -> bool:
        """The client begins to count anew. Returns whether it is to be sent a step 1 for that."""
        self._epoch += 1
        self._due = self._owed = 0
        began, self._began = self._began, True
        if not began and (self._expected or self._counted):
            return False
        self._uncounted += self._counted
        self._counted, self._expected = 0, 1
        return True

    def step1_sent(self) -> None:
        """The client is sent a step 1."""
        if self._expected:
            self._expected -= 1
            self._counted += 1
        else:
            self._uncounted += 1

    def claim(self, *, is_update: bool) -> Claim:
        """The client has sent an update, or an answer to a step 1."""
        count = 1
        if not is_update:
            count, self._owed = self._owed, 0
            if self._uncounted:
                self._uncounted -= 1
            elif self._counted:
                self._counted -= 1
                count += 1
        self._due += count
        return Claim(self._epoch, count)

    def settle(self, claim: Claim, *, stored: bool | None) -> None:
        """An update is stored, or never will be; None: it was dropped."""
        if claim.epoch != self._epoch:
            return
        self._due -= claim.due
        if stored is None:
            self._owed += claim.due
            return
        for _ in range(claim.due):
            self._send(stored)

    def session_ended(self) -> None:
        """The client is in no room until it comes again on the same socket: nothing of it is settled any more."""
        self._epoch += 1
        self._owed += self._due + self._counted
        self._due = 0
        self._uncounted += self._counted
        self._counted = 0


def settle_claim(session: Session, claim: Claim | None, *, stored: bool | None) -> None:
    """See `Receipts.settle`; without a claim nothing is due."""
    if claim is not None and session.receipts is not None:
        session.receipts.settle(claim, stored=stored)
