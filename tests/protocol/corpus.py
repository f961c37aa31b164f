"""The kept bytes: what Yjs wrote (tests/data/corpus) and what breaks pycrdt (tests/data/hostile-updates.json)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent.parent / "data"
CORPUS = DATA / "corpus"


@dataclass(frozen=True)
class YjsFile:
    """One file of tests/data/make_corpus.mjs. `refused`: the error code we answer with, else None."""

    name: str
    refused: str | None
    updates: list[dict[str, Any]]


def yjs_files() -> list[YjsFile]:
    """All files, refused ones included."""
    files = []
    for path in sorted(CORPUS.glob("yjs-*.json")):
        content = json.loads(path.read_text())
        files.append(YjsFile(path.stem, content.get("refused"), content["updates"]))
    return files


def real_updates() -> list[bytes]:
    """Every accepted update made by Yjs, shortest first."""
    found = {bytes.fromhex(row["hex"]) for file in yjs_files() if not file.refused for row in file.updates}
    return sorted(found, key=lambda data: (len(data), data))


def hostile_sequences() -> dict[str, list[bytes]]:
    """Name -> byte sequences that, in order, break a pycrdt Doc (the last element may be a state vector)."""
    content = json.loads((DATA / "hostile-updates.json").read_text())
    content.pop("about")
    return {name: [bytes.fromhex(text) for text in _spelled_out(value)] for name, value in content.items()}


def _spelled_out(value: list[str] | dict[str, Any]) -> list[str]:
    if isinstance(value, list):
        return value
    text, times = value["repeat"]
    return [value["prefix"] + text * times + value["suffix"]]


def state_vectors() -> list[tuple[bytes, dict[int, int]]]:
    """State vectors written by Yjs, each with its clocks as Yjs reads them."""
    rows = json.loads((CORPUS / "state-vectors.json").read_text())
    return [
        (bytes.fromhex(row["hex"]), {int(client): clock for client, clock in row["clocks"].items()}) for row in rows
    ]


def _by_client(clocks: dict[str, int]) -> dict[int, int]:
    return {int(client): clock for client, clock in clocks.items()}
