"""Whatever a receiver says, there is one answer, within the deadline and within bounds."""

import gzip
import time

import pytest

from tests.contracts.transport.conftest import Client
from tests.support.hostile_receiver import (
    Behaviour,
    HostileReceiver,
    answering,
    closing,
    repeating,
    resetting,
    silent,
    status,
)
from tidings.core import limits
from tidings.core.attempt import Answer, ErrorClass, Outcome, error_class_of, outcome_of

SHORT = 0.4
"""A deadline that is meant to pass."""
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
ENDLESS = 16 * 1024 * 1024
"""More than a receiver gets rid of before we hang up, socket buffers included."""


async def ask(
    client: Client, receiver: HostileReceiver, behaviour: Behaviour, *, seconds: float = 10.0
) -> Answer:
    """Send one request; it must end by its deadline, and be the only one."""
    url = receiver.on("/", behaviour)
    began = time.monotonic()
    answer = await client.post(url, seconds=seconds)
    assert time.monotonic() - began < seconds + 30
    assert len(receiver.exchanges) == 1
    return answer


@pytest.mark.parametrize(
    ("line", "outcome"),
    [
        ("200 OK", Outcome.DELIVERED),
        ("204 No Content", Outcome.DELIVERED),
        ("299", Outcome.DELIVERED),
        ("404 Not Found", Outcome.FAILED),
        ("410 Gone", Outcome.GONE),
        ("429 Too Many Requests", Outcome.THROTTLED),
        ("500 Internal Server Error", Outcome.FAILED),
        ("502 Bad Gateway", Outcome.THROTTLED),
        ("503 Service Unavailable", Outcome.THROTTLED),
        ("599", Outcome.FAILED),
    ],
)
async def test_a_status_comes_back_as_it_is(
    client: Client, receiver: HostileReceiver, line: str, outcome: Outcome
) -> None:
    answer = await ask(client, receiver, status(line))
    assert answer.status_code == int(line[:3])
    assert outcome_of(answer) is outcome


@pytest.mark.parametrize("line", ["301 Moved", "302 Found", "303 See", "307 Moved", "308 Moved"])
async def test_a_redirect_is_not_followed(
    client: Client, receiver: HostileReceiver, line: str
) -> None:
    receiver.on("/elsewhere", status("200 OK"))
    answer = await ask(client, receiver, status(line, "Location: /elsewhere"))
    assert answer.status_code == int(line[:3])
    assert outcome_of(answer) is Outcome.FAILED
    assert dict(answer.headers)["location"] == "/elsewhere"


@pytest.mark.parametrize("line", ["600 X", "999 X", "099 X", "000 X", "101 Switching Protocols"])
async def test_a_status_that_is_none_is_a_protocol_failure(
    client: Client, receiver: HostileReceiver, line: str
) -> None:
    answer = await ask(client, receiver, status(line))
    assert outcome_of(answer) is Outcome.FAILED
    assert error_class_of(answer) is ErrorClass.PROTOCOL


@pytest.mark.parametrize(
    "sent",
    [
        b"HTTP/1.1 99 X\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 1000 X\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 abc X\r\nContent-Length: 0\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"\x00" * 100,
        OK + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        OK + b"Content-Length: -3\r\n\r\nabc",
        OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
        OK + b"X-Nul: a\x00b\r\nContent-Length: 0\r\n\r\n",
        OK + b"X Space: a\r\nContent-Length: 0\r\n\r\n",
        OK + b"X-Folded: a\r\n b\r\nContent-Length: 0\r\n\r\n",
        OK + b"X-Cr: a\rb\r\nContent-Length: 0\r\n\r\n",
        OK + b"X-Lf: a\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        OK + b"Content-Length : 3\r\n\r\nabc",
        OK + b"Content-Length: +3\r\n\r\nabc",
        OK + b"Content-Length: 99999999999999999999\r\n\r\nabc",
        OK + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc",
        b"http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n",
        b"RTSP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"ICE/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\nContent-Length: 3\r\n\r\nabc" + OK + b"\r\n",
        OK + b"X-Long: " + b"a" * 100_000 + b"\r\nContent-Length: 0\r\n\r\n",
        OK + b"X-Many: a\r\n" * 5_000 + b"Content-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 " + b"a" * 100_000,
    ],
    ids=lambda sent: repr(sent[:40]),
)
async def test_what_is_no_answer_is_a_protocol_failure(
    client: Client, receiver: HostileReceiver, sent: bytes
) -> None:
    answer = await ask(client, receiver, answering(sent))
    assert answer.status_code is None
    assert answer.error_class is ErrorClass.PROTOCOL


