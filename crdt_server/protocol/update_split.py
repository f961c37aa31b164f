"""Splits a large update into several smaller ones, each of which is soon applied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from heapq import heappop, heappush

from crdt_server.protocol.lib0 import write_var_uint
from crdt_server.protocol.structs import Id, Struct
from crdt_server.protocol.update import Run, Update, decode_runs, decode_structs, encode_delete_set


def split_update(data: bytes, piece_bytes: int) -> list[bytes]:
    """Split an update into updates of about ``piece_bytes``, to be applied in their order; at least one.

    A struct that is larger by itself is left whole, and so is an update in which new structs refer to one another in a
    circle or holes are declared between structs of clients that refer to one another. Raises `ProtocolError`.
    """
    update, runs = decode_runs(data, piece_bytes)
    if len(data) <= piece_bytes:
        return [data]
    if _refers_to_itself(update, runs):
        ordered = None if update.skips else _in_order(data)
        if ordered is None:
            return [data]
        runs = ordered
    pieces = [_join_runs(data, group) for group in _grouped(runs, piece_bytes)]
    ranges = max(1, piece_bytes // 8)
    pieces += [
        b"\0" + encode_delete_set(update.deletes[begin : begin + ranges])
        for begin in range(0, len(update.deletes), ranges)
    ]
    return pieces or [data]


def _refers_to_itself(update: Update, runs: Sequence[Run]) -> bool:
    """Whether new structs of one client refer to new ones of another: their order is not that of the bytes."""
    first: dict[int, int] = {}
    for run in runs:
        first.setdefault(run.client, run.clock)
    return any(clock > first.get(client, clock) for client, clock in update.requires.items())


def _in_order(data: bytes) -> list[Run] | None:
    """Every struct by itself, each behind those that it refers to; None where some refer to one another in a circle."""
    structs = decode_structs(data).structs
    _, runs = decode_runs(data, 0)
    queues: dict[int, list[tuple[Run, Struct]]] = {}
    for pair in zip(reversed(runs), reversed(structs), strict=True):
        queues.setdefault(pair[0].client, []).append(pair)
    reached = {client: queue[-1][0].clock for client, queue in queues.items()}
    waiting: dict[int, list[Id]] = {client: [] for client in queues}  # heaps of awaited clock and waiting client
    ordered: list[Run] = []
    ready = list(queues)
    while ready:
        client = ready.pop()
        queue = queues[client]
        while queue:
            run, struct = queue[-1]
            awaited = _awaited(struct, reached)
            if awaited is not None:
                heappush(waiting[awaited[0]], (awaited[1], client))
                break
            ordered.append(run)
            queue.pop()
            reached[client] = struct.clock + struct.length
        while waiting[client] and waiting[client][0][0] < reached[client]:
            ready.append(heappop(waiting[client])[1])
    return ordered if len(ordered) == len(runs) else None


def _awaited(struct: Struct, reached: Mapping[int, int]) -> Id | None:
    """An id of the update that has to come before a struct and has not come yet."""
    for reference in (struct.origin, struct.right_origin, struct.parent):
        if type(reference) is tuple and reference[1] >= reached.get(reference[0], reference[1] + 1):
            return reference
    return None


def _grouped(runs: Sequence[Run], piece_bytes: int) -> list[list[Run]]:
    groups: list[list[Run]] = []
    size = 0
    for run in runs:
        size += run.end - run.start
        if not groups or size > piece_bytes:
            groups.append([])
            size = run.end - run.start
        groups[-1].append(run)
    return groups


def _join_runs(data: bytes, runs: Sequence[Run]) -> bytes:
    """An update of these runs. Those of one client follow on one another."""
    sections: dict[int, list[Run]] = {}
    for run in runs:
        sections.setdefault(run.client, []).append(run)
    out = [write_var_uint(len(sections))]
    for client, section in sections.items():
        out += (write_var_uint(sum(run.structs for run in section)), write_var_uint(client))
        out.append(write_var_uint(section[0].clock))
        out += [data[run.start : run.end] for run in section]
    out.append(b"\0")
    return b"".join(out)
