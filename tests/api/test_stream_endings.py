"""How a stream goes on, and how it ends: for a reason that is told, and leaving nothing behind."""

import asyncio
from typing import Any

import pytest

from tests.support.problems import expect_problem
from tests.support.served import STREAM, Listening, event_ids, listening
from tests.support.waiting import eventually
from tidings.core import limits


async def test_a_silent_stream_has_heartbeats(api: Listening) -> None:
    ear = await api.listen()
    for _ in range(3):
        await ear.until(b": nothing new\nid: ")
        ear.text = b""


async def test_streams_end_cleanly_when_the_server_stops(api: Listening) -> None:
    client = await api.client()
    ear = await api.listen(client)
    await api.world.publish(eventId="evt_1")
    await ear.hear()
    api.world.streams.close()
    assert await ear.rest() == []
    assert ear.reader.retry_ms == limits.STREAM_RETRY_MS
    expect_problem(await client.get(STREAM), 503, "unavailable")


async def test_a_client_that_goes_makes_room(api: Listening) -> None:
    client = await api.client()
    async with listening(client):
        assert api.world.streams.open_count == 1
    await eventually(lambda: not api.world.streams.open_count)


async def test_head_says_what_get_would_and_listens_to_nothing(api: Listening) -> None:
    client = await api.client()
    answer = await client.head(STREAM)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream")
    assert api.world.streams.open_count == 0
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        expect_problem(await client.request(method, STREAM), 405, "method_not_allowed")


async def test_one_key_may_open_so_many_streams_and_no_more(
    api: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "STREAMS_PER_KEY_MAX", 3)
    client = await api.client()
    for _ in range(3):
        await api.listen(client)
    answer = await client.get(STREAM)
    expect_problem(answer, 429, "rate_limited")
    assert int(answer.headers["retry-after"]) >= 1
    await api.listen()


@pytest.mark.parametrize("bound", ["STREAMS_PER_TENANT_MAX", "STREAMS_MAX"])
async def test_streams_are_bounded_whoever_opens_them(
    api: Listening, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    monkeypatch.setattr(limits, bound, 2)
    for _ in range(2):
        await api.listen()
    expect_problem(await (await api.client()).get(STREAM), 429, "rate_limited")


async def test_a_database_that_is_away_delays_and_loses_nothing(
    api: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tidings.ports.store import StoreUnavailable  # noqa: PLC0415

    ear = await api.listen()
    read, failed = api.world.store.read_events_after, 0

    async def fail_once(*arguments: Any, **named: Any) -> Any:
        nonlocal failed
        failed += 1
        if failed <= 2:
            raise StoreUnavailable("disk I/O error")
        return await read(*arguments, **named)

    monkeypatch.setattr(api.world.store, "read_events_after", fail_once)
    await api.world.publish(eventId="evt_1")
    assert event_ids(await ear.hear()) == ["evt_1"]
    assert failed > 2


async def test_who_asks_again_behind_a_stream_and_goes_leaves_nothing_behind(
    api: Listening,
) -> None:
    client = await api.client()
    host = client.base_url.host
    key = client.headers["authorization"]
    request = f"GET {STREAM} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {key}\r\n\r\n".encode()
    reader, writer = await asyncio.open_connection(host, client.base_url.port)
    writer.write(request * 3)
    await reader.readuntil(b"\r\n\r\n")
    assert api.world.streams.open_count == 1
    writer.transport.abort()
    await eventually(lambda: not api.world.streams.open_count)
