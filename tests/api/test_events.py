"""Events: listed, shown, delivered again, erased."""

from typing import Any

import pytest

from tests.support.api_world import EVENT, ApiWorld
from tests.support.problems import expect_problem
from tidings.core.timestamp import format_timestamp


async def test_an_event_is_shown_with_its_data_and_its_moments(world: ApiWorld) -> None:
    await world.publish(
        eventId="evt_567", occurredAt="2024-05-04T12:00:00Z", orderingKey="customer 17"
    )
    shown = (await world.client.get("/events/evt_567")).json()
    created_at = shown.pop("createdAt")
    assert created_at > "2026"
    assert shown == {
        "eventId": "evt_567",
        "tenantId": "default",
        "eventType": "order.shipped",
        "occurredAt": "2024-05-04T12:00:00Z",
        "orderingKey": "customer 17",
        "data": EVENT["data"],
    }
    listed = (await world.client.get("/events")).json()["items"]
    del shown["data"]
    assert listed == [shown | {"createdAt": created_at}]


async def test_events_are_listed_newest_first_and_can_be_narrowed(world: ApiWorld) -> None:
    for event_id, event_type in (("1", "order.shipped"), ("2", "order.paid"), ("3", "user")):
        await world.publish(eventId=event_id, eventType=event_type)
        world.clock.ahead_ms += 1_000
    moment = format_timestamp(world.clock.now_ms() - 1_500)

    async def listed(**parameters: str) -> list[str]:
        answer = await world.client.get("/events", params=parameters)
        assert answer.status_code == 200, answer.text
        return [one["eventId"] for one in answer.json()["items"]]

    assert await listed() == ["3", "2", "1"]
    assert await listed(eventType="order.*") == ["2", "1"]
    assert await listed(eventType="user, order.paid") == ["3", "2"]
    assert await listed(since=moment) == ["3"]
    assert await listed(until=moment) == ["2", "1"]


@pytest.mark.parametrize(
    "parameters",
    [
        {"eventType": "a..b"},
        {"eventType": ""},
        {"since": "yesterday"},
        {"until": "2024-05-04T12:00:00"},
        {"since": ""},
    ],
)
async def test_a_list_that_makes_no_sense_is_refused(
    world: ApiWorld, parameters: dict[str, str]
) -> None:
    expect_problem(await world.client.get("/events", params=parameters), 422, "validation_failed")


@pytest.mark.parametrize(
    "event_id", ["unknown", "evt_1", "x" * 129, "ä", "a b", "a%00b", "..%2f", "'", "batch", "*"]
)
async def test_an_unknown_id_of_any_shape_is_not_found(world: ApiWorld, event_id: str) -> None:
    for part in ("", "/deliveries"):
        expect_problem(await world.client.get(f"/events/{event_id}{part}"), 404, "not_found")
    expect_problem(await world.client.delete(f"/events/{event_id}/data"), 404, "not_found")
    answer = await world.client.post(f"/events/{event_id}/replay")
    expect_problem(answer, 404, "not_found")


async def test_an_event_may_be_called_like_a_path(world: ApiWorld) -> None:
    await world.publish(eventId="batch")
    assert (await world.client.get("/events/batch")).json()["eventId"] == "batch"


async def test_the_deliveries_of_an_event_are_listed(world: ApiWorld) -> None:
    ids = {(await world.subscribe())["subscriptionId"] for _ in range(3)}
    event = await world.publish()
    await world.publish()
    path = f"/events/{event['eventId']}/deliveries"
    items = (await world.client.get(path)).json()["items"]
    assert {one["subscriptionId"] for one in items} == ids
    assert {one["eventId"] for one in items} == {event["eventId"]}
    assert (await world.client.get(path, params={"status": "delivered"})).json()["items"] == []


async def _replay(world: ApiWorld, event_id: str, **body: Any) -> Any:
    answer = await world.client.post(f"/events/{event_id}/replay", json=body)
    assert answer.status_code == 202, answer.text
    assert answer.json()["eventId"] == event_id
    return answer.json()["deliveries"]


async def test_an_event_is_delivered_again_to_all_that_match(world: ApiWorld) -> None:
    first = (await world.subscribe())["subscriptionId"]
    event_id = (await world.publish())["eventId"]
    assert await _replay(world, event_id) == 0, "what is unfinished is left alone"
    await world.finish(first, delivered=True)
    await world.subscribe()
    assert await _replay(world, event_id) == 2
    again = {one["subscriptionId"]: one for one in await world.deliveries()}
    assert again[first]["status"] == "pending"
    assert again[first]["replayCount"] == 1


async def test_an_event_is_delivered_to_one_even_if_it_never_matched(world: ApiWorld) -> None:
    other = (await world.subscribe(eventType="user.*"))["subscriptionId"]
    event_id = (await world.publish())["eventId"]
    assert await _replay(world, event_id, subscriptionId=other) == 1
    (delivery,) = await world.deliveries()
    assert delivery["subscriptionId"] == other
    path = f"/events/{event_id}/replay"
    unknown = await world.client.post(path, json={"subscriptionId": "sub_1"})
    expect_problem(unknown, 404, "not_found")
    await world.client.post(f"/webhook-subscriptions/{other}/disable")
    disabled = await world.client.post(path, json={"subscriptionId": other})
    expect_problem(disabled, 409, "invalid_state")


async def test_erased_data_is_gone_for_good(world: ApiWorld) -> None:
    subscription_id = (await world.subscribe())["subscriptionId"]
    event_id = (await world.publish())["eventId"]
    assert (await world.client.delete(f"/events/{event_id}/data")).status_code == 204
    shown = (await world.client.get(f"/events/{event_id}")).json()
    assert shown["data"] is None
    (delivery,) = await world.deliveries(subscriptionId=subscription_id)
    assert delivery["status"] == "cancelled"
    expect_problem(await world.client.post(f"/events/{event_id}/replay"), 409, "invalid_state")
    assert (await world.client.delete(f"/events/{event_id}/data")).status_code == 204
