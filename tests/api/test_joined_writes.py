"""A head goes out with its body in one write, and nothing that is held back is forgotten."""

import asyncio
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.api_server import ApiServer, api_server
from tidings.api.joined_writes import JoinedWrites


class Wire(asyncio.Transport):
    """Notes each write."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1)})
        self.written: list[bytes] = []
        self.is_closed = False

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed


def test_what_is_held_back_goes_out_with_what_follows() -> None:
    wire = Wire()
    writes = JoinedWrites(wire)
    writes.write(b"1")
    writes.hold()
    writes.write(b"head ")
    assert wire.written == [b"1"]
    writes.write(b"body")
    writes.write(b"2")
    assert wire.written == [b"1", b"head body", b"2"]


def test_a_large_body_is_not_copied_for_it() -> None:
    wire = Wire()
    writes = JoinedWrites(wire)
    writes.hold()
    writes.write(b"head")
    writes.write(b"x" * 100_000)
    assert [len(one) for one in wire.written] == [4, 100_000]


@pytest.mark.parametrize("end", ["flush", "close"])
def test_what_nothing_follows_goes_out_at_the_end(end: str) -> None:
    wire = Wire()
    writes = JoinedWrites(wire)
    writes.hold()
    writes.write(b"head")
    getattr(writes, end)()
    writes.flush()
    assert wire.written == [b"head"]
    assert wire.is_closed is (end == "close")


def test_nobody_is_waited_for_who_had_nothing_to_write() -> None:
    wire = Wire()
    writes = JoinedWrites(wire)
    writes.hold()
    writes.flush()
    writes.write(b"1")
    assert wire.written == [b"1"]


def test_all_else_is_the_transports() -> None:
    assert JoinedWrites(Wire()).get_extra_info("peername") == ("127.0.0.1", 1)


# --- behind the server ---------------------------------------------------------------------------


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
    with socket.create_connection((server.host, server.port), timeout=10) as one:
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
