"""Every metric of the server, in one place. Hot paths count in plain integers (`Counters`); the collector
here reads those when they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from crdt_server.counters import Counters

COUNTERS = {
    "updates": "Updates accepted from clients",
    "known_updates": "Updates that brought nothing new",
    "gaps": "Updates that would have left a hole, answered by a sync step 1",
    "protocol_errors": "Malformed messages",
    "violations": "Well-formed updates that a document could not take",
    "reverted": "Updates of which something had to be undone",
    "fan_out_messages": "Document messages sent to sockets",
    "fan_out_bytes": "Bytes of document and presence messages sent to sockets",
    "awareness_messages": "Presence messages sent to sockets",
    "awareness_shed": "Presence messages left out because a socket was slow",
    "awareness_states": "Presence states read from sockets",
    "awareness_pauses": "Sockets that were not read for a while because they had sent too much presence",
    "edit_pauses": "Sockets that were not read for a while because their person had sent more than its role allows",
    "frame_pauses": "Sockets that were not read for a while because their person had sent too many frames",
    "revert_pauses": "Sockets that were not read for a while because much of what they sent had to be undone",
    "last_seen_rows": "Rows written about people who are or were connected",
    "routed_events": "Stored events of which the recipients were decided",
    "inbox_items": "Items added to inboxes",
    "inbox_read": "Items of inboxes that were read",
    "inbox_trimmed": "Items deleted because the inboxes of their wedding were too large",
    "outbox_trimmed": "Messages that were over, deleted because their wedding had too many",
    "outbox_overflow": "Messages left out because too many of their recipient waited",
    "routing_skipped": "Events that were set aside: something of what follows from them was not stored",
}

ROUTING = {
    "routing_lag_events": "Stored events that were not routed yet",
    "routing_lag_seconds": "How long the oldest of them has been stored",
    "routing_writes": "Items and messages of the transaction under way",
}
"""Gauges of the router; 0 until it is there."""


class FileMetrics:
    """Those of files that people send along."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.refused = Counter("crdt_files_refused", "Uploads of files that were not kept", ["code"], registry=registry)
        self.removed = Counter(
            "crdt_files_removed", "Files that were removed because nothing referred to them", registry=registry
        )


class Metrics(Collector):
    """The registry of one server instance (several may live in one process)."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.counters = Counters()
        self.gauges: dict[str, tuple[str, Callable[[], float]]] = {
            name: (text, float) for name, text in ROUTING.items()
        }
        self.commit_seconds = Histogram(
            "crdt_commit_seconds",
            "Seconds of one commit",
            registry=self.registry,
            buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5),
        )
        sizes = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000)
        self.commit_rows = Histogram("crdt_commit_rows", "Rows of one commit", registry=self.registry, buckets=sizes)
        self.batch_requests = Histogram(
            "crdt_host_batch_requests",
            "Requests in one batch to a document host",
            registry=self.registry,
            buckets=sizes,
        )
        self.loop_late_seconds = Histogram(
            "crdt_loop_late_seconds",
            "How late the event loop came back, sampled fifty times a second",
            registry=self.registry,
            buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5),
        )
        self.commit_failures = Counter("crdt_commit_failures", "Commits that failed", registry=self.registry)
        self.host_restarts = Counter("crdt_host_restarts", "Document hosts that died", registry=self.registry)
        self.evictions = Counter("crdt_room_evictions", "Idle rooms that were evicted", registry=self.registry)
        self.compactions = Counter("crdt_compactions", "Runs of updates merged in the store", registry=self.registry)
        self.expired_event_bytes = Counter(
            "crdt_expired_event_bytes", "Bytes of events that were kept long enough", registry=self.registry
        )
        self.quarantined = Counter("crdt_quarantined", "Updates kept aside", registry=self.registry)
        self.hosts_full = Counter("crdt_hosts_full", "Documents not opened for want of memory", registry=self.registry)
        self.slow_consumers = Counter("crdt_slow_consumers", "Sockets closed for not reading", registry=self.registry)
        self.revoked = Counter(
            "crdt_sessions_revoked", "Sessions that lost their room with their rights", registry=self.registry
        )
        self.audit_merged = Counter(
            "crdt_audit_merged", "Entries of audit logs that were only counted", registry=self.registry
        )
        self.digests = Counter("crdt_digests", "Digests that were made", registry=self.registry)
        self.refused = Counter("crdt_refused_connections", "Sockets not let in", ["reason"], registry=self.registry)
        self.refused_requests = Counter(
            "crdt_refused_requests", "HTTP requests above a limit (429)", ["code"], registry=self.registry
        )
        self._count_messages()
        self.files = FileMetrics(self.registry)
        self.registry.register(self)

    def _count_messages(self) -> None:
        """Count the messages that leave the server, by channel."""
        of, registry = ["channel"], self.registry
        self.messages_sent = Counter("crdt_messages_sent", "Attempts to send a message", of, registry=registry)
        self.messages_delivered = Counter(
            "crdt_messages_delivered", "Messages that the channel took over", of, registry=registry
        )
        self.messages_dead = Counter(
            "crdt_messages_dead", "Messages that are not sent any more after all attempts failed", of, registry=registry
        )
        self.outbox_depth = Gauge(
            "crdt_outbox_depth", "Messages of all nodes that are to be sent, digests left out", of, registry=registry
        )
        self.outbox_oldest_seconds = Gauge(
            "crdt_outbox_oldest_seconds", "How long the oldest message that is due has been due", of, registry=registry
        )

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Report the value of ``read()`` whenever the metrics are read."""
        self.gauges[name] = (text, read)

    def routing(self, *reads: Callable[[], float]) -> None:
        """Report a router by these readings, in the order of `ROUTING`."""
        for (name, text), read in zip(ROUTING.items(), reads, strict=True):
            self.gauge(name, text, read)

    def collect(self) -> Iterator[Metric]:
        """Called by prometheus-client."""
        for field, text in COUNTERS.items():
            family = CounterMetricFamily(f"crdt_{field}", text)
            family.add_metric([], getattr(self.counters, field))
            yield family
        closed = CounterMetricFamily("crdt_sockets_closed", "Sockets closed by the server", labels=["code"])
        for code, count in sorted(self.counters.closed.items()):
            closed.add_metric([str(code)], count)
        yield closed
        for name, (text, read) in self.gauges.items():
            yield GaugeMetricFamily(f"crdt_{name}", text, value=read())

    def render(self) -> bytes:
        """The Prometheus text format."""
        return generate_latest(self.registry)
