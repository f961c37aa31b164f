"""Bounded reading and writing of the lib0 encoding that Yjs uses on the wire.

Readers take the whole buffer and a position and return `(value, next position)`: no object is made per field.
Reading past the end of the buffer raises `ProtocolError`, except that `read_var_uint` raises `IndexError`,
so that loops over many integers need only one `try` around them.
A varint has at most 8 bytes, is at most 2**53 - 1 (JavaScript's safe integers) and has no superfluous zero bytes.
"""

from __future__ import annotations

from crdt_server.errors import ProtocolError

MAX_SAFE_INTEGER = 2**53 - 1
_SHORT = [bytes((value,)) for value in range(128)]


def read_var_uint(data: bytes | memoryview, pos: int) -> tuple[int, int]:
    """Unsigned integer at `pos`. Raises `IndexError` where the buffer ends before the integer does."""
    byte = data[pos]
    pos += 1
    if byte < 128:
        return byte, pos
    value = byte & 127
    shift = 7
    while True:
        byte = data[pos]
        pos += 1
        if byte < 128:
            value |= byte << shift
            if not byte or value > MAX_SAFE_INTEGER:
                raise ProtocolError("varint", "overlong integer")
            return value, pos
        value |= (byte & 127) << shift
        shift += 7
        if shift > 49:
            raise ProtocolError("varint", "integer of more than 8 bytes")


def read_var_bytes(data: bytes | memoryview, pos: int) -> tuple[bytes, int]:
    """Length-prefixed bytes (lib0: varUint8Array) at `pos`."""
    try:
        length, pos = read_var_uint(data, pos)
    except IndexError:
        raise truncated() from None
    stop = pos + length
    if stop > len(data):
        raise truncated()
    return bytes(data[pos:stop]), stop


def read_var_string(data: bytes | memoryview, pos: int) -> tuple[str, int]:
    """Length-prefixed UTF-8 (lib0: varString) at `pos`; the length is in bytes."""
    raw, pos = read_var_bytes(data, pos)
    try:
        return raw.decode(), pos
    except UnicodeDecodeError:
        raise invalid_utf8() from None


def write_var_uint(value: int) -> bytes:
    """`value` (0 to 2**53 - 1) as a varint."""
    if 0 <= value < 128:
        return _SHORT[value]
    if not 0 <= value <= MAX_SAFE_INTEGER:
        raise ValueError(f"not an unsigned 53-bit integer: {value}")
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def write_var_bytes(value: bytes) -> bytes:
    """`value` behind its length in bytes."""
    size = len(value)
    return (_SHORT[size] if size < 128 else write_var_uint(size)) + value


def write_var_string(value: str) -> bytes:
    """`value` as UTF-8 behind its length in bytes."""
    return write_var_bytes(value.encode())


def truncated() -> ProtocolError:
    return ProtocolError("truncated", "the bytes end in the middle of a field")


def invalid_utf8() -> ProtocolError:
    return ProtocolError("utf8", "a string is not valid UTF-8")
