"""Through the operator's proxy: its faults are ours, and give nobody attempts for nothing."""

import asyncio
import logging
import socket
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator
from ipaddress import ip_network

import pytest
import trustme

from tests.contracts.transport.conftest import LOOPBACK, Client, FixedResolver
from tests.support.connect_proxy import Asked, Behaviour, ConnectProxy, refusing, saying
from tests.support.hostile_receiver import HostileReceiver, closing, resetting, silent, status
from tidings.core.addresses import AddressRules
from tidings.core.attempt import ErrorClass, Outcome, outcome_of
from tidings.core.egress_proxy import EgressProxy, parse_egress_proxy
from tidings.transport.tls import new_ssl_context

NAME = "receiver.example.com"
PROXIED = AddressRules(
    allowed_networks=(ip_network("127.0.0.0/8"),),
    allow_http=True,
    are_names_resolved_elsewhere=True,
)
SHORT = 0.4
"""A deadline that is meant to pass."""
OPEN = b"HTTP/1.1 200 Connection established\r\n\r\n"


@pytest.fixture
async def proxy() -> AsyncIterator[ConnectProxy]:
    """A proxy that knows the name of the receiver."""
    async with ConnectProxy() as one:
        one.names[NAME] = "127.0.0.1"
        yield one


@pytest.fixture
async def proxied(client: Client, proxy: ConnectProxy) -> Client:
    """A client that sends through the proxy, and can resolve nothing by itself."""
    await client.make(PROXIED, proxy=EgressProxy("127.0.0.1", proxy.port))
    return client


async def test_a_request_goes_through_a_tunnel_to_the_name(
    proxied: Client, proxy: ConnectProxy, receiver: HostileReceiver
) -> None:
    receiver.on("/", status("200 OK", body=b"ok"))
    url = receiver.url("/", host=NAME)
    for _ in range(3):
        answer = await proxied.post(url, b"a" * 100_000)
        assert (answer.status_code, answer.body) == (200, b"ok")
    (asked,) = proxy.asked
    assert asked.target == asked.header("host") == f"{NAME}:{receiver.port}"
    assert asked.header("proxy-authorization") is None
    assert receiver.connections == 1
    assert f"Host: {NAME}:{receiver.port}" in receiver.exchanges[0].header_lines


async def test_inside_of_the_tunnel_the_receiver_proves_who_it_is(
    proxied: Client, proxy: ConnectProxy
) -> None:
    authority = trustme.CA()
    trusting = new_ssl_context()
    authority.configure_trust(trusting)
    await proxied.make(PROXIED, proxy=EgressProxy("127.0.0.1", proxy.port), ssl_context=trusting)
    for name, expected in ((NAME, 200), ("other.example.com", None)):
        serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(serving)
        async with HostileReceiver(serving) as receiver:
            receiver.on("/", status("200 OK"))
            answer = await proxied.post(receiver.url("/", host=NAME))
            assert answer.status_code == expected
            assert (answer.error_class is ErrorClass.TLS) is (expected is None)


async def test_subscriptions_share_no_tunnel(
    proxied: Client, proxy: ConnectProxy, receiver: HostileReceiver
) -> None:
    url = receiver.on("/", status("200 OK"))
    for subscription_id in ("sub_1", "sub_2", "sub_1", "sub_2"):
        await proxied.post(url, subscription_id=subscription_id)
    assert len(proxy.asked) == 2


async def test_the_proxy_gets_its_password_and_nobody_else(
    proxied: Client,
    proxy: ConnectProxy,
    receiver: HostileReceiver,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    url = f"http://user:hu%3Ash@127.0.0.1:{proxy.port}"
    await proxied.make(PROXIED, proxy=parse_egress_proxy(url))
    target = receiver.on("/", status("200 OK"))
    assert (await proxied.post(target)).status_code == 200
    secret = b64encode(b"user:hu:sh").decode()
    assert proxy.asked[0].header("proxy-authorization") == f"Basic {secret}"
    assert b"proxy-authorization" not in receiver.exchanges[0].head.lower()
    proxy.behaviour = refusing("407 X", "Proxy-Authenticate: Basic")
    answer = await proxied.post(receiver.url("/other"))
    for text in (caplog.text, str(answer)):
        assert secret not in text
        assert "hu:sh" not in text
        assert "hu%3Ash" not in text


# --- what the proxy must not be asked for --------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    ["10.0.0.1", "169.254.169.254", "[::1]", "localhost", "receiver", "db.internal", "a.svc"],
)
async def test_the_inside_is_not_asked_for(proxied: Client, proxy: ConnectProxy, host: str) -> None:
    answer = await proxied.post(f"http://{host}/")
    assert answer.error_class is ErrorClass.BLOCKED_ADDRESS
    assert not proxy.asked


