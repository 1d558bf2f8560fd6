"""A whole answer goes out in one write, and each stands behind the one before."""

import json
import socket
from collections.abc import Iterator

import pytest

from tests.support.api_server import ApiServer, api_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with api_server(tmp_path_factory.mktemp("joined")) as one:
        yield one


def _request(server: ApiServer, line: str, body: bytes = b"", *headers: str) -> bytes:
    lines = (
        f"{line} HTTP/1.1",
        f"Host: localhost:{server.port}",
        f"Authorization: Bearer {server.key}",
        f"Content-Length: {len(body)}",
        *headers,
    )
    return "\r\n".join((*lines, "", "")).encode() + body


def _answers(server: ApiServer, *portions: bytes) -> list[bytes]:
    """Send, portion by portion, and read what comes until the server closes."""
    received = b""
    with socket.create_connection((server.host, server.port), timeout=50) as one:
        for portion in portions:
            one.sendall(portion)
        while chunk := one.recv(65_536):
            received += chunk
    return received.split(b"HTTP/1.1 ")[1:]


def test_answers_of_every_kind_stand_one_behind_the_other(server: ApiServer) -> None:
    event = json.dumps({"eventType": "order.shipped", "data": {}}).encode()
    kind = "Content-Type: application/json"
    answers = _answers(
        server,
        _request(server, "GET /health/live"),
        _request(server, "HEAD /health/live"),
        _request(server, "POST /events", event, kind),
        _request(server, "DELETE /webhook-subscriptions/sub_none"),
        _request(server, "GET /none"),
        _request(server, "HEAD /health/live", b"", "Connection: close"),
    )
    assert [one[:3] for one in answers] == [b"200", b"200", b"202", b"404", b"404", b"200"]
    for place, one in enumerate(answers):
        head, _, body = one.partition(b"\r\n\r\n")
        assert b"content-length: " in head
        assert bool(body) is (place not in {1, 5})


@pytest.mark.parametrize("size", [1, 10, 50])
def test_a_body_that_comes_late_is_waited_for(server: ApiServer, size: int) -> None:
    event = json.dumps({"eventType": "order.shipped", "data": {"a": "x" * 1_000}}).encode()
    raw = _request(
        server, "POST /events", event, "Content-Type: application/json", "Connection: close"
    )
    at = len(raw) - size
    (answer,) = _answers(server, raw[: at - 500], raw[at - 500 : at], raw[at:])
    assert answer.startswith(b"202")


def test_a_head_and_its_body_go_out_together(server: ApiServer) -> None:
    raw = _request(server, "GET /health/live")
    with socket.create_connection((server.host, server.port), timeout=50) as one:
        for _ in range(50):
            one.sendall(raw)
            assert one.recv(65_536).endswith(b"}")
