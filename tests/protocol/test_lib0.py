import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt_server.errors import ProtocolError
from crdt_server.protocol.lib0 import (
    MAX_SAFE_INTEGER,
    read_var_bytes,
    read_var_string,
    read_var_uint,
    write_var_bytes,
    write_var_string,
    write_var_uint,
)

EDGES = (0, 1, 127, 128, 16383, 16384, 2**31, 2**32, 2**49 - 1, 2**49, MAX_SAFE_INTEGER)


@given(
    st.one_of(st.sampled_from(EDGES), st.integers(0, MAX_SAFE_INTEGER)), st.binary(max_size=3), st.binary(max_size=3)
)
def test_integers_come_back(value: int, before: bytes, after: bytes) -> None:
    encoded = write_var_uint(value)
    assert len(encoded) <= 8
    assert read_var_uint(before + encoded + after, len(before)) == (value, len(before) + len(encoded))


@given(st.binary(max_size=300), st.binary(max_size=3))
def test_bytes_come_back(value: bytes, after: bytes) -> None:
    encoded = write_var_bytes(value)
    assert read_var_bytes(encoded + after, 0) == (value, len(encoded))


@given(st.text(max_size=200))
def test_strings_come_back(value: str) -> None:
    encoded = write_var_string(value)
    assert read_var_string(encoded, 0) == (value, len(encoded))


@pytest.mark.parametrize("value", [-1, MAX_SAFE_INTEGER + 1])
def test_only_safe_integers_are_written(value: int) -> None:
    with pytest.raises(ValueError, match="53-bit"):
        write_var_uint(value)


@pytest.mark.parametrize("text", ["8000", "ff00", "808000", "ffffffffffffff1f", "ffffffffffffffff01", "ff" * 131072])
def test_overlong_integers_are_refused(text: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        read_var_uint(bytes.fromhex(text), 0)
    assert caught.value.code == "varint"


@pytest.mark.parametrize("text", ["", "80", "05616263", "ffffffffffffff0f61"])
def test_reading_past_the_end_is_refused(text: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        read_var_bytes(bytes.fromhex(text), 0)
    assert caught.value.code == "truncated"


@pytest.mark.parametrize("raw", [b"\xff", b"\xc0\x80", b"\xed\xa0\xbd", b"\xf4\x90\x80\x80", b"\xf0\x9f"])
def test_strings_that_are_not_utf8_are_refused(raw: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        read_var_string(write_var_bytes(raw), 0)
    assert caught.value.code == "utf8"
