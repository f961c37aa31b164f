"""Delivery of messages, with a clock of the test, a real store, and a process that takes what is sent."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Connection, insert

from crdt_server.metrics import Metrics
from crdt_server.services.messaging import delivery, lanes
from crdt_server.services.messaging.attempts import ATTEMPTS, LONGEST_WAIT_SECONDS, RETRY_SECONDS, outcome_of
from crdt_server.services.messaging.delivery import DeliveryWorker
from crdt_server.services.messaging.lanes import LANES, PER_ADDRESS, PER_RECIPIENT
from crdt_server.services.messaging.model import Channel, NotSent, Sent
from crdt_server.services.messaging.outbox_service import NotRetried, OutboxService
from crdt_server.services.messaging.outbox_upkeep import OutboxUpkeep
from crdt_server.services.messaging.senders import ChannelSenders
from storage import ClaimOf, DerivedRecords, DocumentKey, NewMessage, Storage, StoredMessage, StoredRow, open_storage
from storage import outbox as states
from storage.messaging_tables import contacts, preferences, webhooks
from storage.outbox import key_of
from storage.tables import members
from tests.support.delivering import SinkSender
from tests.support.sink import Sink, run_sink

NOON = datetime(2026, 6, 20, 12, 0, tzinfo=UTC)
IN_USE = {"secret": "", "at": NOON, "confirmed_at": NOON}
PREFERENCES = {"body": '{"language": "de", "timezone": "Europe/Vienna"}', "at": NOON, "digest_at": None}


class Post:
    """A worker with a clock, and addresses that lead to a sink."""

    def __init__(self, storage: Storage, sink: Sink) -> None:
        self.storage = storage
        self.sink = sink
        self.now = NOON
        self.metrics = Metrics()
        sender = SinkSender()
        self.senders = dict.fromkeys((Channel.MAIL, Channel.PUSH, Channel.WEBHOOK), sender)
        self.worker = self.make_worker("n_1")
        self._numbers = iter(range(1, 10**6))
        self._http = httpx.AsyncClient(trust_env=False, timeout=60)

    def make_worker(self, lease: str, seconds: float = 60.0) -> DeliveryWorker:
        senders = ChannelSenders(self.senders, self.metrics)
        return DeliveryWorker(self.storage, senders, lambda: self.now, lease=lease, lease_seconds=seconds)

    async def address(self, user: str, path: str, channel: str = "mail", id_: str = "c_1") -> None:
        """Somebody is reached at a path of the sink."""
        row = {"wedding": "w", "user": user, "channel": channel, "id": id_, "address": self.sink.url + path}
        await self._put(lambda connection: connection.execute(insert(contacts), row | IN_USE))

    async def webhook(self, id_: str, path: str, host: str = "127.0.0.1") -> None:
        url = self.sink.url.replace("127.0.0.1", host) + path
        row = {"wedding": "w", "id": id_, "url": url, "types": "[]", "secrets": '["s"]', "by": "u"}
        values = row | {"at": NOON, "reason": ""}
        await self._put(lambda connection: connection.execute(insert(webhooks), values))

    async def _put(self, work: object) -> None:
        await self.storage._executor.write(work)  # type: ignore[arg-type]

    async def message(self, user: str, channel: str = "mail", priority: int = 2, **more: object) -> str:
        """A message waits; its id."""
        event = next(self._numbers)
        key = key_of("w", event, user, channel)
        params = json.dumps({"text": f"message {event}"})
        message = NewMessage(key, "w", user, channel, event, "task.done", priority, "planning", "t_1", params, self.now)
        await self.storage.enqueue([message._replace(**more)])  # type: ignore[arg-type]
        return key

    async def deliver(self, worker: DeliveryWorker | None = None) -> None:
        """Send all that is due, and store what became of it."""
        worker = worker or self.worker
        idle = 0
        while idle < 2:
            idle = 0 if await worker.cycle() else idle + 1
            await worker.idle()

    async def in_state(self, state: str) -> list[StoredMessage]:
        return await self.storage.messages("w", state)

    async def only(self, state: str) -> StoredMessage:
        (found,) = await self.in_state(state)
        return found

    async def began(self, count: int) -> list[str]:
        """The paths of the requests of which the sink has the headers, when there are so many."""
        return list((await self._http.get(f"{self.sink.url}/began?n={count}")).json())

    async def release(self) -> None:
        await self._http.post(f"{self.sink.url}/release", content=b"")

    async def close(self) -> None:
        await self.release()
        await self.worker.stop()
        await self._http.aclose()
        await self.storage.close()

    def metric(self, name: str, channel: str) -> float:
        families = text_string_to_metric_families(self.metrics.render().decode())
        samples = [sample for family in families for sample in family.samples if sample.name == name]
        return sum(sample.value for sample in samples if sample.labels["channel"] == channel)


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[Sink]:
    with run_sink(tmp_path) as running:
        yield running


@pytest.fixture
async def post(sink: Sink, database_url: str) -> AsyncIterator[Post]:
    post = Post(await open_storage(database_url, migrate=True), sink)
    yield post
    await post.close()


# -- what is sent


async def test_a_message_is_sent_once_with_all_that_a_text_needs(post: Post) -> None:
    await post.address("ada", "/ok")
    person = {"wedding": "w", "user": "ada", "role": "couple", "vendor": "", "guest": "", "side": "", "name": "Ada"}
    await post._put(lambda connection: connection.execute(insert(members), person | {"added_by": "x", "at": NOON}))
    own = PREFERENCES | {"wedding": "w", "user": "ada"}
    await post._put(lambda connection: connection.execute(insert(preferences), own))
    fields = '{"title":"A & B","currency":"EUR","locale":"fr","timeZone":"Europe/Paris"}'
    meta = StoredRow("meta", "", fields, "{}")
    await post.storage.append([], [DerivedRecords(DocumentKey("w", "wedding"), rows=[meta])])
    key = await post.message("ada", count=3)
    await post.deliver()
    (arrived,) = post.sink.arrived
    notice = arrived.body.pop("notices")[0]
    assert arrived.body == {
        "id": key,
        "user": "ada",
        "name": "Ada",
        "channel": "mail",
        "address": post.sink.url + "/ok",
        "secret": "",
        "language": "de",
        "timezone": "Europe/Vienna",
        "currency": "EUR",
        "title": "A & B",
        "unsubscribe": "",
    }
    assert notice["params"] == {"text": "message 1"}
    assert (notice["wedding"], notice["type"], notice["record"], notice["merged"]) == ("w", "task.done", "t_1", 3)
    assert (await post.only(states.SENT)).attempts == 1
    await post.deliver()
    assert len(post.sink.arrived) == 1
    assert post.metric("crdt_messages_sent_total", "mail") == post.metric("crdt_messages_delivered_total", "mail") == 1


async def test_a_digest_has_its_notices_in_their_order(post: Post) -> None:
    await post.address("ada", "/ok")
    one = {"event": 7, "type": "task.done", "priority": 3, "document": "d", "record": "r", "count": 1}
    notices = [{**one, "at": NOON.isoformat(), "params": {"n": n}} for n in (2, 1)]
    await post.message("ada", type="digest", params=json.dumps({"notices": notices}))
    await post.deliver()
    (arrived,) = post.sink.arrived
    assert [each["params"] for each in arrived.body["notices"]] == [{"n": "2"}, {"n": "1"}]


async def test_a_message_that_cannot_be_read_dies_alone(post: Post) -> None:
    await post.address("ada", "/ok")
    await post.message("ada", params='{"notices": [{}]}', type="digest")
    await post.message("ada", params="{")
    key = await post.message("ada")
    await post.deliver()
    assert [each.id for each in post.sink.arrived] == [key]
    assert [each.error for each in await post.in_state(states.DEAD)] == [
        "the message cannot be read: KeyError",
        "the message cannot be read: JSONDecodeError",
    ]


async def test_each_address_of_a_person_has_attempts_of_its_own(post: Post) -> None:
    await post.address("ada", "/ok1", "push", "p_1")
    await post.address("ada", "/500", "push", "p_2")
    await post.address("ada", "/ok3", "push", "p_3")
    await post.message("ada", "push")
    for _ in range(2):
        await post.deliver()
        post.now += timedelta(seconds=5)
    by_path: dict[str, set[str]] = {}
    for each in post.sink.arrived:
        by_path.setdefault(each.path, set()).add(each.id)
    assert [len(ids) for ids in by_path.values()] == [1, 1, 1]
    assert len(set.union(*by_path.values())) == 3
    assert sorted(each.path for each in post.sink.arrived) == ["/500", "/500", "/ok1", "/ok3"]
    assert (await post.only(states.LATER)).contact == "p_2"


# -- what is not


async def test_attempts_follow_the_schedule_and_the_last_error_is_kept(post: Post) -> None:
    await post.address("ada", "/500")
    key = await post.message("ada")
    at = []
    for seconds in RETRY_SECONDS:
        await post.deliver()
        waiting = await post.only(states.LATER)
        assert (waiting.error, waiting.next_at - post.now) == ("HTTP 500", timedelta(seconds=seconds))
        post.now = waiting.next_at - timedelta(seconds=1)
        await post.deliver()
        at.append(len(post.sink.arrived))
        post.now = waiting.next_at
    assert RETRY_SECONDS == (5, 300, 1_800, 7_200, 18_000, 36_000)
    assert at == [1, 2, 3, 4, 5, 6], "not a second too early"
    await post.deliver()
    dead = await post.only(states.DEAD)
    assert (dead.attempts, dead.error, dead.done_at) == (ATTEMPTS, "HTTP 500", post.now)
    assert {each.id for each in post.sink.arrived} == {key}
    post.now += timedelta(days=9)
    await post.deliver()
    assert len(post.sink.arrived) == ATTEMPTS
    assert post.metric("crdt_messages_dead_total", "mail") == 1


async def test_retry_after_is_respected(post: Post) -> None:
    await post.address("ada", "/wait")
    await post.message("ada")
    await post.deliver()
    assert (await post.only(states.LATER)).next_at == NOON + timedelta(hours=2)


async def test_an_answer_that_is_cut_is_no_answer(post: Post) -> None:
    await post.address("ada", "/cut")
    key = await post.message("ada")
    await post.deliver()
    post.now += timedelta(seconds=5)
    await post.deliver()
    assert [each.id for each in post.sink.arrived] == [key, key], "at least once, under one id"


async def test_an_address_that_is_gone_gets_no_more(post: Post) -> None:
    await post.webhook("wh_1", "/410")
    await post.address("ada", "/410", "push")
    for user, channel in (("wh_1", "webhook"), ("ada", "push")):
        await post.message(user, channel)
    await post.deliver()
    assert [each.error for each in await post.in_state(states.DEAD)] == ["HTTP 410", "HTTP 410"]
    for user, channel in (("wh_1", "webhook"), ("ada", "push")):
        await post.message(user, channel)
    await post.deliver()
    assert [each.error for each in await post.in_state(states.DROPPED)] == ["no address", "no address"]
    assert len(post.sink.arrived) == 2


async def test_a_channel_without_a_sender_waits_for_one(post: Post) -> None:
    await post.address("ada", "/ok", "sms")
    await post.message("ada", "sms")
    await post.deliver()
    assert (await post.only(states.LATER)).error == "no sender for sms: set --sms-url"
    assert post.worker.channels_configured == {Channel.MAIL, Channel.PUSH, Channel.WEBHOOK}
    post.senders[Channel.SMS] = post.senders[Channel.MAIL]
    post.now += timedelta(seconds=5)
    await post.deliver()
    assert [each.path for each in post.sink.arrived] == ["/ok"]


async def test_a_member_who_was_removed_gets_nothing_that_still_waits(post: Post) -> None:
    await post.address("eve", "/ok")
    person = {"wedding": "w", "user": "eve", "role": "guest", "vendor": "", "guest": "g", "side": "", "name": "Eve"}
    gone = person | {"added_by": "x", "at": NOON, "removed_at": NOON}
    await post._put(lambda connection: connection.execute(insert(members), gone))
    await post.message("eve", priority=0)
    await post.deliver()
    assert post.sink.arrived == []
    assert (await post.only(states.DROPPED)).error == "not a member any more"


async def test_a_digest_that_waits_leaves_out_what_is_not_to_be_known_any_more(post: Post) -> None:
    """It was made when its recipient took part in both conversations, and its first attempt failed."""
    fields = {"type": "message.sent", "priority": 3, "record": "m", "count": 1, "at": NOON.isoformat(), "params": {}}
    notices = [fields | {"event": n, "document": f"thread.t_{n}"} for n in (1, 2)]

    async def known(wedding: str, user: str, events: Collection[int]) -> Collection[int]:
        assert (user, set(events)) in (("ada", {1, 2}), ("eve", {1}))
        return {2}.intersection(events)

    senders = ChannelSenders(post.senders, post.metrics)
    worker = DeliveryWorker(post.storage, senders, lambda: post.now, lease="n_9", lease_seconds=60.0, known=known)
    for user, told in (("ada", notices), ("eve", notices[:1])):
        await post.address(user, "/ok")
        digest = {"type": "digest", "document": "", "record": "", "params": json.dumps({"notices": told})}
        await post.message(user, next_at=NOON + timedelta(hours=1), **digest)
    post.now += timedelta(hours=1)
    await post.deliver(worker)
    (arrived,) = post.sink.arrived
    assert [each["event"] for each in arrived.body["notices"]] == [2]
    assert (await post.only(states.DROPPED)).user == "eve"
    await worker.stop()


async def test_a_webhook_gets_nothing_that_its_maker_may_not_know_any_more(post: Post) -> None:
    """As people do: it waited for an hour, and the rights of whoever made it have changed."""
    asked: list[str] = []

    async def nothing_known(wedding: str, user: str, events: Collection[int]) -> Collection[int]:
        asked.append(user)
        return ()

    senders = ChannelSenders(post.senders, post.metrics)
    worker = DeliveryWorker(
        post.storage, senders, lambda: post.now, lease="n_9", lease_seconds=60.0, known=nothing_known
    )
    await post.webhook("wh_1", "/ok")
    await post.message("wh_1", "webhook", next_at=NOON + timedelta(hours=1))
    post.now += timedelta(hours=1)
    await post.deliver(worker)
    assert asked == ["u"]
    assert post.sink.arrived == []
    assert (await post.only(states.DROPPED)).error == "not to be known any more"
    await worker.stop()


async def test_no_further_attempt_is_made_in_quiet_hours(post: Post) -> None:
    """Whoever had their phone silent from ten in the evening was called at half past, when the service was back."""
    quiet = '{"timezone": "Pacific/Auckland", "quiet_hours": {"start": "22:00", "end": "07:00"}}'
    own = {"wedding": "w", "user": "ada", "body": quiet, "at": NOON, "digest_at": None}
    await post._put(lambda connection: connection.execute(insert(preferences), own))
    await post.address("ada", "/500", "push")
    post.now = datetime(2026, 6, 20, 9, 59, 58, tzinfo=UTC)  # two seconds before ten
    await post.message("ada", "push")
    await post.deliver()
    post.now += timedelta(seconds=5)
    await post.deliver()
    waiting = await post.only(states.LATER)
    assert (waiting.next_at, waiting.attempts, waiting.error) == (NOON + timedelta(hours=7), 1, "HTTP 500")
    service = OutboxService(post.storage, lambda: post.now, lambda: None)
    await service.retry("w", waiting.id)
    await post.message("ada", "push", priority=1)
    await post.deliver()
    assert len(post.sink.arrived) == 2, "the first attempt, and what is urgent"
    post.now = NOON + timedelta(hours=7)
    await post.deliver()
    assert len(post.sink.arrived) == 4


async def test_what_was_tried_is_decided_about_again(post: Post) -> None:
    """A person who was removed from a conversation was sent a message of it five seconds later."""
    asked: list[Collection[int]] = []

    async def nothing_known(wedding: str, user: str, events: Collection[int]) -> Collection[int]:
        asked.append(events)
        return ()

    senders = ChannelSenders(post.senders, post.metrics)
    worker = DeliveryWorker(
        post.storage, senders, lambda: post.now, lease="n_9", lease_seconds=60.0, known=nothing_known
    )
    await post.address("ada", "/500")
    await post.message("ada")
    await post.deliver(worker)
    assert asked == []
    post.now += timedelta(seconds=5)
    await post.deliver(worker)
    assert (await post.only(states.DROPPED)).error == "not to be known any more"
    assert len(asked) == len(post.sink.arrived) == 1
    await worker.stop()


async def test_what_waits_is_not_sent_to_those_who_have_switched_it_off(post: Post) -> None:
    """The group of the type, digests as a whole, and not what others or another channel would get."""
    off = '{"types": {"tasks": {"mail": "off"}, "digest": {"mail": "off"}}}'
    for user in ("ada", "eve"):
        for channel in ("mail", "push"):
            await post.address(user, "/ok", channel)
            await post.message(user, channel, next_at=NOON + timedelta(hours=1))
    await post.message("ada", type="digest", params='{"notices": []}', next_at=NOON + timedelta(hours=1))
    emergency = await post.message("ada", priority=0, type="emergency.raised", next_at=NOON + timedelta(hours=1))
    own = {"wedding": "w", "user": "ada", "body": off, "at": NOON, "digest_at": None}
    await post._put(lambda connection: connection.execute(insert(preferences), own))
    post.now += timedelta(hours=1)
    await post.deliver()
    sent = sorted((each.body["user"], each.body["channel"]) for each in post.sink.arrived)
    assert sent == [("ada", "mail"), ("ada", "push"), ("eve", "mail"), ("eve", "push")]
    assert emergency in {each.id for each in post.sink.arrived}
    assert [each.error for each in await post.in_state(states.DROPPED)] == ["not wanted any more"] * 2


async def test_a_sender_with_a_defect_stops_no_other(post: Post) -> None:
    class Broken(SinkSender):
        async def send(self, delivery: object) -> Sent | NotSent:
            raise RuntimeError("secret")

    post.senders[Channel.MAIL] = Broken()
    post.worker = post.make_worker("n_2")
    await post.address("ada", "/ok")
    await post.address("ada", "/ok", "push")
    await post.message("ada")
    await post.message("ada", "push")
    await post.deliver()
    assert (await post.only(states.LATER)).error == "a defect of the server: RuntimeError"
    assert len(post.sink.arrived) == 1


# -- who comes first


async def test_a_defect_before_a_message_is_sent_is_a_failed_attempt(post: Post) -> None:
    """It waited for the end of its lease, seven times, and the log said that the server had ended."""

    async def known(wedding: str, user: str, events: Collection[int]) -> Collection[int]:
        raise TypeError

    senders = ChannelSenders(post.senders, post.metrics)
    worker = DeliveryWorker(post.storage, senders, lambda: post.now, lease="n_9", lease_seconds=60.0, known=known)
    await post.address("ada", "/ok")
    await post.message("ada", next_at=NOON + timedelta(hours=1))
    post.now += timedelta(hours=1)
    await post.deliver(worker)
    assert (await post.only(states.LATER)).error == "a defect of the server: TypeError"
    await worker.stop()


async def test_emergencies_overtake_all_that_wait(post: Post) -> None:
    users = [f"u_{n}" for n in range(50)]
    for user in users:
        await post.address(user, "/ok")
    rows = [
        NewMessage(key_of("w", n, users[n % 50], "mail"), "w", users[n % 50], "mail", n, "t", 3, "d", "r", "{}", NOON)
        for n in range(10_000, 10_300)
    ]
    await post.storage.enqueue(rows)
    await post.worker.cycle()
    emergencies = [await post.message(user, priority=0) for user in users[:3]]
    await post.deliver()
    ids = [each.id for each in post.sink.arrived]
    assert len(set(ids)) == len(ids) == 303
    ahead = max(ids.index(each) for each in emergencies)
    assert ahead < LANES[Channel.MAIL] + len(emergencies), "only what was sent already is ahead of them"
    order = [ids.index(each.key) for each in rows]
    assert max(place - n for n, place in enumerate(order)) < 3 * LANES[Channel.MAIL], "the rest keeps its order"


async def test_an_emergency_does_not_wait_for_slow_ones(post: Post) -> None:
    for n in range(LANES[Channel.MAIL]):
        await post.address(f"slow_{n}", f"/hold{n}")
        await post.message(f"slow_{n}")
    await post.address("ada", "/ok")
    await post.worker.cycle()
    await post.began(LANES[Channel.MAIL])
    ordinary, key = await post.message("ada"), await post.message("ada", priority=0)
    await post.worker.cycle()
    assert (await post.began(LANES[Channel.MAIL] + 1))[-1] == "/ok"
    await post.release()
    await post.deliver()
    ids = [each.id for each in post.sink.arrived]
    assert ids.index(key) < ids.index(ordinary)


async def test_a_slow_webhook_blocks_nobody(post: Post) -> None:
    await post.webhook("slow", "/hold")
    await post.webhook("beside", "/ok1")
    await post.webhook("elsewhere", "/ok2", "localhost")
    await post.address("ada", "/ok3")
    for _ in range(40):
        await post.message("slow", "webhook")
    others = [await post.message(user, "webhook") for user in ("beside", "elsewhere")]
    others.append(await post.message("ada"))
    for _ in range(3):
        await post.worker.cycle()
    began = await post.began(PER_RECIPIENT + len(others))
    assert sorted(began) == ["/hold"] * PER_RECIPIENT + ["/ok1", "/ok2", "/ok3"]
    await post.release()
    await post.deliver()
    ids = [each.id for each in post.sink.arrived]
    assert len(ids) == len(set(ids)) == 43
    assert set(others) <= set(ids)


async def test_what_is_too_fast_for_a_wedding_waits_and_costs_no_attempt(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A webhook of a fast host took a handshake for each of 800 messages in a second."""
    monkeypatch.setattr(lanes, "AT_ONCE", 6)
    monkeypatch.setattr(lanes, "PER_SECOND", 0.001)
    worker = post.make_worker("n_2")
    await post.webhook("whk_1", "/fast")
    await post.webhook("whk_2", "/other")
    for _ in range(10):
        await post.message("whk_1", "webhook")
    await post.deliver(worker)
    left = await post.in_state(states.WAITING)
    assert len(left) == 10 - 6
    assert {each.attempts for each in left} == {0}
    await post.message("whk_2", "webhook", priority=0)
    await post.deliver(worker)
    assert "whk_2" in {each.user for each in await post.in_state(states.SENT)}, "an urgent one has a rate of its own"
    await worker.stop()


