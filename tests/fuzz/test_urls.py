"""Callback URLs and addresses from strangers: refused or rebuilt, and read alike by all parsers."""

from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

import httpx2
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from tidings.core import limits
from tidings.core.addresses import AddressRules, address_fault, parse_callback_url
from tidings.core.refusals import CallbackUrlRefused

OPEN = AddressRules(allow_http=True)
STRICT = AddressRules()

ODD = st.sampled_from(
    [*"\\@:/?#[]%.;&=+$,!*'()~ \t\r\n\0", "%2e", "%00", "%0d%0a", "..", "//", "0x7f", *"。①é"]
)
HOSTS = st.sampled_from(
    [
        "example.com",
        "EXAMPLE.com.",
        "xn--bcher-kva.example",
        "localhost",
        "metadata.google.internal",
        "127.0.0.1",
        "2130706433",
        "0177.1",
        "8.8.8.8",
        "[::1]",
        "[::ffff:8.8.8.8]",
        "[2606:4700::1111]",
        "[fe80::1%25lo]",
    ]
)
PIECES = st.one_of(
    st.sampled_from(["https://", "http://", "HTTPS:", "//", ":443", ":80", ":65536", ":0", ":٨٠"]),
    HOSTS,
    ODD,
    st.text(max_size=4),
    st.text(alphabet="abcdefghijklmnopqrstuvwxyz0123456789-_.", max_size=8),
)
NEAR_URLS = st.one_of(
    st.lists(PIECES, max_size=10).map("".join),
    st.tuples(
        st.sampled_from(["https://", "http://"]),
        HOSTS,
        st.sampled_from(["", ":443", ":8443"]),
        st.lists(PIECES, max_size=6).map("".join),
    ).map("".join),
)
ADDRESSES = st.one_of(
    st.integers(0, 2**32 - 1).map(IPv4Address),
    st.integers(0, 2**128 - 1).map(IPv6Address),
    st.integers(0, 2**125 - 1).map(lambda number: IPv6Address((1 << 125) + number)),
    st.integers(0, 2**96 - 1).map(lambda number: IPv6Address((0x2001 << 112) + number)),
)


@given(st.one_of(NEAR_URLS, st.text(max_size=60)))
def test_a_url_is_refused_or_rebuilt_to_one_that_stays_as_it_is(text: str) -> None:
    try:
        parsed = parse_callback_url(text, OPEN)
    except CallbackUrlRefused:
        return
    assert parse_callback_url(parsed.url, OPEN) == parsed
    assert parsed.url.isascii()
    assert parsed.url.isprintable()
    assert len(text) <= limits.CALLBACK_URL_LENGTH_MAX


@given(NEAR_URLS)
def test_what_is_called_is_what_was_judged_whoever_parses_it(text: str) -> None:
    try:
        parsed = parse_callback_url(text, OPEN)
    except CallbackUrlRefused:
        return
    called = URL(parsed.url, encoded=True)
    assert (called.scheme, called.port) == (parsed.scheme, parsed.port)
    assert called.raw_host == parsed.host
    assert called.raw_path_qs == parsed.target
    assert (called.user, called.password, called.fragment) == (None, None, "")
    split = urlsplit(parsed.url)
    assert (split.hostname, split.username, split.fragment) == (parsed.host, None, "")
    other = httpx2.URL(parsed.url)
    assert other.raw_host.decode("ascii") == parsed.host
    assert other.port in (None, parsed.port)


@given(NEAR_URLS)
def test_an_address_in_an_accepted_url_may_be_called(text: str) -> None:
    try:
        parsed = parse_callback_url(text, STRICT)
    except CallbackUrlRefused:
        return
    assert parsed.scheme == "https"
    try:
        address = ip_address(parsed.host)
    except ValueError:
        return
    assert address.is_global
    assert address_fault(address, STRICT) is None


@given(ADDRESSES)
def test_what_may_be_called_is_global_in_every_notation(address: IPv4Address | IPv6Address) -> None:
    fault = address_fault(address, STRICT)
    assert address_fault(str(address), STRICT) == fault
    if fault is None:
        assert address.is_global
        assert not address.is_multicast
    if isinstance(address, IPv4Address):
        assert address_fault(IPv6Address((0xFFFF << 32) + int(address)), STRICT) == fault


@given(st.one_of(st.text(max_size=50), st.text(alphabet="0123456789abcdef:.%x", max_size=40)))
def test_a_text_that_is_no_address_is_never_called(text: str) -> None:
    if address_fault(text, STRICT) is None:
        assert ip_address(text).is_global
