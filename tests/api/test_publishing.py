"""Publishing: what is promised by a 202, and what a repeat gets."""

import asyncio
from typing import Any

import pytest

from tests.support.api_world import EVENT, PUBLIC_URL, ApiWorld
from tests.support.problems import expect_problem
from tidings.core import limits
from tidings.core.timestamp import format_timestamp
from tidings.ports.store import StoreUnavailable


async def test_a_published_event_is_accepted_with_its_deliveries_and_its_place(
    world: ApiWorld,
) -> None:
    for event_type in ("order.shipped", "order.*", "*", "payment.failed"):
        await world.subscribe(eventType=event_type)
    answer = await world.client.post("/events", json=EVENT)
    assert answer.status_code == 202
    accepted = answer.json()
    assert set(accepted) == {"eventId", "eventType", "occurredAt", "deliveries"}
    assert accepted["eventId"].startswith("evt_")
    assert (accepted["eventType"], accepted["deliveries"]) == ("order.shipped", 3)
    assert accepted["occurredAt"].endswith("Z")
    assert answer.headers["location"] == f"{PUBLIC_URL}/events/{accepted['eventId']}"
    assert "idempotent-replay" not in answer.headers


async def test_data_is_passed_through_byte_for_byte(world: ApiWorld) -> None:
    data = b'{ "b":1.0,"a":[1e2, -0,12345678901234567890 ],"b":"\\u00e4\\/ \xc3\xa4" }'
    body = b' {"data": %b, "eventType":"a" ,"eventId":"one"} ' % data
    answer = await world.client.post(
        "/events", content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 202, answer.text
    event = await world.store.get_event("default", "one")
    assert event.data == data
    assert data in (await world.client.get("/events/one")).content


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("2024-05-04T12:00:00Z", "2024-05-04T12:00:00Z"),
        ("2024-05-04T14:00:00.123456+02:00", "2024-05-04T12:00:00.123456Z"),
        ("2024-05-04t12:00:00z", "2024-05-04T12:00:00Z"),
    ],
)
async def test_the_moment_of_the_publisher_is_kept_in_utc(
    world: ApiWorld, given: str, kept: str
) -> None:
    assert (await world.publish(occurredAt=given))["occurredAt"] == kept


@pytest.mark.parametrize("given", ["9999-12-31T23:59:59Z", "2999-01-01T00:00:00.5+05:00"])
async def test_a_moment_in_a_far_future_is_refused(world: ApiWorld, given: str) -> None:
    answer = await world.client.post("/events", json=EVENT | {"occurredAt": given})
    problem = expect_problem(answer, 422, "validation_failed")
    assert [fault["pointer"] for fault in problem["errors"]] == ["/occurredAt"]
    near = format_timestamp(world.clock.now_ms() + limits.OCCURRED_AHEAD_MS_MAX - 60_000)
    assert (await world.publish(occurredAt=near))["occurredAt"] == near


async def test_a_hundred_concurrent_publishes_of_one_id_are_one_event(world: ApiWorld) -> None:
    await world.subscribe()
    body = EVENT | {"eventId": "evt_567"}
    answers = await asyncio.gather(*(world.client.post("/events", json=body) for _ in range(100)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.content for answer in answers}) == 1
    repeats = [answer.headers.get("idempotent-replay") for answer in answers]
    assert sorted(map(str, repeats)) == ["None", *["true"] * 99]
    assert len(await world.deliveries()) == 1


async def test_an_id_with_other_content_is_a_conflict(world: ApiWorld) -> None:
    await world.publish(eventId="one", orderingKey="a", occurredAt="2024-05-04T12:00:00Z")
    same = EVENT | {"eventId": "one", "orderingKey": "a", "occurredAt": "2024-05-04T12:00:00Z"}
    assert (await world.client.post("/events", json=same)).status_code == 202
    others: list[dict[str, Any]] = [
        {"data": {}},
        {"eventType": "b"},
        {"orderingKey": "b"},
        {"occurredAt": "2024-05-04T12:00:01Z"},
    ]
    for other in others:
        answer = await world.client.post("/events", json=same | other)
        expect_problem(answer, 409, "event_id_conflict")


async def test_the_same_id_of_another_tenant_is_another_event(world: ApiWorld) -> None:
    await world.publish(eventId="one")
    other = await world.client.post("/events", json=EVENT | {"eventId": "one", "tenantId": "b"})
    assert other.status_code == 202
    assert "idempotent-replay" not in other.headers


async def test_an_idempotency_key_names_an_event_with_and_without_quotes(world: ApiWorld) -> None:
    await world.subscribe()
    answers = [
        await world.client.post("/events", json=EVENT, headers={"Idempotency-Key": key})
        for key in ('"key-1"', "key-1", "key-1")
    ]
    assert len({answer.content for answer in answers}) == 1
    assert [answer.headers.get("idempotent-replay") for answer in answers] == [None, "true", "true"]
    assert len(await world.deliveries()) == 1
    reused = await world.client.post(
        "/events", json=EVENT | {"data": {}}, headers={"Idempotency-Key": "key-1"}
    )
    expect_problem(reused, 422, "idempotency_key_reused")


