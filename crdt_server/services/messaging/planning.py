"""Planning of a page of events: items of inboxes and messages to be sent, decided with the rules, the rights and
the rows of one wedding at one moment. Reads, and writes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from crdt_server.access.identity import Identity
from crdt_server.access.members import WeddingRights
from crdt_server.access.policy import Decides, Policy, default_policy
from crdt_server.access.threads import THREAD
from crdt_server.services.messaging.event_facts import RoutedEvent, WeddingRows, decoded
from crdt_server.services.messaging.knowledge import Knowledge
from crdt_server.services.messaging.model import Channel, Priority
from crdt_server.services.messaging.params import EventTexts
from crdt_server.services.messaging.people import PeopleOfWeddings
from crdt_server.services.messaging.preferred_timings import preferred_timings
from crdt_server.services.messaging.recipients import Mentioned, Recipients, nobody_mentioned
from crdt_server.services.messaging.rules import RoutingRule, RoutingRules, Send
from crdt_server.services.messaging.timings import DROPPED, HELD, Timings, TimingsOf
from crdt_server.services.messaging.webhooks import subscribes_to
from documents.events.rules import IMPORT
from storage import DeliveryValues, ItemValues, LastSeen, NewMessage, RoutedPage, RoutingReader, StoredEvent
from storage.outbox import NO_PARAMS, key_of
from storage.routing import MERGED_WITHIN
from storage.routing_reader import Webhook

REDACTED: Final = "message.redacted"
MOST_DRAFTS: Final = 150
"""Items of one page, and those of its last event: what follows from them is stored in about ten milliseconds."""

MOST_FOR_WEBHOOKS: Final = 300
"""Messages of one page for webhooks, and those of its last event."""

PRESENT_SECONDS: Final = 90.0
"""Somebody whose row is older is not in a document any more: the node has died."""


@dataclass(slots=True)
class _DraftItem:
    """An item for one person: events of one type about one record."""

    user: str
    rule: RoutingRule
    events: list[RoutedEvent]
    params: dict[str, str]

    _encoded: str = ""

    @property
    def encoded(self) -> str:
        """`params` as JSON, made once for all channels: they change no more when it is needed."""
        if not self._encoded:
            self._encoded = _encoded(self.params)
        return self._encoded

    @property
    def newest(self) -> RoutedEvent:
        return self.events[-1]

    @property
    def priority(self) -> int:
        return min(event.priority for event in self.events)


@dataclass(frozen=True, slots=True)
class Planner:
    """See the head of the file. ``mentioned``: finds names in messages; ``timings_of``: reads preferences;
    ``channels``: those that have a sender, nothing is written for others."""

    rules: RoutingRules
    access: Decides
    mentioned: Mentioned = nobody_mentioned
    timings_of: TimingsOf = preferred_timings
    policy: Policy = field(default_factory=default_policy)
    channels: frozenset[Channel] = frozenset(Channel)
    people: PeopleOfWeddings = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "people", PeopleOfWeddings(self.policy))

    def plan(
        self,
        reader: RoutingReader,
        rights: WeddingRights,
        now: datetime,
        limit: int,
        between: Callable[[], None] = lambda: None,
    ) -> RoutedPage | None:
        """The next page of a wedding; None: every event was routed. ``between`` is called between two decisions, so
        that a busy process does other things there."""
        after = reader.cursor()
        page = reader.events(after, limit)
        if not page:
            return None
        routed = RoutedPage(reader.wedding, rights.version, after, page[-1].seq, now, page)
        webhooks = reader.webhooks() if Channel.WEBHOOK in self.channels else []
        concerned = [event for event in page if self.rules.about(event.type) or _is_subscribed(webhooks, event.type)]
        if concerned:
            routed = _WeddingPlan(self, reader, rights, now, between).fill(routed, concerned, webhooks)
        redacted = redacted_in(page)
        return routed._replace(redacted=redacted) if redacted else routed


def redacted_in(page: Sequence[StoredEvent]) -> list[tuple[str, str]]:
    """Documents and records of messages that were redacted in some events."""
    return [(event.document, event.record) for event in page if event.type == REDACTED]


@dataclass(slots=True)
class _WeddingPlan:
    """The plan of one page."""

    planner: Planner
    reader: RoutingReader
    rights: WeddingRights
    now: datetime
    between: Callable[[], None]
    people: Mapping[str, Identity] = field(init=False)
    rows: WeddingRows = field(init=False)
    to: Recipients = field(init=False)
    knowledge: Knowledge = field(init=False)
    texts: EventTexts = field(init=False)
    present: dict[str, set[str]] = field(init=False, default_factory=dict)  # document -> users

    def __post_init__(self) -> None:
        access, wedding = self.planner.access, self.reader.wedding
        self.people = self.planner.people.of(wedding, self.rights)
        self.rows = WeddingRows(self.reader)
        self.to = Recipients(self.reader, self.rows, self.people, access, wedding, self.planner.mentioned)
        self.knowledge = Knowledge(access, wedding, self.rows)
        self.texts = EventTexts(self.rows, self.rights.members, self.reader)

    def fill(self, page: RoutedPage, concerned: Sequence[StoredEvent], webhooks: Sequence[Webhook]) -> RoutedPage:
        """The page with what follows from its events that concern somebody."""
        rules = self.planner.rules.overridden((each.rule, each.body) for each in self.reader.overrides())
        events = [event for event in map(decoded, concerned) if event.body.get("cause") != IMPORT]
        if any(event.priority == Priority.EMERGENCY for event in events):
            self.between = _go_on
        for document, root, records in _by_root(events):
            self.rows.prefetch(document, root, records)
        most = max(1, MOST_FOR_WEBHOOKS // len(webhooks)) if webhooks else len(events)
        drafts, done = self._drafts(rules, events[:most])
        if done < len(events):
            until = events[done].seq - 1
            events = events[:done]
            page = page._replace(until=until, events=[each for each in page.events if each.seq <= until])
        items: list[ItemValues] = []
        deliveries: dict[str, DeliveryValues] = {}
        users = {draft.user for draft in drafts}
        timings = self.planner.timings_of(self.reader, users)
        addresses = {each for each in self.reader.channels(users) if each[1] in self.planner.channels}
        earlier = self._earlier(page.after, drafts) if drafts else {}
        for draft in drafts:
            self.between()
            found = earlier.get(_subject(draft.newest), ())
            before = tuple(seq for seq, at in found if draft.events[0].at - at <= MERGED_WITHIN)
            for send in draft.rule.send:
                if send.channel is Channel.INBOX:
                    if self._applies(send, draft) and self._receives(draft, timings):
                        items.append(_item(draft, before, self.to.sequence_of(draft.newest)))
                elif (draft.user, send.channel.value) in addresses and self._applies(send, draft):
                    made = self._delivery(draft, send, timings, before)
                    if made is not None:
                        _add(deliveries, made)
        made_for_webhooks = list(self._for_webhooks(webhooks, events))
        ordered = sorted((*deliveries.values(), *made_for_webhooks), key=_urgency)
        return page._replace(items=items, deliveries=ordered)

    def _for_webhooks(self, webhooks: Sequence[Webhook], events: Iterable[RoutedEvent]) -> Iterator[DeliveryValues]:
        """A message for each event that a webhook subscribes to and whoever added it may know of."""
        for event in events if webhooks else ():
            subscribed = [each for each in webhooks if _is_subscribed((each,), event.type)]
            if not subscribed or self._is_redacted(event):
                continue
            params = {by: _params_for(self, by, event) for by in {each.by for each in subscribed}}
            for webhook in subscribed:
                encoded = params[webhook.by]
                if encoded is not None:
                    yield DeliveryValues(self._message(webhook.id, Channel.WEBHOOK, event, encoded))

    def _message(self, user: str, channel: Channel, event: RoutedEvent, params: str) -> NewMessage:
        wedding = self.reader.wedding
        return NewMessage(
            key_of(wedding, event.seq, user, channel), wedding, user, channel.value, event.seq, event.type,
            event.priority, event.document, event.record, params, event.at,
        )  # fmt: skip

    # -- recipients

    def _drafts(self, rules: RoutingRules, events: Iterable[RoutedEvent]) -> tuple[list[_DraftItem], int]:
        """The items for people, and the number of events that they cover: the others are for the next page."""
        drafts: list[_DraftItem] = []
        open_: dict[tuple[object, ...], _DraftItem] = {}
        done = 0
        for event in events:
            if len(drafts) >= MOST_DRAFTS:
                break
            done += 1
            for user, rule in self._recipients(rules, event):
                self.between()
                participants = self.to.participants(event.document)
                known = self.knowledge.of(self.people[user], event, participants=participants, tells=rule.tells)
                if known is None:
                    continue
                params = self.texts.params(event, known)
                draft = open_.get((user, *_subject(event)))
                if draft is not None and event.at - draft.events[0].at <= MERGED_WITHIN:
                    draft.events.append(event)
                    draft.params, draft.rule = params, rule
                else:
                    draft = open_[(user, *_subject(event))] = _DraftItem(user, rule, [event], params)
                    drafts.append(draft)
        return drafts, done

    def _recipients(self, rules: RoutingRules, event: RoutedEvent) -> Iterator[tuple[str, RoutingRule]]:
        """The users who are informed of an event, each with the first rule that fits."""
        if self._is_redacted(event):
            return
        severity = self._severity(event)
        seen = set(event.actors)
        for rule in rules.about(event.type):
            if not rule.fits(event.type, severity):
                continue
            for user in self.to.named_by(rule.audience, event):
                if user not in seen and user in self.people:
                    seen.add(user)
                    if not self.to.has_read(user, event):
                        yield user, rule

    def _is_redacted(self, event: RoutedEvent) -> bool:
        return event.document.startswith(THREAD) and event.record in self.rows.rows(event.document, "redactions")

    def _severity(self, event: RoutedEvent) -> str:
        for row in (event.after, self._row(event), event.before):
            if isinstance(row, dict):
                found = row.get("severity", row.get("_severity"))
                if found is not None:
                    return str(found)
        return ""

    def _row(self, event: RoutedEvent) -> Any:
        return self.rows.rows(event.document, event.root).get(event.record)

    # -- channels

    def _applies(self, send: Send, draft: _DraftItem) -> bool:
        """Whether the conditions of a channel hold."""
        event = draft.newest
        if send.severities and self._severity(event) not in send.severities:
            return False
        if send.live and not self.rows.live:
            return False
        if send.starts_within_hours and not self._starts_within(event, timedelta(hours=send.starts_within_hours)):
            return False
        if send.days_before >= 0:
            left = self.rows.days_before(self.now)
            if left is None or not 0 <= left <= send.days_before:
                return False
        return not (send.absent and draft.user in self._present_in(event.document))

    def _receives(self, draft: _DraftItem, timings: Timings) -> bool:
        return timings.of(draft.user, draft.priority, draft.newest.type, Channel.INBOX, self.now).state != DROPPED

    def _starts_within(self, event: RoutedEvent, limit: timedelta) -> bool:
        row = self._row(event)
        start = self.rows.start_of(row) if isinstance(row, dict) else None
        return start is not None and timedelta(0) <= start - self.now < limit

    def _present_in(self, document: str) -> set[str]:
        if document not in self.present:
            self.present[document] = {row.user for row in self.reader.last_seen() if _is_in(row, document, self.now)}
        return self.present[document]

    def _delivery(
        self, draft: _DraftItem, send: Send, timings: Timings, before: Iterable[int]
    ) -> DeliveryValues | None:
        first, number = draft.events[0], len(draft.events)
        if send.digest:
            timing = timings.of_digest(draft.user, first.type, self.now)
        else:
            begin = self.now + timedelta(minutes=send.unread_minutes)
            timing = timings.of(draft.user, draft.priority, first.type, send.channel, begin)
        if timing.state == DROPPED:
            return None
        message = self._message(draft.user, send.channel, first, NO_PARAMS if send.counted else draft.encoded)
        next_at = timing.at if timing.at > self.now else None
        message = message._replace(priority=draft.priority, count=number, held=timing.state == HELD, next_at=next_at)
        if send.counted:
            return DeliveryValues(message._replace(document="", record=""), counted=True)
        wedding, channel = self.reader.wedding, send.channel.value
        return DeliveryValues(message, tuple(key_of(wedding, seq, draft.user, channel) for seq in before))

    def _earlier(
        self, cursor: int, drafts: Iterable[_DraftItem]
    ) -> Mapping[tuple[object, ...], Sequence[tuple[int, datetime]]]:
        """Events before the page that are about the same as a draft, with their moments, the newest first."""
        since = min(draft.events[0].at for draft in drafts) - MERGED_WITHIN - timedelta(seconds=1)
        found: dict[tuple[object, ...], list[tuple[int, datetime]]] = {}
        if cursor:
            text = since.astimezone(UTC).isoformat().removesuffix("+00:00")
            records = {draft.newest.record for draft in drafts}
            for each in self.reader.earlier_events(cursor, text, records):
                at = datetime.fromisoformat(each.at)
                found.setdefault((each.document, each.record, each.type), []).append((each.seq, at))
        return found


def _params_for(plan: _WeddingPlan, user: str, event: RoutedEvent) -> str | None:
    """What a person may know of an event, as JSON; None: nothing."""
    plan.between()
    person = plan.people.get(user)
    if person is None:
        return None
    known = plan.knowledge.of(person, event, participants=plan.to.participants(event.document))
    return None if known is None else _encoded(plan.texts.params(event, known))


def _go_on() -> None:
    """In place of a rest: nothing waits in front of an emergency."""


def _is_subscribed(webhooks: Iterable[Webhook], type_: str) -> bool:
    """Whether one of the webhooks gets events of a type."""
    return any(subscribes_to(each.types, type_) for each in webhooks)


def _subject(event: RoutedEvent) -> tuple[object, ...]:
    return event.document, event.record, event.type


def _by_root(events: Iterable[RoutedEvent]) -> Iterator[tuple[str, str, set[str]]]:
    found: dict[tuple[str, str], set[str]] = {}
    for event in events:
        found.setdefault((event.document, event.root), set()).add(event.record)
    for (document, root), records in found.items():
        yield document, root, records


def _is_in(row: LastSeen, document: str, now: datetime) -> bool:
    """Whether somebody has a document open."""
    if not row.connected or now - row.at > timedelta(seconds=PRESENT_SECONDS):
        return False
    return document in json.loads(row.documents)


def _urgency(delivery: DeliveryValues) -> tuple[int, int]:
    return delivery.message.priority, delivery.message.event


def _item(draft: _DraftItem, before: tuple[int, ...], sequence: int) -> ItemValues:
    first, newest = draft.events[0], draft.newest
    return ItemValues(
        draft.user, newest.seq, newest.type, draft.priority, newest.document, newest.record,
        draft.encoded, len(draft.events), first.at, newest.at, before, sequence,
    )  # fmt: skip


def _add(deliveries: dict[str, DeliveryValues], made: DeliveryValues) -> None:
    """Add a message; those that are only counted become one."""
    message = made.message
    name = f"{message.user} {message.channel} {message.type}" if made.counted else message.key
    before = deliveries.get(name)
    if before is not None:
        made = made._replace(message=before.message._replace(count=before.message.count + message.count))
    deliveries[name] = made


def _encoded(params: Mapping[str, str]) -> str:
    return json.dumps(params, ensure_ascii=False)
