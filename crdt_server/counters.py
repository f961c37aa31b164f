"""Counts of all rooms of a server in plain integers, cheap enough for hot paths; `metrics` reports them."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Counters:
    """Every count since the start. `closed`: sockets closed by the server, by close code."""

    updates: int = 0
    known_updates: int = 0
    gaps: int = 0
    protocol_errors: int = 0
    violations: int = 0
    reverted: int = 0
    fan_out_messages: int = 0
    fan_out_bytes: int = 0
    awareness_messages: int = 0
    awareness_shed: int = 0
    awareness_states: int = 0
    awareness_pauses: int = 0
    edit_pauses: int = 0
    frame_pauses: int = 0
    revert_pauses: int = 0
    last_seen_rows: int = 0
    routed_events: int = 0
    inbox_items: int = 0
    inbox_read: int = 0
    inbox_trimmed: int = 0
    routing_skipped: int = 0
    outbox_overflow: int = 0
    outbox_trimmed: int = 0
    closed: dict[int, int] = field(default_factory=dict)
