"""Splits a large update into several smaller ones, each of which is soon applied."""

from __future__ import annotations

from collections.abc import Sequence

from crdt_server.protocol.lib0 import write_var_uint
from crdt_server.protocol.update import Run, decode_runs, encode_delete_set


def split_update(data: bytes, piece_bytes: int) -> list[bytes]:
    """Split an update into updates of about ``piece_bytes``, to be applied in their order; at least one.

    A struct that is larger by itself is left whole, and so is an update in which new structs of several clients refer
    to one another (their order follows only from integrating them). Raises `ProtocolError`.
    """
    update, runs = decode_runs(data, piece_bytes)
    first: dict[int, int] = {}
    for run in runs:
        first.setdefault(run.client, run.clock)
    if len(data) <= piece_bytes or any(clock > first.get(client, clock) for client, clock in update.requires.items()):
        return [data]
    pieces: list[bytes] = []
    group: list[Run] = []
    for run in runs:
        if group and (run.client == group[-1].client or run.end - group[0].start > piece_bytes):
            pieces.append(_join_runs(data, group))
            group = []
        group.append(run)
    if group:
        pieces.append(_join_runs(data, group))
    ranges = max(1, piece_bytes // 8)
    pieces += [
        b"\0" + encode_delete_set(update.deletes[begin : begin + ranges])
        for begin in range(0, len(update.deletes), ranges)
    ]
    return pieces or [data]


def _join_runs(data: bytes, runs: Sequence[Run]) -> bytes:
    out = [write_var_uint(len(runs))]
    for run in runs:
        out += (write_var_uint(run.structs), write_var_uint(run.client), write_var_uint(run.clock))
        out.append(data[run.start : run.end])
    out.append(b"\0")
    return b"".join(out)
