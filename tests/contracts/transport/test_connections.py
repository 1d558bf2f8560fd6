"""A request goes out as it was given, once; connections are kept, but never trusted."""

import asyncio
import socket
import time
import tracemalloc
from pathlib import Path

import pytest

from tests.contracts.transport.conftest import HEADERS, Client, FixedResolver
from tests.support.hostile_receiver import (
    Exchange,
    HostileReceiver,
    answering,
    closing,
    resetting,
    silent,
    status,
    told,
)
from tests.support.waiting import eventually
from tidings.core import limits
from tidings.core.attempt import ErrorClass

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


async def test_the_headers_go_out_as_they_were_given(
    client: Client, receiver: HostileReceiver
) -> None:
    url = receiver.on("/a//b;c/../d?x=%2f&y[]=1", status("200 OK"))
    await client.post(url, b'{"a": 1}', headers=[("X-Own", "1, 2"), ("authorization", "Bearer x")])
    (exchange,) = receiver.exchanges
    assert exchange.head.startswith(b"POST /a//b;c/../d?x=%2f&y[]=1 HTTP/1.1\r\n")
    given = [f"{name}: {value}" for name, value in HEADERS]
    assert sorted(exchange.header_lines) == sorted(
        [
            f"Host: 127.0.0.1:{receiver.port}",
            "Accept-Encoding: identity",
            "Content-Length: 8",
            "X-Own: 1, 2",
            "authorization: Bearer x",
            *given,
        ]
    )
    assert exchange.body == b'{"a": 1}'


