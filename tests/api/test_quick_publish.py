"""A publish that arrives whole is answered like one in chunks, which goes through ASGI."""

import json
import re
import socket
from collections.abc import Iterator

import pytest

from tests.support.api_server import ApiServer, api_server

JSON = "Content-Type: application/json"
EVENT = b'{"eventType": "order.shipped", "data": {"a": 1}}'
_VARYING = re.compile(
    rb"evt_[0-9a-z]{26}|date: [^\r]+|\d{4}-\d\d-\d\dT[0-9:.]+Z|content-length: \d+"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with api_server(tmp_path_factory.mktemp("quick")) as one:
        yield one


def _head(server: ApiServer, framing: str, headers: tuple[str, ...], path: str) -> bytes:
    lines = (f"POST {path} HTTP/1.1", f"Host: localhost:{server.port}", framing, *headers)
    return "\r\n".join((*lines, "", "")).encode()


def whole(server: ApiServer, body: bytes, *headers: str, path: str = "/events") -> bytes:
    """A publish in one piece."""
    return _head(server, f"Content-Length: {len(body)}", headers, path) + body


def chunked(server: ApiServer, body: bytes, *headers: str, path: str = "/events") -> bytes:
    """The same in chunks."""
    chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
    return _head(server, "Transfer-Encoding: chunked", headers, path) + chunk + b"0\r\n\r\n"


def answer(server: ApiServer, request: bytes, *, count: int = 1) -> bytes:
    """What comes back, up to the end of so many answers."""
    received = b""
    with socket.create_connection((server.host, server.port), timeout=50) as one:
        one.sendall(request)
        while received.count(b"HTTP/1.1 ") < count or not received.endswith(b"}"):
            part = one.recv(65_536)
            if not part:
                break
            received += part
    return received


def alike(received: bytes) -> bytes:
    """An answer without what differs each time."""
    return _VARYING.sub(b"-", received)


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (202, EVENT, (JSON,)),
        (202, EVENT, ("Content-Type: application/json; charset=utf-8",)),
        (202, EVENT, (JSON, "webhook-hops: 2")),
        (202, EVENT, (JSON, "Connection: close")),
        (202, b'{"eventId": "same", "eventType": "a.b", "data": {}}', (JSON,)),
        (202, EVENT, (JSON, 'Idempotency-Key: "one"')),
        (409, b'{"eventId": "same", "eventType": "a.b", "data": {"a": 1}}', (JSON,)),
        (422, b'{"eventId": "x y", "eventType": "a..b", "data": []}', (JSON,)),
        (422, b'{"eventType": "a.b"}', (JSON,)),
        (422, EVENT, (JSON, "webhook-hops: many")),
        (400, b'{"eventType": "a.b", "eventType": "a.b", "data": {}}', (JSON,)),
        (400, b"", (JSON,)),
        (415, EVENT, ("Content-Type: text/plain",)),
        (415, EVENT, ()),
        (415, EVENT, (JSON, "Content-Encoding: gzip")),
        (406, EVENT, (JSON, "Accept: text/html")),
        (413, b'{"eventType": "a.b", "data": {"a": "%b"}}' % (b"x" * 300_000), (JSON,)),
    ],
)
def test_whole_and_chunked_publishes_get_the_same_answer(
    server: ApiServer, status: int, body: bytes, headers: tuple[str, ...]
) -> None:
    headers = (f"Authorization: Bearer {server.key}", *headers)
    taken = b'{"eventId": "same", "eventType": "a.b", "data": {}}'
    answer(server, whole(server, taken, *headers[:1], JSON))
    in_chunks = answer(server, chunked(server, body, *headers))
    in_one = answer(server, whole(server, body, *headers))
    assert in_one.startswith(b"HTTP/1.1 %d " % status)
    if b"idempotent-replay" not in in_chunks:
        in_one = in_one.replace(b"idempotent-replay: true\r\n", b"")
    assert alike(in_one) == alike(in_chunks)


@pytest.mark.parametrize(
    ("status", "header"),
    [
        (401, "Authorization: Bearer tidings_wrong"),
        (401, "Authorization: Basic eDp5"),
        (403, "Origin: https://example.com"),
    ],
)
def test_strangers_are_refused_alike(server: ApiServer, status: int, header: str) -> None:
    in_one = answer(server, whole(server, EVENT, JSON, header))
    assert in_one.startswith(b"HTTP/1.1 %d " % status)
    assert alike(in_one) == alike(answer(server, chunked(server, EVENT, JSON, header)))


def test_publishes_that_wait_behind_each_other_are_answered_in_their_order(
    server: ApiServer,
) -> None:
    key = f"Authorization: Bearer {server.key}"
    kinds = [whole, chunked, whole, whole, chunked, whole]
    requests = [
        one(
            server, b'{"eventId": "in-order-%d", "eventType": "a.b", "data": {}}' % place, key, JSON
        )
        for place, one in enumerate(kinds)
    ]
    answers = answer(server, b"".join(requests), count=len(kinds)).split(b"HTTP/1.1 ")[1:]
    bodies = [json.loads(one.partition(b"\r\n\r\n")[2]) for one in answers]
    assert [one["eventId"] for one in bodies] == [f"in-order-{n}" for n in range(len(kinds))]


def test_nonsense_behind_a_publish_ends_the_connection(server: ApiServer) -> None:
    key = f"Authorization: Bearer {server.key}"
    received = answer(server, whole(server, EVENT, key, JSON) + b"nonsense\r\n\r\n", count=2)
    assert received.count(b"HTTP/1.1 ") <= 2
    assert b"HTTP/1.1 400 " in received
    assert answer(server, whole(server, EVENT, key, JSON)).startswith(b"HTTP/1.1 202 ")