@pytest.mark.parametrize(
    "behaviour",
    [
        closing(),
        closing(b"HTTP/1.1 200 "),
        closing(OK + b"Content-Le"),
        closing(b"HTTP/1.1 103 Early Hints\r\n\r\n"),
        resetting(),
        resetting(OK + b"Content-Le"),
    ],
)
async def test_a_connection_that_ends_before_the_answer_is_a_reset(
    client: Client, receiver: HostileReceiver, behaviour: Behaviour
) -> None:
    answer = await ask(client, receiver, behaviour)
    assert answer.status_code is None
    assert answer.error_class is ErrorClass.CONNECTION_RESET


@pytest.mark.parametrize(
    "behaviour",
    [
        silent,
        repeating(b"a", after=OK + b"X-Drip: ", pause=0.05),
        repeating(b"X-Drip: a\r\n", after=OK, pause=0.1),
        repeating(b"HTTP/1.1 103 Early Hints\r\n\r\n", pause=0.05),
        repeating(b"HTTP/1.1 100 Continue\r\n\r\n", pause=0.05),
    ],
    ids=["silence", "dripping value", "dripping headers", "early hints", "continue"],
)
async def test_an_answer_that_does_not_come_in_time_is_a_timeout(
    client: Client, receiver: HostileReceiver, behaviour: Behaviour
) -> None:
    answer = await ask(client, receiver, behaviour, seconds=SHORT)
    assert answer.status_code is None
    assert answer.error_class is ErrorClass.TIMEOUT
    await receiver.exchanges[0].wait_until_left()


async def test_a_flood_of_interim_responses_is_cut_off(
    client: Client, receiver: HostileReceiver
) -> None:
    began = time.process_time()
    answer = await ask(client, receiver, repeating(b"HTTP/1.1 103 X\r\n\r\n" * 500), seconds=8)
    assert answer.error_class is ErrorClass.PROTOCOL
    assert time.process_time() - began < 5
    assert receiver.exchanges[0].sent_bytes < ENDLESS


