"""Names and types of files, whatever a client says."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt_server.files.media_types import RefusedFileError, media_type
from crdt_server.files.names import MOST_CHARACTERS, content_disposition, safe_name


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("plan.pdf", "plan.pdf"),
        ("Zoë Hochzeit.jpg", "Zoë Hochzeit.jpg"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\ada\\a.txt", "a.txt"),
        ("photo\u202egpj.exe", "photogpj.exe"),
        ("a\0b\r\nc.txt", "abc.txt"),
        ("..", "file"),
        ("", "file"),
        ("///", "file"),
        ("\u200d", "file"),
        (".htaccess", "htaccess"),
        ("CON", "_CON"),
        ("nul.txt", "_nul.txt"),
        ('a";x="b.txt', "a__x=_b.txt"),
        ("100%.txt", "100_.txt"),
        ("👩\u200d🚀.png", "👩\u200d🚀.png"),
        ("صورة.jpg", "صورة.jpg"),
        ("a" * 500 + ".jpeg", "a" * (MOST_CHARACTERS - 5) + ".jpeg"),
        ("e\u0301.txt", "é.txt"),
    ],
)
def test_names_are_made_safe(given: str, expected: str) -> None:
    assert safe_name(given) == expected


@given(st.text(max_size=300))
def test_any_name_is_safe_and_fits_into_a_header(name: str) -> None:
    safe = safe_name(name)
    assert 0 < len(safe) <= MOST_CHARACTERS
    assert safe_name(safe) == safe
    assert not re.search(r'[/\\"\x00-\x1f<>:|?*]', safe)
    assert not any(unicodedata.category(each) in ("Cc", "Cs") for each in safe)
    assert safe not in (".", "..")
    header = content_disposition(safe)
    assert header.isascii()
    assert header.isprintable()
    parts = re.fullmatch(r"attachment; filename=\"([^\"\\%]+)\"; filename\*=UTF-8''([A-Za-z0-9._~%-]+)", header)
    assert parts is not None
    assert unquote(parts[2]) == safe


@pytest.mark.parametrize(
    ("name", "head", "expected"),
    [
        ("a.jpg", b"\xff\xd8\xff\xe0\0\x10JFIF", "image/jpeg"),
        ("a.png", b"\xff\xd8\xff\xe0\0\x10JFIF", "image/jpeg"),
        ("a.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image/png"),
        ("a.gif", b"GIF89a\1\0\1\0", "image/gif"),
        ("a.webp", b"RIFF\x24\0\0\0WEBPVP8 ", "image/webp"),
        ("a.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "image/heic"),
        ("a.avif", b"\0\0\0\x1cftypavif\0\0\0\0", "image/avif"),
        ("a.mp4", b"\0\0\0\x18ftypisom\0\0\2\0", "video/mp4"),
        ("a.mov", b"\0\0\0\x14ftypqt  \0\0\0\0", "video/quicktime"),
        ("a.m4a", b"\0\0\0\x20ftypM4A \0\0\0\0", "audio/mp4"),
        ("a.mp3", b"ID3\x03\0\0\0\0", "audio/mpeg"),
        ("a.wav", b"RIFF\x24\0\0\0WAVEfmt ", "audio/wav"),
        ("a.pdf", b"%PDF-1.7\n1 0 obj", "application/pdf"),
        ("a.docx", b"PK\x03\x04\x14\0", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        ("a.zip", b"PK\x03\x04\x14\0", "application/zip"),
        ("a.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0", "application/msword"),
        ("a.csv", "Gäste;Tisch\nBMW;2".encode(), "text/plain"),
        ("a.txt", b"MZ is a text, BM too", "text/plain"),
        ("a.txt", "é".encode()[:1] and "aé".encode()[:2], "text/plain"),
        ("a.svg", b"<svg onload='x'>", "text/plain"),
        ("notes", b"\x01\x02\x03\xfe\xff\0", "application/octet-stream"),
    ],
)
def test_types_follow_from_the_content(name: str, head: bytes, expected: str) -> None:
    assert media_type(name, head) == expected


@pytest.mark.parametrize(
    ("name", "head", "code"),
    [
        ("a.jpg", b"MZ\x90\0\3\0\0\0", "program"),
        ("a", b"\x7fELF\2\1\1", "program"),
        ("a.txt", b"#!/bin/sh", "program"),
        ("a.class", b"\xca\xfe\xba\xbe\0\0\0\x34", "program"),
        ("a.EXE", b"text", "program"),
        ("a.lnk", b"text", "program"),
        ("a.jpg", b"%PDF-1.7", "not_as_named"),
        ("a.pdf", b"<html>", "not_as_named"),
        ("a.txt", b"\0\1\2", "not_as_named"),
        ("a.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "not_as_named"),
    ],
)
def test_programs_and_disguises_are_refused(name: str, head: bytes, code: str) -> None:
    with pytest.raises(RefusedFileError) as refused:
        media_type(name, head)
    assert refused.value.code == code


@given(st.text(max_size=20), st.binary(max_size=200))
def test_any_file_has_a_type_or_is_refused(name: str, head: bytes) -> None:
    try:
        found = media_type(safe_name(name), head)
    except RefusedFileError:
        return
    assert re.fullmatch(r"[a-z0-9.+-]{1,60}/[A-Za-z0-9.+-]{1,60}", found)
