"""Only globally reachable addresses may be called, and names that do not speak of an inside.

What a URL may look like stands in `test_callback_urls.py`.
"""

from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.core.addresses import (
    AddressRules,
    address_fault,
    is_denied_name,
    parse_callback_url,
    parse_network,
)
from tidings.core.refusals import CallbackUrlRefused

RULES = AddressRules()
PUBLIC = ["8.8.8.8", "1.1.1.1", "93.184.216.34", "2606:4700::1111", "2a00:1450:4001:81c::200e"]


def rules(*networks: str, denied: tuple[str, ...] = (), **others: Any) -> AddressRules:
    return AddressRules(
        allowed_networks=tuple(map(ip_network, networks)),
        denied_networks=tuple(map(ip_network, denied)),
        **others,
    )


# --- addresses -----------------------------------------------------------------------------------

DENIED_NETWORKS = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
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
    "255.255.255.255/32",
    "168.63.129.16/32",
    "100.100.100.200/32",
    "::/8",
    "::/96",
    "::ffff:0:0:0/96",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "100::/64",
    "100:0:0:1::/64",
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "2620:4f:8000::/48",
    "3fff::/20",
    "4000::/3",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
]
# What `ipaddress` calls global, and where clouds keep their secrets.
DENIED_ADDRESSES = [
    "224.0.0.1",
    "239.255.255.250",
    "192.88.99.1",
    "168.63.129.16",
    "192.0.0.8",
    "192.0.0.192",
    "169.254.169.254",
    "169.254.170.2",
    "169.254.170.23",
    "100.100.100.200",
    "::",
    "::1",
    "::127.0.0.1",
    "::a9fe:a9fe",
    "::8.8.8.8",
    "::ffff:0:127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:a9fe:a9fe",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::1",
    "2001::1",
    "2001:0:7f00:1::",
    "2002:7f00:1::",
    "2002:808:808::1",
    "3fff::1",
    "5f00::1",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "100:0:0:1::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fe80::1",
]
NO_ADDRESSES = ["", "localhost", "127.1", "0x7f.1", "2130706433", "127.0.0.01", "fe80::1%lo"]


