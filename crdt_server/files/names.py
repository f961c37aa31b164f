"""Names of files as they are stored and shown, made of what a client sends: no paths, no controls, no tricks."""

from __future__ import annotations

import re
import unicodedata
from typing import Final
from urllib.parse import quote

MOST_CHARACTERS: Final = 120
NAMELESS: Final = "file"
_JOINERS: Final = "\u200c\u200d"
"""Between letters of some scripts and parts of an emoji; no other invisible character stays."""
_RESERVED: Final = re.compile(r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?\Z")
_UNSAFE: Final = re.compile(r'[<>:"|?*%;]')


def safe_name(name: str) -> str:
    """The name without its path, controls, marks of direction and what file systems or headers give a meaning.

    Its extension, what is behind the last dot, stays where the name is too long.
    """
    name = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    name = "".join(each for each in name if each in _JOINERS or unicodedata.category(each)[0] != "C")
    name = _UNSAFE.sub("_", " ".join(name.split())).strip(". ")
    if _RESERVED.match(name):
        name = f"_{name}"
    if len(name) > MOST_CHARACTERS:
        stem, dot, extension = name.rpartition(".")
        kept = dot + extension if dot and len(extension) <= 10 else ""
        name = (stem if kept else name)[: MOST_CHARACTERS - len(kept)].rstrip(". ") + kept
    return name.strip(_JOINERS) or NAMELESS


def extension(name: str) -> str:
    """The extension of a name behind its last dot, in lower case; empty where there is none."""
    return name.rpartition(".")[2].lower() if "." in name else ""


def content_disposition(name: str) -> str:
    """The header that has a browser store a file under a safe name and never show it (RFC 6266, RFC 8187)."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^A-Za-z0-9 ._()+-]", "_", plain).strip(". ") or NAMELESS
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
