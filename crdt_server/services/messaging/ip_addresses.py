"""IP addresses: which texts are one, and which of them are of the internet."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

# Their last four bytes are an IPv4 address, which a gateway reaches: NAT64, and addresses of long ago.
_EMBEDDING: Final = (ip_network("64:ff9b::/96"), ip_network("::/96"))
# Global to `ipaddress`, though they lead to a relay or gateway of this network, or nowhere.
_REFUSED: Final = tuple(map(ip_network, ("192.88.99.0/24", "2002::/16", "64:ff9b:1::/48", "3fff::/20", "fec0::/10")))


def is_address(host: str) -> bool:
    """Whether a host is an IP address, without brackets."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def is_public(address: str) -> bool:
    """Whether an IP address is one of the internet, reached over it. An address of IPv6 that stands for one of IPv4
    is as public as that."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if "%" in address:  # with a zone it is of this link
        return False
    if isinstance(parsed, IPv6Address):
        inner = _embedded(parsed)
        if inner is not None:
            return is_public(str(inner))
    if any(parsed in network for network in _REFUSED if network.version == parsed.version):
        return False
    return parsed.is_global and not parsed.is_multicast and not parsed.is_reserved


def _embedded(address: IPv6Address) -> IPv4Address | None:
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if any(address in network for network in _EMBEDDING):
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return None