async def test_the_hop_to_the_proxy_alone_is_exempt(
    client: Client, proxy: ConnectProxy, receiver: HostileReceiver
) -> None:
    strict = AddressRules(allow_http=True, are_names_resolved_elsewhere=True)
    await client.make(strict, proxy=EgressProxy("127.0.0.1", proxy.port))
    receiver.on("/", status("200 OK"))
    for port in (receiver.port, proxy.port):
        answer = await client.post(f"http://127.0.0.1:{port}/")
        assert answer.error_class is ErrorClass.BLOCKED_ADDRESS
    assert not proxy.asked
    assert (await client.post(receiver.url("/", host=NAME))).status_code == 200


async def test_a_name_is_left_to_the_proxy_and_the_name_of_the_proxy_is_not(
    client: Client, proxy: ConnectProxy, receiver: HostileReceiver
) -> None:
    resolver = FixedResolver({"proxy": ["127.0.0.1"]})
    await client.make(PROXIED, resolver=resolver, proxy=EgressProxy("proxy", proxy.port))
    receiver.on("/", status("200 OK"))
    assert (await client.post(receiver.url("/", host=NAME))).status_code == 200
    assert resolver.asked == ["proxy"]


# --- the proxy's own failures --------------------------------------------------------------------


async def closing_at_once(asked: Asked) -> None:
    asked.writer.close()


async def resetting_at_once(asked: Asked) -> None:
    asked.reset()


