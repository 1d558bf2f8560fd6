"""Strangers without a key cannot hold memory, time or connections by what they send first."""

import json
import socket
import time

import pytest

from tests.support.server import Server
from tidings.core import limits

_HOST = b"Host: localhost\r\n"


def _exchange(server: Server, raw: bytes, *, seconds: float = 30) -> bytes:
    """Send bytes and read until the server closes or falls silent."""
    received = b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=seconds) as one:
        try:
            one.sendall(raw)
            while chunk := one.recv(65_536):
                received += chunk
        except (TimeoutError, ConnectionError):
            pass
    return received


@pytest.mark.parametrize(
    ("raw", "status", "code"),
    [
        (b"FOO /events HTTP/1.1\r\n" + _HOST + b"\r\n", 400, "malformed_request"),
        (b"\x16\x03\x01\x02\x00\x01\x00", 400, "malformed_request"),
        (
            b"GET / HTTP/1.1\r\n" + _HOST + b"X: " + b"a" * 70_000 + b"\r\n\r\n",
            431,
            "head_too_large",
        ),
        (b"GET / HTTP/1.1\r\n" + _HOST + b"X: 1\r\n" * 101 + b"\r\n", 431, "head_too_large"),
        (
            b"POST /events HTTP/1.1\r\n"
            + _HOST
            + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n",
            400,
            "malformed_request",
        ),
    ],
)
def test_what_is_no_request_gets_a_problem(
    server: Server, raw: bytes, status: int, code: str
) -> None:
    head, _, body = _exchange(server, raw).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"application/problem+json" in head
    assert json.loads(body)["code"] == code


def test_an_endless_header_is_cut_off(server: Server) -> None:
    raw = b"GET / HTTP/1.1\r\n" + _HOST + b"X: " + b"a" * 20_000_000
    began = time.monotonic()
    _exchange(server, raw)
    # Not only because it takes too long to come.
    assert time.monotonic() - began < limits.REQUEST_HEAD_SECONDS
    assert server.client.get("/health/live").status_code == 200


@pytest.mark.parametrize("raw", [b"", b"GET / HT"])
def test_a_head_that_does_not_come_ends_the_connection(server: Server, raw: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as one:
        one.sendall(raw)
        assert one.recv(1) == b""
