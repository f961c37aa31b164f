"""Types of files, by their content. Nothing is unpacked or interpreted: the beginning of a file decides.

Programs are refused, and so is a file whose extension says something else than its content. Unknown content is a
stream of bytes. A page of HTML or an SVG is a text here: a browser that is told so runs no script in it.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

import puremagic

from crdt_server.errors import CrdtServerError
from crdt_server.files.names import extension

BYTES: Final = "application/octet-stream"
TEXT: Final = "text/plain"
ZIP: Final = "application/zip"
_OLE: Final = "application/x-ole-storage"

_PROGRAMS: Final = (
    b"\x7fELF",
    b"\xfe\xed\xfa\xce",
    b"\xfe\xed\xfa\xcf",
    b"\xce\xfa\xed\xfe",
    b"\xcf\xfa\xed\xfe",
    b"\xca\xfe\xba\xbe",
    b"\0asm",
    b"#!",
    b"L\0\0\0\x01\x14\x02\0",
    b"dex\n",
)
"""The first bytes of programs: of Linux, macOS, Java, WebAssembly, a shell, of shortcuts and of Android."""
_WINDOWS: Final = b"MZ"
"""The first bytes of programs of Windows, and of some texts."""

_PROGRAM_NAMES: Final = frozenset(
    {
        *("apk", "app", "deb", "dmg", "iso", "jar", "jnlp", "pkg", "rpm", "sh", "xpi"),
        *("bat", "cmd", "com", "cpl", "dll", "exe", "gadget", "hta", "inf", "ins", "js", "jse", "lnk", "mjs", "msc"),
        *("msi", "msp", "pif", "ps1", "psm1", "py", "reg", "scf", "scr", "sys", "url", "vb", "vbe", "vbs", "wsf"),
        *("wsh", "xll"),
    }
)
"""Extensions of what a desktop starts when it is opened."""

_KNOWN: Final = MappingProxyType(
    {
        "application/pdf": "application/pdf",
        "application/rtf": "application/rtf",
        "audio/flac": "audio/flac",
        "audio/mpeg": "audio/mpeg",
        "audio/wave": "audio/wav",
        "audio/x-wav": "audio/wav",
        "application/ogg": "audio/ogg",
        "image/gif": "image/gif",
        "image/jpeg": "image/jpeg",
        "image/png": "image/png",
        "image/tiff": "image/tiff",
        "image/webp": "image/webp",
        "image/x-ms-bmp": "image/bmp",
        "video/avi": "video/x-msvideo",
        "video/webm": "video/webm",
        "application/msword": _OLE,
    }
)
"""Types as the library names them -> as they are kept. Other types that it finds are unknown here."""

_WRITTEN: Final = ("application/pdf", "application/rtf")
"""Types of files that may begin as a text does. The signatures of others are short: a text may have them."""

_OFFICE: Final = "application/vnd.openxmlformats-officedocument"
_OF_ZIP: Final = MappingProxyType(
    {
        "docx": f"{_OFFICE}.wordprocessingml.document",
        "xlsx": f"{_OFFICE}.spreadsheetml.sheet",
        "pptx": f"{_OFFICE}.presentationml.presentation",
        "odt": "application/vnd.oasis.opendocument.text",
        "ods": "application/vnd.oasis.opendocument.spreadsheet",
        "odp": "application/vnd.oasis.opendocument.presentation",
        "epub": "application/epub+zip",
    }
)
_OF_OLE: Final = MappingProxyType(
    {"doc": "application/msword", "xls": "application/vnd.ms-excel", "ppt": "application/vnd.ms-powerpoint"}
)

_BRANDS: Final = (
    (b"avif avis", "image/avif"),
    (b"heic heix heim heis hevc hevx mif1 msf1", "image/heic"),
    (b"M4A  M4B  M4P ", "audio/mp4"),
    (b"3gp4 3gp5 3gp6 3g2a", "video/3gpp"),
    (b"qt  ", "video/quicktime"),
)
"""Brands of files of ISO 14496-12, four bytes each; with another one it is a video."""

_FAMILIES: Final = (
    ("jpg jpeg jfif png gif webp bmp tif tiff heic heif avif", ("image/",)),
    ("mp4 m4v mov webm 3gp avi mp3 m4a aac oga ogg opus wav flac", ("video/", "audio/", BYTES)),
    ("pdf", ("application/pdf",)),
    ("rtf", ("application/rtf",)),
    ("txt csv ics vcf md json xml html htm xhtml svg", (TEXT,)),
    ("zip docx xlsx pptx odt ods odp epub", (ZIP, "application/vnd.", "application/epub")),
    ("doc xls ppt", ("application/msword", "application/vnd.ms-", TEXT, "application/rtf")),
)
_CLAIMED: Final = {each: types for names, types in _FAMILIES for each in names.split()}
"""Extension -> how the type of such a file begins."""


class RefusedFileError(CrdtServerError):
    """A file of a sort that is not stored."""


def media_type(name: str, head: bytes) -> str:
    """The type of a file with this safe name and beginning. Raises RefusedFileError."""
    claimed = extension(name)
    is_program = head.startswith(_PROGRAMS) or (head.startswith(_WINDOWS) and not _is_text(head))
    if is_program or claimed in _PROGRAM_NAMES:
        raise RefusedFileError("program", "programs are not stored")
    found = _by_content(head)
    if found == ZIP:
        found = _OF_ZIP.get(claimed, ZIP)
    elif found == _OLE:
        found = _OF_OLE.get(claimed, BYTES)
    if claimed in _CLAIMED and not found.startswith(_CLAIMED[claimed]):
        raise RefusedFileError("not_as_named", f"the content of the file is not that of a .{claimed}")
    return found


def _by_content(head: bytes) -> str:
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return ZIP
    if head[4:8] == b"ftyp":
        return next((found for brands, found in _BRANDS if head[8:12] in brands), "video/mp4")
    try:
        matches = puremagic.magic_string(head) if head else []
    except puremagic.PureError:
        matches = []
    found = next((_KNOWN[each.mime_type] for each in matches if each.mime_type in _KNOWN), BYTES)
    return TEXT if found not in _WRITTEN and _is_text(head) else found


def _is_text(head: bytes) -> bool:
    """Whether these bytes are UTF-8 without controls. The last character may be cut."""
    if b"\0" in head:
        return False
    for cut in range(4):
        try:
            text = head[: len(head) - cut].decode()
        except UnicodeDecodeError:
            continue
        return not any(each < " " and each not in "\t\n\r\f" for each in text)
    return False
