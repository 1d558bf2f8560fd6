"""What has to wait for nothing is sent at once, as `send` would; what has to wait is left to it."""

import pytest

from tests.contracts.transport.conftest import HEADERS, Client
from tests.support.hostile_receiver import (
    HostileReceiver,
    answering,
    repeating,
    resetting,
    silent,
    status,
)
from tests.support.waiting import eventually
from tidings.core.attempt import Answer, ErrorClass
from tidings.ports.transport import OutboundRequest


def request(url: str, *, seconds: float = 10.0, body: bytes = b"{}") -> OutboundRequest:
    """A request of the same subscription as the client's own."""
    return OutboundRequest("sub_1", url, HEADERS, body, seconds)


async def test_without_a_connection_nothing_is_begun(
    client: Client, receiver: HostileReceiver
) -> None:
    answers: list[Answer] = []
    url = receiver.on("/", status("200 OK"))
    assert client.transport.begin(request(url), answers.append) is None
    await client.post(url)
    assert len(receiver.exchanges) == 1
    assert not answers


async def test_what_is_begun_goes_over_the_connection_that_was_kept(
    client: Client, receiver: HostileReceiver
) -> None:
    answers: list[Answer] = []
    url = receiver.on("/", status("200 OK"), status("201 Created", body=b"yes"))
    await client.post(url)
    assert client.transport.begin(request(url, body=b'{"a": 1}'), answers.append) is not None
    await eventually(lambda: bool(answers))
    assert (answers[0].status_code, answers[0].body) == (201, b"yes")
    first, second = receiver.exchanges
    assert second.body == b'{"a": 1}'
    assert first.writer is second.writer


async def test_a_connection_that_is_in_use_is_not_waited_for(
    client: Client, receiver: HostileReceiver
) -> None:
    answers: list[Answer] = []
    url = receiver.on("/", status("200 OK"), silent)
    await client.post(url)
    assert client.transport.begin(request(url), answers.append) is not None
    assert client.transport.begin(request(url), answers.append) is None
    assert not answers


async def test_what_is_given_up_is_answered_to_nobody(
    client: Client, receiver: HostileReceiver
) -> None:
    answers: list[Answer] = []
    url = receiver.on("/", status("200 OK"), silent, status("200 OK"))
    await client.post(url)
    give_up = client.transport.begin(request(url), answers.append)
    assert give_up is not None
    await eventually(lambda: len(receiver.exchanges) == 2)
    give_up()
    await receiver.exchanges[1].wait_until_left()
    assert (await client.post(url)).status_code == 200
    assert not answers


async def test_giving_up_too_late_harms_nobody(client: Client, receiver: HostileReceiver) -> None:
    answers: list[Answer] = []
    url = receiver.on("/", status("200 OK"))
    await client.post(url)
    give_up = client.transport.begin(request(url), answers.append)
    assert give_up is not None
    await eventually(lambda: bool(answers))
    begun = client.transport.begin(request(url), answers.append)
    assert begun is not None
    give_up()
    await eventually(lambda: len(answers) == 2)
    assert [one.status_code for one in answers] == [200, 200]


@pytest.mark.parametrize(
    ("behaviour", "error_class"),
    [
        (silent, ErrorClass.TIMEOUT),
        (resetting(), ErrorClass.CONNECTION_RESET),
        (resetting(b"HTTP/1.1 200"), ErrorClass.CONNECTION_RESET),
        (answering(b"nonsense\r\n\r\n"), ErrorClass.PROTOCOL),
        (repeating(b"x: y\r\n", after=b"HTTP/1.1 200 OK\r\n"), ErrorClass.PROTOCOL),
    ],
)
async def test_what_is_begun_has_the_same_bounds(
    client: Client, receiver: HostileReceiver, behaviour: object, error_class: ErrorClass
) -> None:
    answers: list[Answer] = []
    url = receiver.on("/", status("200 OK"), behaviour)  # type: ignore[arg-type]
    await client.post(url)
    assert client.transport.begin(request(url, seconds=1.0), answers.append) is not None
    await eventually(lambda: bool(answers))
    assert [one.error_class for one in answers] == [error_class]


async def test_a_closed_transport_begins_nothing(client: Client, receiver: HostileReceiver) -> None:
    answers: list[Answer] = []
    url = receiver.on("/", status("200 OK"), silent)
    await client.post(url)
    assert client.transport.begin(request(url), answers.append) is not None
    await client.close()
    assert [one.error_class for one in answers] == [ErrorClass.INTERNAL]
    assert client.transport.begin(request(url), answers.append) is None
