"""What a key and a tenant may do in a time, and how they are told that it is too much."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.api_world import EVENT, ApiWorld, api_world
from tests.support.problems import expect_problem
from tidings.core import limits
from tidings.operations.publish import PublishQuotas

BURST = limits.QUOTA_BURST_SECONDS


@pytest.fixture
async def limited(tmp_path: Path) -> AsyncIterator[ApiWorld]:
    """One request a second for each key, on average."""
    async with api_world(tmp_path, is_dev=False, requests_per_second=1) as one:
        one.clock.stands_at_ms = 0
        yield one


@pytest.fixture
async def slow(tmp_path: Path) -> AsyncIterator[ApiWorld]:
    """One event a second for each tenant, on average."""
    async with api_world(tmp_path, quotas=PublishQuotas(events_per_second=1)) as one:
        one.clock.stands_at_ms = 0
        yield one


@pytest.fixture
async def narrow(tmp_path: Path) -> AsyncIterator[ApiWorld]:
    """Two unfinished deliveries for each tenant."""
    async with api_world(tmp_path, quotas=PublishQuotas(backlog_max=2)) as one:
        yield one


async def test_a_key_that_comes_too_often_is_told_when_to_come_again(limited: ApiWorld) -> None:
    client = limited.caller(await limited.key())
    answers = [await client.get("/tenants") for _ in range(BURST + 5)]
    assert [answer.status_code for answer in answers[:BURST]] == [200] * BURST
    problem = expect_problem(answers[-1], 429, "rate_limited")
    assert answers[-1].headers["retry-after"] == "1"
    assert "key" in problem["detail"]


async def test_a_key_that_floods_leaves_the_others_alone(limited: ApiWorld) -> None:
    flooding, other = [limited.caller(await limited.key()) for _ in range(2)]
    while (await flooding.get("/tenants")).status_code == 200:
        pass
    assert (await other.get("/tenants")).status_code == 200


async def test_requests_that_the_key_may_not_make_are_counted_too(limited: ApiWorld) -> None:
    client = limited.caller(await limited.key("events:read"))
    codes = [(await client.get("/tenants")).status_code for _ in range(BURST + 5)]
    assert codes[0] == 403
    assert codes[-1] == 429


async def test_wrong_keys_and_open_routes_are_not_counted(limited: ApiWorld) -> None:
    wrong, anybody = limited.caller("tidings_wrong"), limited.caller()
    for _ in range(BURST + 5):
        expect_problem(await wrong.get("/tenants"), 401, "unauthorized")
        assert (await anybody.get("/health/live")).status_code == 200
    assert limited.access._rates is not None
    assert len(limited.access._rates) == 0


async def test_without_a_limit_nothing_is_counted(guarded: ApiWorld) -> None:
    client = guarded.caller(await guarded.key())
    for _ in range(50):
        assert (await client.get("/tenants")).status_code == 200


async def test_a_tenant_that_publishes_too_fast_is_told_and_its_repeats_are_answered(
    slow: ApiWorld,
) -> None:
    accepted = [await slow.publish(eventId=f"evt_{number}") for number in range(BURST)]
    answer = await slow.client.post("/events", json=EVENT | {"eventId": "evt_more"})
    expect_problem(answer, 429, "quota_exceeded")
    assert answer.headers["retry-after"] == "1"
    repeat = await slow.client.post("/events", json=EVENT | {"eventId": "evt_0"})
    assert repeat.status_code == 202
    assert repeat.json() == accepted[0]
    assert repeat.headers["idempotent-replay"] == "true"
    assert (await slow.client.get("/events/evt_more")).status_code == 404
    await slow.publish(tenantId="other")


async def test_items_of_a_batch_are_counted_singly(slow: ApiWorld) -> None:
    body = {"events": [EVENT | {"eventId": f"evt_{number}"} for number in range(BURST + 3)]}
    answer = await slow.client.post("/events/batch", json=body)
    assert answer.status_code == 202
    items: list[Any] = answer.json()["items"]
    assert [item["status"] for item in items] == [202] * BURST + [429] * 3
    assert {item["problem"]["code"] for item in items[BURST:]} == {"quota_exceeded"}
    again = await slow.client.post("/events/batch", json=body)
    assert again.json()["items"][:BURST] == items[:BURST]


async def test_a_full_backlog_refuses_what_would_wait_and_says_when_to_come_again(
    narrow: ApiWorld,
) -> None:
    subscription = await narrow.subscribe()
    await narrow.client.post(f"/webhook-subscriptions/{subscription['subscriptionId']}/pause")
    await narrow.publish(eventId="evt_1")
    await narrow.publish()
    answer = await narrow.client.post("/events", json=EVENT)
    problem = expect_problem(answer, 429, "quota_exceeded")
    assert "unfinished" in problem["detail"]
    assert int(answer.headers["retry-after"]) > 0
    repeat = await narrow.client.post("/events", json=EVENT | {"eventId": "evt_1"})
    assert repeat.headers["idempotent-replay"] == "true"
    assert len(await narrow.deliveries()) == 2
    await narrow.publish(eventType="nobody.wants")
    await narrow.finish(subscription["subscriptionId"], delivered=True)
    await narrow.publish()


async def test_an_event_that_goes_in_a_circle_is_stopped(world: ApiWorld) -> None:
    """A subscriber that publishes what it receives, and says so by passing `webhook-hops` on."""
    await world.subscribe()
    hops, rounds = "0", 0
    while True:
        answer = await world.client.post("/events", json=EVENT, headers={"webhook-hops": hops})
        if answer.status_code != 202:
            break
        rounds += 1
        (row, *_) = await world.deliveries(eventId=answer.json()["eventId"])
        hops = str((await world.store.get_delivery("default", row["deliveryId"])).hops)
    assert rounds == limits.HOPS_MAX
    assert "circle" in expect_problem(answer, 422, "validation_failed")["detail"]


@pytest.mark.parametrize("value", ["-1", "one", "", "1e3", "99999999999999999999"])
async def test_hops_that_are_no_number_are_refused(world: ApiWorld, value: str) -> None:
    for path, body in (("/events", EVENT), ("/events/batch", {"events": [EVENT]})):
        answer = await world.client.post(path, json=body, headers={"webhook-hops": value})
        expect_problem(answer, 422, "validation_failed")


async def test_a_batch_hands_its_hops_to_every_item(world: ApiWorld) -> None:
    await world.subscribe()
    body = {"events": [EVENT, EVENT]}
    await world.client.post("/events/batch", json=body, headers={"webhook-hops": "4"})
    records = [
        await world.store.get_delivery("default", one["deliveryId"])
        for one in await world.deliveries()
    ]
    assert [record.hops for record in records] == [5, 5]
