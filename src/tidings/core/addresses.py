"""Which network addresses and URLs may be called.

Two questions, asked at two times. `parse_callback_url` judges the text of a URL, when a
subscription is written and again when a request is sent; it never resolves a name. `address_fault`
judges an address, literal or resolved, each time a connection is made, and has the last word.

A text that two parsers could read differently is refused: what one of them takes for a host and
another for a path is how a request ends up inside somebody's network. What is accepted is rebuilt
from its parts, and only the rebuilt URL is ever called.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, NoReturn

from tidings.core import limits
from tidings.core.refusals import CallbackUrlRefused, Fault

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

LOOPBACK_NETWORKS: Final[tuple[Network, ...]] = (
    IPv4Network("127.0.0.0/8"),
    IPv6Network("::1/128"),
)
"""What development adds to `allowed_networks`."""


@dataclass(frozen=True, slots=True)
class AddressRules:
    """What an operator allows and denies beyond the rules that always hold.

    `allowed_networks` exempts addresses, and lifts the denial of names for what resolves there;
    `denied_networks` wins over everything. `allowed_hosts` and `allowed_ports` restrict when they
    are not empty and exempt nothing; a host may begin with `*.` for all names below it.
    `own_origins` are the hosts and ports under which we ourselves are reached. Where a proxy
    resolves names (`are_names_resolved_elsewhere`), nobody can tell that an internal name leads to
    `allowed_networks`, so that it is always denied.
    """

    allowed_networks: tuple[Network, ...] = ()
    denied_networks: tuple[Network, ...] = ()
    allowed_hosts: frozenset[str] = frozenset()
    allowed_ports: frozenset[int] = frozenset()
    allow_http: bool = False
    own_origins: frozenset[tuple[str, int]] = frozenset()
    are_names_resolved_elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class CallbackUrl:
    """A callback URL taken apart. `url` is rebuilt from the parts, `target` is path and query."""

    scheme: str
    host: str
    port: int
    target: str
    url: str


def parse_network(text: str) -> Network:
    """The network that an operator wrote: an address, or CIDR. Raises `ValueError`."""
    return ip_network(text)


# --- addresses -----------------------------------------------------------------------------------

_DENIED_ADDRESS: Final = "private, local and reserved addresses may not be called"
_DENIED_BY_OPERATOR: Final = "the operator does not allow this address to be called"
_DENIED_NAME: Final = "internal names may not be called"

# The special-purpose registries of IANA, and what clouds serve their inner workings from; each
# with what it is. The page docs/reference/addresses.md is printed from these.
DENIED_IPV4: Final = {
    IPv4Network(text): about
    for text, about in (
        ("0.0.0.0/8", "this network"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared by carriers; holds 100.100.100.200, Alibaba's metadata"),
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "Azure's wire server"),
        ("169.254.0.0/16", "link-local; holds the metadata of most clouds"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "protocol assignments; holds 192.0.0.192, Oracle's old metadata"),
        ("192.0.2.0/24", "documentation"),
        ("192.31.196.0/24", "AS112"),
        ("192.52.193.0/24", "AMT"),
        ("192.88.99.0/24", "6to4 relays"),
        ("192.168.0.0/16", "private"),
        ("192.175.48.0/24", "AS112"),
        ("198.18.0.0/15", "benchmarks"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved, and broadcast"),
    )
}
GLOBAL_IPV6: Final = IPv6Network("2000::/3")
"""Everything outside is denied: ULA with fd00:ec2::254 and fd20:ce::254, link-local, multicast."""
DENIED_IPV6: Final = {
    IPv6Network(text): about
    for text, about in (
        ("2001::/23", "protocol assignments, Teredo"),
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "6to4"),
        ("2620:4f:8000::/48", "AS112"),
        ("3fff::/20", "documentation"),
    )
}
IPV4_IN_THE_LAST_BITS: Final = {
    IPv6Network(text): about
    for text, about in (
        ("::/96", "IPv4-compatible"),
        ("::ffff:0:0:0/96", "IPv4-translated"),
        ("64:ff9b::/96", "NAT64"),
        ("64:ff9b:1::/48", "NAT64, local use"),
    )
}
_LEAST_IPV4_COMPATIBLE: Final = 1 << 24
"""Below lie `::`, `::1` and what would be 0.0.0.0/8."""


def address_fault(
    address: str | Address, rules: AddressRules, *, host: str | None = None, port: int | None = None
) -> str | None:
    """Why this address may not be called, or None if it may.

    `host` is the name that resolved to it: an internal name may lead to `allowed_networks` alone.
    The text says nothing about the address, so that it can be shown to a subscriber.
    """
    if port is not None and rules.allowed_ports and port not in rules.allowed_ports:
        return f"port {port} may not be called"
    parsed = _parsed(address)
    if parsed is None:
        return _DENIED_ADDRESS
    # Notations of an address, and addresses that are reached through it: all must be right.
    notations = (parsed, _unmapped(parsed))
    judged = tuple(_with_embedded(notations[-1]))
    if any(_lies_in(one, rules.denied_networks) for one in (*notations, *judged)):
        return _DENIED_BY_OPERATOR
    exempt = any(_lies_in(one, rules.allowed_networks) for one in notations)
    if not exempt and host is not None and is_denied_name(host):
        return _DENIED_NAME
    if exempt:
        judged = judged[1:]
    if any(_is_denied(one) and not _lies_in(one, rules.allowed_networks) for one in judged):
        return _DENIED_ADDRESS
    return None


def _parsed(address: str | Address) -> Address | None:
    if not isinstance(address, str):
        return address
    try:
        parsed = ip_address(address)
    except ValueError:
        return None
    return None if "%" in address else parsed


def _unmapped(address: Address) -> Address:
    """An IPv4 address in IPv6 notation reaches the IPv4 address itself."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _with_embedded(address: Address) -> Iterator[Address]:
    """The address, and the IPv4 address that a translator or tunnel would bring us to."""
    yield address
    if isinstance(address, IPv4Address):
        return
    if address.sixtofour is not None:
        yield address.sixtofour
    elif address.teredo is not None:
        yield address.teredo[1]
    elif _lies_in(address, IPV4_IN_THE_LAST_BITS) and int(address) >= _LEAST_IPV4_COMPATIBLE:
        yield IPv4Address(int(address) & 0xFFFFFFFF)


