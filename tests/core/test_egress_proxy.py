"""What names a proxy, and whose fault it is when there is no way through it."""

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.core.attempt import Answer, ErrorClass, Outcome, outcome_of
from tidings.core.egress_proxy import EgressProxy, parse_egress_proxy, tunnel_fault


@pytest.mark.parametrize(
    ("text", "proxy"),
    [
        ("http://proxy.example.com:3128", EgressProxy("proxy.example.com", 3128)),
        ("http://10.0.0.1:4750/", EgressProxy("10.0.0.1", 4750)),
        ("http://[fd00::1]:3128", EgressProxy("fd00::1", 3128)),
        (
            "http://user:p%40ss%3A%2F@proxy:80",
            EgressProxy("proxy", 80, "Basic " + b64encode(b"user:p@ss:/").decode()),
        ),
        ("http://user@proxy:80", EgressProxy("proxy", 80, "Basic dXNlcjo=")),
    ],
)
def test_a_proxy_is_named_by_host_and_port(text: str, proxy: EgressProxy) -> None:
    assert parse_egress_proxy(text) == proxy


@pytest.mark.parametrize(
    "text",
    [
        "",
        "proxy:3128",
        "proxy.example.com",
        "http://proxy",
        "http://proxy:0",
        "http://proxy:65536",
        "http://proxy:x",
        "http://:3128",
        "https://proxy:3128",
        "socks5://proxy:1080",
        "http://proxy:3128/path",
        "http://proxy:3128?a",
        "http://proxy:3128#a",
        "http://pro xy:3128",
        "http://pröxy:3128",
        "http://proxy:3128\r\nX: y",
        "http://us%3Aer:pass@proxy:3128",
        "http://[::1:3128",
    ],
)
def test_what_names_no_proxy_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^[a-z]"):
        parse_egress_proxy(text)


def test_a_password_is_not_shown() -> None:
    proxy = parse_egress_proxy("http://user:hush@proxy:3128")
    assert "hush" not in repr(proxy)
    assert proxy.authorization is not None
    assert proxy.authorization not in repr(proxy)
    with pytest.raises(ValueError, match=r"^[a-z]") as refused:
        parse_egress_proxy("https://user:hush@proxy:3128")
    assert "hush" not in str(refused.value)


@given(st.text())
def test_any_text_is_a_proxy_or_refused(text: str) -> None:
    try:
        proxy = parse_egress_proxy(text)
    except ValueError:
        return
    assert proxy.host
    assert 0 < proxy.port < 65_536


@pytest.mark.parametrize(
    ("status", "names", "outcome"),
    [
        (403, (), Outcome.BLOCKED),
        (407, ("proxy-authenticate",), Outcome.OUR_FAULT),
        (407, (), Outcome.OUR_FAULT),
        (407, ("x-smokescreen-error",), Outcome.BLOCKED),
        (502, (), Outcome.FAILED),
        (503, (), Outcome.FAILED),
        (504, (), Outcome.FAILED),
        (100, (), Outcome.OUR_FAULT),
        (302, (), Outcome.OUR_FAULT),
        (400, (), Outcome.OUR_FAULT),
        (401, (), Outcome.OUR_FAULT),
        (404, (), Outcome.OUR_FAULT),
        (405, (), Outcome.OUR_FAULT),
        (429, (), Outcome.OUR_FAULT),
        (500, (), Outcome.OUR_FAULT),
        (501, (), Outcome.OUR_FAULT),
        (505, (), Outcome.OUR_FAULT),
    ],
)
def test_a_tunnel_that_is_refused_is_somebodys_fault(
    status: int, names: tuple[str, ...], outcome: Outcome
) -> None:
    fault = tunnel_fault(status, names)
    assert fault is not None
    error_class, detail = fault
    assert outcome_of(Answer(error_class=error_class)) is outcome
    assert "proxy" not in detail


@pytest.mark.parametrize("status", [200, 204, 299])
def test_a_tunnel_is_made_by_any_success(status: int) -> None:
    assert tunnel_fault(status, ()) is None


def test_a_receiver_that_is_silent_behind_a_proxy_has_timed_out() -> None:
    assert tunnel_fault(504, ()) == (ErrorClass.TIMEOUT, "the address did not react")
