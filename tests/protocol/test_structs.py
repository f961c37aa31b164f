"""The reader of structs against Yjs' own decoder and against what the checking reader says of the same bytes."""

from __future__ import annotations

import json
import math
import subprocess
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycrdt import Doc, Map, Text

from crdt_server.errors import ProtocolError
from crdt_server.protocol.lib0 import write_var_uint
from crdt_server.protocol.structs import ANY, DELETED, GC, STRING, TYPE, Struct
from crdt_server.protocol.update import Update, decode_structs, decode_update
from tests.protocol.corpus import real_updates
from tests.protocol.grammar import random_update

HERE = Path(__file__).parent
REAL = real_updates()


def as_yjs_says(updates: list[bytes], root: Path) -> list[list[list[Any]]]:
    done = subprocess.run(
        ["node", str(HERE / "structs.mjs")],
        cwd=root,
        input="\n".join(data.hex() for data in updates),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def spelled(value: Any) -> Any:
    """A value in the words of structs.mjs."""
    match value:
        case tuple() | list():
            return [spelled(each) for each in value]
        case dict():
            return {name: spelled(member) for name, member in value.items()}
        case bytes():
            return {"bytes": list(value)}
        case float() if not math.isfinite(value):
            return {"number": {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]}
        case bool() | None | str() | float():
            return value
    assert type(value) is int
    return {"bigint": str(value)}


def row(struct: Struct) -> list[Any]:
    plain = [list(field) if type(field) is tuple else field for field in struct]
    value = struct.value
    return [*plain[:-1], list(value) if type(value) is bytes else value if struct.content == TYPE else spelled(value)]


def test_reads_what_yjs_reads(root: Path) -> None:
    for data, expected in zip(REAL, as_yjs_says(REAL, root), strict=True):
        assert [row(struct) for struct in decode_structs(data).structs] == expected, data.hex()


def agree(update: Update) -> None:
    """Both readers find the same clocks, types, parents and collected runs."""
    structs = decode_structs(update.data).structs
    ranges: list[tuple[int, int, int]] = []
    for each in structs:
        assert each.length > 0
        if ranges and ranges[-1][::2] == (each.client, each.clock):
            ranges[-1] = (each.client, ranges[-1][1], each.clock + each.length)
        else:
            ranges.append((each.client, each.clock, each.clock + each.length))
    assert ranges == list(update.ranges)
    assert [each[:2] for each in structs if each.content == TYPE] == list(update.types)
    assert [each.parent for each in structs if type(each.parent) is tuple] == list(update.parents)
    collected = sum(each.length for each in structs if each.content in (GC, DELETED))
    assert collected == sum(following - first for _, first, following in update.collected)
    others = [ref for each in structs for ref in (each.origin, each.right_origin, each.parent) if type(ref) is tuple]
    foreign = {client for client, _ in others} - {each.client for each in structs}
    assert foreign <= update.requires.keys()


def test_agrees_with_the_checking_reader() -> None:
    for data in REAL:
        agree(decode_update(data, max_bytes=len(data)))


@given(st.integers(0, 1 << 30))
def test_agrees_on_whatever_is_accepted(seed: int) -> None:
    data = random_update(Random(seed))
    try:
        update = decode_update(data, max_bytes=len(data))
    except ProtocolError:
        return
    agree(update)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("Chloé 👰🏽", "Chloé 👰🏽"),
        (5, 5.0),
        (-70, -70.0),
        (2**62, 2.0**62),
        (0.1, 0.1),
        (1.5, 1.5),
        (True, True),
        (False, False),
        (None, None),
        ([1, [None, {"a": "b"}]], [1.0, [None, {"a": "b"}]]),
    ],
)
def test_values_are_those_that_pycrdt_shows(value: Any, shown: Any) -> None:
    doc: Doc[Any] = Doc(client_id=9)
    doc.get("guests", type=Map)["g"] = value
    (struct,) = decode_structs(doc.get_update()).structs
    assert struct == Struct(9, 0, 1, ANY, None, None, "guests", "g", [shown])
    assert doc.get("guests", type=Map)["g"] == shown
    assert repr(struct.value) == repr([shown])


def test_text_counts_utf16_units_and_names_its_parent() -> None:
    doc: Doc[Any] = Doc(client_id=9)
    doc.get("guests", type=Map)["g"] = Text("a💍")
    text = doc.get("guests", type=Map)["g"]
    text.insert(0, "é")
    parent, first, second = decode_structs(doc.get_update()).structs
    assert parent == Struct(9, 0, 1, TYPE, None, None, "guests", "g", 2)
    assert first == Struct(9, 1, 3, STRING, None, None, (9, 0), None, "a💍")
    assert second == Struct(9, 4, 1, STRING, None, (9, 1), None, None, "é")


def test_an_id_of_another_client_that_begins_alike_is_another() -> None:
    """Client 1 and client 129 share their first bits; a reader that compares bytes must not take one for the other."""
    struct = b"\x84" + write_var_uint(129) + b"\7" + b"\1x"
    data = b"\1\1\1\0" + struct + b"\0"
    assert decode_structs(data).structs == [Struct(1, 0, 1, STRING, (129, 7), None, None, None, "x")]


def test_skips_are_left_out_and_count() -> None:
    data = b"\1\3\5\0" + b"\0\2" + b"\x0a\3" + b"\0\4" + b"\0"
    assert decode_structs(data).structs == [Struct(5, 0, 2, GC, *[None] * 5), Struct(5, 5, 4, GC, *[None] * 5)]
