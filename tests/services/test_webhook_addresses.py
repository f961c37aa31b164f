"""Hosts that users name: only those of the internet are connected to, whatever their names resolve to."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator

import pytest

from crdt_server.services.messaging.channels.addresses import MOST_ADDRESSES, GuardedNetwork, SystemResolver
from crdt_server.services.messaging.channels.http import HttpClient, utc_now
from crdt_server.services.messaging.channels.webhook import WebhookSender
from crdt_server.services.messaging.ip_addresses import is_public
from crdt_server.services.messaging.lanes import LANES, NAMED_BY_USERS, URGENT_LANES
from crdt_server.services.messaging.model import Channel, Delivery, NotSent, Sent
from crdt_server.services.messaging.urls import fault_of_url
from crdt_server.services.messaging.webhook_secrets import new_secret
from tests.support.clients import PUBLIC, Names, Rerouted
from tests.support.deliveries import delivery
from tests.support.sinks import HttpSink, answer, http_sink

PRIVATE = (
    *("127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),  # noqa: S104
    *("192.0.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.88.99.1"),
    *("::1", "::", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "fec0::1", "2001:db8::1", "100::1", "3fff::1"),
    *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.0.0.1", "::127.0.0.1", "::ffff:0:127.0.0.1"),
    *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2001:0:7f00:1::", "fe80::1%eth0"),
    *("2606:4700::1%eth0", "localhost", "127.1", "2130706433", ""),
)
OPEN = ("93.184.216.34", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808")


@pytest.fixture
async def sink() -> AsyncIterator[HttpSink]:
    async with http_sink() as opened:
        yield opened


@pytest.fixture
def network(sink: HttpSink) -> Rerouted:
    return Rerouted(sink.port)


def sender_with(names: Names, network: Rerouted, *, allow_private: bool = False) -> WebhookSender:
    guard = GuardedNetwork(allow_private=allow_private, resolver=names, network=network)
    return WebhookSender(HttpClient(guard, seconds=5.0), utc_now)


def to(host: str) -> Delivery:
    return delivery(Channel.WEBHOOK, f"http://{host}/hook", secret=json.dumps([new_secret()]))


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", OPEN)
def test_public_addresses(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", [each for each in PRIVATE if each and "%" not in each])
async def test_private_hosts_are_refused(sink: HttpSink, network: Rerouted, address: str) -> None:
    names = Names(inner=[[address]])
    sender = sender_with(names, network)
    literal = f"[{address}]" if ":" in address else address
    for host in ("inner.example", literal):
        refused = await sender.send(to(host))
        assert isinstance(refused, NotSent), host
        assert address not in refused.reason
    assert (network.connected, sink.received) == ([], [])
    await sender.close()


async def test_one_private_address_among_others_is_refused(sink: HttpSink, network: Rerouted) -> None:
    sender = sender_with(Names(mixed=[[PUBLIC, "10.0.0.1"]]), network)
    assert await sender.send(to("mixed.example")) == NotSent("the host is not one of the internet")
    assert network.connected == []
    await sender.close()


async def test_a_name_is_resolved_once_and_the_connection_goes_to_what_was_checked(
    sink: HttpSink, network: Rerouted
) -> None:
    names = Names(rebind=[[PUBLIC], ["127.0.0.1"]])
    sender = sender_with(names, network)
    sink.answers = [answer(200, Connection="close")]
    assert await sender.send(to("rebind.example")) == Sent()
    assert (names.lookups, network.connected) == (["rebind.example"], [PUBLIC])
    assert sink.received[0].headers["host"] == "rebind.example"
    assert await sender.send(to("rebind.example")) == NotSent("the host is not one of the internet")
    assert (len(names.lookups), network.connected) == (2, [PUBLIC])
    await sender.close()


async def test_a_redirect_to_a_private_host_is_not_followed(sink: HttpSink, network: Rerouted) -> None:
    names = Names(open=[[PUBLIC]])
    sender = sender_with(names, network)
    sink.answers = [answer(307, Location="http://169.254.169.254/latest/meta-data/")]
    refused = await sender.send(to("open.example"))
    assert isinstance(refused, NotSent)
    assert "redirect" in refused.reason
    assert (len(sink.received), network.connected) == (1, [PUBLIC])
    await sender.close()


async def test_other_addresses_are_tried_where_one_does_not_answer(sink: HttpSink, network: Rerouted) -> None:
    many = [f"93.184.216.{number}" for number in range(1, 9)]
    network.dead = {many[0], many[1]}
    sender = sender_with(Names(many=[many]), network)
    sink.answers = [answer(200, Connection="close")]
    assert await sender.send(to("many.example")) == Sent()
    assert network.connected == many[:3]
    network.connected.clear()
    network.dead = set(many)
    assert await sender.send(to("many.example")) == NotSent("no connection")
    assert network.connected == many[:MOST_ADDRESSES]
    await sender.close()


async def test_names_that_are_unknown_or_have_no_address(network: Rerouted) -> None:
    sender = sender_with(Names(empty=[[]]), network)
    for host in ("empty.example", "unknown.example"):
        assert await sender.send(to(host)) == NotSent("the name of the host is not known")
    await sender.close()


async def test_private_hosts_are_allowed_by_a_setting(sink: HttpSink, network: Rerouted) -> None:
    sender = sender_with(Names(inner=[["10.0.0.1"]]), network, allow_private=True)
    assert await sender.send(to("inner.example")) == Sent()
    assert network.connected == ["10.0.0.1"]
    await sender.close()


async def test_proxies_of_the_environment_are_not_used(
    sink: HttpSink, network: Rerouted, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    sender = sender_with(Names(open=[[PUBLIC]]), network)
    assert await sender.send(to("open.example")) == Sent()
    await sender.close()


async def test_names_whose_servers_are_silent_keep_nobody_from_looking_up_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As many as may be under way, to webhooks and to push services, besides those of which the message has ended."""
    most = sum(LANES[channel] + URGENT_LANES for channel in NAMED_BY_USERS)
    answered = threading.Event()
    lookups: list[str] = []

    def lookup(host: str, port: int, **options: int) -> list[tuple[object, ...]]:
        lookups.append(host)
        if host.startswith("silent"):
            answered.wait(20)
        return [(2, 1, 6, "", (PUBLIC, port))]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    resolver = SystemResolver()
    waiting = [asyncio.create_task(resolver(f"silent{n % most}.example", 443)) for n in range(3 * most)]
    try:
        await asyncio.sleep(0)
        for each in waiting[:most]:
            each.cancel()
        async with asyncio.timeout(10):
            assert await resolver("open.example", 443) == [PUBLIC]
        assert not any(each.done() for each in waiting[most:])
    finally:
        answered.set()
    assert await asyncio.gather(*waiting[most:]) == [[PUBLIC]] * (2 * most)
    assert sorted(lookups) == sorted({*lookups})