def _is_denied(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return _lies_in(address, DENIED_IPV4)
    return address not in GLOBAL_IPV6 or _lies_in(address, DENIED_IPV6)


def _lies_in(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)


# --- names ---------------------------------------------------------------------------------------

DENIED_NAMES: Final = frozenset({"metadata.google.internal", "metadata.amazonaws.com"})
DENIED_SUFFIXES: Final = (
    ".localhost",
    ".local",
    ".internal",
    ".home.arpa",
    ".onion",
    ".svc",
    ".cluster.local",
)
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMERIC_LABEL: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_NAME_LENGTH_MAX: Final = 253


def is_denied_name(host: str) -> bool:
    """Whether a name belongs to the inside of a network. Only a first filter: addresses decide."""
    return (
        ("." not in host and ":" not in host)
        or host in DENIED_NAMES
        or host.endswith(DENIED_SUFFIXES)
    )


# --- URLs ----------------------------------------------------------------------------------------

_DEFAULT_PORTS: Final = {"https": 443, "http": 80}
_VISIBLE_ASCII: Final = re.compile(r"[\x21-\x7e]*")
_URL: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)(/[^?#]*)?(?:\?([^#]*))?(#.*)?")
_AUTHORITY: Final = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(?::(.*))?")
_PORT: Final = re.compile(r"[1-9][0-9]{0,4}")
_PORT_MAX: Final = 65_535
_PATH: Final = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*")
# Square brackets are not in the grammar, but in every other query, and no parser stumbles there.
_QUERY: Final = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?\[\]-]|%[0-9A-Fa-f]{2})*")


