"""One wedding as a host holds it, with a store in memory, a clock, and replicas that come and go."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pycrdt import Doc, Map, Text

from crdt_server.judge.clock_ranges import encode_clocks
from crdt_server.judge.dry_run import ForkPool
from crdt_server.judge.schema_document import SchemaDocument
from crdt_server.judge.slices import Slices, Unlimited
from crdt_server.judge.wedding import WeddingJudge
from crdt_server.pipe import Status
from crdt_server.records import MirrorRow
from documents.events import Actor, fold
from documents.invariants import Field, Finding, Index, Writer
from documents.registry import kind_of
from documents.rows import RowsByRoot, read
from documents.sample.build import build

NAMES = ("wedding", "timeline", "budget", "guests", "care", "seating")
START = 1_777_636_800.0  # 2026-05-01 12:00 UTC
NOTHING = b"\0\0"
DRY_RUN_SECONDS = 60


class Replica:
    """One device of one person: a Doc for every document, and whether what others write reaches it at once."""

    def __init__(self, user: str, role: str, client_id: int) -> None:
        self.actor = Actor(user, role)
        self.client_id = client_id
        self.online = False
        self.docs: dict[str, Doc[Any]] = {}

    def doc(self, name: str) -> Doc[Any]:
        return self.docs.setdefault(name, Doc(client_id=self.client_id))

    def root(self, name: str, root: str) -> Map[Any]:
        found: Map[Any] = self.doc(name).get(root, type=Map)
        return found

    def set(self, name: str, root: str, record: str, key: str | None, value: Any) -> None:
        """One key, or with the key None the whole value; of the record "" the root itself is the record."""
        shared = self.root(name, root)
        if key is None:
            shared[record] = value
        elif record == "":
            shared[key] = value
        else:
            shared[record][key] = value

    def add(self, name: str, root: str, record: str, fields: Mapping[str, Any]) -> None:
        """A record, with the text it has to have."""
        kind = kind_of(name)
        assert kind is not None
        texts = {key: Text() for key in kind.roots[root].text_keys if key not in fields}
        self.root(name, root)[record] = Map({**fields, **texts})

    def delete(self, name: str, root: str, record: str, key: str | None = None) -> None:
        shared = self.root(name, root)
        if key is None:
            del shared[record]
        elif record == "":
            del shared[key]
        else:
            del shared[record][key]

    def text(self, name: str, root: str, record: str, key: str) -> Text:
        found: Text = self.root(name, root)[record][key]
        return found

    def rows(self, name: str) -> RowsByRoot:
        kind = kind_of(name)
        assert kind is not None
        return read(kind, self.doc(name))


class Bench:
    """``rows`` are in the store before anybody comes; ``writers`` wrote them, else the server did.

    ``like``: begin with what is stored in another; ``slices``: of what is no update's own work.
    """

    def __init__(
        self,
        rows: Mapping[str, Mapping[str, Any]] | None = None,
        writers: Mapping[Field, Writer] | None = None,
        *,
        names: Iterable[str] = NAMES,
        now: float = START,
        like: Bench | None = None,
        slices: Slices | None = None,
    ) -> None:
        self.slices = slices or Unlimited()
        self.names = tuple(names)
        self.now = now
        self.updates: dict[str, list[bytes]] = {name: [] for name in self.names}
        self.mirror: dict[tuple[str, str, str], tuple[str | None, str]] = {}
        self.events: list[dict[str, Any]] = []
        self.owners: dict[str, dict[int, str]] = {name: {} for name in self.names}
        self.answers: list[Any] = []
        self._copies = ForkPool()
        self.replicas: list[Replica] = []
        for name, roots in (rows or {}).items():
            self._plant(name, roots, writers)
        if like is not None:
            self.updates = {name: list(like.updates[name]) for name in self.names}
            self.mirror = dict(like.mirror)
        self.open()

    # -- time, opening and closing

    def open(self) -> None:
        mirror = [MirrorRow(*row, *image) for row, image in self.mirror.items()]
        self.state = WeddingJudge("w", mirror, slices=self.slices)
        self.begin_batch()
        self.documents = {name: self._load(name) for name in self.names}
        for document in self.documents.values():
            while not self.state.build_doc(document):
                self.begin_batch()
        self.state.resolver.needed.clear()  # what the first ones waited for is open by now
        self.commit()

    def reopen(self) -> None:
        """As after a restart: only what was committed is known."""
        for name in self.documents:
            self.close(name)
        self.open()

    def close(self, name: str) -> None:
        self.documents[name].close()
        self.state.detach(self.documents[name])

    def wait(self, seconds: float) -> None:
        """The time passes, and what was due is done."""
        self.now += seconds
        self.begin_batch()
        self.state.run_scheduled()
        self.commit()
        self.rest()

    def begin_batch(self) -> None:
        """The time and the slices of another batch."""
        self.slices.begin_batch()
        self.state.set_time(self.now)

    def rest(self) -> int:
        """Batches until no rule has anything left to do; how many."""
        batches = 0
        while self.state.resolver.has_work:
            self.begin_batch()
            self.state.resolve()
            self.commit()
            batches += 1
        return batches

    def settle(self) -> None:
        """Wait until nothing is due any more."""
        for _ in range(20):
            due = self.state.next_due()
            if due is None:
                return
            self.wait(due)
        raise AssertionError("something is always due")

    # -- replicas

    def join(self, user: str, role: str, client_id: int) -> Replica:
        """A replica that is online and has everything."""
        replica = Replica(user, role, client_id)
        self.replicas.append(replica)
        self.sync(replica)
        return replica

    def part(self, *replicas: Replica) -> None:
        """They go offline."""
        for replica in replicas:
            replica.online = False

    def sync(self, replica: Replica, names: Iterable[str] | None = None) -> list[Any]:
        """What a replica and the server lack of each other. Returns the notices to its user."""
        notices = []
        for name in names or self.names:
            away = None if replica.online else replica.doc(name).get_state()
            update = replica.doc(name).get_update(encode_clocks(self.documents[name].clocks))
            if update != NOTHING:
                notices += self.receive(replica.actor, name, update, away)
        for name in names or self.names:
            for piece in self.documents[name].diff(replica.doc(name).get_state()) or ():
                replica.doc(name).apply_update(piece)
        replica.online = True
        return notices

    def receive(self, actor: Actor, name: str, update: bytes, client_state_vector: bytes | None = None) -> list[Any]:
        """One update. Whatever comes of it is committed and told at once."""
        faults, notices = self.try_to_receive(actor, name, [update], client_state_vector)
        assert all(status is Status.KNOWN for _, status in faults), faults
        return notices

    def try_to_receive(
        self, actor: Actor, name: str, updates: Iterable[bytes], client_state_vector: bytes | None = None
    ) -> tuple[list[Any], list[Any]]:
        faults, notices = [], []
        for update in updates:
            found, more = self._receive(actor, name, update, client_state_vector)
            faults += found
            notices += more
        return faults, notices

    def _receive(
        self, actor: Actor, name: str, update: bytes, client_state_vector: bytes | None
    ) -> tuple[list[Any], list[Any]]:
        document = self.documents[name]
        while True:
            self.begin_batch()
            verdicts = self.state.receive(document, [(update, None)], [(actor, client_state_vector)], lambda _: None)
            faults = [(each.number, each.status) for each in verdicts if each.status is not Status.OK]
            notices = [json.loads(each.notice) for each in verdicts if each.notice is not None]
            self.commit()
            if (0, Status.LATER) not in faults:
                return faults, notices
            self._copies.wait(DRY_RUN_SECONDS)

    def receive_batch(self, name: str, updates: Iterable[tuple[Actor, bytes, bytes | None]]) -> None:
        """Updates of several people, each with the state vector of a reconnection or None, in one batch."""
        waiting = list(updates)
        while waiting:
            self.begin_batch()
            signed = [(actor, state_vector) for actor, _, state_vector in waiting]
            data = [(update, None) for _, update, _ in waiting]
            judgements = self.state.receive(self.documents[name], data, signed, lambda _: None)
            assert all(each.status in (Status.OK, Status.KNOWN, Status.LATER) for each in judgements), judgements
            waiting = [waiting[each.number] for each in judgements if each.status is Status.LATER]
            self.commit()
            if waiting:
                self._copies.wait(DRY_RUN_SECONDS)

    def sync_together(self, replicas: Iterable[Replica]) -> None:
        """`sync` of several replicas, whose updates of a document come in one batch."""
        replicas = list(replicas)
        for name in self.names:
            updates = []
            for replica in replicas:
                away = None if replica.online else replica.doc(name).get_state()
                update = replica.doc(name).get_update(encode_clocks(self.documents[name].clocks))
                if update != NOTHING:
                    updates.append((replica.actor, update, away))
            self.receive_batch(name, updates)
        for replica in replicas:
            self.sync(replica)

    def commit(self) -> None:
        """Store what is new, and send it to all who are online."""
        for name, document in self.documents.items():
            outgoing = document.take_outgoing()
            self.updates[name] += outgoing
            if not document.is_built:
                assert not outgoing
                continue
            taken = self.state.take_records(document)
            if taken is not None:
                self._record(name, taken.rows, taken.events, taken.owners, taken.answers)
            for replica in self.replicas:
                if replica.online:
                    for update in outgoing:
                        replica.doc(name).apply_update(update)

    # -- what there is

    def rows(self, name: str) -> RowsByRoot:
        return self.state.wedding.documents[name]

    def value(self, name: str, root: str, record: str, key: str | None = None) -> Any:
        row = self.rows(name)[root].get(record)
        return row if key is None or row is None else row.get(key)

    def wedding_writer(self, field: Field) -> Writer:
        return self.state.wedding.writer(*field)

    def reviews(self, invariant: str | None = None) -> list[dict[str, Any]]:
        """The records of conflicts with their document and id, by id."""
        found = [
            {"document": name, "id": record, **row}
            for name in self.names
            for record, row in sorted(self.rows(name)["review"].items())
        ]
        return [each for each in found if invariant in (None, each["_kind"])]

    def findings(self) -> list[Finding]:
        """What is wrong, found by an index that is made for the question."""
        return Index(self.state.wedding).all()

    def check(self) -> None:
        """Server, store, mirror, events, all who are online and a newcomer agree."""
        newcomer = Replica("newcomer", "planner", 4_000_000_000)
        for name, document in self.documents.items():
            kind = document.kind
            expected = document.rows.roots
            assert document.doc is not None
            assert read(kind, document.doc) == expected
            assert not list(kind.violations(expected))
            for update in self.updates[name]:
                newcomer.doc(name).apply_update(update)
            for replica in (newcomer, *self.replicas):
                if replica is newcomer or replica.online:
                    assert replica.rows(name) == expected, f"{name} of {replica.actor.user}"
            assert self._mirrored(name) == expected
        assert not self.state.resolver.needed

    def everything(self, *but: str) -> str:
        """All rows but those of some roots, to compare."""
        rows = {name: {root: rows for root, rows in self.rows(name).items() if root not in but} for name in self.names}
        return json.dumps(rows, sort_keys=True)

    def check_restart(self) -> None:
        """Nothing is done once more a day later, by a server that has only its store."""
        before = self.everything()
        self.wait(100_000)
        assert self.everything() == before
        self.reopen()
        self.settle()
        self.check()
        assert self.everything() == before

    def check_history(self) -> None:
        """The events that began with an empty store tell of all the rows."""
        for field in self.state.ledger.texts.fields():
            self.wait(self.state.next_due() or 0)
            assert field not in self.state.ledger.texts
        folded = fold(self.events)
        for name in self.names:
            expected = {root: rows for root, rows in self.rows(name).items() if rows}
            assert {root: rows for root, rows in folded.get(name, {}).items() if rows} == expected

    # -- the store

    def _load(self, name: str) -> SchemaDocument:
        kind = kind_of(name)
        assert kind is not None
        document = SchemaDocument(kind, name, self.owners[name], self._copies)
        document.load(self.updates[name])
        return document

    def _plant(self, name: str, roots: Mapping[str, Any], writers: Mapping[Field, Writer] | None) -> None:
        kind = kind_of(name)
        assert kind is not None
        self.updates[name] = [build(roots, kind, 7)]
        if writers is None:
            return
        doc: Doc[Any] = Doc()
        doc.apply_update(self.updates[name][0])
        for root, rows in read(kind, doc).items():
            for record, row in rows.items():
                keys = row if kind.roots[root].record is not None else (None,)
                by = {key or "": list(writers[Field(name, root, record, key)][:5]) for key in keys}
                self.mirror[name, root, record] = (json.dumps(row), json.dumps(by))

    def _record(self, name: str, rows: Any, events: Any, owners: Any, answers: Any) -> None:
        for root, record, fields, writers in rows:
            self.mirror[name, root, record] = (fields, writers)
        self.events += [json.loads(body) for _, _, _, body in events]
        for client, user in owners:
            assert client not in self.owners[name]
            self.owners[name][client] = user
        self.answers += answers

    def _mirrored(self, name: str) -> RowsByRoot:
        rows: RowsByRoot = {root: {} for root in self.documents[name].kind.roots}
        for (document, root, record), (fields, _) in self.mirror.items():
            if document == name and fields is not None:
                rows[root][record] = json.loads(fields)
        return rows
