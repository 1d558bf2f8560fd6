"""Statistics over HTTP: what came of attempts, how fast answers were, and what waits."""

from typing import Any

import pytest

from tests.support.api_world import ApiWorld
from tests.support.problems import expect_problem


async def stats(world: ApiWorld, subscription_id: str | None = None, **parameters: Any) -> Any:
    path = "/stats"
    if subscription_id is not None:
        path = f"/webhook-subscriptions/{subscription_id}/stats"
    answer = await world.client.get(path, params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_what_has_just_happened_is_counted_at_once(world: ApiWorld) -> None:
    name = (await world.subscribe())["subscriptionId"]
    other = (await world.subscribe(eventType="order.*"))["subscriptionId"]
    for _ in range(3):
        await world.publish()
    await world.finish(name, delivered=True)
    await world.publish()
    await world.finish(name)
    shown = await stats(world, name)
    assert (shown["attempts"], shown["deadLettered"], shown["successShare"]) == (4, 1, 0.75)
    assert shown["outcomes"] == {
        "delivered": 3,
        "failed": 1,
        "throttled": 0,
        "gone": 0,
        "blocked": 0,
        "our_fault": 0,
    }
    assert shown["latencyMs"] == {"p50": 7, "p90": 7, "p95": 7, "p99": 7}
    assert shown["health"] == "healthy"
    assert shown["backlog"] == {"pending": 0, "isMore": False, "oldestCreatedAt": None}
    assert sum(bucket["attempts"] for bucket in shown["buckets"]) == 4
    waiting = await stats(world, other)
    assert (waiting["attempts"], waiting["successShare"]) == (0, None)
    assert waiting["backlog"]["pending"] == 4
    oldest = (await world.deliveries(subscriptionId=other))[-1]["createdAt"]
    assert waiting["backlog"]["oldestCreatedAt"] == oldest
    whole = await stats(world)
    assert (whole["attempts"], whole["backlog"]["pending"]) == (4, 4)
    assert "health" not in whole


async def test_what_is_written_is_counted_once(world: ApiWorld) -> None:
    name = (await world.subscribe())["subscriptionId"]
    await world.publish()
    await world.finish(name, delivered=True)
    world.clock.ahead_ms += 11_000
    await world.publish()
    await world.finish(name, delivered=True)
    for _ in range(2):
        shown = await stats(world, name)
        assert shown["attempts"] == 2
        await world.figures.write_closed()
    await world.figures.write_all()
    shown = await stats(world, name, bucketSeconds=10)
    assert shown["attempts"] == 2
    assert [bucket["attempts"] for bucket in shown["buckets"]] == [1, 1]


async def test_a_span_and_its_buckets_can_be_chosen(world: ApiWorld) -> None:
    name = (await world.subscribe())["subscriptionId"]
    for _ in range(3):
        await world.publish()
        await world.finish(name, delivered=True)
        world.clock.ahead_ms += 3_600_000
    day = await stats(world, name)
    assert day["bucketSeconds"] == 3_600
    assert [bucket["attempts"] for bucket in day["buckets"]] == [1, 1, 1]
    second = day["buckets"][1]["start"]
    shown = await stats(world, name, since=second, until=day["buckets"][2]["start"])
    assert (shown["attempts"], shown["since"]) == (1, second)
    assert (await stats(world, name, bucketSeconds=86_400))["attempts"] == 3


@pytest.mark.parametrize(
    "parameters",
    [
        {"bucketSeconds": "5"},
        {"bucketSeconds": "15"},
        {"bucketSeconds": "90000"},
        {"bucketSeconds": "10", "since": "2024-05-04T12:00:00Z"},
        {"since": "2024-05-04T12:00:00Z", "until": "2024-05-04T12:00:00Z"},
        {"since": "2024-05-05T12:00:00Z", "until": "2024-05-04T12:00:00Z"},
        {"since": "yesterday"},
        {"since": "1970-01-01T00:00:00Z"},
        {"until": "0001-01-01T00:00:00Z"},
        {"since": "0001-01-01T00:00:00Z", "until": "0001-01-01T00:00:05Z", "bucketSeconds": "70"},
        {"limit": "5"},
    ],
)
async def test_a_span_that_makes_no_sense_is_refused(
    world: ApiWorld, parameters: dict[str, str]
) -> None:
    name = (await world.subscribe())["subscriptionId"]
    for path in (f"/webhook-subscriptions/{name}/stats", "/stats"):
        answer = await world.client.get(path, params=parameters)
        expect_problem(answer, 422, "validation_failed")


async def test_nobody_counts_what_is_anothers(world: ApiWorld) -> None:
    name = (await world.subscribe(tenantId="acme"))["subscriptionId"]
    await world.publish(tenantId="acme")
    await world.finish(name, delivered=True)
    path = f"/webhook-subscriptions/{name}/stats"
    expect_problem(await world.client.get(path), 404, "not_found")
    stranger = world.caller(await world.key(tenant_id="zeta"))
    expect_problem(await stranger.get(path), 404, "not_found")
    assert (await stranger.get("/stats")).json()["attempts"] == 0
    for where in (path, "/stats"):
        refused = await stranger.get(where, params={"tenantId": "acme"})
        expect_problem(refused, 403, "wrong_tenant")
    assert (await stats(world, name, tenantId="acme"))["attempts"] == 1
    assert (await stats(world, tenantId="acme"))["attempts"] == 1
