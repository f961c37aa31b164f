"""The serving process' view of a room's document: where it is held, and its size and cost there."""

from __future__ import annotations

import enum

from crdt_server.rooms.quota import WeddingQuota


class Placement(enum.Enum):
    """The place to which the requests of a room go."""

    HOST = "host"  # the document host of its wedding
    HEAVY_HOST = "heavy host"  # the host of documents that would keep others waiting
    REMOTE = "remote"  # the node that owns the wedding, or may own it


class HostedDocument:
    """See the head of the file. Documents with a schema stay together in the host of their wedding."""

    __slots__ = (
        "built",
        "bytes_only",
        "confirmed",
        "cpu_seconds_per_byte",
        "derived",
        "has_schema",
        "heavy",
        "incarnation",
        "load_deaths",
        "placement",
        "quota",
        "rule_deaths",
        "size",
        "without_rules",
    )

    def __init__(self, *, has_schema: bool, derived: bool = False) -> None:
        self.has_schema = has_schema
        self.derived = derived  # stored bytes may hold what its readers may not see any more: only its host reads them
        self.confirmed = False  # a reply is sent after the store has confirmed the owner of the wedding, and not kept
        self.placement = Placement.HOST
        self.size = 0  # stored bytes
        self.built = False  # the host has built its Doc
        self.heavy = False  # it keeps others waiting
        self.incarnation = 0  # counts the hosts that have held it: another one knows nothing of requests before
        self.bytes_only = False  # no Doc of it survives: its host keeps bytes
        self.load_deaths = 0  # hosts that died of reading its stored updates
        self.quota = WeddingQuota()  # of its wedding
        self.rule_deaths = 0  # hosts that died of the rules of its wedding
        self.without_rules = False  # the rules of its wedding kill a host: they are not applied
        self.cpu_seconds_per_byte = 0.0  # what its requests cost a host lately, of what they cost in bytes

    @property
    def belongs_on_heavy_host(self) -> bool:
        """Whether it is to move there."""
        return self.heavy and not self.has_schema and self.placement is Placement.HOST

    def place(self, placement: Placement) -> None:
        """Its requests go there from now on; nothing of it is in flight."""
        self.placement, self.built = placement, False
        self.incarnation += 1

    def confirm_replies(self) -> None:
        """Another node may come to own its wedding, and hide what this node still shows."""
        self.confirmed = True

    def mark_heavy(self) -> None:
        """It is large, or had a large or deadly update."""
        self.heavy = True

    def measured(self, size: int, *, built: bool) -> None:
        """Record its size in its host, and whether its Doc is built there."""
        self.size, self.built = size, built
        if built:
            self.load_deaths = 0  # its stored updates were survived: those deaths had another cause

    def worked(self, cost_bytes: int, cpu_seconds: float) -> None:
        """Record the CPU time that requests of some cost in bytes took."""
        if cost_bytes > 0:
            self.cpu_seconds_per_byte += (cpu_seconds / cost_bytes - self.cpu_seconds_per_byte) / 4

    def affordable_bytes(self, cpu_seconds: float, budget: int) -> int:
        """How much of a budget in bytes can probably be worked off in some CPU time."""
        rate = self.cpu_seconds_per_byte
        return budget if rate * budget <= cpu_seconds else int(cpu_seconds / rate)

    def host_lost(self) -> None:
        """Its host is gone."""
        self.built = False
        self.incarnation += 1

    def load_died(self) -> int:
        """Count a host that died of reading it; how many there were."""
        self.load_deaths += 1
        return self.load_deaths

    def rules_died(self) -> int:
        """Count a host that died of the rules of its wedding; how many there were."""
        self.rule_deaths += 1
        return self.rule_deaths

    def stop_rules(self) -> None:
        """Apply no rules to its wedding from now on."""
        self.without_rules = True

    def fall_back_to_bytes(self) -> None:
        """Hold it without a Doc from now on."""
        self.bytes_only, self.load_deaths = True, 0