async def test_webhooks_of_one_slow_host_share_its_places(post: Post) -> None:
    for n in range(10):
        await post.webhook(f"wh_{n}", f"/hold{n}")
        await post.message(f"wh_{n}", "webhook")
    for _ in range(4):
        await post.worker.cycle()
    began = await post.began(PER_ADDRESS)
    assert len(began) == PER_ADDRESS
    assert len(await post.in_state(states.WAITING)) == 10 - PER_ADDRESS
    assert {each.attempts for each in await post.in_state(states.WAITING)} == {0}
    await post.release()
    await post.deliver()
    assert len({each.id for each in post.sink.arrived}) == len(post.sink.arrived) == 10


# -- nodes


async def test_two_workers_send_nothing_twice(post: Post) -> None:
    for n in range(30):
        await post.address(f"u_{n}", "/ok")
        await post.message(f"u_{n}")
    other = post.make_worker("n_2")
    for _ in range(4):
        assert await post.worker.cycle() + await other.cycle() <= 30
        await post.worker.idle()
        await other.idle()
    await post.deliver()
    await post.deliver(other)
    assert len({each.id for each in post.sink.arrived}) == len(post.sink.arrived) == 30


async def test_a_message_that_ends_its_nodes_is_counted_as_dead_by_the_one_that_finds_it(post: Post) -> None:
    await post.address("ada", "/ok")
    await post.message("ada")
    lane = ClaimOf("mail", 1, 4, 1)
    for number in range(ATTEMPTS):  # nodes that end while they send it
        ((_,), _) = await post.storage.claim_messages(f"gone_{number}", -1.0, (), (lane,), post.now, ATTEMPTS)
    await post.deliver()
    assert post.sink.arrived == []
    assert (await post.only(states.DEAD)).attempts == ATTEMPTS
    assert post.metric("crdt_messages_dead_total", "mail") == 1


