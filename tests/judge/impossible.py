"""Updates that fit a given document and are impossible all the same: every clock and reference is there to be found,
but parents are characters, surrogate pairs are torn, lists lead into one another, and what is deleted is built upon.

Random updates by the grammar of the format (`tests.protocol.grammar`) rarely get past the check for holes; these do.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from crdt_server.protocol.lib0 import write_var_bytes, write_var_string, write_var_uint

CLIENTS = (1, 2, 3, 128, 3123456789)
_STRINGS = ("a", "ab", "abc", "💍", "a💍b", "ü")
_KINDS = (0, 1, 3, 4, 4, 4, 4, 5, 6, 7, 7, 7, 8, 8, 9)


def impossible_update(random: Random, clocks: Mapping[int, int]) -> bytes:
    """One update for a document with these next clocks."""
    clients = random.sample(CLIENTS, random.choice((1, 1, 1, 2)))
    reached = dict(clocks)
    body = [write_var_uint(len(clients))]
    for client in clients:
        first = clock = clocks.get(client, 0)
        if clock and random.random() < 0.1:
            first = clock = max(0, clock - random.randrange(3))
        structs = []
        for _ in range(random.choice((1, 1, 2, 3, 5))):
            struct, length = _struct(random, reached if random.random() < 0.8 else clocks, client, clock)
            structs.append(struct)
            clock += length
            reached[client] = max(clock, reached.get(client, 0))
        body += [write_var_uint(len(structs)), write_var_uint(client), write_var_uint(first), *structs]
    return b"".join(body) + _deletions(random, reached)


def _struct(random: Random, clocks: Mapping[int, int], client: int, clock: int) -> tuple[bytes, int]:
    kind = random.choice(_KINDS)
    if not kind:
        return b"\0\1", 1
    flags = random.choice((0, 0, 0x80, 0x80, 0x40, 0xC0))
    with_key = random.random() < (0.12 if flags else 0.4)
    parts = [bytes((kind | flags | (0x20 if with_key else 0),))]
    parts += [_id(random, clocks, client, clock) for flag in (0x80, 0x40) if flags & flag]
    if not flags:
        by_name = random.random() < 0.35
        parts.append(
            b"\1" + write_var_string(random.choice(("text", "a")))
            if by_name
            else b"\0" + _id(random, clocks, client, clock)
        )
        if with_key:
            parts.append(write_var_string(random.choice(("k", "k2"))))
    content, length = _content(random, kind)
    return b"".join(parts) + content, length


def _id(random: Random, clocks: Mapping[int, int], client: int, clock: int) -> bytes:
    known = [(other, next_) for other, next_ in clocks.items() if next_]
    if not known or (clock and random.random() < 0.25):
        return write_var_uint(client) + write_var_uint(random.randrange(max(clock, 1)))
    other, next_ = random.choice(known)
    return write_var_uint(other) + write_var_uint(random.randrange(next_))


def _content(random: Random, kind: int) -> tuple[bytes, int]:
    match kind:
        case 1:
            length = random.choice((1, 2))
            return write_var_uint(length), length
        case 3:
            return write_var_bytes(b"xy"), 1
        case 4:
            text = random.choice(_STRINGS)
            return write_var_string(text), len(text.encode("utf-16-le")) // 2
        case 5:
            return write_var_string("{}"), 1
        case 6:
            return write_var_string("bold") + write_var_string("true"), 1
        case 7:
            type_ = random.choice((0, 1, 1, 2, 3, 4, 6))
            return bytes((type_,)) + (write_var_string("p") if type_ == 3 else b""), 1
        case 8:
            length = random.choice((1, 1, 2, 3))
            return write_var_uint(length) + b"\x7d\x05" * length, length
        case _:
            return write_var_string("guid") + b"\x76\x00", 1


def _deletions(random: Random, clocks: Mapping[int, int]) -> bytes:
    known = [(client, next_) for client, next_ in clocks.items() if next_]
    chosen = random.sample(known, min(len(known), random.choice((0, 1, 1, 2))))
    parts = [write_var_uint(len(chosen))]
    for client, next_ in chosen:
        first = random.randrange(next_)
        length = random.randint(1, min(3, next_ - first))
        parts += [write_var_uint(client), b"\1", write_var_uint(first), write_var_uint(length)]
    return b"".join(parts)