@pytest.mark.parametrize(
    "behaviour",
    [
        refusing("407 Proxy Authentication Required", "Proxy-Authenticate: Basic"),
        refusing("500 Internal Server Error"),
        refusing("400 Bad Request"),
        refusing("405 Method Not Allowed"),
        refusing("429 Too Many Requests"),
        refusing("302 Found", "Location: http://127.0.0.1/"),
        saying(b"HTTP/1.1 100 Continue\r\n\r\n"),
        saying(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
        saying(b"HTTP/2.0 200 OK\r\n\r\n"),
        saying(b"\x00" * 50_000),
        saying(b"HTTP/1.1 200 OK\r\n" + b"X-Many: a\r\n" * 5_000 + b"\r\n"),
        closing_at_once,
        resetting_at_once,
    ],
    ids=[
        "password",
        "internal error",
        "bad request",
        "no tunnels",
        "too many",
        "redirect",
        "interim",
        "garbage",
        "other version",
        "endless line",
        "endless head",
        "close",
        "reset",
    ],
)
async def test_a_proxy_that_fails_is_our_fault(
    proxied: Client, proxy: ConnectProxy, receiver: HostileReceiver, behaviour: Behaviour
) -> None:
    proxy.behaviour = behaviour
    answer = await proxied.post(receiver.on("/", status("200 OK")))
    assert outcome_of(answer) is Outcome.OUR_FAULT
    assert answer.error_detail is not None
    assert "proxy" not in answer.error_detail
    assert receiver.connections == 0
    proxy.behaviour = proxy.tunnel
    assert (await proxied.post(receiver.url("/"))).status_code == 200


async def test_a_proxy_that_drips_is_our_fault(
    proxied: Client, proxy: ConnectProxy, receiver: HostileReceiver
) -> None:
    proxy.behaviour = saying(*[b"H"] * 1_000)
    answer = await proxied.post(receiver.on("/", status("200 OK")), seconds=SHORT)
    assert outcome_of(answer) is Outcome.OUR_FAULT


@pytest.mark.parametrize("host", ["127.0.0.1", "proxy.example.com"])
async def test_a_proxy_that_is_not_there_is_our_fault(client: Client, host: str) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        await client.make(PROXIED, proxy=EgressProxy(host, bound.getsockname()[1]))
        answer = await client.post(f"http://{NAME}/")
    assert outcome_of(answer) is Outcome.OUR_FAULT


async def test_a_proxy_that_does_not_take_connections_is_our_fault(client: Client) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        waiting = [socket.socket() for _ in range(8)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        await client.make(PROXIED, proxy=EgressProxy("127.0.0.1", full.getsockname()[1]))
        answer = await client.post(f"http://{NAME}/", seconds=SHORT)
        for one in waiting:
            one.close()
    assert outcome_of(answer) is Outcome.OUR_FAULT


async def test_a_failing_proxy_is_told_once_and_so_is_its_recovery(
    proxied: Client,
    proxy: ConnectProxy,
    receiver: HostileReceiver,
    caplog: pytest.LogCaptureFixture,
) -> None:
    proxy.behaviour = refusing("500 X")
    url = receiver.on("/", status("200 OK", "Connection: close"))
    for _ in range(5):
        await proxied.post(url)
    assert [one.message for one in caplog.records] == ["the egress proxy fails: it answered 500"]
    proxy.behaviour = proxy.tunnel
    for _ in range(2):
        assert (await proxied.post(url)).status_code == 200
    assert [one.message for one in caplog.records][1:] == ["the egress proxy works again"]


# --- what counts as the receiver's ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("behaviour", "error_class"),
    [
        (refusing("403 Forbidden"), ErrorClass.BLOCKED_ADDRESS),
        (refusing("407 X", "X-Smokescreen-Error: no"), ErrorClass.BLOCKED_ADDRESS),
        (refusing("502 Bad Gateway"), ErrorClass.CONNECTION_REFUSED),
        (refusing("503 Service Unavailable"), ErrorClass.CONNECTION_REFUSED),
        (refusing("504 Gateway Timeout"), ErrorClass.TIMEOUT),
    ],
)
async def test_a_receiver_that_the_proxy_cannot_reach_has_failed(
    proxied: Client,
    proxy: ConnectProxy,
    receiver: HostileReceiver,
    behaviour: Behaviour,
    error_class: ErrorClass,
) -> None:
    proxy.behaviour = behaviour
    answer = await proxied.post(receiver.on("/", status("200 OK")))
    assert answer.error_class is error_class
    assert answer.status_code is None
    assert answer.error_detail is not None
    assert "proxy" not in answer.error_detail


async def test_a_receiver_that_keeps_the_proxy_waiting_has_timed_out(
    proxied: Client, proxy: ConnectProxy, receiver: HostileReceiver
) -> None:
    proxy.behaviour = saying()
    answer = await proxied.post(receiver.on("/", status("200 OK")), seconds=SHORT)
    assert answer.error_class is ErrorClass.TIMEOUT


@pytest.mark.parametrize("behaviour", [closing(), resetting(), closing(b"HTTP/1.1 2")])
async def test_a_tunnel_that_breaks_is_a_reset(
    proxied: Client, receiver: HostileReceiver, behaviour: object
) -> None:
    answer = await proxied.post(receiver.on("/", behaviour))  # type: ignore[arg-type]
    assert answer.error_class is ErrorClass.CONNECTION_RESET


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_receiver_that_speaks_first_gets_no_attempt_for_nothing(
    proxied: Client, proxy: ConnectProxy, scheme: str
) -> None:
    proxy.behaviour = saying(OPEN + b"220 mail.example.com ESMTP\r\n")
    answer = await proxied.post(f"{scheme}://{NAME}/")
    assert outcome_of(answer) is Outcome.FAILED
    assert answer.error_class in {ErrorClass.PROTOCOL, ErrorClass.TLS}


async def test_a_tunnel_that_opens_in_portions_is_a_tunnel(
    proxied: Client, proxy: ConnectProxy
) -> None:
    async def serve(asked: Asked) -> None:
        for at in range(0, len(OPEN), 7):
            await asked.say(OPEN[at : at + 7])
            await asyncio.sleep(0.005)
        await asked.reader.readuntil(b"\r\n\r\n")
        await asked.say(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")

    proxy.behaviour = serve
    assert (await proxied.post(f"http://{NAME}/")).status_code == 201


async def test_a_silent_receiver_behind_a_tunnel_is_a_timeout(
    proxied: Client, receiver: HostileReceiver
) -> None:
    answer = await proxied.post(receiver.on("/", silent), seconds=SHORT)
    assert answer.error_class is ErrorClass.TIMEOUT
    await receiver.exchanges[0].wait_until_left()


async def test_an_end_while_a_tunnel_is_made_is_our_fault(
    proxied: Client, proxy: ConnectProxy, receiver: HostileReceiver
) -> None:
    is_asked = asyncio.Event()

    async def wait(asked: Asked) -> None:
        is_asked.set()
        await asked.reader.read()

    proxy.behaviour = wait
    sending = asyncio.create_task(proxied.post(receiver.on("/", status("200 OK"))))
    await is_asked.wait()
    await proxied.close()
    assert (await sending).error_class is ErrorClass.INTERNAL


async def test_without_a_proxy_none_is_asked(
    client: Client, proxy: ConnectProxy, receiver: HostileReceiver
) -> None:
    await client.make(LOOPBACK)
    assert (await client.post(receiver.on("/", status("200 OK")))).status_code == 200
    assert not proxy.asked
