"""Which network addresses may be called: none but globally reachable unicast ones.

The lists follow the IANA special-purpose address registries, with the metadata services of clouds
besides. Python's own `is_global` is not relied on: it calls multicast, IPv4-mapped and several
special ranges global.
"""

from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

DENIED_IPV4: Final = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
ALLOWED_IPV6: Final = IPv6Network("2000::/3")
"""Everything outside is denied by construction."""
DENIED_IPV6: Final = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "2620:4f:8000::/48",
        "3fff::/20",
    )
)

_DENIED_NAMES: Final = frozenset(
    {"localhost", "metadata.google.internal", "metadata.amazonaws.com"}
)
_DENIED_SUFFIXES: Final = (
    ".localhost",
    ".local",
    ".localdomain",
    ".internal",
    ".home.arpa",
    ".lan",
    ".onion",
    ".svc",
    ".cluster.local",
)


@dataclass(frozen=True, slots=True)
class AddressRules:
    """What an operator has said about where to send.

    `allowed_networks` exempts addresses from the built-in denial and lifts the denial of names for
    what resolves there; `denied_networks` denies more, and wins. `allowed_hosts` and
    `allowed_ports` only restrict, when they are set. `own_hosts` are names of this very server,
    which is no target. Hosts are in lower case.
    """

    allowed_networks: tuple[Network, ...] = ()
    denied_networks: tuple[Network, ...] = ()
    allowed_hosts: frozenset[str] = frozenset()
    allowed_ports: frozenset[int] = frozenset()
    own_hosts: frozenset[str] = frozenset()
    allow_http: bool = False


def parse_network(text: str) -> Network:
    """The network that an operator wrote, an address or CIDR. Raises `ValueError`."""
    return ip_network(text, strict=True)


def address_fault(address: Address, rules: AddressRules) -> str | None:
    """Why this address may not be called, or None if it may.

    Ask about every address of every connection, right before connecting to that very address.
    """
    address = plain(address)
    if _is_within(address, rules.denied_networks):
        return "the address is denied by the operator"
    if _is_within(address, rules.allowed_networks):
        return None
    if isinstance(address, IPv4Address):
        is_denied = _is_within(address, DENIED_IPV4)
    else:
        is_denied = address not in ALLOWED_IPV6 or _is_within(address, DENIED_IPV6)
    return "the address is not on the public internet" if is_denied else None


def is_exempt(address: Address, rules: AddressRules) -> bool:
    """Whether the operator has named this address: only such may bear a denied name."""
    address = plain(address)
    return _is_within(address, rules.allowed_networks) and not _is_within(
        address, rules.denied_networks
    )


def name_is_denied(host: str) -> bool:
    """Whether a host name by itself speaks of an inner network; single labels always do."""
    name = host.rstrip(".")
    return "." not in name or name in _DENIED_NAMES or name.endswith(_DENIED_SUFFIXES)


def plain(address: Address) -> Address:
    """The address that is really meant: an IPv4-mapped one stands for the IPv4 address within."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def literal_address(host: str) -> Address | None:
    """The address if the host is one in canonical form, else None."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def _is_within(address: Address, networks: tuple[Network, ...]) -> bool:
    # An IPv6 address is never "in" an IPv4 network and the other way round, which is what we want
    # here because mapped addresses are made plain before.
    return any(address in network for network in networks if network.version == address.version)