async def test_nothing_of_our_surroundings_goes_along(
    client: Client, receiver: HostileReceiver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    await client.make()
    url = receiver.on("/", status("200 OK", "Set-Cookie: session=1"))
    for _ in range(2):
        assert (await client.post(url)).status_code == 200
    for exchange in receiver.exchanges:
        assert b"cookie" not in exchange.head.lower()
        assert b"authorization" not in exchange.head.lower()


@pytest.mark.parametrize("size", [0, 1, 65_536, 1_048_576, 1_300_000])
async def test_the_body_goes_out_byte_for_byte(
    client: Client, receiver: HostileReceiver, size: int
) -> None:
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    answer = await client.post(receiver.on("/", status("200 OK")), body)
    assert answer.status_code == 200
    assert receiver.exchanges[0].body == body
    assert f"Content-Length: {size}" in receiver.exchanges[0].header_lines


async def test_a_body_goes_out_no_faster_than_it_is_taken(
    client: Client, receiver: HostileReceiver
) -> None:
    async def hold(exchange: Exchange) -> None:
        await asyncio.Event().wait()

    body = b"x" * 10_000_000
    tracemalloc.start()
    try:
        receiver.reads_bodies = False
        sending = asyncio.create_task(client.post(receiver.on("/", hold), body))
        await eventually(lambda: bool(receiver.exchanges))
        await asyncio.sleep(0.1)  # for a sender that would go on
        _, peak = tracemalloc.get_traced_memory()
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


async def test_a_connection_is_used_again(client: Client, receiver: HostileReceiver) -> None:
    url = receiver.on("/", status("200 OK", body=b"ok"))
    for _ in range(3):
        assert (await client.post(url)).status_code == 200
    assert receiver.connections == 1


async def test_many_requests_at_once_get_their_own_answers(
    client: Client, receiver: HostileReceiver
) -> None:
    async def echo(exchange: Exchange) -> None:
        await asyncio.sleep(len(exchange.body) % 7 / 1_000)
        await status("200 OK", body=exchange.body)(exchange)

    url = receiver.on("/", echo)
    bodies = [b"x" * number for number in range(1, 101)]
    answers = await asyncio.gather(*(client.post(url, body) for body in bodies))
    assert [answer.body for answer in answers] == bodies


@pytest.mark.parametrize(
    "unasked",
    [
        b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nab",
        b"HTTP/1.1 20",
        b"and something else",
    ],
)
@pytest.mark.parametrize("is_at_once", [True, False])
async def test_what_comes_unasked_is_no_answer_to_the_next_request(
    client: Client, receiver: HostileReceiver, unasked: bytes, is_at_once: bool
) -> None:
    behaviour = answering(OK + unasked) if is_at_once else answering(OK, unasked)
    is_said, say = told(behaviour)
    url = receiver.on("/", say, status("500 X"))
    assert (await client.post(url)).status_code == 200
    await is_said.wait()
    await asyncio.sleep(0.1)
    assert (await client.post(url)).status_code == 500
    assert receiver.connections == 2


@pytest.mark.parametrize("behaviour", [closing(), resetting()])
async def test_a_kept_connection_that_ends_instead_of_an_answer_is_a_reset(
    client: Client, receiver: HostileReceiver, behaviour: object
) -> None:
    url = receiver.on("/", status("200 OK"), behaviour)  # type: ignore[arg-type]
    assert (await client.post(url)).status_code == 200
    answer = await client.post(url)
    assert answer.error_class is ErrorClass.CONNECTION_RESET
    # Sent once: whether the receiver has acted on it, only a further attempt may find out.
    assert len(receiver.exchanges) == 2


async def test_a_connection_that_was_closed_while_idle_is_replaced(
    client: Client, receiver: HostileReceiver
) -> None:
    url = receiver.on("/", closing(OK), status("200 OK"))
    assert (await client.post(url)).status_code == 200
    await asyncio.sleep(0.1)
    assert (await client.post(url)).status_code == 200
    assert receiver.connections == 2


async def test_a_connection_is_closed_when_the_receiver_says_so(
    client: Client, receiver: HostileReceiver
) -> None:
    url = receiver.on("/", status("200 OK", "Connection: close"))
    await client.post(url)
    await client.post(url)
    assert receiver.connections == 2


@pytest.mark.parametrize(
    "sent",
    [
        b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZ\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + b"a" * 300_000,
        b"HTTP/1.1 200 " + b"a" * 100_000 + b"\r\nContent-Length: 0\r\n\r\n",
    ],
    ids=lambda sent: repr(sent[:60]),
)
async def test_a_connection_is_not_used_again_after_what_is_not_a_plain_end(
    client: Client, receiver: HostileReceiver, sent: bytes
) -> None:
    url = receiver.on("/", answering(sent), status("500 X"))
    await client.post(url)
    assert (await client.post(url)).status_code == 500
    assert receiver.connections == 2


async def test_a_connection_is_used_again_after_chunks_with_trailers(
    client: Client, receiver: HostileReceiver
) -> None:
    chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n"
    url = receiver.on("/", answering(chunks + b"Server: trailing\r\n\r\n"))
    for _ in range(2):
        answer = await client.post(url)
        assert answer.body == b"abc"
        assert "server" not in dict(answer.headers)
    assert receiver.connections == 1


async def test_a_receiver_that_has_said_all_it_wants_to_say_is_left(
    client: Client, receiver: HostileReceiver
) -> None:
    async def half_close(exchange: Exchange) -> None:
        if exchange.path == "/answers":
            await exchange.send(OK)
        exchange.writer.write_eof()
        await silent(exchange)

    answer = await client.post(receiver.on("/", half_close))
    assert answer.error_class is ErrorClass.CONNECTION_RESET
    answer = await client.post(receiver.on("/answers", half_close))
    assert answer.status_code == 200
    for exchange in receiver.exchanges:
        await exchange.wait_until_left()


async def test_a_reset_behind_a_whole_answer_changes_nothing(
    client: Client, receiver: HostileReceiver
) -> None:
    is_reset, reset = told(resetting(OK))
    url = receiver.on("/", reset, status("201 Created"))
    assert (await client.post(url)).status_code == 200
    await is_reset.wait()
    await asyncio.sleep(0.1)
    assert (await client.post(url)).status_code == 201


async def test_subscriptions_share_no_connection(client: Client, receiver: HostileReceiver) -> None:
    url = receiver.on("/", status("200 OK"))
    for _ in range(2):
        for number in range(3):
            answer = await client.post(url, subscription_id=f"sub_{number}")
            assert answer.status_code == 200
    assert receiver.connections == 3


async def test_of_unused_connections_the_one_that_waited_longest_makes_room(
    client: Client, receiver: HostileReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "CONNECTIONS_KEPT_MAX", 2)
    url = receiver.on("/", status("200 OK"))
    for subscription_id in ("sub_1", "sub_2", "sub_1", "sub_3"):
        await client.post(url, subscription_id=subscription_id)
    assert receiver.connections == 3
    await client.post(url, subscription_id="sub_1")
    await client.post(url, subscription_id="sub_3")
    assert receiver.connections == 3
    await client.post(url, subscription_id="sub_2")
    assert receiver.connections == 4


async def test_unused_connections_are_closed_in_time(
    client: Client, receiver: HostileReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "CONNECTION_IDLE_SECONDS_MAX", 0.05)
    monkeypatch.setattr(limits, "CONNECTION_SWEEP_SECONDS", 0.02)
    closed = asyncio.Event()

    async def answer_and_wait(exchange: Exchange) -> None:
        await exchange.send(OK)
        await exchange.reader.read()
        closed.set()

    await client.post(receiver.on("/", answer_and_wait))
    async with asyncio.timeout(10):
        await closed.wait()


async def test_a_header_that_holds_a_line_end_is_a_bug_and_not_sent(
    client: Client, receiver: HostileReceiver
) -> None:
    url = receiver.on("/", status("200 OK"))
    for value in ("a\r\nX-Smuggled: 1", "a\nb", "a\rb"):
        with pytest.raises(ValueError, match="line end"):
            await client.post(url, headers=[("X-Own", value)])
    assert receiver.connections == 0


async def test_a_refused_connection_is_told_apart(client: Client) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        answer = await client.post(f"http://127.0.0.1:{bound.getsockname()[1]}/")
    assert answer.error_class is ErrorClass.CONNECTION_REFUSED


async def test_a_receiver_that_answers_before_it_has_read_is_believed(
    client: Client, receiver: HostileReceiver
) -> None:
    receiver.reads_bodies = False
    url = receiver.on("/", answering(OK))
    answer = await client.post(url, b"x" * 10_000_000)
    assert answer.status_code == 200
    await client.post(url)
    assert receiver.connections == 2


async def test_a_receiver_that_never_reads_is_left_at_the_deadline(
    client: Client, receiver: HostileReceiver
) -> None:
    async def hold(exchange: Exchange) -> None:
        await asyncio.sleep(1)
        await silent(exchange)

    receiver.reads_bodies = False
    answer = await client.post(receiver.on("/", hold), b"x" * 10_000_000, seconds=0.4)
    assert answer.error_class is ErrorClass.TIMEOUT
    await receiver.exchanges[0].wait_until_left()


async def test_a_cancelled_request_ends_its_connection(
    client: Client, receiver: HostileReceiver
) -> None:
    sending = asyncio.create_task(client.post(receiver.on("/", silent)))
    await eventually(lambda: bool(receiver.exchanges))
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    await receiver.exchanges[0].wait_until_left()


async def test_what_is_on_its_way_at_the_end_is_our_fault(
    client: Client, receiver: HostileReceiver
) -> None:
    url = receiver.on("/", silent)
    sending = asyncio.create_task(client.post(url))
    await eventually(lambda: bool(receiver.exchanges))
    await client.close()
    assert (await sending).error_class is ErrorClass.INTERNAL
    assert (await client.post(url)).error_class is ErrorClass.INTERNAL


async def test_a_name_is_looked_up_once_for_many_connections(
    client: Client, receiver: HostileReceiver
) -> None:
    resolver = FixedResolver({"receiver.example.com": ["127.0.0.1"]})
    await client.make(resolver=resolver)
    receiver.on("/", status("200 OK"))
    url = receiver.url("/", host="receiver.example.com")
    answers = await asyncio.gather(*(client.post(url) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert resolver.asked == ["receiver.example.com"]
    assert f"Host: receiver.example.com:{receiver.port}" in receiver.exchanges[0].header_lines


@pytest.mark.parametrize("addresses", [[], None])
async def test_a_name_without_an_address_is_a_fault_of_dns(
    client: Client, addresses: list[str] | None
) -> None:
    await client.make(names={} if addresses is None else {"nowhere.example.com": addresses})
    answer = await client.post("http://nowhere.example.com/")
    assert answer.error_class is ErrorClass.DNS


async def test_the_deadline_covers_the_look_up(client: Client) -> None:
    class Slow:
        async def resolve(self, host: str) -> list[str]:
            await asyncio.sleep(60)
            return []

    await client.make(resolver=Slow())
    began = time.monotonic()
    answer = await client.post("http://slow.example.com/", seconds=0.3)
    assert answer.error_class is ErrorClass.TIMEOUT
    assert time.monotonic() - began < 30


async def test_one_who_gives_up_leaves_the_others_their_look_up(
    client: Client, receiver: HostileReceiver
) -> None:
    is_known = asyncio.Event()

    class Slow:
        async def resolve(self, host: str) -> list[str]:
            await is_known.wait()
            return ["127.0.0.1"]

    await client.make(resolver=Slow())
    receiver.on("/", status("200 OK"))
    url = receiver.url("/", host="slow.example.com")
    impatient = asyncio.create_task(client.post(url, seconds=0.1))
    patient = asyncio.create_task(client.post(url))
    assert (await impatient).error_class is ErrorClass.TIMEOUT
    is_known.set()
    assert (await patient).status_code == 200
