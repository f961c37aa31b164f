"""The honest people of a soak: where they are, and what they work on (see works.mjs)."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from typing import Any

from documents import kind_of

ATTACKED = "w_attacked/notes.attacked"
ATTACKED_WEDDING = ATTACKED.split("/")[0]
WEDDINGS = (ATTACKED_WEDDING, "w_quiet", "w_still")
"""Of 250 guests each."""

DOCUMENTS = ("guests", "timeline", "budget")
FIRST_ID = 700_000_001
LABOURS = {"typists": 4, "offline": 20, "undoers": 2}
"""Honest work that once cost others, or its own people, too much; how many do it."""

PARTIES = {"typists": "w_typists/guests", "undoers": "w_undoers/guests"}
NOTE_ROOTS = {"honest": "text", "honest-map": "record"}

Client = dict[str, Any]


def people(labours: set[str]) -> list[list[Client]]:
    """Ten clients in the attacked wedding, ten in others, and those of the chosen labours; by process. Half of the
    twenty share sockets of Hocuspocus."""
    ids = itertools.count(FIRST_ID)
    attacked = [(ATTACKED, "note")] * 4 + [(f"{ATTACKED_WEDDING}/{name}", "records") for name in DOCUMENTS] * 2
    others = [(f"{wedding}/notes.a", "note") for wedding in WEDDINGS[1:]]
    others += [(f"{wedding}/{name}", "records") for wedding, name in zip(WEDDINGS[1:] * 2, DOCUMENTS, strict=False)]
    found = [_sharing(list(_clients(group, ids))) for group in (attacked, others * 2)]
    if labours:
        labourers = [(room, name) for name in sorted(labours) for room in _rooms(name)]
        found.append(list(_clients(labourers, ids)))
    return found


def _sharing(clients: list[Client]) -> list[Client]:
    """Every second client of a room is on a socket of Hocuspocus, with one of each other room."""
    seen: Counter[str] = Counter()
    for client in clients:
        room = f"{client['wedding']}/{client['document']}"
        if seen[room] % 2:
            client["socket"] = seen[room] // 2
        seen[room] += 1
    return clients


def _rooms(labour: str) -> Iterator[str]:
    for number in range(LABOURS[labour]):
        yield PARTIES.get(labour, f"w_{labour}{number}/guests")


def _clients(group: list[tuple[str, str]], ids: Iterator[int]) -> Iterator[Client]:
    numbers: Counter[str] = Counter()
    for room, work in group:
        yield _client(room, work, next(ids)) | {"number": numbers[work]}
        numbers[work] += 1


def _client(room: str, work: str, id_: int) -> Client:
    wedding, document = room.split("/")
    kind = kind_of(document)
    assert kind is not None
    roots = (
        NOTE_ROOTS if document.startswith("notes.") else {root.name: root.shape.value for root in kind.roots.values()}
    )
    return {"wedding": wedding, "document": document, "id": id_, "work": work, "roots": roots, "socket": None}


def rooms(clients: list[list[Client]]) -> list[str]:
    """Where they are, each once."""
    return list(dict.fromkeys(f"{each['wedding']}/{each['document']}" for group in clients for each in group))