async def test_a_node_that_was_late_does_not_send_what_it_is_sending(post: Post) -> None:
    await post.address("ada", "/hold")
    key = await post.message("ada", priority=0)
    worker = post.make_worker("n_2", seconds=-1.0)  # every lease has ended when it begins
    assert await worker.cycle() == 1
    await post.began(1)
    for _ in range(3):
        assert await worker.cycle() == 0
    await post.release()
    await worker.idle()
    assert await worker.cycle() == 0
    assert [each.id for each in post.sink.arrived] == [key]
    assert (await post.only(states.SENT)).attempts > 1


async def test_a_node_that_stops_gives_back_what_it_could_not_send(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "DRAIN_SECONDS", 0.01)
    await post.address("ada", "/hold")
    await post.message("ada")
    await post.worker.cycle()
    await post.began(1)
    await post.worker.stop()
    given_back = await post.only(states.WAITING)
    assert (given_back.attempts, given_back.lease) == (0, "")


async def test_it_runs_by_itself_when_it_is_woken(post: Post) -> None:
    await post.address("ada", "/ok")
    post.worker.start()
    key = await post.message("ada")
    post.worker.wake()
    await post.began(1)
    await post.worker.stop()
    assert [each.id for each in post.sink.arrived] == [key]
    assert (await post.only(states.SENT)).attempts == 1


