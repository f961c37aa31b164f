"""People in derived documents and their sources, online and offline, who write what they may and what they may not.

Every value that is written is a word of its own, so that the bytes which leave the server tell what they hold.
"""

from __future__ import annotations

import itertools
import re
from random import Random
from typing import Any

import pytest
from pycrdt import Map

from crdt_server.judge.derived_document import ProjectedDocument
from crdt_server.judge.merging import collected
from documents.events import Actor
from documents.kind import Root, Shape
from tests.judge.audiences import Phone, expected, open_derived
from tests.judge.bench import Bench, Replica
from tests.judge.test_derived_edits import AT, ROWS, held_to_policy

WORD = re.compile(rb"word-\d+-")
PEOPLE = {
    "guests@self.g_1": ("guest", {"guest": "g_1"}),
    "guests@self.g_3": ("guest", {"guest": "g_3"}),
    "guests@side.a": ("family", {"side": "a"}),
    "guests@coord": ("coordinator", {}),
    "guests@service": ("caterer", {"vendor": "v_cook"}),
    "guests@party": ("wedding_party", {}),
    "care@cater": ("caterer", {"vendor": "v_cook"}),
    "timeline@v.v_lens": ("photographer", {"vendor": "v_lens"}),
    "timeline@public": ("guest", {"guest": "g_1"}),
    "wedding@service": ("photographer", {"vendor": "v_lens"}),
    "budget@contrib.g_1": ("family", {"guest": "g_1"}),
}
ENUMS = {
    "status": "ready", "dayStatus": "late", "kind": "child", "side": "a", "keyMoment": True, "visibility": "public",
    "stage": "booked",
}  # fmt: skip


class Walk:
    """One wedding, a planner, and two phones in each derived document."""

    def __init__(self, seed: int, *, held: bool) -> None:
        self.random = Random(seed)
        self.words = itertools.count()
        items = {f"i_{n}": {"title": self.word(), "vendor:v_lens": True, "note": ""} for n in range(4)}
        self.bench = Bench({**ROWS, "timeline": {**ROWS["timeline"], "items": items}})
        self.planner: Replica = self.bench.join("p", "planner", 7)
        self.documents: dict[str, ProjectedDocument] = {}
        self.stored: dict[str, list[bytes]] = {}
        self.phones: list[Phone] = []
        for number, (name, (role, whose)) in enumerate(PEOPLE.items()):
            self.documents[name] = open_derived(self.bench, name)
            self.stored[name] = []
            for twin in range(2):
                user = f"u_{number}_{twin}"
                actor = held_to_policy(user, role, **whose) if held else Actor(user, role, **whose)
                self.phones.append(Phone(self.bench, self.documents[name], actor, 100 + 2 * number + twin))

    def word(self) -> str:
        return f"word-{next(self.words)}-"

    def value(self, key: str | None) -> Any:
        name = (key or "").partition(":")[0]
        if name in ("rsvp",):
            return self.random.choice(("yes", "no"))
        if name in ("diet", "vendor"):
            return True
        if name in ("allergy",):
            return "severe"
        if name in ("acknowledgedBy", "actualStart", "actualEnd"):
            return AT
        if name in ("deleted", "checkedIn"):
            return {"at": AT, "by": "u_x"}
        if key is None:
            return {"contributor": self.word(), "amount": 5, "guest": self.random.choice(("g_1", "g_3"))}
        return ENUMS.get(name) or (self.word() if self.random.random() < 0.9 else 7)

    def keys(self, root: Root, row: Any) -> list[str]:
        known = sorted(row) if isinstance(row, dict) else []
        families = [
            f"{name}:{self.random.choice(('u_0_0', 'v_lens', 'e_1', 'vegan', 'g_1'))}" for name in root.families
        ]
        return [*known, *root.keys, *families, "strange"]

    def edit(self, phone: Phone) -> None:
        """Some change in the copy of a phone, of whatever it holds."""
        root = phone.document.kind.roots[self.random.choice(list(phone.document.kind.roots))]
        shared = phone.doc.get(root.name, type=Map)
        records = sorted(shared.keys())
        if root.shape is Shape.RECORD:
            self.change(shared, self.keys(root, shared.to_py()))
            return
        if self.random.random() < 0.15 or not records:
            record = self.random.choice([f"n_{next(self.words)}", "g_2", "g_3"])
            shared[record] = self.value(None) if root.record is None else Map({"firstName": self.word(), "side": "a"})
            return
        record = self.random.choice(records)
        if root.record is None:
            shared[record] = self.value(None)
        elif self.random.random() < 0.1:
            del shared[record]
        else:
            self.change(shared[record], self.keys(root, shared[record].to_py()))

    def change(self, record: Map[Any], keys: list[str]) -> None:
        key = self.random.choice(keys)
        if key in record and self.random.random() < 0.2:
            del record[key]
        else:
            record[key] = self.value(key)

    def plan(self) -> None:
        """The planner changes some row of a source."""
        name, root = self.random.choice(
            [("guests", "guests"), ("guests", "households"), ("care", "care"), ("timeline", "items"),
             ("wedding", "vendors"),
             ("timeline", "emergencies")]
        )  # fmt: skip
        shared, declared = self.planner.root(name, root), self.bench.documents[name].kind.roots[root]
        record = self.random.choice(sorted(shared.keys()))
        keys = [
            key for key in self.keys(declared, shared[record].to_py()) if key not in ("strange", "note", "_unstaffed")
        ]
        self.change(shared[record], keys)
        self.bench.sync(self.planner)
        self.bench.state.derived.refresh()

    def step(self) -> None:
        action = self.random.random()
        phone = self.random.choice(self.phones)
        if action < 0.3:
            self.plan()
        elif action < 0.7:
            self.edit(phone)
        else:
            phone.sync()
            self.bench.sync(self.planner)
        self.check()

    def check(self) -> None:
        for name, document in self.documents.items():
            assert document.rows.roots == expected(document), name
            updates = document.take_outgoing()
            self.stored[name] += updates
            assert words(*updates) <= words(str(document.rows.roots).encode()), name

    def settle(self) -> None:
        for phone in (*self.phones, *self.phones):
            phone.sync()
            self.check()
        for phone in self.phones:
            phone.sync()
            assert phone.rows == phone.document.rows.roots
        for name, document in self.documents.items():
            shown = words(str(document.rows.roots).encode())
            assert words(*(document.diff(b"\0") or ())) <= shown
            assert words(*collected(self.stored[name], len(self.stored[name]))) <= shown
            self.open_again(document)
        for name, document in self.bench.documents.items():
            assert not list(document.kind.violations(self.bench.rows(name)))

    def open_again(self, document: ProjectedDocument) -> None:
        """As after a restart: what was stored, raw or collected, is the document, and nothing is left to be written."""
        rows, owners = document.rows.roots, dict(document.items.owners)
        stored = self.stored[document.name]
        for updates in (stored, collected(stored, len(stored))):
            self.bench.state.detach(document)
            document.close()
            document = open_derived(self.bench, document.name, tuple(updates), owners)
            assert document.take_outgoing() == []
            assert document.rows.roots == rows


def words(*data: bytes) -> set[bytes]:
    return {found for each in data for found in WORD.findall(each)}


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("seed", [0, 1, 2, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(3, 20))])
def test_each_copy_is_what_its_person_may_see(seed: int, held: bool) -> None:
    walk = Walk(seed, held=held)
    for _ in range(150):
        walk.step()
    walk.settle()