@pytest.mark.parametrize("key", ["", '""', "x" * 256, "a\x01b"])
async def test_an_unusable_idempotency_key_is_refused(world: ApiWorld, key: str) -> None:
    headers = [(b"idempotency-key", key.encode())]
    answer = await world.client.post("/events", json=EVENT, headers=headers)
    expect_problem(answer, 422, "validation_failed")


async def test_an_event_has_one_name_at_most(world: ApiWorld) -> None:
    answer = await world.client.post(
        "/events", json=EVENT | {"eventId": "one"}, headers={"Idempotency-Key": "key-1"}
    )
    expect_problem(answer, 422, "validation_failed")


async def test_each_event_of_many_stands_for_itself(world: ApiWorld) -> None:
    await world.publish(eventId="taken")
    items: list[Any] = [
        EVENT,
        EVENT | {"eventId": "new"},
        EVENT | {"eventId": "new"},
        EVENT | {"eventId": "taken", "data": {}},
        {"eventType": "a..b", "data": {}},
        5,
        EVENT | {"data": {"x": "y" * limits.EVENT_BYTES_MAX_DEFAULT}},
        EVENT,
    ]
    answer = await world.client.post("/events/batch", json={"events": items})
    assert answer.status_code == 202
    answered = answer.json()["items"]
    assert [one["status"] for one in answered] == [202, 202, 202, 409, 422, 422, 413, 202]
    assert answered[1] == answered[2]
    for one in answered:
        assert set(one) == {"status", "event" if one["status"] == 202 else "problem"}
        if one["status"] != 202:
            assert one["problem"]["status"] == one["status"]
    codes = [one["problem"]["code"] for one in answered if "problem" in one]
    assert codes == ["event_id_conflict", "validation_failed", "validation_failed", "too_large"]


async def test_malformed_events_of_many_are_refused_alone(world: ApiWorld) -> None:
    items = b'{"eventType":"a","data":{"x":1e999}},{"eventType":"a","eventType":"b","data":{}}'
    answer = await world.client.post(
        "/events/batch",
        content=b'{"events":[%b,{"eventType":"a","data":{}}]}' % items,
        headers={"Content-Type": "application/json"},
    )
    answered = answer.json()["items"]
    assert [one["status"] for one in answered] == [400, 400, 202]
    assert answered[0]["problem"]["code"] == "malformed_json"


async def test_many_events_may_all_be_refused(world: ApiWorld) -> None:
    answer = await world.client.post("/events/batch", json={"events": [None, {}]})
    assert answer.status_code == 202
    assert [one["status"] for one in answer.json()["items"]] == [422, 422]


@pytest.mark.parametrize(
    "body", [{}, {"events": []}, {"events": 5}, {"events": [EVENT] * 1_001}, {"event": []}]
)
async def test_many_events_are_one_to_a_thousand(world: ApiWorld, body: Any) -> None:
    expect_problem(await world.client.post("/events/batch", json=body), 422, "validation_failed")


async def test_a_thousand_events_are_accepted_in_order(world: ApiWorld) -> None:
    items = [EVENT | {"eventId": f"n-{number}"} for number in range(1_000)]
    answer = await world.client.post("/events/batch", json={"events": items})
    ids = [one["event"]["eventId"] for one in answer.json()["items"]]
    assert ids == [item["eventId"] for item in items]


async def test_an_idempotency_key_covers_many_events(world: ApiWorld) -> None:
    await world.subscribe()
    items = {"events": [EVENT, EVENT, EVENT | {"data": {}}]}
    headers = {"Idempotency-Key": "key-1"}
    answers = [
        await world.client.post("/events/batch", json=items, headers=headers) for _ in range(2)
    ]
    assert answers[0].content == answers[1].content
    assert len({one["event"]["eventId"] for one in answers[0].json()["items"]}) == 3
    assert len(await world.deliveries()) == 3
    items["events"][0] = EVENT | {"eventType": "other"}
    reused = await world.client.post("/events/batch", json=items, headers=headers)
    assert [one["status"] for one in reused.json()["items"]] == [422, 202, 202]
    assert reused.json()["items"][0]["problem"]["code"] == "idempotency_key_reused"


async def test_nothing_is_accepted_that_cannot_be_stored(
    world: ApiWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any, **__: Any) -> Any:
        raise StoreUnavailable("the disk is full")

    monkeypatch.setattr(world.store, "accept_events", fail)
    for path, body in (("/events", EVENT), ("/events/batch", {"events": [EVENT]})):
        answer = await world.client.post(path, json=body)
        expect_problem(answer, 503, "unavailable")
        assert int(answer.headers["retry-after"]) >= 1
        assert "disk" not in answer.text


async def test_a_server_that_shuts_down_accepts_nothing(world: ApiWorld) -> None:
    world.publisher.close()
    expect_problem(await world.client.post("/events", json=EVENT), 503, "unavailable")
