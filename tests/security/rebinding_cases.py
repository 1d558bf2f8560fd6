"""Names that change their addresses under us. Run by `test_rebinding`, in a network of its own.

There the server runs with the rules of production, loopback is all there is, and it has addresses
that a guard must never reach, with a listener on each, beside two that anybody may call. The DNS
server that the machine is configured to ask is ours.
"""

import errno
import json
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support import tally
from tests.support.dns_server import DnsServer
from tests.support.server import Server

GOOD, OTHER_GOOD = "93.184.216.34", "2606:2800:220:1::1"
BAD = [
    "127.0.0.1",
    "127.0.0.2",
    "::1",
    "10.1.2.3",
    "100.100.100.200",
    "169.254.169.254",
    "192.168.1.1",
    "fd00:ec2::254",
    "::ffff:127.0.0.1",
    "64:ff9b::7f00:1",
    "0.0.0.0",
]
UNLISTENED = 3
"""The last of them lead to 127.0.0.1, if anything does; the others are addresses of our own."""
PORT = 8_099
NAME = "receiver.example.com"
URL = f"http://{NAME}:{PORT}/in"
ADMIN_KEY = "an-admin-key-for-this-test-alone"


class Listener(socketserver.ThreadingTCPServer):
    """Takes every connection, counts it, and answers one request: challenges say it back."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, address: str) -> None:
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.connections = 0
        self.statuses: list[int] = []
        super().__init__((address, PORT), _Connection)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections += 1
        super().process_request(request, client_address)


class _Connection(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        length = 0
        while (line := self.rfile.readline()) not in (b"\r\n", b""):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        sent = self.rfile.read(length)
        assert isinstance(self.server, Listener)
        status = self.server.statuses.pop(0) if self.server.statuses else 200
        said = json.loads(sent)["data"].get("challenge", "") if sent else ""
        head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(said)}\r\nConnection: close\r\n\r\n"
        self.wfile.write((head + said).encode())


@pytest.fixture(scope="module")
def listeners() -> Iterator[dict[str, Listener]]:
    found = {one: Listener(one) for one in (GOOD, OTHER_GOOD, *BAD[:-UNLISTENED])}
    yield found
    for one in found.values():
        one.shutdown()
        one.server_close()


@contextmanager
def serving(folder: Path, **settings: str) -> Iterator[Server]:
    """A server as in production, but that it may send by http."""
    one = Server(folder / "data", is_dev=False, ADMIN_KEY=ADMIN_KEY, ALLOW_HTTP="true", **settings)
    one.client.headers["Authorization"] = f"Bearer {ADMIN_KEY}"
    yield one.start()
    one.client.close()
    one.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, dns: DnsServer) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server")) as one:
        yield one


@pytest.fixture(scope="module")
def demanding(tmp_path_factory: pytest.TempPathFactory, dns: DnsServer) -> Iterator[Server]:
    """A server that requires a proof from every endpoint."""
    with serving(tmp_path_factory.mktemp("demanding"), VERIFICATION="required") as one:
        yield one


@pytest.fixture(scope="module")
def dns() -> Iterator[DnsServer]:
    one = DnsServer(("127.0.0.1", 53))
    yield one
    one.close()


@pytest.fixture(autouse=True)
def reached(dns: DnsServer, listeners: dict[str, Listener], server: Server) -> Iterator[Any]:
    """Counts the connections of one test; at its end no wrong address may have seen any."""
    for one in listeners.values():
        one.connections = 0
        one.statuses.clear()
    dns.names = {NAME: [GOOD]}
    dns.asked.clear()

    def right() -> int:
        return listeners[GOOD].connections + listeners[OTHER_GOOD].connections

    yield right
    wrong = {name: one.connections for name, one in listeners.items() if name in BAD}
    for subscription in server.call("GET", "/webhook-subscriptions")["items"]:
        server.client.delete(f"/webhook-subscriptions/{subscription['subscriptionId']}")
    tally.count("connections to refused addresses", sum(wrong.values()))
    tally.count("requests that reached an address that may be called", right())
    assert not any(wrong.values()), wrong


def trial(server: Server, subscription: Any) -> Any:
    """Try the endpoint out as its subscriber can: by a test event."""
    path = f"/webhook-subscriptions/{subscription['subscriptionId']}/test"
    return server.call("POST", path, {})


def expect_blocked(attempt: Any) -> None:
    assert (attempt["outcome"], attempt["errorClass"]) == ("blocked", "blocked_address"), attempt
    tally.count("requests that were blocked")
    assert attempt["statusCode"] is None
    assert not any(one in attempt["errorDetail"] for one in BAD), attempt["errorDetail"]


def delivery_of(server: Server, subscription: Any) -> str:
    path = f"/webhook-subscriptions/{subscription['subscriptionId']}/deliveries"
    (found,) = server.call("GET", path)["items"]
    return str(found["deliveryId"])


def test_every_listener_hears_what_does_connect(listeners: dict[str, Listener]) -> None:
    for address, one in listeners.items():
        with socket.create_connection((address, PORT), timeout=5) as made:
            made.sendall(b"POST / HTTP/1.1\r\n\r\n")
            assert made.recv(100).startswith(b"HTTP/1.1 200")
        assert one.connections == 1
        one.connections = 0


@pytest.mark.parametrize("good", [GOOD, OTHER_GOOD])
def test_a_name_that_stays_right_is_called(
    server: Server, dns: DnsServer, reached: Any, good: str
) -> None:
    dns.names[NAME] = [good]
    subscription = server.subscribe(URL)
    assert trial(server, subscription)["outcome"] == "delivered"
    assert reached() == 1
    assert NAME in dns.asked


@pytest.mark.parametrize("bad", BAD)
def test_a_name_that_leads_astray_from_the_beginning(
    server: Server, dns: DnsServer, reached: Any, bad: str
) -> None:
    dns.names[NAME] = [bad]
    expect_blocked(trial(server, server.subscribe(URL)))
    assert reached() == 0


@pytest.mark.parametrize("bad", BAD)
def test_a_name_that_turns_after_the_creation_and_after_a_good_test(
    server: Server, dns: DnsServer, reached: Any, bad: str
) -> None:
    subscription = server.subscribe(URL)
    assert trial(server, subscription)["outcome"] == "delivered"
    dns.names[NAME] = [bad]
    expect_blocked(trial(server, subscription))
    assert reached() == 1


@pytest.mark.parametrize("bad", BAD)
def test_a_name_that_turns_between_creation_and_send(
    server: Server, dns: DnsServer, reached: Any, bad: str
) -> None:
    subscription = server.subscribe(URL, "order.*", retryPolicy={"schedule": []})
    assert trial(server, subscription)["outcome"] == "delivered"
    dns.names[NAME] = [bad]
    server.publish()
    delivery_id = delivery_of(server, subscription)
    (attempt,) = server.await_delivery(delivery_id, "dead_lettered")["attempts"]
    expect_blocked(attempt)
    assert reached() == 1
    dns.names[NAME] = [GOOD]
    server.call("POST", f"/dead-letters/{delivery_id}/replay")
    server.await_delivery(delivery_id, "delivered")
    assert reached() == 2


@pytest.mark.parametrize("bad", BAD)
def test_a_name_that_turns_between_creation_and_proof_and_between_proof_and_send(
    demanding: Server, dns: DnsServer, reached: Any, bad: str
) -> None:
    # A tenant for each, because each may have only so many challenges sent.
    demanding.client.headers["Authorization"] = f"Bearer {ADMIN_KEY}"
    tenant = {"name": "one", "scopes": ["admin"], "tenantId": f"tenant-{BAD.index(bad)}"}
    key = demanding.call("POST", "/api-keys", tenant)["key"]
    demanding.client.headers["Authorization"] = f"Bearer {key}"
    subscription = demanding.subscribe(URL, retryPolicy={"schedule": []})
    path = f"/webhook-subscriptions/{subscription['subscriptionId']}"
    dns.names[NAME] = [bad]
    refused = demanding.client.post(f"{path}/verify")
    problem = refused.json()
    assert (refused.status_code, problem["errorClass"]) == (409, "blocked_address")
    assert not any(one in problem["detail"] for one in BAD), problem["detail"]
    assert reached() == 0
    dns.names[NAME] = [GOOD]
    assert demanding.call("POST", f"{path}/verify")["status"] == "active"
    dns.names[NAME] = [bad]
    demanding.publish()
    delivery_id = delivery_of(demanding, subscription)
    (attempt,) = demanding.await_delivery(delivery_id, "dead_lettered")["attempts"]
    expect_blocked(attempt)
    assert reached() == 1


@pytest.mark.parametrize("bad", BAD)
def test_a_name_that_turns_between_send_and_retry(
    server: Server, dns: DnsServer, listeners: dict[str, Listener], reached: Any, bad: str
) -> None:
    listeners[GOOD].statuses += [500]
    dns.names[NAME] = lambda _name, _before: [GOOD] if reached() == 0 else [bad]
    subscription = server.subscribe(URL, "order.*", retryPolicy={"schedule": [0.1, 0.1]})
    server.publish()
    delivery_id = delivery_of(server, subscription)
    attempts = server.await_delivery(delivery_id, "dead_lettered")["attempts"]
    assert [one["outcome"] for one in attempts] == ["failed", "blocked", "blocked"]
    for one in attempts[1:]:
        expect_blocked(one)
    assert server.client.post(f"/deliveries/{delivery_id}/retry").status_code == 202
    server.await_delivery(delivery_id, "dead_lettered")
    assert reached() == 1


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("good_first", [True, False])
def test_a_wrong_address_among_right_ones(
    server: Server, dns: DnsServer, reached: Any, bad: str, good_first: bool
) -> None:
    dns.names[NAME] = [GOOD, bad] if good_first else [bad, OTHER_GOOD]
    expect_blocked(trial(server, server.subscribe(URL)))
    assert reached() == 0


@pytest.mark.parametrize("bad", ["127.0.0.1", "169.254.169.254", "fd00:ec2::254"])
def test_a_name_that_turns_with_every_question(
    server: Server, dns: DnsServer, reached: Any, bad: str
) -> None:
    dns.names[NAME] = lambda _name, before: [GOOD] if before % 3 else [bad]
    subscription = server.subscribe(URL)
    outcomes = [trial(server, subscription)["outcome"] for _ in range(30)]
    # `failed` is a look-up that found no address of either kind.
    assert {"delivered", "blocked"} <= set(outcomes) <= {"delivered", "blocked", "failed"}
    assert reached() == outcomes.count("delivered")


def test_a_name_of_our_own_api_is_not_called_by_a_changed_url(
    server: Server, dns: DnsServer, reached: Any
) -> None:
    dns.names[NAME] = ["127.0.0.1"]
    subscription = server.subscribe(URL)
    changed = {"callbackUrl": f"http://{NAME}:{server.port}/events"}
    path = f"/webhook-subscriptions/{subscription['subscriptionId']}"
    assert server.client.patch(path, json=changed).status_code == 200
    expect_blocked(trial(server, subscription))


def test_rebinding_is_tried_in_a_network_that_leads_nowhere() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        assert made.connect_ex(("192.0.2.1", 9)) == errno.ENETUNREACH
