"""One document inside a host: its raw bytes, what they cover, and (once edited) the pycrdt Doc.

Rules of this file:
- The raw updates of the clients are the truth: they are what is stored, sent and compared. The Doc proves that an
  update can be survived; it is built only when the first edit comes.
- An update that could take long is tried in a forked copy of this process first (`dry_run`): what kills the copy is
  refused, and until its verdict is known the answer is LATER.
- Where pycrdt does not survive what is stored, a document is held as bytes only: everybody can still read and edit it,
  and updates are taken on the word of the decoder.
- Nothing reaches pycrdt that `protocol.update` has not decoded, and nothing that would leave a hole (a Doc that
  integrates over a hole diverges from Yjs for ever).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import inf
from types import MappingProxyType
from typing import Any, NamedTuple

from pycrdt import Doc

from crdt_server.errors import ProtocolError
from crdt_server.judge import known_contents
from crdt_server.judge.client_owners import ClientOwners
from crdt_server.judge.coverage import Coverage
from crdt_server.judge.diffs import Diffs
from crdt_server.judge.dry_run import DryRun, ForkPool
from crdt_server.judge.integration_cost import deletes_few, has_few_structs, most_stored
from crdt_server.judge.known_contents import Known, compare_known
from crdt_server.judge.merging import without_taken_ids
from crdt_server.judge.pieces import Pieces
from crdt_server.judge.size_limit import SizeLimit, only_deletes
from crdt_server.judge.slices import Slices
from crdt_server.pipe import Status
from crdt_server.progress_mark import ProgressMark
from crdt_server.protocol.structs import Struct, in_order, new_structs
from crdt_server.protocol.update import Update, decode_structs, decode_update, missing

RUN_UPDATES = 16  # applied between two looks at the clock; rules are looked up once for all of them
RUN_SECONDS = 0.003
# CPU time for one update. Yjs' order of concurrent insertions is quadratic in the worst case: 27 KB can take more than
# a second, in every browser of the room too.
UPDATE_CPU_SECONDS = 0.05
UPDATE_BYTES_PER_CPU_SECOND = 8 << 20
DELETED_BYTES_PER_CPU_SECOND = 32 << 20  # a few bytes can delete all there is: 7 MB of single letters take 0.12 s


def dry_run_limit_seconds(size_bytes: int) -> float:
    """CPU time that an update of this size may take in a dry run."""
    return UPDATE_CPU_SECONDS + size_bytes / UPDATE_BYTES_PER_CPU_SECOND


def cpu_limit_seconds(document: Document, size_bytes: int) -> float:
    """CPU time that `apply` may take for an update of this size: twice its dry run, the time to judge it, and the time
    to delete all that the document holds."""
    deletes = document.pieces.whole_size / DELETED_BYTES_PER_CPU_SECOND
    return 2 * dry_run_limit_seconds(size_bytes) + size_bytes / document.judged_bytes_per_cpu_second + deletes


def _decode(data: bytes) -> Update:
    return decode_update(data, max_bytes=len(data))


def _as_stored(_: Document, stored: bytes) -> bytes:
    return stored


def _newest_pieces(document: Document) -> Iterator[bytes]:
    return (document.pieces[n] for n in range(len(document.pieces) - 1, -1, -1))


class RunLength:
    """How many updates are applied between two looks at the clock: fewer where those before took long."""

    __slots__ = ("updates",)

    def __init__(self) -> None:
        self.updates = RUN_UPDATES

    def measured(self, updates: int, cpu_seconds: float) -> None:
        """A run of updates has taken so much."""
        affordable = RUN_SECONDS * updates / cpu_seconds if cpu_seconds else RUN_UPDATES
        self.updates = max(1, min(RUN_UPDATES, int(affordable)))


class UpdateRules(NamedTuple):
    """How a class of documents reads updates."""

    decode: Callable[[bytes], Update]
    """Reads and checks an update of a client. Raises ProtocolError."""
    frees: Callable[[Update], bool]
    """Whether an update makes room, or a first step to that: it is accepted by a document that may not grow."""
    for_doc: Callable[[Any, bytes], bytes]
    """(document, stored update): the update that its Doc is built from."""
    compared: Callable[[Any], Iterable[bytes]]
    """(document): what updates that bring known ids are compared with, the newest first."""
    passes_few: Callable[[Any, int], bool] | None
    """(document, how many are stored at most): whether the structs of the update that was checked last pass few others
    on the way to their places. None: their places are not known."""


class Document:
    """The document of one room. Not thread-safe; any method may kill the process (that is what hosts are for)."""

    update_rules = UpdateRules(_decode, only_deletes, _as_stored, _newest_pieces, None)
    reads_doc = False
    """Whether it has to be open to be read."""
    judged_bytes_per_cpu_second = inf
    """Speed of the work besides that of the Doc."""

    def __init__(
        self,
        max_bytes: int,
        *,
        bytes_only: bool = False,
        copies: ForkPool | None = None,
        client_id: int | None = None,
        owners: Mapping[int, str] = MappingProxyType({}),
    ) -> None:
        self.limit = SizeLimit(max_bytes, client_id)
        self.bytes_only = bytes_only
        self.over_quota = False  # it may not grow
        self.compared_bytes = 0  # with updates that bring known ids, in this batch
        self.run = RunLength()
        self.pieces = Pieces()
        self.coverage = Coverage()
        self.clocks = self.coverage.clocks
        self.diffs = Diffs(self.pieces, self.clocks)
        self.loaded: list[Sequence[Struct]] | None = None
        """The structs of all that was loaded, until they are needed; None: not kept."""
        self.doc: Doc[Any] | None = None
        self.owners = ClientOwners(owners)
        self._client_id = client_id  # of what the server itself writes
        self._built = 0  # how many pieces the Doc has seen; all of them once it is built
        self._dry_run = DryRun(copies or ForkPool())
        self._dear = b""  # the newest update that was found to need a dry run

    @property
    def is_built(self) -> bool:
        """Whether the Doc has all that is stored."""
        return self.bytes_only or (self.doc is not None and self._built == len(self.pieces))

    def load(self, updates: Sequence[bytes]) -> None:
        """Take stored updates as they are. Raises ProtocolError when they do not decode or leave a hole."""
        for update in updates:
            decoded = self.update_rules.decode(update)
            if missing(decoded, self.clocks):
                raise ProtocolError("stored_gap", "the stored updates have a gap")
            self.coverage.add(decoded)
            self.limit.count(decoded)
            if self.loaded is not None:
                self.loaded.append(decoded.structs)
        if self.doc is not None:  # pieces it has seen may be merged with these
            self.close()
            self.doc = None
        self.pieces.load(updates)

    def build(self, slices: Slices | None = None) -> bool:
        """Feed the Doc with stored pieces, at least one, until it is built or the slice is used up. Returns whether it
        is built."""
        if self.doc is None:
            self.doc = Doc(client_id=self._client_id)
            self._built = 0
        while self._built < len(self.pieces):
            self.doc.apply_update(self.update_rules.for_doc(self, self.pieces[self._built]))
            self._built += 1
            if slices is not None and slices.used_up():
                break
        return self._built == len(self.pieces)

    def close(self) -> None:
        """Close the document: its dry run ends."""
        self.loaded = None
        self._dry_run.stop()

    def apply(
        self,
        updates: Sequence[tuple[bytes, Update | None]],
        mark: Callable[[int], None],
        *,
        users: Sequence[str] = (),
        waiting: bool = False,
    ) -> list[tuple[int, Status]]:
        """Judge and apply updates in order; return those that were not simply accepted. ``users``: their senders;
        without them no client id belongs to anybody.

        Behind an update that has to come again (``waiting``: one before these has) nothing long is begun, and what
        seems to leave a hole may only have overtaken it: both come again with it.

        ``mark(index)`` is called before each risky step, ``mark(LOADING)`` before stored bytes are read again,
        ``mark(MERGING)`` after the last update.
        """
        self.owners.begin(users)
        judged = self.judge_each(updates, mark, waiting=waiting)
        return [(index, status) for index, status in judged if status is not Status.OK]

    def judge_each(
        self, updates: Sequence[tuple[bytes, Update | None]], mark: Callable[[int], None], *, waiting: bool = False
    ) -> Iterator[tuple[int, Status]]:
        """`apply`, update by update: the index and status of each, before the next one is judged."""
        for index, (data, checked) in enumerate(updates):
            status = self._judge(index, data, checked, mark, waiting)
            if status is Status.GAP and waiting:
                status = Status.LATER
            if status is Status.LATER:
                waiting = True
            else:
                self._dry_run.settled(data)
            yield index, status
        mark(ProgressMark.MERGING)
        self.flush()

    def needs_doc(self, updates: Sequence[tuple[bytes, Update | None]]) -> bool:
        """Whether `apply` would build the Doc: it is not built yet, and there is news for it."""
        return not self.is_built and any(isinstance(self._precheck(*each), Update) for each in updates)

    def flush(self) -> None:
        """Make a piece of the accepted updates."""
        merged = self.pieces.flush()
        if merged:
            self._built = len(self.pieces)
            self.diffs.add(merged)

    def take_outgoing(self) -> list[bytes]:
        """The updates to store and send since the last call: one, nearly always, or none."""
        self.flush()
        return self.pieces.take_outgoing()

    def diff(self, state_vector: bytes, batch: int | None = None) -> list[bytes] | None:
        """See `Diffs.diff`."""
        self.flush()
        return self.diffs.diff(state_vector, batch)

    def _judge(
        self, index: int, data: bytes, checked: Update | None, mark: Callable[[int], None], waiting: bool
    ) -> Status:
        stored = most_stored(self.coverage.count, self.pieces.whole_size + len(data))
        few = self.bytes_only or has_few_structs(data, stored)
        if not (few or self._dry_run.decided(data)) and (waiting or _waits_for_copy(self, data)):
            return Status.LATER
        update = self._precheck(data, checked)
        if update is Status.KNOWN:
            mark(index)
            return _compared(self, data) or update
        if not isinstance(update, Update):
            return update
        if self.owners.forbid(index, update.ranges, self.clocks):
            return Status.CLIENT_ID_TAKEN
        if not self.is_built:
            mark(ProgressMark.LOADING)
            self.build()
        mark(index)
        if self.coverage.overlaps(update):
            refused = _compared(self, data)
            if refused is not None:
                return refused
            trimmed = without_taken_ids(update, self.clocks, self.update_rules.decode)
            if trimmed is None:
                return Status.VIOLATION
            update = trimmed
        if self.coverage.lacks_parent(update) or self._forbids(index, update):
            return Status.VIOLATION
        if not self.bytes_only:
            assert self.doc is not None
            passes_few = self.update_rules.passes_few
            few = few or (passes_few is not None and passes_few(self, stored))
            if not (few and _deletes_few(self, update)):
                self._dear = data
                if not self._dry_run.decided(data) and (waiting or self._dry_run.busy(data)):
                    return Status.LATER
                limit = dry_run_limit_seconds(len(data))
                survived = self._dry_run.run(data, update.data, self.doc.apply_update, limit)
                if not survived:
                    return Status.LATER if survived is None else Status.DEADLY
            self.doc.apply_update(update.data)
        self._take(index, update)
        return Status.OK

    def _precheck(self, data: bytes, checked: Update | None) -> Update | Status:
        """The update, or why it needs no Doc to be refused."""
        try:
            update = self.update_rules.decode(data) if checked is None else checked
        except ProtocolError:
            return Status.MALFORMED
        if missing(update, self.clocks):
            return Status.GAP
        if not self.coverage.has_news(update):
            return Status.KNOWN
        if self.over_quota and not self.update_rules.frees(update):
            return Status.OVER_QUOTA
        takes = self.limit.takes
        if takes(self.pieces.whole_size, len(data), frees=False):
            return update
        is_repair = self.update_rules.frees(update) and takes(self.pieces.whole_size, len(data), frees=True)
        return update if is_repair else Status.TOO_LARGE

    def _forbids(self, index: int, update: Update) -> bool:
        """Whether an update is refused for its structs: new structs of several clients that wait for one another, which
        a Doc would keep pending for ever; and any update that the schema, if any, forbids as a whole."""
        if not self.coverage.builds_on_itself(update):
            return False
        fresh = new_structs(decode_structs(update.data).structs, self.clocks)
        return len(in_order(fresh)) < len(fresh)

    def _take(self, index: int, update: Update) -> None:
        """Record an update that was accepted, and is in the Doc."""
        self.owners.record(index, update.ranges)
        self.coverage.add(update)
        self.pieces.accept(update.data)
        self._dry_run.changed(update.data)


def _deletes_few(document: Document, update: Update) -> bool:
    size = document.pieces.whole_size + len(update.data)
    return deletes_few(len(update.deletes), size) or deletes_few(document.coverage.new_deletions(update), size)


def _waits_for_copy(document: Document, data: bytes) -> bool:
    """Whether an update would only be checked in vain: for its dry run there is no place now."""
    known = document.update_rules.passes_few is None or data == document._dear
    return known and document._dry_run.busy(data)


def _compared(document: Document, data: bytes) -> Status | None:
    """Why an update of which ids are taken is not receipted: they have other content here, or to find that out would
    take too long, and its sender learns by a sync what is missing, or it has to come again. None: the content is the
    same."""
    if document.compared_bytes > known_contents.BATCH_BYTES:
        return Status.LATER
    document.flush()
    newest = document.update_rules.compared(document)
    known, cost_bytes = compare_known(data, decode_structs(data).structs, document.clocks, newest)
    document.compared_bytes += cost_bytes
    return {Known.SAME: None, Known.OTHER: Status.CLIENT_ID_TAKEN, Known.UNDECIDED: Status.GAP}[known]
