"""The reader against Yjs' own decoder, against what is known to break pycrdt, and at its edges."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from crdt_server.errors import ProtocolError
from crdt_server.protocol.lib0 import write_var_string, write_var_uint
from crdt_server.protocol.update import (
    Update,
    decode_state_vector,
    decode_update,
    is_empty,
    missing,
)
from crdt_server.protocol.update_contents import MAX_NESTING
from tests.protocol.corpus import YjsFile, hostile_sequences, state_vectors, yjs_files

LIMIT = 1 << 24
TEXT_ROOT = b"\1\1t"
"""Parent of an item without origin: the root type `t`."""


def read(data: bytes) -> Update:
    return decode_update(data, max_bytes=LIMIT)


def refusal(data: bytes) -> str:
    with pytest.raises(ProtocolError) as caught:
        read(data)
    return caught.value.code


def one_struct(struct: bytes, *, clock: int = 0) -> bytes:
    """An update of client 5 with this struct alone."""
    return b"\1\1\5" + write_var_uint(clock) + struct + b"\0"


def embed(text: str) -> bytes:
    return one_struct(b"\5" + TEXT_ROOT + write_var_string(text))


# Against Yjs


@pytest.mark.parametrize("file", [file for file in yjs_files() if not file.refused], ids=lambda file: file.name)
def test_reads_what_yjs_reads(file: YjsFile) -> None:
    for row in file.updates:
        data = bytes.fromhex(row["hex"])
        update = read(data)
        assert update.data == data
        for name in ("ranges", "skips", "deletes"):
            assert sorted(getattr(update, name)) == sorted(map(tuple, row[name])), (name, row["hex"])
        assert update.requires == {int(client): clock for client, clock in row["requires"].items()}, row["hex"]


@pytest.mark.parametrize("file", [file for file in yjs_files() if file.refused], ids=lambda file: file.name)
def test_refuses_what_pycrdt_would_not_understand(file: YjsFile) -> None:
    for row in file.updates:
        assert refusal(bytes.fromhex(row["hex"])) == file.refused


def test_the_corpus_has_holes() -> None:
    assert any(row["skips"] for file in yjs_files() for row in file.updates if "skips" in row)


def test_reads_state_vectors_of_yjs() -> None:
    for data, clocks in state_vectors():
        assert decode_state_vector(data) == clocks


def test_ranges_reach_the_clocks_of_a_pycrdt_document() -> None:
    """Whole states of the corpus, applied by pycrdt in a process of its own."""
    complete = [file.updates[-1] for file in yjs_files() if not file.refused and not _has_holes(file.updates[-1])]
    script = (
        "import json, sys; from pycrdt import Doc\n"
        "def state(text):\n"
        "    doc = Doc(); doc.apply_update(bytes.fromhex(text)); return doc.get_state().hex()\n"
        "print(json.dumps([state(text) for text in json.load(sys.stdin)]))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script],
        input=json.dumps([row["hex"] for row in complete]),
        capture_output=True,
        text=True,
        check=True,
    )
    for row, text in zip(complete, json.loads(answer.stdout), strict=True):
        reached = {client: following for client, _, following in read(bytes.fromhex(row["hex"])).ranges}
        assert reached == decode_state_vector(bytes.fromhex(text))


def _has_holes(row: dict[str, Any]) -> bool:
    return bool(row["skips"]) or any(first for _, first, _ in row["ranges"])


# Against what breaks pycrdt


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        # The first is a harmless run of two collected items at clock 5: a gap guard holds it back, not the reader.
        ("crash_two_messages", [None, "structure"]),
        ("crash_nesting", ["nesting"]),
        ("panic_clock_wrap", [None, "clock"]),
        ("poison_unreloadable", ["unsupported"]),
        # An emoji in a text: it is the later reading as an array that hangs.
        ("hang_read_as_array", [None]),
        ("amplify_update", ["count"]),
    ],
)
def test_hostile_updates(name: str, codes: list[str | None]) -> None:
    for data, code in zip(hostile_sequences()[name], codes, strict=True):
        if code is None:
            read(data)
        else:
            assert refusal(data) == code


def test_hostile_state_vector() -> None:
    (data,) = hostile_sequences()["amplify_state_vector"]
    with pytest.raises(ProtocolError) as caught:
        decode_state_vector(data)
    assert caught.value.code == "count"


def test_the_crash_of_two_messages_is_a_hole_besides() -> None:
    assert missing(read(hostile_sequences()["crash_two_messages"][0]), {})


def test_every_hostile_sequence_is_covered() -> None:
    assert set(hostile_sequences()) == {
        "crash_two_messages",
        "crash_nesting",
        "panic_clock_wrap",
        "poison_unreloadable",
        "hang_read_as_array",
        "amplify_update",
        "amplify_state_vector",
    }


# Edges


@pytest.mark.parametrize(("text", "units"), [("abc", 3), ("é", 1), ("💍", 2), ("\ufffd", 1), ("a💍é", 4), ("👰🏽‍♀️", 7)])
def test_text_is_counted_in_utf16_units(text: str, units: int) -> None:
    assert read(one_struct(b"\4" + TEXT_ROOT + write_var_string(text))).ranges == ((5, 0, units),)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "truncated"),
        (b"\0", "truncated"),
        (b"\0\0\0", "trailing"),
        (b"\1\0\5\0\0", "count"),
        (b"\1\0\5\0\0\0", "structure"),
        (one_struct(b"\0\0"), "structure"),
        (one_struct(b"\x0a\0"), "structure"),
        (one_struct(b"\x80\5\0\1"), "structure"),
        (one_struct(b"\x4a\5\0\1"), "structure"),
        (one_struct(b"\4" + TEXT_ROOT + b"\0"), "structure"),
        (one_struct(b"\x08" + TEXT_ROOT + b"\0"), "structure"),
        (one_struct(b"\x14" + TEXT_ROOT + b"\1a"), "structure"),
        (one_struct(b"\x0b" + TEXT_ROOT + b"\0\5\0"), "unsupported"),
        (one_struct(b"\4\2\1t\1a"), "structure"),
        (one_struct(b"\4\1\1\xff\1a"), "utf8"),
        (one_struct(b"\4" + TEXT_ROOT + b"\3\xed\xa0\xbd"), "utf8"),
        (one_struct(b"\4" + TEXT_ROOT + b"\x0aabc"), "truncated"),
        (one_struct(b"\3" + TEXT_ROOT + b"\x0aabc"), "truncated"),
        (one_struct(b"\7" + TEXT_ROOT + b"\5\1a"), "unsupported"),
        (one_struct(b"\7" + TEXT_ROOT + b"\7"), "unsupported"),
        (one_struct(b"\7" + TEXT_ROOT + b"\x0f"), "unsupported"),
        (one_struct(b"\x08" + TEXT_ROOT + b"\1\x73"), "structure"),
        (one_struct(b"\x09" + TEXT_ROOT + b"\1g\x7f"), "structure"),
        (one_struct(b"\x09" + TEXT_ROOT + b"\1g\x77\1a"), "structure"),
        (one_struct(b"\x08" + TEXT_ROOT + b"\1\x7d\xff\xff\xff\xff\xff\xff\xff\x7f"), "varint"),
        (one_struct(b"\x08" + TEXT_ROOT + b"\1\x7d\x80\0"), "varint"),
        (one_struct(b"\x08" + TEXT_ROOT + b"\1\x75\xff\x7f"), "count"),
        (one_struct(b"\x08" + TEXT_ROOT + b"\1\x76\3" + b"\0\x7f" * 2), "count"),
        (one_struct(b"\0\1", clock=2**31 - 1), "clock"),
        (one_struct(b"\0\xff\xff\xff\xff\7", clock=1), "clock"),
        (one_struct(b"\x84\6\xff\xff\xff\xff\7\1a"), "clock"),
        (b"\2\1\5\0\0\1\1\5\1\0\1\0", "structure"),
        (b"\1\1" + b"\xff" * 7 + b"\x1f" + b"\0\0\1\0", "varint"),
        (b"\0\1\5\2\0\2\1\1", "structure"),
        (b"\0\1\5\2\4\1\1\1", "structure"),
        (b"\0\1\5\1\0\0", "structure"),
        (b"\0\2\5\1\0\1\5\1\4\1", "structure"),
        (b"\0\1\5\1\1\xff\xff\xff\xff\7", "clock"),
        (b"\0\1\5\xff\7\0\1", "count"),
    ],
)
def test_refused(data: bytes, code: str) -> None:
    assert refusal(data) == code


@pytest.mark.parametrize("kind", [b"\x84", b"\x44"])
@pytest.mark.parametrize("clock", [3, 4, 100])
def test_a_struct_cannot_refer_to_itself_or_forwards(kind: bytes, clock: int) -> None:
    assert refusal(one_struct(kind + b"\5" + bytes((clock,)) + b"\1a", clock=3)) == "structure"
    assert refusal(one_struct(b"\4\0\5" + bytes((clock,)) + b"\1a", clock=3)) == "structure"
    read(one_struct(kind + b"\5\2\1a", clock=3))


def test_the_size_is_limited() -> None:
    data = one_struct(b"\4" + TEXT_ROOT + write_var_string("x" * 50))
    assert decode_update(data, max_bytes=len(data)).ranges == ((5, 0, 50),)
    with pytest.raises(ProtocolError) as caught:
        decode_update(data, max_bytes=len(data) - 1)
    assert caught.value.code == "too_large"


def test_nesting_is_limited() -> None:
    def arrays(depth: int) -> bytes:
        return one_struct(b"\x08" + TEXT_ROOT + b"\1" + b"\x75\1" * depth + b"\x7e")

    def maps(depth: int) -> bytes:
        return one_struct(b"\x09" + b"\1\1t" + b"\1g" + b"\x76\1\1k" * depth + b"\x7e")

    for build in (arrays, maps):
        read(build(MAX_NESTING))
        assert refusal(build(MAX_NESTING + 1)) == "nesting"
    for opening, closing in (("[", "]"), ('{"a":', "}")):
        nested = opening * MAX_NESTING + "1" + closing * MAX_NESTING
        read(embed(nested))
        assert refusal(embed("[" + nested + "]")) == "nesting"
    read(embed("[" + ",".join(['"[[["'] * 40 + ["[]"] * 200) + "]"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "undefined",
        "NaN",
        "Infinity",
        "1e400",
        "{",
        "[}" * 40,
        "'a'",
        '"\\ud83d"',
        str(2**63),
        str(2**64 - 1),
        "1" * 5000,
    ],
)
def test_json_that_either_side_would_not_read_is_refused(text: str) -> None:
    assert refusal(embed(text)) == "json"


@pytest.mark.parametrize(
    "text",
    ["null", "-0", str(2**63 - 1), str(2**64), str(-(2**63)), "1e308", '"\\ud83d\\udc8d"', '{"a":1,"a":2}', " 1 "],
)
def test_json_that_both_sides_read_is_accepted(text: str) -> None:
    assert read(embed(text)).ranges == ((5, 0, 1),)


@pytest.mark.parametrize(
    "data", [b"", b"\1\5", b"\1\5\x80", b"\0\0", b"\2\5\1\5\2", b"\1\5\xff\xff\xff\xff\x0f", b"\2\5\1"]
)
def test_malformed_state_vectors_are_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_state_vector(data)


# What is missing


def test_empty() -> None:
    assert is_empty(read(b"\0\0"))
    assert not is_empty(read(one_struct(b"\0\1")))
    assert not is_empty(read(b"\0\1\5\1\0\1"))
    assert not missing(read(b"\0\0"), {})


def test_a_run_has_to_start_where_the_document_ends_or_before() -> None:
    update = read(one_struct(b"\0\3", clock=4))
    assert [missing(update, {5: known}) for known in (0, 3, 4, 5, 9)] == [True, True, False, False, False]
    assert missing(update, {})


def test_a_skip_has_to_be_covered() -> None:
    update = read(b"\1\3\5\0\0\2\x0a\3\0\1\0")
    assert (update.ranges, update.skips) == (((5, 0, 2), (5, 5, 6)), ((5, 2, 5),))
    assert missing(update, {})
    assert missing(update, {5: 4})
    assert not missing(update, {5: 5})


def test_references_to_other_clients_have_to_be_known() -> None:
    update = read(one_struct(b"\xc4\6\2\7\4\1a"))
    assert update.requires == {6: 3, 7: 5}
    assert not missing(update, {6: 3, 7: 5})
    assert missing(update, {6: 2, 7: 5})
    assert missing(update, {6: 3})


def test_references_into_the_update_itself_count_as_known() -> None:
    update = read(b"\2\1\5\0\x84\6\2\1a\1\6\0\0\3\0")
    assert update.requires == {6: 3}
    assert not missing(update, {})


def test_deletions_have_to_be_known() -> None:
    update = read(b"\0\1\5\2\0\1\3\2")
    assert update.deletes == ((5, 0, 1), (5, 3, 5))
    assert missing(update, {5: 4})
    assert not missing(update, {5: 5})
    assert not missing(read(b"\1\1\5\0\0\5\1\5\1\3\2"), {})
