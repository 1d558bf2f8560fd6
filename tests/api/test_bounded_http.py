"""Heads are bounded, and bodies are not taken for heads, however the network cuts them."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.api_server import api_server
from tidings.core import limits

_HEAD = "POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """A server with the API."""
    with api_server(tmp_path_factory.mktemp("bounded")) as one:
        yield one.host, one.port


def _request(data_bytes: int) -> bytes:
    body = json.dumps({"eventType": "a", "data": {"x": "y" * data_bytes}}).encode()
    return f"{_HEAD}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _statuses(connection: socket.socket, count: int) -> list[bytes]:
    """The statuses of so many answers."""
    answers = b""
    while answers.count(b"HTTP/1.1 ") < count or not answers.endswith(b"}"):
        received = connection.recv(65_536)
        if not received:
            break
        answers += received
    return [part[:3] for part in answers.split(b"HTTP/1.1 ")[1:]]


@pytest.mark.parametrize("data_bytes", [1, 60_000, 200_000])
@pytest.mark.parametrize("pieces_bytes", [300_000, 65_536, 10_000])
def test_large_bodies_are_no_heads(
    address: tuple[str, int], data_bytes: int, pieces_bytes: int
) -> None:
    with socket.create_connection(address, timeout=50) as connection:
        for _ in range(5):
            request = _request(data_bytes)
            for start in range(0, len(request), pieces_bytes):
                connection.sendall(request[start : start + pieces_bytes])
            assert _statuses(connection, 1) == [b"202"]


def test_requests_in_a_row_are_all_answered(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=50) as connection:
        connection.sendall(_request(100_000) + _request(1) + _request(50_000))
        assert _statuses(connection, 3) == [b"202"] * 3


@pytest.mark.parametrize("filling", ["X: " + "y" * 70_000, "X: y\r\n" * 200])
def test_a_large_head_is_refused(address: tuple[str, int], filling: str) -> None:
    with socket.create_connection(address, timeout=50) as connection:
        connection.sendall(f"{_HEAD}{filling.strip()}\r\n\r\n".encode())
        assert _statuses(connection, 1) == [b"431"]


def _is_cut_off(connection: socket.socket, portion: bytes, *, after_bytes_max: int) -> bool:
    """Whether the server ends the connection before it has taken so many bytes."""
    sent = 0
    try:
        while sent < after_bytes_max:
            connection.sendall(portion)
            sent += len(portion)
    except ConnectionError:
        return True
    return False


@pytest.mark.parametrize("path", ["/events", "/nowhere"])
@pytest.mark.parametrize(
    ("opening", "portion"),
    [
        (b"0\r\n", b"X: y\r\n" * 10_000),
        (b"0\r\nX: ", b"y" * 65_536),
        (b"1;", b"y" * 65_536),
    ],
)
def test_what_stands_around_a_body_cannot_fill_memory(
    address: tuple[str, int], path: str, opening: bytes, portion: bytes
) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(address, timeout=50) as connection:
        connection.sendall(head.encode() + opening)
        assert _is_cut_off(connection, portion, after_bytes_max=60_000_000)


def test_trailers_are_not_headers(address: tuple[str, int]) -> None:
    body = b'2\r\n{"\r\n0\r\nContent-Type: text/plain\r\n\r\n'
    with socket.create_connection(address, timeout=50) as connection:
        connection.sendall(f"{_HEAD}Transfer-Encoding: chunked\r\n\r\n".encode() + body)
        assert _statuses(connection, 1) == [b"400"]


def test_requests_that_wait_for_their_turn_cannot_fill_memory(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=50) as connection:
        requests = b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n" * 1_000
        assert _is_cut_off(connection, requests, after_bytes_max=30_000_000)


def test_a_body_that_goes_on_after_its_answer_does_not_hold_the_connection(
    address: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "UPLOAD_TIMEOUT_SECONDS", 0.5)
    head = b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n"
    with socket.create_connection(address, timeout=50) as connection:
        connection.sendall(head)
        assert _statuses(connection, 1) == [b"404"]
        connection.sendall(b"x")
        with suppress(ConnectionError):
            assert connection.recv(1) == b""


def test_a_client_that_does_not_read_its_answers_does_not_hold_the_connection(
    address: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "ANSWER_STALL_SECONDS", 0.5)
    request = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with socket.create_connection(address, timeout=50) as connection:
        connection.sendall(request * 90)
        # What is unread hides the end of the connection from us; the kernel knows about it.
        while _is_held(address, connection):
            time.sleep(0.05)


def _is_held(address: tuple[str, int], connection: socket.socket) -> bool:
    """Whether the server has this connection open."""
    ports = f":{address[1]:04X} 0100007F:{connection.getsockname()[1]:04X} 01 "
    return ports in Path("/proc/net/tcp").read_text(encoding="ascii")


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_the_body_of_a_request_for_another_protocol_is_no_request(
    address: tuple[str, int], framing: str, *, waits: bool
) -> None:
    smuggled = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
    head = f"{_HEAD}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n".encode()
    if framing == "length":
        head, body = head + b"Content-Length: %d\r\n\r\n" % len(smuggled), smuggled
    else:
        head += b"Transfer-Encoding: chunked\r\n\r\n"
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(smuggled), smuggled)
    with socket.create_connection(address, timeout=50) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(head if waits else head + body)
        if waits:
            time.sleep(0.2)
            connection.sendall(body)
        # The request behind it is read as one again.
        connection.sendall(_request(1))
        assert _statuses(connection, 2) == [b"400", b"202"]


def test_a_client_that_offers_http2_can_publish(address: tuple[str, int]) -> None:
    request = _request(1).replace(b"\r\n", b"\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n", 1)
    with socket.create_connection(address, timeout=50) as connection:
        connection.sendall(request)
        assert _statuses(connection, 1) == [b"202"]


@pytest.mark.parametrize(
    "lines",
    [
        "Host: elsewhere\r\n",
        "Content-Type: text/plain\r\n",
        "Authorization: Bearer a\r\nAuthorization: Bearer b\r\n",
        "Idempotency-Key: a\r\nIdempotency-Key: b\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
    ],
)
def test_what_two_servers_read_differently_is_refused(address: tuple[str, int], lines: str) -> None:
    with socket.create_connection(address, timeout=50) as connection:
        connection.sendall(f"{_HEAD}{lines}\r\n".encode())
        assert _statuses(connection, 1) == [b"400"]