def parse_callback_url(text: str, rules: AddressRules) -> CallbackUrl:
    """Take a callback URL apart. Raises `CallbackUrlRefused` for what may not be called."""
    if len(text) > limits.CALLBACK_URL_LENGTH_MAX:
        _refuse(f"it is longer than {limits.CALLBACK_URL_LENGTH_MAX} characters")
    if not _VISIBLE_ASCII.fullmatch(text):
        _refuse(
            "only visible ASCII characters are allowed: percent-encode others, and write"
            " international host names in their ASCII form (xn--…)"
        )
    match = _URL.fullmatch(text)
    if match is None or "\\" in text:
        _refuse("it must have the form https://host/path")
    scheme = match[1].lower()
    _check_scheme(scheme, rules)
    if match[5] is not None:
        _refuse("it must not have a fragment (#…)")
    host, port = _host_and_port(match[2], scheme)
    target = _target(match[3] or "/", match[4] or "")
    _check_host(host, port, rules)
    shown = f"[{host}]" if ":" in host else host
    authority = shown if port == _DEFAULT_PORTS[scheme] else f"{shown}:{port}"
    return CallbackUrl(scheme, host, port, target, f"{scheme}://{authority}{target}")


def _check_scheme(scheme: str, rules: AddressRules) -> None:
    if scheme not in _DEFAULT_PORTS:
        _refuse("it must begin with https://")
    if scheme == "http" and not rules.allow_http:
        _refuse("it must begin with https://; http is not allowed here")


def _host_and_port(authority: str, scheme: str) -> tuple[str, int]:
    if "@" in authority:
        _refuse("it must not hold a user name or password; use custom headers")
    match = _AUTHORITY.fullmatch(authority)
    if match is None or not match[1]:
        _refuse("it has no host, or one that cannot be read")
    if match[2] is None:
        return _canonical_host(match[1].lower()), _DEFAULT_PORTS[scheme]
    if not _PORT.fullmatch(match[2]) or int(match[2]) > _PORT_MAX:
        _refuse(f"the port must be a number from 1 to {_PORT_MAX}")
    return _canonical_host(match[1].lower()), int(match[2])


def _canonical_host(host: str) -> str:
    if host.startswith("["):
        address = _parsed(host[1:-1])
        if not isinstance(address, IPv6Address):
            _refuse("what stands in brackets is not an IPv6 address")
        if address.ipv4_mapped is not None:
            _refuse("write an IPv4 address as such")
        return address.compressed
    name = host.removesuffix(".")
    labels = name.split(".")
    if len(name) > _NAME_LENGTH_MAX or not all(map(_LABEL.fullmatch, labels)):
        _refuse("the host is not a valid name")
    if _NUMERIC_LABEL.fullmatch(labels[-1]):
        # Resolvers turn 127.1, 0x7f.1 or 2130706433 into addresses; we take only one spelling.
        if not isinstance(_parsed(host), IPv4Address):
            _refuse("a host that ends in a number must be an IPv4 address like 192.0.2.1")
        return host
    return name


def _target(path: str, query: str) -> str:
    if not _PATH.fullmatch(path) or not _QUERY.fullmatch(query):
        _refuse("its path or query holds characters that must be percent-encoded")
    return f"{path}?{query}" if query else path


def _check_host(host: str, port: int, rules: AddressRules) -> None:
    if rules.allowed_hosts and not any(_matches(host, one) for one in rules.allowed_hosts):
        _refuse("the operator does not allow this host")
    if (host, port) in rules.own_origins:
        _refuse("that is this very server")
    address = _parsed(host)
    if address is not None:
        fault = address_fault(address, rules, port=port)
    elif rules.allowed_ports and port not in rules.allowed_ports:
        fault = f"port {port} may not be called"
    elif is_denied_name(host) and (
        rules.are_names_resolved_elsewhere or not rules.allowed_networks
    ):
        fault = _DENIED_NAME
    else:
        fault = None
    if fault is not None:
        _refuse(fault)


def _matches(host: str, allowed: str) -> bool:
    allowed = allowed.lower()
    return host.endswith(allowed[1:]) if allowed.startswith("*.") else host == allowed


def _refuse(why: str) -> NoReturn:
    raise CallbackUrlRefused(
        f"the callback URL is refused: {why}", faults=[Fault("/callbackUrl", why)]
    )
