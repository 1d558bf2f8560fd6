"""Heads are bounded, and bodies are not taken for heads, however the network cuts them."""

import json
import socket
from collections.abc import Iterator

import pytest

from tests.support.api_server import api_server

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
    with socket.create_connection(address, timeout=10) as connection:
        for _ in range(5):
            request = _request(data_bytes)
            for start in range(0, len(request), pieces_bytes):
                connection.sendall(request[start : start + pieces_bytes])
            assert _statuses(connection, 1) == [b"202"]


def test_requests_in_a_row_are_all_answered(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(_request(100_000) + _request(1) + _request(50_000))
        assert _statuses(connection, 3) == [b"202"] * 3


@pytest.mark.parametrize("filling", ["X: " + "y" * 70_000, "X: y\r\n" * 200])
def test_a_large_head_is_refused(address: tuple[str, int], filling: str) -> None:
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(f"{_HEAD}{filling.strip()}\r\n\r\n".encode())
        assert _statuses(connection, 1) == [b"431"]
