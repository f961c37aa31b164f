"""Puts together what brings events to people: the router, the outbox, digests, and the services behind their calls."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Final

from starlette.datastructures import State

from crdt_server.access.policy import policy_of
from crdt_server.access.threads import THREAD
from crdt_server.hub.hub import Hub
from crdt_server.key_source import read_link_secrets
from crdt_server.services.messages import MessageService
from crdt_server.services.messaging.contact_service import ContactService
from crdt_server.services.messaging.delivery import DeliveryWorker
from crdt_server.services.messaging.digest import Digests
from crdt_server.services.messaging.inbox_bound import InboxBound
from crdt_server.services.messaging.mentions import mentioned
from crdt_server.services.messaging.model import Channel, Sender
from crdt_server.services.messaging.outbox_bound import OutboxBound
from crdt_server.services.messaging.outbox_service import OutboxService
from crdt_server.services.messaging.outbox_upkeep import OutboxUpkeep
from crdt_server.services.messaging.overrides import RoutingOverrides
from crdt_server.services.messaging.planning import Planner
from crdt_server.services.messaging.preference_service import PreferenceService
from crdt_server.services.messaging.push_hosts import parse_push_hosts
from crdt_server.services.messaging.router import EventRouter, trim_inboxes
from crdt_server.services.messaging.rules import default_rules
from crdt_server.services.messaging.senders import ChannelSenders
from crdt_server.services.messaging.still_known import StillKnown
from crdt_server.services.messaging.unsubscribe import UnsubscribeLinks
from crdt_server.services.messaging.webhooks import WebhookService
from crdt_server.services.search import INDEXER
from crdt_server.services.threads import ThreadService
from storage import StoredEvent, StoredItem, mirror_messages, project_attachments

PROJECTIONS: Final = (mirror_messages, project_attachments, INDEXER.project)
"""The projections that are brought up to date with the events that are routed."""


class Messaging:
    """See the head of the file. `start` begins to route and to send, `stop` ends the sending."""

    def __init__(self, hub: Hub, state: State, senders: Mapping[Channel, Sender]) -> None:
        self._hub = hub
        self._now = partial(datetime.now, UTC)
        self._planner = Planner(
            default_rules(), state.access, mentioned, policy=policy_of(state.access), channels=frozenset(senders)
        )
        self._known = StillKnown(hub.storage, self._planner, hub.rights.cache).events
        links = UnsubscribeLinks(read_link_secrets(hub.settings), hub.settings.public_url)
        node = "" if hub.cluster is None else hub.cluster.node
        self._delivery = DeliveryWorker(
            hub.storage,
            ChannelSenders(senders, hub.metrics),
            self._now,
            lease=f"{node}:{secrets.token_hex(8)}",
            lease_seconds=hub.settings.delivery_lease_seconds,
            unsubscribe=links.of_message,
            known=self._known,
        )
        self._inbox_bound = InboxBound(hub.storage, hub.settings.inbox_bytes, hub.metrics.counters)
        self._outbox_bound = OutboxBound(hub.storage, hub.metrics.counters)
        self.router = EventRouter(
            hub.storage,
            self._planner,
            hub.rights.cache,
            self._now,
            hub.metrics.counters,
            projections=PROJECTIONS,
            on_inbox=self._on_inbox,
            on_outbox=self._outbox_bound.added,
            on_messages=self._delivery.wake,
            concerns=self._concerns,
        )
        router = self.router
        hub.publish_events.listeners.append(router.wake)
        hub.metrics.routing(lambda: router.lag_events, lambda: router.lag_seconds, lambda: router.writing)
        state.unsubscribe_links = links
        state.known_now = self._known
        self._open_services(state)

    def start(self) -> None:
        """Begin to route, to send, and to tidy up."""
        hub = self._hub
        hub.spawn(self.router.run())
        hub.spawn(self._inbox_bound.run())
        hub.spawn(self._outbox_bound.run())
        hub.spawn(trim_inboxes(hub.storage, self._now, hub.settings.inbox_days))
        hub.spawn(Digests(hub.storage, self._now, self._on_digests, self._known).run())
        hub.spawn(OutboxUpkeep(hub.storage, hub.metrics, self._now).run())
        self._delivery.start()

    async def stop(self) -> None:
        """Send nothing more; what is being sent is given back, or ends."""
        await self._delivery.stop()

    def _open_services(self, state: State) -> None:
        hub, policy = self._hub, policy_of(state.access)
        parts = hub.storage, self._now
        state.outbox = OutboxService(*parts, self._delivery.wake)
        state.preferences = PreferenceService(*parts)
        state.contacts = ContactService(
            *(*parts, self._delivery.channels_configured, self._delivery.wake),
            push_hosts=parse_push_hosts(hub.settings.push_hosts),
        )
        state.routing = RoutingOverrides(*parts, default_rules(), policy, changes=state.changes)
        state.webhooks = WebhookService(
            *parts, policy, allow_private=hub.settings.webhooks_allow_private, changes=state.changes
        )
        state.messages = MessageService(*parts, state.access)
        reporting = *parts, hub.rights.changed
        state.threads = ThreadService(
            *reporting, access=state.access, published=hub.publish_events, changes=state.changes
        )

    def _concerns(self, event: StoredEvent) -> bool:
        """Whether a rule is about an event, or one of PROJECTIONS: two of them are about messages only."""
        concerned = self._planner.rules.about(event.type) or event.document.startswith(THREAD)
        return bool(concerned) or any(True for _ in INDEXER.concerned(event))

    def _on_inbox(self, wedding: str, items: Sequence[tuple[str, StoredItem]], read: Iterable[str]) -> None:
        self._inbox_bound.added(wedding, items)
        self._hub.publish_inbox(wedding, {user for user, _ in items}.union(read))

    def _on_digests(self, number: int) -> None:
        self._hub.metrics.digests.inc(number)
        self._delivery.wake()
