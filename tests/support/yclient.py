"""A small Yjs client for tests: pycrdt over the `websockets` library, in the process of the test.

Each client holds two documents. ``doc`` is what its user sees: own edits at once, everybody's as they come.
``received`` holds only what a server sent, so it is the receipt: whatever is in it may never be lost again, be it the
echo of an own edit or a peer's. Only honest bytes may meet such a client: pycrdt runs in the process of the test.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from types import TracebackType
from typing import Any

from pycrdt import (
    Array,
    Decoder,
    Doc,
    TransactionEvent,
    YMessageType,
    YSyncMessageType,
    create_sync_message,
    create_update_message,
    handle_sync_message,
    merge_updates,
)
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage

SYNC, STEP1, STEP2 = YMessageType.SYNC, YSyncMessageType.SYNC_STEP1, YSyncMessageType.SYNC_STEP2
FIRST_PAUSE_SECONDS = 0.02
LONGEST_PAUSE_SECONDS = 0.2


class YClient:
    """``async with YClient(url, "ann")``: connects, reconnects with backoff, keeps both documents up to date.

    ``url`` is the whole address of the document's WebSocket. Like stock clients it stays away after a close code
    4400-4499. `closes` lists the codes of all ends in order (1006: without a close frame).
    """

    def __init__(self, url: str, name: str, seed: int = 0) -> None:
        self.url = url
        self.name = name
        self.doc: Doc[Any] = Doc()
        self.received: Doc[Any] = Doc()
        self.closes: list[int] = []
        self.synced = False
        self.written = 0
        self.deleted: set[str] = set()
        self._random = random.Random(f"{seed} {name}")
        self._socket: ClientConnection | None = None
        self._early: list[bytes] = []  # updates that came before the step 2 they build on
        self._outbox: list[bytes] = []
        self._changed = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._observing = self.doc.observe(self._on_change)
        self._applying = False

    # -- editing

    def tokens(self, doc: Doc[Any] | None = None) -> list[str]:
        """All edits that are in ``doc`` (default: what the user sees)."""
        tokens: list[str] = json.loads(str((doc or self.doc).get("edits", type=Array)))  # to_py is quadratic
        return tokens

    @property
    def own(self) -> set[str]:
        """What this client wrote and did not delete again."""
        return {f"{self.name}:{n}" for n in range(self.written)} - self.deleted

    async def write(self) -> str:
        """Make one edit: insert a token somewhere among everybody's; now and then also delete an own one."""
        edits = self.doc.get("edits", type=Array)
        token = f"{self.name}:{self.written}"
        self.written += 1
        edits.insert(self._random.randint(max(0, len(edits) - 20), len(edits)), token)
        if self.written % 10 == 0:
            victim = f"{self.name}:{self.written - 2}"
            del edits[self.tokens().index(victim)]
            self.deleted.add(victim)
        await self.flush()
        return token

    async def flush(self) -> None:
        """Send what changed in `doc`. Without a connection it waits for the next sync, as with stock clients."""
        updates, self._outbox = self._outbox, []
        if self._socket is not None:
            try:
                for update in updates:
                    await self._socket.send(create_update_message(update))
            except ConnectionClosed:
                return  # the reader notices too, and the next connection brings it all

    def _on_change(self, event: TransactionEvent) -> None:
        if not self._applying:
            self._outbox.append(event.update)

    # -- waiting

    async def until(self, condition: Callable[[], bool], seconds: float = 60.0) -> None:
        """Return once ``condition()`` holds; it is looked at after every message. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    @property
    def connected(self) -> bool:
        """Whether there is a connection (`synced`: and its step 2 has come)."""
        return self._socket is not None

    @property
    def own_clock_received(self) -> int:
        """How far the own edits have come back, as a Yjs clock."""
        return self._own_clock(self.received)

    def _own_clock(self, doc: Doc[Any]) -> int:
        state = Decoder(doc.get_state())
        clocks = {state.read_var_uint(): state.read_var_uint() for _ in range(state.read_var_uint())}
        return clocks.get(self.doc.client_id, 0)

    @property
    def saved(self) -> bool:
        """Whether every own edit has come back."""
        if not self.synced or self.own_clock_received < self._own_clock(self.doc):
            return False
        return not self.deleted & set(self.tokens(self.received))  # deletions count no clock

    # -- the connection

    async def __aenter__(self) -> YClient:
        self._running = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])
            if not self._running.cancelled() and kind is None:
                self._running.result()

    async def _run(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while not (self.closes and 4400 <= self.closes[-1] < 4500):
            try:
                async with connect(self.url, compression=None, max_size=None, ping_interval=None) as socket:
                    pause = FIRST_PAUSE_SECONDS
                    await self._talk(socket)
            except (OSError, EOFError, InvalidHandshake, InvalidMessage, TimeoutError):
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            self._changed.set()
            await asyncio.sleep(pause * self._random.uniform(0.5, 1.5))

    async def _talk(self, socket: ClientConnection) -> None:
        try:
            await socket.send(create_sync_message(self.received))
            self._socket = socket
            async for frame in socket:
                assert isinstance(frame, bytes)
                reply = self._receive(frame)
                if reply is not None:
                    await socket.send(reply)
                self._changed.set()
        except ConnectionClosed:
            pass  # its code is read below
        finally:
            self._socket, self.synced, self._early = None, False, []
            self.closes.append(socket.close_code or 1006)
            self._changed.set()

    def _receive(self, frame: bytes) -> bytes | None:
        if frame[0] != SYNC:
            return None
        if frame[1] == STEP1:
            return handle_sync_message(frame[1:], self.doc)
        update = Decoder(frame[2:]).read_message() or b"\0\0"
        self._early.append(update)
        self.synced = self.synced or frame[1] == STEP2
        if self.synced:  # pycrdt integrates over holes: earlier arrivals may build on the step 2
            updates, self._early = self._early, []
            self._apply(updates[0] if len(updates) == 1 else merge_updates(*updates))
        return None

    def _apply(self, update: bytes) -> None:
        self._applying = True
        try:
            self.doc.apply_update(update)
            self.received.apply_update(update)
        finally:
            self._applying = False
