"""Bodies: how large, how fast, of which kind, and how strictly they are read."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.core.test_strict_json import MALFORMED
from tests.support.api_world import EVENT, WISH, ApiWorld
from tests.support.problems import expect_problem
from tidings.core import limits

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
@pytest.mark.parametrize("path", ["/events", "/webhook-subscriptions", "/api-keys"])
async def test_malformed_json_is_a_problem_everywhere(
    world: ApiWorld, path: str, body: bytes
) -> None:
    expect_problem(await world.client.post(path, content=body, headers=JSON), 400, "malformed_json")


OBJECTS = {
    name: body
    for name, body in MALFORMED.items()
    if body.startswith(b"{") and not name.startswith("a name twice")
}


@pytest.mark.parametrize("data", OBJECTS.values(), ids=OBJECTS)
async def test_malformed_data_in_a_good_event_is_a_problem(world: ApiWorld, data: bytes) -> None:
    body = b'{"eventType":"a","data":%b}' % data
    expect_problem(
        await world.client.post("/events", content=body, headers=JSON), 400, "malformed_json"
    )


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ([], ""),
        (5, ""),
        ({}, "/eventType"),
        ({"eventType": "a"}, "/data"),
        ({"eventType": 1, "data": {}}, "/eventType"),
        ({"eventType": None, "data": {}}, "/eventType"),
        ({"eventType": "", "data": {}}, "/eventType"),
        ({"eventType": "a..b", "data": {}}, "/eventType"),
        ({"eventType": "a.*", "data": {}}, "/eventType"),
        ({"eventType": "tidings.test", "data": {}}, "/eventType"),
        ({"eventType": "a\n", "data": {}}, "/eventType"),
        ({"eventType": "x" * 129, "data": {}}, "/eventType"),
        ({"eventType": "a", "data": []}, "/data"),
        ({"eventType": "a", "data": None}, "/data"),
        ({"eventType": "a", "data": "{}"}, "/data"),
        ({"eventType": "a", "data": {}, "eventId": ""}, "/eventId"),
        ({"eventType": "a", "data": {}, "eventId": "a b"}, "/eventId"),
        ({"eventType": "a", "data": {}, "eventId": "a\n"}, "/eventId"),
        ({"eventType": "a", "data": {}, "eventId": 5}, "/eventId"),
        ({"eventType": "a", "data": {}, "occurredAt": "2024-05-04"}, "/occurredAt"),
        ({"eventType": "a", "data": {}, "occurredAt": "2024-05-04T12:00:00"}, "/occurredAt"),
        ({"eventType": "a", "data": {}, "orderingKey": ""}, "/orderingKey"),
        ({"eventType": "a", "data": {}, "orderingKey": "ä"}, "/orderingKey"),
        ({"eventType": "a", "data": {}, "tenantId": "a/b"}, "/tenantId"),
        ({"eventType": "a", "data": {}, "event_type": "a"}, "/event_type"),
        ({"eventType": "a", "data": {}, "a/b~c": 1}, "/a~1b~0c"),
    ],
)
async def test_what_is_wrong_with_an_event_is_pointed_at(
    world: ApiWorld, body: Any, pointer: str
) -> None:
    problem = expect_problem(
        await world.client.post("/events", json=body), 422, "validation_failed"
    )
    assert [one["pointer"] for one in problem["errors"]] == [pointer]
    assert not await world.deliveries()


async def test_everything_that_is_wrong_is_told_at_once(world: ApiWorld) -> None:
    body = {"eventType": "a..b", "data": 5, "eventId": "a b", "orderingKey": "ä"}
    problem = expect_problem(
        await world.client.post("/events", json=body), 422, "validation_failed"
    )
    pointers = [one["pointer"] for one in problem["errors"]]
    assert pointers == ["/eventType", "/data", "/eventId", "/orderingKey"]


async def test_an_unknown_member_is_not_repeated_at_length(world: ApiWorld) -> None:
    answer = await world.client.post("/events", json=EVENT | {"x" * 10_000: 1})
    expect_problem(answer, 422, "validation_failed")
    assert len(answer.text) < 1_000


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Type": "application/merge-patch+json"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        {"Content-Type": "application/json", "Content-Encoding": "identity, gzip"},
    ],
)
@pytest.mark.parametrize("path", ["/events", "/webhook-subscriptions"])
async def test_other_media_types_are_not_supported(
    world: ApiWorld, path: str, headers: dict[str, str]
) -> None:
    answer = await world.client.post(path, content=b'{"eventType":"a"}', headers=headers)
    expect_problem(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize(
    "media_type",
    ["application/json", "Application/JSON", "application/json; charset=utf-8",
     'application/json;charset="UTF-8"'],
)  # fmt: skip
async def test_json_may_be_declared_in_any_spelling(world: ApiWorld, media_type: str) -> None:
    answer = await world.client.post(
        "/events",
        content=json.dumps(EVENT),
        headers={"Content-Type": media_type, "Content-Encoding": "identity"},
    )
    assert answer.status_code == 202


async def _chunks(body: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


def _event_of_size(size: int) -> bytes:
    frame = b'{"eventType":"a","data":{"a":"%b"}}'
    return frame % (b"x" * (size - len(frame % b"")))


async def test_a_body_may_have_its_limit_and_not_one_byte_more(world: ApiWorld) -> None:
    most = _event_of_size(limits.EVENT_BYTES_MAX_DEFAULT)
    answer = await world.client.post("/events", content=most, headers=JSON)
    assert answer.status_code == 202
    for content in (most + b" ", _chunks(most + b" ", 10_000)):
        answer = await world.client.post("/events", content=content, headers=JSON)
        expect_problem(answer, 413, "too_large")
        assert answer.headers["connection"] == "close"


async def test_a_body_in_chunks_is_read_as_a_whole(world: ApiWorld) -> None:
    answer = await world.client.post(
        "/events", content=_chunks(json.dumps(EVENT).encode(), 7), headers=JSON
    )
    assert answer.status_code == 202


async def test_other_bodies_and_batches_have_limits_too(world: ApiWorld) -> None:
    large = json.dumps(WISH | {"description": "x" * limits.REQUEST_BYTES_MAX})
    answer = await world.client.post("/webhook-subscriptions", content=large, headers=JSON)
    expect_problem(answer, 413, "too_large")
    events = b'{"events":[%b]}' % (b" " * limits.BATCH_BYTES_MAX)
    answer = await world.client.post("/events/batch", content=events, headers=JSON)
    expect_problem(answer, 413, "too_large")


async def test_a_body_that_does_not_arrive_is_given_up(
    world: ApiWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "UPLOAD_TIMEOUT_SECONDS", 0.01)

    async def endless() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    answer = await world.client.post("/events", content=endless(), headers=JSON)
    expect_problem(answer, 408, "request_timeout")
    assert answer.headers["connection"] == "close"


async def test_a_client_that_goes_away_is_not_answered(world: ApiWorld) -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(part: Any) -> None:
        sent.append(part)

    await world.app(
        {
            "type": "http",
            "method": "POST",
            "path": "/events",
            "query_string": b"",
            "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")],
        },
        receive,
        send,
    )
    assert sent == []


_ACTIONS = ("rotate-secret", "test", "replay", "pause", "resume", "verify", "disable")


@pytest.mark.parametrize("action", _ACTIONS)
async def test_a_body_of_which_all_may_be_left_out_may_be_left_out(
    world: ApiWorld, action: str
) -> None:
    path = f"/webhook-subscriptions/{(await world.subscribe())['subscriptionId']}/{action}"
    empty: dict[str, Any] = {}
    for body in (None, empty):
        answer = await world.client.post(path, json=body)
        assert answer.status_code in (200, 202), answer.text
    form = {"Content-Type": "application/x-www-form-urlencoded", "Content-Length": "0"}
    answer = await world.client.post(path, headers=form)
    assert answer.status_code in (200, 202, 409), answer.text


@pytest.mark.parametrize("action", _ACTIONS)
async def test_the_body_of_a_request_without_one_may_name_the_tenant_and_nothing_else(
    world: ApiWorld, action: str
) -> None:
    subscription = await world.subscribe(tenantId="acme")
    path = f"/webhook-subscriptions/{subscription['subscriptionId']}/{action}"
    answer = await world.client.post(path, json={"tenantId": "acme", "unheard": 1})
    problem = expect_problem(answer, 422, "validation_failed")
    assert [fault["pointer"] for fault in problem["errors"]] == ["/unheard"]
    expect_problem(await world.client.post(path, json={}), 404, "not_found")
    answer = await world.client.post(path, json={"tenantId": "acme"})
    assert answer.status_code in (200, 202), answer.text


async def test_a_delivery_is_found_in_the_tenant_that_the_body_names(world: ApiWorld) -> None:
    subscription = await world.subscribe(tenantId="acme")
    await world.publish(tenantId="acme")
    await world.finish(subscription["subscriptionId"])
    own = {"tenantId": "acme"}
    found = await world.client.get("/dead-letters", params=own)
    (delivery_id,) = [one["deliveryId"] for one in found.json()["items"]]
    for path, status in (
        (f"/dead-letters/{delivery_id}/replay", 202),
        (f"/deliveries/{delivery_id}/retry", 202),
        (f"/deliveries/{delivery_id}/cancel", 200),
    ):
        expect_problem(await world.client.post(path), 404, "not_found")
        answer = await world.client.post(path, json=own)
        assert answer.status_code == status, answer.text


async def test_a_body_that_is_needed_may_not_be_empty(world: ApiWorld) -> None:
    for headers in ({}, JSON):
        answer = await world.client.post("/events", headers=headers)
        expect_problem(answer, 400, "malformed_json")
