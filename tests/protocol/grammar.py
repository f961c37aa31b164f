"""Random updates by the grammar of the v1 format, and random damage to given bytes.

Everything takes a `random.Random`: seeded in scripts, drawn by Hypothesis in tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from crdt_server.protocol.lib0 import write_var_bytes, write_var_string, write_var_uint

_STRINGS = ("", "a", "ab", "text", "ünï", "💍", "a💍b", "�", "x" * 130, "__proto__")
_JSON = (
    *(
        "null",
        "true",
        "1",
        "-0",
        "1.5e-7",
        '""',
        "{}",
        "[]",
        '{"a":[1,{"b":null}]}',
        '"\\ud83d\\udc8d"',
        '{"a":1,"a":2}',
    ),
    *("undefined", "NaN", "1e400", '"\\ud83d"', "9223372036854775808", "[" * 70 + "]" * 70, "{", ""),
)
_CLOCKS = (0, 0, 0, 1, 2, 3, 5, 8, 100, 127, 128, 16383, 2**31 - 40, 2**31 - 1, 2**31, 2**32 - 1, 2**53 - 1)
_CLIENTS = (0, 1, 2, 3, 128, 3123456789, 4123456789, 2**53 - 1)
_SCALARS = (b"\x7f", b"\x7e", b"\x79", b"\x78", b"\x7d\x00", b"\x7d\x40", b"\x7d\xbf\x01", b"\x7c" + b"\x7f\xc0\0\0")


def random_update(random: Random) -> bytes:
    """Mostly well-formed, often impossible: references to nothing, to itself, in circles; odd clocks; odd JSON."""
    sections = random.sample(_CLIENTS, random.choice((0, 1, 1, 1, 2, 2, 3)))
    if sections and random.random() < 0.02:
        sections.append(sections[0])
    body = write_var_uint(len(sections)) + b"".join(_section(random, client) for client in sections)
    return body + _delete_set(random)


def damaged(random: Random, data: bytes, others: Sequence[bytes] = ()) -> bytes:
    """`data` with one to four bytes or stretches changed, removed, doubled or taken from another update."""
    out = bytearray(data)
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(out) + 1)
        stop = min(len(out), at + random.randint(1, 8))
        match random.randrange(7):
            case 0:
                out[at:stop] = random.randbytes(random.randint(0, 6))
            case 1:
                del out[at:stop]
            case 2:
                out[at:at] = out[at:stop]
            case 3 if at < len(out):
                out[at] ^= 1 << random.randrange(8)
            case 4 if at < len(out):
                out[at] = random.choice((0, 1, 2, 10, 127, 128, 255, (out[at] + 1) & 255, (out[at] - 1) & 255))
            case 5 if others:
                other = random.choice(others)
                begin = random.randrange(len(other) + 1)
                out[at:stop] = other[begin : begin + random.randint(1, 40)]
            case _:
                out[at:stop] = write_var_uint(random.choice(_CLOCKS))
    return bytes(out)


def _section(random: Random, client: int) -> bytes:
    structs = [_struct(random, client) for _ in range(random.choice((0, 1, 1, 1, 2, 3, 5)))]
    return b"".join((write_var_uint(len(structs)), write_var_uint(client), write_var_uint(_clock(random)), *structs))


def _clock(random: Random) -> int:
    return random.choice(_CLOCKS) if random.random() < 0.1 else random.randrange(12)


def _id(random: Random, client: int) -> bytes:
    return write_var_uint(client if random.random() < 0.4 else random.choice(_CLIENTS)) + write_var_uint(_clock(random))


def _string(random: Random) -> bytes:
    return write_var_string(random.choice(_STRINGS))


def _struct(random: Random, client: int) -> bytes:
    kind = random.choice((0, 1, 1, 2, 3, 4, 4, 4, 4, 5, 6, 7, 7, 8, 8, 9, 10, 10, 11, random.randrange(32)))
    if kind in (0, 10) and random.random() < 0.95:
        return bytes((kind,)) + write_var_uint(_length(random))
    flags = random.choice((0, 0, 0x80, 0x80, 0x40, 0xC0)) | random.choice((0, 0x20))
    parts = [bytes((kind | flags,))]
    parts += [_id(random, client) for flag in (0x80, 0x40) if flags & flag]
    if not flags & 0xC0:
        parts.append(b"\1" + _string(random) if random.random() < 0.6 else b"\0" + _id(random, client))
        if flags & 0x20:
            parts.append(_string(random))
    parts.append(_content(random, kind, client))
    return b"".join(parts)


def _length(random: Random) -> int:
    return random.choice((1, 1, 2, 3, 5, 20, 0, 2**31 - 1, 2**31, 2**32 - 1)) if random.random() < 0.1 else 1


def _content(random: Random, kind: int, client: int) -> bytes:
    match kind:
        case 1:
            return write_var_uint(_length(random))
        case 2:
            return write_var_uint(1) + write_var_string(random.choice(_JSON))
        case 3:
            return write_var_bytes(random.randbytes(random.randrange(4)))
        case 4:
            return _string(random)
        case 5:
            return write_var_string(random.choice(_JSON))
        case 6:
            return _string(random) + write_var_string(random.choice(_JSON))
        case 7:
            ref = random.choice((0, 1, 2, 3, 4, 6, 2, 3, random.randrange(17)))
            return bytes((ref,)) + (_string(random) if ref in (3, 5) else b"")
        case 8:
            values = [_any(random, 3) for _ in range(random.choice((0, 1, 1, 2, 3)))]
            return write_var_uint(len(values)) + b"".join(values)
        case 9:
            return _string(random) + _any(random, 3)
        case 11:
            return write_var_uint(random.randrange(8)) + _id(random, client) + _id(random, client)
        case _:
            return random.randbytes(random.randrange(5))


def _any(random: Random, depth: int) -> bytes:
    kind = random.randrange(5)
    if kind == 0:
        return b"\x77" + _string(random)
    if kind == 1 and depth:
        values = [_any(random, depth - 1) for _ in range(random.randrange(3))]
        return b"\x75" + write_var_uint(len(values)) + b"".join(values)
    if kind == 2 and depth:
        values = [_string(random) + _any(random, depth - 1) for _ in range(random.randrange(3))]
        return b"\x76" + write_var_uint(len(values)) + b"".join(values)
    if kind == 3:
        return bytes((random.choice((0x7B, 0x7A)),)) + random.randbytes(8)
    return random.choice(_SCALARS)


def _delete_set(random: Random) -> bytes:
    clients = random.sample(_CLIENTS, random.choice((0, 0, 1, 2)))
    parts = [write_var_uint(len(clients))]
    for client in clients:
        ranges = random.choice((0, 1, 1, 2, 3))
        parts += [write_var_uint(client), write_var_uint(ranges)]
        clock = 0
        for _ in range(ranges):
            clock = random.choice(_CLOCKS) if random.random() < 0.05 else min(clock + random.randrange(4), 2**53 - 1)
            length = random.choice((0, 1, 2, 2**31 - 1, 2**32 - 1)) if random.random() < 0.05 else random.randint(1, 3)
            parts += [write_var_uint(clock), write_var_uint(length)]
            clock = min(clock + length, 2**53 - 1)
    return b"".join(parts)
