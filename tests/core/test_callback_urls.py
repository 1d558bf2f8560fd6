"""A callback URL has one reading, or is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.test_addresses import DENIED_ADDRESSES, RULES, rules
from tidings.core import limits
from tidings.core.addresses import LOOPBACK_NETWORKS, AddressRules, parse_callback_url
from tidings.core.refusals import CallbackUrlRefused


@pytest.mark.parametrize(
    ("text", "rebuilt"),
    [
        ("https://client.example.com/webhooks", "https://client.example.com/webhooks"),
        ("https://example.com", "https://example.com/"),
        ("HTTPS://EXAMPLE.com./A", "https://example.com/A"),
        ("https://example.com:443/", "https://example.com/"),
        ("https://example.com:8443", "https://example.com:8443/"),
        ("https://example.com?a=b", "https://example.com/?a=b"),
        ("https://example.com/?", "https://example.com/"),
        ("https://example.com/a//b/../c;d?x[]=%2F&y=?/@:", None),
        ("https://my_host.example.com/", None),
        ("https://xn--bcher-kva.example/", None),
        ("https://8.8.8.8/", None),
        ("https://[2606:4700:0:0::1111]:8443/", "https://[2606:4700::1111]:8443/"),
        ("https://1.example.com/", None),
        ("https://a.1b/", None),
    ],
)
def test_a_url_is_rebuilt_from_its_parts(text: str, rebuilt: str | None) -> None:
    assert parse_callback_url(text, RULES).url == (rebuilt or text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "example.com",
        "//example.com/",
        "https:",
        "https://",
        "https:///path",
        "https:example.com",
        "http:/127.0.0.1/",
        "https:/example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "gopher://example.com/",
        "unix:///run/docker.sock",
        " https://example.com/",
        "https://example.com/ ",
        "https://example.com/a b",
        "https://exam\tple.com/",
        "ht\ntps://example.com/",
        "https://example.com/\r\nX: y",
        "https://example.com/\x00",
        "https://example.com/\x7f",
        "https://example.com\\@127.0.0.1/",
        "http://evil.com\\@127.0.0.1/",
        "http://127.0.0.1\\@evil.com/",
        "https://example.com/a\\b",
        "https://user@example.com/",
        "https://user:password@example.com/",
        "https://@example.com/",
        "https://example.com:443@127.0.0.1/",
        "https://example.com#@127.0.0.1/",
        "https://example.com/#fragment",
        "https://example.com/#",
        "https://bücher.example/",
        "https://127。0。0。1/",
        "https://①②⑦.⓪.⓪.①/",
        "https://ⓛocalhost/",
        "https://example.com:٨٠/",
        "https://example.com:/",
        "https://example.com:0/",
        "https://example.com:080/",
        "https://example.com:65536/",
        "https://example.com:99999999999/",
        "https://example.com:80:80/",
        "https://example.com:-1/",
        "https://example.com:+80/",
        "https://ex%61mple.com/",
        "https://example.com%00.evil.com/",
        "https://exa mple.com/",
        "https://exa$mple.com/",
        "https://.example.com/",
        "https://example..com/",
        "https://example.com../",
        "https://-a.example.com/",
        "https://a-.example.com/",
        "https://./",
        f"https://{'a' * 64}.example.com/",
        f"https://{'a.' * 127}com/",
        "https://example.com/%",
        "https://example.com/%zz",
        "https://example.com/a?b=%1",
        'https://example.com/"',
        "https://example.com/<a>",
        "https://example.com/{a}",
        "https://example.com/ä",
        "https://[::1/",
        "https://::1/",
        "https://[::1]a/",
        "https://[fe80::1%25lo]/",
        "https://[fe80::1%lo]/",
        "https://[v1.a]/",
        "https://[]/",
        "https://[8.8.8.8]/",
        "https://[::ffff:8.8.8.8]/",
        "https://[::ffff:808:808]/",
        "https://8.8.8.8./",
        f"https://example.com/{'a' * limits.CALLBACK_URL_LENGTH_MAX}",
    ],
)
def test_what_parsers_might_read_differently_is_refused(text: str) -> None:
    with pytest.raises(CallbackUrlRefused) as refused:
        parse_callback_url(text, AddressRules(allow_http=True))
    assert refused.value.detail
    assert refused.value.faults[0].pointer == "/callbackUrl"


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "0x7f.1",
        "0x7f.0x1",
        "017700000001",
        "127.0.0.01",
        "192.168.257",
        "0",
        "0x",
        "1.2.3.4.5",
        "256.1.1.1",
        "8.8.8",
        "a.1",
        "example.0x1",
    ],
)
def test_an_address_has_one_spelling(host: str) -> None:
    # Also where the address itself might be called.
    with pytest.raises(CallbackUrlRefused):
        parse_callback_url(f"https://{host}/", rules("0.0.0.0/0", "::/0"))


@pytest.mark.parametrize("address", [*DENIED_ADDRESSES, "10.0.0.1", "127.0.0.1"])
def test_a_denied_address_is_refused_in_a_url(address: str) -> None:
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(CallbackUrlRefused):
        parse_callback_url(f"https://{host}/", RULES)


def test_development_may_call_loopback_by_http() -> None:
    dev = AddressRules(allowed_networks=LOOPBACK_NETWORKS, allow_http=True)
    for url in ("http://127.0.0.1:9000/", "http://[::1]:9000/", "http://localhost:9000/"):
        assert parse_callback_url(url, dev).url == url
    with pytest.raises(CallbackUrlRefused):
        parse_callback_url("http://10.0.0.1/", dev)
    with pytest.raises(CallbackUrlRefused, match="https"):
        parse_callback_url("http://example.com/", RULES)


def test_hosts_and_ports_restrict_when_they_are_set() -> None:
    only = rules(
        allowed_hosts=frozenset({"example.com", "*.Example.org"}), allowed_ports=frozenset({443})
    )
    for url in ("https://example.com/", "https://a.example.org/", "https://a.b.example.org/"):
        assert parse_callback_url(url, only).url == url
    for host in ("a.example.com", "example.org", "evilexample.org", "8.8.8.8", "example.com:8443"):
        with pytest.raises(CallbackUrlRefused):
            parse_callback_url(f"https://{host}/", only)
    # To be listed does not make an address public.
    with pytest.raises(CallbackUrlRefused):
        parse_callback_url("https://10.0.0.1/", rules(allowed_hosts=frozenset({"10.0.0.1"})))


def test_our_own_address_is_no_receiver() -> None:
    own = rules(own_origins=frozenset({("tidings.example.com", 443)}))
    with pytest.raises(CallbackUrlRefused):
        parse_callback_url("https://Tidings.example.com./events", own)
    assert parse_callback_url("https://tidings.example.com:8443/", own).port == 8443


@given(st.text(max_size=80))
def test_no_text_makes_the_parser_fail(text: str) -> None:
    for one in (text, f"https://{text}", f"https://example.com/{text}", f"https://[{text}]/"):
        try:
            parsed = parse_callback_url(one, AddressRules(allow_http=True))
        except CallbackUrlRefused:
            continue
        # Reading what was rebuilt changes nothing any more.
        assert parse_callback_url(parsed.url, AddressRules(allow_http=True)) == parsed
        assert parsed.url.isascii()
        assert parsed.url.isprintable()


@given(
    st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?\.[a-z]{2,8}", fullmatch=True),
    st.integers(1, 65_535),
    st.from_regex(r"(/[A-Za-z0-9._~%]{0,8}){0,4}", fullmatch=True).filter(
        lambda path: "%" not in path
    ),
)
def test_plain_urls_keep_their_parts(host: str, port: int, path: str) -> None:
    allow_all = rules("0.0.0.0/0", allow_http=True)
    parsed = parse_callback_url(f"https://{host}:{port}{path}", allow_all)
    assert (parsed.host, parsed.port, parsed.target) == (host, port, path or "/")