async def test_the_resolver_of_the_system_reads_odd_forms_of_loopback() -> None:
    resolver = SystemResolver()
    for host in ("127.1", "2130706433", "0x7f.1", "localhost"):
        assert not any(map(is_public, await resolver(host, 80))), host


@pytest.mark.parametrize(
    "url",
    [
        *("", "example.org", "ftp://example.org", "file:///etc/passwd", "javascript:alert(1)", "http://", "http:///x"),
        *("http://user:secret@example.org/", "http://example.org/#x", "http://example.org:0/", "http://example.org:x/"),
        *(
            "http://exa mple.org/",
            "http://example.org/\r\nHost: x",
            "http://bücher.example/",
            "http://[::1",
            "http://[x]/",
        ),
        *("http://2130706433/", "http://0x7f.1/", "http://127.1/", "http://017700000001/", "http://[fe80::1%25eth0]/"),
        *("http://-x.example/", "http://x..example/", "http://" + "a" * 64 + ".example/", "http://x/" + "a" * 2_000),
        *("http://example.org\\@127.0.0.1/", "http://example.org/\u2028", "http://1.2.3.4.5/"),
    ],
)
def test_what_is_no_url_is_refused(url: str) -> None:
    assert fault_of_url(url) is not None


@pytest.mark.parametrize(
    "url",
    [
        *(
            "https://example.org",
            "https://example.org/hook?key=a%20b",
            "http://example.org:8080/x",
            "https://x_y.example./",
        ),
        *("https://93.184.216.34/", "https://[2606:4700::1111]:8443/", "https://xn--bcher-kva.example/"),
    ],
)
def test_urls(url: str) -> None:
    assert fault_of_url(url) is None