@pytest.mark.parametrize(
    "behaviour",
    [
        closing(OK + b"Content-Length: 30\r\n\r\n", b"abc"),
        resetting(OK + b"Content-Length: 30\r\n\r\nabc"),
        answering(CHUNKED + b"ZZZ\r\nabc\r\n"),
        answering(CHUNKED, b"ZZZ\r\nabc\r\n"),
        answering(CHUNKED, b"3\r\nabc\r\n" + b"f" * 40 + b"\r\nabc"),
        answering(CHUNKED[:-2], CHUNKED[-2:] + b"-1\r\n"),
        closing(CHUNKED + b"3\r\nabc\r\n"),
        answering(OK + b"Content-Length: 0\r\n\r\nHTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n"),
        answering(OK + b"Content-Length: 0\r\n\r\nand something else"),
        answering(OK + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc"),
        closing(b"HTTP/1.0 200 OK\r\n\r\nabc"),
        closing(OK + b"\r\n"),
        closing(OK + b"Transfer-Encoding: gzip\r\n\r\nabc"),
        answering(OK + b"Upgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\n"),
    ],
    ids=[
        "truncated",
        "reset",
        "bad chunk behind the head",
        "bad chunk after the head",
        "giant chunk",
        "bad chunk behind a divided head",
        "truncated chunks",
        "second answer",
        "garbage",
        "no gzip",
        "HTTP/1.0",
        "no length",
        "an encoding that is none",
        "an offer to upgrade",
    ],
)
async def test_a_delivery_is_made_by_its_status_whatever_follows(
    client: Client, receiver: HostileReceiver, behaviour: Behaviour
) -> None:
    answer = await ask(client, receiver, behaviour)
    assert answer.status_code == 200
    assert outcome_of(answer) is Outcome.DELIVERED
    assert error_class_of(answer) is None


@pytest.mark.parametrize(
    "behaviour",
    [
        repeating(b"a", after=OK + b"Content-Length: 1000\r\n\r\n", pause=0.05),
        repeating(b"1\r\na\r\n", after=CHUNKED, pause=0.05),
        answering(OK + b"Content-Length: 10\r\n\r\nabc"),
        answering(OK + b"\r\nabc"),
    ],
    ids=["dripping", "dripping chunks", "stalled", "without an end"],
)
async def test_a_body_that_is_late_is_kept_as_far_as_it_came(
    client: Client, receiver: HostileReceiver, behaviour: Behaviour
) -> None:
    answer = await ask(client, receiver, behaviour, seconds=SHORT)
    assert answer.status_code == 200
    assert answer.body
    assert set(answer.body) <= set(b"abc")


@pytest.mark.parametrize(
    ("after", "portion"),
    [
        (OK + b"\r\n", b"a" * 65_536),
        (OK + b"Content-Length: 99999999999\r\n\r\n", b"a" * 65_536),
        (CHUNKED, b"8000\r\n" + b"a" * 0x8000 + b"\r\n"),
        (CHUNKED, b"1;" + b"x" * 1_000 + b"\r\na\r\n"),
        (CHUNKED, b"1\r\na\r\n" * 1_000),
    ],
    ids=["without an end", "long", "chunks", "chunk extensions", "small chunks"],
)
async def test_an_endless_body_is_cut_off(
    client: Client, receiver: HostileReceiver, after: bytes, portion: bytes
) -> None:
    answer = await ask(client, receiver, repeating(portion, after=after))
    assert answer.status_code == 200
    assert len(answer.body) <= limits.ANSWER_BODY_BYTES_KEPT_MAX
    assert set(answer.body) <= {ord("a")}
    await receiver.exchanges[0].wait_until_left()
    assert receiver.exchanges[0].sent_bytes < ENDLESS


async def test_the_beginning_of_a_body_is_kept(client: Client, receiver: HostileReceiver) -> None:
    body = bytes(range(256)) * 100
    answer = await ask(client, receiver, status("500 X", body=body))
    assert answer.body == body[: limits.ANSWER_BODY_BYTES_KEPT_MAX]


async def test_nothing_is_decompressed(client: Client, receiver: HostileReceiver) -> None:
    bomb = gzip.compress(b"\x00" * 20_000_000)
    behaviour = status("200 OK", "Content-Encoding: gzip", body=bomb)
    answer = await ask(client, receiver, behaviour)
    assert answer.body == bomb[: limits.ANSWER_BODY_BYTES_KEPT_MAX]
    assert b"Accept-Encoding: identity" in receiver.exchanges[0].head


async def test_retry_after_comes_back_as_it_was_written(
    client: Client, receiver: HostileReceiver
) -> None:
    answer = await ask(client, receiver, status("429 X", "retry-AFTER: 120", "Retry-After: 5"))
    assert answer.retry_after == "120"
    answer = await client.post(receiver.on("/long", status("503 X", "Retry-After: " + "9" * 1000)))
    assert answer.retry_after is not None
    assert len(answer.retry_after) < 100


async def test_of_the_headers_a_bounded_and_harmless_part_is_kept(
    client: Client, receiver: HostileReceiver
) -> None:
    behaviour = answering(
        OK + b"Content-Type: text/plain\r\nX-Request-Id: " + b"\xffr" * 1_000 + b"\r\n"
        b"Server: a\tb\r\nLocation: \xc3\xa4\r\n"
        b"Set-Cookie: session=1\r\nWWW-Authenticate: Basic\r\nAuthorization: Bearer x\r\n"
        b"X-Their-Own: 1\r\n" + b"Via: 1\r\n" * 100 + b"Content-Length: 0\r\n\r\n"
    )
    answer = await ask(client, receiver, behaviour)
    assert answer.status_code == 200
    assert len(answer.headers) <= limits.ANSWER_HEADERS_KEPT_MAX
    kept = dict(answer.headers)
    assert kept["content-type"] == "text/plain"
    assert len(kept["x-request-id"]) <= limits.ANSWER_HEADER_VALUE_LENGTH_MAX
    assert kept["location"] == "ä"
    assert kept["set-cookie"] == kept["www-authenticate"] == kept["authorization"] == "[hidden]"
    assert "x-their-own" not in kept
    assert all(name == name.lower() for name, _ in answer.headers)
    assert all(value.isprintable() for _, value in answer.headers)


async def test_an_interim_response_is_passed_over(
    client: Client, receiver: HostileReceiver
) -> None:
    behaviour = answering(
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok",
    )
    answer = await ask(client, receiver, behaviour)
    assert (answer.status_code, answer.body) == (201, b"ok")