# -- operators


async def test_what_is_dead_can_be_sent_once_more(post: Post) -> None:
    woken = []
    service = OutboxService(post.storage, lambda: post.now, lambda: woken.append(1))
    await post.webhook("wh_1", "/410")
    await post.message("wh_1", "webhook")
    await post.deliver()
    dead = await post.only(states.DEAD)
    await post.webhook("wh_2", "/ok")
    await post._put(lambda connection: _lead_to(connection, post.sink.url + "/ok"))
    assert (await service.retry("w", dead.id)).state == states.WAITING
    await post.deliver()
    assert [each.id for each in post.sink.arrived] == [dead.key, dead.key]
    with pytest.raises(NotRetried):
        await service.retry("w", dead.id)
    assert await service.retry_dead("w", None) == 0
    assert len(woken) == 2
    stats = await service.stats("w")
    assert stats["webhook"] == {"sent": 1, "waiting": 0, "held": 0, "dropped": 0, "dead": 0}
    assert stats["in-app"] == {"sent": 0, "read": 0}


def _lead_to(connection: Connection, url: str) -> None:
    connection.execute(webhooks.update().where(webhooks.c.id == "wh_1").values(url=url, disabled_at=None))


async def test_what_waits_is_reported_and_what_is_over_goes(post: Post) -> None:
    upkeep = OutboxUpkeep(post.storage, post.metrics, lambda: post.now)
    begun = post.metrics.render().decode()
    assert 'crdt_messages_dead_total{channel="push"} 0.0' in begun, "one that begins with 1 has not increased"
    await post.address("ada", "/ok")
    await post.message("ada")
    await post.message("ada", "push")
    post.now += timedelta(seconds=90)
    await upkeep.report()
    assert post.metric("crdt_outbox_depth", "mail") == 1
    assert post.metric("crdt_outbox_oldest_seconds", "mail") == 90
    await post.deliver()
    await upkeep.report()
    assert post.metric("crdt_outbox_depth", "mail") == post.metric("crdt_outbox_oldest_seconds", "mail") == 0
    post.now += timedelta(days=7)
    assert await upkeep.expire() == 0
    post.now += timedelta(seconds=1)
    assert await upkeep.expire() == 2, "one that was sent, and one without an address"


def test_no_other_side_puts_a_message_off_for_ever() -> None:
    message = StoredMessage(1, "", "", "", "", "", 1, "", 1, "", "", "", 1, "", 1, NOON, NOON, "", None, "", None)
    for asked, wait in ((1.0, 5.0), (60.0, 60.0), (1e12, LONGEST_WAIT_SECONDS)):
        outcome = outcome_of(message, NotSent("busy\r\nX: y", retry_after=asked), NOON)
        assert outcome.next_at == NOON + timedelta(seconds=wait)
        assert outcome.error == "busy X: y"
    assert outcome_of(message, NotSent("no", permanent=True), NOON).state == states.DEAD