@pytest.mark.parametrize("network", DENIED_NETWORKS)
def test_special_networks_are_denied_from_end_to_end(network: str) -> None:
    denied = ip_network(network)
    for address in (denied[0], denied[-1], denied[denied.num_addresses // 2]):
        assert address_fault(address, RULES)
        assert address_fault(str(address), RULES)


@pytest.mark.parametrize("address", [*DENIED_ADDRESSES, *NO_ADDRESSES])
def test_special_addresses_are_denied(address: str) -> None:
    assert address_fault(address, RULES)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_may_be_called(address: str) -> None:
    assert address_fault(address, RULES) is None


@pytest.mark.parametrize("address", ["9.255.255.255", "11.0.0.0", "172.15.255.255", "172.32.0.0"])
def test_the_neighbours_of_denied_networks_may_be_called(address: str) -> None:
    assert address_fault(address, RULES) is None
    assert address_fault(f"::ffff:{address}", RULES) is None


@pytest.mark.parametrize(
    ("allowed", "address", "is_allowed"),
    [
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "::ffff:10.1.2.3", True),
        ("::ffff:10.0.0.0/104", "10.1.2.3", False),
        ("::ffff:10.0.0.0/104", "::ffff:10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", True),
        ("10.0.0.0/8", "192.168.0.1", False),
        ("::1/128", "::1", True),
        ("127.0.0.0/8", "127.255.0.1", True),
        ("fd00::/8", "fd12::1", True),
        ("fd00::/8", "fe80::1", False),
        # Behind a translator stands an IPv4 address, which must be right by itself.
        ("64:ff9b::/96", "64:ff9b::808:808", True),
        ("64:ff9b::/96", "64:ff9b::7f00:1", False),
        ("64:ff9b::/96", "64:ff9b::a9fe:a9fe", False),
        ("2002::/16", "2002:808:808::1", True),
        ("2002::/16", "2002:7f00:1::1", False),
        ("2001::/32", "2001:0:4136:e378:8000:63bf:f5ff:fffe", False),
        ("::/0", "::127.0.0.1", False),
        ("::/0", "::ffff:0:10.0.0.1", False),
    ],
)
def test_allowed_networks_exempt_what_lies_in_them(
    allowed: str, address: str, is_allowed: bool
) -> None:
    fault = address_fault(address, rules(allowed))
    assert (fault is None) is is_allowed


def test_a_translator_may_lead_to_what_is_allowed_too() -> None:
    assert address_fault("64:ff9b::a00:1", rules("64:ff9b::/96", "10.0.0.0/8")) is None
    assert address_fault("64:ff9b::a00:1", rules("10.0.0.0/8"))


@pytest.mark.parametrize("address", ["8.8.8.8", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_denied_networks_win(address: str) -> None:
    assert address_fault(address, rules("0.0.0.0/0", "::/0", denied=("8.8.8.0/24",)))
    assert address_fault("8.8.9.8", rules(denied=("8.8.8.0/24",))) is None


def test_ports_restrict_and_exempt_nothing() -> None:
    only = rules(allowed_ports=frozenset({443, 8443}))
    assert address_fault("8.8.8.8", only, port=443) is None
    assert address_fault("8.8.8.8", only, port=80)
    assert address_fault("10.0.0.1", only, port=443)
    assert address_fault("8.8.8.8", RULES, port=80) is None


@pytest.mark.parametrize("host", ["localhost", "metadata.google.internal", "api.default.svc"])
def test_an_internal_name_leads_to_allowed_networks_alone(host: str) -> None:
    assert address_fault("10.0.0.1", rules("10.0.0.0/8"), host=host) is None
    assert address_fault("8.8.8.8", rules("10.0.0.0/8"), host=host)
    assert address_fault("8.8.8.8", rules("10.0.0.0/8"), host="example.com") is None


def test_a_fault_does_not_tell_the_address() -> None:
    for address in DENIED_ADDRESSES:
        assert address not in str(address_fault(address, RULES, host="example.com"))


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_judged_alike_in_every_notation(address: IPv4Address) -> None:
    mapped = IPv6Address(0xFFFF << 32 | int(address))
    for one in (RULES, rules("10.0.0.0/8"), rules(denied=("8.0.0.0/8",))):
        assert address_fault(address, one) == address_fault(mapped, one)


@given(st.ip_addresses())
def test_what_python_calls_private_is_never_called(address: IPv4Address | IPv6Address) -> None:
    unmapped = getattr(address, "ipv4_mapped", None) or address
    if not unmapped.is_global or unmapped.is_multicast:
        assert address_fault(address, RULES)


@given(st.ip_addresses())
def test_a_translated_address_needs_an_exemption(address: IPv4Address | IPv6Address) -> None:
    if isinstance(address, IPv6Address) and address.teredo is not None:
        assert address_fault(address, RULES)
    last = int(address) & 0xFFFFFFFF
    for prefix in (0x64FF9B << 96, 0xFFFF << 48, 0x2002 << 112):
        assert address_fault(IPv6Address(prefix | last), RULES)


def test_a_network_is_an_address_or_cidr() -> None:
    assert str(parse_network("10.0.0.0/8")) == "10.0.0.0/8"
    assert str(parse_network("::1")) == "::1/128"
    for text in ("10.0.0.1/8", "10/8x", "localhost", ""):
        with pytest.raises(ValueError, match=r"does not appear|host bits"):
            parse_network(text)


# --- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "a.localhost",
        "printer.local",
        "vault.internal",
        "metadata.google.internal",
        "metadata.amazonaws.com",
        "router.home.arpa",
        "abc.onion",
        "api.default.svc",
        "api.default.svc.cluster.local",
        "intranet",
    ],
)
def test_internal_names_are_denied_until_networks_are_allowed(host: str) -> None:
    assert is_denied_name(host)
    with pytest.raises(CallbackUrlRefused):
        parse_callback_url(f"https://{host}/", RULES)
    with pytest.raises(CallbackUrlRefused):
        parse_callback_url(f"https://{host.upper()}./", RULES)
    assert parse_callback_url(f"https://{host}/", rules("10.0.0.0/8")).host == host


@pytest.mark.parametrize("host", ["example.com", "localhost.example.com", "internal.example"])
def test_other_names_are_not_denied(host: str) -> None:
    assert not is_denied_name(host)
    assert parse_callback_url(f"https://{host}/", RULES).host == host
