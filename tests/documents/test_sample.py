"""The sample wedding: the same every time, legal, as large as it says, and wrong exactly where it says."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pycrdt import Doc

from documents import Kind, kind_of
from documents.invariants import Context, Finding, Index, Wedding
from documents.invariants.bookings import bookings, clashes
from documents.invariants.catalogue import INVARIANTS
from documents.invariants.index import PARTS
from documents.readers import canonical_json, digest
from documents.rows import read
from documents.sample import Planted, Sample, planted, sample_wedding
from documents.sample.build import build
from documents.sample.chance import Chance
from documents.sample.draft import order_key
from tests.documents.brute_force import wrong
from tests.support.effort import repeated

ROOT = Path(__file__).parents[2]
SEEDS = [1, 2, *repeated(*range(3, 9))]
# About writes, not about what they left behind.
NOT_IN_A_STATE = {"X1", "X2"}


def kind(document: str) -> Kind:
    found = kind_of(document)
    assert found is not None
    return found


def updates(sample: Sample) -> dict[str, bytes]:
    return {name: build(rows, kind(name), 7) for name, rows in sample.documents.items()}


def subjects(items: tuple[Planted, ...]) -> list[tuple[str, tuple[str, ...]]]:
    return sorted((each.invariant, each.subject) for each in items)


def mentioned(finding: Finding) -> set[str | None]:
    fields = [party.field for party in finding.parties]
    return {*finding.subject.ids, *(field.record for field in fields), *(field.key for field in fields)}


@pytest.fixture(scope="module")
def sample() -> Sample:
    return sample_wedding()


def test_the_same_arguments_give_the_same_wedding(sample: Sample) -> None:
    again = sample_wedding()
    assert again == sample
    assert updates(again) == updates(sample)
    assert sample_wedding(seed=2).documents != sample.documents


def test_chance_is_that_of_splitmix64() -> None:
    # The first numbers of the reference implementation (Vigna, splitmix64.c) for the seed 1234567.
    chance = Chance(1234567)
    assert [chance.bits() for _ in range(3)] == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("guests", [200, 250])
def test_every_row_is_legal(seed: int, guests: int) -> None:
    sample = sample_wedding(seed=seed, guests=guests, violations=planted.MOST_OF_ALL)
    for document, rows in (*sample.documents.items(), ("wedding", sample.neighbour)):
        assert list(kind(document).violations(rows)) == []


@pytest.mark.parametrize("violations", [0, 1, 2, 3])
@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_planted_is_wrong_and_nothing_else(seed: int, violations: int) -> None:
    sample = sample_wedding(seed=seed, violations=violations)
    assert sorted(wrong(sample)) == subjects(sample.planted)
    counts = Counter(each.invariant for each in sample.planted)
    expected = {name: min(violations, planted.MOST.get(name, violations)) for name in INVARIANTS}
    assert counts == Counter({name: count for name, count in expected.items() if name not in NOT_IN_A_STATE})


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("only", [{"S1", "T1"}, set(INVARIANTS) - {"T5", "S2"}], ids=len)
def test_only_what_is_asked_for_is_planted(seed: int, only: set[str]) -> None:
    sample = sample_wedding(seed=seed, only=only)
    assert sorted(wrong(sample)) == subjects(sample.planted)
    assert {each.invariant for each in sample.planted} == only - NOT_IN_A_STATE


@pytest.mark.parametrize("violations", [0, 1, 3])
@pytest.mark.parametrize("seed", SEEDS)
def test_the_index_finds_what_is_planted_and_nothing_else(seed: int, violations: int) -> None:
    sample = sample_wedding(seed=seed, violations=violations)
    context = Context(now=sample.now, locked=sample.locked)
    index = Index(Wedding(dict(sample.documents), sample.writers, context))
    known = {name for part in PARTS for name in part.invariants}
    found = [(each.invariant, mentioned(each)) for each in index.all()]
    expected = [each for each in sample.planted if each.invariant in known]
    assert Counter(name for name, _ in found) == Counter(each.invariant for each in expected)
    for each in expected:
        assert any(each.invariant == name and ids >= set(each.subject) for name, ids in found), each


@pytest.mark.parametrize("violations", [0, 3])
@pytest.mark.parametrize("seed", SEEDS)
def test_the_neighbour_has_booked_the_vendors_that_are_planted(seed: int, violations: int) -> None:
    sample = sample_wedding(seed=seed, violations=violations)
    weddings = {"ours": Wedding(dict(sample.documents)), "theirs": Wedding({"wedding": sample.neighbour})}
    booked = [booking for name, wedding in weddings.items() for booking in bookings(name, wedding, {})]
    found = clashes(booking._replace(vouched=True) for booking in booked)
    planted_ids = sorted(each.subject for each in sample.planted if each.invariant == "W2")
    assert sorted(each.subject.ids for each in found.get("ours", [])) == planted_ids


def test_a_wedding_of_a_thousand() -> None:
    sample = sample_wedding(guests=1000, violations=planted.MOST_OF_ALL)
    assert len(sample.documents["guests"]["guests"]) == 1000
    assert sorted(wrong(sample)) == subjects(sample.planted)


def test_a_wedding_has_what_it_says(sample: Sample) -> None:
    def size(document: str, root: str) -> int:
        return len(sample.documents[document][root])

    assert size("guests", "guests") == 250
    assert 95 <= size("guests", "households") <= 120
    assert [size("wedding", root) for root in ("events", "places", "vendors", "tasks", "members")] == [4, 6, 14, 80, 24]
    assert [size("budget", root) for root in ("items", "payments", "contributions")] == [90, 120, 6]
    tables = Counter(
        (row["shape"], row["capacity"]) for row in sample_wedding(violations=0).documents["seating"]["tables"].values()
    )
    assert tables == {("round", 10): 26, ("rectangle", 14): 1, ("rectangle", 16): 2}
    assert size("seating", "rules") == 25
    items = sample.documents["timeline"]["items"].values()
    assert len(items) == 70
    assert sum(item["rigidity"] == "fixed" for item in items) == 12
    assert sum(item.get("keyMoment", False) for item in items) == 9
    assert all(item["duration"] == 15 for item in items if item["rigidity"] == "buffer")
    threads = [document for document in sample.documents if document.startswith("thread.")]
    assert [size(thread, "messages") for thread in threads] == [12, 12]
    assert len({account.role for account in sample.people}) == 10


def test_guests_are_a_mixture(sample: Sample) -> None:
    many = sample_wedding(guests=1000, violations=0)
    guests = many.documents["guests"]["guests"]

    def percent(count: int, of: int = len(guests)) -> float:
        return 100 * count / of

    kinds = Counter(row["kind"] for row in guests.values())
    assert percent(kinds["child"]) == pytest.approx(9, abs=2)
    assert percent(kinds["infant"]) == pytest.approx(2, abs=1)
    plus_ones = [row for row in guests.values() if "plusOneOf" in row]
    assert percent(len(plus_ones)) == pytest.approx(12, abs=1)
    assert percent(sum("firstName" not in row for row in plus_ones), len(plus_ones)) == pytest.approx(33, abs=2)
    assert percent(sum("email" in row for row in guests.values())) == pytest.approx(60, abs=6)
    assert percent(sum("phone" in row for row in guests.values())) == pytest.approx(40, abs=6)
    assert percent(sum(row["note"] != "" for row in guests.values())) == pytest.approx(12, abs=4)
    answers = Counter(row["rsvp:e_reception"] for row in guests.values())
    assert percent(answers["yes"]) == pytest.approx(74, abs=7)
    care = many.documents["care"]["care"].values()
    assert percent(sum(any(key.startswith("diet:") for key in row) for row in care)) == pytest.approx(30, abs=5)
    assert percent(sum("severe" in row.values() for row in care)) == pytest.approx(4, abs=2.5)
    seated = len(many.documents["seating"]["assignments"])
    assert percent(seated, answers["yes"]) == pytest.approx(95, abs=1)


def test_nobody_can_be_reached(sample: Sample) -> None:
    text = json.dumps([sample.documents, sample.people, sample.neighbour], default=list)
    for address in (word.strip('"') for word in text.split() if "@" in word):
        assert address.rstrip('",}]').endswith("example.org")
    rows = [*sample.documents["guests"]["guests"].values()]
    rows += [vendor["contact"] for vendor in sample.documents["wedding"]["vendors"].values()]
    for row in rows:
        phone = row.get("phone", "+44 7700 900000")
        assert phone.startswith("+44 7700 900") or (phone[:3] == "+1 " and phone[6:].startswith(" 555 01"))


@pytest.mark.parametrize("guests", [250, 1000])
def test_an_update_holds_the_rows(guests: int) -> None:
    sample = sample_wedding(guests=guests)
    for document, update in updates(sample).items():
        doc: Doc[Any] = Doc()
        doc.apply_update(update)
        filled = {name: row_by_id for name, row_by_id in sample.documents[document].items() if row_by_id}
        assert {name: row_by_id for name, row_by_id in read(kind(document), doc).items() if row_by_id} == filled
        assert len(doc.get_state()) > 0
        # Nothing was left waiting: the state that comes out is what went in.
        assert len(doc.get_update()) == len(update)


@pytest.mark.skipif(
    shutil.which("node") is None or not (ROOT / "node_modules/yjs").exists(), reason="needs Node and Yjs"
)
def test_yjs_reads_the_same_rows(sample: Sample, tmp_path: Path) -> None:
    program = """
        import fs from 'node:fs'
        import * as Y from 'yjs'
        const [directory, ...roots] = process.argv.slice(2)
        const doc = new Y.Doc()
        Y.applyUpdate(doc, fs.readFileSync(`${directory}/update`))
        const rows = Object.fromEntries(roots.map(root => [root, doc.getMap(root).toJSON()]))
        console.log(JSON.stringify({ rows, waiting: doc.store.pendingStructs !== null }))
    """
    script = ROOT / "build" / f"read-{hashlib.sha256(str(tmp_path).encode()).hexdigest()[:16]}.mjs"
    script.parent.mkdir(exist_ok=True)
    script.write_text(program)
    try:
        for document in ("guests", "budget", "seating", "timeline"):
            rows = sample.documents[document]
            (tmp_path / "update").write_bytes(build(rows, kind(document), 7))
            roots = [name for name in rows if name != "meta"]
            out = subprocess.run(["node", script, tmp_path, *roots], capture_output=True, check=True).stdout
            answer = json.loads(out)
            assert not answer["waiting"]
            assert canonical_json(answer["rows"]) == canonical_json({name: rows[name] for name in roots})
    finally:
        script.unlink()


def test_an_update_holds_every_kind_of_value() -> None:
    extension = {
        "x:a.b": [None, True, False, 0, -1, 63, 64, -64, 2**31 - 1, 2**31, -(2**53) + 1, 1.5, "é🎻", {"a": []}]
    }
    rows = {"board": {"": "🎻 é"}, "meta": {"": extension}, "tasks": {"k_1": {"note": "", **extension}}}
    doc: Doc[Any] = Doc()
    doc.apply_update(build(rows, kind("wedding"), 2**32 - 1))
    assert digest(read(kind("wedding"), doc)) == digest(rows)
    assert build({}, kind("wedding"), 1) == Doc().get_update()


def test_sizes_are_those_of_a_real_wedding(sample: Sample) -> None:
    sizes = {document: len(update) for document, update in updates(sample).items()}
    assert 200_000 < sum(sizes.values()) < 300_000
    assert max(sizes, key=lambda document: sizes[document]) == "guests"
    assert max(sizes.values()) < 256 * 1024


def test_every_field_has_a_writer_and_a_place_in_the_order_of_arrival(sample: Sample) -> None:
    sequences = sorted(writer.seq for writer in sample.writers.values())
    assert sequences == list(range(1, len(sequences) + 1))
    by_arrival = sorted(sample.writers.values(), key=lambda writer: writer.seq)
    assert [writer.at for writer in by_arrival] == sorted(writer.at for writer in by_arrival)
    assert by_arrival[-1].at <= sample.now


def test_a_wedding_on_a_day_of_ones_choice() -> None:
    sample = sample_wedding(date="2030-02-28", violations=0)
    assert sample.documents["wedding"]["meta"][""]["date"] == "2030-02-28"
    assert sample.now == "2030-02-07T09:00:00Z"
    assert wrong(sample) == []


def test_the_night_on_which_the_clocks_change() -> None:
    metas = [sample_wedding(seed=seed).documents["wedding"]["meta"][""] for seed in range(8)]
    dates = {meta["timeZone"]: meta["date"] for meta in metas}
    assert dates["America/New_York"] == "2027-11-06"
    assert dates["Asia/Kolkata"] == "2027-06-19"


@pytest.mark.parametrize(
    "arguments", [{"guests": 199}, {"guests": 5001}, {"violations": -1}, {"violations": 4}, {"date": "x"}]
)
def test_what_is_out_of_bounds_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        sample_wedding(**arguments)


def test_order_keys_are_those_of_fractional_indexing() -> None:
    keys = [order_key(index) for index in (0, 9, 10, 35, 36, 61, 62, 63, 62 + 3843, 62 + 3844)]
    assert keys == ["a0", "a9", "aA", "aZ", "aa", "az", "b00", "b01", "bzz", "c000"]
    everything = [order_key(index) for index in range(5000)]
    assert everything == sorted(set(everything))
