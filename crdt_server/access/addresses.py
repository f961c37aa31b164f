"""The address of a client, also behind reverse proxies, as the limits count it.

A client that has one address of IPv6 has the whole network of 64 bits around it: that is what counts, as the address
does of IPv4.

A proxy appends the address of its peer to the header ``X-Forwarded-For``; what stands before was sent by that peer, and
may be forged. So the list is read from its end, as long as the address that appended it is a trusted proxy.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

FORWARDED_FOR = "X-Forwarded-For"
UNKNOWN = "unknown"
MOST_HOPS = 32
NETWORK_BITS = 64


class TrustedProxies:
    """Proxies whose header is believed. ``listed``: addresses and networks, separated by commas. Raises ValueError."""

    def __init__(self, listed: str = "") -> None:
        names = filter(None, map(str.strip, listed.split(",")))
        self._networks: list[IPv4Network | IPv6Network] = [ip_network(name, strict=False) for name in names]

    def client_address(self, peer: str | None, forwarded_for: Sequence[str]) -> str:
        """The address of a client: that of the peer, or where this is a trusted proxy, the last one of the header's
        ``forwarded_for`` values that is none. Of IPv6, its network."""
        address = UNKNOWN if peer is None else peer
        if not self._networks:
            return _counted(address)
        hops = ",".join(forwarded_for).rsplit(",", MOST_HOPS)
        while hops and self.trusts(address):
            hop = _address_in(hops.pop())
            if hop is None:
                break
            address = hop
        return _counted(address)

    def trusts(self, address: str) -> bool:
        """Whether this is the address of a trusted proxy."""
        try:
            found = ip_address(address)
        except ValueError:
            return False
        if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        return any(found.version == network.version and found in network for network in self._networks)


def _counted(address: str) -> str:
    if ":" not in address:
        return address
    try:
        found = IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(IPv6Network((found, NETWORK_BITS), strict=False))


def _address_in(hop: str) -> str | None:
    """The address of one entry, which may have a port; None where it is none."""
    hop = hop.strip()
    if hop.startswith("["):
        hop = hop[1:].partition("]")[0]
    elif hop.count(":") == 1:
        hop = hop.partition(":")[0]
    try:
        return str(ip_address(hop))
    except ValueError:
        return None
