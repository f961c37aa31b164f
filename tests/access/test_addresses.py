"""The address of a client, without and behind reverse proxies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt_server.access.addresses import TrustedProxies

PROXIES = "10.0.0.0/8, 192.0.2.7,2001:db8::/32"


@pytest.mark.parametrize(
    ("listed", "peer", "forwarded_for", "expected"),
    [
        ("", "10.0.0.1", ["203.0.113.9"], "10.0.0.1"),
        ("", None, ["203.0.113.9"], "unknown"),
        (PROXIES, None, ["203.0.113.9"], "unknown"),
        (PROXIES, "203.0.113.1", ["198.51.100.9"], "203.0.113.1"),
        (PROXIES, "10.0.0.1", [], "10.0.0.1"),
        (PROXIES, "10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        (PROXIES, "10.0.0.1", ["forged, 198.51.100.9, 203.0.113.9"], "203.0.113.9"),
        (PROXIES, "10.0.0.1", ["198.51.100.9", "203.0.113.9, 10.1.2.3"], "203.0.113.9"),
        (PROXIES, "10.0.0.1", ["203.0.113.9, 192.0.2.7", "10.1.2.3"], "203.0.113.9"),
        (PROXIES, "10.0.0.1", ["203.0.113.9:4711"], "203.0.113.9"),
        (PROXIES, "10.0.0.1", ["[2001:DB9::1]:4711"], "2001:db9::/64"),
        (PROXIES, "2001:db8::5", ["2001:db9::1"], "2001:db9::/64"),
        (PROXIES, "::ffff:10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        (PROXIES, "10.0.0.1", ["203.0.113.9, nonsense"], "10.0.0.1"),
        (PROXIES, "10.0.0.1", ["10.0.0.2, 10.0.0.3"], "10.0.0.2"),
        (PROXIES, "10.0.0.1", ["203.0.113.9" + ", 10.0.0.2" * 1_000], "10.0.0.2"),
    ],
)
def test_addresses(listed: str, peer: str | None, forwarded_for: list[str], expected: str) -> None:
    assert TrustedProxies(listed).client_address(peer, forwarded_for) == expected


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        ("2001:db9:1:2:3:4:5:6", "2001:db9:1:2::/64"),
        ("2001:db9:1:2:ffff::1", "2001:db9:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("a:socket", "a:socket"),
    ],
)
def test_a_network_of_ipv6_counts_as_one_address(peer: str, expected: str) -> None:
    """Else anybody with one of their own has 2**64 times what an address may have."""
    assert TrustedProxies().client_address(peer, []) == expected


@pytest.mark.parametrize("listed", ["proxy.test", "10.0.0.0/33", "10.0.0.1/x", "1"])
def test_what_is_no_network(listed: str) -> None:
    with pytest.raises(ValueError, match=listed.partition("/")[0]):
        TrustedProxies(listed)


@given(st.lists(st.text(max_size=60), max_size=3))
def test_any_header(forwarded_for: list[str]) -> None:
    assert TrustedProxies(PROXIES).client_address("10.0.0.1", forwarded_for)
